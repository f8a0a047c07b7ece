//! Deactivates and reactivates accounts, ends what they hold, and takes care of their bots. The
//! memberships are in `memberships`, the seats in `seats`.
//!
//! Which accounts may be touched: an ordinary person's; a person's with a role beyond it only by an
//! explicit order; a bot's, another server's or another sign-in method's never (T33).

use super::api::{PAGE, User};
use super::connector::{check_same, differences, profile_of};
use super::kind::foreign;
use super::settings::Settings;
use super::{Mattermost, memberships};
use crate::apps::{
    AppError, Attribute, DeactivateOrder, Deactivated, HolderPage, OwnedBot, Part, Place,
    Provisioner, RemoteAccount, RemoteKind, Seats, Target, WantedProfile,
};
use crate::types::RemoteId;
use async_trait::async_trait;

/// Rounds of listing and revoking tokens: more than any person has pages of them.
const TOKEN_ROUNDS: usize = 10;

#[async_trait]
impl Provisioner for Mattermost {
    async fn look(&self, remote: &RemoteId) -> Result<Option<RemoteAccount>, AppError> {
        match self.known(remote).await {
            Ok(user) => remote_account(&user).map(Some),
            Err(AppError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn would_write(&self, account: &RemoteAccount, wanted: &WantedProfile) -> Vec<Attribute> {
        // As `update_account`, which leaves what is special as it is.
        if account.deactivated_at.is_some() || account.kind != RemoteKind::Person {
            return Vec::new();
        }
        differences(&account.profile, wanted).attributes()
    }

    async fn find(&self, username: &str) -> Result<Option<RemoteAccount>, AppError> {
        match self.api.user_by_username(username).await? {
            Some(user) => remote_account(&user).map(Some),
            None => Ok(None),
        }
    }

    async fn deactivate(
        &self,
        remote: &RemoteId,
        order: &DeactivateOrder,
    ) -> Result<Deactivated, AppError> {
        let user = self.known(remote).await?;
        match remote_account(&user)?.kind {
            RemoteKind::Foreign(why) => return Err(AppError::NotOurs(why.into())),
            RemoteKind::Privileged if !order.privileged => {
                return Err(AppError::NotOurs(
                    "it has a role beyond system_user, and administrators are deactivated only by an explicit order"
                        .into(),
                ));
            }
            RemoteKind::Privileged | RemoteKind::Person => {}
        }
        // Deactivating again would move the time by which it is known whose doing it was.
        if user.delete_at != 0 {
            return Ok(Deactivated::Before(user.delete_at));
        }
        self.spare_bots(remote, &order.keep).await?;
        self.api.set_active(&user.id, false).await?;
        let now = self.known(remote).await?;
        if now.delete_at == 0 {
            return Err(AppError::Unavailable(
                "it said that the account is deactivated, and shows it active".into(),
            ));
        }
        Ok(Deactivated::Now(now.delete_at))
    }

    async fn reactivate(&self, remote: &RemoteId) -> Result<(), AppError> {
        let user = self.known(remote).await?;
        // At the limit the server refuses it even for who is active (recordings 30).
        if user.delete_at == 0 {
            return Ok(());
        }
        if let Some(special) = foreign(&user) {
            return Err(AppError::NotOurs(special.why().into()));
        }
        Ok(self.api.set_active(&user.id, true).await?)
    }

    async fn revoke_sessions(&self, remote: &RemoteId) -> Result<(), AppError> {
        Ok(self.api.revoke_all_sessions(remote.as_str()).await?)
    }

    async fn revoke_tokens(&self, remote: &RemoteId) -> Result<u64, AppError> {
        let mut revoked = 0;
        for _ in 0..TOKEN_ROUNDS {
            let tokens = self.api.tokens(remote.as_str()).await?;
            for token in &tokens {
                match self.api.revoke_token(&token.id).await {
                    // Gone already is what was wanted.
                    Err(error) if error.is_missing() => {}
                    other => other?,
                }
                revoked += 1;
            }
            if tokens.len() < PAGE {
                return Ok(revoked);
            }
        }
        Err(AppError::Unavailable(
            "it lists more access tokens however many are revoked".into(),
        ))
    }

    async fn bots_of(&self, owner: &RemoteId) -> Result<Vec<OwnedBot>, AppError> {
        let (own, _) = self.api.me().await?;
        let mut bots = Vec::new();
        for bot in self.api.bots().await? {
            // One that owns itself is nobody's.
            if bot.owner_id != owner.as_str() || bot.user_id == bot.owner_id {
                continue;
            }
            bots.push(OwnedBot {
                own: bot.user_id == own.id,
                enabled: bot.delete_at == 0,
                username: bot.username,
                remote: remote_id(bot.user_id)?,
            });
        }
        Ok(bots)
    }

    async fn disable_bot(&self, bot: &RemoteId) -> Result<(), AppError> {
        self.switch(bot, false).await
    }

    async fn enable_bot(&self, bot: &RemoteId) -> Result<(), AppError> {
        self.switch(bot, true).await
    }

    async fn hand_over_bot(&self, bot: &RemoteId, to: &RemoteId) -> Result<(), AppError> {
        self.not_the_bridge(bot).await?;
        // The server takes any id for an owner, and its word would be the end of the bot's keeper.
        let refused = |what: &str| AppError::Refused(format!("the bots' new owner {to} {what}"));
        let owner = match self.known(to).await {
            Err(AppError::Gone) => return Err(refused("does not exist")),
            other => other?,
        };
        if owner.delete_at != 0 {
            return Err(refused("is deactivated"));
        }
        if let Some(special) = foreign(&owner) {
            return Err(refused(&format!("can't own bots: {}", special.why())));
        }
        if self.api.bot(bot.as_str()).await?.owner_id == to.as_str() {
            return Ok(());
        }
        let bot = self.api.assign_bot(bot.as_str(), to.as_str()).await?;
        check_same(to.as_str(), &bot.owner_id)
    }

    async fn resolve(&self, place: &Place) -> Result<Target, AppError> {
        self.resolve_place(place).await
    }

    async fn has(&self, remote: &RemoteId, target: &Target) -> Result<bool, AppError> {
        self.has_membership(remote, target).await
    }

    async fn grant(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError> {
        self.grant_membership(remote, target).await
    }

    async fn withdraw(&self, remote: &RemoteId, target: &Target) -> Result<(), AppError> {
        self.withdraw_membership(remote, target).await
    }

    async fn seats(&self) -> Result<Seats, AppError> {
        self.read_seats().await
    }

    async fn holders(&self, page: u32) -> Result<HolderPage, AppError> {
        self.read_holders(page).await
    }

    async fn accounts(&self, page: u32) -> Result<Part<RemoteAccount>, AppError> {
        let users = self.api.all_users(page).await?;
        Ok(Part {
            last: users.len() < PAGE,
            items: users.iter().map(remote_account).collect::<Result<_, _>>()?,
        })
    }

    async fn members(&self, target: &Target, page: u32) -> Result<Part<RemoteId>, AppError> {
        self.read_members(target, page).await
    }
}

impl Mattermost {
    /// The account of this id, and no other.
    pub(super) async fn known(&self, remote: &RemoteId) -> Result<User, AppError> {
        let user = self.api.user(remote.as_str()).await?;
        check_same(remote.as_str(), &user.id)?;
        Ok(user)
    }

    /// With `DisableBotsWhenOwnerIsDeactivated` the server disables all bots of whom it deactivates:
    /// the bridge's own, without which nobody signs in any more, and those of services must not go
    /// that way.
    async fn spare_bots(&self, owner: &RemoteId, keep: &[RemoteId]) -> Result<(), AppError> {
        let lost: Vec<String> = self
            .bots_of(owner)
            .await?
            .into_iter()
            .filter(|bot| bot.enabled && (bot.own || keep.contains(&bot.remote)))
            .map(|bot| bot.username)
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let settings: Settings = self.api.config().await?;
        let service = &settings.service_settings;
        if service.disable_bots_when_owner_is_deactivated == Some(false) {
            return Ok(());
        }
        Err(AppError::NotOurs(format!(
            "it owns {}, which the server would disable with it: set ServiceSettings.DisableBotsWhenOwnerIsDeactivated to false, or give the bot to another person (POST /bots/<bot>/assign/<person>)",
            lost.join(", ")
        )))
    }

    async fn switch(&self, bot: &RemoteId, on: bool) -> Result<(), AppError> {
        self.not_the_bridge(bot).await?;
        let found = self.api.bot(bot.as_str()).await?;
        check_same(bot.as_str(), &found.user_id)?;
        if found.owner_id == found.user_id {
            // Recordings 25: disabling it can make the server recurse until it is restarted.
            return Err(AppError::NotOurs("it is a bot that owns itself".into()));
        }
        if (found.delete_at == 0) == on {
            return Ok(());
        }
        Ok(self.api.switch_bot(bot.as_str(), on).await?)
    }

    async fn not_the_bridge(&self, bot: &RemoteId) -> Result<(), AppError> {
        let (own, _) = self.api.me().await?;
        if own.id == bot.as_str() {
            return Err(AppError::NotOurs("it is the bridge's own bot".into()));
        }
        Ok(())
    }
}

fn remote_account(user: &User) -> Result<RemoteAccount, AppError> {
    let roles = memberships::roles_beyond(user);
    let kind = match foreign(user) {
        Some(special) => RemoteKind::Foreign(special.why()),
        // Neither a guest nor who has no role at all is an ordinary person.
        None if !roles.is_empty() || !user.has_role("system_user") => RemoteKind::Privileged,
        None => RemoteKind::Person,
    };
    Ok(RemoteAccount {
        remote: remote_id(user.id.clone())?,
        profile: profile_of(user),
        deactivated_at: (user.delete_at != 0).then_some(user.delete_at),
        roles,
        kind,
    })
}

pub(super) fn remote_id(id: String) -> Result<RemoteId, AppError> {
    RemoteId::new(id).map_err(|e| AppError::Unavailable(e.to_string()))
}
