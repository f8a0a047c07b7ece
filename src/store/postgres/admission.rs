//! What the access rule last said of a session's sign-in.

use super::revocations;
use super::row::{one, run};
use crate::store::rows::{self, Columns as _};
use crate::store::{Admission, Result, Revoked, Verdict};
use crate::types::{SessionId, Timestamp};
use deadpool_postgres::Pool;
use tokio_postgres::Row;

pub(super) async fn note(
    pool: &Pool,
    channel: &str,
    verdict: &Verdict,
    issued: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let found = match verdict {
        Verdict::Refused(app, issuer, subject, sid) => {
            one(
                &tx,
                "SELECT id, refused_at, readmitted_at FROM sessions
                 WHERE app = $1 AND issuer = $2 AND subject = $3 AND sid = $4
                     AND ended_at IS NULL FOR UPDATE",
                &[
                    &app.as_str(),
                    &issuer.as_str(),
                    &subject.as_str(),
                    &sid.as_str(),
                ],
                read,
            )
            .await?
        }
        Verdict::Admitted(id) => {
            one(
                &tx,
                "SELECT id, refused_at, readmitted_at FROM sessions
                 WHERE id = $1 AND ended_at IS NULL FOR UPDATE",
                &[&&id.0[..]],
                read,
            )
            .await?
        }
    };
    let Some((id, before)) = found else {
        return Ok(false);
    };
    let Some(after) = verdict.of(before, issued) else {
        return Ok(false);
    };
    run(
        &tx,
        "UPDATE sessions SET refused_at = $2, readmitted_at = $3 WHERE id = $1",
        &[&&id.0[..], &after.refused_at.0, &after.readmitted_at.0],
    )
    .await?;
    revocations::append(&tx, channel, &[Revoked::Admission(id)], None, now).await?;
    tx.commit().await?;
    Ok(true)
}

fn read(row: &Row) -> Result<(SessionId, Admission)> {
    Ok((rows::session_id(row.bytes(0)?)?, rows::admission(row, 1)?))
}
