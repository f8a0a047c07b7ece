//! A page of a list: at most so many entries, and where to go on.

use super::answer::{self, Done};
use super::cursor;
use crate::api::problem::Problem;
use crate::error::Code;
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

/// Entries of a page unless it is said.
const USUAL: u32 = 50;
/// Most entries of a page.
const MOST: u32 = 200;

/// `limit` of a query.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(transparent)]
pub(in crate::api) struct Limit(Option<u32>);

impl Limit {
    /// Entries of the page.
    ///
    /// # Errors
    /// When it is 0 or too many.
    pub(in crate::api) fn get(self) -> Result<usize, Problem> {
        match self.0.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit as usize),
            _ => Err(Problem::new(Code::ApiMalformed, "a limit out of range")
                .detail(format!("limit must be 1 to {MOST}."))),
        }
    }
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Page<T> {
    /// The entries.
    pub(in crate::api) items: Vec<T>,
    /// The next page, if there is one: path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) next: Option<String>,
}

/// Answers with at most `limit` of `found`, which holds one more when there is a next page; `cursor`
/// is the place behind an entry.
pub(in crate::api) fn paged<F, T: Serialize>(
    (uri, headers): (&Uri, &HeaderMap),
    limit: usize,
    mut found: Vec<F>,
    cursor: impl Fn(&F) -> String,
    show: impl Fn(F) -> T,
) -> Response {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| next(uri, &cursor(last)));
    // Every byte of it is percent-encoded or ours: nothing can break the line (T39).
    let link = next
        .as_ref()
        .and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
    let page = Page {
        items: found.into_iter().map(show).collect(),
        next,
    };
    let done = Done::new(StatusCode::OK, &page).tagged();
    let mut response = answer::conditional(done, headers).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// The same of a list that is read whole and stays what it is: an entry's number in it is its place.
/// `keep` says which entries are asked for; `filter` is the question, and which list it is.
///
/// # Errors
/// When the cursor is of another question or list.
pub(in crate::api) fn paged_list<T: Serialize>(
    asked: (&Uri, &HeaderMap),
    limit: usize,
    (list, keep): (Vec<T>, impl Fn(&T) -> bool),
    (cursor, filter): (Option<&str>, &str),
) -> Result<Response, Problem> {
    let after: i64 = cursor::after(cursor, filter)?.unwrap_or_default();
    let behind = (1_i64..)
        .zip(list)
        .filter(|(number, entry)| *number > after && keep(entry));
    let found = behind.take(limit + 1).collect();
    let place = |(number, _): &(i64, T)| cursor::behind(number, filter);
    Ok(paged(asked, limit, found, place, |(_, entry)| entry))
}

/// The same question with another cursor.
fn next(uri: &Uri, cursor: &str) -> String {
    let asked = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked.filter(|(name, _)| name != "cursor") {
        query.append_pair(&name, &value);
    }
    query.append_pair("cursor", cursor);
    format!("{}?{}", uri.path(), query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_same_question_from_another_place() {
        let uri: Uri = "/api/v1/users?search=a%0d%0a%22b&cursor=old&limit=2"
            .parse()
            .unwrap();
        assert_eq!(
            next(&uri, "new"),
            "/api/v1/users?search=a%0D%0A%22b&limit=2&cursor=new"
        );
    }

    #[test]
    fn a_page_is_bounded() {
        assert_eq!(Limit(None).get().unwrap(), 50);
        assert_eq!(Limit(Some(200)).get().unwrap(), 200);
        assert!(Limit(Some(0)).get().is_err() && Limit(Some(201)).get().is_err());
    }
}
