//! The embedded store: one file, no server.
//!
//! One thread writes, every write in `BEGIN IMMEDIATE`, so that writes come one after the other
//! also when a command of the same program writes beside the server; two more connections read
//! (WAL: neither waits for the other). What another process appends to the log is seen when the
//! log is read next: nothing here signals between processes.
//!
//! `open` the file, its pragmas and migrations · `thread` connections on threads · `row`, `error`
//! SQLite's values and refusals · `lock` · one file a subject for the rest.

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
mod open;
mod plans;
mod provision;
mod purge;
mod revocations;
mod row;
mod scim;
mod sealed;
mod sessions;
mod thread;
mod tokens;
mod trail;
mod users;

pub(super) use open::MIGRATIONS;

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
use lock::Locks;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thread::Workers;

/// Connections that read, beside the one that writes.
const READERS: usize = 2;

/// The embedded store.
pub struct SqliteStore {
    writer: Workers,
    /// None in memory: that database is its one connection.
    readers: Option<Workers>,
    locks: Locks,
    appended: Arc<Signal>,
    wished: Arc<Signal>,
}

impl SqliteStore {
    /// Opens the file at `path`, makes it (mode 0600) if there is none, and brings its schema up
    /// to date.
    ///
    /// Several processes may have the same file open. Locks between them are files in a folder
    /// beside it, `<path>-locks`.
    ///
    /// # Errors
    /// `Unavailable` when the file can't be opened or written; `Schema` when it was made by a newer
    /// version; `Inconsistent` when it is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&path)).await;
        opened.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    fn open_blocking(path: &Path) -> Result<Self> {
        open::create(path)?;
        let writer = open::writer(path)?;
        let readers = (0..READERS)
            .map(|_| open::reader(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            writer: Workers::start("store-writer", vec![writer])?,
            readers: Some(Workers::start("store-reader", readers)?),
            locks: Locks::beside(path),
            appended: Arc::new(Signal::new()),
            wished: Arc::new(Signal::new()),
        })
    }

    /// How far the tables of the file at `path` are. Neither makes the file nor changes it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn schema(path: impl AsRef<Path>) -> Result<Schema> {
        let path = path.as_ref().to_owned();
        let looked = tokio::task::spawn_blocking(move || {
            let there = path.try_exists();
            match there.map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))? {
                true => open::version(&path),
                false => Ok(None),
            }
        });
        let found = looked.await;
        Ok(Schema {
            found: found.map_err(|error| StoreError::Unavailable(error.to_string()))??,
            known: MIGRATIONS.len() as i64,
        })
    }

    /// A store that is gone when dropped: for tests and trials.
    ///
    /// # Errors
    /// When there is no memory or no thread for it.
    pub fn in_memory() -> Result<Self> {
        Ok(Self {
            writer: Workers::start("store-memory", vec![open::memory()?])?,
            readers: None,
            locks: Locks::in_process(),
            appended: Arc::new(Signal::new()),
            wished: Arc::new(Signal::new()),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let workers = self.readers.as_ref().unwrap_or(&self.writer);
        workers.call(|db| job(db)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.call(|db| in_transaction(db, job)).await
    }

    /// A write that may append to the log.
    async fn write_log<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let appended = Arc::clone(&self.appended);
        let job = move |db: &mut Connection| {
            let result = in_transaction(db, job);
            appended.hint();
            result
        };
        self.writer.call(job).await
    }
}

/// Whole or not at all: an error of `job` rolls back when the transaction is dropped.
fn in_transaction<T>(db: &mut Connection, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = job(&tx)?;
    tx.commit()?;
    Ok(value)
}

#[async_trait]
impl Store for SqliteStore {
    async fn saw_user(&self, seen: &SeenUser) -> Result<User> {
        let seen = plain_user(seen);
        let again = seen.clone();
        if let Some(user) = self.read(move |db| users::unchanged(db, &again)).await? {
            return Ok(user);
        }
        self.write(move |db| users::saw(db, &seen)).await
    }

    async fn user_by_subject(&self, issuer: &IssuerId, subject: &Subject) -> Result<Option<User>> {
        let (issuer, subject) = (issuer.clone(), subject.clone());
        self.read(move |db| users::by_subject(db, &issuer, &subject))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.read(move |db| users::get(db, id)).await
    }

    async fn users(&self, filter: &UserFilter) -> Result<Vec<User>> {
        let filter = filter.clone();
        self.read(move |db| users::page(db, &filter)).await
    }

    async fn told_of_user(&self, told: &SeenUser, make: bool) -> Result<Option<User>> {
        let told = plain_user(told);
        self.write(move |db| users::told(db, &told, make)).await
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
        let (reason, by) = (reason.to_owned(), by.clone());
        self.write_log(move |db| users::set_state(db, id, state, (&reason, &who), now, &by))
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
        let (reason, by) = (reason.to_owned(), by.clone());
        let who = StateBy::Operator;
        self.write_log(move |db| users::set_state(db, id, state, (&reason, &who), now, &by))
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
        let (read, reason, by) = (read.clone(), reason.to_owned(), by.clone());
        self.write_log(move |db| users::set_state_if(db, &read, state, &reason, now, &by))
            .await
    }

    async fn account(&self, app: &AppId, user: UserId) -> Result<Option<Account>> {
        let app = app.clone();
        self.read(move |db| accounts::of_user(db, &app, user)).await
    }

    async fn account_by_remote(&self, app: &AppId, remote: &RemoteId) -> Result<Option<Account>> {
        let (app, remote) = (app.clone(), remote.clone());
        self.read(move |db| accounts::by_remote(db, &app, &remote))
            .await
    }

    async fn accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>> {
        let filter = filter.clone();
        self.read(move |db| accounts::page(db, &filter)).await
    }

    async fn begin_account(&self, app: &AppId, user: UserId, now: Timestamp) -> Result<Account> {
        let app = app.clone();
        self.write(move |db| accounts::begin(db, &app, user, now))
            .await
    }

    async fn save_account(&self, account: &Account, by: &By) -> Result<Account> {
        let (account, by) = (account.clone(), by.clone());
        self.write(move |db| accounts::save(db, &account, &by))
            .await
    }

    async fn epoch(&self, user: UserId) -> Result<Epoch> {
        self.read(move |db| users::epoch(db, user)).await
    }

    async fn birth(
        &self,
        session: &Session,
        epoch: Epoch,
        now: Timestamp,
        by: &By,
    ) -> Result<Birth> {
        let (session, by) = (session.clone(), by.clone());
        self.write(move |db| sessions::birth(db, &session, epoch, now, &by))
            .await
    }

    async fn renew(
        &self,
        id: SessionId,
        from_generation: i64,
        renewal: &Renewal,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Birth> {
        let renewal = renewal.clone();
        self.write(move |db| sessions::renew(db, id, from_generation, &renewal, epoch, now))
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
        let to = to.clone();
        self.write(move |db| sessions::carry_over(db, id, &to, expires_at, epoch, now))
            .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.read(move |db| sessions::get(db, id)).await
    }

    async fn session_by_sid(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
    ) -> Result<Option<Session>> {
        let (app, issuer, subject, sid) =
            (app.clone(), issuer.clone(), subject.clone(), sid.clone());
        self.read(move |db| sessions::by_sid(db, &app, &issuer, &subject, &sid))
            .await
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>> {
        let filter = filter.clone();
        self.read(move |db| sessions::page(db, &filter)).await
    }

    async fn unclosed_sessions(&self, limit: u32) -> Result<Vec<Session>> {
        self.read(move |db| sessions::unclosed(db, limit)).await
    }

    async fn session_closed(&self, id: SessionId) -> Result<()> {
        self.write(move |db| sessions::closed(db, id)).await
    }

    async fn end_sessions(
        &self,
        which: &Which,
        reason: EndReason,
        tombstone_until: Timestamp,
        now: Timestamp,
        by: &By,
    ) -> Result<Vec<Session>> {
        let (which, by) = (which.clone(), by.clone());
        self.write_log(move |db| sessions::end(db, &which, reason, tombstone_until, now, &by))
            .await
    }

    async fn note_verdict(
        &self,
        verdict: &Verdict,
        issued: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let verdict = verdict.clone();
        self.write_log(move |db| admission::note(db, &verdict, issued, now))
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
        let (app, issuer, subject, sid) =
            (app.clone(), issuer.clone(), subject.clone(), sid.clone());
        self.read(move |db| sessions::tombstone(db, &app, &issuer, &subject, &sid, now))
            .await
    }

    async fn touch(&self, seen: &[(SessionId, Timestamp)]) -> Result<()> {
        let seen = seen.to_vec();
        self.write(move |db| sessions::touch(db, &seen)).await
    }

    async fn last_seen(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>> {
        let ids = ids.to_vec();
        self.read(move |db| sessions::last_seen(db, &ids)).await
    }

    async fn token_facts(&self, about: &TokenQuestion) -> Result<TokenFacts> {
        let about = *about;
        self.read(move |db| tokens::facts(db, &about)).await
    }

    async fn revoke_token(&self, token: TokenId, until: Timestamp) -> Result<()> {
        self.write(move |db| tokens::revoke(db, token, until)).await
    }

    async fn revocations_after(&self, number: i64, limit: u32) -> Result<Vec<Revocation>> {
        self.appended.reading();
        self.read(move |db| revocations::after(db, number, limit))
            .await
    }

    async fn newest_revocation(&self) -> Result<i64> {
        self.read(revocations::newest).await
    }

    async fn wait_for_revocation(&self, at_most: Duration) {
        self.appended.wait(at_most).await;
    }

    async fn signing_keys(&self) -> Result<Vec<StoredKey>> {
        self.read(keys::ring).await
    }

    async fn put_signing_key(&self, key: &StoredKey, now: Timestamp, by: &By) -> Result<()> {
        let (key, by) = (key.clone(), by.clone());
        self.write_log(move |db| keys::put(db, &key, now, &by))
            .await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.to_owned();
        self.read(move |db| keys::secret(db, &name)).await
    }

    async fn secret_or_insert(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (name, sealed) = (name.to_owned(), sealed.to_vec());
        self.write(move |db| keys::secret_or_insert(db, &name, &sealed))
            .await
    }

    async fn bots(&self) -> Result<Vec<StoredBot>> {
        self.read(bots::all).await
    }

    async fn bot(&self, app: &AppId, name: &BotName) -> Result<Option<StoredBot>> {
        let (app, name) = (app.clone(), name.clone());
        self.read(move |db| bots::of_name(db, &app, &name)).await
    }

    async fn begin_bot(&self, bot: &StoredBot) -> Result<StoredBot> {
        let bot = bot.clone();
        self.write(move |db| bots::begin(db, &bot)).await
    }

    async fn save_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<StoredBot> {
        let bot = bot.clone();
        self.write_log(move |db| bots::save(db, &bot, now)).await
    }

    async fn remove_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<()> {
        let bot = bot.clone();
        self.write_log(move |db| bots::remove(db, &bot, now)).await
    }

    async fn append_trail(&self, drafts: &[Draft]) -> Result<TrailHead> {
        let drafts = drafts.to_vec();
        self.write(move |db| trail::append(db, &drafts)).await
    }

    async fn trail_head(&self) -> Result<TrailHead> {
        self.read(trail::head).await
    }

    async fn trail(&self, filter: &TrailFilter) -> Result<Vec<TrailRecord>> {
        let filter = filter.clone();
        self.read(move |db| trail::page(db, &filter)).await
    }

    async fn put_checkpoint(&self, number: i64, token: &str) -> Result<()> {
        let token = token.to_owned();
        self.write(move |db| trail::put_checkpoint(db, number, &token))
            .await
    }

    async fn trail_marks(&self, kind: MarkKind, after: i64, limit: u32) -> Result<Vec<TrailMark>> {
        self.read(move |db| trail::marks(db, kind, after, limit))
            .await
    }

    async fn newest_trail_mark(&self, kind: MarkKind) -> Result<Option<TrailMark>> {
        self.read(move |db| trail::newest_mark(db, kind)).await
    }

    async fn prune_trail(&self, number: i64, anchor: &str, by: &By) -> Result<u64> {
        let (anchor, by) = (anchor.to_owned(), by.clone());
        self.write(move |db| trail::prune(db, number, &anchor, &by))
            .await
    }

    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        let claim = claim.clone();
        self.write(move |db| claims::claim(db, &claim, now)).await
    }

    async fn keep_answer(&self, claim: &Claim, answer: &KeptAnswer) -> Result<()> {
        let (claim, answer) = (claim.clone(), answer.clone());
        self.write(move |db| claims::keep(db, &claim, &answer))
            .await
    }

    async fn give_up_claim(&self, claim: &Claim) -> Result<()> {
        let claim = claim.clone();
        self.write(move |db| claims::give_up(db, &claim)).await
    }

    async fn seals(&self) -> Result<Vec<SealCount>> {
        self.read(sealed::count).await
    }

    async fn sealed_otherwise(
        &self,
        kind: SealedKind,
        head: SealHead,
        after: Option<&SealedAt>,
        limit: u32,
    ) -> Result<Vec<Sealed>> {
        let after = after.cloned();
        self.read(move |db| sealed::otherwise(db, kind, head, after.as_ref(), limit))
            .await
    }

    async fn reseal(&self, records: &[Resealed]) -> Result<u64> {
        let records = records.to_vec();
        self.write(move |db| sealed::reseal(db, &records)).await
    }

    async fn lock(&self, name: &str, wait: Duration) -> Result<LockGuard> {
        self.locks.lock(name, wait).await
    }

    async fn purge(&self, now: Timestamp, keep: Duration) -> Result<u64> {
        self.write(move |db| purge::purge(db, now, now - keep))
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.read(revocations::newest).await.map(|_| ())
    }
}
