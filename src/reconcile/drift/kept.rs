//! What an app was like when it was last looked at, for whoever asks later: a service, or a command
//! that does not want to read the app again.

use super::{Drifted, Report};
use crate::store::{LookStore, StoreError, StoredLook};
use crate::types::AppId;

/// Differences that are kept: the most serious. All are counted.
const MOST: usize = 5_000;

/// Keeps a report in place of the former one.
///
/// # Errors
/// When the store does not answer.
pub async fn keep(report: &Report, store: &dyn LookStore) -> Result<(), StoreError> {
    let mut kept = report.clone();
    kept.left_out = kept.differences.len().saturating_sub(MOST) as u64;
    kept.differences.truncate(MOST);
    let body = serde_json::to_string(&kept);
    let look = StoredLook {
        app: kept.app,
        looked_at: kept.looked_at,
        body: body.map_err(|error| StoreError::Inconsistent(error.to_string()))?,
    };
    store.put_look(&look).await
}

/// The report of the last look; `None`: it was not looked at, or by another version.
///
/// # Errors
/// When the store does not answer.
pub async fn last(app: &AppId, store: &dyn LookStore) -> Result<Option<Report>, StoreError> {
    let look = store.last_look(app).await?;
    Ok(look.and_then(|look| serde_json::from_str(&look.body).ok()))
}

impl Report {
    /// Counts what differs, by what.
    pub(super) fn count_all(&mut self) {
        let all = Drifted::ALL.into_iter();
        self.counts = all
            .map(|what| (what, self.count(what)))
            .filter(|(_, count)| *count > 0)
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::drift::{Care, Difference, Whose};
    use crate::store::SqliteStore;
    use crate::types::{Timestamp, UserId};
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_says_how_much_there_was() {
        let store = SqliteStore::in_memory().unwrap();
        let app = AppId::new("chat").unwrap();
        assert_eq!(last(&app, &store).await.unwrap(), None);
        let one = |what| Difference {
            user: UserId::generate(),
            remote: None,
            what,
            place: None,
            attributes: Vec::new(),
            whose: Whose::Bridge,
            care: Care::Mend,
        };
        let mut report = Report {
            app: app.clone(),
            looked_at: Timestamp(7),
            accounts: 9_000,
            present: 1,
            strangers: 0,
            some_strangers: Vec::new(),
            counts: BTreeMap::new(),
            differences: (0..MOST + 3).map(|_| one(Drifted::Missing)).collect(),
            left_out: 0,
            problems: Vec::new(),
        };
        report.differences[0].what = Drifted::Active;
        report.count_all();
        keep(&report, &store).await.unwrap();
        let kept = last(&app, &store).await.unwrap().unwrap();
        assert_eq!((kept.differences.len(), kept.left_out), (MOST, 3));
        assert_eq!(kept.differences[0].what, Drifted::Active);
        let counts = [(Drifted::Active, 1), (Drifted::Missing, MOST as u64 + 2)];
        assert_eq!(kept.counts, BTreeMap::from(counts));
        let short = Report {
            differences: Vec::new(),
            ..report
        };
        keep(&short, &store).await.unwrap();
        assert_eq!(last(&app, &store).await.unwrap().unwrap(), short);
    }
}
