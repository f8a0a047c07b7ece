//! What a search asks: parameters of a GET, or the body of a POST to `/.search` (RFC 7644 §3.4).
//! Parameters that nobody knows are no mistake: Entra marks its requests with one.

use super::error::{ScimError, ScimType};
use super::filter;
use super::projection::Projection;
use super::resource::{Object, member};
use crate::store::{ScimKind, ScimSearch};
use serde_json::Value;
use url::form_urlencoded;

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    filter: Option<String>,
    sort_by: Option<String>,
    descending: bool,
    start: i64,
    count: Option<i64>,
    /// Which attributes are shown.
    pub(super) projection: Projection,
}

impl Query {
    /// That of a GET.
    ///
    /// # Errors
    /// `invalidValue` when a number is none.
    pub(super) fn of_parameters(text: Option<&str>) -> Result<Self, ScimError> {
        let mut query = Self::default();
        let (mut only, mut without) = (Vec::new(), Vec::new());
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let value = value.into_owned();
            match name.to_ascii_lowercase().as_str() {
                "filter" => query.filter = Some(value),
                "sortby" => query.sort_by = Some(value),
                "sortorder" => query.descending = descending(&value)?,
                "startindex" => query.start = number("startIndex", &value)?,
                "count" => query.count = Some(number("count", &value)?),
                "attributes" => only = list(&value),
                "excludedattributes" => without = list(&value),
                _ => {}
            }
        }
        query.projection = Projection::new(only, without);
        Ok(query)
    }

    /// That of a POST to `/.search`.
    ///
    /// # Errors
    /// `invalidSyntax` or `invalidValue` when it is none.
    pub(super) fn of_body(body: &Object) -> Result<Self, ScimError> {
        let schemas = member(body, "schemas").and_then(Value::as_array);
        let named = |urn: &Value| {
            urn.as_str()
                .is_some_and(|u| u.eq_ignore_ascii_case(REQUEST))
        };
        if schemas.is_some_and(|schemas| !schemas.iter().any(named)) {
            let detail = format!("schemas must name {REQUEST}.");
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        }
        let text = |name: &'static str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name, "a text")),
        };
        let whole = |name: &'static str| match member(body, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(n)) if n.as_i64().is_some() => Ok(n.as_i64()),
            Some(Value::String(text)) => number(name, text).map(Some),
            Some(_) => Err(wrong(name, "a whole number")),
        };
        let list = |name: &'static str| match member(body, name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.split(',').map(str::to_owned).collect()),
            Some(Value::Array(all)) => {
                let texts = all.iter().map(|one| one.as_str().map(str::to_owned));
                texts
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| wrong(name, "a list of texts"))
            }
            Some(_) => Err(wrong(name, "a list of texts")),
        };
        Ok(Self {
            filter: text("filter")?,
            sort_by: text("sortBy")?,
            descending: match text("sortOrder")? {
                Some(order) => descending(&order)?,
                None => false,
            },
            start: whole("startIndex")?.unwrap_or_default(),
            count: whole("count")?,
            projection: Projection::new(list("attributes")?, list("excludedAttributes")?),
        })
    }

    /// Whether a filter was given.
    #[must_use]
    pub(super) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// What the store is asked, at most `page` resources.
    ///
    /// # Errors
    /// `invalidFilter` or `invalidPath`.
    pub(super) fn search(&self, kinds: &[ScimKind], page: u32) -> Result<ScimSearch, ScimError> {
        let condition = match self.filter.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(filter::compile::condition(&filter::parse(text)?, kinds)?),
        };
        let sort = match self.sort_by.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(by) => Some(filter::compile::sort(by, self.descending, kinds)?),
        };
        // Less than nothing is nothing (RFC 7644 §3.4.2.4).
        let count = self.count.map_or(i64::from(page), |count| count.max(0));
        Ok(ScimSearch {
            kinds: kinds.to_vec(),
            condition,
            sort,
            offset: self.start() - 1,
            limit: u32::try_from(count).unwrap_or(page).min(page),
        })
    }

    /// The number of the first resource, from 1.
    #[must_use]
    pub(super) fn start(&self) -> i64 {
        self.start.max(1)
    }
}

/// The schema of such a body.
const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

fn descending(text: &str) -> Result<bool, ScimError> {
    match text.to_ascii_lowercase().as_str() {
        "" | "ascending" => Ok(false),
        "descending" => Ok(true),
        _ => Err(wrong("sortOrder", "ascending or descending")),
    }
}

fn number(name: &'static str, text: &str) -> Result<i64, ScimError> {
    let number = text.trim().parse();
    number.map_err(|_| wrong(name, "a whole number"))
}

fn wrong(name: &'static str, wanted: &'static str) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, format!("{name} must be {wanted}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn search(query: &str) -> ScimSearch {
        let query = Query::of_parameters(Some(query)).unwrap();
        query.search(&[ScimKind::User], 200).unwrap()
    }

    #[test]
    fn pages_are_bounded_whatever_is_asked() {
        assert_eq!(search("").limit, 200);
        assert_eq!(search("count=0").limit, 0);
        assert_eq!(search("count=-5").limit, 0);
        assert_eq!(search("count=7").limit, 7);
        assert_eq!(search("count=99999999999").limit, 200);
        assert_eq!(search("startIndex=-3").offset, 0);
        assert_eq!(search("startIndex=11&aadOptscim062020").offset, 10);
        assert!(Query::of_parameters(Some("count=x")).is_err());
        assert!(Query::of_parameters(Some("sortOrder=sideways")).is_err());
    }

    #[test]
    fn a_body_asks_what_parameters_ask() {
        let body = json!({
            "schemas": [REQUEST], "filter": "userName eq \"x\"", "sortBy": "userName",
            "sortOrder": "descending", "startIndex": 3, "count": 2,
            "attributes": ["userName"], "excludedAttributes": null,
        });
        let body = Query::of_body(body.as_object().unwrap()).unwrap();
        let text = "filter=userName+eq+%22x%22&sortBy=userName&sortOrder=descending&startIndex=3\
                    &count=2&attributes=userName";
        assert_eq!(body, Query::of_parameters(Some(text)).unwrap());
        for wrong in [
            json!({ "schemas": ["urn:other"] }),
            json!({ "count": "many" }),
            json!({ "filter": 1 }),
            json!({ "attributes": [1] }),
        ] {
            assert!(
                Query::of_body(wrong.as_object().unwrap()).is_err(),
                "{wrong}"
            );
        }
    }
}
