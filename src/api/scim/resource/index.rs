//! What of a resource can be searched: its simple values, each with where it stands.

use super::{Object, Said};
use crate::api::scim::schema::{self, fold};
use crate::config::{ScimConfig, ScimSubject};
use crate::store::{ScimDraft, ScimScalar, ScimValue, ordered};
use crate::types::Subject;
use serde_json::Value;

/// A resource as it is to be stored under this id.
#[must_use]
pub fn draft(said: &Said, id: &str, connection: &ScimConfig) -> ScimDraft {
    let name = said.text(said.name_attribute()).unwrap_or_default();
    ScimDraft {
        body: Value::Object(said.body.clone()).to_string(),
        name: Some(fold(name)),
        external_id: said.text("externalId").map(str::to_owned),
        issuer: connection.issuer.clone(),
        subject: subject(said, connection),
        active: said.active(),
        values: values(said, id),
    }
}

/// Whom assertions name, by the connection's rule. What is no subject is nobody.
fn subject(said: &Said, connection: &ScimConfig) -> Option<Subject> {
    if said.kind == crate::store::ScimKind::Group {
        return None;
    }
    let text = match &connection.subject {
        ScimSubject::ExternalId => said.text("externalId"),
        ScimSubject::Attribute(path) => attribute(&said.body, path),
        ScimSubject::Nobody => None,
    };
    text.and_then(|text| Subject::new(text).ok())
}

/// A text at a path of the configuration: `userName`, `name.givenName`, an extension's with its URN.
fn attribute<'b>(body: &'b Object, path: &str) -> Option<&'b str> {
    let (object, rest) = match path.rsplit_once(':') {
        Some((urn, rest)) => (super::member(body, urn)?.as_object()?, rest),
        None => (body, path),
    };
    match rest.split_once('.') {
        Some((name, sub)) => {
            let object = super::member(object, name)?.as_object()?;
            super::member(object, sub)?.as_str()
        }
        None => super::member(object, rest)?.as_str(),
    }
}

fn values(said: &Said, id: &str) -> Vec<ScimValue> {
    let mut index = Index(Vec::new());
    index.text("id", "", id);
    index.text("meta", "resourcetype", schema::of_kind(said.kind).name);
    for (at, urn) in (0..).zip(super::show::schemas(said.kind, &said.body)) {
        index.add("schemas", at, "value", false, &Value::String(urn));
    }
    for (name, value) in &said.body {
        match value {
            // An extension: its attributes stand under its URN.
            Value::Object(attributes) if name.contains(':') => {
                for (inner, value) in attributes {
                    let attr = format!("{name}:{inner}").to_ascii_lowercase();
                    index.attribute(&attr, value);
                }
            }
            value => index.attribute(&name.to_ascii_lowercase(), value),
        }
    }
    index.0
}

struct Index(Vec<ScimValue>);

impl Index {
    fn attribute(&mut self, attr: &str, value: &Value) {
        match value {
            Value::Array(all) => {
                for (at, one) in (0..).zip(all) {
                    match one {
                        Value::Object(members) => self.element(attr, at, members),
                        simple => self.add(attr, at, "value", false, simple),
                    }
                }
            }
            Value::Object(members) => self.element(attr, 0, members),
            simple => self.add(attr, 0, "", false, simple),
        }
    }

    fn element(&mut self, attr: &str, at: i64, members: &Object) {
        let main = super::member(members, "primary") == Some(&Value::Bool(true));
        for (name, value) in members {
            let sub = name.to_ascii_lowercase();
            match value {
                Value::Array(all) => {
                    for one in all {
                        self.add(attr, at, &sub, main, one);
                    }
                }
                simple => self.add(attr, at, &sub, main, simple),
            }
        }
    }

    fn add(&mut self, attr: &str, element: i64, sub: &str, main: bool, value: &Value) {
        let value = match value {
            Value::String(text) if schema::is_exact(attr, sub) => ScimScalar::Text(text.clone()),
            Value::String(text) => ScimScalar::Text(fold(text)),
            Value::Bool(flag) => ScimScalar::Flag(*flag),
            Value::Number(number) => match number.as_f64().and_then(ordered) {
                Some(number) => ScimScalar::Number(number),
                None => return,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        self.0.push(ScimValue {
            attr: attr.to_owned(),
            element,
            sub: sub.to_owned(),
            main,
            value,
        });
    }

    fn text(&mut self, attr: &str, sub: &str, text: &str) {
        self.add(attr, 0, sub, false, &Value::String(text.to_owned()));
    }
}
