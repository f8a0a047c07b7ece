//! The fifth trait of an app: what provisioning does to accounts beyond making them. What lives here:
//! the trait and what it talks about. What does not: when any of it happens and what is remembered
//! of it (`identity::converge`).
//!
//! Each call says what should be, looks first, and may be repeated: a crash or a time-out between two
//! of them heals by calling again.

use super::{AppError, Attribute, Profile, WantedProfile};
use crate::types::{MembershipKind, RemoteId, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Brings accounts and memberships of an app to what a directory says.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// The account as the app has it; `None` when the app does not know it.
    ///
    /// # Errors
    /// Whatever the app answers that is not an outcome.
    async fn look(&self, remote: &RemoteId) -> Result<Option<RemoteAccount>, AppError>;

    /// What [`Connector::update_account`](super::Connector::update_account) would write to an account
    /// that looks so, to have it called so; nothing when it leaves it as it is. Asks nobody.
    fn would_write(&self, account: &RemoteAccount, wanted: &WantedProfile) -> Vec<Attribute>;

    /// Deactivates an account: who has it can't sign in, what it wrote stays. Gives the account as it
    /// was before and the time that the app wrote down, which tells this deactivation from somebody
    /// else's; one that was deactivated already is left as it is.
    ///
    /// # Errors
    /// `AppError::NotOurs` when the account is special in a way the order does not name, or when one
    /// of `order.keep` would go with it; `AppError::Gone`.
    async fn deactivate(
        &self,
        remote: &RemoteId,
        order: &DeactivateOrder,
    ) -> Result<Deactivated, AppError>;

    /// Reactivates an account; one that is active is left as it is.
    ///
    /// # Errors
    /// `AppError::NoSeat` at the app's limit, which counts for reactivating too; `AppError::NotOurs`,
    /// `AppError::Gone`.
    async fn reactivate(&self, remote: &RemoteId) -> Result<(), AppError>;

    /// Ends all sessions of an account, whoever opened them.
    ///
    /// # Errors
    /// As [`Self::look`].
    async fn revoke_sessions(&self, remote: &RemoteId) -> Result<(), AppError>;

    /// Revokes all access tokens of an account; gives how many there were. A deactivated account's
    /// tokens would otherwise work again when it is reactivated.
    ///
    /// # Errors
    /// As above.
    async fn revoke_tokens(&self, remote: &RemoteId) -> Result<u64, AppError>;

    /// The bots that a person owns, disabled ones included.
    ///
    /// # Errors
    /// As above.
    async fn bots_of(&self, owner: &RemoteId) -> Result<Vec<OwnedBot>, AppError>;

    /// Disables a bot; one that is disabled is left as it is.
    ///
    /// # Errors
    /// `AppError::NotOurs` for the bridge's own bot and for one that owns itself; `AppError::Gone`.
    async fn disable_bot(&self, bot: &RemoteId) -> Result<(), AppError>;

    /// Enables a bot; one that is enabled is left as it is.
    ///
    /// # Errors
    /// As above.
    async fn enable_bot(&self, bot: &RemoteId) -> Result<(), AppError>;

    /// Gives a bot to another person.
    ///
    /// # Errors
    /// As above; `AppError::Refused` when the new owner is no active person of this server.
    async fn hand_over_bot(&self, bot: &RemoteId, to: &RemoteId) -> Result<(), AppError>;

    /// Finds what a place is in the app: the id that is remembered, since names change.
    ///
    /// # Errors
    /// `AppError::Refused` when there is no such team or channel, or it is archived.
    async fn resolve(&self, place: &Place) -> Result<Target, AppError>;

    /// Whether the account has this membership.
    ///
    /// # Errors
    /// As [`Self::look`].
    async fn has(&self, remote: &RemoteId, target: &Target) -> Result<bool, AppError>;

    /// Adds a membership; one that is there is left as it is.
    ///
    /// # Errors
    /// `AppError::TeamFull`; `AppError::Refused` when what it rests on is missing (a channel's team);
    /// `AppError::NotOurs` for a role of an account that is not a person's.
    async fn grant(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError>;

    /// Takes a membership away; one that is not there is left so.
    ///
    /// # Errors
    /// `AppError::LastAdmin`, and as above.
    async fn withdraw(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError>;

    /// Seats: how many are taken and how many there are, by the app's own count.
    ///
    /// # Errors
    /// As [`Self::look`].
    async fn seats(&self) -> Result<Seats, AppError>;

    /// A page of those who take a seat, with what is known of their activity; pages count from 0, and
    /// the last one has `last`.
    ///
    /// # Errors
    /// As above.
    async fn holders(&self, page: u32) -> Result<HolderPage, AppError>;

    /// A page of all accounts, deactivated ones, bots' and strangers' included; pages count from 0. A
    /// list that changes while it is read may name somebody twice, or not: whoever misses somebody in
    /// it asks for them before anything follows.
    ///
    /// # Errors
    /// As above.
    async fn accounts(&self, page: u32) -> Result<Part<RemoteAccount>, AppError>;

    /// A page of those who have a membership of a team or channel, likewise. Roles in the whole app
    /// are told with the accounts: of one there is an empty page.
    ///
    /// # Errors
    /// As above; `AppError::Gone` when there is no such team or channel (any more).
    async fn members(&self, target: &Target, page: u32) -> Result<Part<RemoteId>, AppError>;

    /// The account of this user name, for what an operator configures.
    ///
    /// # Errors
    /// As above.
    async fn find(&self, username: &str) -> Result<Option<RemoteAccount>, AppError>;
}

/// An account as the app has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAccount {
    /// The app's id.
    pub remote: RemoteId,
    /// What the app calls them.
    pub profile: Profile,
    /// When it was deactivated, in the app's own count (milliseconds); `None` while it is active.
    pub deactivated_at: Option<i64>,
    /// Its system roles beyond everybody's.
    pub roles: Vec<String>,
    /// What it is besides an ordinary person's.
    pub kind: RemoteKind,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteKind {
    /// An ordinary person's.
    Person,
    /// A person's who has a role beyond everybody's: an administrator.
    Privileged,
    /// A bot's, another server's, or of another sign-in method: never touched.
    Foreign(&'static str),
}

/// What deactivating may include.
#[derive(Debug, Clone, Default)]
pub struct DeactivateOrder {
    /// Whether it may be an administrator's: an operator's explicit word.
    pub privileged: bool,
    /// Accounts that must not go with it: bots that services use. The bridge's own is always one.
    pub keep: Vec<RemoteId>,
}

/// What deactivating came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deactivated {
    /// This call did it; the time the app wrote down (milliseconds).
    Now(i64),
    /// It was deactivated already; since when by the app's count (milliseconds).
    Before(i64),
}

/// A bot of a person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBot {
    /// The app's id.
    pub remote: RemoteId,
    /// Its user name.
    pub username: String,
    /// Whether it is not disabled.
    pub enabled: bool,
    /// Whether it is the bridge's own.
    pub own: bool,
}

/// A membership as an operator names it. Ordered so that what others rest on comes first: a team
/// before its channels, a channel before its administrators.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// What kind.
    pub kind: MembershipKind,
    /// `sales`, `sales/deals` or `system_admin`.
    pub name: String,
}

impl Place {
    /// What must be there first, the nearest last: a channel needs its team.
    #[must_use]
    pub fn rests_on(&self) -> Vec<Self> {
        let team = self.name.split('/').next().unwrap_or("").to_owned();
        let of = |kind, name: &str| Self {
            kind,
            name: name.to_owned(),
        };
        match self.kind {
            MembershipKind::Team | MembershipKind::SystemRole => Vec::new(),
            MembershipKind::TeamAdmin | MembershipKind::Channel => {
                vec![of(MembershipKind::Team, &team)]
            }
            MembershipKind::ChannelAdmin => vec![
                of(MembershipKind::Team, &team),
                of(MembershipKind::Channel, &self.name),
            ],
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A membership as the app knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// What kind.
    pub kind: MembershipKind,
    /// The app's own id of the team or channel, or the role's name.
    pub id: String,
}

/// Seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Seats {
    /// How many are taken.
    pub used: u64,
    /// How many there are; `None`: the app sets no limit.
    pub limit: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// Its entries.
    pub items: Vec<T>,
    /// Whether it is the last.
    pub last: bool,
}

/// Who takes a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatHolder {
    /// The app's id.
    pub remote: RemoteId,
    /// Their user name.
    pub username: String,
    /// Whether it is an administrator's.
    pub privileged: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the app last saw them at work; `None`: never, as far as it knows.
    pub active_at: Option<Timestamp>,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderPage {
    /// Who.
    pub holders: Vec<SeatHolder>,
    /// Whether it is the last.
    pub last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: MembershipKind, name: &str) -> Place {
        Place {
            kind,
            name: name.into(),
        }
    }

    #[test]
    fn what_a_membership_rests_on_sorts_before_it() {
        for of in [
            place(MembershipKind::Channel, "sales/deals"),
            place(MembershipKind::TeamAdmin, "sales"),
            place(MembershipKind::ChannelAdmin, "sales/deals"),
        ] {
            let below = of.rests_on();
            assert_eq!(below[0], place(MembershipKind::Team, "sales"));
            assert!(below.iter().all(|b| *b < of), "{of}");
        }
        assert!(
            place(MembershipKind::SystemRole, "system_admin")
                .rests_on()
                .is_empty()
        );
    }
}
