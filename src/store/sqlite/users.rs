//! Shadow users.

use super::row::{Conditions, many, one, run};
use super::{revocations, sessions, trail};
use crate::store::rows::{self, Columns as _, USER, USER_SEEN_AT};
use crate::store::rules::{limit, may_set, nothing_new, plain, still_as};
use crate::store::{
    By, Change, EndReason, Epoch, Result, Revoked, SeenUser, Session, StateBy, StoreError, User,
    UserFilter, UserState, Which,
};
use crate::types::{IssuerId, Subject, Timestamp, UserId};
use rusqlite::{Connection, params};

/// The user as stored, if an assertion changes nothing: most calls end here, without a write.
pub(super) fn unchanged(db: &Connection, seen: &SeenUser) -> Result<Option<User>> {
    let found = one(
        db,
        &format!("SELECT {USER}, seen_at FROM users WHERE issuer = ?1 AND subject = ?2"),
        params![seen.issuer.as_str(), seen.subject.as_str()],
        |row| Ok((rows::user(row)?, Timestamp(row.int(USER_SEEN_AT)?))),
    )?;
    Ok(found
        .filter(|(user, seen_at)| nothing_new(user, *seen_at, seen))
        .map(|(user, _)| user))
}

pub(super) fn saw(db: &Connection, seen: &SeenUser) -> Result<User> {
    if let Some(user) = unchanged(db, seen)? {
        return Ok(user);
    }
    let id = UserId::generate();
    let attributes = "email, email_verified, name, username, locale, group_names";
    let excluded = "excluded.email, excluded.email_verified, excluded.name, excluded.username, \
                    excluded.locale, excluded.group_names";
    let sql = format!(
        "INSERT INTO users ({USER}, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'active', '', '', ?10, ?10, ?10, 0, ?10)
         ON CONFLICT (issuer, subject) DO UPDATE SET
             state_since = CASE state WHEN 'pending' THEN excluded.seen_at ELSE state_since END,
             state = CASE state WHEN 'pending' THEN 'active' ELSE state END,
             updated_at = CASE WHEN ({attributes}) IS NOT ({excluded})
                 THEN excluded.seen_at ELSE updated_at END,
             ({attributes}) = ({excluded}),
             seen_at = excluded.seen_at
         RETURNING {USER}"
    );
    let values = params![
        id.to_string(),
        seen.issuer.as_str(),
        seen.subject.as_str(),
        seen.email,
        seen.email_verified,
        seen.name,
        seen.username,
        seen.locale,
        rows::json(seen.groups.iter().map(crate::types::GroupName::as_str)),
        seen.at.0,
    ];
    let user = one(db, &sql, values, |row| rows::user(row))?.ok_or_else(gone)?;
    if user.id == id {
        // What followed from words about them followed for nobody.
        run(
            db,
            "UPDATE directory_people SET settled = 0, number = number + 1
             WHERE issuer = ?1 AND subject = ?2",
            params![seen.issuer.as_str(), seen.subject.as_str()],
        )?;
    }
    Ok(user)
}

pub(super) fn told(db: &Connection, told: &SeenUser, make: bool) -> Result<Option<User>> {
    let values = params![
        UserId::generate().to_string(),
        told.issuer.as_str(),
        told.subject.as_str(),
        told.email,
        told.email_verified,
        told.name,
        told.username,
        told.locale,
        told.at.0,
    ];
    if make {
        let sql = format!(
            "INSERT INTO users ({USER}, seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '[]', 'pending', '', '', ?9, ?9, ?9, 0, ?9)
             ON CONFLICT (issuer, subject) DO NOTHING"
        );
        run(db, &sql, values)?;
    }
    run(
        db,
        "UPDATE users SET updated_at = ?8, seen_at = ?8, email = ?3, email_verified = ?4, name = ?5,
             username = ?6, locale = ?7
         WHERE issuer = ?1 AND subject = ?2 AND seen_at <= ?8
             AND (email, email_verified, name, username, locale) IS NOT (?3, ?4, ?5, ?6, ?7)",
        params![
            told.issuer.as_str(),
            told.subject.as_str(),
            told.email,
            told.email_verified,
            told.name,
            told.username,
            told.locale,
            told.at.0,
        ],
    )?;
    by_subject(db, &told.issuer, &told.subject)
}

pub(super) fn by_subject(
    db: &Connection,
    issuer: &IssuerId,
    subject: &Subject,
) -> Result<Option<User>> {
    one(
        db,
        &format!("SELECT {USER} FROM users WHERE issuer = ?1 AND subject = ?2"),
        [issuer.as_str(), subject.as_str()],
        |row| rows::user(row),
    )
}

pub(super) fn get(db: &Connection, id: UserId) -> Result<Option<User>> {
    one(
        db,
        &format!("SELECT {USER} FROM users WHERE id = ?1"),
        [id.to_string()],
        |row| rows::user(row),
    )
}

pub(super) fn page(db: &Connection, filter: &UserFilter) -> Result<Vec<User>> {
    let mut conditions = Conditions::default();
    if let Some(state) = filter.state {
        conditions.with("state = ?", state.as_str().to_owned());
    }
    if let Some(search) = &filter.search {
        // SQLite's lower() folds ASCII only.
        conditions.with(
            "(instr(lower(email), ?) OR instr(lower(name), ?) OR instr(lower(subject), ?)
              OR instr(lower(coalesce(username, '')), ?))",
            plain(search).to_ascii_lowercase(),
        );
    }
    if let Some(after) = filter.after {
        conditions.with("id > ?", after.to_string());
    }
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    many(
        db,
        &format!("SELECT {USER} FROM users {clause} ORDER BY id LIMIT {limit}"),
        rusqlite::params_from_iter(values),
        |row| rows::user(row),
    )
}

pub(super) fn set_state_if(
    db: &Connection,
    read: &User,
    state: UserState,
    reason: &str,
    now: Timestamp,
    by: &By,
) -> Result<(User, Vec<Session>)> {
    match get(db, read.id)? {
        Some(user) if still_as(&user, read) => {
            let who = StateBy::Operator;
            set_state(db, read.id, state, (reason, &who), now, by)?.ok_or(StoreError::Changed)
        }
        _ => Err(StoreError::Changed),
    }
}

pub(super) fn set_state(
    db: &Connection,
    id: UserId,
    state: UserState,
    (reason, who): (&str, &StateBy),
    now: Timestamp,
    by: &By,
) -> Result<Option<(User, Vec<Session>)>> {
    let Some(user) = get(db, id)? else {
        return Ok(None);
    };
    if !may_set(&user, state, who) {
        return Ok(Some((user, Vec::new())));
    }
    run(
        db,
        "UPDATE users SET state = ?2, state_reason = ?3, state_since = ?4, state_by = ?5,
             epoch = epoch + 1
         WHERE id = ?1",
        params![
            id.to_string(),
            state.as_str(),
            plain(reason),
            now.0,
            who.text()
        ],
    )?;
    let (ended, why) = match state.denies() {
        false => (Vec::new(), None),
        true => {
            let why = EndReason::UserDisabled;
            (
                sessions::end_live(db, &Which::User(id, None), why, now)?,
                Some(why),
            )
        }
    };
    revocations::append(db, &Revoked::User(id), why, now)?;
    let user = get(db, id)?.ok_or_else(gone)?;
    let mut records = by.records(&Change::State(&user));
    records.extend(ended.iter().flat_map(|s| by.records(&Change::Ended(s))));
    trail::append(db, &records)?;
    Ok(Some((user, ended)))
}

/// The epoch as of now, and the state beside it.
pub(super) fn epoch(db: &Connection, id: UserId) -> Result<Epoch> {
    let epoch = one(
        db,
        "SELECT coalesce((SELECT epoch FROM users WHERE id = ?1), 0),
                (SELECT value FROM counters WHERE name = 'global_epoch')",
        [id.to_string()],
        |row| {
            Ok(Epoch {
                user: row.int(0)?,
                global: row.int(1)?,
            })
        },
    )?;
    epoch.ok_or_else(gone)
}

/// Raises the epoch of a user, if there is one.
pub(super) fn raise_epoch(db: &Connection, id: UserId) -> Result<()> {
    run(
        db,
        "UPDATE users SET epoch = epoch + 1 WHERE id = ?1",
        [id.to_string()],
    )?;
    Ok(())
}

fn gone() -> StoreError {
    StoreError::Inconsistent("a user is gone".into())
}
