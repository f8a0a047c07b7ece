//! Making a session: load, carry over, or sign in anew.
//!
//! Every write is conditional on "no tombstone, epoch unchanged", so that whoever is revoked while
//! a sign-in is under way does not get in by it; the app session that was just opened is then
//! ended. A crash between two steps heals: the intent is on record before the app is asked, and
//! what a dead bridge left open in the app is closed by the keeper.

use super::live::{Grant, Live, SealedGrant};
use super::{end, flight, orphans, store_refusal};
use crate::apps::{AppSession, SignIn};
use crate::audit::Actor;
use crate::directory::View;
use crate::error::{Code, Refusal};
use crate::identity;
use crate::keys::random;
use crate::keys::seal::Purpose;
use crate::proxy::access::Admitted;
use crate::proxy::assertion::Assertion;
use crate::proxy::bridge::Bridge;
use crate::proxy::edge::CleanRequest;
use crate::proxy::route::Site;
use crate::store::{Admission, Birth, EndReason, SeenUser, Session, Tombstone, User};
use crate::telemetry::RequestId;
use crate::telemetry::metrics::SessionEvent;
use crate::types::{AppToken, ClientId, SessionId, Sid, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use http::header::USER_AGENT;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why there is no session.
#[derive(Debug, Clone)]
pub(in crate::proxy) enum Denial {
    /// Refused.
    Refused(Refusal),
    /// The sign-in is tombstoned.
    SignedOut(Tombstone),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Code> for Denial {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl From<crate::store::StoreError> for Denial {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Refused(store_refusal(error))
    }
}

/// What making a session needs to know; owned, since it outlives the request.
#[derive(Clone)]
struct Wish {
    seen: SeenUser,
    sid: Sid,
    /// The session that the browser's good cookie names.
    proven: Option<SessionId>,
    /// Whether a new one may be made: for pages only. Anything else gets 401, and the page reloads.
    create: bool,
    agent: Option<String>,
    client: Option<IpAddr>,
    /// The service that introduced them, when that came first.
    introducer: Option<ClientId>,
    /// Of the request that came first.
    request: RequestId,
}

/// What an assertion says of its person, for the records.
pub(in crate::proxy) fn seen(who: &Assertion, now: Timestamp) -> SeenUser {
    SeenUser {
        issuer: who.issuer().clone(),
        subject: who.subject().clone(),
        email: who.email().to_owned(),
        email_verified: who.email_verified(),
        name: who.name().to_owned(),
        username: given(who.username()),
        locale: given(who.locale()),
        groups: who.groups().to_vec(),
        at: now,
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What of a request its session remembers, or its records.
#[derive(Default)]
pub(super) struct Browser {
    agent: Option<String>,
    client: Option<IpAddr>,
    introducer: Option<ClientId>,
}

impl Browser {
    pub(super) fn of(request: &CleanRequest) -> Self {
        let agent = request.headers().get(USER_AGENT);
        Self {
            agent: agent.and_then(|v| v.to_str().ok()).map(str::to_owned),
            client: request.client_ip(),
            introducer: None,
        }
    }

    /// None there is: a service speaks for the visitor.
    pub(super) fn spoken_for(introducer: &ClientId) -> Self {
        Self {
            introducer: Some(introducer.clone()),
            ..Self::default()
        }
    }
}

/// Gets the session of a sign-in that is not in memory, waiting as long as the visitor would.
pub(super) async fn obtain(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    browser: Browser,
    admitted: &Admitted,
    proven: Option<SessionId>,
    page: bool,
    request_id: &RequestId,
) -> Result<Arc<Live>, Denial> {
    let who = admitted.assertion();
    let wish = Wish {
        seen: seen(who, bridge.clock.now()),
        sid: who.sid().clone(),
        proven,
        create: page,
        agent: browser.agent,
        client: browser.client,
        introducer: browser.introducer,
        request: request_id.clone(),
    };
    let key = format!(
        "{}\n{}\n{}\n{}\n{}\n{}",
        site.config.id,
        who.issuer(),
        who.subject(),
        who.sid(),
        proven.map(|id| id.to_string()).unwrap_or_default(),
        page
    );
    let (b, s) = (bridge.clone(), site.clone());
    let outcome =
        flight::Flights::join(bridge, key, move || async move { make(&b, &s, wish).await })
            .ok_or(Code::Busy)?;
    let patience = if page {
        site.config.session.page_wait
    } else {
        site.config.session.other_wait
    };
    flight::wait(outcome, patience)
        .await
        .unwrap_or(Err(Code::AccountPreparing.into()))
}

async fn make(bridge: &Arc<Bridge>, site: &Arc<Site>, wish: Wish) -> Result<Arc<Live>, Denial> {
    let now = bridge.clock.now();
    let app = &site.config.id;
    let SeenUser {
        issuer, subject, ..
    } = &wish.seen;
    if let Some(live) = stored(bridge, site, &wish, now).await? {
        return Ok(live);
    }
    if let Some(tombstone) = bridge
        .store
        .tombstone(app, issuer, subject, &wish.sid, now)
        .await?
    {
        return Err(Denial::SignedOut(tombstone));
    }
    if let Some(live) = carried_over(bridge, site, &wish, now).await? {
        return Ok(live);
    }
    if !wish.create {
        return Err(Code::SessionRequired.into());
    }
    let user = bridge.store.saw_user(&wish.seen).await?;
    if user.state.denies() {
        bridge.sessions.denied.set(issuer, subject, true);
        return Err(Code::AccessDisabled.into());
    }
    // A directory may have said so since they were admitted: then nothing is made in the app.
    let denied = |view: &View<'_>| view.denial().is_some();
    if bridge.standings.ask(issuer, subject, denied) {
        return Err(Code::AccessDisabled.into());
    }
    let _lock = bridge
        .store
        .lock(&identity::turn(app, &user), site.config.session.other_wait)
        .await?;
    if let Some(live) = stored(bridge, site, &wish, now).await? {
        return Ok(live);
    }
    sign_in(bridge, site, &wish, &user).await
}

/// The session of this sign-in as another replica, or an earlier life of this one, left it.
async fn stored(
    bridge: &Arc<Bridge>,
    site: &Site,
    wish: &Wish,
    now: Timestamp,
) -> Result<Option<Arc<Live>>, Denial> {
    let SeenUser {
        issuer, subject, ..
    } = &wish.seen;
    match bridge
        .store
        .session_by_sid(&site.config.id, issuer, subject, &wish.sid)
        .await?
    {
        Some(session) if is_current(&session, site, now) => {
            Ok(Some(adopt(bridge, site, &session).await?))
        }
        Some(session) => {
            end::stored(bridge, &session, EndReason::Expired, now).await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Whether neither limit of a stored session is reached.
fn is_current(session: &Session, site: &Site, now: Timestamp) -> bool {
    session.expires_at > now && session.last_seen + site.config.session.idle > now
}

/// The session that the browser's cookie names, moved to the new sid: same token, same CSRF value.
async fn carried_over(
    bridge: &Arc<Bridge>,
    site: &Site,
    wish: &Wish,
    now: Timestamp,
) -> Result<Option<Arc<Live>>, Denial> {
    let Some(id) = wish.proven else {
        return Ok(None);
    };
    let SeenUser {
        issuer, subject, ..
    } = &wish.seen;
    let Some(session) = bridge.store.session(id).await? else {
        return Ok(None);
    };
    let same = session.app == site.config.id
        && session.issuer == *issuer
        && session.subject == *subject
        && session.ended_at.is_none()
        && is_current(&session, site, now);
    let overall = session.created_at + site.config.session.overall;
    if !same || overall <= now {
        return Ok(None);
    }
    let expires_at = (now + site.config.session.absolute).min(overall);
    let epoch = bridge.store.epoch(session.user).await?;
    match bridge
        .store
        .carry_over(id, &wish.sid, expires_at, epoch, now)
        .await?
    {
        Birth::Stands(moved) | Birth::Exists(moved) => {
            let live = adopt(bridge, site, &moved).await?;
            live.stands(&moved);
            bridge.sessions.table.add_sid(&live, &wish.sid);
            site.metrics.session(SessionEvent::CarriedOver);
            tracing::info!(app = %site.config.id, user = %live.user, session = %id, "session carried over to a new sign-in");
            Ok(Some(live))
        }
        Birth::Tombstoned(tombstone) => Err(Denial::SignedOut(tombstone)),
        Birth::EpochMoved => Err(Code::SessionRace.into()),
        Birth::Gone => Ok(None),
    }
}

/// Ensures the account, opens the app's session, and gives birth to ours.
async fn sign_in(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    wish: &Wish,
    user: &User,
) -> Result<Arc<Live>, Denial> {
    // Read before the app is asked: what is revoked from here on is noticed at birth.
    let epoch = bridge.store.epoch(user.id).await?;
    let witness = bridge
        .audit
        .by(Actor::Visitor(user.id))
        .request(wish.request.as_str())
        .client(wish.client)
        .introduced_by(wish.introducer.as_ref())
        .email(&user.email);
    let context = bridge.identity(site, witness.clone());
    let ready = identity::ensure(&context, user, bridge.clock.now()).await?;
    let sign_in = SignIn {
        remote: &ready.remote,
        password: &ready.password,
        user_agent: wish.agent.as_deref(),
        client: wish.client,
    };
    let opened = identity::open_session(&context, &ready, &sign_in).await?;
    let now = bridge.clock.now();
    let csrf = csrf_value()?;
    let id = random::session_id().map_err(no_randomness)?;
    let session = Session {
        id,
        app: site.config.id.clone(),
        issuer: user.issuer.clone(),
        subject: user.subject.clone(),
        user: user.id,
        account: ready.account,
        remote: ready.remote.clone(),
        sid: wish.sid.clone(),
        former_sids: Vec::new(),
        sealed: seal(bridge, &id, site, &opened, &csrf)?,
        app_session: opened.id.clone(),
        app_expires_at: opened.expires_at,
        generation: 0,
        created_at: now,
        sid_since: now,
        expires_at: now + site.config.session.absolute,
        last_seen: now,
        admission: Admission::default(),
        ended_at: None,
        end_reason: None,
        agent: wish
            .agent
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(120)
            .collect(),
    };
    // With its record or not at all: nobody comes in unrecorded.
    let birth = bridge
        .store
        .birth(&session, epoch, now, &witness.by())
        .await;
    if !matches!(&birth, Ok(Birth::Stands(_))) {
        // Nobody will ever use what was opened.
        bridge.close_app_session(site, opened.clone());
    }
    match birth? {
        Birth::Stands(stored) => {
            let live = Live::new(&stored, grant(site, &opened, 0)?, csrf, ready.profile);
            live.attributes
                .store(attributes_of(&wish.seen), Ordering::Relaxed);
            site.metrics.session(SessionEvent::Born);
            tracing::info!(app = %site.config.id, user = %user.id, session = %id, "signed in");
            orphans::sweep(bridge, site, user.id, &ready.remote);
            Ok(enter(bridge, live).await?)
        }
        Birth::Exists(other) => Ok(adopt(bridge, site, &other).await?),
        Birth::Tombstoned(tombstone) => Err(Denial::SignedOut(tombstone)),
        Birth::EpochMoved | Birth::Gone => Err(Code::SessionRace.into()),
    }
}

/// Takes a stored session into memory.
pub(super) async fn adopt(
    bridge: &Arc<Bridge>,
    site: &Site,
    session: &Session,
) -> Result<Arc<Live>, Refusal> {
    if let Some(live) = bridge.sessions.table.get(&session.id) {
        // Another replica may have carried it over meanwhile.
        if session.sid_since.0 >= live.sid_since.load(Ordering::Relaxed) {
            live.stands(session);
            bridge.sessions.table.add_sid(&live, &session.sid);
        }
        return Ok(live);
    }
    let (opened, csrf) = unseal(bridge, session)?;
    let account = bridge
        .store
        .account(&session.app, session.user)
        .await
        .map_err(store_refusal)?;
    let profile = account
        .map(|a| identity::Memo::of(&a).profile)
        .unwrap_or_default();
    let live = Live::new(
        session,
        grant(site, &opened, session.generation)?,
        csrf,
        profile,
    );
    enter(bridge, live).await
}

/// Takes a session into memory, then looks at the store once more: what was revoked between the
/// first look and this line was replayed from the log before there was anything here to end.
async fn enter(bridge: &Arc<Bridge>, live: Arc<Live>) -> Result<Arc<Live>, Refusal> {
    let live = bridge.sessions.table.insert(live);
    match bridge.store.session(live.id).await {
        Ok(Some(session)) if session.ended_at.is_none() => Ok(live),
        Ok(ended) => {
            let reason = ended.and_then(|session| session.end_reason);
            end::forget(bridge, &live.id, reason.unwrap_or(EndReason::Revoked));
            Err(Code::SessionRace.into())
        }
        Err(error) => {
            bridge.sessions.table.remove(&live.id);
            Err(store_refusal(error))
        }
    }
}

/// The app session that a stored session holds, and the page's CSRF value.
pub(super) fn unseal(bridge: &Bridge, session: &Session) -> Result<(AppSession, String), Refusal> {
    let purpose = Purpose::Session(&session.id, &session.app);
    let opened = bridge
        .master
        .load()
        .open(purpose, &session.sealed)
        .map_err(|e| {
            Refusal::new(
                Code::Internal,
                format!("the session's seal does not open: {e}"),
            )
        })?;
    let sealed: SealedGrant = serde_json::from_slice(&opened).map_err(|_| {
        Refusal::new(
            Code::Internal,
            "the session's seal holds what this version can't read",
        )
    })?;
    let app_session = AppSession {
        remote: session.remote.clone(),
        token: AppToken::new(sealed.token.clone()),
        csrf: sealed.app_csrf.clone(),
        id: session.app_session.clone(),
        expires_at: session.app_expires_at,
    };
    Ok((app_session, sealed.csrf.clone()))
}

/// Seals the app's credential and both CSRF values for the store.
pub(super) fn seal(
    bridge: &Bridge,
    id: &SessionId,
    site: &Site,
    opened: &AppSession,
    csrf: &str,
) -> Result<Vec<u8>, Refusal> {
    let sealed = SealedGrant {
        token: opened.token.expose().to_owned(),
        app_csrf: opened.csrf.clone(),
        csrf: csrf.to_owned(),
    };
    let text = zeroize::Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default());
    bridge
        .master
        .load()
        .seal(Purpose::Session(id, &site.config.id), &text)
        .map_err(|e| Refusal::new(Code::Internal, e.to_string()))
}

/// 160 bits as base64url: as long as the app's own.
fn csrf_value() -> Result<String, Refusal> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<20>().map_err(no_randomness)?))
}

fn no_randomness(error: random::NoRandomness) -> Refusal {
    Refusal::new(Code::Internal, error.to_string())
}

/// The credential in the form that the swap writes.
pub(super) fn grant(site: &Site, opened: &AppSession, generation: i64) -> Result<Grant, Refusal> {
    let unusable = |_| Refusal::new(Code::AppBadAnswer, "the app's token makes no header value");
    let text = site
        .rules
        .credential_cookie(&opened.token, &opened.csrf, &opened.remote);
    let mut cookie = HeaderValue::from_str(&text).map_err(unusable)?;
    cookie.set_sensitive(true);
    let csrf_header = match opened.csrf.as_str() {
        "" => None,
        csrf => {
            let mut value = HeaderValue::from_str(csrf).map_err(unusable)?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    Ok(Grant {
        token: opened.token.clone(),
        app_csrf: opened.csrf.clone(),
        cookie,
        csrf_header,
        app_session: opened.id.clone(),
        generation,
    })
}

fn attributes_of(seen: &SeenUser) -> u64 {
    attributes(
        &seen.email,
        &seen.name,
        seen.username.as_deref().unwrap_or_default(),
        seen.locale.as_deref().unwrap_or_default(),
    )
}

fn attributes(email: &str, name: &str, username: &str, locale: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (email, name, username, locale).hash(&mut hasher);
    hasher.finish().max(1)
}

/// Brings the account up to date, beside the request, when the assertion says something new. The
/// first assertions of a login may carry an old e-mail (recordings/pomerium, difference 13), so
/// this runs for the whole life of a session.
pub(super) fn refresh_attributes(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    live: &Arc<Live>,
    who: &Assertion,
) {
    let new = attributes(who.email(), who.name(), who.username(), who.locale());
    let old = live.attributes.load(Ordering::Relaxed);
    if old == new
        || live
            .attributes
            .compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
    {
        return;
    }
    let seen = seen(who, bridge.clock.now());
    let (bridge, site, live) = (bridge.clone(), site.clone(), live.clone());
    bridge.clone().tasks.spawn(async move {
        let done = async {
            let user = bridge.store.saw_user(&seen).await.map_err(store_refusal)?;
            let witness = bridge.audit.by(Actor::Visitor(user.id)).email(&user.email);
            let context = bridge.identity(&site, witness);
            identity::update(&context, &user, bridge.clock.now()).await
        };
        match done.await {
            Ok(Some(profile)) => live.profile.store(Arc::new(profile)),
            Ok(None) => {}
            Err(refusal) => {
                // Tried again when the next assertion comes.
                live.attributes.store(0, Ordering::Relaxed);
                tracing::warn!(app = %site.config.id, user = %live.user, code = refusal.code.as_str(), reason = %refusal.reason, "the account could not be brought up to date");
            }
        }
    });
}
