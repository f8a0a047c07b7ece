//! Leaf types that import nothing of ours: identifiers, hosts, scopes, time, secrets.
//!
//! No public signature of the house carries a bare `String` where one of these is meant, so that a
//! session id can't be passed for a Pomerium `sid`, nor an e-mail for a subject.

mod host;
mod ids;
mod membership;
mod scope;
mod secret;
mod time;

pub use host::{HostName, InvalidHost};
pub use ids::{
    AccountId, AppId, BotName, ClientId, GroupName, InvalidId, IssuerId, KeyId, RemoteId,
    SessionId, Sid, SourceId, Subject, TokenId, UserId,
};
pub use membership::MembershipKind;
pub use scope::{InvalidScope, Scope};
pub use secret::{AppToken, SecretText};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
