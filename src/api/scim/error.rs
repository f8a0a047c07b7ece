//! How SCIM says no (RFC 7644 §3.12): a document of its own, with the status as text. A problem of
//! the api as a whole (no such caller, too often) is said in the same words below `/scim`.

use super::MEDIA_TYPE;
use crate::api::finish::Verbatim;
use crate::api::problem::Problem;
use crate::error::Code;
use crate::store::{SCIM_EXTERNAL_ID, StoreError};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The schema of such a document.
const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// SCIM's words for what is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimType {
    /// A filter can't be read, or not be asked.
    InvalidFilter,
    /// More than is taken at once.
    TooMany,
    /// Another has it already.
    Uniqueness,
    /// It can't be written.
    Mutability,
    /// The body is none of SCIM's.
    InvalidSyntax,
    /// A path can't be read.
    InvalidPath,
    /// A path leads nowhere.
    NoTarget,
    /// A value is none that the attribute can have.
    InvalidValue,
}

impl ScimType {
    /// As it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub struct ScimError {
    kind: Option<ScimType>,
    detail: Cow<'static, str>,
    problem: Box<Problem>,
}

impl ScimError {
    /// A request that is wrong by itself: 400. What is said of it holds nothing secret.
    pub fn bad(kind: ScimType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ApiMalformed, Some(kind), detail)
    }

    /// There is no such resource.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(Code::ApiNotFound, None, format!("There is no such {what}."))
    }

    /// Another has it: 409.
    pub(super) fn taken(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ApiConflict, Some(ScimType::Uniqueness), detail)
    }

    /// It is not as the client read it: 412.
    pub(super) fn changed() -> Self {
        let detail = "The resource has another version than If-Match says.";
        Self::new(Code::ApiPrecondition, None, detail)
    }

    /// More than is taken: 413.
    pub(super) fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ApiTooLarge, None, detail)
    }

    /// With another code.
    pub(super) fn new(
        code: Code,
        kind: Option<ScimType>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let word = kind.map_or("", ScimType::as_str);
        Self {
            kind,
            detail: detail.into(),
            problem: Box::new(Problem::new(code, word)),
        }
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.problem.code().status()
    }

    /// SCIM's word for it.
    #[must_use]
    pub fn kind(&self) -> Option<ScimType> {
        self.kind
    }

    /// What is wrong.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The document.
    pub(super) fn document(&self) -> Value {
        document(self.status(), self.kind, &self.detail)
    }
}

impl From<Problem> for ScimError {
    fn from(problem: Problem) -> Self {
        let told = problem.told().map(str::to_owned);
        Self {
            kind: None,
            detail: told.map_or(Cow::Borrowed(problem.code().title()), Cow::Owned),
            problem: Box::new(problem),
        }
    }
}

impl From<StoreError> for ScimError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(what) if what == SCIM_EXTERNAL_ID => {
                Self::taken("Another resource has this externalId.")
            }
            StoreError::Taken(_) => {
                Self::taken("Another resource has this userName or displayName.")
            }
            StoreError::Changed | StoreError::Busy => Problem::from(Code::Busy).into(),
            other => Problem::from(other).into(),
        }
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let body = self.document().to_string();
        // Status, Retry-After and what the log says of it.
        let mut response = (*self.problem).into_response();
        *response.body_mut() = body.into();
        response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
        response.extensions_mut().insert(Verbatim);
        response
    }
}

/// The same of a problem that came up before SCIM was asked.
pub(in crate::api) fn of_problem(problem: &Problem) -> String {
    let detail = problem.told().unwrap_or(problem.code().title());
    document(problem.code().status(), None, detail).to_string()
}

fn document(status: StatusCode, kind: Option<ScimType>, detail: &str) -> Value {
    let mut document = json!({
        "schemas": [SCHEMA],
        "status": status.as_str(),
        "detail": detail,
    });
    if let (Some(kind), Some(members)) = (kind, document.as_object_mut()) {
        members.insert("scimType".to_owned(), kind.as_str().into());
    }
    document
}
