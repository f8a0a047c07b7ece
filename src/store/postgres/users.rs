//! Shadow users, and the lock that births and revocations share.

use super::row::{Conditions, many, one, run};
use super::{revocations, sessions, trail};
use crate::store::rows::{self, Columns as _, USER, USER_SEEN_AT};
use crate::store::rules::{Standing, limit, may_set, nothing_new, plain, still_as};
use crate::store::{
    By, Change, EndReason, Epoch, Result, Revoked, SeenUser, Session, StateBy, StoreError, User,
    UserFilter, UserState, Which,
};
use crate::types::{GroupName, IssuerId, Subject, Timestamp, UserId};
use deadpool_postgres::{GenericClient, Pool, Transaction};

pub(super) async fn saw(pool: &Pool, seen: &SeenUser) -> Result<User> {
    let client = pool.get().await?;
    let (issuer, subject) = (seen.issuer.as_str(), seen.subject.as_str());
    let stored = one(
        &client,
        &format!("SELECT {USER}, seen_at FROM users WHERE issuer = $1 AND subject = $2"),
        &[&issuer, &subject],
        |row| Ok((rows::user(row)?, Timestamp(row.int(USER_SEEN_AT)?))),
    )
    .await?;
    // Most calls end here, without a write.
    if let Some((user, seen_at)) = stored
        && nothing_new(&user, seen_at, seen)
    {
        return Ok(user);
    }
    let id = UserId::generate();
    let written = one(
        &client,
        &format!(
            "INSERT INTO users ({USER}, seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', '', '', $10, $10, $10, 0, $10)
             ON CONFLICT (issuer, subject) DO UPDATE SET
                 state_since = CASE users.state
                     WHEN 'pending' THEN excluded.seen_at ELSE users.state_since END,
                 state = CASE users.state WHEN 'pending' THEN 'active' ELSE users.state END,
                 updated_at = CASE
                     WHEN (users.email, users.email_verified, users.name, users.username,
                           users.locale, users.group_names)
                         IS DISTINCT FROM (excluded.email, excluded.email_verified, excluded.name,
                           excluded.username, excluded.locale, excluded.group_names)
                     THEN excluded.seen_at ELSE users.updated_at END,
                 email = excluded.email, email_verified = excluded.email_verified,
                 name = excluded.name, username = excluded.username, locale = excluded.locale,
                 group_names = excluded.group_names, seen_at = excluded.seen_at
             WHERE excluded.seen_at >= users.seen_at OR users.state = 'pending'
             RETURNING {USER}"
        ),
        &[
            &id.0,
            &issuer,
            &subject,
            &seen.email,
            &seen.email_verified,
            &seen.name,
            &seen.username,
            &seen.locale,
            &rows::json(seen.groups.iter().map(GroupName::as_str)),
            &seen.at.0,
        ],
        rows::user,
    )
    .await?;
    if written.as_ref().is_some_and(|user| user.id == id) {
        // What followed from words about them followed for nobody.
        run(
            &client,
            "UPDATE directory_people SET settled = false, number = number + 1
             WHERE issuer = $1 AND subject = $2",
            &[&issuer, &subject],
        )
        .await?;
    }
    match written {
        Some(user) => Ok(user),
        // A newer assertion came in between.
        None => by_subject(&client, &seen.issuer, &seen.subject)
            .await?
            .ok_or_else(gone),
    }
}

pub(super) async fn told(pool: &Pool, told: &SeenUser, make: bool) -> Result<Option<User>> {
    let client = pool.get().await?;
    let (issuer, subject) = (told.issuer.as_str(), told.subject.as_str());
    if make {
        run(
            &client,
            &format!(
                "INSERT INTO users ({USER}, seen_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '[]', 'pending', '', '', $9, $9, $9, 0, $9)
                 ON CONFLICT (issuer, subject) DO NOTHING"
            ),
            &[
                &UserId::generate().0,
                &issuer,
                &subject,
                &told.email,
                &told.email_verified,
                &told.name,
                &told.username,
                &told.locale,
                &told.at.0,
            ],
        )
        .await?;
    }
    run(
        &client,
        "UPDATE users SET updated_at = $8, seen_at = $8, email = $3, email_verified = $4, name = $5,
             username = $6, locale = $7
         WHERE issuer = $1 AND subject = $2 AND seen_at <= $8
             AND (email, email_verified, name, username, locale)
                 IS DISTINCT FROM ($3, $4, $5, $6, $7)",
        &[
            &issuer,
            &subject,
            &told.email,
            &told.email_verified,
            &told.name,
            &told.username,
            &told.locale,
            &told.at.0,
        ],
    )
    .await?;
    by_subject(&client, &told.issuer, &told.subject).await
}

pub(super) async fn by_subject(
    db: &impl GenericClient,
    issuer: &IssuerId,
    subject: &Subject,
) -> Result<Option<User>> {
    one(
        db,
        &format!("SELECT {USER} FROM users WHERE issuer = $1 AND subject = $2"),
        &[&issuer.as_str(), &subject.as_str()],
        rows::user,
    )
    .await
}

pub(super) async fn get(db: &impl GenericClient, id: UserId) -> Result<Option<User>> {
    one(
        db,
        &format!("SELECT {USER} FROM users WHERE id = $1"),
        &[&id.0],
        rows::user,
    )
    .await
}

pub(super) async fn page(pool: &Pool, filter: &UserFilter) -> Result<Vec<User>> {
    let mut conditions = Conditions::default();
    if let Some(state) = filter.state {
        conditions.with("state = ?", state.as_str());
    }
    if let Some(search) = &filter.search {
        // In the "C" collation lower() folds ASCII only.
        conditions.with(
            "(strpos(lower(email COLLATE \"C\"), ?) > 0
              OR strpos(lower(name COLLATE \"C\"), ?) > 0
              OR strpos(lower(subject COLLATE \"C\"), ?) > 0
              OR strpos(lower(username COLLATE \"C\"), ?) > 0)",
            plain(search).to_ascii_lowercase(),
        );
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after.0);
    }
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    many(
        &pool.get().await?,
        &format!("SELECT {USER} FROM users {clause} ORDER BY id LIMIT {limit}"),
        &conditions.values(),
        rows::user,
    )
    .await
}

/// With `read` only if the user is still like that.
pub(super) async fn set_state(
    pool: &Pool,
    channel: &str,
    id: UserId,
    read: Option<&User>,
    (state, reason, who): (UserState, &str, &StateBy),
    now: Timestamp,
    by: &By,
) -> Result<Option<(User, Vec<Session>)>> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    if lock(&tx, id).await?.is_none() {
        return Ok(None);
    }
    let before = get(&tx, id).await?.ok_or_else(gone)?;
    if read.is_some_and(|read| !still_as(&before, read)) {
        return Err(StoreError::Changed);
    }
    let changes = may_set(&before, state, who);
    let mut ended = Vec::new();
    if changes {
        run(
            &tx,
            "UPDATE users SET state = $2, state_reason = $3, state_since = $4, state_by = $5,
                 epoch = epoch + 1
             WHERE id = $1",
            &[&id.0, &state.as_str(), &plain(reason), &now.0, &who.text()],
        )
        .await?;
        let mut why = None;
        if state.denies() {
            let reason = EndReason::UserDisabled;
            ended = sessions::end_live(&tx, &Which::User(id, None), reason, now).await?;
            why = Some(reason);
        }
        revocations::append(&tx, channel, &[Revoked::User(id)], why, now).await?;
    }
    let user = get(&tx, id).await?.ok_or_else(gone)?;
    if changes {
        let mut records = by.records(&Change::State(&user));
        records.extend(ended.iter().flat_map(|s| by.records(&Change::Ended(s))));
        trail::append(&tx, &records).await?;
    }
    tx.commit().await?;
    Ok(Some((user, ended)))
}

pub(super) async fn epoch(db: &impl GenericClient, id: UserId) -> Result<Epoch> {
    let epoch = one(
        db,
        "SELECT coalesce((SELECT epoch FROM users WHERE id = $1), 0),
                (SELECT value FROM counters WHERE name = 'global_epoch')",
        &[&id.0],
        |row| {
            Ok(Epoch {
                user: row.int(0)?,
                global: row.int(1)?,
            })
        },
    )
    .await?;
    epoch.ok_or_else(gone)
}

/// Locks what concerns a user until the transaction ends, and gives how it stands then.
///
/// Every conditional write of a session and every revocation of a user begins here, so that they
/// come one after the other; a revocation of everyone waits for those that are under way, and
/// holds up those that come. Locks are always taken in this order: global epoch, user, sessions
/// by id, tombstones, the log's counter, the audit trail's head. `FOR NO KEY UPDATE` leaves foreign keys alone.
pub(super) async fn lock(tx: &Transaction<'_>, id: UserId) -> Result<Option<Standing>> {
    let global = one(
        tx,
        "SELECT value FROM counters WHERE name = 'global_epoch' FOR SHARE",
        &[],
        |row| row.int(0),
    )
    .await?
    .ok_or_else(gone)?;
    let own = one(
        tx,
        "SELECT epoch, state FROM users WHERE id = $1 FOR NO KEY UPDATE",
        &[&id.0],
        |row| Ok((row.int(0)?, rows::user_state(&row.text(1)?)?)),
    )
    .await?;
    Ok(own.map(|(user, state)| Standing {
        epoch: Epoch { user, global },
        state,
    }))
}

/// Waits for the conditional writes that are under way, and holds up those that come, until the
/// transaction ends.
pub(super) async fn lock_everyone(tx: &Transaction<'_>) -> Result<()> {
    run(
        tx,
        "SELECT value FROM counters WHERE name = 'global_epoch' FOR NO KEY UPDATE",
        &[],
    )
    .await?;
    Ok(())
}

/// Raises the epoch of a user, if there is one: takes its lock too.
pub(super) async fn raise_epoch(tx: &Transaction<'_>, id: UserId) -> Result<()> {
    run(
        tx,
        "UPDATE users SET epoch = epoch + 1 WHERE id = $1",
        &[&id.0],
    )
    .await?;
    Ok(())
}

pub(super) fn gone() -> StoreError {
    StoreError::Inconsistent("a row that must be there is gone".into())
}
