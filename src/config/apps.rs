//! `[[apps]]`: what an app's keys are, their defaults, bounds and cross checks.

use super::access;
use super::reader::{Table, shown};
use super::sections::{hours, is_loopback, seconds};
use super::units::format_duration;
use super::{
    AppConfig, AppKind, ExternalRevoke, LinkPolicy, MachineRoute, MattermostConfig, SessionConfig,
    SignOut,
};
use crate::types::{AppId, HostName, IssuerId};
use http::Method;
use url::Url;

/// Which kind, before its own section is read.
#[derive(Clone, Copy)]
enum Kind {
    Mattermost,
}

/// One of `[[apps]]`; `only_issuer` is the default of `issuer` when there is but one.
pub(super) fn app(table: &Table<'_>, only_issuer: Option<&IssuerId>) -> Option<AppConfig> {
    table.require("id", "Write id = \"chat\", and never change it.");
    let id = table.parsed(
        "id",
        AppId::new,
        "Use a short word, and never change it: passwords derive from it.",
    );
    let name = table.text("name");
    table.require("kind", "Write kind = \"mattermost\".");
    let kind = table.choice(
        "kind",
        Kind::Mattermost,
        &[("mattermost", Kind::Mattermost)],
    );
    table.require(
        "host",
        "Write the name visitors use: host = \"chat.example.com\".",
    );
    let host = table.parsed(
        "host",
        HostName::new,
        "Write the bare name visitors use, like \"chat.example.com\".",
    );
    let origin = origin(table, host.as_ref());
    let base_path = base_path(table);
    let issuer = issuer(table, only_issuer);
    let upstream = upstream(table);
    let upstream_ca = table.file("upstream_ca");
    if let Some(url) = upstream
        .as_ref()
        .filter(|url| url.scheme() == "http" && table.has("upstream_ca"))
    {
        table.complain(
            "upstream_ca",
            format!("{url} has no certificate that it could verify."),
            "Use https:// in upstream, or remove upstream_ca.",
        );
    }
    let response_timeout = table.duration("response_timeout", seconds(60), seconds(1)..=hours(1));
    let access = access::access(table);
    let session = session(&table.table("session"));
    let machine_routes = machine_routes(table, &base_path);
    let provision = super::provision::provision(table);
    let mattermost_table = table.table("mattermost");
    let mattermost = mattermost(&mattermost_table);
    let kind = match kind {
        Kind::Mattermost => {
            if !mattermost_table.is_present() {
                table.complain(
                    "mattermost",
                    "The section [apps.mattermost] is missing.",
                    "Add it below this app, with bot_token = { file = \"…\" }.",
                );
            }
            AppKind::Mattermost(mattermost?)
        }
    };
    let id = id?;
    Some(AppConfig {
        name: name.map_or_else(|| id.to_string(), str::to_owned),
        id,
        host: host?,
        origin: origin?,
        base_path,
        issuer: issuer?,
        upstream: upstream?,
        upstream_ca,
        access,
        session,
        machine_routes,
        // They name clients, which are read later.
        services: Vec::new(),
        kind,
        provision,
        response_timeout,
    })
}

fn origin(table: &Table<'_>, host: Option<&HostName>) -> Option<String> {
    let http_allowed = table.insecure("insecure_http_origin");
    let remedy = "Write what visitors' address bars show before the path: \
                  \"https://chat.example.com\", with the port if it is not 443.";
    let Some(text) = table.text("origin") else {
        return if table.has("origin") {
            None
        } else {
            host.map(|host| format!("https://{host}"))
        };
    };
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            table.complain(
                "origin",
                format!("{} is not an origin.", shown(text)),
                remedy,
            );
            return None;
        }
    };
    let origin = url.origin().ascii_serialization();
    // The browser's spelling, which `Origin` headers are compared with byte by byte.
    if origin != text.to_ascii_lowercase() {
        table.complain(
            "origin",
            format!(
                "{} holds more than an origin, or is spelled unlike a browser does.",
                shown(text)
            ),
            format!("Write \"{origin}\"."),
        );
    }
    let its_host = url.host_str().unwrap_or_default();
    if host.is_some_and(|host| !host.matches(its_host)) {
        table.complain("origin", "It names another host than `host` does.", remedy);
    }
    if url.scheme() == "http" && !http_allowed && !is_loopback(&url) {
        table.complain(
            "origin",
            "Browsers send the bridge's cookies over https:// only.",
            "Use https:// (or set insecure_http_origin = true for a test).",
        );
    }
    Some(origin)
}

fn base_path(table: &Table<'_>) -> String {
    let path = table.text("base_path").unwrap_or("/");
    let segments_ok = path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(plain_segment));
    if !segments_ok || reserved(path) {
        table.complain(
            "base_path",
            format!("{} is not a base path.", shown(path)),
            "Write \"/\", or like \"/chat\": it begins with / and does not end with one.",
        );
        return "/".to_owned();
    }
    path.to_owned()
}

/// A path segment that no two readers see differently (T14): no escape, no dot segment, no `;`.
pub(super) fn plain_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
}

/// Paths that the bridge or Pomerium answer themselves.
fn reserved(path: &str) -> bool {
    matches!(
        path.split('/').nth(1),
        Some(".auth-manager" | ".pomerium" | ".well-known")
    )
}

fn issuer(table: &Table<'_>, only: Option<&IssuerId>) -> Option<IssuerId> {
    if let Some(only) = only.filter(|_| !table.has("issuer")) {
        return Some(only.clone());
    }
    table.require(
        "issuer",
        "Name the id of one of [[issuers]]: there is not exactly one.",
    );
    table.parsed(
        "issuer",
        IssuerId::new,
        "Name the id of one of [[issuers]].",
    )
}

fn upstream(table: &Table<'_>) -> Option<Url> {
    let remedy = "Write scheme, host and port only: \"http://127.0.0.1:8065\".";
    table.require("upstream", remedy);
    let url = table.parsed("upstream", Url::parse, remedy)?;
    let problem = if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        "It is neither an http:// nor an https:// address."
    } else if !url.username().is_empty() || url.password().is_some() {
        "It holds a user name or a password."
    } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        "It holds more than scheme, host and port; a path belongs in base_path."
    } else {
        return Some(url);
    };
    table.complain("upstream", problem, remedy);
    None
}

fn session(table: &Table<'_>) -> SessionConfig {
    let absolute = table.duration("absolute", hours(14), seconds(300)..=hours(30 * 24));
    let overall = table.duration("overall", hours(30 * 24), seconds(300)..=hours(365 * 24));
    let tombstone = table.duration("tombstone", hours(25), seconds(300)..=hours(365 * 24));
    if absolute > overall {
        table.complain(
            "absolute",
            format!(
                "{} is longer than overall ({}).",
                format_duration(absolute),
                format_duration(overall)
            ),
            "Raise overall, or lower absolute.",
        );
    }
    if tombstone <= absolute {
        table.complain(
            "tombstone",
            format!(
                "{} is not longer than absolute ({}): a revoked sign-in could come back.",
                format_duration(tombstone),
                format_duration(absolute)
            ),
            "Make it longer than absolute, and than Pomerium's cookie_expire.",
        );
    }
    SessionConfig {
        absolute,
        overall,
        idle: table.duration("idle", hours(12), seconds(60)..=hours(30 * 24)),
        // Browsers throttle timers of hidden tabs to once a minute: below 90 s healthy pages would
        // lose their sockets over and over.
        stale_after: table.duration("stale_after", seconds(180), seconds(90)..=hours(1)),
        socket_max_age: table.duration("socket_max_age", hours(1), seconds(60)..=hours(24)),
        external_revoke: table.choice(
            "external_revoke",
            ExternalRevoke::SignOut,
            &[
                ("sign-out", ExternalRevoke::SignOut),
                ("heal", ExternalRevoke::Heal),
            ],
        ),
        sign_out: table.choice(
            "sign_out",
            SignOut::Pomerium,
            &[("pomerium", SignOut::Pomerium), ("page", SignOut::Page)],
        ),
        tombstone,
        page_wait: table.duration("page_wait", seconds(2), seconds(0)..=seconds(60)),
        other_wait: table.duration("other_wait", seconds(30), seconds(1)..=seconds(300)),
        replay_body: table.size("replay_body", 65_536, 0..=1_048_576),
    }
}

fn machine_routes(app: &Table<'_>, base_path: &str) -> Vec<MachineRoute> {
    let mut routes: Vec<MachineRoute> = Vec::new();
    for table in app.tables("machine_routes", "path") {
        table.require("method", "Write method = \"POST\".");
        table.require("path", "Write path = \"/hooks/*\".");
        let method = table.text("method").and_then(|text| {
            let known = [
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ];
            let method = known.into_iter().find(|method| method.as_str() == text);
            if method.is_none() {
                table.complain(
                    "method",
                    format!("{} is not a method of machine routes.", shown(text)),
                    "Write one of GET, HEAD, POST, PUT, PATCH, DELETE, in capitals.",
                );
            }
            method
        });
        let path = table
            .text("path")
            .filter(|path| machine_path(&table, path, base_path));
        let keep_authorization = table.flag("keep_authorization", false);
        let (Some(method), Some(path)) = (method, path) else {
            continue;
        };
        if routes
            .iter()
            .any(|route| route.method == method && route.path == path)
        {
            table.complain("path", "This route is there twice.", "Remove one of them.");
        }
        routes.push(MachineRoute {
            method,
            path: path.to_owned(),
            keep_authorization,
        });
    }
    routes
}

/// Machine routes pass without identity: their paths must be canonical and narrow.
fn machine_path(table: &Table<'_>, path: &str, base_path: &str) -> bool {
    let exact = path.strip_suffix("/*").unwrap_or(path);
    let base = base_path.trim_end_matches('/');
    let problem = if !exact
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(plain_segment))
    {
        if exact.is_empty() || path == "/" {
            "It would let everything in without identity."
        } else {
            "It is not canonical: plain segments after single slashes, and `*` only as a last \
             segment."
        }
    } else if exact == base && path.ends_with("/*") {
        "It would let everything in without identity."
    } else if reserved(path) {
        "The bridge or Pomerium answers this path itself."
    } else if !exact
        .strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        "It is not below base_path."
    } else {
        return true;
    };
    table.complain(
        "path",
        problem,
        "Write it like \"/hooks/*\" or \"/api/v4/system/ping\".",
    );
    false
}

fn mattermost(table: &Table<'_>) -> Option<MattermostConfig> {
    if table.is_present() {
        table.require(
            "bot_token",
            "Write bot_token = { file = \"…\" }; README.md says how to make it.",
        );
    }
    let bot_token = table.secret("bot_token");
    let link = table.choice(
        "link",
        LinkPolicy::Never,
        &[
            ("never", LinkPolicy::Never),
            ("verified-email", LinkPolicy::VerifiedEmail),
            ("operator", LinkPolicy::Operator),
        ],
    );
    let team = table.parsed(
        "team",
        team_name,
        "Write the team's name in its URL, like \"main\".",
    );
    let create_team = table.flag("create_team", false);
    if create_team && !table.has("team") {
        table.complain(
            "create_team",
            "There is no team to create.",
            "Add team = \"…\".",
        );
    }
    let logins = table.count("logins", 2, 1..=64);
    let login_timeout = table.duration("login_timeout", seconds(30), seconds(1)..=seconds(300));
    Some(MattermostConfig {
        bot_token: bot_token?,
        link,
        team,
        create_team,
        logins,
        login_timeout,
    })
}

/// What Mattermost takes as a team's URL name: 2 to 64 of a-z, 0-9 and -, and none of the words
/// that its own paths begin with (a test of prefixes: `postgres` is refused because of `post`).
pub(super) fn team_name(text: &str) -> Result<String, String> {
    const TAKEN: [&str; 17] = [
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
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(2..=64).contains(&text.len()) || !text.bytes().all(plain) {
        return Err("a team's name has 2 to 64 of a-z, 0-9 and -".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("a team's name neither begins nor ends with -".to_owned());
    }
    match TAKEN.iter().find(|word| text.starts_with(**word)) {
        Some(word) => Err(format!(
            "Mattermost refuses team names that begin with {word:?}"
        )),
        None => Ok(text.to_owned()),
    }
}
