//! What provisioning remembers.

use super::row::{many, one, run};
use super::{SqliteStore, trail};
use crate::store::rows::{self, MEMBERSHIP};
use crate::store::rules::{limit, plain};
use crate::store::{
    By, Change, Membership, MembershipEnd, MembershipState, ProvisionStore, Result, SeatCount,
};
use crate::types::{AppId, Timestamp, UserId};
use async_trait::async_trait;
use rusqlite::{Connection, params};

#[async_trait]
impl ProvisionStore for SqliteStore {
    async fn memberships(&self, app: &AppId, user: UserId) -> Result<Vec<Membership>> {
        let app = app.clone();
        self.read(move |db| {
            let sql = format!(
                "SELECT {MEMBERSHIP} FROM memberships WHERE app = ?1 AND user_id = ?2
                 ORDER BY kind, target"
            );
            many(db, &sql, params![app.as_str(), user.to_string()], |row| {
                rows::membership(row)
            })
        })
        .await
    }

    async fn memberships_of(
        &self,
        app: &AppId,
        after: Option<&Membership>,
        most: u32,
    ) -> Result<Vec<Membership>> {
        let (app, after) = (app.clone(), after.cloned());
        self.read(move |db| {
            let sql = format!(
                "SELECT {MEMBERSHIP} FROM memberships
                 WHERE app = ?1 AND (?2 IS NULL OR (user_id, kind, target) > (?2, ?3, ?4))
                 ORDER BY user_id, kind, target LIMIT ?5"
            );
            let values = params![
                app.as_str(),
                after.as_ref().map(|of| of.user.to_string()),
                after.as_ref().map(|of| of.kind.as_str()),
                after.as_ref().map(|of| of.target.as_str()),
                limit(most),
            ];
            many(db, &sql, values, |row| rows::membership(row))
        })
        .await
    }

    async fn intend_membership(&self, membership: &Membership) -> Result<()> {
        let membership = membership.clone();
        self.write(move |db| intend(db, &membership)).await
    }

    async fn membership_granted(
        &self,
        membership: &Membership,
        now: Timestamp,
        by: &By,
    ) -> Result<bool> {
        let (membership, by) = (membership.clone(), by.clone());
        self.write(move |db| granted(db, &membership, now, &by))
            .await
    }

    async fn end_membership(
        &self,
        membership: &Membership,
        end: MembershipEnd,
        by: &By,
    ) -> Result<bool> {
        let (membership, by) = (membership.clone(), by.clone());
        self.write(move |db| ended(db, &membership, end, &by)).await
    }

    async fn put_seat_count(&self, app: &AppId, count: &SeatCount) -> Result<()> {
        let (app, count) = (app.clone(), *count);
        self.write(move |db| {
            let sql = "INSERT INTO seat_counts (id, app, day, used, total)
                       VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (id) DO UPDATE SET used = excluded.used, total = excluded.total";
            let id = rows::seat_count_id(&app, count.day);
            let values = params![id, app.as_str(), count.day, count.used, count.total];
            run(db, sql, values)?;
            Ok(())
        })
        .await
    }

    async fn seat_counts(&self, app: &AppId, since: i64) -> Result<Vec<SeatCount>> {
        let app = app.clone();
        self.read(move |db| {
            let sql = "SELECT day, used, total FROM seat_counts WHERE app = ?1 AND day >= ?2
                       ORDER BY day LIMIT 400";
            many(db, sql, params![app.as_str(), since], |row| {
                rows::seat_count(row)
            })
        })
        .await
    }
}

fn intend(db: &Connection, of: &Membership) -> Result<()> {
    let sql = format!(
        "INSERT INTO memberships (id, {MEMBERSHIP})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO NOTHING"
    );
    let values = params![
        rows::membership_id(of),
        of.app.as_str(),
        of.user.to_string(),
        of.remote.as_str(),
        of.kind.as_str(),
        plain(&of.target),
        plain(&of.name),
        MembershipState::Intent.as_str(),
        of.since.0,
    ];
    run(db, &sql, values)?;
    Ok(())
}

fn granted(db: &Connection, of: &Membership, now: Timestamp, by: &By) -> Result<bool> {
    let sql = format!(
        "UPDATE memberships SET state = 'granted', since = ?2
         WHERE id = ?1 AND state = 'intent'
         RETURNING {MEMBERSHIP}"
    );
    let values = params![rows::membership_id(of), now.0];
    let Some(given) = one(db, &sql, values, |row| rows::membership(row))? else {
        return Ok(false);
    };
    trail::append(db, &by.records(&Change::Membership(&given, None)))?;
    Ok(true)
}

fn ended(db: &Connection, of: &Membership, end: MembershipEnd, by: &By) -> Result<bool> {
    let sql = format!("DELETE FROM memberships WHERE id = ?1 RETURNING {MEMBERSHIP}");
    let id = params![rows::membership_id(of)];
    let Some(gone) = one(db, &sql, id, |row| rows::membership(row))? else {
        return Ok(false);
    };
    trail::append(db, &by.records(&Change::Membership(&gone, Some(end))))?;
    Ok(true)
}
