//! The one place that turns a refusal into an answer: a page for people, the app's own error shape
//! on its API paths, RFC 9457 problem+json for everyone else. All `no-store`.

use super::body::Body;
use super::bridge::Bridge;
use super::route::Site;
use crate::error::{Code, Level, Page, Refusal};
use crate::portal::{Lang, PageContext};
use crate::telemetry::RequestId;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use std::sync::Arc;

/// What stops a request on the road.
pub enum Halt {
    /// A refusal.
    Refuse(Refusal),
    /// An answer of the bridge's own: a redirect, a page.
    Answer(Box<Response<Body>>),
}

impl From<Response<Body>> for Halt {
    fn from(answer: Response<Body>) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Code> for Halt {
    fn from(code: Code) -> Self {
        Self::Refuse(code.into())
    }
}

/// What a refusal needs to know about the request; kept while the request itself is consumed.
#[derive(Default, Clone)]
pub struct Asker {
    /// The app, once known.
    pub site: Option<Arc<Site>>,
    /// Whether a person looks at it.
    pub page: bool,
    /// Whether it is on one of the app's API paths.
    pub api: bool,
    /// Preferred language.
    pub language: Lang,
    /// Who is signed in, once verified: name and address, for pages.
    pub person: Option<(String, String)>,
    /// The request's id, once hygiene is done.
    pub request_id: Option<RequestId>,
}

impl Asker {
    /// The request's id, as logs and answers show it.
    pub fn request_id(&self) -> &str {
        self.request_id.as_ref().map_or("", RequestId::as_str)
    }
}

/// Renders a refusal.
pub fn render(bridge: &Bridge, asker: &Asker, refusal: &Refusal) -> Response<Body> {
    let status = refusal.code.status();
    let mut answer = if asker.page {
        page(bridge, asker, refusal)
    } else if let (Some(site), true) = (&asker.site, asker.api) {
        let message = crate::portal::message(refusal.code, asker.language);
        let (content_type, body) = site.rules.render(refusal, message, asker.request_id());
        typed(content_type, Body::text(body))
    } else {
        problem(asker, refusal)
    };
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = refusal.retry_after {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    answer
}

fn page(bridge: &Bridge, asker: &Asker, refusal: &Refusal) -> Response<Body> {
    let portal = bridge.portal.load();
    let home = asker
        .site
        .as_ref()
        .map_or_else(|| "/".to_owned(), |s| s.home());
    let context = PageContext {
        lang: asker.language,
        app_name: asker.site.as_ref().map_or("", |s| s.config.name.as_str()),
        organisation: &portal.organisation,
        contact: &portal.contact,
        display_name: asker.person.as_ref().map_or("", |p| &p.0),
        email: asker.person.as_ref().map_or("", |p| &p.1),
        code: refusal.code,
        request_id: asker.request_id(),
        retry_seconds: match refusal.code.page() {
            Page::Preparing => Some(
                refusal
                    .retry_after
                    .map_or(2, |d| d.as_secs().clamp(1, 60) as u32),
            ),
            _ => None,
        },
        // Only a new sign-in gets past a tombstone (tried-for-real, 18).
        sign_in_url: "/.pomerium/sign_out",
        sign_out_url: "/.pomerium/sign_out",
        home_url: &home,
        message: None,
    };
    let mut answer = Response::new(Body::text(crate::portal::render(
        refusal.code.page(),
        &context,
    )));
    for (name, value) in crate::portal::headers() {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// RFC 9457.
fn problem(asker: &Asker, refusal: &Refusal) -> Response<Body> {
    let body = serde_json::json!({
        "type": format!("urn:auth-manager:error:{}", refusal.code.as_str()),
        "title": crate::portal::message(refusal.code, asker.language),
        "status": refusal.code.status().as_u16(),
        "code": refusal.code.as_str(),
        "instance": format!("urn:request:{}", asker.request_id()),
    });
    typed("application/problem+json", Body::text(body.to_string()))
}

fn typed(content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A redirect within the host, never stored.
///
/// `target` is a path of ours or the request's own target, which hygiene has checked: it begins
/// with one slash, so that it can't name another host (T38).
pub fn redirect(target: &str) -> Response<Body> {
    let mut answer = Response::new(Body::Empty);
    *answer.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::from_str(target).unwrap_or_else(|_| HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, location);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The app's *all right*, from the bridge: Mattermost's `{"status":"OK"}`, bare content type.
pub fn app_ok() -> Response<Body> {
    let mut answer = typed("application/json", Body::text(&br#"{"status":"OK"}"#[..]));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The health path's answer.
pub fn health(leaving: bool) -> Response<Body> {
    let mut answer = if leaving {
        let mut answer = typed("text/plain", Body::text(&b"leaving\n"[..]));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer
    } else {
        typed("text/plain", Body::text(&b"ok\n"[..]))
    };
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Writes the refusal into the log, at the level the table says.
pub fn log(asker: &Asker, refusal: &Refusal, method: &str, path: &str) {
    let app = asker.site.as_ref().map(|s| s.config.id.as_str());
    let code = refusal.code.as_str();
    let reason = &*refusal.reason;
    let request_id = asker.request_id();
    match refusal.code.level() {
        Level::Info => tracing::info!(app, code, reason, method, path, request_id, "refused"),
        Level::Warn => tracing::warn!(app, code, reason, method, path, request_id, "refused"),
        Level::Error => tracing::error!(app, code, reason, method, path, request_id, "refused"),
    }
}
