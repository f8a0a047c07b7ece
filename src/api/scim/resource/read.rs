//! What a client says a resource is, read.
//!
//! Lenient, the default, takes what Authentik, Okta and Entra really send: names in any case, flags as
//! texts, `null` for nothing, schemas that nobody knows (dropped) and attributes that nobody knows
//! (kept). Strict takes what the schemas say.

use super::{Object, member};
use crate::api::scim::error::{ScimError, ScimType};
use crate::api::scim::schema::{self, Attribute, Kind, Mutability};
use crate::store::ScimKind;
use serde_json::Value;

/// Deepest nesting of a value.
const DEPTH: usize = 8;
/// Most values in a resource, members aside.
const MOST: usize = 5_000;
/// Longest of the texts that are keys, in characters.
const KEY: usize = 255;

/// What a client says a resource is.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// What it is.
    pub kind: ScimKind,
    /// The attributes, in their canonical spelling, without `schemas`, `id`, `meta`, what is
    /// read-only, and members.
    pub body: Object,
    /// Ids of a group's members; `None` when nothing was said of them.
    pub members: Option<Vec<String>>,
    /// The id that it says it has.
    pub id: Option<String>,
}

impl Said {
    /// Reads a resource.
    ///
    /// # Errors
    /// `invalidSyntax` when it is no resource, `invalidValue` when an attribute has a value that it
    /// can't have.
    pub fn read(kind: ScimKind, value: Value, strict: bool) -> Result<Self, ScimError> {
        let Value::Object(sent) = value else {
            return Err(syntax("A resource is a JSON object."));
        };
        let schemas = member(&sent, "schemas").cloned();
        check_schemas(kind, schemas.as_ref(), strict)?;
        let mut said = Self {
            kind,
            body: Object::new(),
            members: None,
            id: None,
        };
        for (name, value) in sent {
            said.take(name, value, strict)?;
        }
        if let Some(schemas) = schemas
            .as_ref()
            .and_then(Value::as_array)
            .filter(|_| strict)
        {
            for key in said
                .body
                .keys()
                .filter(|key| schema::extension(kind, key).is_some())
            {
                let named = |urn: &Value| urn.as_str().is_some_and(|u| u.eq_ignore_ascii_case(key));
                if !schemas.iter().any(named) {
                    return Err(syntax(format!("schemas does not name {key}.")));
                }
            }
        }
        said.check()?;
        Ok(said)
    }

    /// Takes an attribute in, under its canonical name.
    fn take(&mut self, name: String, value: Value, strict: bool) -> Result<(), ScimError> {
        let kind = self.kind;
        if name.eq_ignore_ascii_case("schemas") || name.eq_ignore_ascii_case("meta") {
            return Ok(());
        }
        if name.eq_ignore_ascii_case("id") {
            self.id = value.as_str().map(str::to_owned);
            return Ok(());
        }
        // There are no passwords here: one that is sent goes nowhere.
        if name.eq_ignore_ascii_case("password") {
            return Ok(());
        }
        if kind == ScimKind::Group && name.eq_ignore_ascii_case("members") {
            self.members = Some(member_ids(&value)?);
            return Ok(());
        }
        if name.eq_ignore_ascii_case("externalId") {
            if let Some(value) = coerced(None, value, strict)? {
                self.body.insert("externalId".to_owned(), value);
            }
            return Ok(());
        }
        if let Some(extension) = schema::extension(kind, &name) {
            let Value::Object(attributes) = value else {
                return match value {
                    Value::Null => Ok(()),
                    _ => Err(syntax(format!("{} is an object.", extension.urn))),
                };
            };
            let mut kept = Object::new();
            for (name, value) in attributes {
                let known = extension.attribute(&name);
                unknown(known.is_none() && strict, &name)?;
                if let Some(value) = coerced(known, value, strict)? {
                    let name = known.map_or(name, |known| known.name.to_owned());
                    kept.insert(name, value);
                }
            }
            self.body
                .insert(extension.urn.to_owned(), Value::Object(kept));
            return Ok(());
        }
        let known = schema::of_kind(kind).attribute(&name);
        unknown(known.is_none() && strict, &name)?;
        if known.is_some_and(|known| known.mutability == Mutability::ReadOnly) {
            // RFC 7644 §3.3: what is read-only is ignored.
            return Ok(());
        }
        if let Some(value) = coerced(known, value, strict)? {
            let name = known.map_or(name, |known| known.name.to_owned());
            self.body.insert(name, value);
        }
        Ok(())
    }

    /// Checks what we rely on, whoever sent it.
    ///
    /// # Errors
    /// `invalidValue`.
    pub fn check(&self) -> Result<(), ScimError> {
        let name = self.name_attribute();
        match self.body.get(name) {
            Some(Value::String(text)) if is_key(text) => {}
            _ => {
                return Err(invalid(format!(
                    "{name} must be a text of 1 to {KEY} characters."
                )));
            }
        }
        match self.body.get("externalId") {
            None => {}
            Some(Value::String(text)) if is_key(text) => {}
            Some(_) => {
                return Err(invalid(format!(
                    "externalId must be a text of 1 to {KEY} characters."
                )));
            }
        }
        match self.body.get("active") {
            None | Some(Value::Bool(_)) => {}
            Some(_) if self.kind == ScimKind::Group => {}
            Some(_) => return Err(invalid("active must be true or false.")),
        }
        let mut left = MOST;
        for value in self.body.values() {
            bounded(value, DEPTH, &mut left)?;
        }
        Ok(())
    }

    /// The attribute that names a resource.
    #[must_use]
    pub const fn name_attribute(&self) -> &'static str {
        match self.kind {
            ScimKind::User => "userName",
            ScimKind::Group => "displayName",
        }
    }

    /// A text of the resource.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        member(&self.body, name).and_then(Value::as_str)
    }

    /// Whether they may sign in: they may unless it is said that they may not.
    #[must_use]
    pub fn active(&self) -> bool {
        self.body.get("active") != Some(&Value::Bool(false))
    }
}

fn is_key(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= KEY && !text.chars().any(char::is_control)
}

fn check_schemas(kind: ScimKind, schemas: Option<&Value>, strict: bool) -> Result<(), ScimError> {
    if !strict {
        return Ok(());
    }
    let listed = schemas.and_then(Value::as_array);
    let listed = listed.ok_or_else(|| syntax("schemas must list the resource's schemas."))?;
    let mut core = false;
    for urn in listed.iter().map(|urn| urn.as_str().unwrap_or_default()) {
        core |= schema::is_core(kind, urn);
        if !schema::is_core(kind, urn) && schema::extension(kind, urn).is_none() {
            return Err(syntax(
                "schemas names a schema that resources of this kind don't have.",
            ));
        }
    }
    match core {
        true => Ok(()),
        false => Err(syntax(format!(
            "schemas must name {}.",
            schema::of_kind(kind).urn
        ))),
    }
}

fn unknown(refused: bool, name: &str) -> Result<(), ScimError> {
    match refused {
        false => Ok(()),
        true => {
            let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            Err(syntax(format!("There is no attribute {name:?}.")))
        }
    }
}

/// A value as an attribute has it; `None` when it is nothing. In strict mode it must be of the
/// attribute's type.
///
/// # Errors
/// `invalidValue`.
pub(in crate::api::scim) fn coerced(
    attribute: Option<&'static Attribute>,
    value: Value,
    strict: bool,
) -> Result<Option<Value>, ScimError> {
    let Some(attribute) = attribute else {
        return Ok(without_nulls(value));
    };
    if value.is_null() {
        return Ok(None);
    }
    if attribute.multi {
        return match value {
            Value::Array(all) => {
                let mut kept = Vec::with_capacity(all.len());
                for one in all {
                    kept.extend(single(attribute, one, strict)?);
                }
                Ok(Some(Value::Array(kept)))
            }
            _ if strict => Err(invalid(format!("{} is a list.", attribute.name))),
            other => Ok(single(attribute, other, strict)?.map(|one| Value::Array(vec![one]))),
        };
    }
    single(attribute, value, strict)
}

fn single(
    attribute: &'static Attribute,
    value: Value,
    strict: bool,
) -> Result<Option<Value>, ScimError> {
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::Flag, Value::String(text)) if !strict => {
            match text.trim().to_ascii_lowercase().as_str() {
                "true" => Ok(Some(Value::Bool(true))),
                "false" => Ok(Some(Value::Bool(false))),
                _ => Err(invalid(format!(
                    "{} must be true or false.",
                    attribute.name
                ))),
            }
        }
        (Kind::Complex, Value::Object(members)) => {
            let mut kept = Object::new();
            for (name, value) in members {
                let known = attribute.sub(&name);
                unknown(known.is_none() && strict, &name)?;
                if let Some(value) = coerced(known, value, strict)? {
                    kept.insert(known.map_or(name, |known| known.name.to_owned()), value);
                }
            }
            Ok(Some(Value::Object(kept)))
        }
        (kind, value) => {
            let fits = match kind {
                Kind::Text | Kind::Binary | Kind::Reference => value.is_string(),
                Kind::Flag => value.is_boolean(),
                Kind::Complex => value.is_object(),
            };
            match fits || !strict {
                true => Ok(without_nulls(value)),
                false => Err(invalid(format!(
                    "{} has a value of another type.",
                    attribute.name
                ))),
            }
        }
    }
}

/// RFC 7643 §2.5: `null` is nothing.
fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(all) => Some(all.into_iter().filter_map(without_nulls).collect()),
        Value::Object(members) => {
            let kept = members.into_iter();
            let kept = kept.filter_map(|(name, value)| Some((name, without_nulls(value)?)));
            Some(Value::Object(kept.collect()))
        }
        simple => Some(simple),
    }
}

/// Ids of members, in the order in which they were sent, none twice.
pub(in crate::api::scim) fn member_ids(value: &Value) -> Result<Vec<String>, ScimError> {
    let all = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut seen = std::collections::HashSet::new();
    let mut ids = Vec::with_capacity(all.len());
    for one in all {
        let id = match one {
            Value::String(id) => Some(id.as_str()),
            Value::Object(members) => member(members, "value").and_then(Value::as_str),
            _ => None,
        };
        let id = id.filter(|id| is_key(id));
        let id = id.ok_or_else(|| invalid("A member is an object with the id as its value."))?;
        if seen.insert(id) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

fn bounded(value: &Value, depth: usize, left: &mut usize) -> Result<(), ScimError> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("The resource has more than {MOST} values.")))?;
    if depth == 0 {
        return Err(invalid(format!(
            "The resource is nested deeper than {DEPTH} levels."
        )));
    }
    match value {
        Value::Array(all) => all.iter().try_for_each(|one| bounded(one, depth - 1, left)),
        Value::Object(members) => {
            let mut values = members.values();
            values.try_for_each(|one| bounded(one, depth - 1, left))
        }
        _ => Ok(()),
    }
}

fn syntax(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, detail)
}
