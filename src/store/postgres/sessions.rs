//! Sessions: looking them up, the three conditional writes, and what ends them.

use super::error::taken;
use super::row::{Conditions, many, one, run};
use super::users::gone;
use super::{revocations, trail, users};
use crate::store::rows::{self, Columns as _, SESSION, TOMBSTONE};
use crate::store::rules::{self, former_after, is_meant, limit, lives, plain, sids};
use crate::store::{
    Birth, By, Change, EndReason, Epoch, Renewal, Result, Revoked, Session, SessionFilter,
    StoreError, Tombstone, Which,
};
use crate::types::{AppId, IssuerId, SessionId, Sid, Subject, Timestamp};
use deadpool_postgres::{GenericClient, Pool, Transaction};

pub(super) async fn get(db: &impl GenericClient, id: SessionId) -> Result<Option<Session>> {
    one(
        db,
        &format!("SELECT {SESSION} FROM sessions WHERE id = $1"),
        &[&&id.0[..]],
        rows::session,
    )
    .await
}

pub(super) async fn by_sid(
    db: &impl GenericClient,
    app: &AppId,
    issuer: &IssuerId,
    subject: &Subject,
    sid: &Sid,
) -> Result<Option<Session>> {
    one(
        db,
        &format!(
            "SELECT {SESSION} FROM sessions
             WHERE app = $1 AND issuer = $2 AND subject = $3 AND sid = $4 AND ended_at IS NULL"
        ),
        &[
            &app.as_str(),
            &issuer.as_str(),
            &subject.as_str(),
            &sid.as_str(),
        ],
        rows::session,
    )
    .await
}

pub(super) async fn page(pool: &Pool, filter: &SessionFilter) -> Result<Vec<Session>> {
    let mut conditions = Conditions::default();
    if let Some(app) = &filter.app {
        conditions.with("app = ?", app.as_str().to_owned());
    }
    if let Some(user) = filter.user {
        conditions.with("user_id = ?", user.0);
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
    let (clause, limit) = (conditions.clause(), limit(filter.limit));
    many(
        &pool.get().await?,
        &format!(
            "SELECT {SESSION} FROM sessions {clause} ORDER BY created_at DESC, id DESC LIMIT {limit}"
        ),
        &conditions.values(),
        rows::session,
    )
    .await
}

pub(super) async fn unclosed(pool: &Pool, limit: u32) -> Result<Vec<Session>> {
    many(
        &pool.get().await?,
        &format!(
            "SELECT {SESSION} FROM sessions WHERE ended_at IS NOT NULL AND length(sealed) > 0
             ORDER BY ended_at, id LIMIT {limit}"
        ),
        &[],
        rows::session,
    )
    .await
}

pub(super) async fn closed(pool: &Pool, id: SessionId) -> Result<()> {
    run(
        &pool.get().await?,
        "UPDATE sessions SET sealed = '' WHERE id = $1 AND ended_at IS NOT NULL",
        &[&&id.0[..]],
    )
    .await?;
    Ok(())
}

pub(super) async fn birth(
    pool: &Pool,
    session: &Session,
    epoch: Epoch,
    now: Timestamp,
    by: &By,
) -> Result<Birth> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let standing = users::lock(&tx, session.user).await?;
    let owner = users::get(&tx, session.user).await?;
    let (Some(standing), Some(owner)) = (standing, owner) else {
        return Err(not_theirs());
    };
    if owner.issuer != session.issuer || owner.subject != session.subject {
        return Err(not_theirs());
    }
    if let Some(tombstone) = standing_tombstone(&tx, session, sids(session), now).await? {
        return Ok(Birth::Tombstoned(tombstone));
    }
    if !standing.is_still(epoch) {
        return Ok(Birth::EpochMoved);
    }
    let Session {
        app,
        issuer,
        subject,
        sid,
        ..
    } = session;
    if let Some(existing) = by_sid(&tx, app, issuer, subject, sid).await? {
        return Ok(Birth::Exists(Box::new(existing)));
    }
    let inserted = run(
        &tx,
        &format!(
            "INSERT INTO sessions ({SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                 $12, $13, $14, $15, $16, $17, NULL, NULL, $18, 0, 0)"
        ),
        &[
            &&session.id.0[..],
            &app.as_str(),
            &issuer.as_str(),
            &subject.as_str(),
            &session.user.0,
            &session.account.0,
            &session.remote.as_str(),
            &sid.as_str(),
            &rows::json(session.former_sids.iter().map(Sid::as_str)),
            &session.sealed,
            &session.app_session.as_deref().map(plain),
            &session.app_expires_at.0,
            &session.generation,
            &session.created_at.0,
            &session.sid_since.0,
            &session.expires_at.0,
            &session.last_seen.0,
            &plain(&session.agent),
        ],
    )
    .await;
    match inserted {
        Ok(_) => {
            trail::append(&tx, &by.records(&Change::Born(session))).await?;
            stands(tx, session.id).await
        }
        Err(error) if taken(&error).is_some() => Err(StoreError::Taken("session id")),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn renew(
    pool: &Pool,
    id: SessionId,
    from_generation: i64,
    renewal: &Renewal,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Birth> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let session = match writable(&tx, id, None, epoch, now).await? {
        Writable::Yes(session) => session,
        Writable::No(why) => return Ok(why),
    };
    if session.generation != from_generation {
        return Ok(Birth::Exists(session));
    }
    run(
        &tx,
        "UPDATE sessions SET sealed = $2, app_session = $3, app_expires_at = $4,
             generation = generation + 1
         WHERE id = $1",
        &[
            &&id.0[..],
            &renewal.sealed,
            &renewal.app_session.as_deref().map(plain),
            &renewal.app_expires_at.0,
        ],
    )
    .await?;
    stands(tx, id).await
}

pub(super) async fn carry_over(
    pool: &Pool,
    id: SessionId,
    to: &Sid,
    expires_at: Timestamp,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Birth> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let session = match writable(&tx, id, Some(to), epoch, now).await? {
        Writable::Yes(session) => session,
        Writable::No(why) => return Ok(why),
    };
    let Session {
        app,
        issuer,
        subject,
        ..
    } = &*session;
    if let Some(existing) = by_sid(&tx, app, issuer, subject, to).await? {
        return Ok(Birth::Exists(Box::new(existing)));
    }
    let former = former_after(&session, to);
    run(
        &tx,
        "UPDATE sessions SET sid = $2, former_sids = $3, sid_since = $4, expires_at = $5
         WHERE id = $1",
        &[
            &&id.0[..],
            &to.as_str(),
            &rows::json(former.iter().map(Sid::as_str)),
            &now.0,
            &expires_at.0,
        ],
    )
    .await?;
    stands(tx, id).await
}

pub(super) async fn end(
    pool: &Pool,
    channel: &str,
    which: &Which,
    reason: EndReason,
    until: Timestamp,
    now: Timestamp,
    by: &By,
) -> Result<Vec<Session>> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let owner = match which {
        // Whose a session is never changes.
        Which::Session(id) => get(&tx, *id).await?.map(|session| session.user),
        Which::User(user, _) => Some(*user),
        Which::Sid(_, issuer, subject, _) => users::by_subject(&tx, issuer, subject)
            .await?
            .map(|user| user.id),
        Which::All | Which::App(_) => {
            let sql = "UPDATE counters SET value = value + 1 WHERE name = 'global_epoch'";
            run(&tx, sql, &[]).await?;
            None
        }
    };
    match owner {
        Some(user) => {
            users::lock(&tx, user).await?;
        }
        // A subject nobody has seen yet may be seen now, and be born before we commit: with no row
        // of theirs to lock, every birth waits.
        None => users::lock_everyone(&tx).await?,
    }
    let ended = end_live(&tx, which, reason, now).await?;
    if let Some(user) = owner
        && !(matches!(which, Which::Session(_)) && ended.is_empty())
    {
        users::raise_epoch(&tx, user).await?;
    }
    if reason.tombstones() {
        set_tombstones(&tx, which, &ended, reason, until, now).await?;
    }
    let mut entries = Vec::new();
    match which {
        Which::All => entries.push(Revoked::All),
        Which::Sid(app, issuer, subject, sid) if ended.is_empty() => {
            let (app, issuer) = (app.clone(), issuer.clone());
            entries.push(Revoked::Sid(app, issuer, subject.clone(), sid.clone()));
        }
        _ => entries.extend(ended.iter().map(|session| Revoked::Session(session.id))),
    }
    revocations::append(&tx, channel, &entries, Some(reason), now).await?;
    let records = rules::records_of_end(which, &ended, owner, reason, by);
    trail::append(&tx, &records).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Marks the live sessions that `which` means, and gives them as they are then.
pub(super) async fn end_live(
    tx: &Transaction<'_>,
    which: &Which,
    reason: EndReason,
    now: Timestamp,
) -> Result<Vec<Session>> {
    let live = |more: &str| {
        format!(
            "SELECT {SESSION} FROM sessions WHERE ended_at IS NULL {more} ORDER BY id FOR UPDATE"
        )
    };
    let found = match which {
        Which::Session(id) => many(tx, &live("AND id = $1"), &[&&id.0[..]], rows::session).await,
        Which::User(user, _) => {
            many(tx, &live("AND user_id = $1"), &[&user.0], rows::session).await
        }
        Which::Sid(app, issuer, subject, _) => {
            let sql = live("AND app = $1 AND issuer = $2 AND subject = $3");
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&app.as_str(), &issuer.as_str(), &subject.as_str()];
            many(tx, &sql, &values, rows::session).await
        }
        Which::App(app) => many(tx, &live("AND app = $1"), &[&app.as_str()], rows::session).await,
        Which::All => many(tx, &live(""), &[], rows::session).await,
    }?;
    let mut ended: Vec<Session> = found
        .into_iter()
        .filter(|session| is_meant(which, session))
        .collect();
    let ids: Vec<&[u8]> = ended.iter().map(|session| &session.id.0[..]).collect();
    run(
        tx,
        "UPDATE sessions SET ended_at = $2, end_reason = $3 WHERE id = ANY ($1)",
        &[&ids, &now.0, &reason.as_str()],
    )
    .await?;
    for session in &mut ended {
        session.ended_at = Some(now);
        session.end_reason = Some(reason);
    }
    Ok(ended)
}

pub(super) async fn tombstone(
    db: &impl GenericClient,
    app: &AppId,
    issuer: &IssuerId,
    subject: &Subject,
    sids: &[&str],
    now: Timestamp,
) -> Result<Option<Tombstone>> {
    one(
        db,
        &format!(
            "SELECT {TOMBSTONE} FROM tombstones
             WHERE app = $1 AND issuer = $2 AND subject = $3 AND sid = ANY ($4)
               AND stands_until >= $5
             ORDER BY stands_until DESC LIMIT 1"
        ),
        &[
            &app.as_str(),
            &issuer.as_str(),
            &subject.as_str(),
            &sids,
            &now.0,
        ],
        rows::tombstone,
    )
    .await
}

pub(super) async fn touch(pool: &Pool, seen: &[(SessionId, Timestamp)]) -> Result<()> {
    let ids: Vec<&[u8]> = seen.iter().map(|(id, _)| &id.0[..]).collect();
    let times: Vec<i64> = seen.iter().map(|(_, at)| at.0).collect();
    // The rows are locked in the order that everyone locks them in.
    run(
        &pool.get().await?,
        "WITH seen AS (
             SELECT id, max(at) AS at FROM unnest($1::bytea[], $2::bigint[]) AS s (id, at) GROUP BY id
         ), older AS (
             SELECT sessions.id, seen.at FROM sessions JOIN seen ON sessions.id = seen.id
             WHERE sessions.last_seen < seen.at ORDER BY sessions.id FOR UPDATE OF sessions
         )
         UPDATE sessions SET last_seen = greatest(sessions.last_seen, older.at)
         FROM older WHERE sessions.id = older.id",
        &[&ids, &times],
    )
    .await?;
    Ok(())
}

pub(super) async fn last_seen(
    pool: &Pool,
    ids: &[SessionId],
) -> Result<Vec<(SessionId, Timestamp)>> {
    let ids: Vec<&[u8]> = ids.iter().map(|id| &id.0[..]).collect();
    many(
        &pool.get().await?,
        "SELECT id, last_seen FROM sessions WHERE id = ANY ($1)",
        &[&ids],
        |row| Ok((rows::session_id(row.bytes(0)?)?, Timestamp(row.int(1)?))),
    )
    .await
}

/// Whether a session may be renewed or carried over.
enum Writable {
    /// As it is under its user's lock.
    Yes(Box<Session>),
    No(Birth),
}

async fn writable(
    tx: &Transaction<'_>,
    id: SessionId,
    to: Option<&Sid>,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Writable> {
    // Read once to know whose lock to take, and again under it.
    let Some(owner) = get(tx, id).await?.map(|session| session.user) else {
        return Ok(Writable::No(Birth::Gone));
    };
    let standing = users::lock(tx, owner).await?.ok_or_else(gone)?;
    let Some(session) = get(tx, id).await? else {
        return Ok(Writable::No(Birth::Gone));
    };
    let of = sids(&session).chain(to);
    Ok(
        if let Some(tombstone) = standing_tombstone(tx, &session, of, now).await? {
            Writable::No(Birth::Tombstoned(tombstone))
        } else if !lives(&session, now) {
            Writable::No(Birth::Gone)
        } else if !standing.is_still(epoch) {
            Writable::No(Birth::EpochMoved)
        } else {
            Writable::Yes(Box::new(session))
        },
    )
}

async fn standing_tombstone<'a>(
    tx: &Transaction<'_>,
    session: &Session,
    of: impl Iterator<Item = &'a Sid>,
    now: Timestamp,
) -> Result<Option<Tombstone>> {
    let of: Vec<&str> = of.map(Sid::as_str).collect();
    tombstone(
        tx,
        &session.app,
        &session.issuer,
        &session.subject,
        &of,
        now,
    )
    .await
}

/// The latest reason counts; a tombstone never falls earlier than it was to.
async fn set_tombstones(
    tx: &Transaction<'_>,
    which: &Which,
    ended: &[Session],
    reason: EndReason,
    until: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let mut keys = Vec::new();
    for session in ended {
        let Session {
            app,
            issuer,
            subject,
            ..
        } = session;
        keys.extend(sids(session).map(|sid| (app, issuer, subject, sid)));
    }
    if let Which::Sid(app, issuer, subject, sid) = which {
        keys.push((app, issuer, subject, sid));
    }
    // In one order everywhere, so that two of us never wait for each other.
    keys.sort();
    keys.dedup();
    let column = |pick: fn(&(&AppId, &IssuerId, &Subject, &Sid)) -> String| -> Vec<String> {
        keys.iter().map(pick).collect()
    };
    run(
        tx,
        &format!(
            "INSERT INTO tombstones AS stood (app, issuer, subject, sid, {TOMBSTONE})
             SELECT app, issuer, subject, sid, $5, $6, $7
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                 AS k (app, issuer, subject, sid)
             ON CONFLICT (app, issuer, subject, sid) DO UPDATE SET reason = excluded.reason,
                 set_at = excluded.set_at,
                 stands_until = greatest(stood.stands_until, excluded.stands_until)"
        ),
        &[
            &column(|k| k.0.to_string()),
            &column(|k| k.1.to_string()),
            &column(|k| k.2.to_string()),
            &column(|k| k.3.to_string()),
            &reason.as_str(),
            &now.0,
            &until.0,
        ],
    )
    .await?;
    Ok(())
}

/// Commits, and gives the session as stored.
async fn stands(tx: Transaction<'_>, id: SessionId) -> Result<Birth> {
    let session = get(&tx, id).await?.ok_or_else(gone)?;
    tx.commit().await?;
    Ok(Birth::Stands(Box::new(session)))
}

fn not_theirs() -> StoreError {
    StoreError::Inconsistent("a session of another's user".into())
}
