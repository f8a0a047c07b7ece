//! Scopes: what a client of the api listener may do. A closed list: no scope implies another.

use super::AppId;
use std::fmt;
use std::str::FromStr;

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Ask whose a token or cookie is (RFC 7662), and revoke it (RFC 7009).
    Introspect,
    /// Trade a person's assertion or session for a token of an audience (RFC 8693).
    Exchange,
    /// Ask what an app is to the visitor whose assertion it passes on, and prepare their visit.
    Bridge,
    /// Get the cookies of that visit, too.
    BridgeCookies,
    /// Read shadow users and their accounts.
    UsersRead,
    /// Change them.
    UsersWrite,
    /// Read and revoke sessions.
    Sessions,
    /// Read and retry jobs.
    Jobs,
    /// Provision by SCIM.
    Scim,
    /// Deliver webhooks.
    Hooks,
    /// Have a directory read again, and give people the groups that are listed for it.
    Validate,
    /// Make, list and revoke invitations of a directory.
    Invitations,
    /// Whatever concerns the bridge as a whole: keys, clients, the audit trail.
    Admin,
    /// Call an app through the bridge, as the client's own bot.
    Proxy(AppId),
}

/// Those without a parameter.
const PLAIN: [(&str, Scope); 13] = [
    ("introspect", Scope::Introspect),
    ("exchange", Scope::Exchange),
    ("bridge", Scope::Bridge),
    ("bridge:cookies", Scope::BridgeCookies),
    ("users:read", Scope::UsersRead),
    ("users:write", Scope::UsersWrite),
    ("sessions", Scope::Sessions),
    ("jobs", Scope::Jobs),
    ("scim", Scope::Scim),
    ("hooks", Scope::Hooks),
    ("validate", Scope::Validate),
    ("invitations", Scope::Invitations),
    ("admin", Scope::Admin),
];

/// Why a text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such scope")]
pub struct InvalidScope;

impl Scope {
    /// Every scope without a parameter, as it is written, and the form of the others.
    pub fn words() -> impl Iterator<Item = &'static str> {
        PLAIN.iter().map(|(word, _)| *word).chain(["proxy:<app>"])
    }

    /// Whether a static bearer may carry it: a credential that never changes and proves nothing
    /// but that somebody knows it.
    #[must_use]
    pub fn allows_static_bearer(&self) -> bool {
        matches!(self, Self::Hooks | Self::Scim)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        if let Some(app) = text.strip_prefix("proxy:") {
            return AppId::new(app).map(Self::Proxy).map_err(|_| InvalidScope);
        }
        let known = PLAIN.iter().find(|(word, _)| *word == text);
        known.map(|(_, scope)| scope.clone()).ok_or(InvalidScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Proxy(app) = self {
            return write!(f, "proxy:{app}");
        }
        let known = PLAIN.iter().find(|(_, scope)| scope == self);
        f.write_str(known.map_or("", |(word, _)| word))
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written_and_nothing_else_is() {
        for (word, scope) in &PLAIN {
            assert_eq!(word.parse().as_ref(), Ok(scope));
            assert_eq!(scope.to_string(), *word);
        }
        let proxy = Scope::Proxy(AppId::new("chat").unwrap());
        assert_eq!("proxy:chat".parse().as_ref(), Ok(&proxy));
        assert_eq!(proxy.to_string(), "proxy:chat");
        for bad in [
            "", "Admin", "admin ", "users", "proxy:", "proxy:A", "proxy:*", "*",
        ] {
            assert_eq!(bad.parse::<Scope>(), Err(InvalidScope), "{bad:?}");
        }
    }

    #[test]
    fn a_static_bearer_carries_hooks_and_scim_alone() {
        let carried: Vec<_> = (PLAIN.iter())
            .filter(|(_, scope)| scope.allows_static_bearer())
            .map(|(word, _)| *word)
            .collect();
        assert_eq!(carried, ["scim", "hooks"]);
        assert!(!Scope::Proxy(AppId::new("hooks").unwrap()).allows_static_bearer());
    }
}
