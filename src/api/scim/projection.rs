//! Which attributes of a resource are shown: `attributes` and `excludedAttributes` (RFC 7644 §3.9).
//! `id` and `schemas` always are.

use super::resource::{Object, entry};
use super::schema;
use crate::store::ScimKind;
use serde_json::Value;

/// Most names that are looked at.
const MOST: usize = 100;

/// Which attributes are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Projection {
    /// Only these, when there are any.
    only: Vec<String>,
    /// All but these.
    without: Vec<String>,
}

impl Projection {
    /// By lists of names; `only` counts when both are there.
    #[must_use]
    pub(super) fn new(only: Vec<String>, without: Vec<String>) -> Self {
        let tidy = |names: Vec<String>| -> Vec<String> {
            let names = names.into_iter().map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).take(MOST).collect()
        };
        Self {
            only: tidy(only),
            without: tidy(without),
        }
    }

    /// Whether attributes were asked for by name.
    #[must_use]
    pub(super) fn is_asked(&self) -> bool {
        !self.only.is_empty() || !self.without.is_empty()
    }

    /// Whether an attribute that is costly to find is shown at all.
    #[must_use]
    pub(super) fn shows(&self, kind: ScimKind, name: &str) -> bool {
        let named = |path: &String| {
            let attribute = core(kind, path).split('.').next();
            attribute.is_some_and(|attribute| attribute.eq_ignore_ascii_case(name))
        };
        match self.only.is_empty() {
            false => self.only.iter().any(named),
            true => {
                let whole = |path: &&String| !core(kind, path).contains('.');
                !self.without.iter().filter(whole).any(named)
            }
        }
    }

    /// What is left of a resource.
    #[must_use]
    pub(super) fn of(&self, kind: ScimKind, mut shown: Object) -> Object {
        if self.only.is_empty() {
            for path in &self.without {
                leave_out(&mut shown, core(kind, path));
            }
            return shown;
        }
        let mut kept = Object::new();
        for name in ["schemas", "id"] {
            if let Some(value) = shown.get(name) {
                kept.insert(name.to_owned(), value.clone());
            }
        }
        for path in &self.only {
            keep(&mut kept, &shown, core(kind, path));
        }
        kept
    }
}

/// A path without the URN of the kind's own schema, which says nothing more.
fn core(kind: ScimKind, path: &str) -> &str {
    match path.rsplit_once(':') {
        Some((urn, name)) if schema::is_core(kind, urn) => name,
        _ => path,
    }
}

/// The member that a path begins with, and what of the path is left.
fn step<'p>(object: &Object, path: &'p str) -> Option<(String, &'p str)> {
    if let Some((name, _)) = entry(object, path) {
        return Some((name.clone(), ""));
    }
    // An extension's attribute: the URN has dots of its own.
    if let Some((urn, rest)) = path.rsplit_once(':') {
        let (name, _) = entry(object, urn)?;
        return Some((name.clone(), rest));
    }
    let (first, rest) = path.split_once('.')?;
    let (name, _) = entry(object, first)?;
    Some((name.clone(), rest))
}

fn keep(kept: &mut Object, shown: &Object, path: &str) {
    let Some((name, rest)) = step(shown, path) else {
        return;
    };
    let Some(value) = shown.get(&name) else {
        return;
    };
    if rest.is_empty() {
        kept.insert(name, value.clone());
        return;
    }
    match value {
        Value::Object(members) => {
            let inner = kept
                .entry(name)
                .or_insert_with(|| Value::Object(Object::new()));
            if let Value::Object(inner) = inner {
                keep(inner, members, rest);
            }
        }
        Value::Array(all) => {
            let empty = || Value::Array(vec![Value::Object(Object::new()); all.len()]);
            let inner = kept.entry(name).or_insert_with(empty);
            if let Value::Array(inner) = inner {
                for (kept, one) in inner.iter_mut().zip(all) {
                    if let (Value::Object(kept), Value::Object(one)) = (kept, one) {
                        keep(kept, one, rest);
                    }
                }
            }
        }
        _ => {}
    }
}

fn leave_out(shown: &mut Object, path: &str) {
    let Some((name, rest)) = step(shown, path) else {
        return;
    };
    if rest.is_empty() {
        if name != "id" && name != "schemas" {
            shown.remove(&name);
        }
        return;
    }
    match shown.get_mut(&name) {
        Some(Value::Object(members)) => leave_out(members, rest),
        Some(Value::Array(all)) => {
            for one in all {
                if let Value::Object(one) = one {
                    leave_out(one, rest);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown() -> Object {
        let value = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "1", "userName": "alice", "name": { "givenName": "A", "familyName": "B" },
            "emails": [{ "value": "a@x", "type": "work" }, { "value": "b@x" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "department": "d", "division": "v" },
        });
        match value {
            Value::Object(members) => members,
            _ => Object::new(),
        }
    }

    fn only(names: &[&str]) -> Value {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Value::Object(Projection::new(names, Vec::new()).of(ScimKind::User, shown()))
    }

    fn without(names: &[&str]) -> Object {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Projection::new(Vec::new(), names).of(ScimKind::User, shown())
    }

    #[test]
    fn only_what_is_asked_for_is_shown_beside_id_and_schemas() {
        let schemas = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        assert_eq!(
            only(&["USERNAME", "emails.value", "name.givenName"]),
            json!({
                "schemas": schemas, "id": "1", "userName": "alice",
                "name": { "givenName": "A" },
                "emails": [{ "value": "a@x" }, { "value": "b@x" }],
            })
        );
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        assert_eq!(
            only(&[
                &format!("{enterprise}:department"),
                "urn:ietf:params:scim:schemas:core:2.0:User:userName",
                "nothing"
            ]),
            json!({
                "schemas": schemas, "id": "1", "userName": "alice",
                enterprise: { "department": "d" },
            })
        );
        assert_eq!(only(&[enterprise])[enterprise]["division"], "v");
    }

    #[test]
    fn what_is_excluded_is_gone_but_never_the_id() {
        let left = without(&["emails", "id", "name.givenName", "schemas"]);
        assert!(!left.contains_key("emails"));
        assert_eq!(left["id"], "1");
        assert_eq!(left["name"], json!({ "familyName": "B" }));
        assert!(left.contains_key("schemas"));
    }

    #[test]
    fn costly_attributes_are_looked_for_only_when_they_are_shown() {
        let members = |only: &[&str], without: &[&str]| {
            let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
            Projection::new(all(only), all(without)).shows(ScimKind::Group, "members")
        };
        assert!(members(&[], &[]));
        assert!(!members(&["displayName"], &[]));
        assert!(members(&["members.value"], &[]));
        assert!(!members(&[], &["Members"]));
        assert!(members(&[], &["members.display"]));
        assert!(!members(
            &[],
            &["urn:ietf:params:scim:schemas:core:2.0:Group:members"]
        ));
    }
}
