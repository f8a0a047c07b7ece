//! Whether the token sees everybody. With permissions on single objects only, lists are not whole
//! and everybody else seems not to exist (difference 33): a lost permission must never look like
//! people who are gone.

use super::Authentik;
use super::api::Said;
use super::shapes::{Group, Me, MeUser, User};
use crate::directory::source::SourceError;

impl Authentik {
    /// Whoever the token is.
    pub(super) async fn me(&self) -> Result<MeUser, SourceError> {
        match self.get::<Me>(&["core", "users", "me"], &[]).await? {
            Said::Found(me) => Ok(me.user),
            Said::None => Err(SourceError::Unavailable(
                "it does not say whose the token is".into(),
            )),
        }
    }

    /// Fails unless the token sees all users: its own account is one on which nobody gives a
    /// permission of its own, so seeing that one by `view_user` means seeing all of them.
    pub(super) async fn sees_everybody(&self) -> Result<(), SourceError> {
        let own = self.me().await?.pk.to_string();
        match self.get::<User>(&["core", "users", &own], &[]).await? {
            Said::Found(user) if user.pk.to_string() == own => Ok(()),
            Said::Found(_) => Err(SourceError::Unavailable(
                "it answers about somebody else".into(),
            )),
            Said::None => Err(SourceError::Permission(
                "it sees single users, not all of them: give its role view_user on all objects"
                    .into(),
            )),
        }
    }

    /// Fails unless the token sees all groups: each that a user or a group is in must be among them.
    pub(super) async fn sees_every_group(&self) -> Result<(), SourceError> {
        self.sees_everybody().await?;
        let tree = self.fresh_tree().await?;
        let query = [
            ("ordering", "pk"),
            ("include_groups", "false"),
            ("include_roles", "false"),
        ];
        let (users, _) = self.list::<User>(&["core", "users"], &query, 1).await?;
        for user in &users.results {
            if let Err(unknown) = tree.with_parents(user.groups.iter().map(String::as_str)) {
                // It may have been made or deleted meanwhile: asked for by itself.
                let asked = self
                    .get::<Group>(&["core", "groups", &unknown.0], &[])
                    .await?;
                if let (Said::None, true) = (asked, self.still_in(user.pk, &unknown.0).await?) {
                    return Err(groups_hidden());
                }
            }
        }
        Ok(())
    }

    async fn still_in(&self, pk: i64, group: &str) -> Result<bool, SourceError> {
        let pk = pk.to_string();
        Ok(
            match self.get::<User>(&["core", "users", &pk], &[]).await? {
                Said::Found(user) => user.groups.iter().any(|id| id == group),
                Said::None => false,
            },
        )
    }
}

/// What is said when somebody is in a group that is not shown.
pub(super) fn groups_hidden() -> SourceError {
    SourceError::Permission(
        "it sees single groups, not all of them: give its role view_group on all objects".into(),
    )
}
