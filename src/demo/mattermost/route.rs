//! The table of paths. What is not in it is 404 below `/api/`, and the page elsewhere.

use std::future::Future;
use std::pin::Pin;

use super::answer::Answer;
use super::call::Call;
use super::credential::Demands;
use super::ids::is_alnum;
use super::{
    bots, channels, config, files, hooks, login, pages, passwords, plugin, posts, sessions, system,
    teams, tokens, user_changes, users, websocket,
};

/// A handler's answer to come.
pub(super) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Where a request goes and what it needs to get there.
pub(super) struct Route {
    pub(super) demands: Demands,
    /// Whether the first two segments (`api`, `v4`) are cut off before the handler sees them.
    pub(super) api: bool,
    pub(super) run: fn(Call) -> Pending,
}

/// Turns an `async fn` into something a table can hold.
macro_rules! run {
    ($handler:path) => {
        |call: Call| -> Pending { Box::pin($handler(call)) }
    };
}

const fn route(session: bool, trusted: bool, run: fn(Call) -> Pending) -> Option<Route> {
    Some(Route {
        demands: Demands {
            session,
            trusted,
            unchecked: false,
        },
        api: true,
        run,
    })
}

/// A route that finds out itself who calls.
const fn unchecked(run: fn(Call) -> Pending) -> Option<Route> {
    let demands = Demands {
        session: false,
        trusted: true,
        unchecked: true,
    };
    Some(Route {
        demands,
        api: true,
        run,
    })
}

const fn session(run: fn(Call) -> Pending) -> Option<Route> {
    route(true, false, run)
}

const fn open(run: fn(Call) -> Pending) -> Option<Route> {
    route(false, false, run)
}

/// The `[a-z0-9_.-]+` of names; anything else is no route (recorded for users and teams).
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The handler of a path below `/api/v4/`.
pub(super) fn api(method: &str, path: &[&str]) -> Option<Route> {
    match path.first().copied() {
        Some("users") => of_users(method, &path[1..]),
        Some("teams") => of_teams(method, &path[1..]),
        Some("channels") => of_channels(method, &path[1..]),
        _ => of_the_rest(method, path),
    }
}

fn of_users(method: &str, path: &[&str]) -> Option<Route> {
    match (method, path) {
        ("POST", []) => open(run!(users::create)),
        ("GET", []) => session(run!(users::list)),
        ("POST", ["login"]) => open(run!(login::login)),
        ("POST", ["logout"]) => open(run!(login::logout)),
        ("POST", ["login", "switch"]) => open(run!(system::switch_login)),
        ("POST", ["login", "desktop_token"]) => open(run!(system::desktop_token)),
        ("POST", ["login", "sso", "code-exchange"]) => open(run!(system::code_exchange)),
        ("POST", ["password", "reset", "send"]) => open(run!(system::fine)),
        ("POST", ["ids"]) => session(run!(users::by_ids)),
        ("POST", ["usernames"]) => session(run!(users::by_usernames)),
        ("POST", ["status", "ids"]) => session(run!(users::statuses)),
        ("GET", ["stats"]) => session(run!(system::user_stats)),
        ("GET", ["logout" | "login"]) => session(run!(system::bad_user_id)),
        ("GET", ["email", _]) => session(run!(users::by_email)),
        ("GET", ["username", name]) if is_name(name) => session(run!(users::by_username)),
        ("POST", ["sessions", "revoke", "all"]) => session(run!(sessions::revoke_everyone)),
        ("PUT", ["sessions", "device"]) => session(run!(sessions::attach_device)),
        ("POST", ["tokens", "revoke" | "disable" | "enable"]) => session(run!(tokens::change)),
        (_, [id, ..]) if !is_alnum(id) => None,
        ("GET", [_]) => session(run!(users::get)),
        ("PUT", [_]) => session(run!(user_changes::replace)),
        ("DELETE", [_]) => session(run!(user_changes::delete)),
        ("PUT", [_, "patch"]) => session(run!(user_changes::patch)),
        ("PUT", [_, "active"]) => session(run!(user_changes::active)),
        ("PUT", [_, "roles"]) => session(run!(user_changes::roles)),
        ("PUT", [_, "mfa"]) => session(run!(user_changes::mfa)),
        ("PUT", [_, "auth"]) => session(run!(user_changes::auth)),
        ("PUT", [_, "password"]) => session(run!(passwords::set)),
        ("GET" | "PUT", [_, "status"]) => session(run!(users::status)),
        ("POST", [_, "typing"]) => session(run!(system::fine)),
        ("POST", [_, "reset_failed_attempts"]) => {
            session(run!(user_changes::reset_failed_attempts))
        }
        ("POST", [_, "email", "verify", "member"]) => session(run!(user_changes::verify_email)),
        ("GET", [_, "image"]) => session(run!(files::image)),
        ("POST", [_, "image"]) => session(run!(files::set_image)),
        ("DELETE", [_, "image"]) => session(run!(files::remove_image)),
        ("GET", [_, "sessions"]) => session(run!(sessions::list)),
        ("POST", [_, "sessions", "revoke"]) => session(run!(sessions::revoke)),
        ("POST", [_, "sessions", "revoke", "all"]) => session(run!(sessions::revoke_all)),
        ("GET", [_, "tokens"]) => session(run!(tokens::list)),
        ("POST", [_, "tokens"]) => session(run!(tokens::create)),
        ("GET", [_, "preferences"]) => session(run!(system::nothing)),
        ("PUT", [_, "preferences"]) => session(run!(system::fine)),
        ("GET", [_, "teams"]) => session(run!(teams::of_user)),
        ("GET", [_, "teams", "members"]) => session(run!(teams::memberships_of_user)),
        ("GET", [_, "teams", "unread"]) => session(run!(teams::unread)),
        ("GET", [_, "teams", _, "channels"]) => session(run!(channels::of_user)),
        ("GET", [_, "teams", _, "channels", "members"]) => {
            session(run!(channels::memberships_of_user))
        }
        ("GET", [_, "teams", _, "drafts" | "threads"]) => session(run!(system::nothing)),
        ("GET", [_, "channels"]) => session(run!(channels::of_user)),
        ("GET", [_, "channel_members"]) => session(run!(channels::memberships_of_user)),
        ("GET", [_, "channels", _, "posts", "unread"]) => session(run!(posts::of_channel)),
        _ => None,
    }
}

fn of_teams(method: &str, path: &[&str]) -> Option<Route> {
    match (method, path) {
        ("GET", []) => session(run!(teams::list)),
        ("POST", []) => session(run!(teams::create)),
        ("GET", ["name", name]) if is_name(name) => session(run!(teams::by_name)),
        ("GET", ["invite", _]) => open(run!(teams::by_invite)),
        (_, [id, ..]) if !is_alnum(id) => None,
        ("GET", [_]) => session(run!(teams::get)),
        ("GET", [_, "members"]) => session(run!(teams::members)),
        ("POST", [_, "members"]) => session(run!(teams::add)),
        ("POST", [_, "members", "batch"]) => session(run!(teams::add_batch)),
        ("GET", [_, "members", _]) => session(run!(teams::member)),
        ("DELETE", [_, "members", _]) => session(run!(teams::remove)),
        ("PUT", [_, "members", _, "schemeRoles"]) => session(run!(teams::scheme_roles)),
        ("GET", [_, "channels"]) => session(run!(channels::of_user)),
        ("GET", [_, "channels", "name", name]) if is_name(name) => session(run!(channels::by_name)),
        _ => None,
    }
}

fn of_channels(method: &str, path: &[&str]) -> Option<Route> {
    match (method, path) {
        ("POST", []) => session(run!(channels::create)),
        ("POST", ["members", _, "view"]) => session(run!(channels::view)),
        (_, [id, ..]) if !is_alnum(id) => None,
        ("GET", [_]) => session(run!(channels::get)),
        ("GET", [_, "stats"]) => session(run!(channels::stats)),
        ("GET", [_, "posts"]) => session(run!(posts::of_channel)),
        ("GET", [_, "members"]) => session(run!(channels::members)),
        ("POST", [_, "members"]) => session(run!(channels::add)),
        ("GET", [_, "members", _]) => session(run!(channels::member)),
        ("DELETE", [_, "members", _]) => session(run!(channels::remove)),
        ("PUT", [_, "members", _, "schemeRoles"]) => session(run!(channels::scheme_roles)),
        _ => None,
    }
}

fn of_the_rest(method: &str, path: &[&str]) -> Option<Route> {
    match (method, path) {
        ("GET", ["system", "ping"]) => open(run!(system::ping)),
        ("GET", ["config"]) => session(run!(config::get)),
        ("PUT", ["config", "patch"]) => session(run!(config::patch)),
        ("GET", ["config", "client"]) => open(run!(config::client)),
        ("GET", ["license", "client"]) => open(run!(config::license)),
        ("GET", ["limits", "server"]) => session(run!(system::limits)),
        ("POST", ["client_perf"]) => route(true, true, run!(system::client_perf)),
        ("POST", ["roles", "names"]) => route(true, true, run!(system::roles)),
        ("GET", ["plugins", "webapp"]) => open(run!(system::webapp_plugins)),
        ("GET", ["brand", "image"]) => open(run!(system::brand)),
        ("GET", ["groups"]) => session(run!(system::unlicensed)),
        ("GET", ["audits"]) => session(run!(system::audits)),
        ("POST", ["bots"]) => session(run!(bots::create)),
        ("GET", ["bots"]) => session(run!(bots::list)),
        ("POST", ["bots", _, "assign", owner]) if is_alnum(owner) => session(run!(bots::assign)),
        ("GET", ["bots", _]) => session(run!(bots::get)),
        ("POST", ["bots", _, "enable" | "disable"]) => session(run!(bots::switch)),
        ("POST", ["posts"]) => session(run!(posts::create)),
        ("POST", ["posts", "ephemeral"]) => session(run!(posts::ephemeral)),
        ("POST", ["files"]) => session(run!(files::upload)),
        ("GET", ["files", _]) => session(run!(files::download)),
        ("GET", ["files", _, "info"]) => session(run!(files::info)),
        ("GET", ["files", _, "link"]) => session(run!(files::link)),
        ("POST", ["hooks", "incoming"]) => session(run!(hooks::create)),
        ("GET", ["websocket" | "websocket/"]) => unchecked(run!(websocket::open)),
        _ => None,
    }
}

/// The handler of a path outside the API; `None` is a method the page does not answer.
pub(super) fn web(method: &str, path: &[&str]) -> Option<Route> {
    let found = match (method, path) {
        (_, ["plugins", _, ..]) => unchecked(run!(plugin::echo)),
        ("POST", ["hooks", _]) => route(false, true, run!(hooks::incoming)),
        ("GET", ["files", _, "public"]) => open(run!(files::public)),
        ("GET", ["oauth", _, _] | ["signup" | "login", _, "complete"]) => {
            open(run!(pages::no_oauth))
        }
        ("GET", [".well-known", "oauth-authorization-server"]) => {
            open(run!(system::oauth_metadata))
        }
        ("GET" | "HEAD", ["robots.txt"]) => open(run!(pages::robots)),
        ("GET" | "HEAD", ["static", ..]) => open(run!(pages::file)),
        ("GET" | "HEAD", _) => open(run!(pages::shell)),
        _ => None,
    };
    found.map(|route| Route {
        api: false,
        ..route
    })
}

/// What a fault that refuses logins does instead.
pub(super) fn refused_login() -> fn(Call) -> Pending {
    run!(login::refuse)
}
