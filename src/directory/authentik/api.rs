//! Asking Authentik, and what its refusals mean.

use super::Authentik;
use super::shapes::{Detail, List};
use crate::directory::http::{Answer, printable};
use crate::directory::source::SourceError;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use url::Url;

/// What came of a question: Authentik's own word, even when that is "there is none".
pub(super) enum Said<T> {
    /// This.
    Found(T),
    /// No such object, or none that this token may see: it does not say which.
    None,
}

impl Authentik {
    /// `GET /api/v3/{path}/`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Said<T>, SourceError> {
        let answer = self.ask(path, query).await?;
        match self.judge(&answer) {
            // A token that was renewed a moment ago: asked once more with what the file has now.
            Err(SourceError::Credential(why)) => {
                let again = self.ask(path, query).await?;
                match self.judge(&again) {
                    Err(SourceError::Credential(_)) => Err(SourceError::Credential(why)),
                    Err(other) => Err(other),
                    Ok(said) => read(&again, said),
                }
            }
            Err(other) => Err(other),
            Ok(said) => read(&answer, said),
        }
    }

    /// A page of a list, with where the next one begins.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        page: usize,
    ) -> Result<(List<T>, Option<usize>), SourceError> {
        let (number, size) = (page.to_string(), self.config.page_size.to_string());
        let mut query = query.to_vec();
        query.extend([("page", number.as_str()), ("page_size", size.as_str())]);
        let Said::Found(list) = self.get::<List<T>>(path, &query).await? else {
            // Entries went while the list was being read: what is left is on the pages before.
            if page > 1 {
                return Ok((List::end(), None));
            }
            return Err(SourceError::Unavailable(
                "it has no such list: is `url` its address, and is it 2025.12 or later?".into(),
            ));
        };
        let at = &list.pagination;
        let next = match at.next {
            0.0 => None,
            // Anything else would go round for ever, or leave somebody out.
            next if next == at.current + 1.0 && at.current == page as f64 => Some(page + 1),
            _ => {
                return Err(SourceError::Unavailable(
                    "its pages do not follow each other".into(),
                ));
            }
        };
        Ok((list, next))
    }

    /// Where a path of the API is.
    pub(super) fn address(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Url, SourceError> {
        let mut segments = vec!["api", "v3"];
        segments.extend(path);
        // Its paths end in a slash; without, it redirects.
        segments.push("");
        self.http.url(&segments, query)
    }

    /// The line that says who asks.
    pub(super) fn authorization(&self) -> Result<HeaderValue, SourceError> {
        let token = self.token.get()?;
        let line = format!("Bearer {}", token.expose_secret());
        let mut line = HeaderValue::from_str(&line).map_err(|_| {
            SourceError::Credential("the token holds what no header may".to_owned())
        })?;
        line.set_sensitive(true);
        Ok(line)
    }

    async fn ask(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, SourceError> {
        let (url, line) = (self.address(path, query)?, self.authorization()?);
        self.http
            .send(|client| {
                client
                    .get(url)
                    .header(ACCEPT, "application/json")
                    // Refusals are told apart by their text.
                    .header(ACCEPT_LANGUAGE, "en")
                    .header(AUTHORIZATION, line)
            })
            .await
    }

    /// Whether there is something to read.
    fn judge(&self, answer: &Answer) -> Result<bool, SourceError> {
        let detail = || match answer.parse::<Detail>() {
            Ok(detail) => Ok(printable(&detail.detail, 200)),
            Err(_) => Err(answer.foreign()),
        };
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => match detail()?.as_str() {
                "" => Err(answer.foreign()),
                _ => Ok(false),
            },
            StatusCode::FORBIDDEN => Err(forbidden(&detail()?)),
            StatusCode::BAD_REQUEST => Err(SourceError::Refused(
                "it does not understand the question (400)".into(),
            )),
            // What it could not do looks like 405 without a body (difference 16).
            status if status.is_server_error() || status == StatusCode::METHOD_NOT_ALLOWED => Err(
                SourceError::Unavailable(format!("it answers {}", status.as_u16())),
            ),
            _ => Err(answer.foreign()),
        }
    }
}

impl<T> List<T> {
    /// Nothing more.
    fn end() -> Self {
        Self {
            pagination: super::shapes::Pagination {
                next: 0.0,
                current: 0.0,
                count: 0.0,
            },
            results: Vec::new(),
        }
    }

    /// How many there are in all.
    pub(super) fn total(&self) -> Option<u64> {
        let count = self.pagination.count;
        // Never asked of a list that ended.
        (self.pagination.current > 0.0 && (0.0..=1e15).contains(&count)).then_some(count as u64)
    }
}

fn read<T: DeserializeOwned>(answer: &Answer, found: bool) -> Result<Said<T>, SourceError> {
    match found {
        true => answer.parse().map(Said::Found),
        false => Ok(Said::None),
    }
}

/// A 403 by its text (difference 32).
pub(super) fn forbidden(text: &str) -> SourceError {
    match text {
        "Token invalid/expired" => SourceError::Credential(
            "it is revoked, expired, of another kind than \"api\", or its owner is disabled".into(),
        ),
        "Authentication credentials were not provided." => SourceError::Credential(
            "it did not arrive: does something in between take `Authorization` away?".into(),
        ),
        "You do not have permission to perform this action." => SourceError::Permission(
            "its role lacks a permission, or lost it: README.md, \"The directory\", lists them"
                .into(),
        ),
        other => SourceError::Permission(format!("it answers 403: {other}")),
    }
}
