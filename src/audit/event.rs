//! What is recorded: a closed list of kinds, and one form for what a record says.
//!
//! The body is JSON with its members in a fixed order and nothing that is empty. It is written once:
//! its bytes are what the chain's hash covers, so nothing ever writes it anew. Texts are bounded, and
//! characters that move a cursor or turn a line around stand escaped in them (T39), so that a record
//! is safe in a terminal however it is shown.

use super::Settings;
use crate::store::Draft;
use crate::types::{AppId, ClientId, Timestamp, UserId};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest text of a record, in characters.
const LONGEST: usize = 200;
/// Most members of `detail`.
const MOST: usize = 16;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the trail; never renamed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The kind of a word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A sign-in became a session at an app.
    SessionStarted = "session.started",
    /// A session ended; the code says why.
    SessionEnded = "session.ended",
    /// A sign-in that had no session was ended all the same.
    SignInEnded = "sign_in.ended",
    /// Everybody's sessions were ended.
    EveryoneEnded = "sessions.all_ended",
    /// Requests were refused; the code says why, `count` how many.
    Denied = "access.denied",
    /// An account was made in the app and linked.
    AccountCreated = "account.created",
    /// An account that the app had was linked.
    AccountLinked = "account.linked",
    /// An operator or service said whose an account is; it is linked at the next sign-in.
    AccountOrdered = "account.link_ordered",
    /// An account was brought up to date.
    AccountUpdated = "account.updated",
    /// An account is no longer theirs.
    AccountUnlinked = "account.unlinked",
    /// Something in the app is in the way of an account.
    AccountConflict = "account.conflict",
    /// An account was deactivated by the bridge; `detail.for` says why.
    AccountDeactivated = "account.deactivated",
    /// An account that the bridge had deactivated is active again.
    AccountReactivated = "account.reactivated",
    /// Access tokens of an account were revoked; `detail.count` says how many.
    AccountTokensRevoked = "account.tokens_revoked",
    /// A person was put into a team, a channel or a role.
    MembershipGranted = "membership.granted",
    /// A membership that the bridge gave was taken away.
    MembershipWithdrawn = "membership.withdrawn",
    /// A bot of a person's was disabled with them.
    BotDisabled = "bot.disabled",
    /// A bot that was disabled with a person is enabled again.
    BotEnabled = "bot.enabled",
    /// A bot of a person's was given to another person.
    BotHandedOver = "bot.handed_over",
    /// A person was suspended: turned away, with accounts that still stand.
    UserSuspended = "user.suspended",
    /// A person was disabled.
    UserDisabled = "user.disabled",
    /// A person's identity was closed for good.
    UserTombstoned = "user.tombstoned",
    /// A person was enabled.
    UserEnabled = "user.enabled",
    /// A directory says that a person may not come in any more, or is gone.
    DirectoryDenied = "directory.denied",
    /// A directory says so no more.
    DirectoryLifted = "directory.lifted",
    /// A directory says that a person is in other groups.
    DirectoryGroups = "directory.groups",
    /// A directory's id stands for another subject than before.
    DirectoryMoved = "directory.moved",
    /// What a directory said of a person was forgotten.
    DirectoryForgotten = "directory.forgotten",
    /// Somebody had a directory read again: a person of it, or all of it.
    DirectoryReadOrdered = "directory.read_ordered",
    /// Somebody had a person put into a group of the directory; code `failed` when that was refused.
    DirectoryGroupOrdered = "directory.group_ordered",
    /// Somebody had an invitation made; code `failed` when that was refused.
    InvitationOrdered = "invitation.ordered",
    /// Somebody took an invitation back; code `failed` when that was refused.
    InvitationRevoked = "invitation.revoked",
    /// A person's data was erased, but for what must stay.
    UserErased = "user.erased",
    /// The store was restored from a backup: what was done since it was made is not in it.
    StoreRestored = "store.restored",
    /// A signing key was announced.
    KeyAnnounced = "key.announced",
    /// A signing key signs from now on.
    KeySigns = "key.signing",
    /// A signing key signs no more.
    KeyRetired = "key.retired",
    /// A signing key is good for nothing any more.
    KeyRevoked = "key.revoked",
    /// A key was sealed under another master key.
    KeyRewrapped = "key.rewrapped",
    /// Somebody asked what a sweep would do: a job proposes a plan.
    PlanProposed = "plan.proposed",
    /// A plan of reconciliation waits for a person's word: it would take access from too many.
    PlanHeld = "plan.held",
    /// A service said yes to a held plan: a job carries it out.
    PlanApproved = "plan.approved",
    /// A plan of reconciliation was carried out at an operator's or service's word.
    PlanApplied = "plan.applied",
    /// A held plan was dismissed.
    PlanDismissed = "plan.dismissed",
    /// A bridge started with a configuration.
    ConfigStarted = "config.started",
    /// A running bridge took over a configuration.
    ConfigReloaded = "config.reloaded",
    /// A service called an app as its bot.
    ServiceCalled = "service.called",
    /// An operator had a services' bot taken up, its token changed, or its tokens revoked.
    BotOrdered = "bot.ordered",
    /// An operator or service made a job due that was dead or waited.
    JobRetried = "job.retried",
    /// An operator or service took a job out of the queue.
    JobCancelled = "job.cancelled",
    /// A SCIM client made, changed or deleted a person or a group; the code says which.
    ScimChanged = "scim.changed",
    /// A write through the API that is no change of its own in the store.
    ApiWrite = "api.write",
    /// Denials were dropped: more of them than could be counted.
    AuditDropped = "audit.dropped",
    /// The trail's beginning was removed, as `[audit] keep` says.
    AuditPruned = "audit.pruned",
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A visitor, by their shadow user.
    Visitor(UserId),
    /// A visitor who has no shadow user, or none that is known here.
    Stranger,
    /// A client of the API, by its configured id.
    Client(ClientId),
    /// Whoever ran a command on the bridge's machine.
    Operator {
        /// The user the command ran as: number and, if it has one, name.
        user: String,
        /// Who had logged in, when the kernel knows (`loginuid`): survives `sudo`.
        login: Option<String>,
    },
    /// The bridge itself.
    Bridge,
}

#[derive(Serialize)]
struct ActorForm {
    #[serde(rename = "type")]
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
}

impl ActorForm {
    fn of(actor: &Actor) -> Self {
        let (what, id, via, login) = match actor {
            Actor::Visitor(user) => ("visitor", Some(user.to_string()), None, None),
            Actor::Stranger => ("visitor", None, None, None),
            Actor::Client(id) => ("client", Some(plain(id.as_str())), Some("api"), None),
            Actor::Operator { user, login } => (
                "operator",
                Some(plain(user)),
                Some("cli"),
                login.as_deref().map(plain),
            ),
            Actor::Bridge => ("bridge", None, None, None),
        };
        Self {
            what,
            id,
            via,
            login,
        }
    }
}

/// What a record will say; made by a [`super::Witness`].
#[derive(Debug, Clone)]
pub struct Event {
    kind: Kind,
    at: Timestamp,
    actor: Actor,
    user: Option<UserId>,
    app: Option<AppId>,
    code: Option<String>,
    reason: Option<String>,
    session: Option<String>,
    email: Option<String>,
    request: Option<String>,
    client: Option<IpAddr>,
    settings: Arc<Settings>,
    detail: BTreeMap<&'static str, Value>,
}

/// The body, in its order.
#[derive(Serialize)]
struct Body<'a> {
    v: u8,
    at: Timestamp,
    kind: Kind,
    actor: ActorForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a AppId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "str::is_empty")]
    replica: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    detail: &'a BTreeMap<&'static str, Value>,
}

impl Event {
    pub(super) fn new(kind: Kind, at: Timestamp, actor: Actor, settings: Arc<Settings>) -> Self {
        Self {
            kind,
            at,
            actor,
            user: None,
            app: None,
            code: None,
            reason: None,
            session: None,
            email: None,
            request: None,
            client: None,
            settings,
            detail: BTreeMap::new(),
        }
    }

    /// Whom it concerns.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Which app it concerns.
    #[must_use]
    pub fn app(mut self, app: &AppId) -> Self {
        self.app = Some(app.clone());
        self
    }

    /// Which session: our id of it, which is no credential.
    #[must_use]
    pub fn session(mut self, id: impl std::fmt::Display) -> Self {
        self.session = Some(plain(&id.to_string()));
        self
    }

    /// The outcome, as a code or word of the house's tables.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(plain(code));
        self
    }

    /// Why, in somebody's words.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = (!reason.is_empty()).then(|| plain(reason));
        self
    }

    /// Their e-mail address; kept only if the configuration says so.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        self.email = (self.settings.email && !email.is_empty()).then(|| plain(email));
        self
    }

    /// The id of the request that it came with.
    #[must_use]
    pub fn request(mut self, id: Option<&str>) -> Self {
        self.request = id.map(plain);
        self
    }

    /// Where the request came from; kept only if the configuration says so.
    #[must_use]
    pub fn client(mut self, address: Option<IpAddr>) -> Self {
        self.client = address.filter(|_| self.settings.client_address);
        self
    }

    /// One thing more: a number, a flag, a short text, a list of them. Never a secret, never what a
    /// person is called.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        if self.detail.len() < MOST {
            self.detail.insert(name, bounded(value.into()));
        }
        self
    }

    /// As it is appended.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let body = Body {
            v: 1,
            at: self.at,
            kind: self.kind,
            actor: ActorForm::of(&self.actor),
            user: self.user,
            email: self.email.as_deref(),
            app: self.app.as_ref(),
            session: self.session.as_deref(),
            code: self.code.as_deref(),
            reason: self.reason.as_deref(),
            request: self.request.as_deref(),
            client: self.client,
            replica: &self.settings.replica,
            detail: &self.detail,
        };
        Draft {
            at: self.at,
            kind: self.kind.as_str(),
            user: self.user,
            app: self.app.clone(),
            // Texts, numbers and lists of them: nothing that JSON can't hold.
            body: serde_json::to_string(&body).unwrap_or_default(),
        }
    }
}

/// A value whose texts are bounded and plain, and whose lists are short.
fn bounded(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        Value::Array(items) => items.into_iter().take(MOST * 4).map(bounded).collect(),
        Value::Object(_) => Value::Null,
        other => other,
    }
}

/// A text of somebody else's as it stands in a record.
pub(super) fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || c == '\\'
            || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    let mut out = String::with_capacity(text.len().min(LONGEST * 4));
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            out.push('…');
            break;
        }
        if odd(c) {
            // A backslash too, so that what is escaped is told from what only looks so.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
