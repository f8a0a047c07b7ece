//! `[[apps.services]]`: which service client calls an app through the bridge, as which bot, and
//! what it may call there.

use super::apps::plain_segment;
use super::reader::{Table, shown};
use super::{AppConfig, AppKind, BotSource, CallRule, ClientConfig, SecretSource, ServiceConfig};
use crate::types::{AppId, BotName, ClientId, Scope};
use http::Method;

/// What the services of an app are checked against.
pub(super) struct Around<'a> {
    /// Who may call it.
    pub(super) clients: &'a [ClientConfig],
    /// Whether all clients could be read: else a missing one is not said twice.
    pub(super) complete: bool,
}

/// The services of one app.
pub(super) fn services(
    table: &Table<'_>,
    app: &AppConfig,
    around: &Around<'_>,
) -> Vec<ServiceConfig> {
    let mut services: Vec<ServiceConfig> = Vec::new();
    for table in table.tables("services", "client") {
        let Some(service) = service(&table, app, around) else {
            continue;
        };
        if services.iter().any(|other| other.client == service.client) {
            table.complain(
                "client",
                "This client is there twice: it would not say which bot it is.",
                "Join both, or give the other service a client of its own.",
            );
        }
        services.push(service);
    }
    services
}

/// Complains about clients that may call an app which knows no bot for them.
pub(super) fn every_scope_has_a_bot(
    tables: &[Table<'_>],
    clients: &[ClientConfig],
    apps: &[AppConfig],
) {
    for client in clients {
        let table = (tables.iter()).find(|table| table.text("id") == Some(client.id.as_str()));
        for scope in &client.scopes {
            let Scope::Proxy(app) = scope else { continue };
            let known = apps.iter().find(|known| known.id == *app);
            let mapped = known.is_none_or(|app| app.service(&client.id).is_some());
            if let (Some(table), false) = (table, mapped) {
                table.complain(
                    "scopes",
                    format!("App \"{app}\" has no bot for this client."),
                    format!(
                        "Add [[apps.services]] with client = \"{}\" below that app, or take {scope} \
                         away.",
                        client.id
                    ),
                );
            }
        }
    }
}

fn service(table: &Table<'_>, app: &AppConfig, around: &Around<'_>) -> Option<ServiceConfig> {
    table.require("client", "Name the id of one of [[clients]].");
    let client = table.parsed(
        "client",
        ClientId::new,
        "Name the id of one of [[clients]].",
    );
    let bot = bot(table, app);
    table.require(
        "allow",
        "List what it may call: allow = [\"POST /api/v4/posts\"]. Nothing else passes.",
    );
    let allow = rules(table, "allow");
    let insecure_allow = rules(table, "insecure_allow");
    if !insecure_allow.is_empty() {
        table.weakens("insecure_allow");
    }
    if table.has("allow") && allow.is_empty() && insecure_allow.is_empty() {
        table.complain(
            "allow",
            "Nothing could be called.",
            "List what it may call, for example \"POST /api/v4/posts\", or remove the service.",
        );
    }
    let audit_reads = table.flag("audit_reads", true);
    let client = client?;
    must_have_scope(table, &client, &app.id, around);
    Some(ServiceConfig {
        client,
        bot: bot?,
        allow,
        insecure_allow,
        audit_reads,
    })
}

fn must_have_scope(table: &Table<'_>, client: &ClientId, app: &AppId, around: &Around<'_>) {
    let scope = Scope::Proxy(app.clone());
    match around.clients.iter().find(|known| known.id == *client) {
        Some(known) if known.scopes.contains(&scope) => {}
        Some(_) => table.complain(
            "client",
            format!("\"{client}\" lacks the scope {scope}."),
            format!("Add \"{scope}\" to its scopes, or remove the service."),
        ),
        None if !around.complete => {}
        None => table.complain(
            "client",
            format!("There is no client \"{client}\"."),
            "Name the id of one of [[clients]].",
        ),
    }
}

/// One bot, managed or by its token.
fn bot(table: &Table<'_>, app: &AppConfig) -> Option<BotSource> {
    let managed = table.parsed(
        "bot",
        BotName::new,
        "Write the name that `auth-manager bots list` shows.",
    );
    let token = table.secret("bot_token");
    match (table.has("bot"), table.has("bot_token")) {
        (false, false) => table.complain(
            "bot",
            "It does not say as which bot it calls.",
            "Write bot = \"…\" (`auth-manager bots add` makes one), or bot_token = { file = \"…\" }.",
        ),
        (true, true) => table.complain(
            "bot_token",
            "It contradicts bot.",
            "Keep one of them.",
        ),
        _ => {}
    }
    if let Some(token) = token {
        let AppKind::Mattermost(mattermost) = &app.kind;
        if same(&token, &mattermost.bot_token) {
            table.complain(
                "bot_token",
                "It is the bridge's own bot, an administrator: the service would be one, too.",
                "Give the service a bot of its own: `auth-manager bots add`.",
            );
        }
        return Some(BotSource::Token(token));
    }
    managed.map(BotSource::Managed)
}

/// Whether both are the same place, or what lies there is the same.
fn same(a: &SecretSource, b: &SecretSource) -> bool {
    a == b
        || matches!((a.read_bytes(), b.read_bytes()), (Ok(a), Ok(b)) if a.trim_ascii() == b.trim_ascii())
}

fn rules(table: &Table<'_>, key: &'static str) -> Vec<CallRule> {
    let mut rules: Vec<CallRule> = Vec::new();
    for text in table.texts(key) {
        match rule(text) {
            Ok(rule) if rules.contains(&rule) => {
                table.complain(
                    key,
                    format!("{} is there twice.", shown(text)),
                    "Remove one.",
                );
            }
            Ok(rule) => rules.push(rule),
            Err(problem) => table.complain(
                key,
                format!("{}: {problem}", shown(text)),
                "Write it like \"GET /api/v4/users/*\": a method, one blank, the path below the \
                 app's base path. * is one segment; /** at the end is everything below.",
            ),
        }
    }
    rules
}

/// Segments that a path must name before `/**`, so that "everything below" means one resource.
const NAMED: usize = 2;

fn rule(text: &str) -> Result<CallRule, &'static str> {
    let (method, path) = text
        .split_once(' ')
        .ok_or("it is no method and path with one blank between")?;
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let method = known
        .into_iter()
        .find(|known| known.as_str() == method)
        .ok_or("its method is none of GET, HEAD, POST, PUT, PATCH, DELETE in capitals")?;
    let (path, below) = match path.strip_suffix("/**") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let segments: Vec<Option<Box<str>>> = path
        .strip_prefix('/')
        .ok_or("its path does not begin with a slash")?
        .split('/')
        .map(|segment| match segment {
            "*" => Ok(None),
            plain if plain_segment(plain) => Ok(Some(plain.into())),
            _ => Err("its path is not canonical: plain segments after single slashes, or * alone"),
        })
        .collect::<Result<_, _>>()?;
    let api = matches!(segments.first(), Some(Some(first)) if first.eq_ignore_ascii_case("api"));
    // /api and the version say nothing of what it is about yet.
    let resource = if api { NAMED + 1 } else { NAMED };
    let named = segments.iter().take_while(|s| s.is_some()).count();
    if named == 0 || (api && named < resource.min(segments.len())) {
        return Err("its path begins with *, which is everything of a length");
    }
    if below && named < resource {
        return Err("it lets everything through");
    }
    Ok(CallRule {
        method,
        segments,
        below,
    })
}

impl CallRule {
    /// A path that it covers, for judging the rule itself.
    #[must_use]
    pub fn example(&self) -> String {
        let mut path: String = (self.segments.iter())
            .flat_map(|segment| ["/", segment.as_deref().unwrap_or("x")])
            .collect();
        if self.below {
            path.push_str("/x");
        }
        path
    }

    /// Whether it lets this request through. `path` is canonical and below the app's base path.
    /// `GET` means `HEAD` as well, which is the same without its body (RFC 9110 §9.3.2).
    #[must_use]
    pub fn covers(&self, method: &Method, path: &str) -> bool {
        let reads = self.method == Method::GET && *method == Method::HEAD;
        if self.method != *method && !reads {
            return false;
        }
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut given = path.split('/');
        for wanted in &self.segments {
            match (given.next(), wanted) {
                (Some(segment), None) if !segment.is_empty() => {}
                (Some(segment), Some(wanted)) if *segment == **wanted => {}
                _ => return false,
            }
        }
        match given.next() {
            None => !self.below,
            Some(more) => self.below && !more.is_empty(),
        }
    }
}

/// As it is written.
impl std::fmt::Display for CallRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.method)?;
        for segment in &self.segments {
            write!(f, "/{}", segment.as_deref().unwrap_or("*"))?;
        }
        f.write_str(if self.below { "/**" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t13_a_rule_covers_what_it_says_and_nothing_beside() {
        for (text, method, path, covered) in [
            ("GET /api/v4/users/*", "GET", "/api/v4/users/me", true),
            ("GET /api/v4/users/*", "HEAD", "/api/v4/users/me", true),
            ("GET /api/v4/users/*", "POST", "/api/v4/users/me", false),
            ("GET /api/v4/users/*", "GET", "/api/v4/users", false),
            ("GET /api/v4/users/*", "GET", "/api/v4/users/", false),
            (
                "GET /api/v4/users/*",
                "GET",
                "/api/v4/users/me/sessions",
                false,
            ),
            ("GET /api/v4/users/*", "GET", "/API/v4/users/me", false),
            ("HEAD /a/b", "GET", "/a/b", false),
            ("POST /api/v4/posts", "POST", "/api/v4/posts", true),
            ("POST /api/v4/posts", "POST", "/api/v4/posts/", false),
            ("POST /api/v4/posts", "POST", "/api/v4/postsx", false),
            (
                "PUT /api/v4/users/*/image",
                "PUT",
                "/api/v4/users/x/image",
                true,
            ),
            (
                "PUT /api/v4/users/*/image",
                "PUT",
                "/api/v4/users/x/roles",
                false,
            ),
            (
                "PUT /api/v4/users/*/image",
                "PUT",
                "/api/v4/users//image",
                false,
            ),
            ("GET /api/v4/files/**", "GET", "/api/v4/files/x", true),
            ("GET /api/v4/files/**", "GET", "/api/v4/files/x/info", true),
            ("GET /api/v4/files/**", "GET", "/api/v4/files", false),
            ("GET /api/v4/files/**", "GET", "/api/v4/files/", false),
            ("GET /api/v4/files/**", "GET", "/api/v4/filesx/y", false),
        ] {
            let rule = rule(text).unwrap();
            assert_eq!(rule.to_string(), text);
            assert!(rule.covers(&rule.method, &rule.example()), "{text}");
            let method = method.parse().unwrap();
            assert_eq!(
                rule.covers(&method, path),
                covered,
                "{text}: {method} {path}"
            );
        }
    }

    #[test]
    fn what_is_no_rule_or_lets_everything_through_is_refused() {
        for text in [
            "",
            "/api/v4/posts",
            "GET",
            "GET  /a/b",
            "get /a/b",
            "* /a/b",
            "CONNECT /a/b",
            "GET a/b",
            "GET /",
            "GET /*",
            "GET /**",
            "GET /api/**",
            "GET /api/v4/**",
            "GET /api/*/**",
            "GET /api/v4/*/**",
            "GET /api/v4/*/x/**",
            "GET /API/v4/*/**",
            "GET /api/v4/*",
            "GET /api/*/users/me",
            "GET /plugins/*/**",
            "GET /a/**/b",
            "GET /a//b",
            "GET /a/",
            "GET /a/../b",
            "GET /a/%62",
            "GET /a/b;c",
            "GET /a/b?c",
            "GET /a/b*",
            "GET /*/b",
        ] {
            assert!(rule(text).is_err(), "{text:?}");
        }
    }
}
