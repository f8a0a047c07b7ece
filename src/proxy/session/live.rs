//! A session as it lives in memory: what the hot path reads, without a lock and without the store.

use crate::apps::Profile;
use crate::store::{Admission, EndReason, Session};
use crate::types::{
    AccountId, AppId, AppToken, HostName, IssuerId, RemoteId, SessionId, Sid, Subject, Timestamp,
    UserId,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// What is sealed in the store: the app's credential and both CSRF values.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedGrant {
    pub token: String,
    pub app_csrf: String,
    pub csrf: String,
}

impl Drop for SealedGrant {
    fn drop(&mut self) {
        self.token.zeroize();
        self.app_csrf.zeroize();
        self.csrf.zeroize();
    }
}

/// The app's credential in the form that the swap writes: made once a renewal, cloned per request
/// (a reference count).
pub struct Grant {
    /// The app's token, for the strategy alone.
    pub token: AppToken,
    /// The app's current CSRF value; empty when it has none.
    pub app_csrf: String,
    /// The Cookie text that goes up, without anything of the browser's.
    pub cookie: HeaderValue,
    /// The header value that replaces the browser's CSRF header.
    pub csrf_header: Option<HeaderValue>,
    /// The app's own id of its session.
    pub app_session: Option<String>,
    /// Raised by each renewal.
    pub generation: i64,
}

/// Where the session stands with its sign-in.
pub struct Standing {
    /// The current sid.
    pub sid: Sid,
    /// Sids it had before.
    pub former: Vec<Sid>,
    /// Absolute limit.
    pub expires_at: Timestamp,
}

/// A bridge cookie whose signature was found good: its bytes need no second look while the key ring
/// and the app's host are the same (design §4, T17). Expiry and liveness are checked on every hit.
pub(super) struct ProvenCookie {
    pub bytes: Box<[u8]>,
    /// The host that it was found good for: its audience. A reload may give the app another.
    pub host: HostName,
    pub expires_at: Timestamp,
    pub ring_epoch: u64,
}

/// One live session.
pub struct Live {
    /// Ours.
    pub id: SessionId,
    /// In which app.
    pub app: AppId,
    /// Who vouches.
    pub issuer: IssuerId,
    /// Whom for.
    pub subject: Subject,
    /// The shadow user.
    pub user: UserId,
    /// Their account.
    pub account: AccountId,
    /// The app's own id of it.
    pub remote: RemoteId,
    /// Born.
    pub created_at: Timestamp,
    /// The visitor's agent, as lists show it.
    pub agent: String,
    /// The CSRF value that the page holds: stable for the life of the session, never per browser.
    csrf: String,
    pub(super) standing: ArcSwap<Standing>,
    /// When the current sid brought its first assertion: the newer standing wins.
    pub(super) sid_since: AtomicI64,
    /// What the app calls them, as we last wrote it: identity requests are judged against it.
    pub(super) profile: ArcSwap<Profile>,
    pub(super) grant: ArcSwap<Grant>,
    pub(super) app_expires_at: AtomicI64,
    pub(super) proven: ArcSwapOption<ProvenCookie>,
    /// Digest of the attributes that the account was last brought up to date with.
    pub(super) attributes: AtomicU64,
    last_seen: AtomicI64,
    pub(super) flushed: AtomicI64,
    /// Cookies set that came back wrong, in a row: the loop guard.
    pub(super) unanswered: AtomicU32,
    /// 0 while live; else 1 + the reason's place in `REASONS`.
    ended: AtomicU8,
    /// What the access rule last said of its sign-in, on any replica ([`Admission`]).
    refused_at: AtomicI64,
    readmitted_at: AtomicI64,
    /// Serialises renewals.
    pub(super) renewing: tokio::sync::Mutex<()>,
}

const REASONS: [EndReason; 8] = [
    EndReason::Logout,
    EndReason::Revoked,
    EndReason::EarlyDeath,
    EndReason::UserDisabled,
    EndReason::Expired,
    EndReason::PolicyChanged,
    EndReason::PersonChanged,
    EndReason::AccountGone,
];

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({}, user {})", self.id, self.user)
    }
}

impl Live {
    pub(super) fn new(stored: &Session, grant: Grant, csrf: String, profile: Profile) -> Arc<Self> {
        Arc::new(Self {
            id: stored.id,
            app: stored.app.clone(),
            issuer: stored.issuer.clone(),
            subject: stored.subject.clone(),
            user: stored.user,
            account: stored.account,
            remote: stored.remote.clone(),
            created_at: stored.created_at,
            agent: stored.agent.clone(),
            csrf,
            standing: ArcSwap::from_pointee(Standing::of(stored)),
            sid_since: AtomicI64::new(stored.sid_since.0),
            profile: ArcSwap::from_pointee(profile),
            grant: ArcSwap::from_pointee(grant),
            app_expires_at: AtomicI64::new(stored.app_expires_at.0),
            proven: ArcSwapOption::empty(),
            attributes: AtomicU64::new(0),
            last_seen: AtomicI64::new(stored.last_seen.0),
            flushed: AtomicI64::new(stored.last_seen.0),
            unanswered: AtomicU32::new(0),
            ended: AtomicU8::new(0),
            refused_at: AtomicI64::new(stored.admission.refused_at.0),
            readmitted_at: AtomicI64::new(stored.admission.readmitted_at.0),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    /// Whether the session is this subject's.
    pub fn belongs_to(&self, issuer: &IssuerId, subject: &Subject) -> bool {
        self.issuer == *issuer && self.subject == *subject
    }

    /// The CSRF value that the page holds.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether `value` is the page's CSRF value; in constant time.
    pub fn is_csrf(&self, value: &[u8]) -> bool {
        self.csrf.as_bytes().ct_eq(value).into()
    }

    /// The credential of the moment.
    pub fn grant(&self) -> arc_swap::Guard<Arc<Grant>> {
        self.grant.load()
    }

    /// Where it stands with its sign-in.
    pub fn standing(&self) -> arc_swap::Guard<Arc<Standing>> {
        self.standing.load()
    }

    /// What the app calls them.
    pub fn profile(&self) -> arc_swap::Guard<Arc<Profile>> {
        self.profile.load()
    }

    /// When the app's session ends by itself, as far as we know.
    pub fn app_expires_at(&self) -> Timestamp {
        Timestamp(self.app_expires_at.load(Ordering::Relaxed))
    }

    /// Notes that the app extended its session.
    pub fn extended_to(&self, until: Timestamp) {
        self.app_expires_at.fetch_max(until.0, Ordering::Relaxed);
    }

    /// Takes over where the store says that it stands: after a carry-over, here or elsewhere.
    pub(super) fn stands(&self, stored: &Session) {
        self.standing.store(Arc::new(Standing::of(stored)));
        self.sid_since.store(stored.sid_since.0, Ordering::Relaxed);
    }

    /// Notes a sign of life.
    pub fn seen(&self, now: Timestamp) {
        // A plain load first: most requests fall into a second that is noted already.
        if self.last_seen.load(Ordering::Relaxed) < now.0 {
            self.last_seen.fetch_max(now.0, Ordering::Relaxed);
        }
    }

    /// The last sign of life on this replica.
    pub fn last_seen(&self) -> Timestamp {
        Timestamp(self.last_seen.load(Ordering::Relaxed))
    }

    /// Whether neither its absolute nor its idle limit is reached, as far as this replica knows.
    pub fn is_current(&self, idle: Duration, now: Timestamp) -> bool {
        self.standing().expires_at > now && self.last_seen() + idle > now
    }

    /// What the access rule last said of its sign-in, as far as this replica knows.
    pub fn admission(&self) -> Admission {
        Admission {
            refused_at: Timestamp(self.refused_at.load(Ordering::Relaxed)),
            readmitted_at: Timestamp(self.readmitted_at.load(Ordering::Relaxed)),
        }
    }

    /// Takes over what is known of it elsewhere; gives whether its person stands turned away by it
    /// and did not before.
    pub(super) fn heard(&self, elsewhere: Admission) -> bool {
        let before = self.admission();
        self.say(elsewhere);
        self.admission().is_refused() && !before.is_refused()
    }

    /// Notes that the rule turned away an assertion: the session stays, but vouches for nobody
    /// meanwhile (T10). `true` when that is news.
    pub(super) fn refused_by(&self, issued: Timestamp) -> bool {
        let news = self.admission().refused_by(issued);
        news.is_some_and(|news| self.say(news))
    }

    /// Notes that the rule admitted an assertion. `true` when that is news: hardly ever.
    pub(super) fn admitted_by(&self, issued: Timestamp) -> bool {
        let news = self.admission().admitted_by(issued);
        news.is_some_and(|news| self.say(news))
    }

    /// Times only grow: `true` when one of them did, so that of several at once one has the news.
    fn say(&self, now: Admission) -> bool {
        let grows = |known: &AtomicI64, to: Timestamp| {
            to.0 > known.load(Ordering::Relaxed) && to.0 > known.fetch_max(to.0, Ordering::Relaxed)
        };
        let refused = grows(&self.refused_at, now.refused_at);
        let readmitted = grows(&self.readmitted_at, now.readmitted_at);
        refused || readmitted
    }

    /// Marks it ended; the first reason stands. `true` when it was live.
    pub fn end(&self, reason: EndReason) -> bool {
        let word = 1 + REASONS.iter().position(|r| *r == reason).unwrap_or(0) as u8;
        self.ended
            .compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Why it ended, if it did.
    pub fn ended(&self) -> Option<EndReason> {
        let word = self.ended.load(Ordering::Acquire);
        REASONS.get(usize::from(word).wrapping_sub(1)).copied()
    }
}

impl Standing {
    pub(super) fn of(stored: &Session) -> Self {
        Self {
            sid: stored.sid.clone(),
            former: stored.former_sids.clone(),
            expires_at: stored.expires_at,
        }
    }

    /// Whether the sign-in `sid` is or was this session's.
    pub fn knows(&self, sid: &Sid) -> bool {
        self.sid == *sid || self.former.contains(sid)
    }
}
