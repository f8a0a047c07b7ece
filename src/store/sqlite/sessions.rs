//! Sessions: looking them up, the three conditional writes, and what ends them.

use super::error::is_taken;
use super::row::{Conditions, many, one, run};
use super::{revocations, trail, users};
use crate::store::rows::{self, Columns as _, SESSION, TOMBSTONE};
use crate::store::rules::{self, Standing, former_after, is_meant, limit, lives, plain, sids};
use crate::store::{
    Birth, By, Change, EndReason, Epoch, Renewal, Result, Revoked, Session, SessionFilter,
    StoreError, Tombstone, Which,
};
use crate::types::{AppId, IssuerId, SessionId, Sid, Subject, Timestamp, UserId};
use rusqlite::{Connection, params};

pub(super) fn get(db: &Connection, id: SessionId) -> Result<Option<Session>> {
    one(
        db,
        &format!("SELECT {SESSION} FROM sessions WHERE id = ?1"),
        [&id.0[..]],
        |row| rows::session(row),
    )
}

pub(super) fn by_sid(
    db: &Connection,
    app: &AppId,
    issuer: &IssuerId,
    subject: &Subject,
    sid: &Sid,
) -> Result<Option<Session>> {
    one(
        db,
        &format!(
            "SELECT {SESSION} FROM sessions
             WHERE app = ?1 AND issuer = ?2 AND subject = ?3 AND sid = ?4 AND ended_at IS NULL"
        ),
        [
            app.as_str(),
            issuer.as_str(),
            subject.as_str(),
            sid.as_str(),
        ],
        |row| rows::session(row),
    )
}

pub(super) fn page(db: &Connection, filter: &SessionFilter) -> Result<Vec<Session>> {
    let mut conditions = Conditions::default();
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.to_string());
    }
    if let Some(remote) = &filter.remote {
        conditions.with("remote = ?", remote.as_str().to_owned());
    }
    if let Some(sid) = &filter.sid {
        conditions.with("sid = ?", sid.as_str().to_owned());
    }
    if filter.live {
        conditions.plain("ended_at IS NULL");
    }
    if let Some((born, id)) = filter.after {
        // A number of our own: nothing to escape.
        let born = born.0;
        conditions.with(
            &format!("(created_at < {born} OR (created_at = {born} AND id < ?))"),
            id.0.to_vec(),
        );
    }
    if let Some((expired, unseen)) = filter.outlived {
        // Numbers of our own: nothing to escape.
        conditions.plain(&format!(
            "(expires_at <= {} OR last_seen <= {})",
            expired.0, unseen.0
        ));
    }
    let (clause, values) = conditions.finish();
    let limit = limit(filter.limit);
    many(
        db,
        &format!(
            "SELECT {SESSION} FROM sessions {clause} ORDER BY created_at DESC, id DESC LIMIT {limit}"
        ),
        rusqlite::params_from_iter(values),
        |row| rows::session(row),
    )
}

pub(super) fn unclosed(db: &Connection, limit: u32) -> Result<Vec<Session>> {
    many(
        db,
        &format!(
            "SELECT {SESSION} FROM sessions WHERE ended_at IS NOT NULL AND length(sealed) > 0
             ORDER BY ended_at, id LIMIT {limit}"
        ),
        [],
        |row| rows::session(row),
    )
}

pub(super) fn closed(db: &Connection, id: SessionId) -> Result<()> {
    run(
        db,
        "UPDATE sessions SET sealed = x'' WHERE id = ?1 AND ended_at IS NOT NULL",
        [&id.0[..]],
    )?;
    Ok(())
}

pub(super) fn birth(
    db: &Connection,
    session: &Session,
    epoch: Epoch,
    now: Timestamp,
    by: &By,
) -> Result<Birth> {
    let owner = users::get(db, session.user)?;
    if !owner.is_some_and(|u| u.issuer == session.issuer && u.subject == session.subject) {
        return Err(StoreError::Inconsistent(
            "a session of another's user".into(),
        ));
    }
    if let Some(tombstone) = standing_tombstone(db, session, sids(session), now)? {
        return Ok(Birth::Tombstoned(tombstone));
    }
    if !standing(db, session.user)?.is_still(epoch) {
        return Ok(Birth::EpochMoved);
    }
    let Session {
        app,
        issuer,
        subject,
        sid,
        ..
    } = session;
    if let Some(existing) = by_sid(db, app, issuer, subject, sid)? {
        return Ok(Birth::Exists(Box::new(existing)));
    }
    let inserted = run(
        db,
        &format!(
            "INSERT INTO sessions ({SESSION}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                 ?12, ?13, ?14, ?15, ?16, ?17, NULL, NULL, ?18, 0, 0)"
        ),
        params![
            &session.id.0[..],
            app.as_str(),
            issuer.as_str(),
            subject.as_str(),
            session.user.to_string(),
            session.account.to_string(),
            session.remote.as_str(),
            sid.as_str(),
            rows::json(session.former_sids.iter().map(Sid::as_str)),
            session.sealed,
            session.app_session.as_deref().map(plain),
            session.app_expires_at.0,
            session.generation,
            session.created_at.0,
            session.sid_since.0,
            session.expires_at.0,
            session.last_seen.0,
            plain(&session.agent),
        ],
    );
    match inserted {
        Ok(_) => {
            trail::append(db, &by.records(&Change::Born(session)))?;
            stands(db, session.id)
        }
        Err(error) if is_taken(&error) => Err(StoreError::Taken("session id")),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn renew(
    db: &Connection,
    id: SessionId,
    from_generation: i64,
    renewal: &Renewal,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Birth> {
    let Some(session) = get(db, id)? else {
        return Ok(Birth::Gone);
    };
    if let Some(tombstone) = standing_tombstone(db, &session, sids(&session), now)? {
        return Ok(Birth::Tombstoned(tombstone));
    }
    if !lives(&session, now) {
        return Ok(Birth::Gone);
    }
    if !standing(db, session.user)?.is_still(epoch) {
        return Ok(Birth::EpochMoved);
    }
    if session.generation != from_generation {
        return Ok(Birth::Exists(Box::new(session)));
    }
    run(
        db,
        "UPDATE sessions SET sealed = ?2, app_session = ?3, app_expires_at = ?4,
             generation = generation + 1
         WHERE id = ?1",
        params![
            &id.0[..],
            renewal.sealed,
            renewal.app_session.as_deref().map(plain),
            renewal.app_expires_at.0
        ],
    )?;
    stands(db, id)
}

pub(super) fn carry_over(
    db: &Connection,
    id: SessionId,
    to: &Sid,
    expires_at: Timestamp,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Birth> {
    let Some(session) = get(db, id)? else {
        return Ok(Birth::Gone);
    };
    let of = sids(&session).chain([to]);
    if let Some(tombstone) = standing_tombstone(db, &session, of, now)? {
        return Ok(Birth::Tombstoned(tombstone));
    }
    if !lives(&session, now) {
        return Ok(Birth::Gone);
    }
    if !standing(db, session.user)?.is_still(epoch) {
        return Ok(Birth::EpochMoved);
    }
    if let Some(existing) = by_sid(db, &session.app, &session.issuer, &session.subject, to)? {
        return Ok(Birth::Exists(Box::new(existing)));
    }
    let former = former_after(&session, to);
    run(
        db,
        "UPDATE sessions SET sid = ?2, former_sids = ?3, sid_since = ?4, expires_at = ?5
         WHERE id = ?1",
        params![
            &id.0[..],
            to.as_str(),
            rows::json(former.iter().map(Sid::as_str)),
            now.0,
            expires_at.0
        ],
    )?;
    stands(db, id)
}

pub(super) fn end(
    db: &Connection,
    which: &Which,
    reason: EndReason,
    until: Timestamp,
    now: Timestamp,
    by: &By,
) -> Result<Vec<Session>> {
    let ended = end_live(db, which, reason, now)?;
    let mut buried = None;
    match which {
        Which::Session(_) => {
            for session in &ended {
                users::raise_epoch(db, session.user)?;
            }
        }
        Which::User(user, _) => users::raise_epoch(db, *user)?,
        Which::Sid(_, issuer, subject, _) => {
            if let Some(user) = users::by_subject(db, issuer, subject)? {
                users::raise_epoch(db, user.id)?;
                buried = Some(user.id);
            }
        }
        Which::All | Which::App(_) => {
            run(
                db,
                "UPDATE counters SET value = value + 1 WHERE name = 'global_epoch'",
                [],
            )?;
        }
    }
    if reason.tombstones() {
        let at = Tombstone {
            reason,
            at: now,
            until,
        };
        for session in &ended {
            for sid in sids(session) {
                set_tombstone(
                    db,
                    &session.app,
                    &session.issuer,
                    &session.subject,
                    sid,
                    &at,
                )?;
            }
        }
        if let Which::Sid(app, issuer, subject, sid) = which {
            set_tombstone(db, app, issuer, subject, sid, &at)?;
        }
    }
    trail::append(
        db,
        &rules::records_of_end(which, &ended, buried, reason, by),
    )?;
    if *which == Which::All {
        revocations::append(db, &Revoked::All, Some(reason), now)?;
        return Ok(ended);
    }
    for session in &ended {
        revocations::append(db, &Revoked::Session(session.id), Some(reason), now)?;
    }
    if let Which::Sid(app, issuer, subject, sid) = which
        && ended.is_empty()
    {
        let what = Revoked::Sid(app.clone(), issuer.clone(), subject.clone(), sid.clone());
        revocations::append(db, &what, Some(reason), now)?;
    }
    Ok(ended)
}

/// Marks the live sessions that `which` means, and gives them as they are then.
pub(super) fn end_live(
    db: &Connection,
    which: &Which,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<Session>> {
    let live = format!("SELECT {SESSION} FROM sessions WHERE ended_at IS NULL");
    let found = match which {
        Which::Session(id) => many(db, &format!("{live} AND id = ?1"), [&id.0[..]], |row| {
            rows::session(row)
        }),
        Which::User(user, _) => many(
            db,
            &format!("{live} AND user_id = ?1"),
            [user.to_string()],
            |row| rows::session(row),
        ),
        Which::Sid(app, issuer, subject, _) => many(
            db,
            &format!("{live} AND app = ?1 AND issuer = ?2 AND subject = ?3"),
            [app.as_str(), issuer.as_str(), subject.as_str()],
            |row| rows::session(row),
        ),
        Which::App(app) => many(db, &format!("{live} AND app = ?1"), [app.as_str()], |row| {
            rows::session(row)
        }),
        Which::All => many(db, &live, [], |row| rows::session(row)),
    }?;
    let mut ended = Vec::new();
    for mut session in found.into_iter().filter(|session| is_meant(which, session)) {
        run(
            db,
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3 WHERE id = ?1",
            params![&session.id.0[..], now.0, reason.as_str()],
        )?;
        session.ended_at = Some(now);
        session.end_reason = Some(reason);
        ended.push(session);
    }
    Ok(ended)
}

pub(super) fn tombstone(
    db: &Connection,
    app: &AppId,
    issuer: &IssuerId,
    subject: &Subject,
    sid: &Sid,
    now: Timestamp,
) -> Result<Option<Tombstone>> {
    one(
        db,
        &format!(
            "SELECT {TOMBSTONE} FROM tombstones
             WHERE app = ?1 AND issuer = ?2 AND subject = ?3 AND sid = ?4 AND stands_until >= ?5"
        ),
        params![
            app.as_str(),
            issuer.as_str(),
            subject.as_str(),
            sid.as_str(),
            now.0
        ],
        |row| rows::tombstone(row),
    )
}

pub(super) fn touch(db: &Connection, seen: &[(SessionId, Timestamp)]) -> Result<()> {
    for (id, at) in seen {
        run(
            db,
            "UPDATE sessions SET last_seen = ?2 WHERE id = ?1 AND last_seen < ?2",
            params![&id.0[..], at.0],
        )?;
    }
    Ok(())
}

pub(super) fn last_seen(db: &Connection, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>> {
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let at = one(
            db,
            "SELECT last_seen FROM sessions WHERE id = ?1",
            [&id.0[..]],
            |row| row.int(0),
        )?;
        all.extend(at.map(|at| (*id, Timestamp(at))));
    }
    Ok(all)
}

fn standing(db: &Connection, user: UserId) -> Result<Standing> {
    let state = one(
        db,
        "SELECT state FROM users WHERE id = ?1",
        [user.to_string()],
        |row| rows::user_state(&row.text(0)?),
    )?;
    Ok(Standing {
        epoch: users::epoch(db, user)?,
        state: state.ok_or_else(lost)?,
    })
}

fn standing_tombstone<'a>(
    db: &Connection,
    session: &Session,
    of: impl Iterator<Item = &'a Sid>,
    now: Timestamp,
) -> Result<Option<Tombstone>> {
    for sid in of {
        let Session {
            app,
            issuer,
            subject,
            ..
        } = session;
        if let Some(found) = tombstone(db, app, issuer, subject, sid, now)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The latest reason counts; a tombstone never falls earlier than it was to.
fn set_tombstone(
    db: &Connection,
    app: &AppId,
    issuer: &IssuerId,
    subject: &Subject,
    sid: &Sid,
    tombstone: &Tombstone,
) -> Result<()> {
    run(
        db,
        &format!(
            "INSERT INTO tombstones (app, issuer, subject, sid, {TOMBSTONE})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (app, issuer, subject, sid) DO UPDATE SET reason = excluded.reason,
                 set_at = excluded.set_at,
                 stands_until = max(stands_until, excluded.stands_until)"
        ),
        params![
            app.as_str(),
            issuer.as_str(),
            subject.as_str(),
            sid.as_str(),
            tombstone.reason.as_str(),
            tombstone.at.0,
            tombstone.until.0
        ],
    )?;
    Ok(())
}

fn stands(db: &Connection, id: SessionId) -> Result<Birth> {
    let session = get(db, id)?.ok_or_else(lost)?;
    Ok(Birth::Stands(Box::new(session)))
}

fn lost() -> StoreError {
    StoreError::Inconsistent("a row just written is gone".into())
}
