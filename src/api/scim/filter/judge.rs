//! A filter judged on JSON in memory: in brackets of PATCH paths, and as the plain meaning that what
//! the store finds is held against.

use crate::api::scim::schema::{self, fold};
use crate::store::{ScimKind, ScimOrder};
use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, ValFilter};
use serde_json::Value;

/// Whether a resource, shown in full, passes. `kind` says whose core schema a URN may name.
#[must_use]
pub fn resource(filter: &Filter, kind: ScimKind, shown: &Value) -> bool {
    match filter {
        Filter::And(all) => all.iter().all(|one| resource(one, kind, shown)),
        Filter::Or(any) => any.iter().any(|one| resource(one, kind, shown)),
        Filter::Not(inner) => !resource(inner, kind, shown),
        Filter::ValuePath(path) => {
            let attr = attr_of(&path.attr, kind);
            let Some(value) = attribute(shown, &path.attr, kind) else {
                return false;
            };
            elements(value).any(|one| element(&path.filter, &attr, one))
        }
        Filter::Attr(expression) => {
            let path = match expression {
                AttrExp::Present(path) | AttrExp::Comparison(path, ..) => path,
            };
            let attr = attr_of(path, kind);
            let value = attribute(shown, path, kind);
            if attr == "meta" && matches!(expression, AttrExp::Comparison(..)) {
                return meta(expression, value);
            }
            expression_holds(expression, &attr, path.sub_attr.as_deref(), value)
        }
    }
}

/// Whether one value of a multi-valued attribute passes. `attr` is lower case, an extension's with
/// its URN.
#[must_use]
pub fn element(filter: &ValFilter, attr: &str, value: &Value) -> bool {
    match filter {
        ValFilter::And(all) => all.iter().all(|one| element(one, attr, value)),
        ValFilter::Or(any) => any.iter().any(|one| element(one, attr, value)),
        ValFilter::Not(inner) => !element(inner, attr, value),
        ValFilter::Attr(expression) => {
            let path = match expression {
                AttrExp::Present(path) | AttrExp::Comparison(path, ..) => path,
            };
            let name = path.name.to_ascii_lowercase();
            if value.is_object() {
                return expression_holds(expression, attr, Some(&name), Some(value));
            }
            // A simple value is its own `value`, and has no sub-attribute.
            let value = (name == "value").then_some(value);
            let found = value.into_iter().collect::<Vec<_>>();
            holds(expression, attr, "value", &found)
        }
    }
}

fn attr_of(path: &AttrPath, kind: ScimKind) -> String {
    let name = path.name.to_ascii_lowercase();
    match &path.uri {
        Some(uri) if !schema::is_core(kind, uri) => {
            format!("{}:{name}", uri.to_ascii_lowercase())
        }
        _ => name,
    }
}

fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let members = object.as_object()?;
    let mut all = members.iter();
    all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn attribute<'v>(shown: &'v Value, path: &AttrPath, kind: ScimKind) -> Option<&'v Value> {
    match &path.uri {
        Some(uri) if !schema::is_core(kind, uri) => member(member(shown, uri)?, &path.name),
        _ => member(shown, &path.name),
    }
}

/// The values of an attribute: itself, or each of a list.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.as_array().map(Vec::as_slice);
    list.unwrap_or(std::slice::from_ref(value)).iter()
}

fn expression_holds(
    expression: &AttrExp,
    attr: &str,
    sub: Option<&str>,
    value: Option<&Value>,
) -> bool {
    let mut found = Vec::new();
    // `eq null` is not `pr`: it is of the whole attribute, too.
    let whole = matches!(
        expression,
        AttrExp::Present(_) | AttrExp::Comparison(_, _, CompValue::Null)
    );
    let listed = value.is_some_and(Value::is_array);
    for one in value.into_iter().flat_map(elements) {
        match (sub, one) {
            // A simple value of a list is its own `value`.
            (Some("value"), simple) if listed && !simple.is_object() => found.push(simple),
            (Some(sub), Value::Object(_)) => {
                found.extend(member(one, sub).into_iter().flat_map(elements));
            }
            (Some(_), _) => {}
            (None, Value::Object(members)) if whole => {
                found.extend(members.values().flat_map(elements));
            }
            (None, Value::Object(_)) => {
                found.extend(member(one, "value").into_iter().flat_map(elements));
            }
            (None, simple) => found.push(simple),
        }
    }
    found.retain(|value| !value.is_object() && !value.is_array() && !value.is_null());
    holds(expression, attr, sub.unwrap_or_default(), &found)
}

fn holds(expression: &AttrExp, attr: &str, sub: &str, found: &[&Value]) -> bool {
    let AttrExp::Comparison(_, op, wanted) = expression else {
        return found.iter().any(|value| value.as_str() != Some(""));
    };
    match op {
        CompareOp::Ne => {
            !found.iter().any(|value| same(value, wanted, attr, sub)) && *wanted != CompValue::Null
                || *wanted == CompValue::Null && found.iter().any(|v| v.as_str() != Some(""))
        }
        CompareOp::Eq if *wanted == CompValue::Null => {
            !found.iter().any(|value| value.as_str() != Some(""))
        }
        CompareOp::Eq => found.iter().any(|value| same(value, wanted, attr, sub)),
        _ => found
            .iter()
            .any(|value| ordered(value, op, wanted, attr, sub)),
    }
}

fn text_of(text: &str, attr: &str, sub: &str) -> String {
    match schema::is_exact(attr, sub) {
        true => text.to_owned(),
        false => fold(text),
    }
}

fn same(value: &Value, wanted: &CompValue, attr: &str, sub: &str) -> bool {
    let sub_name = (!sub.is_empty()).then_some(sub);
    match (value, wanted) {
        (Value::Bool(flag), CompValue::True) => *flag,
        (Value::Bool(flag), CompValue::False) => !*flag,
        (Value::Bool(flag), CompValue::Str(text)) if schema::is_flag(attr, sub_name) => {
            text.eq_ignore_ascii_case(if *flag { "true" } else { "false" })
        }
        (Value::Number(a), CompValue::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), CompValue::Str(b)) => text_of(a, attr, sub) == text_of(b, attr, sub),
        _ => false,
    }
}

fn ordered(value: &Value, op: &CompareOp, wanted: &CompValue, attr: &str, sub: &str) -> bool {
    match (value, wanted) {
        (Value::String(a), CompValue::Str(b)) => {
            let (a, b) = (text_of(a, attr, sub), text_of(b, attr, sub));
            match op {
                CompareOp::Co => a.contains(&b),
                CompareOp::Sw => a.starts_with(&b),
                CompareOp::Ew => a.ends_with(&b),
                _ => in_order(op).is_some_and(|order| order.holds(a.as_str(), b.as_str())),
            }
        }
        (Value::Number(a), CompValue::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => in_order(op).is_some_and(|order| order.holds(&a, &b)),
            _ => false,
        },
        _ => false,
    }
}

fn in_order(op: &CompareOp) -> Option<ScimOrder> {
    match op {
        CompareOp::Eq => Some(ScimOrder::Is),
        CompareOp::Gt => Some(ScimOrder::Greater),
        CompareOp::Ge => Some(ScimOrder::NotLess),
        CompareOp::Lt => Some(ScimOrder::Less),
        CompareOp::Le => Some(ScimOrder::NotGreater),
        CompareOp::Ne | CompareOp::Co | CompareOp::Sw | CompareOp::Ew => None,
    }
}

/// Times of `meta` compare as times.
fn meta(expression: &AttrExp, value: Option<&Value>) -> bool {
    let AttrExp::Comparison(path, op, wanted) = expression else {
        return value.is_some();
    };
    let sub = path.sub_attr.as_deref().unwrap_or_default();
    let is_time = sub.eq_ignore_ascii_case("created") || sub.eq_ignore_ascii_case("lastModified");
    if !is_time {
        return expression_holds(expression, "meta", Some(sub), value);
    }
    let found = value
        .and_then(|meta| member(meta, sub))
        .and_then(Value::as_str)
        .and_then(super::compile::nanoseconds);
    let CompValue::Str(text) = wanted else {
        return false;
    };
    match (found, super::compile::nanoseconds(text), op) {
        (Some(a), Some(b), CompareOp::Ne) => a != b,
        (Some(a), Some(b), op) => in_order(op).is_some_and(|order| order.holds(&a, &b)),
        _ => false,
    }
}
