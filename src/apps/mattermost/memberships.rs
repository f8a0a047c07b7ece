//! Teams, channels and roles: whether somebody is in one, putting them in, taking them out (recordings
//! 13, 30). What a name stands for is looked up each time it is granted; what was granted is known by
//! the server's id, since names change and are used again.

use super::Mattermost;
use super::api::{Membership, Of, PAGE, User};
use super::errors::ApiError;
use super::kind::foreign;
use super::provisioner::remote_id;
use crate::apps::{AppError, Part, Place, Target};
use crate::types::{MembershipKind, RemoteId};

const USER: &str = "system_user";

impl Mattermost {
    pub(super) async fn resolve_place(&self, place: &Place) -> Result<Target, AppError> {
        let target = |id| Target {
            kind: place.kind,
            id,
        };
        if place.kind == MembershipKind::SystemRole {
            return Ok(target(place.name.clone()));
        }
        let (team_name, channel_name) = match place.name.split_once('/') {
            Some((team, channel)) => (team, Some(channel)),
            None => (place.name.as_str(), None),
        };
        let team =
            self.api.team_by_name(team_name).await?.ok_or_else(|| {
                AppError::Refused(format!("there is no team {team_name}: make it"))
            })?;
        if team.delete_at != 0 {
            // The server would take members into it all the same (recordings 30).
            return Err(AppError::Refused(format!("team {team_name} is archived")));
        }
        let of_channel = matches!(
            place.kind,
            MembershipKind::Channel | MembershipKind::ChannelAdmin
        );
        match channel_name.filter(|_| of_channel) {
            None if of_channel => Err(AppError::Refused(format!(
                "{} names no channel: write team/channel",
                place.name
            ))),
            None => Ok(target(team.id)),
            Some(name) => {
                let channel = self.api.channel_by_name(&team.id, name).await?;
                let channel = channel.ok_or_else(|| {
                    AppError::Refused(format!("there is no channel {}: make it", place.name))
                })?;
                if channel.delete_at != 0 {
                    return Err(AppError::Refused(format!(
                        "channel {} is archived",
                        place.name
                    )));
                }
                Ok(target(channel.id))
            }
        }
    }

    pub(super) async fn has_membership(
        &self,
        remote: &RemoteId,
        target: &Target,
    ) -> Result<bool, AppError> {
        let Some(of) = of(target) else {
            return Ok(self.known(remote).await?.has_role(&target.id));
        };
        let Some(member) = self.api.member(of, remote.as_str()).await? else {
            return Ok(false);
        };
        super::connector::check_same(remote.as_str(), &member.user_id)?;
        Ok(member.delete_at == 0 && (!is_admin(target.kind) || member.scheme_admin))
    }

    pub(super) async fn read_members(
        &self,
        target: &Target,
        page: u32,
    ) -> Result<Part<RemoteId>, AppError> {
        let Some(of) = of(target) else {
            return Ok(Part {
                items: Vec::new(),
                last: true,
            });
        };
        let members = match self.api.members(of, page).await {
            Err(error) if is_gone(&error) => return Err(AppError::Gone),
            other => other?,
        };
        let last = members.len() < PAGE;
        let there = |member: &Membership| {
            member.delete_at == 0 && (!is_admin(target.kind) || member.scheme_admin)
        };
        let there = members.into_iter().filter(there);
        let items = there.map(|member| remote_id(member.user_id));
        Ok(Part {
            items: items.collect::<Result<_, _>>()?,
            last,
        })
    }

    pub(super) async fn grant_membership(
        &self,
        remote: &RemoteId,
        target: &Target,
    ) -> Result<(), AppError> {
        let id = remote.as_str();
        let Some(of) = of(target) else {
            return self.add_role(remote, &target.id).await;
        };
        if is_admin(target.kind) {
            // 200 also for who was removed from the team: then nothing would have been granted.
            let member = self.api.member(of, id).await?;
            let Some(member) = member.filter(|member| member.delete_at == 0) else {
                return Err(AppError::Refused(
                    "who is no member can't be made an administrator".into(),
                ));
            };
            if member.scheme_admin {
                return Ok(());
            }
            return Ok(self.api.set_admin(of, id, true).await?);
        }
        match of {
            Of::Team(team) => {
                let member = self.api.add_member(team, id).await?;
                super::connector::check_same(id, &member.user_id)
            }
            Of::Channel(channel) => {
                let member = self.api.add_to_channel(channel, id).await?;
                super::connector::check_same(id, &member.user_id)
            }
        }
    }

    pub(super) async fn withdraw_membership(
        &self,
        remote: &RemoteId,
        target: &Target,
    ) -> Result<(), AppError> {
        let id = remote.as_str();
        let Some(of) = of(target) else {
            return self.remove_role(remote, &target.id).await;
        };
        let member = match self.api.member(of, id).await {
            // The team or channel is gone, and so are its members.
            Err(error) if is_gone(&error) => return Ok(()),
            other => other?,
        };
        let Some(member) = member.filter(|member| member.delete_at == 0) else {
            return Ok(());
        };
        let done = if is_admin(target.kind) {
            if !member.scheme_admin {
                return Ok(());
            }
            self.api.set_admin(of, id, false).await
        } else {
            self.api.remove_member(of, id).await
        };
        match done {
            Err(error) if error.is_missing() || is_no_member(&error) => Ok(()),
            other => Ok(other?),
        }
    }

    async fn add_role(&self, remote: &RemoteId, role: &str) -> Result<(), AppError> {
        let user = self.known(remote).await?;
        if let Some(special) = foreign(&user) {
            return Err(AppError::NotOurs(special.why().into()));
        }
        if user.has_role(role) {
            return Ok(());
        }
        let roles = format!("{} {role}", user.roles.trim());
        Ok(self.api.set_roles(&user.id, &roles).await?)
    }

    async fn remove_role(&self, remote: &RemoteId, role: &str) -> Result<(), AppError> {
        let user = self.known(remote).await?;
        if let Some(special) = foreign(&user) {
            return Err(AppError::NotOurs(special.why().into()));
        }
        if !user.has_role(role) {
            return Ok(());
        }
        let left: Vec<&str> = user
            .roles
            .split_whitespace()
            .filter(|have| *have != role)
            .collect();
        Ok(self.api.set_roles(&user.id, &left.join(" ")).await?)
    }
}

/// Roles beyond everybody's.
pub(super) fn roles_beyond(user: &User) -> Vec<String> {
    user.roles
        .split_whitespace()
        .filter(|role| *role != USER)
        .map(str::to_owned)
        .collect()
}

fn of(target: &Target) -> Option<Of<'_>> {
    match target.kind {
        MembershipKind::Team | MembershipKind::TeamAdmin => Some(Of::Team(&target.id)),
        MembershipKind::Channel | MembershipKind::ChannelAdmin => Some(Of::Channel(&target.id)),
        MembershipKind::SystemRole => None,
    }
}

const fn is_admin(kind: MembershipKind) -> bool {
    matches!(
        kind,
        MembershipKind::TeamAdmin | MembershipKind::ChannelAdmin
    )
}

fn is_gone(error: &ApiError) -> bool {
    matches!(
        error.id(),
        "app.team.get.find.app_error" | "app.channel.get.existing.app_error"
    )
}

/// Who never was in a team can't be removed from it (recordings 30).
fn is_no_member(error: &ApiError) -> bool {
    error.id() == "api.team.remove_user_from_team.missing.app_error"
}
