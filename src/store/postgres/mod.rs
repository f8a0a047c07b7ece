//! The shared store: any number of replicas on one PostgreSQL (tried with 15).
//!
//! A method is one transaction in `READ COMMITTED`; what must not interleave takes row locks, in
//! the order that `users::lock` names. Nothing waits without a bound: not for a connection, not
//! for a lock, not for an answer; what takes too long is `Unavailable`.
//!
//! `pool` where to and how long · `migrate` · `notify` `LISTEN` · `row`, `error` PostgreSQL's
//! values and refusals · `lock` · one file a subject for the rest.

mod accounts;
mod admission;
pub(super) mod archive;
mod bots;
mod claims;
mod directory;
mod error;
mod jobs;
mod keys;
mod lock;
mod looks;
mod migrate;
mod notify;
mod plans;
mod pool;
mod presence;
mod provision;
mod purge;
mod revocations;
mod row;
mod scim;
mod sealed;
mod sessions;
mod tokens;
mod trail;
mod users;

pub(super) use migrate::MIGRATIONS;
pub use pool::PostgresOptions;

use super::rules::plain_user;
use super::signal::Signal;
use super::{
    Account, AccountFilter, Birth, By, Claim, Claimed, Draft, EndReason, Epoch, KeptAnswer,
    LockGuard, MarkKind, Renewal, Resealed, Result, Revocation, Schema, SealCount, SealHead,
    Sealed, SealedAt, SealedKind, SeenUser, Session, SessionFilter, StateBy, Store, StoreError,
    StoredBot, StoredKey, TokenFacts, TokenQuestion, Tombstone, TrailFilter, TrailHead, TrailMark,
    TrailRecord, User, UserFilter, UserState, Verdict, Which,
};
use crate::types::{
    AppId, BotName, IssuerId, RemoteId, SessionId, Sid, SourceId, Subject, Timestamp, TokenId,
    UserId,
};
use async_trait::async_trait;
use deadpool_postgres::{Client, Pool};
use lock::Locks;
use pool::PATIENCE;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// The shared store, as one replica sees it.
pub struct PostgresStore {
    pool: Pool,
    locks: Locks,
    channel: String,
    appended: Arc<Signal>,
    wished: Arc<Signal>,
    _listener: AbortOnDropHandle<()>,
}

impl PostgresStore {
    /// Connects, brings the schema up to date and begins to listen.
    ///
    /// # Errors
    /// `Unavailable` when the server can't be reached or refuses us; `Schema` when the schema was
    /// made by a newer version or its name is no plain word.
    pub async fn connect(options: &PostgresOptions) -> Result<Self> {
        let pool = pool::pool(options)?;
        migrate::migrate(&pool, &options.schema).await?;
        let (appended, wished) = (Arc::new(Signal::new()), Arc::new(Signal::new()));
        let heard = notify::Heard {
            appended: Arc::clone(&appended),
            wished: Arc::clone(&wished),
        };
        Ok(Self {
            locks: Locks::new(&options.schema),
            channel: notify::channel(&options.schema),
            _listener: notify::listen(options, heard)?,
            appended,
            wished,
            pool,
        })
    }

    /// How far the tables are. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn schema(options: &PostgresOptions) -> Result<Schema> {
        let pool = pool::pool(options)?;
        Ok(Schema {
            found: bounded(migrate::version(&pool, &options.schema)).await?,
            known: MIGRATIONS.len() as i64,
        })
    }

    async fn client(&self) -> Result<Client> {
        Ok(self.pool.get().await?)
    }
}

/// Bounds a method. What was not committed by then is rolled back when it is dropped.
async fn bounded<T>(method: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, method).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn saw_user(&self, seen: &SeenUser) -> Result<User> {
        bounded(users::saw(&self.pool, &plain_user(seen))).await
    }

    async fn user_by_subject(&self, issuer: &IssuerId, subject: &Subject) -> Result<Option<User>> {
        bounded(async { users::by_subject(&self.client().await?, issuer, subject).await }).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        bounded(async { users::get(&self.client().await?, id).await }).await
    }

    async fn users(&self, filter: &UserFilter) -> Result<Vec<User>> {
        bounded(users::page(&self.pool, filter)).await
    }

    async fn told_of_user(&self, told: &SeenUser, make: bool) -> Result<Option<User>> {
        bounded(users::told(&self.pool, &plain_user(told), make)).await
    }

    async fn directory_sets_state(
        &self,
        id: UserId,
        source: &SourceId,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<Option<(User, Vec<Session>)>> {
        let who = StateBy::Directory(source.clone());
        bounded(users::set_state(
            &self.pool,
            &self.channel,
            id,
            None,
            (state, reason, &who),
            now,
            by,
        ))
        .await
    }

    async fn set_user_state(
        &self,
        id: UserId,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<Option<(User, Vec<Session>)>> {
        bounded(users::set_state(
            &self.pool,
            &self.channel,
            id,
            None,
            (state, reason, &StateBy::Operator),
            now,
            by,
        ))
        .await
    }

    async fn set_user_state_if(
        &self,
        read: &User,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<(User, Vec<Session>)> {
        let set = users::set_state(
            &self.pool,
            &self.channel,
            read.id,
            Some(read),
            (state, reason, &StateBy::Operator),
            now,
            by,
        );
        bounded(set).await?.ok_or(StoreError::Changed)
    }

    async fn account(&self, app: &AppId, user: UserId) -> Result<Option<Account>> {
        bounded(async { accounts::of_user(&self.client().await?, app, user).await }).await
    }

    async fn account_by_remote(&self, app: &AppId, remote: &RemoteId) -> Result<Option<Account>> {
        bounded(async { accounts::by_remote(&self.client().await?, app, remote).await }).await
    }

    async fn accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>> {
        bounded(accounts::page(&self.pool, filter)).await
    }

    async fn begin_account(&self, app: &AppId, user: UserId, now: Timestamp) -> Result<Account> {
        bounded(accounts::begin(&self.pool, app, user, now)).await
    }

    async fn save_account(&self, account: &Account, by: &By) -> Result<Account> {
        bounded(accounts::save(&self.pool, account, by)).await
    }

    async fn epoch(&self, user: UserId) -> Result<Epoch> {
        bounded(async { users::epoch(&self.client().await?, user).await }).await
    }

    async fn birth(
        &self,
        session: &Session,
        epoch: Epoch,
        now: Timestamp,
        by: &By,
    ) -> Result<Birth> {
        bounded(sessions::birth(&self.pool, session, epoch, now, by)).await
    }

    async fn renew(
        &self,
        id: SessionId,
        from_generation: i64,
        renewal: &Renewal,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Birth> {
        bounded(sessions::renew(
            &self.pool,
            id,
            from_generation,
            renewal,
            epoch,
            now,
        ))
        .await
    }

    async fn carry_over(
        &self,
        id: SessionId,
        to: &Sid,
        expires_at: Timestamp,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Birth> {
        bounded(sessions::carry_over(
            &self.pool, id, to, expires_at, epoch, now,
        ))
        .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        bounded(async { sessions::get(&self.client().await?, id).await }).await
    }

    async fn session_by_sid(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
    ) -> Result<Option<Session>> {
        let found =
            async { sessions::by_sid(&self.client().await?, app, issuer, subject, sid).await };
        bounded(found).await
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>> {
        bounded(sessions::page(&self.pool, filter)).await
    }

    async fn unclosed_sessions(&self, limit: u32) -> Result<Vec<Session>> {
        bounded(sessions::unclosed(&self.pool, limit)).await
    }

    async fn session_closed(&self, id: SessionId) -> Result<()> {
        bounded(sessions::closed(&self.pool, id)).await
    }

    async fn end_sessions(
        &self,
        which: &Which,
        reason: EndReason,
        tombstone_until: Timestamp,
        now: Timestamp,
        by: &By,
    ) -> Result<Vec<Session>> {
        let until = tombstone_until;
        bounded(sessions::end(
            &self.pool,
            &self.channel,
            which,
            reason,
            until,
            now,
            by,
        ))
        .await
    }

    async fn note_verdict(
        &self,
        verdict: &Verdict,
        issued: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        bounded(admission::note(
            &self.pool,
            &self.channel,
            verdict,
            issued,
            now,
        ))
        .await
    }

    async fn tombstone(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
        now: Timestamp,
    ) -> Result<Option<Tombstone>> {
        let of = [sid.as_str()];
        let found = async {
            sessions::tombstone(&self.client().await?, app, issuer, subject, &of, now).await
        };
        bounded(found).await
    }

    async fn touch(&self, seen: &[(SessionId, Timestamp)]) -> Result<()> {
        bounded(sessions::touch(&self.pool, seen)).await
    }

    async fn last_seen(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>> {
        bounded(sessions::last_seen(&self.pool, ids)).await
    }

    async fn token_facts(&self, about: &TokenQuestion) -> Result<TokenFacts> {
        bounded(tokens::facts(&self.pool, about)).await
    }

    async fn revoke_token(&self, token: TokenId, until: Timestamp) -> Result<()> {
        bounded(async { tokens::revoke(&self.client().await?, token, until).await }).await
    }

    async fn revocations_after(&self, number: i64, limit: u32) -> Result<Vec<Revocation>> {
        self.appended.reading();
        bounded(async { revocations::after(&self.client().await?, number, limit).await }).await
    }

    async fn newest_revocation(&self) -> Result<i64> {
        bounded(async { revocations::newest(&self.client().await?).await }).await
    }

    async fn wait_for_revocation(&self, at_most: Duration) {
        self.appended.wait(at_most).await;
    }

    async fn signing_keys(&self) -> Result<Vec<StoredKey>> {
        bounded(keys::ring(&self.pool)).await
    }

    async fn put_signing_key(&self, key: &StoredKey, now: Timestamp, by: &By) -> Result<()> {
        bounded(keys::put(&self.pool, &self.channel, key, now, by)).await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        bounded(async { keys::secret(&self.client().await?, name).await }).await
    }

    async fn secret_or_insert(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        bounded(keys::secret_or_insert(&self.pool, name, sealed)).await
    }

    async fn bots(&self) -> Result<Vec<StoredBot>> {
        bounded(async { bots::all(&self.client().await?).await }).await
    }

    async fn bot(&self, app: &AppId, name: &BotName) -> Result<Option<StoredBot>> {
        bounded(async { bots::of_name(&self.client().await?, app, name).await }).await
    }

    async fn begin_bot(&self, bot: &StoredBot) -> Result<StoredBot> {
        bounded(bots::begin(&self.pool, bot)).await
    }

    async fn save_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<StoredBot> {
        bounded(bots::save(&self.pool, &self.channel, bot, now)).await
    }

    async fn remove_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<()> {
        bounded(bots::remove(&self.pool, &self.channel, bot, now)).await
    }

    async fn append_trail(&self, drafts: &[Draft]) -> Result<TrailHead> {
        bounded(trail::append_alone(&self.pool, drafts)).await
    }

    async fn trail_head(&self) -> Result<TrailHead> {
        bounded(async { trail::head(&self.client().await?).await }).await
    }

    async fn trail(&self, filter: &TrailFilter) -> Result<Vec<TrailRecord>> {
        bounded(trail::page(&self.pool, filter)).await
    }

    async fn put_checkpoint(&self, number: i64, token: &str) -> Result<()> {
        bounded(trail::put_checkpoint(&self.pool, number, token)).await
    }

    async fn trail_marks(&self, kind: MarkKind, after: i64, limit: u32) -> Result<Vec<TrailMark>> {
        bounded(trail::marks(&self.pool, kind, after, limit)).await
    }

    async fn newest_trail_mark(&self, kind: MarkKind) -> Result<Option<TrailMark>> {
        bounded(async { trail::newest_mark(&self.client().await?, kind).await }).await
    }

    async fn prune_trail(&self, number: i64, anchor: &str, by: &By) -> Result<u64> {
        bounded(trail::prune(&self.pool, number, anchor, by)).await
    }

    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        bounded(claims::claim(&self.pool, claim, now)).await
    }

    async fn keep_answer(&self, claim: &Claim, answer: &KeptAnswer) -> Result<()> {
        bounded(claims::keep(&self.pool, claim, answer)).await
    }

    async fn give_up_claim(&self, claim: &Claim) -> Result<()> {
        bounded(claims::give_up(&self.pool, claim)).await
    }

    async fn seals(&self) -> Result<Vec<SealCount>> {
        bounded(sealed::count(&self.pool)).await
    }

    async fn sealed_otherwise(
        &self,
        kind: SealedKind,
        head: SealHead,
        after: Option<&SealedAt>,
        limit: u32,
    ) -> Result<Vec<Sealed>> {
        bounded(sealed::otherwise(&self.pool, kind, head, after, limit)).await
    }

    async fn reseal(&self, records: &[Resealed]) -> Result<u64> {
        bounded(sealed::reseal(&self.pool, records)).await
    }

    async fn lock(&self, name: &str, wait: Duration) -> Result<LockGuard> {
        // Bounded by `wait`, and by the connection's own limits.
        self.locks.lock(&self.pool, name, wait).await
    }

    async fn purge(&self, now: Timestamp, keep: Duration) -> Result<u64> {
        bounded(purge::purge(&self.pool, now, now - keep)).await
    }

    async fn ping(&self) -> Result<()> {
        self.newest_revocation().await.map(|_| ())
    }
}
