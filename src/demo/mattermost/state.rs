//! What the server remembers. Plain data; rules live with the resource they belong to.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::call::has_role;
use super::ids::now_ms;

/// An account.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
    pub(super) username: String,
    /// PHC text; empty means that no password works.
    pub(super) password: String,
    pub(super) auth_service: String,
    pub(super) auth_data: Option<String>,
    pub(super) email: String,
    pub(super) email_verified: bool,
    pub(super) nickname: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) position: String,
    pub(super) roles: String,
    pub(super) notify_props: Value,
    pub(super) props: Map<String, Value>,
    pub(super) last_password_update: i64,
    pub(super) last_picture_update: i64,
    pub(super) failed_attempts: u32,
    pub(super) locale: String,
    pub(super) timezone: Value,
    pub(super) mfa_active: bool,
    pub(super) is_bot: bool,
    pub(super) remote_id: Option<String>,
    pub(super) image: Option<Bytes>,
    /// When they last had a socket or wrote something; 0: never. A login alone is none (recorded).
    pub(super) active_at: i64,
    /// Failed attempts over the account's life; the counter above is reset.
    pub(super) failed_ever: u64,
}

impl User {
    pub(super) fn is_admin(&self) -> bool {
        has_role(&self.roles, "system_admin")
    }

    pub(super) fn is_active(&self) -> bool {
        self.delete_at == 0
    }

    /// A person of this server, whom the user limit counts.
    pub(super) fn is_person(&self) -> bool {
        !self.is_bot && self.remote_id.as_deref().unwrap_or_default().is_empty()
    }
}

/// A row of the session table. `team_members` and `local` are filled in when listed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) create_at: i64,
    /// 0 means never.
    pub(super) expires_at: i64,
    pub(super) last_activity_at: i64,
    pub(super) user_id: String,
    pub(super) device_id: String,
    pub(super) roles: String,
    pub(super) is_oauth: bool,
    pub(super) expired_notify: bool,
    pub(super) props: BTreeMap<String, String>,
}

impl Session {
    /// The CSRF value; empty for sessions of access tokens.
    pub(super) fn csrf(&self) -> &str {
        self.props.get("csrf").map_or("", String::as_str)
    }

    pub(super) fn is_live(&self) -> bool {
        self.expires_at == 0 || self.expires_at > now_ms()
    }

    pub(super) fn is_access_token(&self) -> bool {
        self.props
            .get("type")
            .is_some_and(|kind| kind == "UserAccessToken")
    }
}

/// A personal access token, or a bot's.
#[derive(Clone, Debug, Serialize)]
pub(super) struct AccessToken {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) user_id: String,
    pub(super) description: String,
    pub(super) is_active: bool,
}

/// What a bot has besides its account.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bot {
    pub(super) user_id: String,
    pub(super) username: String,
    pub(super) display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    pub(super) owner_id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
}

/// A team, in the form of the API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
    pub(super) display_name: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) email: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) company_name: String,
    pub(super) allowed_domains: String,
    pub(super) invite_id: String,
    pub(super) allow_open_invite: bool,
    pub(super) scheme_id: Option<String>,
    pub(super) group_constrained: Option<bool>,
    pub(super) policy_id: Option<String>,
    pub(super) cloud_limits_archived: bool,
}

/// A membership of a team; removed ones stay with `delete_at` set.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TeamMember {
    pub(super) team_id: String,
    pub(super) user_id: String,
    pub(super) roles: String,
    pub(super) delete_at: i64,
    pub(super) scheme_guest: bool,
    pub(super) scheme_user: bool,
    pub(super) scheme_admin: bool,
    pub(super) explicit_roles: String,
}

/// A channel, in the form of the API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
    pub(super) team_id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) display_name: String,
    pub(super) name: String,
    pub(super) header: String,
    pub(super) purpose: String,
    pub(super) last_post_at: i64,
    pub(super) total_msg_count: i64,
    pub(super) extra_update_at: i64,
    pub(super) creator_id: String,
    pub(super) scheme_id: Option<String>,
    pub(super) props: Option<Value>,
    pub(super) group_constrained: Option<bool>,
    pub(super) shared: Option<bool>,
    pub(super) total_msg_count_root: i64,
    pub(super) policy_id: Option<String>,
    pub(super) last_root_post_at: i64,
    pub(super) banner_info: Option<Value>,
    pub(super) policy_enforced: bool,
    pub(super) default_category_name: String,
}

/// Who is in a channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelMember {
    pub(super) channel_id: String,
    pub(super) user_id: String,
    pub(super) scheme_admin: bool,
    pub(super) last_viewed_at: i64,
}

/// A message, in the form of the API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) edit_at: i64,
    pub(super) delete_at: i64,
    pub(super) is_pinned: bool,
    pub(super) user_id: String,
    pub(super) channel_id: String,
    pub(super) root_id: String,
    pub(super) original_id: String,
    pub(super) message: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) props: Map<String, Value>,
    pub(super) hashtags: String,
    pub(super) file_ids: Vec<String>,
    pub(super) pending_post_id: String,
    pub(super) remote_id: String,
    pub(super) reply_count: i64,
    pub(super) last_reply_at: i64,
    pub(super) participants: Option<Value>,
    pub(super) metadata: Map<String, Value>,
}

/// What is known of an uploaded file.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FileInfo {
    pub(super) id: String,
    pub(super) user_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) post_id: String,
    pub(super) channel_id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
    pub(super) name: String,
    pub(super) extension: String,
    pub(super) size: usize,
    pub(super) mime_type: String,
    pub(super) mini_preview: Option<String>,
    pub(super) remote_id: String,
    pub(super) archived: bool,
}

/// An incoming webhook, in the form of the API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Hook {
    pub(super) id: String,
    pub(super) create_at: i64,
    pub(super) update_at: i64,
    pub(super) delete_at: i64,
    pub(super) user_id: String,
    pub(super) channel_id: String,
    pub(super) team_id: String,
    pub(super) display_name: String,
    pub(super) description: String,
    pub(super) username: String,
    pub(super) icon_url: String,
    pub(super) channel_locked: bool,
}

/// Everything.
#[derive(Default)]
pub(super) struct State {
    pub(super) users: Vec<User>,
    /// By token.
    pub(super) sessions: HashMap<String, Session>,
    pub(super) access_tokens: Vec<AccessToken>,
    pub(super) bots: Vec<Bot>,
    pub(super) teams: Vec<Team>,
    pub(super) team_members: Vec<TeamMember>,
    pub(super) channels: Vec<Channel>,
    pub(super) channel_members: Vec<ChannelMember>,
    pub(super) posts: Vec<Post>,
    pub(super) files: HashMap<String, (FileInfo, Bytes)>,
    pub(super) hooks: Vec<Hook>,
    /// Every token ever given out, so that tests can look for them where they must not be.
    pub(super) issued: Vec<String>,
    pub(super) logins: u64,
    pub(super) created: u64,
}

impl State {
    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(super) fn user_mut(&mut self, id: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.id == id)
    }

    pub(super) fn team(&self, id: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }

    pub(super) fn channel(&self, id: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == id)
    }

    pub(super) fn team_member(&self, team: &str, user: &str) -> Option<&TeamMember> {
        self.team_members
            .iter()
            .find(|member| member.team_id == team && member.user_id == user)
    }

    /// Whether the user is in the team now.
    pub(super) fn in_team(&self, team: &str, user: &str) -> bool {
        self.team_member(team, user)
            .is_some_and(|member| member.delete_at == 0)
    }

    pub(super) fn in_channel(&self, channel: &str, user: &str) -> bool {
        self.channel_members
            .iter()
            .any(|member| member.channel_id == channel && member.user_id == user)
    }

    /// Active people, the number the limit is about.
    pub(super) fn active_people(&self) -> usize {
        self.users
            .iter()
            .filter(|user| user.is_active() && user.is_person())
            .count()
    }

    /// Ends all sessions of a user; says which tokens died.
    pub(super) fn end_sessions(&mut self, user_id: &str) {
        self.sessions
            .retain(|_, session| session.user_id != user_id);
    }
}
