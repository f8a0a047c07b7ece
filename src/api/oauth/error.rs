//! How an OAuth request is refused: `error` and `error_description` (RFC 6749 §5.2). Who is no client
//! at all is told so before (`admit`), and what has nothing to do with OAuth is a problem document.

use crate::api::finish::Verbatim;
use crate::api::problem::Problem;
use crate::error::{Code, Refusal};
use axum::response::{IntoResponse, Json, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// OAuth's words for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OauthWord)]
pub(super) enum Word {
    InvalidRequest,
    InvalidScope,
    /// RFC 8693 §2.2.2.
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
}

/// A refusal on its way to the caller.
#[derive(Debug)]
pub(super) enum Refused {
    /// In OAuth's words.
    Oauth(Box<Said>),
    /// In the api's own: nothing that the caller could say better.
    Problem(Problem),
}

#[derive(Debug)]
pub(super) struct Said {
    word: Word,
    description: &'static str,
    /// Our own code, where the caller may know it.
    code: Option<Code>,
    /// For the log.
    refusal: Refusal,
}

impl Refused {
    /// A request that is wrong by itself.
    pub(super) fn new(word: Word, description: &'static str) -> Self {
        Self::Oauth(Box::new(Said {
            word,
            description,
            code: None,
            refusal: Refusal::new(Code::ApiMalformed, description),
        }))
    }

    /// What the road says about the visitor whom a token speaks of. Whoever holds a visitor's
    /// assertion or session may know why that person does not come in, and nothing else.
    pub(super) fn subject(refusal: Refusal) -> Self {
        if refusal.code.status().is_server_error() {
            return Self::Problem(refusal.into());
        }
        let told = matches!(
            refusal.code,
            Code::AccessDisabled
                | Code::AccessPending
                | Code::AccessNotGranted
                | Code::SessionSignedOut
        );
        let code = refusal.code;
        Self::Oauth(Box::new(Said {
            word: Word::InvalidRequest,
            description: match told {
                true => code.title(),
                false => "The subject token is not accepted.",
            },
            code: told.then_some(code),
            refusal,
        }))
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A refusal in OAuth's words (RFC 6749 §5.2).
#[derive(Serialize, ToSchema)]
#[schema(as = OauthRefusal)]
pub(super) struct Body {
    error: Word,
    /// For people.
    error_description: &'static str,
    /// Why the visitor does not come in, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<&'static str>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let said = match self {
            Self::Oauth(said) => said,
            Self::Problem(problem) => return problem.into_response(),
        };
        let body = Body {
            error: said.word,
            error_description: said.description,
            code: said.code.map(Code::as_str),
        };
        let mut response = (StatusCode::BAD_REQUEST, Json(body)).into_response();
        // For the log line; the body stays OAuth's.
        response
            .extensions_mut()
            .insert(Problem::from(said.refusal));
        response.extensions_mut().insert(Verbatim);
        response
    }
}
