//! Messages (recordings 06 and 15).

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{new_id, now_ms};
use super::state::Post;

/// Posts kept over all channels; the oldest go first.
const KEPT: usize = 5_000;

impl StandIn {
    /// Writes a message and tells every socket of the channel's members.
    pub(super) fn write_post(
        &self,
        user: &str,
        channel: &str,
        message: &str,
        files: Vec<String>,
        pending: &str,
    ) -> Post {
        let now = now_ms();
        let mut state = self.state();
        let bot = state.user(user).is_some_and(|user| user.is_bot);
        if let Some(author) = state.user_mut(user) {
            author.active_at = now;
        }
        let mut post = Post {
            id: new_id(),
            create_at: now,
            update_at: now,
            edit_at: 0,
            delete_at: 0,
            is_pinned: false,
            user_id: user.to_owned(),
            channel_id: channel.to_owned(),
            root_id: String::new(),
            original_id: String::new(),
            message: message.to_owned(),
            kind: String::new(),
            props: Map::new(),
            hashtags: String::new(),
            file_ids: Vec::new(),
            pending_post_id: pending.to_owned(),
            remote_id: String::new(),
            reply_count: 0,
            last_reply_at: 0,
            participants: None,
            metadata: Map::new(),
        };
        if bot {
            post.props.insert("from_bot".into(), json!("true"));
        }
        let mut infos = Vec::new();
        for id in files {
            if let Some((info, _)) = state
                .files
                .get_mut(&id)
                .filter(|(info, _)| info.user_id == user)
            {
                info.post_id.clone_from(&post.id);
                infos.push(json!(info));
                post.file_ids.push(id);
            }
        }
        if !infos.is_empty() {
            post.metadata.insert("files".into(), json!(infos));
        }
        let excess = (state.posts.len() + 1).saturating_sub(KEPT);
        state.posts.drain(..excess);
        state.posts.push(post.clone());
        let sender = state
            .user(user)
            .map(|user| user.username.clone())
            .unwrap_or_default();
        let mut data = json!({
            "post": serde_json::to_string(&post).unwrap_or_default(),
            "sender_name": format!("@{sender}"), "set_online": true,
        });
        if let Some(channel) = state.channels.iter_mut().find(|known| known.id == channel) {
            channel.last_post_at = now;
            channel.last_root_post_at = now;
            channel.total_msg_count += 1;
            channel.total_msg_count_root += 1;
            data["channel_display_name"] = json!(channel.display_name);
            data["channel_name"] = json!(channel.name);
            data["channel_type"] = json!(channel.kind);
            data["team_id"] = json!(channel.team_id);
        }
        let members = state
            .channel_members
            .iter()
            .filter(|member| member.channel_id == channel);
        let members: Vec<String> = members.map(|member| member.user_id.clone()).collect();
        drop(state);
        self.publish_to_channel("posted", &data, channel, &members);
        post
    }
}

/// `POST /posts`: the other call that extends a session.
pub(super) async fn create(mut call: Call) -> Answer {
    let body = call.json().await?;
    if !body.is_object() {
        return Err(Refusal::body_param("post"));
    }
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let session = call.caller()?.clone();
    let channel = text("channel_id");
    {
        let state = call.app.state();
        let inside = state.in_channel(&channel, &session.user_id);
        if state.channel(&channel).is_none() || (!inside && !call.is_admin()) {
            return Err(Refusal::permissions());
        }
    }
    let message = text("message");
    if message.chars().count() > 16_383 {
        let message = "Post Message property is longer than the maximum permitted length.";
        return Err(Refusal::new(
            400,
            "model.post.is_valid.message_length.app_error",
            message,
        ));
    }
    let files = body
        .get("file_ids")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let files = files
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let post = call.app.write_post(
        &session.user_id,
        &channel,
        &message,
        files,
        &text("pending_post_id"),
    );
    let reply = Reply::json(201, &post);
    let extended = call.app.extend(&session);
    Ok(if extended {
        reply.with_cookies(&call.session_cookies(&session))
    } else {
        reply
    })
}

/// `POST /posts/ephemeral`: for administrators, and kept nowhere.
pub(super) async fn ephemeral(call: Call) -> Answer {
    call.admin_only()?;
    Ok(Reply::json(201, &json!({})))
}

/// `GET /channels/{id}/posts` and `GET /users/{id}/channels/{id}/posts/unread`.
pub(super) async fn of_channel(call: Call) -> Answer {
    let at = if call.segment(0) == "users" { 3 } else { 1 };
    let channel = call.id(at, "channel_id")?;
    let number = |name: &str| call.param(name).and_then(|text| text.parse::<i64>().ok());
    let most = usize::try_from(number("per_page").unwrap_or(60))
        .unwrap_or(60)
        .clamp(1, 200);
    let since = number("since").unwrap_or(0);
    let state = call.app.state();
    let inside = state.in_channel(&channel, &call.caller()?.user_id);
    if state.channel(&channel).is_none() || (!inside && !call.is_admin()) {
        return Err(Refusal::permissions());
    }
    let wanted = |post: &&Post| post.channel_id == channel && post.create_at > since;
    let shown: Vec<&Post> = state.posts.iter().rev().filter(wanted).take(most).collect();
    let order: Vec<&str> = shown.iter().map(|post| post.id.as_str()).collect();
    let posts: Map<String, Value> = shown
        .iter()
        .map(|post| (post.id.clone(), json!(post)))
        .collect();
    Ok(Reply::json(
        200,
        &json!({"order": order, "posts": posts, "next_post_id": "", "prev_post_id": "", "has_next": false, "first_inaccessible_post_time": 0}),
    ))
}
