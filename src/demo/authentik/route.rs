//! The table of paths: each has its handler and its `Allow`.

use std::future::Future;
use std::pin::Pin;

use super::answer::{Answer, Refusal};
use super::call::Call;
use super::{
    events, flows, group_changes, groups, invitations, oauth, system, tokens, transports,
    user_changes, users,
};

/// A handler that runs.
pub(super) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A path that exists.
pub(super) struct Route {
    pub(super) run: fn(Call) -> Pending,
    /// What `Allow` says.
    pub(super) allow: &'static str,
    /// Whether nobody is asked who they are.
    pub(super) open: bool,
}

macro_rules! run {
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}

const LIST: &str = "GET, POST, HEAD, OPTIONS";
const ONE: &str = "GET, PUT, PATCH, DELETE, HEAD, OPTIONS";
const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";

async fn not_allowed(call: Call) -> Answer {
    Err(Refusal::method(call.method.as_str()))
}

/// The handler of a path below `/api/v3`, by its segments without the slash at the end.
pub(super) fn api(method: &str, path: &[&str]) -> Option<Route> {
    let (allow, run): (&'static str, fn(Call) -> Pending) = match path {
        ["core", "users"] => (
            LIST,
            match method {
                "GET" => run!(users::list),
                "POST" => run!(user_changes::create),
                _ => run!(not_allowed),
            },
        ),
        ["core", "users", "me"] => (GET, run!(users::me)),
        ["core", "users", "service_account"] => (POST, run!(user_changes::service_account)),
        ["core", "users", _] => (
            ONE,
            match method {
                "GET" => run!(users::get),
                "PATCH" | "PUT" => run!(user_changes::change),
                "DELETE" => run!(user_changes::delete),
                _ => run!(not_allowed),
            },
        ),
        ["core", "users", _, "set_password"] => (POST, run!(user_changes::set_password)),
        ["core", "groups"] => (
            LIST,
            match method {
                "GET" => run!(groups::list),
                "POST" => run!(group_changes::create),
                _ => run!(not_allowed),
            },
        ),
        ["core", "groups", _] => (
            ONE,
            match method {
                "GET" => run!(groups::get),
                "PATCH" | "PUT" => run!(group_changes::change),
                "DELETE" => run!(group_changes::delete),
                _ => run!(not_allowed),
            },
        ),
        ["core", "groups", _, "add_user"] => (POST, run!(group_changes::add)),
        ["core", "groups", _, "remove_user"] => (POST, run!(group_changes::remove)),
        ["core", "tokens"] => (
            LIST,
            match method {
                "GET" => run!(tokens::list),
                "POST" => run!(tokens::create),
                _ => run!(not_allowed),
            },
        ),
        ["core", "tokens", _] => (
            ONE,
            match method {
                "GET" => run!(tokens::get),
                "DELETE" => run!(tokens::delete),
                _ => run!(not_allowed),
            },
        ),
        ["core", "tokens", _, "view_key"] => (GET, run!(tokens::view_key)),
        ["core", "applications"] => (LIST, run!(system::applications)),
        ["events", "events"] => (
            LIST,
            match method {
                "GET" => run!(events::list),
                "POST" => run!(events::create),
                _ => run!(not_allowed),
            },
        ),
        ["events", "events", _] => (ONE, run!(events::get)),
        ["events", "transports"] => (LIST, run!(transports::list)),
        ["events", "transports", _, "test"] => (POST, run!(transports::test)),
        ["flows", "instances", _] => (ONE, run!(flows::get)),
        ["stages", "invitation", "invitations"] => (
            LIST,
            match method {
                "GET" => run!(invitations::list),
                "POST" => run!(invitations::create),
                _ => run!(not_allowed),
            },
        ),
        ["stages", "invitation", "invitations", _] => (
            ONE,
            match method {
                "GET" => run!(invitations::get),
                "DELETE" => run!(invitations::delete),
                _ => run!(not_allowed),
            },
        ),
        ["stages", "invitation", "invitations", _, "send_email"] => {
            (POST, run!(invitations::send_email))
        }
        ["admin", "version"] => (GET, run!(system::version)),
        ["root", "config"] => (GET, run!(system::config)),
        _ => return None,
    };
    Some(Route {
        run,
        allow,
        open: matches!(path, ["root", "config"]),
    })
}

/// Outside the API.
pub(super) fn web(method: &str, path: &str) -> Option<Route> {
    (method == "POST" && path == "/application/o/token/").then_some(Route {
        run: run!(oauth::token),
        allow: "",
        open: true,
    })
}
