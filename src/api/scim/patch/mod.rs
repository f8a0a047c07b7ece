//! PATCH (RFC 7644 §3.5.2): all operations or none, on a resource in memory. Read here, pointed by
//! [`target`], carried out by [`apply`].
//!
//! Lenient takes what clients really send: operations in any case, no path and then dotted names or
//! full URNs in the value, `remove` of members with those to be removed as the value, `replace` of
//! what is not there yet.

mod apply;
mod target;
#[cfg(test)]
mod tests;

pub use apply::apply;

use super::error::{ScimError, ScimType};
use super::resource::{Object, member};
use serde_json::Value;

/// The schema of such a request.
const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Operations, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch(Vec<Operation>);

/// One operation.
#[derive(Debug, Clone, PartialEq)]
struct Operation {
    act: Act,
    path: Option<String>,
    value: Option<Value>,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Add,
    Replace,
    Remove,
}

impl Patch {
    /// Reads a request with at most `most` operations.
    ///
    /// # Errors
    /// `invalidSyntax` when it is none; 413 when there are too many.
    pub fn read(body: &Object, most: usize, strict: bool) -> Result<Self, ScimError> {
        let schemas = member(body, "schemas").and_then(Value::as_array);
        let named = |urn: &Value| urn.as_str().is_some_and(|u| u.eq_ignore_ascii_case(SCHEMA));
        // Authentik leaves them out (recordings/authentik, difference 19).
        let missing = schemas.is_none() && strict;
        if missing || schemas.is_some_and(|schemas| !schemas.iter().any(named)) {
            return Err(syntax(format!("schemas must name {SCHEMA}.")));
        }
        let operations = member(body, "Operations").and_then(Value::as_array);
        let operations = operations.ok_or_else(|| syntax("Operations must be a list."))?;
        if operations.is_empty() {
            return Err(syntax("There is no operation."));
        }
        if operations.len() > most {
            let detail = format!("There are more than {most} operations.");
            return Err(ScimError::too_large(detail));
        }
        let all: Result<_, _> = operations
            .iter()
            .map(|one| Operation::read(one, strict))
            .collect();
        Ok(Self(all?))
    }
}

impl Operation {
    fn read(value: &Value, strict: bool) -> Result<Self, ScimError> {
        let Value::Object(members) = value else {
            return Err(syntax("An operation is an object."));
        };
        let word = member(members, "op")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is = |name: &str| word == name || (!strict && word.eq_ignore_ascii_case(name));
        let acts = [
            ("add", Act::Add),
            ("replace", Act::Replace),
            ("remove", Act::Remove),
        ];
        let act = acts.iter().find(|(name, _)| is(name)).map(|(_, act)| *act);
        let act = act.ok_or_else(|| syntax("op must be add, replace or remove."))?;
        let path = match member(members, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.trim().is_empty() && !strict => None,
            Some(Value::String(path)) => Some(path.trim().to_owned()),
            Some(_) => {
                let detail = "A path is a text.";
                return Err(ScimError::bad(ScimType::InvalidPath, detail));
            }
        };
        let value = member(members, "value").cloned();
        match (act, &path, &value) {
            (Act::Remove, None, _) => {
                let detail = "What is removed needs a path.";
                Err(ScimError::bad(ScimType::NoTarget, detail))
            }
            (Act::Add, _, None) => {
                let detail = "What is added needs a value.";
                Err(ScimError::bad(ScimType::InvalidValue, detail))
            }
            _ => Ok(Self { act, path, value }),
        }
    }
}

fn syntax(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}
