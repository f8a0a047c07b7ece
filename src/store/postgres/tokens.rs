//! Exchanged tokens: which were revoked, and what stands behind one.

use super::row::{one, run};
use super::{sessions, users};
use crate::store::rows::Columns as _;
use crate::store::{Result, TokenFacts, TokenQuestion};
use crate::types::{SessionId, Timestamp, TokenId};
use deadpool_postgres::{GenericClient, Pool};
use tokio_postgres::IsolationLevel;

pub(super) async fn facts(pool: &Pool, about: &TokenQuestion) -> Result<TokenFacts> {
    let mut client = pool.get().await?;
    // One snapshot for all of it.
    let tx = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let token = about.token.unwrap_or(TokenId([0; 16]));
    let revoked = one(
        &tx,
        "SELECT count(*) FROM revoked_tokens WHERE id = $1",
        &[&token.0.as_slice()],
        |row| row.int(0),
    )
    .await?;
    let session = sessions::get(&tx, about.session.unwrap_or(SessionId([0; 32]))).await?;
    let facts = TokenFacts {
        revoked: revoked != Some(0),
        user: users::get(&tx, about.user).await?,
        session,
        epoch: users::epoch(&tx, about.user).await?,
    };
    tx.commit().await?;
    Ok(facts)
}

pub(super) async fn revoke(
    db: &impl GenericClient,
    token: TokenId,
    until: Timestamp,
) -> Result<()> {
    run(
        db,
        "INSERT INTO revoked_tokens (id, stands_until) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET
             stands_until = greatest(revoked_tokens.stands_until, excluded.stands_until)",
        &[&token.0.as_slice(), &until.0],
    )
    .await?;
    Ok(())
}
