//! App sessions that a bridge opened and died before it could write them down (T36): nobody holds
//! their token any more, so nobody would ever end them.

use crate::apps::OpenSession;
use crate::proxy::bridge::Bridge;
use crate::proxy::route::Site;
use crate::store::{Session, SessionFilter};
use crate::types::{RemoteId, Timestamp, UserId};
use std::sync::Arc;

/// Seconds that a sign-in may take from the app's login to the row that knows of it: younger ones
/// may be another replica's, at work.
const AT_WORK: i64 = 60;
/// The most sessions of an account that are compared; with more of ours nothing is ended.
const MOST: u32 = 500;

/// Ends them beside the request, at each new sign-in of the account.
pub(super) fn sweep(bridge: &Arc<Bridge>, site: &Arc<Site>, user: UserId, remote: &RemoteId) {
    let (bridge, site, remote) = (bridge.clone(), site.clone(), remote.clone());
    bridge.clone().tasks.spawn(async move {
        if let Err(reason) = end_orphans(&bridge, &site, user, &remote).await {
            tracing::warn!(app = %site.config.id, %remote, %reason, "lost sessions of the app could not be looked for");
        }
    });
}

async fn end_orphans(
    bridge: &Bridge,
    site: &Site,
    user: UserId,
    remote: &RemoteId,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    // The app first: what is born meanwhile is then in the rows.
    let open = site.strategy.open_sessions(remote).await;
    let open = open.map_err(|e| text(&e))?;
    let filter = SessionFilter {
        app: Some(site.config.id.clone()),
        remote: Some(remote.clone()),
        limit: MOST,
        ..SessionFilter::default()
    };
    let known = bridge.store.sessions(&filter).await.map_err(|e| text(&e))?;
    if known.len() >= MOST as usize {
        return Ok(());
    }
    let account = bridge.store.account(&site.config.id, user).await;
    let Some(account) = account.map_err(|e| text(&e))? else {
        return Ok(());
    };
    for id in orphans(&open, &known, account.created_at, bridge.clock.now()) {
        tracing::warn!(app = %site.config.id, %remote, session = id, "ending a session of the app that no sign-in knows of: its bridge died while making it");
        site.strategy
            .end_session(remote, id)
            .await
            .map_err(|e| text(&e))?;
    }
    Ok(())
}

/// Which of the app's sessions nobody here knows: opened since the account is ours, not just now.
fn orphans<'s>(
    open: &'s [OpenSession],
    known: &[Session],
    ours_since: Timestamp,
    now: Timestamp,
) -> Vec<&'s str> {
    // A live row that could not learn its session's id may be any of them.
    let nameless = |s: &Session| s.ended_at.is_none() && s.app_session.is_none();
    if known.iter().any(nameless) {
        return Vec::new();
    }
    open.iter()
        .filter(|o| o.created_at >= ours_since && o.created_at.0 + AT_WORK < now.0)
        .filter(|o| {
            !known
                .iter()
                .any(|s| s.app_session.as_deref() == Some(&o.id))
        })
        .map(|o| o.id.as_str())
        .collect()
}
