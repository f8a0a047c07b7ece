//! Station 7, swap: from a permitted request to the upstream request. Exactly one app credential
//! goes in; host and forwarded headers are set from values we trust.
//!
//! There are four permits, and this file is the only place that turns one into an
//! `UpstreamRequest`, the only thing the forwarder accepts:
//!
//! - `Visitor`: an admitted person with a session, whose credential goes in;
//! - `Static`: a verified visitor asking for a static file: no account, no session, no cookie;
//! - `Machine`: an explicit machine route: no identity, no session, ever;
//! - `Service`: a service client of the api listener, with its bot's credential, never a person's
//!   session.

use super::assertion::{Assertion, Verified};
use super::body::UpstreamBody;
use super::edge::CleanRequest;
use super::forward::upgrade;
use super::route::Site;
use super::service::Entitled;
use super::session::Live;
use super::session::csrf::Intended;
use crate::config::MachineRoute;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What entitles a request to reach the app.
pub enum Permit<'a> {
    /// An admitted person with a session, and a request that comes from the app's own pages.
    Visitor(&'a Intended),
    /// A verified visitor asking for a static file.
    Static(&'a Verified<Assertion>),
    /// An explicit machine route.
    Machine(&'a MachineRoute),
    /// A service, and what its bot may call.
    Service(&'a Entitled),
}

/// A request that may reach the app. Made only here (T20), from a permit:
///
/// ```compile_fail,E0423
/// fn forge() {
///     let _ = auth_manager::proxy::swap::UpstreamRequest(todo!());
/// }
/// ```
#[derive(Debug)]
pub struct UpstreamRequest(Request<UpstreamBody>);

impl UpstreamRequest {
    /// For the forwarder.
    pub(in crate::proxy) fn into_http(self) -> Request<UpstreamBody> {
        self.0
    }
}

/// The head of a permitted request, ready to be sent once or, after a renewal, twice.
#[derive(Clone)]
pub struct Head {
    method: http::Method,
    uri: http::Uri,
    headers: HeaderMap,
    /// The session whose credential goes in with each sending.
    live: Option<Arc<Live>>,
    /// Or the bot's.
    bot: Option<(HeaderName, HeaderValue)>,
    csrf_header: HeaderName,
    /// hyper's own: the browser's side of an upgrade.
    extensions: http::Extensions,
}

impl Head {
    /// The browser's side of an upgrade.
    pub fn take_upgrade(&mut self) -> OnUpgrade {
        let mut carrier = Request::new(());
        std::mem::swap(carrier.extensions_mut(), &mut self.extensions);
        hyper::upgrade::on(carrier)
    }

    /// Prepares the head: everything but the credential, which is put in at each sending.
    pub fn new(
        site: &Site,
        request: CleanRequest,
        permit: &Permit<'_>,
        request_id: &HeaderValue,
        upgrading: bool,
    ) -> Self {
        let names = site.rules.cookies();
        let others = request.forwardable_cookies(&[names.session, names.user_id, names.csrf]);
        let client = match permit {
            // Who reaches the api listener is no proxy whose word about the client counts (T12).
            Permit::Service(_) => None,
            _ => request.client_ip(),
        };
        let client = client.and_then(|ip| HeaderValue::from_str(&ip.to_string()).ok());
        let clean = request.into_parts();
        let (method, mut headers) = (clean.method, clean.headers);
        let uri = http::Uri::from(clean.target);
        match permit {
            Permit::Visitor(_) => {
                if let Some(others) = others {
                    headers.insert(COOKIE, others);
                }
            }
            Permit::Static(_) | Permit::Service(_) => {}
            Permit::Machine(route) => {
                if route.keep_authorization
                    && let Some(value) = clean.authorization
                {
                    headers.insert(AUTHORIZATION, value);
                }
            }
        }
        headers.insert(HOST, site.authority.clone());
        headers.insert(FORWARDED_PROTO, site.scheme.clone());
        headers.insert(FORWARDED_HOST, site.authority.clone());
        if let Some(client) = client {
            headers.insert(FORWARDED_FOR, client);
        }
        headers.insert(REQUEST_ID, request_id.clone());
        if upgrading {
            upgrade::prepare(&mut headers);
        }
        let live = match permit {
            Permit::Visitor(intended) => Some(intended.bound().live().clone()),
            _ => None,
        };
        let bot = match permit {
            Permit::Service(entitled) => Some(entitled.credential().clone()),
            _ => None,
        };
        Self {
            method,
            uri,
            headers,
            live,
            bot,
            csrf_header: site.rules.csrf_header().clone(),
            extensions: if upgrading {
                clean.extensions
            } else {
                http::Extensions::new()
            },
        }
    }

    /// The same with the bot's token of now.
    pub(in crate::proxy) fn with_bot(self, entitled: &Entitled) -> Self {
        Self {
            bot: Some(entitled.credential().clone()),
            ..self
        }
    }

    /// Puts the credential of the moment in and makes the request. Gives the generation of the
    /// credential, so that a refusal of it is told from a refusal of an older one.
    pub fn request(self, body: UpstreamBody) -> (UpstreamRequest, i64) {
        let Self {
            method,
            uri,
            mut headers,
            live,
            bot,
            csrf_header,
            ..
        } = self;
        let mut generation = 0;
        if let Some(live) = live {
            let grant = live.grant();
            generation = grant.generation;
            let cookie = match headers.remove(COOKIE) {
                None => grant.cookie.clone(),
                Some(others) => join(&grant.cookie, &others),
            };
            headers.insert(COOKIE, cookie);
            if let Some(csrf) = &grant.csrf_header {
                headers.insert(csrf_header, csrf.clone());
            }
        }
        if let Some((name, value)) = bot {
            headers.insert(name, value);
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        (UpstreamRequest(request), generation)
    }
}

/// The credential first: of two cookies of a name the app takes the first (recordings/mattermost,
/// 11), and the browser's of that name was dropped anyway.
fn join(credential: &HeaderValue, others: &HeaderValue) -> HeaderValue {
    let text = [credential.as_bytes(), b"; ", others.as_bytes()].concat();
    let mut value = HeaderValue::from_bytes(&text).unwrap_or_else(|_| credential.clone());
    value.set_sensitive(true);
    value
}
