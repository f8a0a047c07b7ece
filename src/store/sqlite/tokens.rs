//! Exchanged tokens: which were revoked, and what stands behind one.

use super::row::{one, run};
use super::{sessions, users};
use crate::store::rows::Columns as _;
use crate::store::{Result, TokenFacts, TokenQuestion};
use crate::types::{SessionId, Timestamp, TokenId};
use rusqlite::{Connection, params};

pub(super) fn facts(db: &Connection, about: &TokenQuestion) -> Result<TokenFacts> {
    // One snapshot for all of it.
    let tx = db.unchecked_transaction()?;
    let token = about.token.unwrap_or(TokenId([0; 16]));
    let revoked = one(
        &tx,
        "SELECT count(*) FROM revoked_tokens WHERE id = ?1",
        params![token.0],
        |row| row.int(0),
    )?;
    let session = sessions::get(&tx, about.session.unwrap_or(SessionId([0; 32])))?;
    let facts = TokenFacts {
        revoked: revoked != Some(0),
        user: users::get(&tx, about.user)?,
        session,
        epoch: users::epoch(&tx, about.user)?,
    };
    tx.commit()?;
    Ok(facts)
}

pub(super) fn revoke(db: &Connection, token: TokenId, until: Timestamp) -> Result<()> {
    run(
        db,
        "INSERT INTO revoked_tokens (id, stands_until) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET stands_until = max(stands_until, excluded.stands_until)",
        params![token.0, until.0],
    )?;
    Ok(())
}
