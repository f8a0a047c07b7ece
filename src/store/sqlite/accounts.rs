//! Accounts.

use super::error::is_taken;
use super::row::{Conditions, many, one, run};
use super::trail;
use crate::store::rows::{self, ACCOUNT};
use crate::store::rules::{limit, plain};
use crate::store::{Account, AccountFilter, By, Change, Result, StoreError, new_account_id};
use crate::types::{AppId, RemoteId, Timestamp, UserId};
use rusqlite::{Connection, params};

pub(super) fn of_user(db: &Connection, app: &AppId, user: UserId) -> Result<Option<Account>> {
    one(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE app = ?1 AND user_id = ?2"),
        params![app.as_str(), user.to_string()],
        |row| rows::account(row),
    )
}

pub(super) fn by_remote(
    db: &Connection,
    app: &AppId,
    remote: &RemoteId,
) -> Result<Option<Account>> {
    one(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE app = ?1 AND remote = ?2"),
        [app.as_str(), remote.as_str()],
        |row| rows::account(row),
    )
}

pub(super) fn page(db: &Connection, filter: &AccountFilter) -> Result<Vec<Account>> {
    let mut conditions = Conditions::default();
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.to_string());
    }
    if let Some(state) = filter.state {
        conditions.with("state = ?", state.as_str().to_owned());
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after.to_string());
    }
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    many(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts {clause} ORDER BY id LIMIT {limit}"),
        rusqlite::params_from_iter(values),
        |row| rows::account(row),
    )
}

pub(super) fn begin(db: &Connection, app: &AppId, user: UserId, now: Timestamp) -> Result<Account> {
    run(
        db,
        &format!(
            "INSERT INTO accounts ({ACCOUNT})
             VALUES (?1, ?2, ?3, 'intent', NULL, NULL, '', 1, '', 0, ?4, ?4, 1, NULL, NULL, NULL, '[]')
             ON CONFLICT (app, user_id) DO NOTHING"
        ),
        params![
            new_account_id().to_string(),
            app.as_str(),
            user.to_string(),
            now.0
        ],
    )?;
    of_user(db, app, user)?.ok_or_else(|| StoreError::Inconsistent("an account is gone".into()))
}

pub(super) fn save(db: &Connection, account: &Account, by: &By) -> Result<Account> {
    let before = one(
        db,
        &format!("SELECT {ACCOUNT} FROM accounts WHERE id = ?1 AND version = ?2"),
        params![account.id.to_string(), account.version],
        |row| rows::account(row),
    )?;
    let before = before.ok_or(StoreError::Changed)?;
    let saved = update(db, account)?;
    trail::append(db, &by.records(&Change::Account(&before, &saved)))?;
    Ok(saved)
}

fn update(db: &Connection, account: &Account) -> Result<Account> {
    let sql = format!(
        "UPDATE accounts SET state = ?3, remote = ?4, username = ?5, detail = ?6,
             password_version = ?7, memo = ?8, settled = ?9, updated_at = ?10,
             deactivated_for = ?11, deactivated_at = ?12, deactivated_mark = ?13, bots = ?14,
             version = version + 1
         WHERE id = ?1 AND version = ?2
         RETURNING {ACCOUNT}"
    );
    let values = params![
        account.id.to_string(),
        account.version,
        account.state.as_str(),
        account.remote.as_ref().map(RemoteId::as_str),
        account.username.as_deref().map(plain),
        plain(&account.detail),
        account.password_version,
        plain(&account.memo),
        account.settled,
        account.updated_at.0,
        account.deactivated.map(|d| d.why.as_str()),
        account.deactivated.map(|d| d.at.0),
        rows::stage(account.deactivated),
        rows::bots_text(&account.bots),
    ];
    let mut statement = db.prepare_cached(&sql)?;
    let mut found = statement.query(values)?;
    match found.next() {
        Ok(Some(row)) => rows::account(row),
        Ok(None) => Err(StoreError::Changed),
        Err(error) if is_taken(&error) => Err(StoreError::Taken("remote id")),
        Err(error) => Err(error.into()),
    }
}
