//! Many requests in one (RFC 7644 §3.7): one after the other, each as if it had come alone. What one
//! makes others may name by its `bulkId`; who names what is not made yet waits for it.

use super::answer;
use super::connection::Connected;
use super::error::{ScimError, ScimType};
use super::patch::Patch;
use super::request::object;
use super::resource::show::{endpoint, tag};
use super::resource::{Object, member};
use super::write::{Desk, Matches};
use crate::api::state::Api;
use crate::store::{ScimKind, ScimResource};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The schemas of such a request and its answer.
const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// What stands before a `bulkId` in place of an id.
const MARK: &str = "bulkId:";
/// Deepest value that is looked through for them.
const DEPTH: usize = 8;

/// One of the requests.
struct Step {
    method: Method,
    kind: Option<ScimKind>,
    id: Option<String>,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// POST to `/Bulk`.
pub(super) async fn bulk(
    connected: Connected,
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScimError> {
    let connection = &connected.connection;
    let body = object(connection, &headers, body).await?;
    let (steps, most_errors) = read(&body, connection.bulk_operations, connection.strict)?;
    let desk = Desk::new(&api, &connected);
    let mut run = Run {
        desk: &desk,
        strict: connection.strict,
        patch_operations: connection.patch_operations,
        made: HashMap::new(),
        answers: Vec::new(),
        errors: 0,
    };
    run.all(steps, most_errors).await;
    let answers = json!({ "schemas": [RESPONSE], "Operations": run.answers });
    Ok(answer(StatusCode::OK, &answers))
}

fn read(body: &Object, most: usize, strict: bool) -> Result<(Vec<Step>, Option<usize>), ScimError> {
    let schemas = member(body, "schemas").and_then(Value::as_array);
    let named = |urn: &Value| {
        urn.as_str()
            .is_some_and(|u| u.eq_ignore_ascii_case(REQUEST))
    };
    let missing = schemas.is_none() && strict;
    if missing || schemas.is_some_and(|schemas| !schemas.iter().any(named)) {
        return Err(syntax(format!("schemas must name {REQUEST}.")));
    }
    let most_errors = match member(body, "failOnErrors") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let number = value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            let number = number.filter(|number| *number > 0);
            Some(number.ok_or_else(|| syntax("failOnErrors must be a whole number above 0."))?)
        }
    };
    let operations = member(body, "Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| syntax("Operations must be a list."))?;
    if operations.len() > most {
        let detail = format!("There are more than {most} operations.");
        return Err(ScimError::too_large(detail));
    }
    let steps: Result<Vec<_>, _> = operations.iter().map(step).collect();
    Ok((steps?, most_errors))
}

fn step(value: &Value) -> Result<Step, ScimError> {
    let Value::Object(members) = value else {
        return Err(syntax("An operation is an object."));
    };
    let text = |name: &str| member(members, name).and_then(Value::as_str);
    let method = match text("method").map(str::to_ascii_uppercase).as_deref() {
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("PATCH") => Method::Patch,
        Some("DELETE") => Method::Delete,
        _ => return Err(syntax("method must be POST, PUT, PATCH or DELETE.")),
    };
    let path = text("path").unwrap_or_default();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let name = parts.next().unwrap_or_default();
    let kind = ScimKind::ALL
        .iter()
        .copied()
        .find(|kind| endpoint(*kind) == name);
    let bulk_id = text("bulkId").map(str::to_owned);
    if method == Method::Post && bulk_id.is_none() {
        return Err(syntax("A POST has a bulkId."));
    }
    Ok(Step {
        method,
        kind,
        id: parts.next().filter(|id| !id.is_empty()).map(str::to_owned),
        bulk_id,
        version: text("version").map(str::to_owned),
        data: member(members, "data").cloned().unwrap_or_default(),
    })
}

struct Run<'a> {
    desk: &'a Desk<'a>,
    strict: bool,
    patch_operations: usize,
    /// Ids by bulkId; `None`: its resource was not made.
    made: HashMap<String, Option<String>>,
    answers: Vec<Value>,
    errors: usize,
}

impl Run<'_> {
    async fn all(&mut self, mut steps: Vec<Step>, most_errors: Option<usize>) {
        while !steps.is_empty() {
            let coming: Vec<String> = (steps.iter())
                .filter(|step| step.method == Method::Post)
                .filter_map(|step| step.bulk_id.clone())
                .collect();
            let mut waiting = Vec::new();
            let before = steps.len();
            for step in steps {
                if most_errors.is_some_and(|most| self.errors >= most) {
                    return;
                }
                let own = step.bulk_id.as_deref();
                let unmade = |id: &str| {
                    !self.made.contains_key(id) && coming.iter().any(|c| c == id) && own != Some(id)
                };
                if refers(&step, &unmade) {
                    waiting.push(step);
                } else {
                    self.one(step).await;
                }
            }
            // They wait for each other: nobody is first.
            if waiting.len() == before {
                for step in waiting {
                    let error = ScimError::new(
                        crate::error::Code::ApiConflict,
                        None,
                        "It waits for a bulkId that waits for it.",
                    );
                    self.failed(&step, &error);
                }
                return;
            }
            steps = waiting;
        }
    }

    async fn one(&mut self, mut step: Step) {
        match self.carry_out(&mut step).await {
            Ok(done) => {
                let status = match step.method {
                    Method::Post => StatusCode::CREATED,
                    Method::Put | Method::Patch => StatusCode::OK,
                    Method::Delete => StatusCode::NO_CONTENT,
                };
                let mut said = said_of(&step);
                said.insert("status".into(), status.as_str().into());
                if let Some(resource) = done {
                    said.insert("location".into(), self.desk.location(&resource).into());
                    said.insert("version".into(), tag(&resource).into());
                    if let (Method::Post, Some(bulk_id)) = (step.method, &step.bulk_id) {
                        self.made.insert(bulk_id.clone(), Some(resource.id));
                    }
                } else if let (Some(kind), Some(id)) = (step.kind, &step.id) {
                    let location = super::resource::show::location(
                        &super::connection::base(self.desk.api),
                        kind,
                        id,
                    );
                    said.insert("location".into(), location.into());
                }
                self.answers.push(Value::Object(said));
            }
            Err(error) => self.failed(&step, &error),
        }
    }

    fn failed(&mut self, step: &Step, error: &ScimError) {
        if let (Method::Post, Some(bulk_id)) = (step.method, &step.bulk_id) {
            self.made.insert(bulk_id.clone(), None);
        }
        self.errors += 1;
        let mut said = said_of(step);
        said.insert("status".into(), error.status().as_str().into());
        said.insert("response".into(), error.document());
        self.answers.push(Value::Object(said));
    }

    async fn carry_out(&self, step: &mut Step) -> Result<Option<ScimResource>, ScimError> {
        let kind = step.kind;
        let kind = kind.ok_or_else(|| syntax("path must begin with /Users or /Groups."))?;
        self.resolve(&mut step.data, DEPTH)?;
        let id = match step.id.take() {
            Some(id) => Some(self.id_of(&id)?.unwrap_or(id)),
            None => None,
        };
        step.id.clone_from(&id);
        let matches = match &step.version {
            Some(version) => Matches::Versions(vec![version.clone()]),
            None => Matches::Anything,
        };
        let data = std::mem::take(&mut step.data);
        let needed = || syntax("path must name a resource.");
        match step.method {
            Method::Post if id.is_some() => Err(syntax("A POST names a kind of resources alone.")),
            Method::Post => self.desk.create(kind, data).await.map(Some),
            Method::Put => {
                let id = id.ok_or_else(needed)?;
                self.desk.replace(kind, &id, &matches, data).await.map(Some)
            }
            Method::Patch => {
                let id = id.ok_or_else(needed)?;
                let Value::Object(data) = data else {
                    return Err(syntax("data must be an object."));
                };
                let patch = Patch::read(&data, self.patch_operations, self.strict)?;
                self.desk
                    .modify(kind, &id, &matches, &patch)
                    .await
                    .map(Some)
            }
            Method::Delete => {
                let id = id.ok_or_else(needed)?;
                self.desk.delete(kind, &id, &matches).await?;
                Ok(None)
            }
        }
    }

    /// The id that a `bulkId` stands for; `None` when it is none.
    fn id_of(&self, text: &str) -> Result<Option<String>, ScimError> {
        let Some(bulk_id) = text.strip_prefix(MARK) else {
            return Ok(None);
        };
        match self.made.get(bulk_id) {
            Some(Some(id)) => Ok(Some(id.clone())),
            _ => Err(ScimError::new(
                crate::error::Code::ApiConflict,
                Some(ScimType::InvalidValue),
                "It names a bulkId whose resource was not made.",
            )),
        }
    }

    /// Ids in place of what stands for them.
    fn resolve(&self, value: &mut Value, depth: usize) -> Result<(), ScimError> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Ok(());
        };
        match value {
            Value::String(text) => {
                if let Some(id) = self.id_of(text)? {
                    *text = id;
                }
                Ok(())
            }
            Value::Array(all) => all.iter_mut().try_for_each(|one| self.resolve(one, deeper)),
            Value::Object(all) => {
                let mut values = all.values_mut();
                values.try_for_each(|one| self.resolve(one, deeper))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a step names a bulkId of which this is so.
fn refers(step: &Step, so: &impl Fn(&str) -> bool) -> bool {
    let in_path = step.id.as_deref().and_then(|id| id.strip_prefix(MARK));
    in_path.is_some_and(so) || mentions(&step.data, so, DEPTH)
}

fn mentions(value: &Value, so: &impl Fn(&str) -> bool, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else {
        return false;
    };
    match value {
        Value::String(text) => text.strip_prefix(MARK).is_some_and(so),
        Value::Array(all) => all.iter().any(|one| mentions(one, so, deeper)),
        Value::Object(all) => all.values().any(|one| mentions(one, so, deeper)),
        _ => false,
    }
}

fn said_of(step: &Step) -> Object {
    let mut said = Object::new();
    said.insert("method".into(), step.method.as_str().into());
    if let Some(bulk_id) = &step.bulk_id {
        said.insert("bulkId".into(), bulk_id.clone().into());
    }
    said
}

fn syntax(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}
