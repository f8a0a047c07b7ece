//! A filter as a condition on the store's index: attributes resolved, values typed and folded. Names
//! and values go in as data, whatever they say.

use crate::api::scim::error::{ScimError, ScimType};
use crate::api::scim::schema::{self, fold};
use crate::store::{
    ScimCompare, ScimCondition, ScimElement, ScimKind, ScimOrder, ScimPlace, ScimSort, ScimTime,
    ordered,
};
use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, ValFilter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where a path leads.
enum Place {
    Values(ScimPlace),
    Time(ScimTime),
}

/// Holds what is asked by one kind's URN to resources of that kind: others don't have it.
fn of_kind(path: &AttrPath, kinds: &[ScimKind], condition: ScimCondition) -> ScimCondition {
    let named = path.uri.as_deref();
    let kind = named.and_then(|uri| kinds.iter().find(|kind| schema::is_core(**kind, uri)));
    match kind {
        Some(kind) if kinds.len() > 1 => {
            let word = fold(schema::of_kind(*kind).name);
            let place = ScimPlace::Index("meta".into(), Some("resourcetype".into()));
            let is = ScimCondition::Value(place, ScimCompare::Text(ScimOrder::Is, word));
            ScimCondition::And(vec![is, condition])
        }
        _ => condition,
    }
}

/// What must hold of a resource of one of these kinds.
///
/// # Errors
/// `invalidFilter` when it asks for what can't be compared so.
pub fn condition(filter: &Filter, kinds: &[ScimKind]) -> Result<ScimCondition, ScimError> {
    match filter {
        Filter::And(all) => {
            let all: Result<_, _> = all.iter().map(|one| condition(one, kinds)).collect();
            Ok(ScimCondition::And(all?))
        }
        Filter::Or(any) => {
            let any: Result<_, _> = any.iter().map(|one| condition(one, kinds)).collect();
            Ok(ScimCondition::Or(any?))
        }
        Filter::Not(inner) => Ok(not(condition(inner, kinds)?)),
        Filter::ValuePath(path) => {
            if path.attr.sub_attr.is_some() {
                return Err(wrong(
                    "Brackets stand behind an attribute, not a sub-attribute.",
                ));
            }
            match place(&path.attr, kinds)? {
                Place::Values(place) => {
                    let element = element(&path.filter, &place)?;
                    let condition = ScimCondition::Element(place, element);
                    Ok(of_kind(&path.attr, kinds, condition))
                }
                Place::Time(_) => Err(wrong("A time has no values of its own.")),
            }
        }
        Filter::Attr(AttrExp::Present(path)) => match place(path, kinds)? {
            Place::Values(place) => {
                let condition = ScimCondition::Value(place, ScimCompare::Present);
                Ok(of_kind(path, kinds, condition))
            }
            Place::Time(_) => Ok(ScimCondition::And(Vec::new())),
        },
        Filter::Attr(AttrExp::Comparison(path, op, value)) => match place(path, kinds)? {
            Place::Time(time) => on_time(time, op, value),
            Place::Values(place) => {
                let (attr, sub) = names(&place);
                let (holds, compare) = comparison(op, value, attr, sub)?;
                let condition = of_kind(path, kinds, ScimCondition::Value(place, compare));
                Ok(if holds { condition } else { not(condition) })
            }
        },
    }
}

/// In which order resources come.
///
/// # Errors
/// `invalidPath` when it can't be sorted by.
pub fn sort(by: &str, descending: bool, kinds: &[ScimKind]) -> Result<ScimSort, ScimError> {
    let invalid = |_: ScimError| {
        ScimError::bad(
            ScimType::InvalidPath,
            "sortBy names nothing that can be sorted by.",
        )
    };
    let path = super::parse_path(by).map_err(invalid)?;
    let scim_v2::filter::PatchPath::Attr(path) = path else {
        let detail = "sortBy is an attribute without brackets.";
        return Err(ScimError::bad(ScimType::InvalidPath, detail));
    };
    match place(&path, kinds).map_err(invalid)? {
        Place::Time(time) => Ok(ScimSort::Time { time, descending }),
        Place::Values(ScimPlace::Index(attr, _)) if attr == "id" => {
            Ok(ScimSort::Made { descending })
        }
        Place::Values(ScimPlace::Index(attr, sub)) => Ok(ScimSort::Value {
            attr,
            sub,
            descending,
        }),
        Place::Values(ScimPlace::Members | ScimPlace::Groups) => Err(ScimError::bad(
            ScimType::InvalidPath,
            "Resources can't be sorted by memberships.",
        )),
    }
}

fn place(path: &AttrPath, kinds: &[ScimKind]) -> Result<Place, ScimError> {
    let name = path.name.to_ascii_lowercase();
    let sub = path.sub_attr.as_deref().map(str::to_ascii_lowercase);
    let core = match &path.uri {
        None => true,
        Some(uri) => kinds.iter().any(|kind| schema::is_core(*kind, uri)),
    };
    if let (false, Some(uri)) = (core, &path.uri) {
        let attr = format!("{}:{name}", uri.to_ascii_lowercase());
        return Ok(Place::Values(ScimPlace::Index(attr, sub)));
    }
    let ids_only = sub.as_deref().is_none_or(|sub| sub == "value");
    match (name.as_str(), sub.as_deref()) {
        ("meta", Some("created")) => Ok(Place::Time(ScimTime::Created)),
        ("meta", Some("lastmodified")) => Ok(Place::Time(ScimTime::Modified)),
        ("meta", Some("resourcetype")) => Ok(Place::Values(ScimPlace::Index("meta".into(), sub))),
        ("meta", _) => Err(wrong(
            "Of meta only created, lastModified and resourceType can be asked for.",
        )),
        ("members" | "groups", _) if !ids_only => {
            Err(wrong("Of memberships only ids can be asked for."))
        }
        ("members", _) => Ok(Place::Values(ScimPlace::Members)),
        ("groups", _) => Ok(Place::Values(ScimPlace::Groups)),
        _ => Ok(Place::Values(ScimPlace::Index(name, sub))),
    }
}

/// Attribute and sub-attribute of a place, as they decide how values compare.
fn names(place: &ScimPlace) -> (&str, Option<&str>) {
    match place {
        ScimPlace::Index(attr, sub) => (attr, sub.as_deref()),
        ScimPlace::Members => ("members", None),
        ScimPlace::Groups => ("groups", None),
    }
}

fn element(filter: &ValFilter, place: &ScimPlace) -> Result<ScimElement, ScimError> {
    match filter {
        ValFilter::And(all) => {
            let all: Result<_, _> = all.iter().map(|one| element(one, place)).collect();
            Ok(ScimElement::And(all?))
        }
        ValFilter::Or(any) => {
            let any: Result<_, _> = any.iter().map(|one| element(one, place)).collect();
            Ok(ScimElement::Or(any?))
        }
        ValFilter::Not(inner) => Ok(ScimElement::Not(Box::new(element(inner, place)?))),
        ValFilter::Attr(AttrExp::Present(path)) => {
            let sub = inner_sub(path, place)?;
            Ok(ScimElement::Value(Some(sub), ScimCompare::Present))
        }
        ValFilter::Attr(AttrExp::Comparison(path, op, value)) => {
            let sub = inner_sub(path, place)?;
            let (holds, compare) = comparison(op, value, names(place).0, Some(&sub))?;
            let found = ScimElement::Value(Some(sub), compare);
            Ok(match holds {
                true => found,
                false => ScimElement::Not(Box::new(found)),
            })
        }
    }
}

/// Inside brackets a name is that of a sub-attribute.
fn inner_sub(path: &AttrPath, place: &ScimPlace) -> Result<String, ScimError> {
    if path.uri.is_some() || path.sub_attr.is_some() {
        return Err(wrong("Inside brackets stand names of sub-attributes."));
    }
    let sub = path.name.to_ascii_lowercase();
    if !matches!(place, ScimPlace::Index(..)) && sub != "value" {
        return Err(wrong("Of memberships only ids can be asked for."));
    }
    Ok(sub)
}

/// How a value compares, and whether that must hold or must not.
fn comparison(
    op: &CompareOp,
    value: &CompValue,
    attr: &str,
    sub: Option<&str>,
) -> Result<(bool, ScimCompare), ScimError> {
    let holds = *op != CompareOp::Ne;
    let flag = match value {
        CompValue::True => Some(true),
        CompValue::False => Some(false),
        // Some send a flag as a text.
        CompValue::Str(text) if schema::is_flag(attr, sub) => {
            text.to_ascii_lowercase().parse().ok()
        }
        _ => None,
    };
    if let Some(flag) = flag {
        return match op {
            CompareOp::Eq | CompareOp::Ne => Ok((holds, ScimCompare::Flag(flag))),
            _ => Err(wrong("A flag is or is not; it has no order and no parts.")),
        };
    }
    match value {
        CompValue::Null => match op {
            CompareOp::Eq => Ok((false, ScimCompare::Present)),
            CompareOp::Ne => Ok((true, ScimCompare::Present)),
            _ => Err(wrong("null only is or is not.")),
        },
        CompValue::Number(number) => {
            let number = number.as_f64().and_then(ordered);
            let number = number.ok_or_else(|| wrong("A number is out of range."))?;
            match order(op) {
                Some(order) => Ok((holds, ScimCompare::Number(order, number))),
                None => Err(wrong("A number has no parts.")),
            }
        }
        CompValue::Str(text) => {
            let text = match schema::is_exact(attr, sub.unwrap_or_default()) {
                true => text.clone(),
                false => fold(text),
            };
            let compare = match (order(op), op) {
                (Some(order), _) => ScimCompare::Text(order, text),
                // In every text there is nothing.
                (None, _) if text.is_empty() => ScimCompare::AnyText,
                (None, CompareOp::Sw) => ScimCompare::Starts(text),
                (None, CompareOp::Ew) => ScimCompare::Ends(text),
                (None, _) => ScimCompare::Contains(text),
            };
            Ok((holds, compare))
        }
        CompValue::True | CompValue::False => Err(wrong("A flag is or is not.")),
    }
}

fn order(op: &CompareOp) -> Option<ScimOrder> {
    match op {
        CompareOp::Eq | CompareOp::Ne => Some(ScimOrder::Is),
        CompareOp::Gt => Some(ScimOrder::Greater),
        CompareOp::Ge => Some(ScimOrder::NotLess),
        CompareOp::Lt => Some(ScimOrder::Less),
        CompareOp::Le => Some(ScimOrder::NotGreater),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => None,
    }
}

fn on_time(time: ScimTime, op: &CompareOp, value: &CompValue) -> Result<ScimCondition, ScimError> {
    let CompValue::Str(text) = value else {
        return Err(wrong("A time compares with a time."));
    };
    let nanoseconds = nanoseconds(text)
        .ok_or_else(|| wrong("A time is written as in RFC 3339: \"2026-11-25T12:00:00Z\"."))?;
    let order = order(op).ok_or_else(|| wrong("A time has no parts."))?;
    let condition = ScimCondition::Time(time, order, nanoseconds);
    Ok(match op {
        CompareOp::Ne => not(condition),
        _ => condition,
    })
}

/// Since 1970; `None` when it is no time, or one that nothing here can have.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

fn not(condition: ScimCondition) -> ScimCondition {
    ScimCondition::Not(Box::new(condition))
}

fn wrong(detail: &'static str) -> ScimError {
    ScimError::bad(ScimType::InvalidFilter, detail)
}
