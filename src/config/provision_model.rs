//! `[apps.provision]`: what its keys mean.

use crate::types::{GroupName, MembershipKind};
use std::time::Duration;

/// `[apps.provision]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionConfig {
    /// When an account is made.
    pub when: ProvisionWhen,
    /// Which directory groups give which memberships. Empty by default.
    pub groups: Vec<GroupMapping>,
    /// Whether a membership that the bridge gave is taken away when its group is no longer theirs.
    /// Default true.
    pub withdraw: bool,
    /// What becomes of an account whose person is gone.
    pub deactivate: DeactivateConfig,
    /// Seats.
    pub seats: SeatsConfig,
}

impl Default for ProvisionConfig {
    fn default() -> Self {
        Self {
            when: ProvisionWhen::OnSignIn,
            groups: Vec::new(),
            withdraw: true,
            deactivate: DeactivateConfig::default(),
            seats: SeatsConfig::default(),
        }
    }
}

/// `when`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisionWhen {
    /// At the person's first sign-in. The default.
    OnSignIn,
    /// As soon as the directory says that they may use the app.
    OnAssignment,
}

/// `[apps.provision.deactivate]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeactivateConfig {
    /// From when somebody is gone (access, sessions and tokens end at once) until their account is
    /// deactivated. Default 0.
    pub grace: Duration,
    /// What becomes of their bots.
    pub bots: BotsPolicy,
    /// Whether what the bridge gave is taken away too; kept, it is there when they come back.
    /// Default false. A role in the whole app always goes.
    pub memberships: bool,
    /// Whether administrators' accounts are deactivated like others. Default false.
    pub administrators: bool,
}

impl Default for DeactivateConfig {
    fn default() -> Self {
        Self {
            grace: Duration::ZERO,
            bots: BotsPolicy::Disable,
            memberships: false,
            administrators: false,
        }
    }
}

/// `bots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotsPolicy {
    /// Disabled, and enabled again when the person comes back. The default.
    Disable,
    /// Given to the person of this user name.
    HandOver(String),
    /// Left as they are.
    Leave,
}

/// `[apps.provision.seats]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatsConfig {
    /// Warn when so many percent are taken. Default 90.
    pub warn_at: u8,
    /// So many stay free for people who sign in: accounts ahead of it wait. Default 0.
    pub reserve: u64,
    /// Who was not seen at work for so long is a candidate for reclaiming. Default 90 days.
    pub idle_after: Duration,
    /// From the order to reclaim a seat until the account is deactivated. Default 7 days.
    pub grace: Duration,
}

impl Default for SeatsConfig {
    fn default() -> Self {
        Self {
            warn_at: 90,
            reserve: 0,
            idle_after: Duration::from_secs(90 * 86_400),
            grace: Duration::from_secs(7 * 86_400),
        }
    }
}

/// `[[apps.provision.groups]]`: what being in a group gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMapping {
    /// Which group.
    pub group: MappedGroup,
    /// What it gives: kind and name (`sales`, `sales/deals`, `system_admin`).
    pub gives: Vec<(MembershipKind, String)>,
}

impl GroupMapping {
    /// Whether it lets somebody decide about others.
    #[must_use]
    pub fn gives_power(&self) -> bool {
        self.gives.iter().any(|(kind, _)| kind.gives_power())
    }
}

/// A group of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedGroup {
    /// Its name; alone it is any group of this name, whoever has the name.
    pub name: Option<GroupName>,
    /// The directory's own id of it: then this group and no other, whatever its name.
    pub id: Option<String>,
}

impl MappedGroup {
    /// Whether it is the group of this id and name. With an id, the name says nothing.
    #[must_use]
    pub fn is(&self, id: &str, name: &str) -> bool {
        match (&self.id, &self.name) {
            (Some(own), _) => own.eq_ignore_ascii_case(id),
            (None, Some(own)) => own.as_str() == name,
            (None, None) => false,
        }
    }
}
