//! The seat ledger: how many seats an app has, who takes them, when they will be gone at this pace, and
//! who has not been seen for long. It manages accounts; it never evades a limit.
//!
//! What lives here: the reckoning, and the orders to reclaim and to give back. What does not: the app's
//! own count (`apps`), and deactivating (`converge`), which a reclaimed seat comes to after its grace.

use crate::apps::{AppError, Provisioner, SeatHolder};
use crate::audit::Witness;
use crate::config::SeatsConfig;
use crate::store::{
    Account, AccountFilter, AccountState, DeactivatedFor, Deactivation, DeactivationStage,
    SeatCount, Store, StoreError,
};
use crate::types::{AppId, Timestamp, UserId};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days that the forecast looks back.
const LOOK_BACK: i64 = 28;
/// Pages of those who take seats that are read at most: more than the largest server has.
const MOST_PAGES: u32 = 500;
/// Accounts a page.
const PAGE: u32 = 1_000;

/// Who takes a seat.
#[derive(Debug, Clone, Serialize)]
pub struct Holder {
    /// As the app has them.
    #[serde(flatten)]
    pub seat: SeatHolder,
    /// Our person, when the bridge knows whose the account is.
    pub user: Option<UserId>,
    /// That the bridge is about to reclaim it: when.
    pub reclaimed_at: Option<Timestamp>,
    /// Whether they have not been seen at work for as long as the operator says.
    pub idle: bool,
}

/// All there is to say about an app's seats.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// How many are taken, by the app's own count.
    pub used: u64,
    /// How many there are; `None`: no limit.
    pub limit: Option<u64>,
    /// How many are taken by people of the bridge.
    pub ours: u64,
    /// How many by others: administrators, people from before.
    pub others: u64,
    /// Whether so many are taken that it should be looked into.
    pub warning: bool,
    /// At the pace of the last weeks; `None` without enough days.
    pub forecast: Option<Forecast>,
    /// Who, by user name.
    pub holders: Vec<Holder>,
}

/// Where it is going.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// Seats taken more a day (less, when negative).
    pub per_day: f64,
    /// In so many days none is left; `None`: never at this pace.
    pub full_in_days: Option<u64>,
}

/// Where orders about seats are taken.
pub struct Desk<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// Which app.
    pub app: &'a AppId,
    /// Its accounts.
    pub provisioner: &'a dyn Provisioner,
    /// Who orders: whom the audit trail names.
    pub witness: Witness,
}

/// Why the ledger can't be read, or an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// The app did not say.
    #[error(transparent)]
    App(#[from] AppError),
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They have no account there that the bridge knows.
    #[error("they have no account in this app that is the bridge's")]
    NoAccount,
    /// It is deactivated already.
    #[error("the account is deactivated already")]
    Deactivated,
    /// It is not ours to give back.
    #[error("{0}")]
    NotOurs(&'static str),
}

/// Reads the ledger, and counts the day.
///
/// # Errors
/// When app or store do not answer.
pub async fn read(
    store: &dyn Store,
    app: &AppId,
    provisioner: &dyn Provisioner,
    policy: &SeatsConfig,
    now: Timestamp,
) -> Result<Ledger, SeatError> {
    let seats = provisioner.seats().await?;
    count(store, app, seats.used, seats.limit, now).await?;
    let accounts = linked(store, app).await?;
    let mut holders = Vec::new();
    for page in 0..MOST_PAGES {
        let found = provisioner.holders(page).await?;
        holders.extend(found.holders.into_iter().map(|seat| {
            let account = accounts.get(seat.remote.as_str());
            let planned = account.and_then(|account| account.deactivated);
            Holder {
                user: account.map(|account| account.user),
                reclaimed_at: planned
                    .filter(|d| d.why == DeactivatedFor::Idle && d.done_at().is_none())
                    .map(|d| d.at),
                idle: is_idle(&seat, policy.idle_after, now),
                seat,
            }
        }));
        if found.last {
            break;
        }
    }
    let ours = holders
        .iter()
        .filter(|holder| holder.user.is_some())
        .count() as u64;
    let since = now.0.div_euclid(DAY) - LOOK_BACK;
    let counts = store.seat_counts(app, since).await?;
    Ok(Ledger {
        used: seats.used,
        limit: seats.limit,
        ours,
        others: seats.used.saturating_sub(ours),
        warning: is_warning(seats.used, seats.limit, policy.warn_at),
        forecast: forecast(&counts, seats.limit),
        holders,
    })
}

/// Counts the day: the last count of a day stands.
///
/// # Errors
/// When the store does not answer.
pub async fn count(
    store: &dyn Store,
    app: &AppId,
    used: u64,
    limit: Option<u64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let count = SeatCount {
        day: now.0.div_euclid(DAY),
        used: number(used),
        total: limit.map(number),
    };
    store.put_seat_count(app, &count).await
}

/// Whether so many seats are taken that it should be looked into.
#[must_use]
pub fn is_warning(used: u64, limit: Option<u64>, percent: u8) -> bool {
    limit.is_some_and(|limit| used.saturating_mul(100) >= limit.saturating_mul(u64::from(percent)))
}

/// Who never was at work counts from when the account was made. Administrators are never candidates.
fn is_idle(seat: &SeatHolder, after: Duration, now: Timestamp) -> bool {
    let last = seat
        .active_at
        .unwrap_or(seat.created_at)
        .max(seat.created_at);
    !seat.privileged && now.since(last) >= after
}

/// A straight line through the counts (least squares): no more than a hint.
fn forecast(counts: &[SeatCount], limit: Option<u64>) -> Option<Forecast> {
    let (first, last) = (counts.first()?, counts.last()?);
    // Two days say nothing of a trend.
    if counts.len() < 3 || last.day - first.day < 3 {
        return None;
    }
    let n = counts.len() as f64;
    let point = |c: &SeatCount| ((c.day - first.day) as f64, c.used as f64);
    let (sum_x, sum_y) = counts
        .iter()
        .map(point)
        .fold((0.0, 0.0), |(x, y), (dx, dy)| (x + dx, y + dy));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (above, below) = counts
        .iter()
        .map(point)
        .fold((0.0, 0.0), |(above, below), (x, y)| {
            let from = x - mean_x;
            (above + from * (y - mean_y), below + from * from)
        });
    let per_day = above / below;
    let free = limit.map(|limit| (limit as f64 - last.used as f64).max(0.0));
    let full_in_days = free
        .filter(|_| per_day > 0.005)
        .map(|free| (free / per_day).ceil() as u64);
    Some(Forecast {
        per_day: (per_day * 100.0).round() / 100.0,
        full_in_days,
    })
}

/// The accounts that the bridge knows, by the app's id.
async fn linked(store: &dyn Store, app: &AppId) -> Result<HashMap<String, Account>, StoreError> {
    let mut all = HashMap::new();
    let mut filter = AccountFilter {
        app: Some(app.clone()),
        state: Some(AccountState::Linked),
        limit: PAGE,
        ..AccountFilter::default()
    };
    loop {
        let page = store.accounts(&filter).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        filter.after = Some(last.id);
        for account in page {
            if let Some(remote) = account.remote.clone() {
                all.insert(remote.to_string(), account);
            }
        }
    }
}

/// Plans to take somebody's seat back: their account is deactivated at `at`, unless they sign in
/// before. Gives the plan; the one that stands already is kept.
///
/// # Errors
/// When they have no account that is the bridge's, or it is deactivated.
pub async fn reclaim(desk: &Desk<'_>, user: UserId, at: Timestamp) -> Result<Account, SeatError> {
    let account = of(desk, user).await?;
    let plan = Deactivation {
        why: DeactivatedFor::Idle,
        at,
        stage: DeactivationStage::Planned,
    };
    match account.deactivated {
        Some(known) if known.stage != DeactivationStage::Planned => Err(SeatError::Deactivated),
        // The directory's word goes before an operator's thrift.
        Some(known) if known.why == DeactivatedFor::Absent => Ok(account),
        Some(known) if known.at <= at => Ok(account),
        _ => save(desk, account, Some(plan), "their seat is reclaimed").await,
    }
}

/// Gives a reclaimed seat back, planned or done: they have their account again as it was.
///
/// # Errors
/// `AppError::NoSeat` when the app has none now; when the deactivation was not a reclaiming.
pub async fn restore(desk: &Desk<'_>, user: UserId) -> Result<Account, SeatError> {
    let account = of(desk, user).await?;
    let Some(known) = account.deactivated else {
        return Ok(account);
    };
    if known.why != DeactivatedFor::Idle {
        return Err(SeatError::NotOurs(
            "it is deactivated because the directory says that they are gone: it comes back with them",
        ));
    }
    let remote = account.remote.clone().ok_or(SeatError::NoAccount)?;
    if known.stage != DeactivationStage::Planned {
        let seen = desk.provisioner.look(&remote).await?;
        let at = seen.and_then(|seen| seen.deactivated_at);
        if at.is_some() && known.done_at().is_some_and(|done| at != Some(done)) {
            return Err(SeatError::NotOurs(
                "somebody deactivated it in the app since: reactivate it there",
            ));
        }
        desk.provisioner.reactivate(&remote).await?;
    }
    save(desk, account, None, "their seat is given back").await
}

async fn of(desk: &Desk<'_>, user: UserId) -> Result<Account, SeatError> {
    let account = desk.store.account(desk.app, user).await?;
    account
        .filter(|account| account.state == AccountState::Linked && account.remote.is_some())
        .ok_or(SeatError::NoAccount)
}

async fn save(
    desk: &Desk<'_>,
    account: Account,
    deactivated: Option<Deactivation>,
    reason: &str,
) -> Result<Account, SeatError> {
    let changed = Account {
        deactivated,
        ..account
    };
    let by = desk.witness.clone().reason(reason).by();
    Ok(desk.store.save_account(&changed, &by).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RemoteId;

    fn counts(used: &[(i64, i64)]) -> Vec<SeatCount> {
        used.iter()
            .map(|(day, used)| SeatCount {
                day: *day,
                used: *used,
                total: Some(250),
            })
            .collect()
    }

    #[test]
    fn the_forecast_is_a_line_through_the_counts() {
        let growing = counts(&[(10, 100), (11, 102), (12, 104), (20, 120)]);
        let got = forecast(&growing, Some(130)).unwrap();
        assert_eq!((got.per_day, got.full_in_days), (2.0, Some(5)));
        let full = forecast(&growing, Some(120)).unwrap();
        assert_eq!(full.full_in_days, Some(0));
        let shrinking = counts(&[(10, 104), (12, 102), (14, 100)]);
        let got = forecast(&shrinking, Some(130)).unwrap();
        assert_eq!((got.per_day, got.full_in_days), (-1.0, None));
        assert_eq!(forecast(&growing, None).unwrap().full_in_days, None);
        let level = counts(&[(10, 5), (12, 5), (14, 5)]);
        assert_eq!(forecast(&level, Some(6)).unwrap().full_in_days, None);
    }

    #[test]
    fn too_few_days_say_nothing() {
        assert_eq!(forecast(&[], Some(9)), None);
        assert_eq!(forecast(&counts(&[(1, 1), (2, 3)]), Some(9)), None);
        assert_eq!(forecast(&counts(&[(1, 1), (2, 3), (3, 4)]), Some(9)), None);
    }

    #[test]
    fn a_warning_comes_at_its_share_and_never_without_a_limit() {
        assert!(!is_warning(224, Some(250), 90));
        assert!(is_warning(225, Some(250), 90));
        assert!(!is_warning(1_000_000, None, 90));
        assert!(is_warning(1, Some(0), 90));
    }

    #[test]
    fn idle_is_who_was_not_seen_since_they_came() {
        let seat = |created: i64, active: Option<i64>, privileged| SeatHolder {
            remote: RemoteId::new("r").unwrap(),
            username: "alice".into(),
            privileged,
            created_at: Timestamp(created),
            active_at: active.map(Timestamp),
        };
        let (day, now) = (Duration::from_secs(86_400), Timestamp(1_000_000));
        let old = now.0 - 86_400;
        assert!(is_idle(&seat(0, Some(old), false), day, now));
        assert!(!is_idle(&seat(0, Some(old + 1), false), day, now));
        // Never seen, and only just made.
        assert!(!is_idle(&seat(old + 1, None, false), day, now));
        assert!(is_idle(&seat(old, None, false), day, now));
        // An administrator is not asked to go.
        assert!(!is_idle(&seat(0, None, true), day, now));
    }
}
