//! When the app refuses the session that we hold for a visitor: expiry that could be foreseen is
//! renewed, once for all who wait; a session that died before its time was ended by someone, and
//! then ours ends too (design §4).

use super::establish::{grant, seal, unseal};
use super::live::Live;
use super::{end, store_refusal};
use crate::apps::{AppSession, Liveness, SignIn};
use crate::audit::Actor;
use crate::config::ExternalRevoke;
use crate::error::{Code, Refusal};
use crate::identity;
use crate::proxy::bridge::Bridge;
use crate::proxy::forward::Cut;
use crate::proxy::route::Site;
use crate::store::{Birth, EndReason, Renewal, Session, UserState};
use crate::telemetry::metrics::SessionEvent;
use crate::types::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So many early deaths of an app's sessions ...
const MASS: usize = 20;
/// ... within so many seconds are no visitor's doing: a restored database, an eviction.
const MASS_WITHIN: i64 = 60;

/// Early deaths lately.
#[derive(Debug, Default)]
pub(super) struct Deaths(Mutex<VecDeque<Timestamp>>);

impl Deaths {
    /// Counts one; `true` when they come in masses.
    fn count(&self, now: Timestamp) -> bool {
        let mut deaths = self.0.lock();
        while deaths.front().is_some_and(|at| now.0 - at.0 > MASS_WITHIN) {
            deaths.pop_front();
        }
        if deaths.len() < MASS {
            deaths.push_back(now);
        }
        deaths.len() >= MASS
    }
}

/// What to do with an answer that refused the session.
pub enum Healed {
    /// The session lives: the refusal is about something else. Pass the answer on.
    NotNeeded,
    /// There is a new app session: send the request again if its body is at hand.
    Renewed,
}

/// Finds out why the app refused, and mends what may be mended. `generation` is that of the
/// credential that was refused: whoever comes after another's renewal finds it done.
///
/// # Errors
/// When the session has ended, or can't be renewed now.
pub async fn heal(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    live: &Arc<Live>,
    generation: i64,
) -> Result<Healed, Refusal> {
    let _one_at_a_time = live.renewing.lock().await;
    if live.ended().is_some() {
        return Err(Code::SessionRequired.into());
    }
    if live.grant().generation != generation {
        return Ok(Healed::Renewed);
    }
    // Another replica may have renewed it already.
    let stored = bridge.store.session(live.id).await.map_err(store_refusal)?;
    match stored {
        Some(s) if s.ended_at.is_some() => return Err(Code::SessionRequired.into()),
        Some(s) if s.generation > generation => {
            take(bridge, site, live, &s)?;
            return Ok(Healed::Renewed);
        }
        _ => {}
    }
    let now = bridge.clock.now();
    let current = AppSession {
        remote: live.remote.clone(),
        token: live.grant().token.clone(),
        csrf: live.grant().app_csrf.clone(),
        id: live.grant().app_session.clone(),
        expires_at: live.app_expires_at(),
    };
    let liveness = site
        .strategy
        .probe(&current)
        .await
        .map_err(identity::refusal)?;
    match liveness {
        Liveness::Alive => Ok(Healed::NotNeeded),
        Liveness::Deactivated => {
            let by = bridge.audit.bridge();
            end::one(bridge, site, live.id, EndReason::AccountGone, now, &by).await?;
            Err(Code::AccountDisabledInApp.into())
        }
        Liveness::Expired => renew(bridge, site, live, generation).await,
        Liveness::EndedEarly => {
            let mass = bridge.sessions.deaths.count(now);
            if mass {
                tracing::error!(app = %site.config.id, "many of the app's sessions died before their time: renewing them instead of signing everyone out");
            }
            if mass || site.config.session.external_revoke == ExternalRevoke::Heal {
                return renew(bridge, site, live, generation).await;
            }
            let by = bridge.audit.bridge();
            end::one(bridge, site, live.id, EndReason::EarlyDeath, now, &by).await?;
            Err(Refusal::new(
                Code::SessionRequired,
                "the session was ended in the app",
            ))
        }
    }
}

async fn renew(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    live: &Arc<Live>,
    generation: i64,
) -> Result<Healed, Refusal> {
    let epoch = bridge.store.epoch(live.user).await.map_err(store_refusal)?;
    let user = bridge.store.user(live.user).await.map_err(store_refusal)?;
    let Some(user) = user.filter(|u| u.state == UserState::Active) else {
        return Err(Code::AccessDisabled.into());
    };
    let context = bridge.identity(site, bridge.audit.by(Actor::Visitor(user.id)));
    let ready = identity::ensure(&context, &user, bridge.clock.now()).await?;
    let sign_in = SignIn {
        remote: &ready.remote,
        password: &ready.password,
        user_agent: Some(live.agent.as_str()).filter(|a| !a.is_empty()),
        client: None,
    };
    let opened = identity::open_session(&context, &ready, &sign_in).await?;
    let renewal = Renewal {
        sealed: seal(bridge, &live.id, site, &opened, live.csrf())?,
        app_session: opened.id.clone(),
        app_expires_at: opened.expires_at,
    };
    let now = bridge.clock.now();
    let renewed = bridge
        .store
        .renew(live.id, generation, &renewal, epoch, now)
        .await;
    if !matches!(&renewed, Ok(Birth::Stands(_))) {
        bridge.close_app_session(site, opened.clone());
    }
    match renewed.map_err(store_refusal)? {
        // `Exists`: another replica was faster, and what it stored stands.
        Birth::Stands(stored) | Birth::Exists(stored) => take(bridge, site, live, &stored)?,
        Birth::Tombstoned(_) | Birth::Gone => return Err(Code::SessionRequired.into()),
        Birth::EpochMoved => return Err(Code::SessionRace.into()),
    }
    site.metrics.session(SessionEvent::Renewed);
    // Sockets of the dead session are mute: the page resumes them with the new one.
    let sockets = bridge.tunnels.cut_session(&live.id, Cut::Renewed);
    tracing::info!(app = %site.config.id, user = %live.user, session = %live.id, sockets, "the app's session was renewed");
    Ok(Healed::Renewed)
}

/// Puts the app session that the store holds under the live session.
fn take(bridge: &Bridge, site: &Site, live: &Live, stored: &Session) -> Result<(), Refusal> {
    let (opened, _) = unseal(bridge, stored)?;
    live.grant
        .store(Arc::new(grant(site, &opened, stored.generation)?));
    live.app_expires_at
        .store(stored.app_expires_at.0, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_deaths_at_once_are_a_mass() {
        let deaths = Deaths::default();
        for second in 0..200 {
            assert!(
                !deaths.count(Timestamp(second * 10)),
                "six a minute are ordinary life"
            );
        }
        let later = Timestamp(100_000);
        let masses = (0..MASS + 5).filter(|_| deaths.count(later)).count();
        assert_eq!(masses, 6);
    }
}
