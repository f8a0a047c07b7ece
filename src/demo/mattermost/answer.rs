//! How Mattermost answers: error bodies, the headers every answer has, session cookies.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::ids::{http_date, new_id, now_ms};

/// What a handler gives back.
pub(super) type Answer = Result<Reply, Refusal>;

/// Which standard headers an answer gets; they differ by the part of the server that answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A handler of the API: everything.
    Api,
    /// The HTML page: neither `Expires` nor `Vary`.
    Shell,
    /// Files below `/static/`: no request id.
    Static,
    /// What the server's edge answers itself: nothing added.
    Naked,
    /// [`Style::Naked`] with `Vary`, for what passed the compressor only.
    Early,
}

/// An answer that is not an error.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) style: Style,
}

impl Reply {
    pub(super) fn new(
        status: u16,
        style: Style,
        content_type: &'static str,
        body: impl Into<Body>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert("content-type", HeaderValue::from_static(content_type));
        }
        Self {
            status: status_of(status),
            headers,
            body: body.into(),
            style,
        }
    }

    /// JSON of the API.
    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).unwrap_or_default();
        Self::new(status, Style::Api, "application/json", text)
    }

    /// `{"status":"OK"}`.
    pub(super) fn ok() -> Self {
        Self::new(200, Style::Api, "application/json", r#"{"status":"OK"}"#)
    }

    /// Adds a header line; a value that is no header value is left out.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    /// Adds `Set-Cookie` lines in order.
    pub(super) fn with_cookies(self, cookies: &[String]) -> Self {
        cookies
            .iter()
            .fold(self, |reply, cookie| reply.with("set-cookie", cookie))
    }
}

/// An error in Mattermost's form.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Refusal {
    pub(super) id: &'static str,
    pub(super) message: String,
    pub(super) detailed_error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
    pub(super) status_code: u16,
    /// The answer removes the session cookie.
    #[serde(skip)]
    pub(super) remove_cookie: bool,
    #[serde(skip)]
    pub(super) close: bool,
}

impl Refusal {
    pub(super) fn new(status_code: u16, id: &'static str, message: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
            detailed_error: String::new(),
            request_id: None,
            status_code,
            remove_cookie: false,
            close: false,
        }
    }

    /// No session, or a failed CSRF check: the two cannot be told apart.
    pub(super) fn session_expired(remove_cookie: bool) -> Self {
        let message = "Invalid or expired session, please login again.";
        let refusal = Self::new(401, "api.context.session_expired.app_error", message);
        Self {
            remove_cookie,
            ..refusal
        }
    }

    pub(super) fn permissions() -> Self {
        Self::new(
            403,
            "api.context.permissions.app_error",
            "You do not have the appropriate permissions.",
        )
    }

    pub(super) fn body_param(name: &str) -> Self {
        let message = format!("Invalid or missing {name} in request body.");
        Self::new(400, "api.context.invalid_body_param.app_error", message)
    }

    pub(super) fn url_param(name: &str) -> Self {
        let message = format!("Invalid or missing {name} parameter in request URL.");
        Self::new(400, "api.context.invalid_url_param.app_error", message)
    }

    pub(super) fn missing_user() -> Self {
        Self::new(
            404,
            "app.user.missing_account.const",
            "Unable to find the user.",
        )
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(
            413,
            "api.context.request_body_too_large.app_error",
            "Unable to process request. Request body too large.",
        )
    }

    fn into_reply(mut self, request_id: &str) -> Reply {
        self.request_id = Some(request_id.to_owned());
        let mut reply = Reply::json(self.status_code, &self);
        if self.remove_cookie {
            reply = reply.with("set-cookie", REMOVAL);
        }
        if self.close {
            reply = reply.with("connection", "close");
        }
        reply
    }
}

/// The answer to a path or method the API does not know (recorded: no request id, bare headers).
pub(super) fn no_such_route(path: &str) -> Reply {
    let mut refusal = Refusal::new(
        404,
        "api.context.404.app_error",
        "Sorry, we could not find the page.",
    );
    refusal.detailed_error = format!(
        "There doesn't appear to be an api call for the url='{path}'.  Typo? are you missing a team_id or user_id as part of the url?"
    );
    let text = serde_json::to_string(&refusal).unwrap_or_default();
    Reply::new(404, Style::Naked, "application/json", text)
}

/// Removes the session cookie; the other two are left to the page.
pub(super) const REMOVAL: &str = "MMAUTHTOKEN=; Path=/; Max-Age=0; HttpOnly";

/// Attributes of session cookies that depend on the request.
#[derive(Clone, Copy)]
pub(super) struct CookieForm {
    pub(super) secure: bool,
    pub(super) embedded: bool,
    pub(super) hours: i64,
}

impl CookieForm {
    pub(super) fn render(self, name: &str, value: &str, http_only: bool) -> String {
        let seconds = self.hours * 3600;
        let expires = http_date(now_ms() + seconds * 1000);
        let mut text = format!("{name}={value}; Path=/; Expires={expires}; Max-Age={seconds}");
        if http_only {
            text.push_str("; HttpOnly");
        }
        if self.secure {
            text.push_str("; Secure");
            if self.embedded {
                text.push_str("; SameSite=None");
            }
        }
        text
    }
}

/// Puts the standard headers in, in the order of the wire: by name, then `Date`.
pub(super) fn finish(answer: Answer, get: bool, version: &str) -> Response<Body> {
    let request_id = new_id();
    let reply = answer.unwrap_or_else(|refusal| refusal.into_reply(&request_id));
    let mut lines: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in &reply.headers {
        lines.push((name.clone(), value.clone()));
    }
    let mut standard = |name: &'static str, value: &str| {
        if !reply.headers.contains_key(name)
            && let Ok(value) = HeaderValue::from_str(value)
        {
            lines.push((HeaderName::from_static(name), value));
        }
    };
    let style = reply.style;
    if style == Style::Api && get {
        standard("expires", "0");
    }
    if matches!(style, Style::Api | Style::Static | Style::Early) {
        standard("vary", "Accept-Encoding");
    }
    if matches!(style, Style::Api | Style::Static | Style::Shell) {
        standard("permissions-policy", "");
        standard("referrer-policy", "no-referrer");
        standard("x-content-type-options", "nosniff");
    }
    if matches!(style, Style::Api | Style::Shell) {
        standard("x-request-id", &request_id);
        standard("x-version-id", version);
    }
    if reply.status != StatusCode::SWITCHING_PROTOCOLS {
        standard("date", &http_date(now_ms()));
    }
    // What the edge answers keeps its own order. Stable: the session cookies keep theirs.
    if style != Style::Naked {
        lines.sort_by_key(|(name, _)| (name == "date", name.as_str().to_owned()));
    }
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    for (name, value) in lines {
        response.headers_mut().append(name, value);
    }
    response
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
