//! What a stand-in is started with. Everything that a real server keeps in its configuration is
//! copied there and read from there afterwards, so that `PUT /config/patch` works.

use std::time::Duration;

/// How a [`StandIn`](super::StandIn) behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// `ServiceSettings.SiteURL`: the public address, which decides the Origin rule of sockets.
    pub site_url: String,
    /// `ServiceSettings.ExperimentalStrictCSRFEnforcement`: `X-Requested-With` is worth nothing.
    pub strict_csrf: bool,
    /// `ServiceSettings.SessionLengthWebInHours`.
    pub session_length_hours: u32,
    /// `ServiceSettings.ExtendSessionLengthWithActivity`.
    pub extend_session: bool,
    /// `TeamSettings.MaxUsersPerTeam`.
    pub max_users_per_team: u32,
    /// Active people an unlicensed server accepts (recording 14).
    pub user_hard_limit: u32,
    /// Time a login holds the one mutex of a node, on top of checking the hash.
    pub login_cost: Duration,
    /// PBKDF2 rounds of the hashes the stand-in makes itself; the real server uses 600,000. Hashes
    /// set by a caller are checked with the rounds they name.
    pub pbkdf2_rounds: u32,
    /// `ServiceSettings.MaximumLoginAttempts`.
    pub max_login_attempts: u32,
    /// Value of `X-Version-Id`; its first three numbers are the version.
    pub version: String,
    /// `ServiceSettings.TerminateSessionsOnPasswordChange`.
    pub terminate_sessions_on_password_change: bool,
    /// `ServiceSettings.DisableBotsWhenOwnerIsDeactivated`.
    pub disable_bots_when_owner_is_deactivated: bool,
    /// Whether the bot owns itself, as one converted from a person does, or belongs to `admin`.
    pub bot_self_owned: bool,
    /// `PluginSettings.Enable`; the one plugin answers at `/plugins/{any}/echo`.
    pub plugins: bool,
    /// Start as a fresh server: no administrator, no bot, no team.
    pub empty: bool,
    /// Requests kept in the journal; the oldest go first.
    pub journal_capacity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            site_url: "https://chat.example.test".into(),
            strict_csrf: false,
            session_length_hours: 720,
            extend_session: true,
            max_users_per_team: 50,
            user_hard_limit: 250,
            login_cost: Duration::from_millis(20),
            pbkdf2_rounds: 1_000,
            max_login_attempts: 10,
            version: "11.2.0.11.2.0-standin.0000000000000000000000000000000000000000000000000000000000000000.false"
                .into(),
            terminate_sessions_on_password_change: true,
            disable_bots_when_owner_is_deactivated: true,
            bot_self_owned: false,
            plugins: true,
            empty: false,
            journal_capacity: 20_000,
        }
    }
}
