//! What the access rule last said of a session's sign-in.

use super::revocations;
use super::row::{one, run};
use crate::store::rows::{self, Columns as _};
use crate::store::{Result, Revoked, Verdict};
use crate::types::Timestamp;
use rusqlite::{Connection, Row, params};

pub(super) fn note(
    db: &Connection,
    verdict: &Verdict,
    issued: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let read = |row: &Row<'_>| Ok((rows::session_id(row.bytes(0)?)?, rows::admission(row, 1)?));
    let found = match verdict {
        Verdict::Refused(app, issuer, subject, sid) => one(
            db,
            "SELECT id, refused_at, readmitted_at FROM sessions
             WHERE app = ?1 AND issuer = ?2 AND subject = ?3 AND sid = ?4 AND ended_at IS NULL",
            params![
                app.as_str(),
                issuer.as_str(),
                subject.as_str(),
                sid.as_str()
            ],
            read,
        )?,
        Verdict::Admitted(id) => one(
            db,
            "SELECT id, refused_at, readmitted_at FROM sessions
             WHERE id = ?1 AND ended_at IS NULL",
            [&id.0[..]],
            read,
        )?,
    };
    let Some((id, before)) = found else {
        return Ok(false);
    };
    let Some(after) = verdict.of(before, issued) else {
        return Ok(false);
    };
    run(
        db,
        "UPDATE sessions SET refused_at = ?2, readmitted_at = ?3 WHERE id = ?1",
        params![&id.0[..], after.refused_at.0, after.readmitted_at.0],
    )?;
    revocations::append(db, &Revoked::Admission(id), None, now)?;
    Ok(true)
}
