//! The sweeps: marks of life flushed, stale sockets cut, outlived sessions ended, and what ended
//! here ended in the app as well.

use super::end;
use crate::proxy::bridge::Bridge;
use crate::proxy::forward::Cut;
use crate::store::{EndReason, SessionFilter, StoreError};
use crate::types::{SessionId, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often marks of life are flushed and sockets are looked at.
const SWEEP: Duration = Duration::from_secs(15);
/// How often the store is searched for outlived sessions and old rows.
const TIDY: Duration = Duration::from_secs(300);
/// How long ended rows and log entries are kept for `sessions list`.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions closed in the app a round, and outlived ones ended a round.
const BATCH: u32 = 50;

/// Keeps house until told to stop; then flushes once more.
pub async fn keep(bridge: Arc<Bridge>, stop: CancellationToken) {
    let mut tidied: Option<Instant> = None;
    loop {
        let round = async {
            close_ended(&bridge).await?;
            sweep(&bridge).await?;
            if tidied.is_none_or(|at| at.elapsed() > TIDY) {
                tidied = Some(Instant::now());
                tidy(&bridge).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = round.await {
            bridge.metrics.store_error(error.trouble());
            tracing::warn!(%error, "the sweep failed; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SWEEP) => {}
            () = bridge.keeper_woken() => {}
        }
    }
    if let Err(error) = flush(&bridge).await {
        tracing::warn!(%error, "the last marks of life could not be written");
    }
}

/// Ends in the app what ended here and still holds its token.
async fn close_ended(bridge: &Arc<Bridge>) -> Result<(), StoreError> {
    let sites = bridge.sites.load_full();
    for session in bridge.store.unclosed_sessions(BATCH).await? {
        let Some(site) = sites.iter().find(|s| s.config.id == session.app) else {
            continue;
        };
        if end::close(bridge, site, &session).await {
            bridge.store.session_closed(session.id).await?;
        }
    }
    Ok(())
}

async fn flush(bridge: &Bridge) -> Result<(), StoreError> {
    let mut marks = Vec::new();
    let mut flushed = Vec::new();
    for live in bridge.sessions.table.all() {
        let seen = live.last_seen();
        if seen.0 > live.flushed.load(Ordering::Relaxed) {
            marks.push((live.id, seen));
            flushed.push(live);
        }
    }
    if marks.is_empty() {
        return Ok(());
    }
    bridge.store.touch(&marks).await?;
    for (live, (_, seen)) in flushed.iter().zip(&marks) {
        live.flushed.store(seen.0, Ordering::Relaxed);
    }
    Ok(())
}

async fn sweep(bridge: &Arc<Bridge>) -> Result<(), StoreError> {
    flush(bridge).await?;
    let now = bridge.clock.now();
    bridge.tunnels.cut_aged(now);
    let sites = bridge.sites.load_full();
    cut_stale(bridge, &sites, now).await?;
    for live in bridge.sessions.table.all() {
        let site = sites.iter().find(|s| s.config.id == live.app);
        if site.is_none_or(|s| !live.is_current(s.config.session.idle, now)) {
            // Out of memory here; the tidying below ends it in the store once no replica sees it:
            // another one may have carried it over.
            if live.standing().expires_at <= now {
                end::forget(bridge, &live.id, EndReason::Expired);
            } else {
                bridge.sessions.table.remove(&live.id);
            }
        }
    }
    Ok(())
}

/// Cuts the sockets of sessions that brought no assertion to any replica for too long (design §4,
/// stale rule): a healthy page comes back by itself, a signed-out one cannot.
async fn cut_stale(
    bridge: &Bridge,
    sites: &crate::proxy::route::Sites,
    now: Timestamp,
) -> Result<(), StoreError> {
    let limits: HashMap<_, _> = sites
        .iter()
        .map(|s| (&s.config.id, s.config.session.stale_after))
        .collect();
    let stale = |app: &crate::types::AppId, seen: Timestamp| {
        limits.get(app).is_some_and(|after| seen + *after <= now)
    };
    let mut quiet: Vec<(SessionId, crate::types::AppId)> = Vec::new();
    for id in bridge.tunnels.sessions() {
        match bridge.sessions.table.get(&id) {
            Some(live) if stale(&live.app, live.last_seen()) => quiet.push((id, live.app.clone())),
            Some(_) => {}
            // A socket whose session is gone: cut at once.
            None => {
                bridge.tunnels.cut_session(&id, Cut::SessionEnded);
            }
        }
    }
    if quiet.is_empty() {
        return Ok(());
    }
    let ids: Vec<SessionId> = quiet.iter().map(|(id, _)| *id).collect();
    let elsewhere: HashMap<SessionId, Timestamp> =
        bridge.store.last_seen(&ids).await?.into_iter().collect();
    for (id, app) in quiet {
        if elsewhere.get(&id).is_none_or(|seen| stale(&app, *seen)) {
            bridge.tunnels.cut_session(&id, Cut::Stale);
        }
    }
    Ok(())
}

/// Ends outlived sessions in the store, whichever replica had them, and forgets what is old.
async fn tidy(bridge: &Arc<Bridge>) -> Result<(), StoreError> {
    let now = bridge.clock.now();
    let sites = bridge.sites.load_full();
    for site in sites.iter() {
        let filter = SessionFilter {
            app: Some(site.config.id.clone()),
            live: true,
            outlived: Some((now, now - site.config.session.idle)),
            limit: BATCH,
            ..SessionFilter::default()
        };
        loop {
            let outlived = bridge.store.sessions(&filter).await?;
            for session in &outlived {
                if end::stored(bridge, session, EndReason::Expired, now)
                    .await
                    .is_err()
                {
                    return Ok(());
                }
                end::forget(bridge, &session.id, EndReason::Expired);
            }
            if outlived.len() < BATCH as usize {
                break;
            }
        }
    }
    let removed = bridge.store.purge(now, KEEP).await?;
    if removed > 0 {
        tracing::debug!(removed, "old rows removed");
    }
    Ok(())
}
