//! What somebody can be a member of in an app.

use serde::{Deserialize, Serialize};

/// What kind of membership. Ordered so that what others rest on comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MembershipKind {
    /// A team's member.
    Team,
    /// A channel's member.
    Channel,
    /// A team's administrator.
    TeamAdmin,
    /// A channel's administrator.
    ChannelAdmin,
    /// A role in the whole app.
    SystemRole,
}

impl MembershipKind {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Team,
        Self::Channel,
        Self::TeamAdmin,
        Self::ChannelAdmin,
        Self::SystemRole,
    ];

    /// The word in the store, the log and `--json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Channel => "channel",
            Self::TeamAdmin => "team-admin",
            Self::ChannelAdmin => "channel-admin",
            Self::SystemRole => "system-role",
        }
    }

    /// Whether it lets somebody decide about others.
    #[must_use]
    pub const fn gives_power(self) -> bool {
        match self {
            Self::Team | Self::Channel => false,
            Self::TeamAdmin | Self::ChannelAdmin | Self::SystemRole => true,
        }
    }

    /// The kind of a stored word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for MembershipKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_word() {
        for kind in MembershipKind::ALL {
            assert_eq!(MembershipKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(MembershipKind::from_word("guild"), None);
    }
}
