//! Which accounts are an ordinary person's. All others are never adopted, never given a password and
//! never renamed (T33): what is in doubt is not ordinary.

use super::api::User;

/// Why an account is not an ordinary person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Deactivated: by an administrator, who meant it.
    Deactivated,
    /// A bot's.
    Bot,
    /// Of another server, by a shared channel.
    Remote,
    /// Signs in by another method (GitLab, SAML, LDAP): a password would convert it silently
    /// (facts §1a, recordings 12).
    OtherSignIn,
    /// Has a role beyond `system_user`: an administrator's, a manager's, a guest's.
    Role,
}

impl Special {
    /// For the operator.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Deactivated => "it is deactivated",
            Self::Bot => "it is a bot",
            Self::Remote => "it belongs to another server (shared channel)",
            Self::OtherSignIn => {
                "it uses another sign-in method (auth_service), which setting a password would wipe"
            }
            Self::Role => {
                "it has a role beyond system_user: administrators are never adopted or given a password"
            }
        }
    }
}

/// What stands against touching this account; `None` for an ordinary person's.
pub(super) fn special(user: &User) -> Option<Special> {
    if user.delete_at != 0 {
        return Some(Special::Deactivated);
    }
    foreign(user).or_else(|| {
        (user.roles.split_whitespace().collect::<Vec<_>>() != ["system_user"])
            .then_some(Special::Role)
    })
}

/// What stands against signing in as this account, which is known to be theirs: being an
/// administrator meanwhile does not.
pub(super) fn foreign(user: &User) -> Option<Special> {
    if user.is_bot {
        Some(Special::Bot)
    } else if user.remote_id.as_deref().is_some_and(|id| !id.is_empty()) {
        Some(Special::Remote)
    } else if !user.auth_service.is_empty()
        || user.auth_data.as_deref().is_some_and(|d| !d.is_empty())
    {
        Some(Special::OtherSignIn)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordinary() -> User {
        serde_json::from_str(r#"{"id":"s7iesyh6kpyz8fggtygtd44u3e","roles":"system_user"}"#)
            .unwrap()
    }

    #[test]
    fn only_an_ordinary_person_passes() {
        assert_eq!(special(&ordinary()), None);
        let with = |change: fn(&mut User)| {
            let mut user = ordinary();
            change(&mut user);
            special(&user)
        };
        assert_eq!(with(|u| u.delete_at = 1), Some(Special::Deactivated));
        assert_eq!(with(|u| u.is_bot = true), Some(Special::Bot));
        assert_eq!(
            with(|u| u.remote_id = Some("r".into())),
            Some(Special::Remote)
        );
        assert_eq!(with(|u| u.remote_id = Some(String::new())), None);
        assert_eq!(
            with(|u| u.auth_service = "gitlab".into()),
            Some(Special::OtherSignIn)
        );
        assert_eq!(
            with(|u| u.auth_data = Some("1".into())),
            Some(Special::OtherSignIn)
        );
        for roles in [
            "",
            "system_guest",
            "system_user system_admin",
            "system_admin system_user",
        ] {
            let mut user = ordinary();
            user.roles = roles.into();
            assert_eq!(special(&user), Some(Special::Role), "{roles:?}");
        }
    }

    #[test]
    fn a_promoted_person_may_still_sign_in() {
        let mut user = ordinary();
        user.roles = "system_user system_admin".into();
        assert_eq!(foreign(&user), None);
    }
}
