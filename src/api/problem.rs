//! [`Problem`]: how an endpoint says no (RFC 9457). The document is written by `finish`, which
//! knows the request's id; here is what goes in.

use crate::error::{Code, Refusal};
use crate::identity::orders::OrderError;
use crate::store::StoreError;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// A refusal on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    refusal: Refusal,
    detail: Option<Cow<'static, str>>,
    challenge: Option<&'static str>,
}

impl Problem {
    /// A problem; `reason` is for the log alone, and never a secret.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        Refusal::new(code, reason).into()
    }

    /// Tells the caller more than the code's title: only what it said itself, or may know.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.with(|inner| inner.detail = Some(detail.into()))
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.with(|inner| inner.refusal.retry_after = Some(wait))
    }

    /// Says how to authenticate (RFC 6750 §3).
    #[must_use]
    pub(super) fn challenge(self, challenge: &'static str) -> Self {
        self.with(|inner| inner.challenge = Some(challenge))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// What it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.refusal.code
    }

    /// What the caller is told beside the code's title.
    pub(super) fn told(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Why, for the log.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.refusal.reason
    }

    /// The document.
    pub(super) fn document(&self, request_id: &str) -> String {
        let code = self.code();
        let document = Document {
            kind: format!("urn:auth-manager:error:{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            code: code.as_str(),
            instance: format!("urn:request:{request_id}"),
            detail: self.0.detail.as_deref(),
        };
        // Texts and a number: nothing that JSON can't hold.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

/// A refusal as it is sent (RFC 9457 §3).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// `urn:auth-manager:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What it is, in a sentence.
    title: &'a str,
    /// The status once more.
    status: u16,
    /// What it is, in a word that never changes its meaning.
    code: &'a str,
    /// The request, as it is named in the log.
    instance: String,
    /// What exactly is wrong, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'a str>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(Arc::new(Inner {
            refusal,
            detail: None,
            challenge: None,
        }))
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Refusal::from(code).into()
    }
}

/// For `?`: what became of an order.
impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let said = error.to_string();
        match error {
            OrderError::Store(error) => error.into(),
            OrderError::Changed => Self::new(Code::ApiPrecondition, said),
            OrderError::NoApp(_) => Self::new(Code::ApiInvalid, said.clone()).detail(said),
            // That the app's side is in the way is no lack of the caller's rights.
            OrderError::Refused(refusal) if refusal.code.status().is_client_error() => {
                let detail = format!("{}: {}", refusal.code.as_str(), refusal.reason);
                Self::new(Code::ApiConflict, said).detail(detail)
            }
            OrderError::Refused(refusal) => refusal.into(),
            OrderError::AdoptsNone(_)
            | OrderError::Held(_)
            | OrderError::Taken
            | OrderError::HasAnother(_)
            | OrderError::Denied(_)
            | OrderError::Disabled => Self::new(Code::ApiConflict, said.clone()).detail(said),
        }
    }
}

/// For `?`: the caller learns that the store is away, the log why.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.0.refusal.retry_after {
            // Rounded up: who comes back at the second we name must be served.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(self);
        response
    }
}
