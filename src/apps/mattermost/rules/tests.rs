//! The rules, by table and by spelling.

use super::*;
use proptest::prelude::*;

const ID: &str = "s7iesyh6kpyz8fggtygtd44u3e";

fn class(method: &str, path: &str) -> Route {
    let path = path.replace("{id}", ID);
    classify(&Method::from_bytes(method.as_bytes()).unwrap(), &path)
}

/// Facts §7 and tried for real, 26.
const BLOCKED: &[(&str, &str)] = &[
    ("POST", "/api/v4/users"),
    ("POST", "/api/v4/users/login"),
    ("POST", "/api/v4/users/login/switch"),
    ("POST", "/api/v4/users/login/type"),
    ("POST", "/api/v4/users/login/cws"),
    ("POST", "/api/v4/users/login/desktop_token"),
    ("POST", "/api/v4/users/login/sso/code-exchange"),
    ("POST", "/api/v4/users/password/reset"),
    ("POST", "/api/v4/users/password/reset/send"),
    ("PUT", "/api/v4/users/{id}/password"),
    ("PUT", "/api/v4/users/me/password"),
    ("POST", "/api/v4/users/mfa"),
    ("PUT", "/api/v4/users/{id}/mfa"),
    ("POST", "/api/v4/users/{id}/mfa/generate"),
    ("POST", "/api/v4/users/{id}/tokens"),
    ("POST", "/api/v4/users/tokens/enable"),
    ("POST", "/api/v4/users/tokens/rotate"),
    ("PUT", "/api/v4/users/{id}/auth"),
    ("POST", "/api/v4/users/email/verify"),
    ("POST", "/api/v4/users/email/verify/send"),
    ("POST", "/api/v4/users/{id}/email/verify/member"),
    ("POST", "/api/v4/users/migrate_auth/ldap"),
    ("POST", "/api/v4/users/migrate_auth/saml"),
    ("POST", "/api/v4/bots/{id}/convert_to_user"),
    ("POST", "/login/sso/saml"),
    ("POST", "/oauth/gitlab/complete"),
    ("POST", "/oauth/access_token"),
    ("POST", "/signup/gitlab/complete"),
];

const SIGN_IN_PAGES: &[&str] = &[
    "/login",
    "/login/one_time_link",
    "/login/desktop",
    "/login/gitlab/complete",
    "/signup_user_complete",
    "/signup_email",
    "/signup/gitlab/complete",
    "/reset_password",
    "/reset_password_complete",
    "/claim/email_to_oauth",
    "/should_verify_email",
    "/do_verify_email",
    "/mfa/setup",
    "/oauth/gitlab/login",
    "/oauth/gitlab/mobile_login",
    "/oauth/intune",
    "/oauth/authorize",
];

#[test]
fn the_app_s_own_sign_in_is_closed() {
    for (method, path) in BLOCKED {
        assert_eq!(class(method, path), Route::Blocked, "{method} {path}");
    }
    for path in SIGN_IN_PAGES {
        assert_eq!(class("GET", path), Route::SignInPage, "{path}");
        assert_eq!(class("HEAD", path), Route::SignInPage, "{path}");
        assert_eq!(class("POST", path), Route::Blocked, "{path}");
    }
}

#[test]
fn everyday_calls_are_what_they_are() {
    let cases = [
        ("GET", "/", Route::Plain),
        ("GET", "/alpha/channels/town-square", Route::Plain),
        ("GET", "/api/v4/users/me", Route::Plain),
        ("GET", "/api/v4/users/{id}/tokens", Route::Plain),
        ("POST", "/api/v4/users/tokens/revoke", Route::Plain),
        ("GET", "/api/v4/users", Route::Plain),
        ("POST", "/api/v4/users/ids", Route::Plain),
        ("POST", "/api/v4/users/status/ids", Route::Plain),
        ("PUT", "/api/v4/users/sessions/device", Route::Plain),
        ("PUT", "/api/v4/users/{id}/preferences", Route::Plain),
        ("PUT", "/api/v4/users/{id}/roles", Route::Plain),
        ("GET", "/api/v4/users/email/ann@example.test", Route::Plain),
        ("POST", "/api/v4/posts", Route::Plain),
        ("POST", "/api/v4/roles/names", Route::Plain),
        ("GET", "/api/v4/users/logout", Route::Plain),
        ("POST", "/api/v4/users/logout", Route::Logout),
        ("POST", "/api/v4/users/logout/", Route::Logout),
        ("GET", "/api/v4/websocket", Route::Socket),
        ("GET", "/api/v4/websocket/", Route::Socket),
        ("POST", "/api/v4/websocket", Route::Plain),
        ("PUT", "/api/v4/users/me/patch", Route::Identity),
        ("PUT", "/api/v4/users/{id}/patch", Route::Identity),
        ("PUT", "/api/v4/users/{id}", Route::Identity),
        ("POST", "/api/v4/client_perf", Route::Beacon),
        ("GET", "/api/v4/client_perf", Route::Plain),
        (
            "POST",
            "/api/v4/users/{id}/sessions/revoke",
            Route::EndsSessions,
        ),
        (
            "POST",
            "/api/v4/users/{id}/sessions/revoke/all",
            Route::EndsSessions,
        ),
        (
            "POST",
            "/api/v4/users/sessions/revoke/all",
            Route::EndsSessions,
        ),
        ("GET", "/static/main.abc.js", Route::Static),
        ("HEAD", "/static/fonts/a.woff2", Route::Static),
        ("POST", "/static/main.js", Route::Plain),
    ];
    for (method, path, want) in cases {
        assert_eq!(class(method, path), want, "{method} {path}");
    }
}

#[test]
fn only_what_is_surely_static_is_static() {
    for path in [
        "/static",
        "/static/",
        "/Static/a.js",
        "/static/../api/v4/users/me",
        "/static/%2e%2e/login",
        "/static//a.js",
        "/static/a;b",
        "/staticx/a.js",
        "/x/static/a.js",
        "/static/.git/config",
    ] {
        assert_ne!(class("GET", path), Route::Static, "{path}");
    }
}

#[test]
fn refusals_have_mattermost_s_shape() {
    let (kind, body) = render(Code::RouteBlocked, "Ça \"suffit\"", "req-1");
    assert_eq!(kind, "application/json");
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["id"], "auth_manager.route.blocked.app_error");
    assert_eq!(json["message"], "Ça \"suffit\"");
    assert_eq!(json["detailed_error"], "");
    assert_eq!(json["request_id"], "req-1");
    assert_eq!(json["status_code"], 403);
    for code in [Code::SessionRequired, Code::SessionSignedOut] {
        let json: serde_json::Value = serde_json::from_slice(&render(code, "", "").1).unwrap();
        assert_eq!(json["id"], "api.context.session_expired.app_error");
        assert_eq!(json["status_code"], 401);
    }
}

#[test]
fn only_a_json_401_refuses_a_session() {
    let with = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
    assert!(refused_session(
        StatusCode::UNAUTHORIZED,
        &with("application/json")
    ));
    assert!(!refused_session(
        StatusCode::UNAUTHORIZED,
        &with("text/html")
    ));
    assert!(!refused_session(
        StatusCode::FORBIDDEN,
        &with("application/json")
    ));
    assert!(!refused_session(
        StatusCode::UNAUTHORIZED,
        &HeaderMap::new()
    ));
}

#[test]
fn exactly_one_credential_goes_in() {
    let token = AppToken::new("fuescm8613g59xqewm5zswgi7w".into());
    let remote = RemoteId::new(ID).unwrap();
    assert_eq!(
        credential_cookie(&token, "jcpop7jcwp8bbdka1bgdoaatky", &remote),
        format!(
            "MMAUTHTOKEN=fuescm8613g59xqewm5zswgi7w; MMUSERID={ID}; MMCSRF=jcpop7jcwp8bbdka1bgdoaatky"
        )
    );
    let odd = credential_cookie(&token, "a; MMAUTHTOKEN=b\r\n", &remote);
    assert_eq!(odd.matches("MMAUTHTOKEN=").count(), 1);
    assert!(!credential_cookie(&token, "", &remote).contains("MMCSRF"));
}

#[test]
fn the_token_header_stays() {
    assert!(!releases(&HeaderName::from_static("token")));
    assert!(releases(&HeaderName::from_static("x-request-id")));
}

/// Another spelling of a path that the app, or something before it, might read as the same.
fn respelled(path: &str, upper: u64, percent: u64, double: u64, trailing: bool) -> String {
    let mut out = String::new();
    for (i, c) in path.chars().enumerate() {
        let bit = |mask: u64| mask >> (i % 64) & 1 == 1;
        let c = if bit(upper) {
            c.to_ascii_uppercase()
        } else {
            c
        };
        match c {
            '/' if bit(double) => out.push_str("//"),
            '/' => out.push('/'),
            c if bit(percent) => out.push_str(&format!("%{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    if trailing {
        out.push('/');
    }
    out
}

proptest! {
    #[test]
    fn no_spelling_of_a_blocked_path_slips_past(
        which in 0..BLOCKED.len(),
        (upper, percent, double) in any::<(u64, u64, u64)>(),
        trailing in any::<bool>(),
    ) {
        let (method, path) = BLOCKED[which];
        let path = respelled(&path.replace("{id}", ID), upper, percent, double, trailing);
        prop_assert_eq!(class(method, &path), Route::Blocked, "{}", path);
    }

    #[test]
    fn no_spelling_of_a_sign_in_page_slips_past(
        which in 0..SIGN_IN_PAGES.len(),
        (upper, percent, double) in any::<(u64, u64, u64)>(),
        trailing in any::<bool>(),
    ) {
        let path = respelled(SIGN_IN_PAGES[which], upper, percent, double, trailing);
        prop_assert_eq!(class("GET", &path), Route::SignInPage, "{}", path);
    }

    #[test]
    fn no_spelling_of_a_profile_change_slips_past(
        (upper, percent, double) in any::<(u64, u64, u64)>(),
    ) {
        let path = respelled("/api/v4/users/me/patch", upper, percent, double, false);
        prop_assert_eq!(class("PUT", &path), Route::Identity, "{}", path);
    }

    #[test]
    fn any_path_is_classified_without_a_panic(path in "\\PC{0,60}") {
        let _ = class("GET", &path);
    }
}
