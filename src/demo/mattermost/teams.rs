//! Teams and their members (recording 13).

use serde_json::{Value, json};
use std::collections::HashSet;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{is_id, new_id, now_ms};
use super::state::{ChannelMember, Team, TeamMember};

/// A team's name must not begin with any of these.
const RESERVED: &[&str] = &[
    "admin",
    "api",
    "channel",
    "claim",
    "error",
    "files",
    "help",
    "landing",
    "login",
    "mfa",
    "oauth",
    "plug",
    "plugins",
    "post",
    "signup",
    "boards",
    "playbooks",
];

fn no_team() -> Refusal {
    Refusal::new(
        404,
        "app.team.get.find.app_error",
        "Unable to find the existing team.",
    )
}

impl StandIn {
    /// Makes a team with its two channels; the creator is its administrator.
    pub(super) fn new_team(
        &self,
        name: &str,
        display_name: &str,
        kind: &str,
        creator: &str,
    ) -> Team {
        let now = now_ms();
        let email = {
            let state = self.state();
            state
                .user(creator)
                .map(|user| user.email.clone())
                .unwrap_or_default()
        };
        let team = Team {
            id: new_id(),
            create_at: now,
            update_at: now,
            delete_at: 0,
            display_name: display_name.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            email,
            kind: kind.to_owned(),
            company_name: String::new(),
            allowed_domains: String::new(),
            invite_id: new_id(),
            allow_open_invite: false,
            scheme_id: None,
            group_constrained: None,
            policy_id: None,
            cloud_limits_archived: false,
        };
        self.state().teams.push(team.clone());
        for (name, display) in [("town-square", "Town Square"), ("off-topic", "Off-Topic")] {
            self.new_channel(&team.id, name, display, "O", "");
        }
        if !creator.is_empty() {
            // The creator may not be refused; a full team cannot be new.
            let _ = self.join_team(&team.id, creator, true);
        }
        team
    }

    /// Adds to a team and to its two channels. Idempotent; coming back resets the roles.
    pub(super) fn join_team(
        &self,
        team: &str,
        user: &str,
        admin: bool,
    ) -> Result<TeamMember, Refusal> {
        let most = self.number("TeamSettings", "MaxUsersPerTeam");
        let mut state = self.state();
        state.user(user).ok_or_else(Refusal::missing_user)?;
        state.team(team).ok_or_else(no_team)?;
        if let Some(member) = state
            .team_member(team, user)
            .filter(|member| member.delete_at == 0)
        {
            return Ok(member.clone());
        }
        let active = state.users.iter().filter(|user| user.is_active());
        let active: HashSet<&str> = active.map(|user| user.id.as_str()).collect();
        let counts = |member: &&TeamMember| {
            member.team_id == team
                && member.delete_at == 0
                && active.contains(member.user_id.as_str())
        };
        let count = state.team_members.iter().filter(counts).count();
        if count as i64 >= most {
            return Err(Refusal::new(
                400,
                "app.team.join_user_to_team.save_member.max_accounts.app_error",
                "Unable to create the new team membership because the team has reached the limit of members",
            ));
        }
        state
            .team_members
            .retain(|member| member.team_id != team || member.user_id != user);
        let member = TeamMember {
            team_id: team.to_owned(),
            user_id: user.to_owned(),
            roles: member_roles(admin),
            delete_at: 0,
            scheme_guest: false,
            scheme_user: true,
            scheme_admin: admin,
            explicit_roles: String::new(),
        };
        state.team_members.push(member.clone());
        let open: Vec<String> = state
            .channels
            .iter()
            .filter(|channel| {
                channel.team_id == team
                    && ["town-square", "off-topic"].contains(&channel.name.as_str())
            })
            .map(|channel| channel.id.clone())
            .collect();
        for channel in open {
            if !state.in_channel(&channel, user) {
                state.channel_members.push(ChannelMember {
                    channel_id: channel,
                    user_id: user.to_owned(),
                    scheme_admin: admin,
                    last_viewed_at: now_ms(),
                });
            }
        }
        Ok(member)
    }
}

fn member_roles(admin: bool) -> String {
    if admin {
        "team_user team_admin".into()
    } else {
        "team_user".into()
    }
}

/// `POST /teams`: anyone may.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, display, kind) = (text("name"), text("display_name"), text("type"));
    let bad = |id: &'static str, message: &str| Err(Refusal::new(400, id, message));
    if RESERVED.iter().any(|word| name.starts_with(word)) {
        let message = "This URL is unavailable. Please try another.";
        return bad("model.team.is_valid.reserved.app_error", message);
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
    if name.len() < 2 || name.len() > 64 || !ends || !name.bytes().all(|b| inner(b) || b == b'-') {
        let message = "Name must be 2 or more lowercase alphanumeric characters.";
        return bad("model.team.is_valid.characters.app_error", message);
    }
    if display.is_empty() || display.chars().count() > 64 {
        return bad("model.team.is_valid.name.app_error", "Invalid name.");
    }
    if !["O", "I"].contains(&kind) {
        return bad("model.team.is_valid.type.app_error", "Invalid type.");
    }
    if call.app.state().teams.iter().any(|team| team.name == name) {
        let message = "A team with this URL already exists.";
        return bad("store.sql_team.save_team.existing.app_error", message);
    }
    let creator = call.caller()?.user_id.clone();
    Ok(Reply::json(
        201,
        &call.app.new_team(name, display, kind, &creator),
    ))
}

/// `GET /teams/name/{name}`.
pub(super) async fn by_name(call: Call) -> Answer {
    let state = call.app.state();
    let found = state.teams.iter().find(|team| team.name == call.segment(2));
    let team = found.ok_or_else(|| {
        let message = "Unable to find the existing team.";
        Refusal::new(404, "app.team.get_by_name.missing.app_error", message)
    })?;
    Ok(Reply::json(200, team))
}

/// `GET /teams/{id}`.
pub(super) async fn get(call: Call) -> Answer {
    let id = call.id(1, "team_id")?;
    let state = call.app.state();
    Ok(Reply::json(200, state.team(&id).ok_or_else(no_team)?))
}

/// `GET /teams`: for an administrator all of them, else the open ones and one's own.
pub(super) async fn list(call: Call) -> Answer {
    let me = call.caller()?.user_id.clone();
    let admin = call.is_admin();
    let state = call.app.state();
    let seen = |team: &&Team| admin || team.allow_open_invite || state.in_team(&team.id, &me);
    let shown: Vec<_> = state.teams.iter().filter(seen).collect();
    Ok(Reply::json(200, &shown))
}

/// `GET /users/{id}/teams`.
pub(super) async fn of_user(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let state = call.app.state();
    let shown: Vec<_> = state
        .teams
        .iter()
        .filter(|team| state.in_team(&team.id, &id))
        .collect();
    Ok(Reply::json(200, &shown))
}

/// `GET /users/{id}/teams/members`.
pub(super) async fn memberships_of_user(call: Call) -> Answer {
    let id = call.user_id(1)?;
    call.self_or_admin(&id)?;
    let state = call.app.state();
    let own = |member: &&TeamMember| member.user_id == id && member.delete_at == 0;
    let shown: Vec<_> = state.team_members.iter().filter(own).collect();
    Ok(Reply::json(200, &shown))
}

/// `GET /users/{id}/teams/unread`.
pub(super) async fn unread(call: Call) -> Answer {
    let id = call.user_id(1)?;
    let state = call.app.state();
    let own = state
        .teams
        .iter()
        .filter(|team| state.in_team(&team.id, &id));
    let shown: Vec<Value> = own
        .map(|team| json!({"team_id": team.id, "msg_count": 0, "mention_count": 0}))
        .collect();
    Ok(Reply::json(200, &shown))
}

/// Whether the caller may add to this team: its members may, by default.
fn may_add(call: &Call, team: &str) -> Result<(), Refusal> {
    call.app.state().team(team).ok_or_else(no_team)?;
    let inside = call.app.state().in_team(team, &call.caller()?.user_id);
    if inside || call.is_admin() {
        Ok(())
    } else {
        Err(Refusal::permissions())
    }
}

/// `POST /teams/{id}/members`.
pub(super) async fn add(mut call: Call) -> Answer {
    let team = call.id(1, "team_id")?;
    let fields = call.strings().await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if field("team_id") != team {
        return Err(Refusal::body_param("team_id"));
    }
    if !is_id(field("user_id")) {
        return Err(Refusal::body_param("user_id"));
    }
    may_add(&call, &team)?;
    Ok(Reply::json(
        201,
        &call.app.join_team(&team, field("user_id"), false)?,
    ))
}

/// `POST /teams/{id}/members/batch`: with `graceful` each has its own error, else one fails all.
pub(super) async fn add_batch(mut call: Call) -> Answer {
    let team = call.id(1, "team_id")?;
    let body = call.json().await?;
    let wanted: Vec<String> = body
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            entry
                .get("user_id")
                .and_then(Value::as_str)
                .map(str::to_owned)
        })
        .collect();
    if wanted.is_empty() || wanted.len() > 256 {
        return Err(Refusal::body_param("members"));
    }
    may_add(&call, &team)?;
    if call.param("graceful") != Some("true") {
        let added: Result<Vec<_>, _> = wanted
            .iter()
            .map(|user| call.app.join_team(&team, user, false))
            .collect();
        return Ok(Reply::json(201, &added?));
    }
    let shown: Vec<Value> = wanted
        .iter()
        .map(|user| match call.app.join_team(&team, user, false) {
            Ok(member) => json!({"user_id": user, "member": member, "error": null}),
            Err(error) => json!({"user_id": user, "member": null, "error": error}),
        })
        .collect();
    Ok(Reply::json(201, &shown))
}

/// `GET /teams/{id}/members`.
pub(super) async fn members(call: Call) -> Answer {
    let team = call.id(1, "team_id")?;
    may_add(&call, &team)?;
    let state = call.app.state();
    let live = |member: &&TeamMember| member.team_id == team && member.delete_at == 0;
    let (skip, take) = call.page();
    let members = state.team_members.iter().filter(live);
    let shown: Vec<_> = members.skip(skip).take(take).collect();
    Ok(Reply::json(200, &shown))
}

fn no_member() -> Refusal {
    let message = "No team member found for that user ID and team ID.";
    Refusal::new(404, "app.team.get_member.missing.app_error", message)
}

/// `GET /teams/{id}/members/{user}`: removed ones too.
pub(super) async fn member(call: Call) -> Answer {
    let (team, user) = (call.id(1, "team_id")?, call.user_id(3)?);
    may_add(&call, &team)?;
    let state = call.app.state();
    Ok(Reply::json(
        200,
        state.team_member(&team, &user).ok_or_else(no_member)?,
    ))
}

/// `DELETE /teams/{id}/members/{user}`: twice is fine.
pub(super) async fn remove(call: Call) -> Answer {
    let (team, user) = (call.id(1, "team_id")?, call.user_id(3)?);
    call.self_or_admin(&user)?;
    let mut state = call.app.state();
    let now = now_ms();
    let found = state
        .team_members
        .iter_mut()
        .find(|m| m.team_id == team && m.user_id == user);
    let member = found.ok_or_else(|| {
        Refusal::new(
            400,
            "api.team.remove_user_from_team.missing.app_error",
            "The user does not appear to be part of this team.",
        )
    })?;
    if member.delete_at == 0 {
        member.delete_at = now;
    }
    let channels: Vec<String> = state
        .channels
        .iter()
        .filter(|channel| channel.team_id == team)
        .map(|channel| channel.id.clone())
        .collect();
    state
        .channel_members
        .retain(|m| m.user_id != user || !channels.contains(&m.channel_id));
    Ok(Reply::ok())
}

/// `PUT /teams/{id}/members/{user}/schemeRoles`.
pub(super) async fn scheme_roles(mut call: Call) -> Answer {
    let (team, user) = (call.id(1, "team_id")?, call.user_id(3)?);
    let body = call.json().await?;
    call.admin_only()?;
    if body.get("scheme_user") != Some(&Value::Bool(true)) {
        return Err(Refusal::new(
            400,
            "api.team.update_team_member_roles.unset_user_scheme.app_error",
            "Invalid team member update: A team member always has a user scheme.",
        ));
    }
    let admin = body.get("scheme_admin") == Some(&Value::Bool(true));
    let mut state = call.app.state();
    let found = state
        .team_members
        .iter_mut()
        .find(|m| m.team_id == team && m.user_id == user);
    let member = found.ok_or_else(no_member)?;
    member.scheme_admin = admin;
    member.roles = member_roles(admin);
    Ok(Reply::ok())
}

/// `GET /teams/invite/{id}`.
pub(super) async fn by_invite(call: Call) -> Answer {
    let state = call.app.state();
    let found = state
        .teams
        .iter()
        .find(|team| team.invite_id == call.segment(2));
    let team = found.ok_or_else(|| {
        let message = "Unable to find the existing team.";
        Refusal::new(404, "app.team.get_by_invite_id.finding.app_error", message)
    })?;
    let shown = json!({"display_name": team.display_name, "description": team.description, "name": team.name, "id": team.id});
    Ok(Reply::json(200, &shown))
}
