//! What comes in: bodies, and what they are conditional on.

use super::error::{ScimError, ScimType};
use super::resource::Object;
use super::write::Matches;
use crate::config::ScimConfig;
use crate::error::Code;
use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;

/// Longest list of entity tags, in bytes.
const LONGEST: usize = 4096;

/// A body that is an object.
///
/// # Errors
/// 413 when it is longer than the connection allows, 415 when it is no JSON by its own account,
/// `invalidSyntax` when it is none.
pub(super) async fn object(
    connection: &ScimConfig,
    headers: &HeaderMap,
    body: Body,
) -> Result<Object, ScimError> {
    if !is_json(headers) {
        let detail = "The body must be application/scim+json or application/json.";
        return Err(ScimError::new(Code::ApiMediaType, None, detail));
    }
    let most = connection.body;
    let bytes = axum::body::to_bytes(body, most).await;
    let bytes = bytes.map_err(|_| {
        ScimError::too_large(format!(
            "The body has more than {most} bytes, or broke off."
        ))
    })?;
    // serde_json nests no deeper than 128.
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(ScimError::bad(
            ScimType::InvalidSyntax,
            "The body is no JSON object.",
        )),
    }
}

/// Some send no type at all.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let text = value.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    ["application/scim+json", "application/json", "text/json"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind))
}

/// What `If-Match` demands. What can't be read demands what is never so.
pub(super) fn matches(headers: &HeaderMap) -> Matches {
    match tags(headers, &IF_MATCH) {
        None => Matches::Anything,
        Some(tags) if tags.iter().any(|tag| tag == "*") => Matches::Anything,
        Some(tags) => Matches::Versions(tags),
    }
}

/// Whether the client has this version already.
pub(super) fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let known = tags(headers, &IF_NONE_MATCH).unwrap_or_default();
    known
        .iter()
        .any(|known| known == "*" || bare(known) == bare(tag))
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str().unwrap_or_default();
        let line = if line.len() > LONGEST { "" } else { line };
        all.extend(line.split(',').map(|tag| tag.trim().to_owned()));
    }
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn json_comes_under_three_names_or_none() {
        assert!(is_json(&HeaderMap::new()));
        for good in [
            "application/scim+json",
            "Application/JSON; charset=utf-8",
            "text/json",
        ] {
            assert!(is_json(&with(CONTENT_TYPE, good)), "{good}");
        }
        for bad in ["text/html", "application/xml", "multipart/form-data", ""] {
            assert!(!is_json(&with(CONTENT_TYPE, bad)), "{bad}");
        }
    }

    #[test]
    fn conditions_are_lists_of_weak_tags() {
        assert_eq!(matches(&HeaderMap::new()), Matches::Anything);
        assert_eq!(matches(&with(IF_MATCH, "*")), Matches::Anything);
        let several = Matches::Versions(vec!["W/\"1\"".into(), "\"2\"".into()]);
        assert_eq!(matches(&with(IF_MATCH, "W/\"1\", \"2\"")), several);
        // Not a condition that always holds.
        assert_eq!(
            matches(&with(IF_MATCH, "")),
            Matches::Versions(vec![String::new()])
        );
        assert!(has_already(&with(IF_NONE_MATCH, "\"3\""), "W/\"3\""));
        assert!(!has_already(&with(IF_NONE_MATCH, "\"3\""), "W/\"4\""));
    }
}
