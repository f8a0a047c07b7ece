//! What is remembered: one trait, two engines (`sqlite/`, `postgres/`), one conformance suite run
//! on both (`tests/store`). Each engine has its own SQL, one file a subject; how a row becomes a
//! record (`rows`), the decisions that need no SQL (`rules`) and the order of migrations
//! (`migrate`) are shared.
//!
//! Beside the trait, `archive` sees the store as tables and rows: backup, restore, and one person's
//! data.
//!
//! A method is a transaction: it happens whole or not at all. A look-up of what is not there gives
//! `None`, never an error. The store never sees a clock or a key: time is passed in, secrets arrive
//! sealed.
//!
//! The **revocation log** is the heart of it: whatever ends access appends a numbered entry in the
//! transaction that ends it, and every replica replays from its last number (design §4). Births,
//! renewals and carry-overs are conditional on "no tombstone, epoch unchanged".
//!
//! The **audit trail** is the other log: whoever changes what must be accounted for says who they are
//! ([`By`]), and the record of the change is appended in the change's own transaction (`trail`).
//!
//! A session is **live** until something ends it: one that is past its `expires_at` is live, is
//! neither renewed nor carried over, and is ended (`EndReason::Expired`) by whoever comes across
//! it, so that its app session is revoked like any other's.

mod admission;
pub mod archive;
mod claims;
mod error;
mod migrate;
#[macro_use]
mod model;
mod directory;
mod jobs;
mod looks;
mod plans;
pub mod postgres;
mod provision;
mod rows;
mod rules;
mod scim;
mod sealed;
mod signal;
pub mod sqlite;
mod trail;
mod turns;

pub use admission::{Admission, Verdict};
pub use claims::{Claim, Claimed, KeptAnswer};
pub use directory::{
    DirectoryGroup, DirectoryStore, Person, PersonFilter, Put, SaidOf, SourceState, Word,
};
pub use error::StoreError;
pub use jobs::{
    Enqueued, Job, JobClaim, JobCount, JobEnd, JobFilter, JobKind, JobState, JobStore, NewJob,
    Priority,
};
pub use looks::{LookStore, StoredLook};
pub use model::*;
pub use plans::{PlanFilter, PlanState, PlanStore, StoredPlan};
pub use postgres::{PostgresOptions, PostgresStore};
pub use provision::{
    DeactivatedFor, Deactivation, DeactivationStage, Membership, MembershipEnd, MembershipState,
    ProvisionStore, SeatCount,
};
pub use scim::{
    SCIM_EXTERNAL_ID, SCIM_NAME, ScimAt, ScimChange, ScimCompare, ScimCondition, ScimCount,
    ScimDraft, ScimElement, ScimFound, ScimGroupOf, ScimKind, ScimMember, ScimMembers, ScimOrder,
    ScimPlace, ScimResource, ScimScalar, ScimSearch, ScimSort, ScimStore, ScimTime, ScimValue,
    ScimWhat, ordered,
};
pub use sealed::*;
pub use sqlite::SqliteStore;
pub use trail::{
    By, Change, Draft, GENESIS, MarkKind, RecordHash, Scribe, TrailFilter, TrailHead, TrailMark,
    TrailRecord, link,
};

use crate::types::{
    AccountId, AppId, BotName, IssuerId, RemoteId, SessionId, Sid, SourceId, Subject, Timestamp,
    TokenId, UserId,
};
use async_trait::async_trait;
use std::time::Duration;

/// What every method answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store, as the rest of the house sees it.
#[async_trait]
pub trait Store:
    DirectoryStore + JobStore + LookStore + PlanStore + ProvisionStore + ScimStore
{
    // ---- people ------------------------------------------------------------------------------

    /// Finds or creates the shadow user of a subject and keeps its attributes up to date.
    /// Attributes are what the newest assertion said (`seen.at` not older than what is stored).
    async fn saw_user(&self, seen: &SeenUser) -> Result<User>;

    /// The shadow user of a subject.
    async fn user_by_subject(&self, issuer: &IssuerId, subject: &Subject) -> Result<Option<User>>;

    /// One shadow user.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// Shadow users, ordered by id, after `filter.after`.
    async fn users(&self, filter: &UserFilter) -> Result<Vec<User>>;

    /// Records a person whom a directory named and whom nobody has seen, as [`UserState::Pending`],
    /// or brings the attributes of one who is on record up to date, groups aside, if what was said is
    /// not older than what is stored. With `make` false nobody is added.
    async fn told_of_user(&self, told: &SeenUser, make: bool) -> Result<Option<User>>;

    /// Brings a person into a state by a directory's word. As [`Self::set_user_state`], but for what
    /// only an operator may do: it never lifts an operator's denial, nor another directory's, never
    /// a milder denial over a harder one, and nothing over a tombstone. What it may not do changes
    /// nothing.
    async fn directory_sets_state(
        &self,
        id: UserId,
        source: &SourceId,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<Option<(User, Vec<Session>)>>;

    /// Disables or enables a user, by an operator's word. On a change: raises the user's epoch, and, when disabling, ends
    /// every live session of the user (reason `UserDisabled`, no tombstone) and appends
    /// `Revoked::User` to the log, all in one transaction; when enabling, appends `Revoked::User`
    /// too, so that replicas forget the negative fact. Gives the user and the sessions ended;
    /// `None` when there is no such user; an unchanged state ends nothing and logs nothing.
    async fn set_user_state(
        &self,
        id: UserId,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<Option<(User, Vec<Session>)>>;

    /// As [`Self::set_user_state`], only if the user is still as `read`: attributes and state, not
    /// the epoch, which the end of any session raises. `StoreError::Changed` otherwise, and when the
    /// user is gone.
    async fn set_user_state_if(
        &self,
        read: &User,
        state: UserState,
        reason: &str,
        now: Timestamp,
        by: &By,
    ) -> Result<(User, Vec<Session>)>;

    // ---- accounts ----------------------------------------------------------------------------

    /// The account of a user in an app.
    async fn account(&self, app: &AppId, user: UserId) -> Result<Option<Account>>;

    /// The account that is linked to an app's own id, if one is.
    async fn account_by_remote(&self, app: &AppId, remote: &RemoteId) -> Result<Option<Account>>;

    /// Accounts, ordered by id, after `filter.after`.
    async fn accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>>;

    /// Records the intent to make an account, before anything is asked of the app, so that a crash
    /// heals (T36); gives the existing record when there is one.
    async fn begin_account(&self, app: &AppId, user: UserId, now: Timestamp) -> Result<Account>;

    /// Writes an account back; `account.version` must be what was read (`StoreError::Changed`
    /// otherwise), and comes back raised. Linking a remote id that another account of the app has
    /// is `StoreError::Taken`.
    async fn save_account(&self, account: &Account, by: &By) -> Result<Account>;

    // ---- sessions ----------------------------------------------------------------------------

    /// The epoch to carry into `birth`, `renew` and `carry_over`: read it before the app is asked.
    /// Those three also answer `Birth::EpochMoved` when the user is disabled, whatever the epoch:
    /// a state that was read too early must not make a session.
    async fn epoch(&self, user: UserId) -> Result<Epoch>;

    /// A session is born, unless one of its sids is tombstoned, the epoch moved, or a live session
    /// of the same (app, issuer, subject, sid) exists (which may be past its time: end it and try
    /// again). Its user must be its subject's, else `StoreError::Inconsistent`.
    async fn birth(
        &self,
        session: &Session,
        epoch: Epoch,
        now: Timestamp,
        by: &By,
    ) -> Result<Birth>;

    /// A session gets a new app session under it: replaces `sealed`, `app_session`,
    /// `app_expires_at`, raises `generation`, if the session is live, its generation is
    /// `from_generation`, no tombstone stands and the epoch is unchanged.
    async fn renew(
        &self,
        id: SessionId,
        from_generation: i64,
        renewal: &Renewal,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Birth>;

    /// A live session moves to a new sid of the same subject: `sid`, `sid_since` and `expires_at`
    /// change, the old sid is remembered (bounded set: the newest 16). `Birth::Exists` when a live
    /// session has that sid already, be it this one.
    async fn carry_over(
        &self,
        id: SessionId,
        to: &Sid,
        expires_at: Timestamp,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Birth>;

    /// One session, live or ended.
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;

    /// The live session of a browser sign-in.
    async fn session_by_sid(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
    ) -> Result<Option<Session>>;

    /// Sessions, newest first.
    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>>;

    /// Ends live sessions: marks them, sets tombstones for every sid they ever had when the reason
    /// asks for it (`EndReason::tombstones`), raises the epoch of their users (the global one for
    /// `Which::All` and `Which::App`) and appends one log entry a session (`Revoked::All` alone for
    /// `Which::All`), in one transaction. `Which::Sid` also means the session that has moved on from that sid; when
    /// none lives (a birth may be under way) it sets its tombstone all the same and appends
    /// `Revoked::Sid`. `Which::User` and `Which::Sid` raise the epoch even when nothing lives.
    /// Gives the sessions that were live.
    async fn end_sessions(
        &self,
        which: &Which,
        reason: EndReason,
        tombstone_until: Timestamp,
        now: Timestamp,
        by: &By,
    ) -> Result<Vec<Session>>;

    /// Ended sessions whose app session was not ended yet: their rows still hold the sealed token.
    /// Oldest first, at most `limit`.
    async fn unclosed_sessions(&self, limit: u32) -> Result<Vec<Session>>;

    /// The app's session is ended: the row of the ended session forgets the sealed token.
    async fn session_closed(&self, id: SessionId) -> Result<()>;

    /// The tombstone that stands for a sign-in, if one does.
    async fn tombstone(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
        now: Timestamp,
    ) -> Result<Option<Tombstone>>;

    /// Writes the last-seen marks of many sessions at once; never moves one back.
    async fn touch(&self, seen: &[(SessionId, Timestamp)]) -> Result<()>;

    /// The last-seen marks of some sessions, on any replica.
    async fn last_seen(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>>;

    /// Notes what the access rule said of an assertion that was issued at `issued`. Writes, and
    /// appends `Revoked::Admission` to the log, only when it changes whether a live session's person
    /// stands turned away; gives whether it did. Nothing happens where there is no such session.
    async fn note_verdict(
        &self,
        verdict: &Verdict,
        issued: Timestamp,
        now: Timestamp,
    ) -> Result<bool>;

    // ---- tokens --------------------------------------------------------------------------------

    /// What stands behind a token, all read at one moment. The same rows are looked for whatever
    /// the question is about, found or not (T37).
    async fn token_facts(&self, about: &TokenQuestion) -> Result<TokenFacts>;

    /// Revokes one exchanged token; it is remembered until `until`, when it expires by itself.
    async fn revoke_token(&self, token: TokenId, until: Timestamp) -> Result<()>;

    // ---- the revocation log --------------------------------------------------------------------

    /// Entries after `number`, in order, at most `limit`. Numbers are given in commit order: an
    /// entry never appears behind a number that was already read. They have no gaps: if the first
    /// entry is not `number + 1`, what lies between was purged, and all that is remembered of
    /// sessions must be read anew.
    async fn revocations_after(&self, number: i64, limit: u32) -> Result<Vec<Revocation>>;

    /// The newest number; 0 when the log is empty.
    async fn newest_revocation(&self) -> Result<i64>;

    /// Waits until something may have been appended (`LISTEN` on PostgreSQL, an in-process signal
    /// on SQLite) or `at_most` has passed. Only ever makes the log faster: never needed.
    async fn wait_for_revocation(&self, at_most: Duration);

    // ---- keys and secrets ----------------------------------------------------------------------

    /// Our signing keys, sealed, oldest first.
    async fn signing_keys(&self) -> Result<Vec<StoredKey>>;

    /// Adds a signing key or replaces the one with its id; appends `Revoked::Keys` to the log, so
    /// that every replica reads the ring anew.
    async fn put_signing_key(&self, key: &StoredKey, now: Timestamp, by: &By) -> Result<()>;

    /// A sealed secret by name.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Writes a sealed secret unless one of that name exists, and gives the one that stands.
    async fn secret_or_insert(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>>;

    /// How much lies sealed under which master key: every kind, every beginning of a sealed text.
    /// Reads the tables whole: for a start, a command or a slow round, never for a request.
    async fn seals(&self) -> Result<Vec<SealCount>>;

    /// Records of a kind whose sealed text begins otherwise than `head`, ordered by their key, after
    /// `after`, at most `limit`.
    async fn sealed_otherwise(
        &self,
        kind: SealedKind,
        head: SealHead,
        after: Option<&SealedAt>,
        limit: u32,
    ) -> Result<Vec<Sealed>>;

    /// Replaces sealed texts, each only if it is still what was read, so that whoever wrote
    /// meanwhile wins; gives how many were replaced. What they say is the same, so nothing is
    /// appended to the log.
    async fn reseal(&self, records: &[Resealed]) -> Result<u64>;

    // ---- bots of services ---------------------------------------------------------------------

    /// All of them, by app and name.
    async fn bots(&self) -> Result<Vec<StoredBot>>;

    /// One of them.
    async fn bot(&self, app: &AppId, name: &BotName) -> Result<Option<StoredBot>>;

    /// Puts a bot on record; gives the record of that name when there is one. A bot of the app that
    /// is on record under another name is `StoreError::Taken`.
    async fn begin_bot(&self, bot: &StoredBot) -> Result<StoredBot>;

    /// Writes a bot's token back; `bot.version` must be what was read (`StoreError::Changed`
    /// otherwise), and comes back raised. Another number appends `Revoked::Bots` to the log.
    async fn save_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<StoredBot>;

    /// Forgets a bot, as above; appends `Revoked::Bots` to the log.
    async fn remove_bot(&self, bot: &StoredBot, now: Timestamp) -> Result<()>;

    // ---- requests that must not act twice ----------------------------------------------------

    /// Claims the right to carry out a request under its idempotency key, or says why not. An entry
    /// older than `claim.keep` is as if there were none; one without an answer that is older than
    /// `claim.lease` is taken over: who held it is dead. Of a client's answered entries the newest
    /// `claim.most` stay.
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed>;

    /// Keeps the answer of a request that was claimed; nothing happens when another took it over.
    async fn keep_answer(&self, claim: &Claim, answer: &KeptAnswer) -> Result<()>;

    /// Gives up a claim: the request was refused and did nothing, so that it may be sent again.
    async fn give_up_claim(&self, claim: &Claim) -> Result<()>;

    // ---- the audit trail -----------------------------------------------------------------------

    /// Appends records of their own, in order: of what is no change in the store. Gives where the
    /// trail ends then. The number and the hash before it are taken under a lock that is held until
    /// the transaction commits, so that several replicas keep one chain.
    async fn append_trail(&self, drafts: &[Draft]) -> Result<TrailHead>;

    /// Where the trail ends.
    async fn trail_head(&self) -> Result<TrailHead>;

    /// A page of the trail.
    async fn trail(&self, filter: &TrailFilter) -> Result<Vec<TrailRecord>>;

    /// Adds a checkpoint; what another replica signed about that number before stays.
    async fn put_checkpoint(&self, number: i64, token: &str) -> Result<()>;

    /// Signed statements of one kind, about numbers after `after`, in order, at most `limit`.
    async fn trail_marks(&self, kind: MarkKind, after: i64, limit: u32) -> Result<Vec<TrailMark>>;

    /// The one about the largest number.
    async fn newest_trail_mark(&self, kind: MarkKind) -> Result<Option<TrailMark>>;

    /// Removes the trail's beginning, up to and with `anchor.number`, with the checkpoints about it,
    /// leaves the anchor in its place, and appends a record that says so. Gives how many records
    /// went; none, and nothing else happens, when an anchor about this or a larger number stands, or
    /// the trail has no record after it.
    async fn prune_trail(&self, number: i64, anchor: &str, by: &By) -> Result<u64>;

    // ---- the rest ------------------------------------------------------------------------------

    /// A lock across replicas, for single flight; waits at most `wait` (`StoreError::Busy` then).
    /// It is given back when the guard is dropped, and when the holder dies.
    async fn lock(&self, name: &str, wait: Duration) -> Result<LockGuard>;

    /// Forgets what no longer matters: tombstones, idempotency keys and revoked tokens past their
    /// time, sessions ended or expired and log entries older than `keep` (never the newest entry).
    /// Bounded work a call: call again
    /// while it gives more than 0. Gives the number of rows removed.
    async fn purge(&self, now: Timestamp, keep: Duration) -> Result<u64>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}

/// How far a store's tables are; read without changing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The version they have; `None`: there are none yet.
    pub found: Option<i64>,
    /// The version that this program brings them to when it opens the store.
    pub known: i64,
}

/// Holds a lock until dropped.
pub struct LockGuard(Box<dyn Held>);

impl LockGuard {
    /// Wraps what gives the lock back when dropped.
    pub fn new(inner: impl Held + 'static) -> Self {
        Self(Box::new(inner))
    }

    /// Whether the lock is still held: a server's is lost with its connection. What can't be said is
    /// a no.
    pub async fn stands(&self) -> bool {
        self.0.stands().await
    }
}

/// What holds a lock, as an engine has it.
#[async_trait]
pub trait Held: Send + Sync {
    /// As [`LockGuard::stands`].
    async fn stands(&self) -> bool;
}

/// A lock within a process stands while the process does.
#[async_trait]
impl Held for tokio::sync::OwnedMutexGuard<()> {
    async fn stands(&self) -> bool {
        true
    }
}

/// The account id for a new record.
#[must_use]
pub fn new_account_id() -> AccountId {
    AccountId::generate()
}
