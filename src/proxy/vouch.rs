//! What the road knows about visitors, for those who stand beside it: [`Visitors`], answered by the
//! same verifier, access rule and negative facts that a request meets.
//!
//! An assertion that a client passes on is no use on the road, and counts in a table of its own:
//! within its life one client alone may pass it on, at most [`PASSED_ON`] times, per replica. A
//! service that asks for tokens of several audiences, and again after a lost answer, needs no more;
//! whoever picks an assertion up elsewhere finds it taken. `/bridge/{app}` notes its uses here, too
//! (`service/introduce`).

use super::access;
use super::assertion::{Assertion, RawAssertion, ReplayTable, ReplayVerdict, Verified};
use super::bridge::Bridge;
use super::route::Site;
use super::session;
use crate::error::{Code, Refusal};
use crate::identity::{Claimed, Visitor, Visitors};
use crate::store::{By, Session, StoreError, TokenFacts, TokenQuestion};
use crate::types::{ClientId, HostName, SessionId, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// How often one assertion may be passed on.
const PASSED_ON: u64 = 16;
/// Assertions remembered as passed on: 2 MiB.
const REMEMBERED: usize = 65_536;
/// Longest leeway of any issuer.
const LEEWAY: Duration = Duration::from_secs(300);

/// The table of what clients passed on.
pub(super) fn passed_on() -> ReplayTable {
    ReplayTable::for_clients(REMEMBERED, LEEWAY, PASSED_ON)
}

#[async_trait]
impl Visitors for Arc<Bridge> {
    async fn by_assertion(
        &self,
        client: &ClientId,
        hosts: &[HostName],
        assertion: &str,
    ) -> Result<Visitor, Refusal> {
        self.sessions.log.must_be_fresh(self.clock.now())?;
        let raw = RawAssertion::from_text(assertion)
            .map_err(|_| Refusal::new(Code::AssertionMalformed, "no text of a header"))?;
        let sites = self.sites.load_full();
        let mut refusal = Refusal::new(Code::AssertionAudience, "no host of the client's");
        for site in hosts.iter().filter_map(|host| sites.by_host(host)) {
            match site
                .verifier
                .verify_refetching(&raw, &site.config.host)
                .await
            {
                Ok(verified) => return vouch(self, client, site, verified).await,
                // What is wrong for every host says more than that it is for another one.
                Err(other) if other.code == Code::AssertionAudience => {}
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }

    async fn by_token(&self, claimed: &Claimed) -> Result<Visitor, Refusal> {
        let facts = self.store.token_facts(&claimed.question).await;
        let facts = facts.map_err(session::store_refusal)?;
        let app = match (&facts.session, &claimed.sign_in) {
            (Some(session), None) => &session.app,
            (None, Some((app, epoch))) if facts.epoch == *epoch => app,
            _ => return ended("neither its session nor its sign-in stands"),
        };
        let Some(site) = self.site(app) else {
            return ended("its app is configured no more");
        };
        if (claimed.host.as_ref()).is_some_and(|host| *host != site.config.host) {
            return ended("it is of another app");
        }
        standing(self, &site, facts, self.clock.now())
    }

    async fn end_session(&self, session: SessionId, by: &By) -> Result<(), Refusal> {
        let found = self.store.session(session).await;
        let Some(found) = found.map_err(session::store_refusal)? else {
            return Ok(());
        };
        let Some(site) = self.site(&found.app) else {
            return Ok(());
        };
        session::revoke(self, &site, session, self.clock.now(), by).await
    }
}

/// From a verified assertion to what may be said of its visitor.
async fn vouch(
    bridge: &Arc<Bridge>,
    client: &ClientId,
    site: &Arc<Site>,
    verified: Verified<Assertion>,
) -> Result<Visitor, Refusal> {
    let now = bridge.clock.now();
    if bridge.passed_on.check_for(&verified, client, now) == ReplayVerdict::Refused {
        return Err(Refusal::new(
            Code::AssertionReplayed,
            "passed on by another client, or too often",
        ));
    }
    let until = verified.expires();
    let sid = verified.sid().clone();
    let seen = session::seen(&verified, now);
    access::decide(&site.config.access, &bridge.facts(now), verified)?;
    let store = |error: StoreError| session::store_refusal(error);
    let user = bridge.store.saw_user(&seen).await.map_err(store)?;
    let (app, of) = (&site.config.id, (&user.issuer, &user.subject));
    let session = bridge.store.session_by_sid(app, of.0, of.1, &sid).await;
    let session = session.map_err(store)?;
    let session = session.filter(|session| is_current(bridge, site, session, now));
    let question = TokenQuestion {
        token: None,
        user: user.id,
        session: session.as_ref().map(|session| session.id),
    };
    let facts = bridge.store.token_facts(&question).await.map_err(store)?;
    // After the log was read: who signs out from here on moves it.
    let tombstone = bridge.store.tombstone(app, of.0, of.1, &sid, now).await;
    if tombstone.map_err(store)?.is_some() {
        return Err(Code::SessionSignedOut.into());
    }
    let mut visitor = standing(bridge, site, facts, now)?;
    if visitor.session.is_none() {
        visitor.until = until;
    }
    Ok(visitor)
}

/// What is known of a token or sign-in, judged as the road judges it.
fn standing(
    bridge: &Bridge,
    site: &Site,
    facts: TokenFacts,
    now: Timestamp,
) -> Result<Visitor, Refusal> {
    if facts.revoked {
        return ended("it was revoked");
    }
    let Some(user) = facts.user else {
        return ended("nobody is known by this id");
    };
    access::still(&site.config.access, &bridge.facts(now), &user)?;
    let mut until = Timestamp(i64::MAX);
    if let Some(session) = &facts.session {
        let theirs = session.user == user.id && session.app == site.config.id;
        if !theirs || !is_current(bridge, site, session, now) {
            return ended("its session has ended");
        }
        until = session.expires_at;
    }
    Ok(Visitor {
        user,
        app: site.config.id.clone(),
        host: site.config.host.clone(),
        session: facts.session.map(|session| session.id),
        until,
        epoch: facts.epoch,
    })
}

/// Whether a stored session is what the road would still take; what this replica saw and has not
/// written yet counts.
fn is_current(bridge: &Bridge, site: &Site, session: &Session, now: Timestamp) -> bool {
    let live = bridge.sessions.table.get(&session.id);
    let seen = live.as_ref().map_or(session.last_seen, |live| {
        live.last_seen().max(session.last_seen)
    });
    // What another replica was told is in the row; what this one was told may be on its way there.
    let admission = live.as_ref().map_or(session.admission, |live| {
        live.admission().with(session.admission)
    });
    session.ended_at.is_none()
        && live.is_none_or(|live| live.ended().is_none())
        && !admission.is_refused()
        && session.expires_at > now
        && seen + site.config.session.idle > now
}

fn ended<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::new(Code::SessionRequired, reason))
}
