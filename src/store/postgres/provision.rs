//! What provisioning remembers.

use super::row::{many, one, run};
use super::{PostgresStore, bounded, trail};
use crate::store::rows::{self, MEMBERSHIP};
use crate::store::rules::{limit, plain};
use crate::store::{
    By, Change, Membership, MembershipEnd, MembershipState, ProvisionStore, Result, SeatCount,
};
use crate::types::{AppId, RemoteId, Timestamp, UserId};
use async_trait::async_trait;
use deadpool_postgres::Pool;

#[async_trait]
impl ProvisionStore for PostgresStore {
    async fn memberships(&self, app: &AppId, user: UserId) -> Result<Vec<Membership>> {
        bounded(of_user(&self.pool, app, user)).await
    }

    async fn memberships_of(
        &self,
        app: &AppId,
        after: Option<&Membership>,
        most: u32,
    ) -> Result<Vec<Membership>> {
        bounded(of_app(&self.pool, app, after, most)).await
    }

    async fn intend_membership(&self, membership: &Membership) -> Result<()> {
        bounded(intend(&self.pool, membership)).await
    }

    async fn membership_granted(
        &self,
        membership: &Membership,
        now: Timestamp,
        by: &By,
    ) -> Result<bool> {
        bounded(granted(&self.pool, membership, now, by)).await
    }

    async fn end_membership(
        &self,
        membership: &Membership,
        end: MembershipEnd,
        by: &By,
    ) -> Result<bool> {
        bounded(ended(&self.pool, membership, end, by)).await
    }

    async fn put_seat_count(&self, app: &AppId, count: &SeatCount) -> Result<()> {
        bounded(put_count(&self.pool, app, count)).await
    }

    async fn seat_counts(&self, app: &AppId, since: i64) -> Result<Vec<SeatCount>> {
        bounded(counts(&self.pool, app, since)).await
    }
}

async fn of_user(pool: &Pool, app: &AppId, user: UserId) -> Result<Vec<Membership>> {
    let sql = format!(
        "SELECT {MEMBERSHIP} FROM memberships WHERE app = $1 AND user_id = $2
         ORDER BY kind COLLATE \"C\", target COLLATE \"C\""
    );
    let client = pool.get().await?;
    many(&client, &sql, &[&app.as_str(), &user.0], rows::membership).await
}

async fn of_app(
    pool: &Pool,
    app: &AppId,
    after: Option<&Membership>,
    most: u32,
) -> Result<Vec<Membership>> {
    let sql = format!(
        "SELECT {MEMBERSHIP} FROM memberships
         WHERE app = $1 AND ($2::uuid IS NULL
           OR (user_id, kind COLLATE \"C\", target COLLATE \"C\") > ($2, $3::text, $4::text))
         ORDER BY user_id, kind COLLATE \"C\", target COLLATE \"C\" LIMIT $5"
    );
    let values = &[
        &app.as_str() as super::row::Value<'_>,
        &after.map(|of| of.user.0),
        &after.map(|of| of.kind.as_str()),
        &after.map(|of| of.target.as_str()),
        &limit(most),
    ];
    many(&pool.get().await?, &sql, values, rows::membership).await
}

async fn intend(pool: &Pool, of: &Membership) -> Result<()> {
    let sql = format!(
        "INSERT INTO memberships (id, {MEMBERSHIP})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO NOTHING"
    );
    run(
        &pool.get().await?,
        &sql,
        &[
            &rows::membership_id(of),
            &of.app.as_str(),
            &of.user.0,
            &RemoteId::as_str(&of.remote),
            &of.kind.as_str(),
            &plain(&of.target),
            &plain(&of.name),
            &MembershipState::Intent.as_str(),
            &of.since.0,
        ],
    )
    .await?;
    Ok(())
}

async fn granted(pool: &Pool, of: &Membership, now: Timestamp, by: &By) -> Result<bool> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let sql = format!(
        "UPDATE memberships SET state = 'granted', since = $2
         WHERE id = $1 AND state = 'intent'
         RETURNING {MEMBERSHIP}"
    );
    let values = &[&rows::membership_id(of) as super::row::Value<'_>, &now.0];
    let Some(given) = one(&tx, &sql, values, rows::membership).await? else {
        return Ok(false);
    };
    trail::append(&tx, &by.records(&Change::Membership(&given, None))).await?;
    tx.commit().await?;
    Ok(true)
}

async fn ended(pool: &Pool, of: &Membership, end: MembershipEnd, by: &By) -> Result<bool> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let sql = format!("DELETE FROM memberships WHERE id = $1 RETURNING {MEMBERSHIP}");
    let gone = one(&tx, &sql, &[&rows::membership_id(of)], rows::membership).await?;
    let Some(gone) = gone else {
        return Ok(false);
    };
    trail::append(&tx, &by.records(&Change::Membership(&gone, Some(end)))).await?;
    tx.commit().await?;
    Ok(true)
}

async fn put_count(pool: &Pool, app: &AppId, count: &SeatCount) -> Result<()> {
    let sql = "INSERT INTO seat_counts (id, app, day, used, total)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (id) DO UPDATE SET used = excluded.used, total = excluded.total";
    let id = rows::seat_count_id(app, count.day);
    run(
        &pool.get().await?,
        sql,
        &[&id, &app.as_str(), &count.day, &count.used, &count.total],
    )
    .await?;
    Ok(())
}

async fn counts(pool: &Pool, app: &AppId, since: i64) -> Result<Vec<SeatCount>> {
    let sql = "SELECT day, used, total FROM seat_counts WHERE app = $1 AND day >= $2
               ORDER BY day LIMIT 400";
    let client = pool.get().await?;
    many(&client, sql, &[&app.as_str(), &since], rows::seat_count).await
}
