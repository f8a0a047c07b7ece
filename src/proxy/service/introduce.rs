//! What an app is to a visitor: asked by a service that passes their assertion on, or by the visitor
//! themselves. The same verifier, the same access rule, the same making of accounts and sessions as
//! on the road: what is said here is what their next page would meet.

use crate::api::visitors::{
    Introduced, Introducer, Introduction, ShownAccount, ShownSession, ShownUser, VisitState,
};
use crate::audit::{Actor, Kind, Witness};
use crate::error::{Code, Refusal};
use crate::proxy::access::{self, Admitted};
use crate::proxy::assertion::{Assertion, RawAssertion, ReplayVerdict, Verified};
use crate::proxy::body::Body;
use crate::proxy::bridge::Bridge;
use crate::proxy::route::Site;
use crate::proxy::session::{self, Denial};
use crate::store::{AccountState, UserState};
use crate::telemetry::RequestId;
use crate::telemetry::metrics::ReplayKind;
use crate::types::{ClientId, IssuerId, Sid, Subject};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Response};
use std::sync::Arc;

/// A service asks.
pub(super) async fn introduce(
    bridge: &Arc<Bridge>,
    who: &Introducer,
    visitor: Introduction,
) -> Result<Introduced, Refusal> {
    let site = bridge.site(&visitor.app).ok_or(Code::ApiNotFound)?;
    if !who.may_speak_for(&site.config.host) {
        return Err(Refusal::new(
            Code::ApiHost,
            "the client's hosts do not list the app's",
        ));
    }
    let verified = authenticate(bridge, &site, who, visitor.headers).await?;
    let cookies = visitor.prepare && who.may_have_cookies();
    let asked = Asked::of(bridge, &site, &verified);
    let facts = bridge.facts(bridge.clock.now());
    let decided = access::decide(&site.config.access, &facts, verified);
    match decided {
        Err(refusal) => asked.refused(&refusal).await,
        Ok(admitted) if visitor.prepare => {
            let by = (bridge.audit)
                .by(Actor::Client(who.client().clone()))
                .request(visitor.request.as_str());
            let wish = Wish {
                introducer: who.client(),
                by,
                cookies,
                request: &visitor.request,
            };
            asked.prepared(&admitted, wish).await
        }
        Ok(_) => asked.looked().await,
    }
}

/// The visitor asks, on the proxy listener, with their own assertion; it was verified there, and
/// its use counted. Nothing changes, and no cookie is shown.
///
/// # Errors
/// When the bridge can't tell.
pub async fn look_by_themselves(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    verified: Verified<Assertion>,
) -> Result<Response<Body>, Refusal> {
    bridge.sessions.log.must_be_fresh(bridge.clock.now())?;
    let asked = Asked::of(bridge, site, &verified);
    let facts = bridge.facts(bridge.clock.now());
    let decided = access::decide(&site.config.access, &facts, verified);
    let answer = match decided {
        Err(refusal) => asked.refused(&refusal).await?,
        Ok(_) => asked.looked().await?,
    };
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    let mut response = Response::new(Body::text(text));
    for (name, value) in [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Verifies an assertion that was passed on. Its uses here are counted apart from those on the
/// proxy listener, where the same one has been: by client, four within 30 s.
async fn authenticate(
    bridge: &Bridge,
    site: &Site,
    who: &Introducer,
    mut headers: http::HeaderMap,
) -> Result<Verified<Assertion>, Refusal> {
    bridge.sessions.log.must_be_fresh(bridge.clock.now())?;
    let raw = RawAssertion::take_from(&mut headers)?.ok_or_else(|| {
        Refusal::new(
            Code::AssertionMissing,
            "no X-Pomerium-Jwt-Assertion: whom is it about?",
        )
    })?;
    let verified = site
        .verifier
        .verify_refetching(&raw, &site.config.host)
        .await;
    let verified = verified.inspect_err(|r| bridge.metrics.assertion_failed(r.code))?;
    let now = bridge.clock.now();
    // One client's alone, here and where tokens are exchanged; looking and preparing share their uses.
    let theirs = match site.passed_on.enforces() {
        true => (bridge.passed_on).check_for(&verified, who.client(), now),
        false => ReplayVerdict::Ignored,
    };
    let used = match theirs {
        ReplayVerdict::Refused => theirs,
        _ => (site.passed_on).check(&verified, &Method::POST, who.client().as_str(), now),
    };
    if used == ReplayVerdict::Refused {
        bridge.metrics.replay(ReplayKind::Refused);
    }
    used.admit()?;
    Ok(verified)
}

/// What a service wants prepared.
struct Wish<'a> {
    introducer: &'a ClientId,
    by: Witness,
    /// Whether it gets the cookies of the visit.
    cookies: bool,
    request: &'a RequestId,
}

/// Who is asked about, at which app.
struct Asked<'a> {
    bridge: &'a Arc<Bridge>,
    site: &'a Arc<Site>,
    issuer: IssuerId,
    subject: Subject,
    sid: Sid,
}

impl<'a> Asked<'a> {
    fn of(bridge: &'a Arc<Bridge>, site: &'a Arc<Site>, verified: &Verified<Assertion>) -> Self {
        Self {
            bridge,
            site,
            issuer: verified.issuer().clone(),
            subject: verified.subject().clone(),
            sid: verified.sid().clone(),
        }
    }

    /// By what is on record; nothing is written.
    async fn looked(&self) -> Result<Introduced, Refusal> {
        let (store, config) = (&self.bridge.store, &self.site.config);
        let now = self.bridge.clock.now();
        let buried = store
            .tombstone(&config.id, &self.issuer, &self.subject, &self.sid, now)
            .await
            .map_err(session::store_refusal)?;
        let mut answer = self.on_record().await?;
        if is_disabled(&answer) {
            say(
                &mut answer,
                VisitState::Refused,
                &Code::AccessDisabled.into(),
            );
        } else if buried.is_some() {
            self.sign_out(&mut answer);
        } else {
            let account = answer.account.as_ref().map(|account| account.state);
            if account == Some(AccountState::Conflict.as_str()) {
                say(
                    &mut answer,
                    VisitState::Refused,
                    &Code::AccountConflict.into(),
                );
            } else {
                answer.state = match account == Some(AccountState::Linked.as_str()) {
                    true => VisitState::Ready,
                    false => VisitState::New,
                };
                answer.next = Some(self.home());
            }
        }
        Ok(answer)
    }

    /// As the visitor's own first page would have it.
    async fn prepared(&self, admitted: &Admitted, wish: Wish<'_>) -> Result<Introduced, Refusal> {
        // Fresher than what this replica has replayed of the log: who was just disabled gets nothing.
        let mut before = self.on_record().await?;
        if is_disabled(&before) {
            say(
                &mut before,
                VisitState::Refused,
                &Code::AccessDisabled.into(),
            );
            return Ok(before);
        }
        let opened = session::open(
            self.bridge,
            self.site,
            admitted,
            wish.introducer,
            wish.request,
        );
        let opened = Box::pin(opened).await;
        let live = match opened {
            Ok(live) => live,
            Err(Denial::SignedOut(_)) => {
                let mut answer = self.on_record().await?;
                self.sign_out(&mut answer);
                return Ok(answer);
            }
            Err(Denial::Refused(refusal)) => return self.refused(&refusal).await,
        };
        let mut answer = self.on_record().await?;
        // Nor who was signed out elsewhere: what is in memory may be behind by a moment.
        let stored = self.bridge.store.session(live.id).await;
        let stored = stored.map_err(session::store_refusal)?;
        let lives = stored.is_some_and(|stored| stored.ended_at.is_none());
        if is_disabled(&answer) || live.ended().is_some() || !lives {
            return self.refused(&Code::SessionRace.into()).await;
        }
        // On record before it is handed over, also where the session was there already.
        let prepared = (wish.by.event(Kind::ApiWrite))
            .code("visit.prepared")
            .user(live.user)
            .app(&self.site.config.id)
            .session(live.id)
            .detail("cookies", wish.cookies);
        let recorded = self.bridge.audit.record(&*self.bridge.store, prepared);
        recorded.await.map_err(session::store_refusal)?;
        answer.state = VisitState::Ready;
        answer.next = Some(self.home());
        if wish.cookies {
            let now = self.bridge.clock.now();
            answer.cookies = session::cookies(self.bridge, self.site, &live, now)?;
        }
        Ok(answer)
    }

    /// What the visitor would be told: a page, or patience. That the bridge itself can't tell is
    /// the caller's to know instead.
    async fn refused(&self, refusal: &Refusal) -> Result<Introduced, Refusal> {
        let state = match refusal.code {
            Code::StoreUnavailable | Code::RevocationsStale | Code::Internal => {
                return Err(refusal.clone());
            }
            Code::AccountPreparing | Code::SessionRace | Code::SessionRenewed | Code::Busy => {
                VisitState::Preparing
            }
            _ => VisitState::Refused,
        };
        let mut answer = self.on_record().await?;
        say(&mut answer, state, refusal);
        if state == VisitState::Preparing {
            answer.next = Some(self.home());
        }
        Ok(answer)
    }

    async fn on_record(&self) -> Result<Introduced, Refusal> {
        let (store, config) = (&self.bridge.store, &self.site.config);
        let failed = session::store_refusal;
        let user = store.user_by_subject(&self.issuer, &self.subject).await;
        let user = user.map_err(failed)?;
        let account = match &user {
            Some(user) => store.account(&config.id, user.id).await.map_err(failed)?,
            None => None,
        };
        let session = store
            .session_by_sid(&config.id, &self.issuer, &self.subject, &self.sid)
            .await
            .map_err(failed)?;
        let now = self.bridge.clock.now();
        Ok(Introduced {
            app: config.id.clone(),
            host: config.host.clone(),
            state: VisitState::Refused,
            code: None,
            message: None,
            retry_after: None,
            user: user.map(|user| ShownUser {
                id: user.id,
                state: user.state.as_str(),
            }),
            account: account.map(|account| ShownAccount {
                state: account.state.as_str(),
                remote: account.remote.map(String::from),
                username: account.username,
            }),
            session: session
                .filter(|s| s.expires_at > now)
                .map(|s| ShownSession {
                    since: s.created_at,
                    until: s.expires_at,
                }),
            next: None,
            cookies: Vec::new(),
        })
    }

    fn sign_out(&self, answer: &mut Introduced) {
        say(
            answer,
            VisitState::SignedOut,
            &Code::SessionSignedOut.into(),
        );
        answer.next = Some(format!("{}/.pomerium/sign_out", self.site.config.origin));
    }

    fn home(&self) -> String {
        format!("{}{}", self.site.config.origin, self.site.home())
    }
}

/// Whether the person is turned away everywhere (T10).
fn is_disabled(answer: &Introduced) -> bool {
    let user = answer.user.as_ref();
    user.is_some_and(|user| UserState::from_word(user.state).is_none_or(UserState::denies))
}

fn say(answer: &mut Introduced, state: VisitState, refusal: &Refusal) {
    answer.state = state;
    answer.code = Some(refusal.code.as_str());
    answer.message = Some(refusal.code.title());
    answer.retry_after = refusal.retry_after.map(|wait| wait.as_secs().max(1));
}
