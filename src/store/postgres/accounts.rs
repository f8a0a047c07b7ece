//! Accounts.

use super::error::taken;
use super::row::{Conditions, many, one, run};
use super::trail;
use super::users::gone;
use crate::store::rows::{self, ACCOUNT};
use crate::store::rules::{limit, plain};
use crate::store::{Account, AccountFilter, By, Change, Result, StoreError, new_account_id};
use crate::types::{AppId, RemoteId, Timestamp, UserId};
use deadpool_postgres::{GenericClient, Pool, Transaction};

pub(super) async fn of_user(
    db: &impl GenericClient,
    app: &AppId,
    user: UserId,
) -> Result<Option<Account>> {
    one(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE app = $1 AND user_id = $2"),
        &[&app.as_str(), &user.0],
        rows::account,
    )
    .await
}

pub(super) async fn by_remote(
    db: &impl GenericClient,
    app: &AppId,
    remote: &RemoteId,
) -> Result<Option<Account>> {
    one(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE app = $1 AND remote = $2"),
        &[&app.as_str(), &remote.as_str()],
        rows::account,
    )
    .await
}

pub(super) async fn page(pool: &Pool, filter: &AccountFilter) -> Result<Vec<Account>> {
    let mut conditions = Conditions::default();
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.0);
    }
    if let Some(state) = filter.state {
        conditions.with("state = ?", state.as_str());
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after.0);
    }
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    many(
        &pool.get().await?,
        &format!("SELECT {ACCOUNT} FROM accounts {clause} ORDER BY id LIMIT {limit}"),
        &conditions.values(),
        rows::account,
    )
    .await
}

pub(super) async fn begin(
    pool: &Pool,
    app: &AppId,
    user: UserId,
    now: Timestamp,
) -> Result<Account> {
    let client = pool.get().await?;
    run(
        &client,
        &format!(
            "INSERT INTO accounts ({ACCOUNT})
             VALUES ($1, $2, $3, 'intent', NULL, NULL, '', 1, '', false, $4, $4, 1, NULL, NULL, NULL, '[]')
             ON CONFLICT (app, user_id) DO NOTHING"
        ),
        &[&new_account_id().0, &app.as_str(), &user.0, &now.0],
    )
    .await?;
    of_user(&client, app, user).await?.ok_or_else(gone)
}

pub(super) async fn save(pool: &Pool, account: &Account, by: &By) -> Result<Account> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let before = one(
        &tx,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE id = $1 AND version = $2 FOR NO KEY UPDATE"),
        &[&account.id.0, &account.version],
        rows::account,
    )
    .await?
    .ok_or(StoreError::Changed)?;
    let saved = update(&tx, account).await?;
    trail::append(&tx, &by.records(&Change::Account(&before, &saved))).await?;
    tx.commit().await?;
    Ok(saved)
}

async fn update(tx: &Transaction<'_>, account: &Account) -> Result<Account> {
    let sql = format!(
        "UPDATE accounts SET state = $3, remote = $4, username = $5, detail = $6,
             password_version = $7, memo = $8, settled = $9, updated_at = $10,
             deactivated_for = $11, deactivated_at = $12, deactivated_mark = $13, bots = $14,
             version = version + 1
         WHERE id = $1 AND version = $2
         RETURNING {ACCOUNT}"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let saved = tx
        .query_opt(
            &statement,
            &[
                &account.id.0,
                &account.version,
                &account.state.as_str(),
                &account.remote.as_ref().map(RemoteId::as_str),
                &account.username.as_deref().map(plain),
                &plain(&account.detail),
                &account.password_version,
                &plain(&account.memo),
                &account.settled,
                &account.updated_at.0,
                &account.deactivated.map(|d| d.why.as_str()),
                &account.deactivated.map(|d| d.at.0),
                &rows::stage(account.deactivated),
                &rows::bots_text(&account.bots),
            ],
        )
        .await;
    match saved {
        Ok(Some(row)) => rows::account(&row),
        Ok(None) => Err(StoreError::Changed),
        Err(error) if taken(&error).is_some() => Err(StoreError::Taken("remote id")),
        Err(error) => Err(error.into()),
    }
}
