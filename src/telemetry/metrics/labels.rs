//! Labels: closed sets of words, and configured ids.

use prometheus_client::encoding::EncodeLabelSet;
use std::sync::Arc;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word of the label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

    };
}

words! {
    /// What happened to a session while it lived.
    SessionEvent {
        /// It was born.
        Born = "born",
        /// It got a new app session.
        Renewed = "renewed",
        /// It moved to a new sid.
        CarriedOver = "carried_over",
    }
}

words! {
    /// How a sign-in to an app ended.
    LoginOutcome {
        /// With a session.
        Ok = "ok",
        /// The app refused.
        Refused = "refused",
        /// The app did not answer, or not usefully.
        Failed = "failed",
        /// Nobody got round to it in time.
        Busy = "busy",
    }
}

words! {
    /// What became of an account.
    AccountOutcome {
        /// Made in the app.
        Created = "created",
        /// Found and linked.
        Linked = "linked",
        /// Brought up to date.
        Updated = "updated",
        /// Disabled in the app.
        Disabled = "disabled",
        /// In the way of another.
        Conflict = "conflict",
        /// No seat left.
        NoSeat = "no_seat",
        /// The app refused.
        Refused = "refused",
        /// The app did not answer, or not usefully.
        Failed = "failed",
    }
}

words! {
    /// An assertion that came again.
    ReplayKind {
        /// As a retry of Envoy's would: let through.
        Repeat = "repeat",
        /// Otherwise: refused.
        Refused = "refused",
        /// The table was full: not remembered.
        Overflow = "overflow",
    }
}

words! {
    /// How a fetch of keys ended.
    FetchOutcome {
        /// With usable keys.
        Ok = "ok",
        /// No answer.
        Unreachable = "unreachable",
        /// An answer without usable keys.
        Unusable = "unusable",
    }
}

words! {
    /// What the audit trail's keeper could not do.
    AuditTrouble {
        /// Write denials.
        Append = "append",
        /// Read and sign the end.
        Sign = "sign",
        /// Write a checkpoint to its folder.
        File = "file",
    }
}

words! {
    /// Which listener a request came by: visitors' and machine routes', or services'.
    By {
        /// A visitor's, or a machine route's.
        Proxy = "proxy",
        /// A service's.
        Api = "api",
    }
}

words! {
    /// How an attempt at a job ended.
    JobWord {
        /// The job is done.
        Done = "done",
        /// It is tried again.
        Failed = "failed",
        /// It waits for something else, or was asked to wait.
        Postponed = "postponed",
        /// It waits for an operator.
        Dead = "dead",
        /// It was stopped: something more urgent, or the end of the bridge.
        GaveWay = "gave_way",
        /// It became somebody else's.
        Lost = "lost",
    }
}

words! {
    /// What became of a webhook.
    HookOutcome {
        /// Somebody is asked about.
        Read = "read",
        /// What changed lately is asked for: it did not say what it is about.
        Unclear = "unclear",
        /// It came before.
        Duplicate = "duplicate",
        /// It is of no consequence.
        Nothing = "nothing",
        /// It is of a kind that this version does not know.
        Unknown = "unknown",
        /// The transport test.
        Test = "test",
        /// It is no JSON.
        Garbage = "garbage",
        /// Its body is too large.
        TooLarge = "too_large",
        /// Its body took too long.
        Slow = "slow",
        /// Too many wait.
        Full = "full",
        /// The store did not take it.
        Unavailable = "unavailable",
    }
}

impl HookOutcome {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Unclear,
        Self::Duplicate,
        Self::Nothing,
        Self::Unknown,
        Self::Test,
        Self::Garbage,
        Self::TooLarge,
        Self::Slow,
        Self::Full,
        Self::Unavailable,
    ];
}

words! {
    /// Why a connection was turned away.
    ConnectionTrouble {
        /// TLS failed, or took too long.
        Tls = "tls",
        /// The client's certificate has another name.
        Name = "name",
    }
}

words! {
    /// Why a directory's answer could not be used.
    DirectoryTrouble {
        /// It does not answer, or with what is not its API.
        Unavailable = "unavailable",
        /// Too slowly.
        Timeout = "timeout",
        /// Our token is not accepted.
        Credential = "credential",
        /// The token may not read this.
        Permission = "permission",
        /// It limits our rate.
        RateLimited = "rate_limited",
        /// It refused for good.
        Refused = "refused",
    }
}

words! {
    /// What the store did not do.
    StoreTrouble {
        /// It does not answer.
        Unavailable = "unavailable",
        /// Someone else wrote first.
        Changed = "changed",
        /// A value was taken.
        Taken = "taken",
        /// A lock was not to be had.
        Busy = "busy",
        /// A row can't be read.
        Inconsistent = "inconsistent",
        /// The schema can't be used.
        Schema = "schema",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabel {
    pub(super) version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CodeLabel {
    pub(super) code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AppLabel {
    pub(super) app: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabel {
    pub(super) app: Arc<str>,
    pub(super) listener: &'static str,
    pub(super) code: &'static str,
    pub(super) status: &'static str,
}

/// An app's requests by one listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DurationLabel {
    pub(super) app: Arc<str>,
    pub(super) listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct IssuerLabel {
    pub(super) issuer: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct IssuerFetch {
    pub(super) issuer: Arc<str>,
    pub(super) outcome: &'static str,
}

/// Certificates of a listener or peer of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CertificateLabel {
    pub(super) about: Arc<str>,
    pub(super) role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabel {
    pub(super) listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DirectoryLabel {
    pub(super) directory: Arc<str>,
}

/// One word about a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DirectoryWord {
    pub(super) directory: Arc<str>,
    pub(super) kind: &'static str,
}

/// One word about a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerWord {
    pub(super) listener: &'static str,
    pub(super) kind: &'static str,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Word {
    pub(super) kind: &'static str,
}

/// One word about an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AppWord {
    pub(super) app: Arc<str>,
    pub(super) kind: &'static str,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SourceLabel {
    pub(super) source: Arc<str>,
}

/// One word about a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SourceWord {
    pub(super) source: Arc<str>,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct JobLabel {
    pub(super) kind: &'static str,
    pub(super) app: Arc<str>,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LagLabel {
    pub(super) kind: &'static str,
    pub(super) app: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BreakerLabel {
    pub(super) about: &'static str,
    pub(super) name: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ScimLabel {
    /// A configured connection.
    pub(super) connection: String,
}
