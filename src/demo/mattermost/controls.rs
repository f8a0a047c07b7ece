//! The handle, and what tests and the demo may do behind the API's back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::Notify;

use super::faults::{Fault, Faults};
use super::ids::now_ms;
use super::journal::{Done, Journal, Seen};
use super::options::Options;
use super::passwords::{self, Verdict};
use super::snapshots::{NewUser, SessionSnapshot, UserSnapshot, session_snapshot, snapshot};
use super::state::{Session, State, User};
use super::user_changes;
use super::users;
use super::websocket::Hub;

/// A stand-in for a Mattermost server. Clones are handles of the same server.
#[derive(Clone)]
pub struct StandIn {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    state: Mutex<State>,
    config: Mutex<Value>,
    faults: Faults,
    journal: Journal<Seen>,
    done: Journal<Done>,
    login_gate: tokio::sync::Mutex<()>,
    hub: Hub,
    socket_change: Notify,
    connections: Arc<AtomicUsize>,
    always_extend: AtomicBool,
    bot_token: String,
    admin_id: String,
}

/// The password of the first account, `admin`.
const ADMIN_PASSWORD: &str = "Admin-pass-1";

impl StandIn {
    /// A server with a person `admin` (system administrator), a bot `pomerium-bridge` (system
    /// administrator with a token) and a team `demo`; nothing of that when `options.empty`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let bare = Self::bare(options, String::new(), String::new());
        if bare.inner.options.empty {
            return bare;
        }
        let mut admin = users::blank();
        admin.username = "admin".into();
        admin.email = "admin@example.test".into();
        admin.roles = "system_admin system_user".into();
        admin.password = passwords::hash(ADMIN_PASSWORD, bare.inner.options.pbkdf2_rounds);
        let admin_id = admin.id.clone();
        bare.state().users.push(admin);
        let owner = if bare.inner.options.bot_self_owned {
            ""
        } else {
            &admin_id
        };
        let mut token = String::new();
        if let Ok(bot) = bare.new_bot("pomerium-bridge", "Identity bridge", owner) {
            if let Some(user) = bare.state().user_mut(&bot.user_id) {
                user.roles = "system_user system_admin".into();
            }
            token = bare.new_access_token(&bot.user_id, "identity bridge").token;
        }
        bare.new_team("demo", "Demo", "O", &admin_id);
        bare.state().created = 0;
        // The two values are known only now; the half-made server is nobody else's yet.
        let Ok(inner) = Arc::try_unwrap(bare.inner) else {
            return Self::bare(Options::default(), String::new(), String::new());
        };
        Self {
            inner: Arc::new(Inner {
                bot_token: token,
                admin_id,
                ..inner
            }),
        }
    }

    fn bare(options: Options, bot_token: String, admin_id: String) -> Self {
        Self {
            inner: Arc::new(Inner {
                config: Mutex::new(super::config::initial(&options)),
                journal: Journal::new(options.journal_capacity),
                done: Journal::new(options.journal_capacity),
                options,
                state: Mutex::default(),
                faults: Faults::default(),
                login_gate: tokio::sync::Mutex::new(()),
                hub: Hub::default(),
                socket_change: Notify::new(),
                connections: Arc::default(),
                always_extend: AtomicBool::new(false),
                bot_token,
                admin_id,
            }),
        }
    }

    /// The token of the bot that is there from the start; empty on an empty server.
    pub fn bot_token(&self) -> String {
        self.inner.bot_token.clone()
    }

    /// The id of `admin`, whose password is `Admin-pass-1`; empty on an empty server.
    pub fn admin_id(&self) -> String {
        self.inner.admin_id.clone()
    }

    /// All accounts, oldest first.
    pub fn users(&self) -> Vec<UserSnapshot> {
        let state = self.state();
        state
            .users
            .iter()
            .map(|user| snapshot(&state, user))
            .collect()
    }

    /// One account, by id, username or e-mail address.
    pub fn user(&self, name: &str) -> Option<UserSnapshot> {
        let state = self.state();
        let found = state.users.iter().find(|user| is_named(user, name));
        found.map(|user| snapshot(&state, user))
    }

    /// Makes an account past every rule but uniqueness; its id.
    ///
    /// # Panics
    /// When the names are invalid or taken: a mistake in the test.
    pub fn create_user(&self, new: NewUser) -> String {
        let mut user = users::blank();
        user.username = new.username.to_lowercase();
        user.email = if new.email.is_empty() {
            format!("{}@example.test", user.username)
        } else {
            new.email.to_lowercase()
        };
        if !new.password.is_empty() {
            user.password = passwords::hash(&new.password, self.inner.options.pbkdf2_rounds);
        }
        user.first_name = new.first_name;
        user.last_name = new.last_name;
        user.auth_service = new.auth_service;
        if !new.roles.is_empty() {
            user.roles = new.roles;
        }
        if new.deactivated {
            user.delete_at = now_ms();
        }
        user.is_bot = new.bot;
        user.remote_id = if new.bot { None } else { Some(new.remote_id) };
        let id = user.id.clone();
        if !new.auth_data.is_empty() {
            user.password.clear();
            user.auth_data = Some(new.auth_data);
        }
        if let Err(refusal) = users::insert(self, user.clone()) {
            panic!("the stand-in refuses {}: {}", user.username, refusal.id);
        }
        if new.bot {
            let now = user.create_at;
            self.state().bots.push(super::state::Bot {
                user_id: id.clone(),
                username: user.username,
                display_name: String::new(),
                description: String::new(),
                owner_id: id.clone(),
                create_at: now,
                update_at: now,
                delete_at: user.delete_at,
            });
        }
        self.state().created -= 1;
        id
    }

    /// Changes an account in place, past every rule.
    pub fn set_auth_service(&self, user: &str, service: &str, data: &str) {
        self.with_user(user, |user| {
            user.auth_service = service.to_owned();
            user.auth_data = Some(data.to_owned());
            user.password.clear();
        });
    }

    /// Gives an account these roles; its sessions keep theirs, as after a change in the database.
    pub fn set_roles(&self, user: &str, roles: &str) {
        self.with_user(user, |user| user.roles = roles.to_owned());
    }

    /// Calls somebody otherwise, as an administrator's script in the database does: fields by their API
    /// names (names, e-mail, nickname, position, locale), past every rule.
    pub fn set_fields(&self, user: &str, fields: &[(&str, &str)]) {
        self.with_user(user, |user| {
            for (name, value) in fields {
                let field = match *name {
                    "username" => &mut user.username,
                    "email" => &mut user.email,
                    "first_name" => &mut user.first_name,
                    "last_name" => &mut user.last_name,
                    "nickname" => &mut user.nickname,
                    "position" => &mut user.position,
                    "locale" => &mut user.locale,
                    other => panic!("no field {other} is changed by hand"),
                };
                (*value).clone_into(field);
            }
        });
    }

    /// Gives an account a plain password, without ending sessions.
    pub fn set_password(&self, user: &str, password: &str) {
        let hash = passwords::hash(password, self.inner.options.pbkdf2_rounds);
        self.with_user(user, |user| user.password = hash);
    }

    /// Sets the counter that locks an account at `MaximumLoginAttempts`.
    pub fn set_failed_attempts(&self, user: &str, count: u32) {
        self.with_user(user, |user| user.failed_attempts = count);
    }

    /// Deactivates an account as an administrator does; false when there is none.
    pub fn deactivate(&self, user: &str) -> bool {
        self.id_of(user)
            .is_some_and(|id| user_changes::set_active(self, &id, false).is_ok())
    }

    /// Reactivates an account; false when there is none.
    pub fn reactivate(&self, user: &str) -> bool {
        self.id_of(user)
            .is_some_and(|id| user_changes::set_active(self, &id, true).is_ok())
    }

    /// Ends all sessions of a user; their sockets go mute.
    pub fn revoke_sessions(&self, user: &str) {
        if let Some(id) = self.id_of(user) {
            self.state().end_sessions(&id);
        }
    }

    /// Ends all sessions of everyone, as a restored database does.
    pub fn revoke_everything(&self) {
        self.state().sessions.clear();
    }

    /// Ends the session with this token; false when there is none.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.state().sessions.remove(token).is_some()
    }

    /// Lets a session expire: `ExpiresAt` moves into the past, and the row stays listed.
    pub fn expire_session(&self, token: &str) -> bool {
        self.with_session(token, |session| session.expires_at = now_ms() - 1_000)
    }

    /// Lets this much time have passed since the session was last extended, in milliseconds.
    pub fn age_session(&self, token: &str, ms: i64) -> bool {
        self.with_session(token, |session| session.expires_at -= ms)
    }

    /// Moves a session's birth into the past, in milliseconds.
    pub fn backdate_session(&self, token: &str, ms: i64) -> bool {
        self.with_session(token, |session| session.create_at -= ms)
    }

    /// Opens a session without a login.
    pub fn open_session(&self, user: &str) -> Option<SessionSnapshot> {
        let id = self.id_of(user)?;
        self.new_session(&id, "", "")
            .map(|session| session_snapshot(&session))
    }

    /// Gives a user an access token past every rule; its id and the token.
    pub fn issue_access_token(&self, user: &str) -> Option<(String, String)> {
        let id = self.id_of(user)?;
        let issued = self.new_access_token(&id, "test");
        Some((issued.id, issued.token))
    }

    /// The access tokens of a user, oldest first: description and token.
    pub fn access_tokens_of(&self, user: &str) -> Vec<(String, String)> {
        let Some(id) = self.id_of(user) else {
            return Vec::new();
        };
        let state = self.state();
        let own = state
            .access_tokens
            .iter()
            .filter(|token| token.user_id == id);
        own.map(|token| (token.description.clone(), token.token.clone()))
            .collect()
    }

    /// Takes back all access tokens of a user, and the sessions that came of them.
    pub fn revoke_access_tokens(&self, user: &str) {
        if let Some(id) = self.id_of(user) {
            let mut state = self.state();
            state.access_tokens.retain(|token| token.user_id != id);
            state.end_sessions(&id);
        }
    }

    /// The sessions of a user, expired ones included.
    pub fn sessions_of(&self, user: &str) -> Vec<SessionSnapshot> {
        let Some(id) = self.id_of(user) else {
            return Vec::new();
        };
        let state = self.state();
        let mut own: Vec<_> = state
            .sessions
            .values()
            .filter(|session| session.user_id == id)
            .collect();
        own.sort_by_key(|session| session.create_at);
        own.into_iter().map(session_snapshot).collect()
    }

    /// Successful logins so far.
    pub fn logins_performed(&self) -> u64 {
        self.state().logins
    }

    /// Accounts made through the API so far.
    pub fn users_created(&self) -> u64 {
        self.state().created
    }

    /// Wrong passwords given for a user so far, whatever the counter says.
    pub fn failed_logins(&self, user: &str) -> u64 {
        let state = self.state();
        state
            .users
            .iter()
            .find(|have| is_named(have, user))
            .map_or(0, |user| user.failed_ever)
    }

    /// Makes a team; its id.
    pub fn create_team(&self, name: &str) -> String {
        let admin = self.inner.admin_id.clone();
        self.new_team(name, name, "O", &admin).id
    }

    /// Adds a user to a team by their names; false when refused.
    pub fn add_to_team(&self, team: &str, user: &str) -> bool {
        let found = self
            .state()
            .teams
            .iter()
            .find(|have| have.name == team)
            .map(|team| team.id.clone());
        match (found, self.id_of(user)) {
            (Some(team), Some(user)) => self.join_team(&team, &user, false).is_ok(),
            _ => false,
        }
    }

    /// The id of a channel by team and channel name.
    pub fn channel_id(&self, team: &str, channel: &str) -> Option<String> {
        let state = self.state();
        let team = state.teams.iter().find(|have| have.name == team)?;
        let found = state
            .channels
            .iter()
            .find(|c| c.team_id == team.id && c.name == channel);
        found.map(|channel| channel.id.clone())
    }

    /// Writes a message as this user; its id.
    pub fn post_as(&self, user: &str, channel_id: &str, message: &str) -> Option<String> {
        let id = self.id_of(user)?;
        Some(self.write_post(&id, channel_id, message, Vec::new(), "").id)
    }

    /// Texts of a channel's messages, oldest first.
    pub fn messages(&self, channel_id: &str) -> Vec<String> {
        let state = self.state();
        let own = state
            .posts
            .iter()
            .filter(|post| post.channel_id == channel_id);
        own.map(|post| post.message.clone()).collect()
    }

    /// Makes an incoming webhook of `admin`; its id.
    pub fn create_hook(&self, channel_id: &str) -> Option<String> {
        let mut state = self.state();
        let channel = state.channel(channel_id)?.clone();
        let now = now_ms();
        let hook = super::state::Hook {
            id: super::ids::new_id(),
            create_at: now,
            update_at: now,
            delete_at: 0,
            user_id: self.inner.admin_id.clone(),
            channel_id: channel.id,
            team_id: channel.team_id,
            display_name: "test".into(),
            description: String::new(),
            username: String::new(),
            icon_url: String::new(),
            channel_locked: false,
        };
        let id = hook.id.clone();
        state.hooks.push(hook);
        Some(id)
    }

    /// Every request that arrived, oldest first, as far as the journal reaches.
    pub fn journal(&self) -> Vec<Seen> {
        self.inner.journal.entries()
    }

    /// Empties the journal.
    pub fn clear_journal(&self) {
        self.inner.journal.clear();
    }

    /// What became of every request that was more than a question, and of those that were turned away
    /// by their rate, in the order in which they were carried out.
    pub fn done(&self) -> Vec<Done> {
        self.inner.done.entries()
    }

    /// Every token ever given out: what must be found nowhere downstream.
    pub fn real_tokens(&self) -> Vec<String> {
        self.state().issued.clone()
    }

    /// From now on this happens to requests whose path begins so.
    pub fn set_fault(&self, fault: Fault, path_prefix: &str) {
        self.inner.faults.set(fault, path_prefix, None);
    }

    /// As [`StandIn::set_fault`], for this many requests.
    pub fn set_fault_times(&self, fault: Fault, path_prefix: &str, times: u32) {
        self.inner.faults.set(fault, path_prefix, Some(times));
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.inner.faults.clear();
    }

    /// Lays these settings over the configuration, as `PUT /config/patch` does.
    pub fn patch_config(&self, patch: &Value) {
        super::config::merge(&mut self.inner.config.lock(), patch);
    }

    /// The configuration as `GET /config` shows it.
    pub fn config(&self) -> Value {
        self.inner.config.lock().clone()
    }

    /// With true, every post and channel view sets the three cookies again, whatever the age.
    pub fn set_always_extend(&self, always: bool) {
        self.inner.always_extend.store(always, Ordering::Relaxed);
    }

    /// TCP connections open now, without those that became sockets.
    pub fn open_connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    // What the other files of this folder need of the handle.

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock()
    }

    pub(super) fn config_value(&self) -> MutexGuard<'_, Value> {
        self.inner.config.lock()
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    pub(super) fn journal_of_requests(&self) -> &Journal<Seen> {
        &self.inner.journal
    }

    pub(super) fn journal_of_done(&self) -> &Journal<Done> {
        &self.inner.done
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    pub(super) fn connection_count(&self) -> &Arc<AtomicUsize> {
        &self.inner.connections
    }

    /// Told when sockets are to look whether they are still wanted.
    pub(super) fn socket_change(&self) -> &Notify {
        &self.inner.socket_change
    }

    pub(super) fn wake_sockets(&self) {
        self.inner.socket_change.notify_waiters();
    }

    pub(super) fn always_extends(&self) -> bool {
        self.inner.always_extend.load(Ordering::Relaxed)
    }

    pub(super) async fn login_gate(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.login_gate.lock().await
    }

    /// Major, minor and patch of the version.
    pub(super) fn short_version(&self) -> String {
        self.inner
            .options
            .version
            .splitn(4, '.')
            .take(3)
            .collect::<Vec<_>>()
            .join(".")
    }

    pub(super) fn at_user_limit(&self) -> bool {
        self.state().active_people() >= self.inner.options.user_hard_limit as usize
    }

    /// Checks a password away from the runtime's own threads.
    pub(super) async fn verify(&self, stored: String, password: String) -> Verdict {
        let rounds = self.inner.options.pbkdf2_rounds;
        let check = move || passwords::verify(&stored, &password, rounds);
        tokio::task::spawn_blocking(check)
            .await
            .unwrap_or(Verdict::Unparsable)
    }

    /// Hashes a password away from the runtime's own threads.
    pub(super) async fn hash(&self, password: String) -> String {
        let rounds = self.inner.options.pbkdf2_rounds;
        let hash = move || passwords::hash(&password, rounds);
        tokio::task::spawn_blocking(hash).await.unwrap_or_default()
    }

    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let state = self.state();
        state
            .users
            .iter()
            .find(|user| is_named(user, name))
            .map(|user| user.id.clone())
    }

    pub(super) fn with_user(&self, name: &str, change: impl FnOnce(&mut User)) {
        if let Some(user) = self
            .state()
            .users
            .iter_mut()
            .find(|user| is_named(user, name))
        {
            change(user);
            user.update_at = now_ms();
        }
    }

    fn with_session(&self, token: &str, change: impl FnOnce(&mut Session)) -> bool {
        self.state().sessions.get_mut(token).map(change).is_some()
    }
}

fn is_named(user: &User, name: &str) -> bool {
    user.id == name || user.username == name || user.email == name
}
