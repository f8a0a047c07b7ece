//! One visit: a request from the listener to the answer, station by station, and its log line.

use super::body::{Body, Kept, UpstreamBody};
use super::bridge::Bridge;
use super::edge::{self, CleanRequest};
use super::forward::upgrade::{self, Upgrade};
use super::forward::{self, Answer, UpstreamResponse};
use super::refuse::{self, Asker, Halt};
use super::route::{self, ForApp, Site, Way};
use super::service;
use super::session;
use super::session::csrf::{self, Intended};
use super::session::heal::{self, Healed};
use super::swap::{Head, Permit};
use super::{access, assertion, filter};
use crate::apps::Route;
use crate::audit::{self, Actor, Denied};
use crate::error::{Code, Refusal};
use crate::telemetry::metrics::ReplayKind;
use crate::telemetry::request_id::RequestId;
use crate::telemetry::traces::{Ended, Station, Trace};
use crate::types::{Subject, UserId};
use assertion::{Assertion, ReplayVerdict, Verified};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderValue, SEC_WEBSOCKET_KEY};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Longest body that is gathered because it must be judged; the app takes no more than 300,000
/// bytes (facts, §6).
const JUDGED_BODY: usize = 300_000;

/// Where visitors see what the app is to them, as `/bridge/{app}` of the api listener says it.
const LOOK: &str = "/.auth-manager/bridge";

/// What is known of a visit while its request is consumed: for the log line and for refusals.
struct Visit {
    method: Method,
    /// Of which only the path is logged: a query may hold what should not be.
    uri: Uri,
    asker: Asker,
    /// The browser's languages, read when there is something to say.
    languages: Option<HeaderValue>,
    user: Option<UserId>,
    /// Whom the assertion is about, once verified and until it is of no more use.
    subject: Option<Subject>,
    client: Option<IpAddr>,
    /// A health check of Pomerium's: one every few seconds, of which nobody wants to read.
    health: bool,
    /// Only of a request that is traced.
    trace: Option<Box<Trace>>,
}

impl Visit {
    fn enter(&mut self, station: Station) {
        if let Some(trace) = &mut self.trace {
            trace.enter(station);
        }
    }
}

/// Whether a person looks at the answer: a navigation, by the browser's own word, or by `Accept`
/// where the browser says nothing.
pub(in crate::proxy) fn is_page(request: &CleanRequest) -> bool {
    if !matches!(*request.method(), Method::GET | Method::HEAD) || request.is_upgrade() {
        return false;
    }
    match request.sec_fetch_mode() {
        Some(mode) => mode == "navigate",
        None => request
            .headers()
            .get(ACCEPT)
            .and_then(|a| a.to_str().ok())
            .is_some_and(|a| a.contains("text/html")),
    }
}

/// Serves one request.
pub async fn handle(bridge: Arc<Bridge>, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let mut visit = Visit {
        method: request.method().clone(),
        uri: request.uri().clone(),
        asker: Asker::default(),
        languages: request.headers().get(ACCEPT_LANGUAGE).cloned(),
        user: None,
        subject: None,
        client: None,
        health: false,
        trace: bridge.traces.begin(request.headers()),
    };
    let mut refused = None;
    let (answer, code) = match road(&bridge, request, &mut visit).await {
        Ok(answer) => (answer, "ok"),
        Err(Halt::Answer(answer)) => (*answer, "bridge"),
        Err(Halt::Refuse(refusal)) => {
            visit.asker.language = language(visit.languages.as_ref());
            refuse::log(
                &visit.asker,
                &refusal,
                visit.method.as_str(),
                visit.uri.path(),
            );
            refused = Some(refusal.code);
            visit.account(&bridge, refusal.code);
            (
                refuse::render(&bridge, &visit.asker, &refusal),
                refusal.code.as_str(),
            )
        }
    };
    let took = started.elapsed();
    if visit.health {
        return answer;
    }
    let app = visit.asker.site.as_ref().map(|s| &s.config.id);
    match (&visit.asker.site, refused) {
        (Some(site), _) => site.metrics.request(refused, answer.status(), took),
        (None, Some(code)) => bridge.metrics.refused(code),
        (None, None) => {}
    }
    if let Some(trace) = visit.trace.take() {
        trace.end(&Ended {
            method: &visit.method,
            path: visit.uri.path(),
            app: app.map_or("", |a| a.as_str()),
            client: "",
            code,
            status: answer.status(),
            request_id: visit.asker.request_id(),
        });
    }
    tracing::info!(
        target: "request",
        app = app.map_or("-", |a| a.as_str()),
        method = visit.method.as_str(),
        path = visit.uri.path(),
        status = answer.status().as_u16(),
        decision = code,
        user = visit.user.map(tracing::field::display),
        ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        request_id = visit.asker.request_id(),
    );
    answer
}

impl Visit {
    /// Leaves word of a denial for the audit trail.
    fn account(&mut self, bridge: &Bridge, code: Code) {
        if !audit::denials::is_denial(code) {
            return;
        }
        let config = self.asker.site.as_ref().map(|site| &site.config);
        let issuer = config.map(|config| config.issuer.clone());
        bridge.audit.denied(Denied {
            who: issuer.zip(self.subject.take()),
            user: self.user,
            app: config.map(|config| config.id.clone()),
            code,
            request: self.asker.request_id().to_owned(),
            client: self.client,
        });
    }
}

async fn road(
    bridge: &Arc<Bridge>,
    request: Request<Incoming>,
    visit: &mut Visit,
) -> Result<Response<Body>, Halt> {
    let (parts, body) = request.into_parts();

    // 1 hygiene
    visit.enter(Station::Edge);
    let request = edge::clean(parts, &bridge.limits)?;
    visit.asker.page = is_page(&request);
    let request_id = RequestId::accept_or_generate(request.request_id_line());
    visit.asker.request_id = Some(request_id.clone());
    visit.client = request.client_ip();

    // 2 route
    visit.enter(Station::Route);
    let sites = bridge.sites.load_full();
    let way = match route::find(&sites, &request)? {
        Way::Health => {
            visit.health = true;
            return Ok(refuse::health(bridge.is_leaving()));
        }
        Way::App(way) => way,
    };
    let site = &way.site;
    visit.asker.site = Some(site.clone());
    visit.asker.api = site
        .below_base(request.path())
        .is_some_and(|p| site.rules.is_api(p));
    let trip = Trip {
        bridge,
        site,
        route: way.route,
        request_id,
    };
    if let Some(machine) = way.machine_route() {
        visit.enter(Station::App);
        return trip
            .without_session(request, body, &Permit::Machine(machine))
            .await;
    }

    // 3 authenticate
    visit.enter(Station::Assertion);
    let verified = trip.authenticate(&request).await?;
    if visit.asker.page {
        visit.asker.person = Some((verified.name().to_owned(), verified.email().to_owned()));
    }
    if way.outside {
        if request.path() == LOOK {
            return Ok(Box::pin(look(bridge, site, &request, verified)).await?);
        }
        // The app lives below a path, and somebody knows but its host.
        if visit.asker.page && request.path() == "/" {
            return Err(refuse::redirect(&site.home()).into());
        }
        return Err(Code::RouteNotFound.into());
    }
    if way.route == Route::Static {
        visit.enter(Station::App);
        return trip
            .without_session(request, body, &Permit::Static(&verified))
            .await;
    }

    // 4 authorize
    visit.enter(Station::Access);
    let sid = verified.sid().clone();
    let issued = verified.issued();
    let subject = visit.subject.insert(verified.subject().clone());
    let facts = bridge.facts(bridge.clock.now());
    let decided = access::decide(&site.config.access, &facts, verified);
    let admitted = decided.inspect_err(|_| {
        // Whoever is refused here must not go on listening (T26). The session itself stays: an
        // assertion can refuse a request, never take anything away (design §5).
        let sessions = &bridge.sessions;
        sessions.mute(site, subject, &sid, issued, &bridge.tunnels);
    })?;
    match way.route {
        Route::Blocked => return Err(Code::RouteBlocked.into()),
        Route::SignInPage => return Err(refuse::redirect(&site.home()).into()),
        _ => {}
    }

    // 5 session
    visit.enter(Station::Session);
    let bound = session::bind(bridge, site, &request, admitted, &trip.request_id).await?;
    visit.user = Some(bound.live().user);

    // 6 csrf
    visit.enter(Station::Csrf);
    let intended = csrf::check(site, way.route, &request, bound)?;
    visit.enter(Station::App);
    trip.with_session(&way, request, body, intended).await
}

/// What the app is to a verified visitor.
async fn look(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    request: &CleanRequest,
    verified: Verified<Assertion>,
) -> Result<Response<Body>, Refusal> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::new(Code::RequestMethod, "it is only looked at"));
    }
    service::look_by_themselves(bridge, site, verified).await
}

/// A request that knows its app.
struct Trip<'a> {
    bridge: &'a Arc<Bridge>,
    site: &'a Arc<Site>,
    route: Route,
    request_id: RequestId,
}

impl Trip<'_> {
    async fn authenticate(&self, request: &CleanRequest) -> Result<Verified<Assertion>, Refusal> {
        let raw = request.assertion().ok_or_else(|| {
            Refusal::new(
                Code::AssertionMissing,
                "no X-Pomerium-Jwt-Assertion: is pass_identity_headers on for this route?",
            )
        })?;
        let verifier = &self.site.verifier;
        // Nearly always the key is at hand; only an unknown one waits for the issuer.
        let verified = verifier
            .verify_refetching(raw, &self.site.config.host)
            .await;
        let verified = verified.inspect_err(|r| self.bridge.metrics.assertion_failed(r.code))?;
        let now = self.bridge.clock.now();
        match self
            .site
            .replay
            .check(&verified, request.method(), request.path(), now)
        {
            ReplayVerdict::First | ReplayVerdict::Ignored => {}
            ReplayVerdict::Retry(_) => self.bridge.metrics.replay(ReplayKind::Repeat),
            ReplayVerdict::Counted => self.bridge.metrics.replay(ReplayKind::Repeat),
            ReplayVerdict::Refused => {
                self.bridge.metrics.replay(ReplayKind::Refused);
                return Err(Code::AssertionReplayed.into());
            }
        }
        Ok(verified)
    }

    /// 7 to 9 for a static file or a machine route: no credential goes in, no cookie comes out.
    async fn without_session(
        &self,
        request: CleanRequest,
        body: Incoming,
        permit: &Permit<'_>,
    ) -> Result<Response<Body>, Halt> {
        let body = if body.is_end_stream() {
            UpstreamBody::Empty
        } else {
            UpstreamBody::Kept(body, Kept::new(0))
        };
        let (upstream, _) =
            Head::new(self.site, request, permit, self.request_id.header(), false).request(body);
        let answer = forward::send(&self.site.pool, upstream).await?;
        let mut released = filter::release(self.site, None, self.bridge.clock.now(), answer);
        if let Permit::Static(_) = permit {
            released.headers_mut().remove(http::header::SET_COOKIE);
        }
        Ok(released)
    }

    /// 7 to 9 for a visitor with a session.
    async fn with_session(
        &self,
        way: &ForApp,
        request: CleanRequest,
        body: Incoming,
        intended: Intended,
    ) -> Result<Response<Body>, Halt> {
        let live = intended.bound().live();
        match way.route {
            Route::Logout => {
                let now = self.bridge.clock.now();
                let witness = self.bridge.audit.by(Actor::Visitor(live.user));
                let by = witness.request(self.request_id.as_str()).by();
                let out = session::log_out(self.bridge, self.site, live, now, &by);
                return Ok(Box::pin(out).await?);
            }
            // Boxed, here and below: what is rare takes no room in every request's future.
            Route::Socket if request.is_upgrade() => {
                return Box::pin(self.socket(request, &intended)).await;
            }
            _ => {}
        }
        let (body, kept) = self.upstream_body(body, live).await?;
        let head = Head::new(
            self.site,
            request,
            &Permit::Visitor(&intended),
            self.request_id.header(),
            false,
        );
        let again = head.clone();
        let (upstream, generation) = head.request(body);
        let answer = forward::send(&self.site.pool, upstream).await?;
        let answer = if self
            .site
            .rules
            .refused_session(answer.head.status, &answer.head.headers)
        {
            Box::pin(self.refused(answer, again, kept, generation, &intended)).await?
        } else {
            answer
        };
        if self.route == Route::EndsSessions && answer.head.status.is_success() {
            let look = session::look_for_ended(self.bridge, self.site, &live.remote);
            Box::pin(look).await;
        }
        Ok(filter::release(
            self.site,
            Some(live),
            self.bridge.clock.now(),
            answer,
        ))
    }

    /// The body on its way up: streamed with its beginning kept for a replay, or, where it must be
    /// judged, gathered.
    async fn upstream_body(
        &self,
        body: Incoming,
        live: &session::Live,
    ) -> Result<(UpstreamBody, Replay), Refusal> {
        if body.is_end_stream() {
            return Ok((UpstreamBody::Empty, Replay::Empty));
        }
        if self.route != Route::Identity {
            let kept = Kept::new(self.site.config.session.replay_body);
            return Ok((UpstreamBody::Kept(body, kept.clone()), Replay::Kept(kept)));
        }
        let gathered = Limited::new(body, JUDGED_BODY).collect().await;
        let bytes = gathered
            .map_err(|e| Refusal::new(Code::RequestTooLarge, format!("a body to be judged: {e}")))?
            .to_bytes();
        self.site.rules.judge_identity(&bytes, &live.profile())?;
        Ok((
            UpstreamBody::Whole(Some(bytes.clone())),
            Replay::Whole(bytes),
        ))
    }

    /// The app refused the session's credential: find out why, renew, and send once more.
    async fn refused(
        &self,
        answer: UpstreamResponse,
        again: Head,
        replay: Replay,
        generation: i64,
        intended: &Intended,
    ) -> Result<UpstreamResponse, Halt> {
        let answer = answer.gather().await?;
        let about_session = match &answer.body {
            Answer::Gathered(bytes) => self.site.rules.is_session_refusal(bytes),
            Answer::Streamed(..) => false,
        };
        if !about_session {
            // The app's own business, which only looks alike.
            return Ok(answer);
        }
        let live = intended.bound().live();
        match heal::heal(self.bridge, self.site, live, generation).await? {
            Healed::NotNeeded => {
                // A 401 would sign the page out of a session that lives.
                Err(Refusal::new(Code::CsrfRefused, "the app refuses its own CSRF value").into())
            }
            Healed::Renewed => {
                // A request that got `session_expired` was not executed, so it may be sent again,
                // if all of it is at hand; else the caller is told to (a 401 would sign it out).
                let Some(body) = replay.body() else {
                    return Err(Code::SessionRenewed.into());
                };
                let (upstream, _) = again.request(body);
                let answer = forward::send(&self.site.pool, upstream).await?;
                if self
                    .site
                    .rules
                    .refused_session(answer.head.status, &answer.head.headers)
                {
                    return Err(Code::SessionRenewed.into());
                }
                Ok(answer)
            }
        }
    }

    /// An upgrade: a tunnel only after the app's verified 101.
    async fn socket(
        &self,
        request: CleanRequest,
        intended: &Intended,
    ) -> Result<Response<Body>, Halt> {
        let bridge = self.bridge;
        let live = intended.bound().live();
        if request.version() != Version::HTTP_11 {
            return Err(Refusal::new(Code::RequestMethod, "an upgrade needs HTTP/1.1").into());
        }
        let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
        let key =
            key.ok_or_else(|| Refusal::new(Code::RequestMalformed, "no Sec-WebSocket-Key"))?;
        let ring = bridge.ring.load();
        let signed_by = session::signing_key(self.site, &request, &ring);
        let kid = signed_by.ok_or(Code::SessionRequired)?;
        drop(ring);
        let mut head = Head::new(
            self.site,
            request,
            &Permit::Visitor(intended),
            self.request_id.header(),
            true,
        );
        let browser = head.take_upgrade();
        let (upstream, _) = head.request(UpstreamBody::Empty);
        let now = bridge.clock.now();
        match upgrade::send(&self.site.pool, upstream.into_http(), &key).await? {
            Upgrade::Answered(response) => {
                let answer = UpstreamResponse::streamed(response, None);
                if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(Code::AppBadAnswer.into());
                }
                Ok(filter::release(self.site, Some(live), now, answer))
            }
            Upgrade::Switched(response, carry) => {
                let longest = self.site.config.session.socket_max_age;
                // Spread over the last tenth, so that pages do not all come back at once.
                let jitter = longest.mul_f64(f64::from(live.id.0[0]) / 2560.0);
                let until = now + longest - jitter;
                let registration = bridge.tunnels.register(live.id, kid.clone(), until);
                // Whoever was revoked while the app answered is not carried, nor who came in by a
                // rule or a key that has gone meanwhile: the cut of a reload came too early for it.
                let admitted = intended.bound().admitted();
                if live.ended().is_some() || !bridge.still_admits(self.site, kid.as_str(), admitted)
                {
                    return Err(Code::SessionRequired.into());
                }
                bridge.sessions.log.must_be_fresh(bridge.clock.now())?;
                let (metrics, rules) = (self.site.metrics.clone(), self.site.rules.clone());
                bridge.tasks.spawn(async move {
                    let _counted = metrics.websocket();
                    if let Some(cut) = carry.run(browser, registration, rules).await {
                        metrics.websocket_cut(cut.as_str());
                    }
                });
                Ok(filter::release_switch(self.site, Some(live), now, response))
            }
        }
    }
}

fn language(header: Option<&HeaderValue>) -> crate::portal::Lang {
    crate::portal::Lang::negotiate(header.and_then(|v| v.to_str().ok()))
}

/// What is at hand of a request body for a second sending.
enum Replay {
    Empty,
    Kept(Arc<Kept>),
    Whole(bytes::Bytes),
}

impl Replay {
    fn body(self) -> Option<UpstreamBody> {
        match self {
            Self::Empty => Some(UpstreamBody::Empty),
            Self::Kept(kept) => kept.whole().map(|bytes| UpstreamBody::Whole(Some(bytes))),
            Self::Whole(bytes) => Some(UpstreamBody::Whole(Some(bytes))),
        }
    }
}
