//! The records.

use super::{Admission, Deactivation};
use crate::types::{
    AccountId, AppId, BotName, GroupName, IssuerId, KeyId, RemoteId, SessionId, Sid, SourceId,
    Subject, Timestamp, TokenId, UserId,
};
use serde::{Deserialize, Serialize};

macro_rules! stored_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word in the store, the log and `--json`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value a stored word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

stored_words! {
    /// Whether a person may come in at all.
    UserState {
        /// Known, and admitted nowhere yet: the app's access rule decides when they come.
        Pending = "pending",
        /// May come in, if the app's access rule says so.
        Active = "active",
        /// Turned away everywhere; their accounts still stand, for a grace.
        Suspended = "suspended",
        /// Turned away everywhere by an operator or a directory.
        Disabled = "disabled",
        /// Gone from the directory for good: whoever comes by this identity is turned away.
        Tombstoned = "tombstoned",
    }
}

impl UserState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Active,
        Self::Suspended,
        Self::Disabled,
        Self::Tombstoned,
    ];

    /// Whether it turns the person away everywhere.
    #[must_use]
    pub const fn denies(self) -> bool {
        matches!(self, Self::Suspended | Self::Disabled | Self::Tombstoned)
    }
}

/// Who brought a person into their state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateBy {
    /// Nobody: it is so from the start.
    Nobody,
    /// An operator, or a service that may. A directory never lifts what they denied.
    Operator,
    /// What a directory said.
    Directory(SourceId),
}

impl StateBy {
    /// As it is stored and shown: empty, `operator`, `directory:<source>`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Operator => "operator".into(),
            Self::Directory(source) => format!("directory:{source}"),
        }
    }

    /// What a stored text stands for.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Nobody),
            "operator" => Some(Self::Operator),
            other => {
                let source = SourceId::new(other.strip_prefix("directory:")?).ok()?;
                Some(Self::Directory(source))
            }
        }
    }
}

impl std::fmt::Display for StateBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

impl Serialize for StateBy {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

stored_words! {
    /// How far an account is.
    AccountState {
        /// We meant to make it; the app may or may not have it.
        Intent = "intent",
        /// It is theirs: `remote` names it.
        Linked = "linked",
        /// Something in the app is in the way; an operator resolves it.
        Conflict = "conflict",
    }
}

stored_words! {
    /// Why a session ended.
    EndReason {
        /// The visitor logged out.
        Logout = "logout",
        /// An operator revoked it.
        Revoked = "revoked",
        /// The app's session died before its time (design §4, `external_revoke`).
        EarlyDeath = "early_death",
        /// The person was disabled.
        UserDisabled = "user_disabled",
        /// Its time was over.
        Expired = "expired",
        /// The access rule no longer admits the person.
        PolicyChanged = "policy_changed",
        /// The browser now belongs to somebody else (T25).
        PersonChanged = "person_changed",
        /// The app refuses the account for good.
        AccountGone = "account_gone",
    }
}

impl EndReason {
    /// Whether the sign-in's sids must not come back by themselves (design §4: "Tombstones stand
    /// only for logout, revocation and early death").
    #[must_use]
    pub const fn tombstones(self) -> bool {
        matches!(self, Self::Logout | Self::Revoked | Self::EarlyDeath)
    }
}

/// What an assertion said about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenUser {
    /// Who vouched.
    pub issuer: IssuerId,
    /// Whom for.
    pub subject: Subject,
    /// E-mail address; may be empty. An attribute, never a key (T33).
    pub email: String,
    /// Whether the assertion said `email_verified: "true"`.
    pub email_verified: bool,
    /// Display name; may be empty.
    pub name: String,
    /// `preferred_username`, when the assertion has it.
    pub username: Option<String>,
    /// `locale`, when the assertion has it.
    pub locale: Option<String>,
    /// Groups as asserted: good for this request, kept for `users show` only.
    pub groups: Vec<GroupName>,
    /// When.
    pub at: Timestamp,
}

/// A shadow user: our record of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Ours.
    pub id: UserId,
    /// Who vouches.
    pub issuer: IssuerId,
    /// Whom for.
    pub subject: Subject,
    /// As last asserted; may be empty.
    pub email: String,
    /// As last asserted.
    pub email_verified: bool,
    /// As last asserted; may be empty.
    pub name: String,
    /// As last asserted.
    pub username: Option<String>,
    /// As last asserted.
    pub locale: Option<String>,
    /// As last asserted.
    pub groups: Vec<GroupName>,
    /// May they come in.
    pub state: UserState,
    /// Why, in the operator's or directory's words; empty while active from the start.
    pub state_reason: String,
    /// Who brought them into it.
    pub state_by: StateBy,
    /// Since when.
    pub state_since: Timestamp,
    /// First seen.
    pub created_at: Timestamp,
    /// Attributes last changed.
    pub updated_at: Timestamp,
    /// Raised by every revocation that concerns this user.
    pub epoch: i64,
}

/// A page of users.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Only in this state.
    pub state: Option<UserState>,
    /// Only whose e-mail, name, user name or subject contains this (ASCII case ignored).
    pub search: Option<String>,
    /// After this id.
    pub after: Option<UserId>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// A user's account in one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Ours.
    pub id: AccountId,
    /// In which app.
    pub app: AppId,
    /// Whose.
    pub user: UserId,
    /// How far it is.
    pub state: AccountState,
    /// The app's own id, once linked.
    pub remote: Option<RemoteId>,
    /// The app's user name, as we last set or saw it; on an intent, the one about to be tried.
    pub username: Option<String>,
    /// Why it is a conflict, or what the last failed step was; for the operator.
    pub detail: String,
    /// Version of the derived password (design §4).
    pub password_version: i64,
    /// What we last wrote to the app (`identity::Memo`), so that provisioning runs on change.
    pub memo: String,
    /// Whether memberships (default team) are in place.
    pub settled: bool,
    /// That the bridge deactivated it; `None` also while somebody else did.
    pub deactivated: Option<Deactivation>,
    /// The app's ids of the person's bots that the bridge disabled with them.
    pub bots: Vec<RemoteId>,
    /// First recorded.
    pub created_at: Timestamp,
    /// Last written.
    pub updated_at: Timestamp,
    /// For optimistic locking.
    pub version: i64,
}

/// A page of accounts.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// Only of this app.
    pub app: Option<AppId>,
    /// Only of this user.
    pub user: Option<UserId>,
    /// Only in this state.
    pub state: Option<AccountState>,
    /// After this id.
    pub after: Option<AccountId>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// One browser sign-in at one app.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Ours; the `sid` of the bridge cookie.
    pub id: SessionId,
    /// In which app.
    pub app: AppId,
    /// Who vouches.
    pub issuer: IssuerId,
    /// Whom for.
    pub subject: Subject,
    /// The shadow user.
    pub user: UserId,
    /// Their account.
    pub account: AccountId,
    /// The app's own id of the account.
    pub remote: RemoteId,
    /// The sign-in's current sid.
    pub sid: Sid,
    /// Sids it had before, newest last, at most 16.
    pub former_sids: Vec<Sid>,
    /// The app's token and both CSRF values, sealed (associated data: session id and app).
    #[serde(skip)]
    pub sealed: Vec<u8>,
    /// The app's own id of its session.
    pub app_session: Option<String>,
    /// When the app's session ends by itself, as far as we know.
    pub app_expires_at: Timestamp,
    /// Raised by each renewal of the app's session.
    pub generation: i64,
    /// Born.
    pub created_at: Timestamp,
    /// First assertion of the current sid.
    pub sid_since: Timestamp,
    /// Absolute limit; the bridge cookie's `exp`.
    pub expires_at: Timestamp,
    /// Last assertion seen, on any replica, as last flushed.
    pub last_seen: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// The browser, shortened, for lists.
    pub agent: String,
    /// What the access rule last said of it.
    pub admission: Admission,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("app", &self.app)
            .field("user", &self.user)
            .field("sid", &self.sid)
            .field("generation", &self.generation)
            .field("ended_at", &self.ended_at)
            .finish_non_exhaustive()
    }
}

/// A page of sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only of this app.
    pub app: Option<AppId>,
    /// Only of this user.
    pub user: Option<UserId>,
    /// Only of this account's id in the app.
    pub remote: Option<RemoteId>,
    /// Only of this sid (with a subject it is one sign-in).
    pub sid: Option<Sid>,
    /// Live ones only.
    pub live: bool,
    /// Behind this one, in the order of the list: born earlier, or as early with a smaller id.
    pub after: Option<(Timestamp, SessionId)>,
    /// Only those that expire at or before the first time, or were last seen at or before the
    /// second.
    pub outlived: Option<(Timestamp, Timestamp)>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

/// The new app session of a renewed session.
#[derive(Clone)]
pub struct Renewal {
    /// Token and CSRF values, sealed.
    pub sealed: Vec<u8>,
    /// The app's own id of its session.
    pub app_session: Option<String>,
    /// When it ends by itself.
    pub app_expires_at: Timestamp,
}

/// The state of the revocation log as it concerns one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The user's own.
    pub user: i64,
    /// Everybody's.
    pub global: i64,
}

/// How a conditional write of a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Birth {
    /// It stands; this is the session as stored.
    Stands(Box<Session>),
    /// A tombstone stands: the visitor is signed out.
    Tombstoned(Tombstone),
    /// Something was revoked meanwhile: look again.
    EpochMoved,
    /// A live session of this sign-in exists already, or another renewal came first: use it.
    Exists(Box<Session>),
    /// The session is no longer live (or never was).
    Gone,
}

/// Which sessions to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Session(SessionId),
    /// All of a user, in one app or in all.
    User(UserId, Option<AppId>),
    /// All at an app.
    App(AppId),
    /// A sign-in: this sid of this subject in an app, whether or not a session lives.
    Sid(AppId, IssuerId, Subject, Sid),
    /// Everyone's.
    All,
}

/// What a token says it was made from: what to look up before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenQuestion {
    /// The token itself, where it can be revoked by itself.
    pub token: Option<TokenId>,
    /// Whose.
    pub user: UserId,
    /// The session it hangs from, if it does.
    pub session: Option<SessionId>,
}

/// What the store knows about a [`TokenQuestion`], all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Whether the token itself was revoked.
    pub revoked: bool,
    /// The person.
    pub user: Option<User>,
    /// The session, live or ended.
    pub session: Option<Session>,
    /// The log as it concerns the person.
    pub epoch: Epoch,
}

/// Says that a sign-in must not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tombstone {
    /// Why.
    pub reason: EndReason,
    /// Since when.
    pub at: Timestamp,
    /// It falls after this.
    pub until: Timestamp,
}

/// What an entry of the log ended or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// One session.
    Session(SessionId),
    /// A user's state changed: drop what is known of them.
    User(UserId),
    /// A sign-in that may have no session yet.
    Sid(AppId, IssuerId, Subject, Sid),
    /// Everything.
    All,
    /// The key ring changed.
    Keys,
    /// The token of a bot changed.
    Bots,
    /// A session's person is turned away by the access rule, or admitted again: its row says which.
    Admission(SessionId),
    /// What a directory says of a person changed.
    Person(IssuerId, Subject),
    /// What a directory says of groups changed, or how fresh its words are.
    Groups,
}

/// One numbered entry of the revocation log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its number, in commit order.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Revoked,
    /// Why; `None` where nothing ended.
    pub reason: Option<EndReason>,
}

stored_words! {
    /// Where a signing key is in its life.
    KeyState {
        /// Published, not yet signing.
        Announced = "announced",
        /// Signs. One at a time.
        Signing = "signing",
        /// Verifies what it signed, signs nothing.
        Retired = "retired",
        /// Compromised or outlived: verifies nothing.
        Revoked = "revoked",
    }
}

stored_words! {
    /// What a signing key is for; never two things.
    KeyKind {
        /// The bridge's cookies.
        Session = "session",
        /// Exchanged tokens.
        AccessToken = "access_token",
        /// Signed answers about tokens.
        Introspection = "introspection",
    }
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Session, Self::AccessToken, Self::Introspection];
}

/// A signing key as it lies in the store.
#[derive(Clone)]
pub struct StoredKey {
    /// RFC 7638 thumbprint of the public key.
    pub id: KeyId,
    /// What it is for. Never changes.
    pub kind: KeyKind,
    /// Where it is in its life.
    pub state: KeyState,
    /// PKCS#8, sealed under the master key.
    pub sealed: Vec<u8>,
    /// The public key, raw.
    pub public: Vec<u8>,
    /// Made.
    pub created_at: Timestamp,
    /// When it entered its state.
    pub state_since: Timestamp,
}

/// A bot that services call an app as.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StoredBot {
    /// In which app.
    pub app: AppId,
    /// What the configuration calls it.
    pub name: BotName,
    /// The app's own id of it.
    pub remote: RemoteId,
    /// Its user name there.
    pub username: String,
    /// The description of its tokens in the app: tells ours from others.
    pub mark: String,
    /// The app's own id of the token in use, once there is one.
    pub token_id: Option<String>,
    /// The token, sealed; empty before there is one.
    #[serde(skip)]
    pub sealed: Vec<u8>,
    /// Raised by each rotation.
    pub number: i64,
    /// Whether no other token of its mark can be left in the app.
    pub settled: bool,
    /// Put on record.
    pub created_at: Timestamp,
    /// When it got the token in use.
    pub rotated_at: Option<Timestamp>,
    /// For optimistic locking.
    pub version: i64,
}

impl std::fmt::Debug for StoredBot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredBot")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("number", &self.number)
            .field("settled", &self.settled)
            .finish_non_exhaustive()
    }
}
