//! The body of an OAuth request: `application/x-www-form-urlencoded`, bounded, each parameter once
//! (RFC 6749 §3.2). Nothing is ever read from the query.

use super::error::{Refused, Word};
use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::error::Code;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use std::fmt;
use std::sync::Arc;

/// Longest body in bytes: room for the longest assertion, encoded.
const LONGEST: usize = 128 * 1024;
/// Most parameters.
const MOST: usize = 32;

/// The parameters of a request, in their order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a parameter; an empty one counts as absent (RFC 6749 §3.1).
    ///
    /// # Errors
    /// `invalid_request` when it is there twice.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut all = self.all(name);
        let first = all.next();
        match all.next() {
            Some(_) => Err(Refused::new(
                Word::InvalidRequest,
                "A parameter is there twice.",
            )),
            None => Ok(first),
        }
    }

    /// As [`Self::one`], of one that must be there.
    ///
    /// # Errors
    /// `invalid_request`, with `missing` as its description.
    pub(super) fn must(&self, name: &str, missing: &'static str) -> Result<&str, Refused> {
        let found = self.one(name)?;
        found.ok_or_else(|| Refused::new(Word::InvalidRequest, missing))
    }

    /// Every value of a parameter that may be there several times.
    pub(super) fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut parameters = Vec::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if parameters.len() == MOST {
                return Err(Refused::new(
                    Word::InvalidRequest,
                    "There are too many parameters.",
                ));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }
}

/// Names only: values are tokens (T34).
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(n, _)| n))
            .finish()
    }
}

impl FromRequest<Arc<Api>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Response> {
        if !is_form(request.headers()) {
            let problem = Problem::new(Code::ApiMediaType, "no form");
            let detail = "The body must be application/x-www-form-urlencoded.";
            return Err(problem.detail(detail).into_response());
        }
        let bytes = Bytes::from_request(request, api)
            .await
            .map_err(IntoResponse::into_response)?;
        if bytes.len() > LONGEST {
            return Err(Problem::from(Code::ApiTooLarge).into_response());
        }
        Self::read(&bytes).map_err(IntoResponse::into_response)
    }
}

/// Exactly one content type, whatever its parameters.
fn is_form(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let essence = line.as_bytes().split(|b| *b == b';').next();
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_parameter_is_there_once_and_an_empty_one_is_not_there() {
        let read = form("a=1&b=&c=x%20y+z&a%3D=2");
        assert_eq!(read.one("a").unwrap(), Some("1"));
        assert_eq!(read.one("b").unwrap(), None);
        assert_eq!(read.one("c").unwrap(), Some("x y z"));
        assert!(form("a=1&a=1").one("a").is_err());
        assert!(form("a=1&a=2").one("a").is_err());
        assert_eq!(form("a=1&a=").one("a").unwrap(), Some("1"));
        assert_eq!(form("a=1&b=2&a=3").all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert!(form("").must("a", "missing").is_err());
    }

    #[test]
    fn there_are_so_many_parameters_and_no_more() {
        assert!(Form::read("a=1&".repeat(MOST).as_bytes()).is_ok());
        assert!(Form::read("a=1&".repeat(MOST + 1).as_bytes()).is_err());
    }

    #[test]
    fn only_a_form_is_a_form() {
        let is = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_TYPE, line.parse().unwrap());
            }
            is_form(&headers)
        };
        assert!(is(&["application/x-www-form-urlencoded"]));
        assert!(is(&["Application/X-WWW-Form-Urlencoded; charset=UTF-8"]));
        for not in [
            &[][..],
            &["application/json"],
            &["application/x-www-form-urlencoded-x"],
            &["text/plain, application/x-www-form-urlencoded"],
            &["application/x-www-form-urlencoded", "text/plain"],
        ] {
            assert!(!is(not), "{not:?}");
        }
    }
}
