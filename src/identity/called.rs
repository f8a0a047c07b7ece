//! What an account that exists is to be called, and whether the app calls it so. What lives here: the
//! one comparison that a sweep's look and the job it wishes for go by. What does not: what an app's
//! account may be called, and who may change it there (`apps/`); what of assertion and directory
//! counts (the shadow user has it).

use super::memo::{Asserted, Memo};
use crate::apps::{Attribute, Profile, Provisioner, RemoteAccount, WantedProfile};
use crate::store::{Account, User};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Called {
    wanted: WantedProfile,
    /// What the app made of just this the last time it was told; `None`: it was not told yet.
    made: Option<Profile>,
}

impl Called {
    /// Of a person and the account that is theirs.
    #[must_use]
    pub fn of(user: &User, account: &Account) -> Self {
        let memo = Memo::of(account);
        let told = memo.asserted == Asserted::of(user);
        Self {
            wanted: WantedProfile {
                username: account.username.clone(),
                name: user.name.clone(),
                email: user.email.clone(),
            },
            made: told.then_some(memo.profile),
        }
    }

    /// As an app is told.
    #[must_use]
    pub const fn wanted(&self) -> &WantedProfile {
        &self.wanted
    }

    /// Whether the app was told all this.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.made.is_some()
    }

    /// What of an account is not called so. An app may have its own way with what it is told (it keeps
    /// an old address, cuts a name short): what it made of it then is as it should be, or each look
    /// would write again.
    #[must_use]
    pub fn strays(&self, app: &dyn Provisioner, seen: &RemoteAccount) -> Vec<Attribute> {
        self.beside_its_way(app.would_write(seen, &self.wanted), &seen.profile)
    }

    fn beside_its_way(&self, mut would: Vec<Attribute>, seen: &Profile) -> Vec<Attribute> {
        if let Some(made) = &self.made {
            would.retain(|part| made.says(*part) != seen.says(*part));
        }
        would
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(email: &str, first_name: &str) -> Profile {
        Profile {
            email: email.into(),
            first_name: first_name.into(),
            ..Profile::default()
        }
    }

    #[test]
    fn what_an_app_made_of_what_it_was_told_is_as_it_should_be() {
        let both = vec![Attribute::Email, Attribute::FirstName];
        let strays = |made: Option<Profile>, seen: &Profile| {
            let called = Called {
                made,
                ..Called::default()
            };
            called.beside_its_way(both.clone(), seen)
        };
        let kept = profile("old@example.test", "Ann");
        assert_eq!(strays(Some(kept.clone()), &kept), []);
        // Somebody changed it since: that is not the app's way.
        let by_hand = profile("old@example.test", "Eve");
        assert_eq!(strays(Some(kept.clone()), &by_hand), [Attribute::FirstName]);
        // It was not told yet.
        assert_eq!(strays(None, &kept), both);
    }
}
