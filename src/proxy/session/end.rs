//! Ending sessions: refuse first, cut the sockets, then end the app's session.
//!
//! The store's transaction comes first and is what counts: from there on every replica refuses
//! within the log's second. The app's own session is ended afterwards; until that has worked the
//! sealed token stays in the ended row, and the keeper tries again, after a crash too.

use super::live::Live;
use super::{cookie, establish, store_refusal};
use crate::apps::{AppSession, Liveness};
use crate::error::Refusal;
use crate::proxy::body::Body;
use crate::proxy::bridge::Bridge;
use crate::proxy::forward::Cut;
use crate::proxy::refuse;
use crate::proxy::route::Site;
use crate::store::{By, EndReason, Session, Which};
use crate::types::{RemoteId, SessionId, Timestamp};
use http::Response;
use std::sync::Arc;

/// Ends one session.
pub(super) async fn one(
    bridge: &Arc<Bridge>,
    site: &Site,
    id: SessionId,
    reason: EndReason,
    now: Timestamp,
    by: &By,
) -> Result<(), Refusal> {
    let until = now + site.config.session.tombstone;
    bridge
        .store
        .end_sessions(&Which::Session(id), reason, until, now, by)
        .await
        .map_err(store_refusal)?;
    forget(bridge, &id, reason);
    bridge.wake_keeper();
    Ok(())
}

/// Ends one session because somebody who may has said so.
pub(in crate::proxy) async fn revoke(
    bridge: &Arc<Bridge>,
    site: &Site,
    id: SessionId,
    now: Timestamp,
    by: &By,
) -> Result<(), Refusal> {
    one(bridge, site, id, EndReason::Revoked, now, by).await
}

/// Ends a session that is only in the store.
pub(super) async fn stored(
    bridge: &Arc<Bridge>,
    session: &Session,
    reason: EndReason,
    now: Timestamp,
) -> Result<(), Refusal> {
    let which = Which::Session(session.id);
    bridge
        .store
        .end_sessions(&which, reason, now, now, &bridge.audit.bridge())
        .await
        .map_err(store_refusal)?;
    bridge.wake_keeper();
    Ok(())
}

/// Drops a session from memory and cuts its sockets.
pub(super) fn forget(bridge: &Bridge, id: &SessionId, reason: EndReason) {
    if let Some(live) = bridge.sessions.table.remove(id)
        && live.end(reason)
    {
        if let Some(site) = bridge.site(&live.app) {
            site.metrics.session_ended(reason.as_str());
        }
        tracing::info!(app = %live.app, user = %live.user, session = %id, reason = reason.as_str(), "session ended");
    }
    bridge.tunnels.cut_session(id, Cut::SessionEnded);
}

/// The app's logout, answered by the bridge: the session and its sign-in end here and in the app;
/// the page then loads the root by itself and is sent on from there (tried-for-real, 27).
pub async fn log_out(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    live: &Arc<Live>,
    now: Timestamp,
    by: &By,
) -> Result<Response<Body>, Refusal> {
    one(bridge, site, live.id, EndReason::Logout, now, by).await?;
    let mut answer = refuse::app_ok();
    cookie::clear(site, &mut answer);
    Ok(answer)
}

/// After the visitor ended app sessions in the app itself: finds which of ours died, and ends them
/// as meant (tried-for-real, 13).
pub async fn look_for_ended(bridge: &Arc<Bridge>, site: &Arc<Site>, remote: &RemoteId) {
    let filter = crate::store::SessionFilter {
        app: Some(site.config.id.clone()),
        remote: Some(remote.clone()),
        live: true,
        limit: 500,
        ..Default::default()
    };
    let sessions = match bridge.store.sessions(&filter).await {
        Ok(sessions) => sessions,
        Err(error) => {
            tracing::error!(app = %site.config.id, %error, "could not look for sessions that ended in the app");
            return;
        }
    };
    for session in sessions {
        let Ok((opened, _)) = establish::unseal(bridge, &session) else {
            continue;
        };
        if let Ok(Liveness::EndedEarly | Liveness::Deactivated) = site.strategy.probe(&opened).await
        {
            let now = bridge.clock.now();
            let (reason, by) = (EndReason::EarlyDeath, bridge.audit.bridge());
            if let Err(refusal) = one(bridge, site, session.id, reason, now, &by).await {
                tracing::error!(app = %site.config.id, session = %session.id, reason = %refusal.reason, "a session that ended in the app could not be ended here");
            }
        }
    }
}

/// Ends in the app what ended here; called by the keeper for each ended row that still holds its
/// token.
pub(super) async fn close(bridge: &Arc<Bridge>, site: &Arc<Site>, session: &Session) -> bool {
    let opened: AppSession = match establish::unseal(bridge, session) {
        Ok((opened, _)) => opened,
        Err(refusal) => {
            tracing::error!(session = %session.id, reason = %refusal.reason, "an ended session's token can't be read: it lives on in the app until it expires");
            return true;
        }
    };
    match site.strategy.sign_out(&opened).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(app = %site.config.id, session = %session.id, %error, "the app's session could not be ended yet");
            false
        }
    }
}
