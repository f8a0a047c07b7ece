//! What gives power over accounts or over the server: a service's bot does none of it unless the
//! operator names it in `insecure_allow`. Where a request changes something the list is of what is
//! harmless, so that what a later Mattermost adds is held back; where it only reads, of what is not.

use super::{classify, percent_decoded};
use crate::apps::Route;
use http::Method;

/// Whether a request is of that kind. As for every restriction, whatever the app may read as such a
/// route is one.
pub(super) fn is_powerful(method: &Method, path: &str) -> bool {
    match classify(method, path) {
        Route::Blocked
        | Route::SignInPage
        | Route::Logout
        | Route::EndsSessions
        | Route::Identity => return true,
        Route::Static | Route::Socket | Route::Beacon => return false,
        Route::Plain => {}
    }
    let folded = percent_decoded(path).to_ascii_lowercase();
    let segments: Vec<&str> = folded.split('/').filter(|s| !s.is_empty()).collect();
    let reads = *method == Method::GET || *method == Method::HEAD;
    match segments.as_slice() {
        ["api", "v4", rest @ ..] if reads => reveals(rest),
        ["api", "v4", rest @ ..] => !is_harmless_change(rest),
        // Plugins' own routes: the operator knows the plugin.
        ["plugins", _, ..] => false,
        _ => !reads,
    }
}

/// Reads that show credentials, or what an administrator alone should see.
fn reveals(path: &[&str]) -> bool {
    match path {
        ["config", "client"] => false,
        ["users", "tokens", ..] | ["users", _, "sessions" | "tokens" | "audits", ..] => true,
        [first, ..] => {
            matches!(
                *first,
                "audits"
                    | "audit_logs"
                    | "cluster"
                    | "commands"
                    | "compliance"
                    | "config"
                    | "exports"
                    | "hooks"
                    | "imports"
                    | "jobs"
                    | "logs"
                    | "oauth"
                    | "remotecluster"
                    | "saml"
                    | "ldap"
                    | "system"
            ) && path != ["system", "ping"]
        }
        [] => false,
    }
}

/// Changes that stay within what a bot posts, and searches that are sent as `POST`.
fn is_harmless_change(path: &[&str]) -> bool {
    match path {
        // Roles and schemes of members, and what a team or channel lets its members do.
        [
            "teams" | "channels",
            ..,
            "roles" | "schemeroles" | "scheme" | "scheme_roles" | "privacy",
        ] => false,
        ["channels", _, "moderations", ..] => false,
        [
            "teams",
            _,
            "invite" | "invite-guests" | "import" | "regenerate_invite_id",
            ..,
        ] => false,
        [
            "posts" | "channels" | "teams" | "files" | "uploads" | "reactions" | "drafts",
            ..,
        ] => true,
        ["emoji" | "actions" | "opengraph" | "client_perf", ..] => true,
        ["users", "ids" | "usernames" | "search" | "group_channels"] => true,
        ["users", "status", "ids"] => true,
        [
            "users",
            _,
            "typing" | "status" | "preferences" | "posts" | "channels" | "teams",
            ..,
        ] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powerful(line: &str) -> bool {
        let (method, path) = line.split_once(' ').unwrap();
        is_powerful(&method.parse().unwrap(), path)
    }

    #[test]
    fn what_gives_power_over_accounts_or_the_server_is_held_back() {
        for line in [
            "POST /api/v4/users",
            "POST /api/v4/users/login",
            "POST /api/v4/users/logout",
            "PUT /api/v4/users/x/password",
            "PUT /api/v4/users/x/mfa",
            "PUT /api/v4/users/x/auth",
            "PUT /api/v4/users/x/roles",
            "PUT /api/v4/users/x/active",
            "PUT /api/v4/users/x/patch",
            "PUT /api/v4/users/x/something-new",
            "DELETE /api/v4/users/x",
            "POST /api/v4/users/x/promote",
            "POST /api/v4/users/x/convert_to_bot",
            "POST /api/v4/users/x/tokens",
            "GET /api/v4/users/x/tokens",
            "GET /api/v4/users/tokens",
            "POST /api/v4/users/tokens/revoke",
            "POST /api/v4/users/tokens/enable",
            "GET /api/v4/users/x/sessions",
            "POST /api/v4/users/x/sessions/revoke",
            "POST /api/v4/bots",
            "POST /api/v4/bots/x/convert_to_user",
            "PUT /api/v4/roles/x/patch",
            "PUT /api/v4/config",
            "GET /api/v4/config",
            "POST /api/v4/plugins",
            "POST /api/v4/oauth/apps",
            "GET /api/v4/oauth/apps",
            "POST /api/v4/hooks/incoming",
            "POST /api/v4/something-new",
            "PUT /api/v4/teams/x/members/y/roles",
            "PUT /api/v4/teams/x/members/y/schemeRoles",
            "PUT /api/v4/channels/x/members/y/schemeRoles",
            "PUT /api/v4/channels/x/moderations/patch",
            "POST /api/v4/teams/x/invite/email",
            "POST /oauth/access_token",
            "POST /hooks/x",
            "GET /login",
            // However it is spelled.
            "PUT /api/v4/users/x/Roles",
            "PUT /api/v4/users/x/%72oles",
            "PUT /api/v4/users//x/roles/",
        ] {
            assert!(powerful(line), "{line}");
        }
    }

    #[test]
    fn what_bots_do_every_day_is_not() {
        for line in [
            "GET /api/v4/users/me",
            "GET /api/v4/users/username/ann",
            "POST /api/v4/users/ids",
            "POST /api/v4/users/status/ids",
            "PUT /api/v4/users/me/status",
            "POST /api/v4/posts",
            "PUT /api/v4/posts/x/patch",
            "DELETE /api/v4/posts/x",
            "POST /api/v4/files",
            "GET /api/v4/files/x",
            "POST /api/v4/reactions",
            "POST /api/v4/channels/direct",
            "POST /api/v4/channels/x/members",
            "POST /api/v4/teams/x/members",
            "GET /api/v4/config/client",
            "GET /api/v4/system/ping",
            "GET /api/v4/websocket",
            "POST /plugins/x/api",
        ] {
            assert!(!powerful(line), "{line}");
        }
    }
}
