//! Filters (RFC 7644 §3.4.2.2): spelt as the parser wants it ([`spelling`]), read by `scim_v2`'s grammar
//! within our bounds, then either compiled
//! to a condition for the store ([`compile`]) or judged in memory ([`judge`]).
//!
//! What the RFC leaves open is decided once, and both follow it:
//! - `ne` is *not `eq`*: also true of what is not there, and of several values only when none is it.
//! - An attribute without a sub-attribute means its `value`; `pr` means any of it, and an empty text
//!   is not present.
//! - Texts are ordered byte by byte (of the folded text where case does not count); flags have no
//!   order, and numbers no beginning.
//! - What compares with another type of value is not equal, and in no order, to it.
//! - Of memberships only ids can be asked for: `members.value`, `groups.value`.

pub mod compile;
pub mod judge;
mod spelling;

use super::error::{ScimError, ScimType};
use scim_v2::filter::{AttrExp, Filter, PatchPath, ValFilter};
use spelling::{gathered, spaced};

/// Longest filter and path, in bytes.
pub const LONGEST: usize = 8192;
/// Most comparisons of a filter: each is a look into the index.
pub const MOST: usize = 100;

/// Reads a filter.
///
/// # Errors
/// `invalidFilter` when it can't be read or is too long, too deep or has too many terms.
pub fn parse(text: &str) -> Result<Filter, ScimError> {
    if text.len() > LONGEST {
        let detail = format!("The filter has more than {LONGEST} bytes.");
        return Err(ScimError::bad(ScimType::InvalidFilter, detail));
    }
    let filter: Filter = gathered(&spaced(text)).parse().map_err(|_| {
        let detail = "The filter can't be read (RFC 7644 §3.4.2.2), or is nested too deeply.";
        ScimError::bad(ScimType::InvalidFilter, detail)
    })?;
    if terms(&filter) > MOST {
        let detail = format!("The filter has more than {MOST} comparisons.");
        return Err(ScimError::bad(ScimType::InvalidFilter, detail));
    }
    Ok(filter)
}

/// Reads a path of a PATCH operation.
///
/// # Errors
/// `invalidPath`, likewise.
pub fn parse_path(text: &str) -> Result<PatchPath, ScimError> {
    let wrong = |detail: String| ScimError::bad(ScimType::InvalidPath, detail);
    if text.len() > LONGEST {
        return Err(wrong(format!("A path has more than {LONGEST} bytes.")));
    }
    let path: PatchPath = spaced(text).parse().map_err(|_| {
        let start: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
        wrong(format!(
            "The path {start:?} can't be read (RFC 7644 §3.5.2)."
        ))
    })?;
    let many = match &path {
        PatchPath::Value(value) => val_terms(&value.filter) > MOST,
        PatchPath::Attr(_) => false,
    };
    match many {
        true => Err(wrong(format!("A path has more than {MOST} comparisons."))),
        false => Ok(path),
    }
}

fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::Attr(_) => 1,
        Filter::ValuePath(path) => 1 + val_terms(&path.filter),
        Filter::Not(inner) => terms(inner),
        Filter::And(all) | Filter::Or(all) => all.iter().map(terms).sum(),
    }
}

fn val_terms(filter: &ValFilter) -> usize {
    match filter {
        ValFilter::Attr(AttrExp::Present(_) | AttrExp::Comparison(..)) => 1,
        ValFilter::Not(inner) => val_terms(inner),
        ValFilter::And(all) | ValFilter::Or(all) => all.iter().map(val_terms).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_needs_no_blank_and_texts_keep_theirs() {
        for text in [
            "not(a eq 1)",
            "NOT (a pr) and not(b pr)",
            r#"title eq "not(x)" and not(title eq "\"not(y)")"#,
        ] {
            parse(text).unwrap();
        }
        let Filter::Attr(AttrExp::Comparison(_, _, value)) =
            parse(r#"title eq "if not(x)""#).unwrap()
        else {
            panic!("another shape");
        };
        assert_eq!(value.to_string(), r#""if not(x)""#);
        assert!(parse("cannot(a pr)").is_err());
    }

    #[test]
    fn t31_a_filter_is_bounded_in_length_depth_and_terms() {
        let refused = |text: &str| {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), Some(ScimType::InvalidFilter));
        };
        refused(&format!("title eq \"{}\"", "x".repeat(LONGEST)));
        refused(&format!("{}a pr{}", "(".repeat(100), ")".repeat(100)));
        refused(&format!("{}a pr{}", "not (".repeat(100), ")".repeat(100)));
        let many = vec!["a pr"; MOST + 1].join(" or ");
        refused(&many);
        assert!(parse(&vec!["a pr"; MOST].join(" or ")).is_ok());
        let many = vec!["a pr"; MOST + 1].join(" or ");
        assert!(parse_path(&format!("emails[{many}].value")).is_err());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "userName",
            "userName eq",
            "eq \"x\"",
            "userName eq x",
            "a == 1",
            "a pr)",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
