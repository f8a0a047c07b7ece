//! Channels, their members, and having seen them (recordings 06 and 13).

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{is_id, new_id, now_ms};
use super::state::{Channel, ChannelMember};

impl StandIn {
    /// Makes a channel; its creator, when there is one, administers it.
    pub(super) fn new_channel(
        &self,
        team: &str,
        name: &str,
        display: &str,
        kind: &str,
        creator: &str,
    ) -> Channel {
        let now = now_ms();
        let channel = Channel {
            id: new_id(),
            create_at: now,
            update_at: now,
            delete_at: 0,
            team_id: team.to_owned(),
            kind: kind.to_owned(),
            display_name: display.to_owned(),
            name: name.to_owned(),
            header: String::new(),
            purpose: String::new(),
            last_post_at: 0,
            total_msg_count: 0,
            extra_update_at: 0,
            creator_id: creator.to_owned(),
            scheme_id: None,
            props: None,
            group_constrained: None,
            shared: None,
            total_msg_count_root: 0,
            policy_id: None,
            last_root_post_at: 0,
            banner_info: None,
            policy_enforced: false,
            default_category_name: String::new(),
        };
        let mut state = self.state();
        state.channels.push(channel.clone());
        if !creator.is_empty() {
            state.channel_members.push(ChannelMember {
                channel_id: channel.id.clone(),
                user_id: creator.to_owned(),
                scheme_admin: true,
                last_viewed_at: now,
            });
        }
        channel
    }
}

fn no_channel() -> Refusal {
    Refusal::new(
        404,
        "app.channel.get.existing.app_error",
        "Unable to find the existing channel.",
    )
}

/// The channel in segment 1, for those who may see it.
fn visible(call: &Call) -> Result<Channel, Refusal> {
    let id = call.id(1, "channel_id")?;
    let state = call.app.state();
    let channel = state.channel(&id).ok_or_else(no_channel)?;
    if state.in_channel(&id, &call.caller()?.user_id) || call.is_admin() {
        Ok(channel.clone())
    } else {
        Err(Refusal::permissions())
    }
}

/// `GET /channels/{id}`.
pub(super) async fn get(call: Call) -> Answer {
    Ok(Reply::json(200, &visible(&call)?))
}

/// `GET /channels/{id}/stats`.
pub(super) async fn stats(call: Call) -> Answer {
    let channel = visible(&call)?;
    let state = call.app.state();
    let count = state
        .channel_members
        .iter()
        .filter(|m| m.channel_id == channel.id)
        .count();
    let shown = json!({"channel_id": channel.id, "member_count": count, "guest_count": 0, "pinnedpost_count": 0, "files_count": 0});
    Ok(Reply::json(200, &shown))
}

/// `GET /teams/{id}/channels/name/{name}`.
pub(super) async fn by_name(call: Call) -> Answer {
    let team = call.id(1, "team_id")?;
    let state = call.app.state();
    let found = state
        .channels
        .iter()
        .find(|c| c.team_id == team && c.name == call.segment(4));
    let channel = found.ok_or_else(|| {
        let message = "Channel does not exist.";
        Refusal::new(404, "app.channel.get_by_name.missing.app_error", message)
    })?;
    let inside = state.in_channel(&channel.id, &call.caller()?.user_id);
    if !inside && !call.is_admin() {
        return Err(Refusal::permissions());
    }
    Ok(Reply::json(200, channel))
}

/// `GET /users/{id}/teams/{team}/channels`, `GET /users/{id}/channels` and
/// `GET /teams/{id}/channels`: those the user is in.
pub(super) async fn of_user(call: Call) -> Answer {
    let (user, team) = match call.segment(0) {
        "teams" => (call.caller()?.user_id.clone(), call.id(1, "team_id")?),
        _ if call.segment(2) == "channels" => (call.user_id(1)?, String::new()),
        _ => (call.user_id(1)?, call.id(3, "team_id")?),
    };
    call.self_or_admin(&user)?;
    let state = call.app.state();
    let own = |channel: &&Channel| {
        (team.is_empty() || channel.team_id == team) && state.in_channel(&channel.id, &user)
    };
    let shown: Vec<_> = state.channels.iter().filter(own).collect();
    Ok(Reply::json(200, &shown))
}

fn member_json(member: &ChannelMember) -> Value {
    json!({
        "channel_id": member.channel_id, "user_id": member.user_id,
        "roles": if member.scheme_admin { "channel_user channel_admin" } else { "channel_user" },
        "last_viewed_at": member.last_viewed_at, "msg_count": 0, "mention_count": 0,
        "mention_count_root": 0, "urgent_mention_count": 0, "msg_count_root": 0,
        "notify_props": {
            "channel_auto_follow_threads": "off", "desktop": "default", "email": "default",
            "ignore_channel_mentions": "default", "mark_unread": "all", "push": "default",
        },
        "last_update_at": member.last_viewed_at, "scheme_guest": false, "scheme_user": true,
        "scheme_admin": member.scheme_admin, "explicit_roles": "",
    })
}

/// `GET /users/{id}/teams/{team}/channels/members` and `GET /users/{id}/channel_members`.
pub(super) async fn memberships_of_user(call: Call) -> Answer {
    let user = call.user_id(1)?;
    call.self_or_admin(&user)?;
    let state = call.app.state();
    let own = state
        .channel_members
        .iter()
        .filter(|member| member.user_id == user);
    let shown: Vec<_> = own.map(member_json).collect();
    Ok(Reply::json(200, &shown))
}

/// `GET /channels/{id}/members`.
pub(super) async fn members(call: Call) -> Answer {
    let channel = visible(&call)?;
    let state = call.app.state();
    let inside = state
        .channel_members
        .iter()
        .filter(|member| member.channel_id == channel.id);
    let (skip, take) = call.page();
    let shown: Vec<_> = inside.skip(skip).take(take).map(member_json).collect();
    Ok(Reply::json(200, &shown))
}

fn no_member() -> Refusal {
    Refusal::new(
        404,
        "app.channel.get_member.missing.app_error",
        "No channel member found for that user ID and channel ID.",
    )
}

/// `GET /channels/{id}/members/{user}`.
pub(super) async fn member(call: Call) -> Answer {
    let channel = visible(&call)?;
    let user = call.user_id(3)?;
    let state = call.app.state();
    let same = |m: &&ChannelMember| m.channel_id == channel.id && m.user_id == user;
    let member = state.channel_members.iter().find(same);
    Ok(Reply::json(
        200,
        &member_json(member.ok_or_else(no_member)?),
    ))
}

/// `POST /channels`.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (team, name) = (text("team_id"), text("name"));
    let me = call.caller()?.user_id.clone();
    if !call.app.state().in_team(team, &me) && !call.is_admin() {
        return Err(Refusal::permissions());
    }
    if name.is_empty() || !["O", "P"].contains(&text("type")) {
        return Err(Refusal::body_param("channel"));
    }
    let taken = |channel: &Channel| channel.team_id == team && channel.name == name;
    if call.app.state().channels.iter().any(taken) {
        let message = "A channel with that name already exists on the same team.";
        return Err(Refusal::new(
            400,
            "store.sql_channel.save_channel.exists.app_error",
            message,
        ));
    }
    let channel = call
        .app
        .new_channel(team, name, text("display_name"), text("type"), &me);
    Ok(Reply::json(201, &channel))
}

/// `POST /channels/{id}/members`: one `user_id` or several `user_ids`.
pub(super) async fn add(mut call: Call) -> Answer {
    let channel = visible(&call)?;
    let body = call.json().await?;
    let one = body.get("user_id").and_then(Value::as_str);
    let several = body.get("user_ids").and_then(Value::as_array);
    let wanted: Vec<String> = match (one, several) {
        (Some(id), None) => vec![id.to_owned()],
        (_, Some(ids)) => ids
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => return Err(Refusal::body_param("user_id or user_ids")),
    };
    if wanted.is_empty() || wanted.len() > 1000 || !wanted.iter().all(|id| is_id(id)) {
        return Err(Refusal::body_param("user_id"));
    }
    let mut shown = Vec::new();
    let mut state = call.app.state();
    for user in &wanted {
        state.user(user).ok_or_else(Refusal::missing_user)?;
        if !state.in_team(&channel.team_id, user) {
            let message = "No team member found for that user ID and team ID.";
            return Err(Refusal::new(
                404,
                "app.team.get_member.missing.app_error",
                message,
            ));
        }
        let same = |m: &&ChannelMember| m.channel_id == channel.id && m.user_id == *user;
        if let Some(member) = state.channel_members.iter().find(same) {
            shown.push(member_json(member));
            continue;
        }
        let member = ChannelMember {
            channel_id: channel.id.clone(),
            user_id: user.clone(),
            scheme_admin: false,
            last_viewed_at: -1,
        };
        shown.push(member_json(&member));
        state.channel_members.push(member);
    }
    match (several, shown.pop()) {
        (None, Some(member)) => Ok(Reply::json(201, &member)),
        (_, last) => {
            shown.extend(last);
            Ok(Reply::json(201, &shown))
        }
    }
}

/// `DELETE /channels/{id}/members/{user}`.
pub(super) async fn remove(call: Call) -> Answer {
    let channel = visible(&call)?;
    let user = call.user_id(3)?;
    if channel.name == "town-square" {
        let message = "Unable to remove user from the default channel town-square.";
        return Err(Refusal::new(
            400,
            "api.channel.remove.default.app_error",
            message,
        ));
    }
    let mut state = call.app.state();
    if !state.in_channel(&channel.id, &user) {
        return Err(no_member());
    }
    state
        .channel_members
        .retain(|m| m.channel_id != channel.id || m.user_id != user);
    Ok(Reply::ok())
}

/// `PUT /channels/{id}/members/{user}/schemeRoles`.
pub(super) async fn scheme_roles(mut call: Call) -> Answer {
    let channel = visible(&call)?;
    let user = call.user_id(3)?;
    let body = call.json().await?;
    call.admin_only()?;
    let mut state = call.app.state();
    let same = |m: &&mut ChannelMember| m.channel_id == channel.id && m.user_id == user;
    let member = state.channel_members.iter_mut().find(same);
    member.ok_or_else(no_member)?.scheme_admin =
        body.get("scheme_admin") == Some(&Value::Bool(true));
    Ok(Reply::ok())
}

/// `POST /channels/members/{id}/view`: one of the two calls that extend a session.
pub(super) async fn view(mut call: Call) -> Answer {
    let user = call.user_id(2)?;
    let body = call.json().await?;
    call.self_or_admin(&user)?;
    let seen = body
        .get("channel_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut times = Map::new();
    {
        let mut state = call.app.state();
        let last = state.channel(&seen).map(|channel| channel.last_post_at);
        let same = |m: &&mut ChannelMember| m.channel_id == seen && m.user_id == user;
        if let (Some(last), Some(member)) = (last, state.channel_members.iter_mut().find(same)) {
            member.last_viewed_at = now_ms();
            times.insert(seen, json!(last));
        }
    }
    let session = call.caller()?.clone();
    let extended = call.app.extend(&session);
    let reply = Reply::json(200, &json!({"status": "OK", "last_viewed_at_times": times}));
    Ok(if extended {
        reply.with_cookies(&call.session_cookies(&session))
    } else {
        reply
    })
}
