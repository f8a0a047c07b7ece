//! Operations carried out, on a copy: what fails leaves nothing half done.

use super::target::{At, Target, resolve};
use super::{Act, Operation, Patch};
use crate::api::scim::error::{ScimError, ScimType};
use crate::api::scim::filter::judge;
use crate::api::scim::resource::{Object, Said, coerced, member, member_ids};
use crate::store::ScimKind;
use scim_v2::filter::{AttrExp, CompValue, CompareOp, ValFilter};
use serde_json::Value;
use std::collections::HashSet;

/// Most values that the operations of a request look at together: whoever sends many operations to a
/// large group sends them in several requests.
const WORK: usize = 4_000_000;

/// The resource after the operations.
///
/// # Errors
/// As RFC 7644 §3.5.2 says: `noTarget`, `invalidPath`, `invalidValue`, `mutability`; 413 when it
/// would be too much work.
pub fn apply(patch: &Patch, said: Said, strict: bool) -> Result<Said, ScimError> {
    let mut work = Work {
        kind: said.kind,
        id: said.id.clone(),
        body: said.body,
        strict,
        left: WORK,
    };
    if said.kind == ScimKind::Group {
        let members = said.members.unwrap_or_default().into_iter();
        let members =
            members.map(|id| Value::Object(Object::from_iter([("value".into(), id.into())])));
        work.body.insert("members".to_owned(), members.collect());
    }
    for operation in &patch.0 {
        work.operation(operation)?;
    }
    let members = match work.kind {
        ScimKind::Group => {
            let members = work.body.remove("members").unwrap_or(Value::Null);
            Some(member_ids(&members)?)
        }
        ScimKind::User => None,
    };
    let said = Said {
        kind: said.kind,
        body: work.body,
        members,
        id: said.id,
    };
    said.check()?;
    Ok(said)
}

struct Work {
    kind: ScimKind,
    id: Option<String>,
    body: Object,
    strict: bool,
    left: usize,
}

impl Work {
    fn operation(&mut self, operation: &Operation) -> Result<(), ScimError> {
        let Operation { act, path, value } = operation;
        let Some(path) = path else {
            return match value {
                Some(Value::Object(members)) => {
                    for (path, value) in members {
                        self.at_path(*act, path, Some(value), true)?;
                    }
                    Ok(())
                }
                _ => Err(invalid(
                    "An operation without a path has an object as its value.",
                )),
            };
        };
        self.at_path(*act, path, value.as_ref(), false)
    }

    fn at_path(
        &mut self,
        act: Act,
        path: &str,
        value: Option<&Value>,
        loose: bool,
    ) -> Result<(), ScimError> {
        let target = resolve(path, self.kind, &self.body, self.strict, loose)?;
        // Nothing is the same as nothing more (RFC 7643 §2.5).
        let act = match (act, value) {
            (Act::Replace, None | Some(Value::Null)) => Act::Remove,
            (act, _) => act,
        };
        match target {
            Target::Ignored => Ok(()),
            Target::Id => match value.and_then(Value::as_str) == self.id.as_deref() {
                true if act != Act::Remove => Ok(()),
                _ => Err(ScimError::bad(
                    ScimType::Mutability,
                    "The id never changes.",
                )),
            },
            Target::Extension(urn) => self.extension(act, &urn, value),
            Target::Attribute(at) => self.attribute(act, &at, value),
        }
    }

    /// A whole extension.
    fn extension(&mut self, act: Act, urn: &str, value: Option<&Value>) -> Result<(), ScimError> {
        if act == Act::Remove {
            self.body.remove(urn);
            return Ok(());
        }
        let Some(Value::Object(members)) = value else {
            return Err(invalid("The value of an extension is an object."));
        };
        for (name, value) in members {
            let path = format!("{urn}:{name}");
            self.at_path(act, &path, Some(value), true)?;
        }
        Ok(())
    }

    fn attribute(&mut self, act: Act, at: &At, value: Option<&Value>) -> Result<(), ScimError> {
        let required = at.known.is_some_and(|known| known.required);
        if act == Act::Remove && required {
            let detail = "A required attribute can't be removed.";
            return Err(ScimError::bad(ScimType::Mutability, detail));
        }
        // Attribute by attribute: what a body may hold is checked as a whole at the end.
        let mut object = match &at.extension {
            None => std::mem::take(&mut self.body),
            Some(urn) => match self.body.get_mut(urn) {
                Some(Value::Object(members)) => std::mem::take(members),
                _ => Object::new(),
            },
        };
        let done = self.within(act, at, value, &mut object);
        match &at.extension {
            None => self.body = object,
            Some(urn) if object.is_empty() => {
                self.body.remove(urn);
            }
            Some(urn) => {
                self.body.insert(urn.clone(), Value::Object(object));
            }
        }
        done
    }

    fn within(
        &mut self,
        act: Act,
        at: &At,
        value: Option<&Value>,
        object: &mut Object,
    ) -> Result<(), ScimError> {
        let name = spelt(object, &at.name);
        if at.filter.is_some() {
            return self.among(act, at, value, object, &name);
        }
        if let Some(sub) = &at.sub {
            return self.part(act, at, sub, value, object, &name);
        }
        match act {
            Act::Remove => self.remove(at, value, object, &name),
            Act::Add | Act::Replace => {
                let value = coerced(at.known, value.cloned().unwrap_or_default(), self.strict)?;
                let Some(value) = value else { return Ok(()) };
                self.write(act, at, value, object, &name)
            }
        }
    }

    /// A whole attribute gets a value.
    fn write(
        &mut self,
        act: Act,
        at: &At,
        value: Value,
        object: &mut Object,
        name: &str,
    ) -> Result<(), ScimError> {
        match (object.get_mut(name), value) {
            // Parts that are not said stay (RFC 7644 §3.5.2.3).
            (Some(Value::Object(there)), Value::Object(more)) => {
                for (sub, value) in more {
                    let sub = spelt(there, &sub);
                    there.insert(sub, value);
                }
            }
            (Some(Value::Array(there)), Value::Array(more)) if act == Act::Add => {
                self.pay(there.len() + more.len())?;
                join(there, more, at.is_members(self.kind));
            }
            // Of an attribute that nobody knows only its values tell that there are several.
            (Some(Value::Array(there)), one) if act == Act::Add => {
                self.pay(there.len())?;
                join(there, vec![one], at.is_members(self.kind));
            }
            (_, value) => {
                object.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        at: &At,
        value: Option<&Value>,
        object: &mut Object,
        name: &str,
    ) -> Result<(), ScimError> {
        let several = value.filter(|value| !value.is_null());
        let (Some(value), Some(Value::Array(there))) = (several, object.get_mut(name)) else {
            object.remove(name);
            return Ok(());
        };
        if self.strict {
            // Taken by the letter this empties the list, which nobody who sends a value means.
            return Err(invalid(
                "remove has no value: name the values in the path's brackets.",
            ));
        }
        let gone = match value {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        self.pay(there.len() + gone.len())?;
        let members = at.is_members(self.kind);
        let keys: HashSet<String> = gone.iter().map(|one| key_of(one, members)).collect();
        // Some name a value by its `value` alone.
        let short: HashSet<&str> = gone.iter().filter_map(only_value).collect();
        there.retain(|one| {
            let value = one.get("value").and_then(Value::as_str);
            !keys.contains(&key_of(one, members)) && !value.is_some_and(|v| short.contains(v))
        });
        if there.is_empty() && !members {
            object.remove(name);
        }
        Ok(())
    }

    /// A sub-attribute, of all values when there are several.
    fn part(
        &mut self,
        act: Act,
        at: &At,
        sub: &str,
        value: Option<&Value>,
        object: &mut Object,
        name: &str,
    ) -> Result<(), ScimError> {
        if act == Act::Remove {
            match object.get_mut(name) {
                Some(Value::Object(there)) => {
                    let sub = spelt(there, sub);
                    there.remove(&sub);
                    if there.is_empty() {
                        object.remove(name);
                    }
                }
                Some(Value::Array(all)) => {
                    self.pay(all.len())?;
                    for one in all.iter_mut().filter_map(Value::as_object_mut) {
                        let sub = spelt(one, sub);
                        one.remove(&sub);
                    }
                    all.retain(|one| one.as_object().is_none_or(|one| !one.is_empty()));
                }
                _ => {}
            }
            return Ok(());
        }
        let value = coerced(
            at.known_sub(),
            value.cloned().unwrap_or_default(),
            self.strict,
        )?;
        let Some(value) = value else { return Ok(()) };
        match object.get_mut(name) {
            Some(Value::Object(there)) => {
                let sub = spelt(there, sub);
                there.insert(sub, value);
            }
            Some(Value::Array(all)) if !all.is_empty() => {
                self.pay(all.len())?;
                for one in all.iter_mut().filter_map(Value::as_object_mut) {
                    let sub = spelt(one, sub);
                    one.insert(sub, value.clone());
                }
            }
            _ => {
                let one = Value::Object(Object::from_iter([(sub.to_owned(), value)]));
                let several = at.known.is_some_and(|known| known.multi);
                let made = if several {
                    Value::Array(vec![one])
                } else {
                    one
                };
                object.insert(name.to_owned(), made);
            }
        }
        Ok(())
    }

    /// Some of several values.
    fn among(
        &mut self,
        act: Act,
        at: &At,
        value: Option<&Value>,
        object: &mut Object,
        name: &str,
    ) -> Result<(), ScimError> {
        let Some(filter) = &at.filter else {
            return Ok(());
        };
        let attr = at.compared();
        if let Some(one @ Value::Object(_)) = object.get(name) {
            // One value is a list of one.
            let one = one.clone();
            object.insert(name.to_owned(), Value::Array(vec![one]));
        }
        let mut all = match object.remove(name) {
            Some(Value::Array(all)) => all,
            Some(simple) => vec![simple],
            None => Vec::new(),
        };
        self.pay(all.len())?;
        let meant: Vec<bool> = (all.iter())
            .map(|one| judge::element(filter, &attr, one))
            .collect();
        let done = match act {
            Act::Remove => {
                remove_meant(&mut all, &meant, at.sub.as_deref());
                Ok(())
            }
            Act::Add | Act::Replace => self.write_meant(act, at, filter, value, &mut all, &meant),
        };
        let is_members = at.is_members(self.kind);
        if !all.is_empty() || is_members {
            object.insert(name.to_owned(), Value::Array(all));
        }
        done
    }

    fn write_meant(
        &self,
        act: Act,
        at: &At,
        filter: &ValFilter,
        value: Option<&Value>,
        all: &mut Vec<Value>,
        meant: &[bool],
    ) -> Result<(), ScimError> {
        let value = value.cloned().unwrap_or_default();
        let value = match &at.sub {
            Some(_) => coerced(at.known_sub(), value, self.strict)?,
            // One value, in the form of one.
            None => match coerced(at.known, Value::Array(vec![value]), self.strict)? {
                Some(Value::Array(mut one)) => one.pop(),
                other => other,
            },
        };
        let Some(value) = value else { return Ok(()) };
        if !meant.contains(&true) {
            if self.strict {
                let detail = "No value passes the path's filter.";
                return Err(ScimError::bad(ScimType::NoTarget, detail));
            }
            // Entra means: make it so. What the filter says of the value is true of it then.
            let mut one = Object::new();
            says(filter, &mut one);
            match (&at.sub, value) {
                (Some(sub), value) => {
                    one.insert(sub.clone(), value);
                }
                (None, Value::Object(more)) => one.extend(more),
                (None, _) => return Err(invalid("One value of a list is an object.")),
            }
            all.push(Value::Object(one));
            let new = all.len() - 1;
            only_primary(all, new);
            return Ok(());
        }
        for at_index in (0..all.len()).filter(|at| meant.get(*at) == Some(&true)) {
            let Some(one) = all.get_mut(at_index) else {
                continue;
            };
            match (&at.sub, one, &value) {
                (Some(sub), Value::Object(there), value) => {
                    let sub = spelt(there, sub);
                    there.insert(sub, value.clone());
                }
                (None, Value::Object(there), Value::Object(more)) => {
                    if act == Act::Replace {
                        there.clear();
                    }
                    for (sub, value) in more {
                        let sub = spelt(there, sub);
                        there.insert(sub, value.clone());
                    }
                }
                (None, one, value) => *one = value.clone(),
                (Some(_), ..) => return Err(invalid("The value has no parts.")),
            }
            only_primary(all, at_index);
        }
        Ok(())
    }

    fn pay(&mut self, values: usize) -> Result<(), ScimError> {
        match self.left.checked_sub(values + 1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ScimError::too_large(
                "The operations look at too many values together: send fewer at once.",
            )),
        }
    }
}

/// The spelling that a name has in an object, or its own.
fn spelt(object: &Object, name: &str) -> String {
    match object.contains_key(name) {
        true => name.to_owned(),
        false => {
            let mut keys = object.keys();
            let found = keys.find(|key| key.eq_ignore_ascii_case(name));
            found.map_or(name, String::as_str).to_owned()
        }
    }
}

/// What makes a value of a list the same as another: a member's id, else all of it.
fn key_of(value: &Value, members: bool) -> String {
    if members {
        let id = match value {
            Value::Object(all) => member(all, "value").and_then(Value::as_str),
            Value::String(id) => Some(id.as_str()),
            _ => None,
        };
        if let Some(id) = id {
            return id.to_owned();
        }
    }
    value.to_string()
}

/// The text of a value that says nothing else.
fn only_value(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(all) if all.len() == 1 => member(all, "value").and_then(Value::as_str),
        _ => None,
    }
}

/// Adds what is not there yet.
fn join(there: &mut Vec<Value>, more: Vec<Value>, members: bool) {
    let mut keys: HashSet<String> = there.iter().map(|one| key_of(one, members)).collect();
    for one in more {
        if keys.insert(key_of(&one, members)) {
            there.push(one);
            let new = there.len() - 1;
            only_primary(there, new);
        }
    }
}

/// There is one primary value: the one that became it last (RFC 7644 §3.5.2).
fn only_primary(all: &mut [Value], new: usize) {
    let primary = |one: &Value| one.get("primary") == Some(&Value::Bool(true));
    if !all.get(new).is_some_and(primary) {
        return;
    }
    for (at, one) in all.iter_mut().enumerate() {
        if at != new && primary(one) {
            one["primary"] = Value::Bool(false);
        }
    }
}

fn remove_meant(all: &mut Vec<Value>, meant: &[bool], sub: Option<&str>) {
    let mut at = 0;
    all.retain_mut(|one| {
        let is_meant = meant.get(at) == Some(&true);
        at += 1;
        match (is_meant, sub, one) {
            (false, ..) => true,
            (true, None, _) => false,
            (true, Some(sub), Value::Object(there)) => {
                let sub = spelt(there, sub);
                there.remove(&sub);
                !there.is_empty()
            }
            (true, Some(_), _) => true,
        }
    });
}

/// What a filter says that a value is.
fn says(filter: &ValFilter, one: &mut Object) {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, value)) => {
            let value = match value {
                CompValue::True => Value::Bool(true),
                CompValue::False => Value::Bool(false),
                CompValue::Number(number) => Value::Number(number.clone()),
                CompValue::Str(text) => Value::String(text.clone()),
                CompValue::Null => return,
            };
            one.insert(path.name.clone(), value);
        }
        ValFilter::And(all) => all.iter().for_each(|part| says(part, one)),
        ValFilter::Attr(_) | ValFilter::Not(_) | ValFilter::Or(_) => {}
    }
}

fn invalid(detail: &'static str) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, detail)
}
