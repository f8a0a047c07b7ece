//! The configuration as a whole: the shipped files load, the documented defaults are the code's,
//! and each mistake is named with its line and its remedy.

mod access;
mod apps;
mod directories;
mod hooks;
mod mail;
mod provision;
mod scim;
mod services;
mod write;

use super::findings::{Problems, Source};
use super::load::examine;
use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ANNOTATED: &str = include_str!("../../config/auth-manager.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

/// A folder with the files that the shipped examples name, and the texts moved there.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let house = Self { folder };
        std::fs::create_dir_all(house.path("etc/certs")).unwrap();
        std::fs::create_dir_all(house.path("var/checkpoints")).unwrap();
        for name in ["server.pem", "server-key.pem", "ca.pem", "app-ca.pem"] {
            house.write(&format!("etc/certs/{name}"), "x");
        }
        for name in [
            "pomerium-ca.pem",
            "postgres-ca.pem",
            "clients-ca.pem",
            "clients.crl",
            "collector-ca.pem",
        ] {
            house.write(&format!("etc/certs/{name}"), "x");
        }
        for name in [
            "master.key",
            "master-2025.key",
            "master-2027.key",
            "bot.token",
            "collector.token",
            "directory.token",
            "directory-write.token",
            "mail.password",
        ] {
            house.write(&format!("etc/{name}"), "x");
        }
        house.write("etc/hooks.secret", "kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa\n");
        house.write("etc/postgres.url", "postgres://a:geheim@db/x\n");
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    fn load(&self, text: &str) -> Result<Config, ConfigErrors> {
        Config::load(&self.write("etc/auth-manager.toml", &self.moved(text)))
    }

    fn moved(&self, text: &str) -> String {
        text.replace("/etc/auth-manager", &self.path("etc").display().to_string())
            .replace(
                "/var/lib/auth-manager",
                &self.path("var").display().to_string(),
            )
    }

    /// The mistakes in the minimal file after replacing one text by another.
    fn mistakes(&self, from: &str, to: &str) -> Vec<ConfigError> {
        let base = with_store(MINIMAL);
        assert!(base.contains(from), "{from:?}");
        match self.load(&base.replace(from, to)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0,
        }
    }

    /// Asserts that there is one mistake, about this key.
    fn one(&self, from: &str, to: &str, key: &str) -> ConfigError {
        let errors = self.mistakes(from, to);
        assert_eq!(errors.len(), 1, "{to}: {errors:#?}");
        assert_eq!(errors[0].key, key, "{to}");
        assert!(!errors[0].remedy.is_empty(), "{to}");
        errors[0].clone()
    }
}

/// The minimal file with the store's default spelled out, so that it can be moved.
fn with_store(text: &str) -> String {
    let sqlite = "[store]\nsqlite = \"/var/lib/auth-manager/auth-manager.db\"\n\n[keys]";
    text.replace("[keys]", sqlite)
}

const HOST: &str = "host = \"chat.example.com\"";

#[test]
fn shipped_examples_load_and_state_the_codes_own_defaults() {
    let house = House::new();
    let minimal = house
        .load(&with_store(MINIMAL))
        .unwrap_or_else(|e| panic!("{e}"));
    let annotated = house.load(ANNOTATED).unwrap_or_else(|e| panic!("{e}"));
    // What they say is the same; how, is not.
    assert_ne!(minimal.fingerprint, annotated.fingerprint);
    let without = |mut config: Config| {
        config.fingerprint = Fingerprint::default();
        format!("{config:#?}")
    };
    assert_eq!(without(minimal), without(annotated.clone()));
    assert!(ANNOTATED.contains(&format!("sqlite = \"{}\"", sections::DEFAULT_STORE)));
    assert!(annotated.insecure.is_empty());
}

#[test]
fn defaults_are_those_of_the_model() {
    let house = House::new();
    let config = house.load(&with_store(MINIMAL)).unwrap();
    let seconds = Duration::from_secs;
    let issuer = &config.issuers[0];
    assert_eq!(
        (issuer.refresh, issuer.cooldown),
        (seconds(60), seconds(10))
    );
    assert_eq!(
        (issuer.leeway, issuer.max_lifetime),
        (seconds(30), seconds(600))
    );
    assert_eq!(
        (issuer.replay, issuer.replay_entries),
        (ReplayMode::Enforce, 262_144)
    );
    assert_eq!(issuer.stale_limit, seconds(86_400));
    let app = &config.apps[0];
    assert_eq!((app.name.as_str(), app.base_path.as_str()), ("chat", "/"));
    assert_eq!(app.origin, "https://chat.example.com");
    assert_eq!(app.response_timeout, seconds(60));
    let session = &app.session;
    assert_eq!(
        (session.absolute, session.overall),
        (seconds(50_400), seconds(2_592_000))
    );
    assert_eq!(
        (session.idle, session.stale_after),
        (seconds(43_200), seconds(180))
    );
    assert_eq!(
        (session.socket_max_age, session.tombstone),
        (seconds(3600), seconds(90_000))
    );
    assert_eq!(
        (session.page_wait, session.other_wait),
        (seconds(2), seconds(30))
    );
    assert_eq!(session.external_revoke, ExternalRevoke::SignOut);
    assert_eq!(
        (session.sign_out, session.replay_body),
        (SignOut::Pomerium, 65_536)
    );
    let AppKind::Mattermost(mattermost) = &app.kind;
    assert_eq!((mattermost.link, mattermost.logins), (LinkPolicy::Never, 2));
    assert_eq!(
        (mattermost.login_timeout, mattermost.create_team),
        (seconds(30), false)
    );
    assert_eq!(
        (config.limits.head, config.limits.assertion),
        (196_608, 65_536)
    );
    assert_eq!(
        (config.limits.connections, config.limits.drain),
        (20_000, seconds(30))
    );
    assert_eq!(
        config.limits.notice,
        seconds(0),
        "one replica restarts at once"
    );
    assert_eq!(config.ops.address, Some(([127, 0, 0, 1], 9464).into()));
    assert_eq!(config.keys.announce, seconds(600));
    assert_eq!(config.proxy.health_path, "/.auth-manager/health");
}

#[test]
fn the_fingerprint_tells_sections_apart_and_ignores_comments() {
    let house = House::new();
    let load = |text: &str| {
        house
            .load(text)
            .unwrap_or_else(|e| panic!("{e}"))
            .fingerprint
    };
    let base = with_store(MINIMAL);
    let first = load(&base);
    assert_eq!(first, load(&base));
    let commented = load(&format!("# a remark\n{base}"));
    assert_eq!(first.sections, commented.sections);
    assert_ne!(first.files, commented.files);
    let changed = load(&format!("{base}\n[portal]\ncontact = \"help\"\n"));
    let differ: Vec<_> = changed
        .sections
        .iter()
        .filter(|(name, hash)| first.sections.get(*name) != Some(hash))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(differ, ["portal"]);
}

#[test]
fn the_annotated_file_shows_every_key_and_no_other() {
    let house = House::new();
    let uncommented: String = house
        .moved(ANNOTATED)
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        // The two stores exclude each other; an inline table can't be continued.
        .filter(|line| !line.starts_with("sqlite") && !line.starts_with("jwks.ca"))
        .filter(|line| *line != "address = \"off\"")
        // A service's bot is managed here or there.
        .filter(|line| !line.contains("alerts.token"))
        // A directory is of one kind.
        .filter(|line| {
            !["realm = ", "client_id = ", "client_secret = "]
                .iter()
                .any(|k| line.starts_with(k))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let uncommented = uncommented
        .replace("jwks.json\" }", "jwks.json\", ca = \"certs/ca.pem\" }")
        .replace("http://127.0.0.1:8065", "https://127.0.0.1:8065")
        .replace("[listen.api]", "[listen.api]\naddress = \"0.0.0.0:8444\"")
        .replace("bots = \"disable\"", "bots = \"hand-over\"");
    let source = Source {
        name: "annotated".into(),
        text: uncommented,
    };
    let (result, known) = examine(&source, &[], Problems::new(&house.path("etc")));
    let config = result.unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(config.store, StoreConfig::Postgres { .. }));
    assert!(!format!("{config:?}").contains("geheim"));
    let api = config.api.unwrap();
    assert_eq!(api.audience, "https://auth-manager.internal:8444");
    assert_eq!((api.body, api.rate, api.burst), (1 << 20, 50, 200));
    assert_eq!((config.clients.len(), config.api_issuers.len()), (2, 1));
    for (section, key) in known {
        let shown = ANNOTATED.contains(&format!("{key} = "))
            || ANNOTATED.contains(&format!("[{}", [section.as_str(), key].join(".")))
            || ANNOTATED.contains(&format!("[{key}"));
        assert!(
            shown,
            "config/auth-manager.toml does not show {section}.{key}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let house = House::new();
    let text = with_store(MINIMAL)
        .replace("address =", "adress =")
        .replace("id = \"chat\"", "id = \"Chat!\"\nresponse_timeout = 30")
        .replace("any_of", "anyof");
    let errors = house.load(&text).unwrap_err();
    let keys: Vec<_> = errors.0.iter().map(|error| error.key.as_str()).collect();
    for key in [
        "listen.proxy.address",
        "listen.proxy.adress",
        "apps[Chat!].id",
        "apps[Chat!].response_timeout",
        "apps[Chat!].access",
        "apps[Chat!].access.anyof",
    ] {
        assert!(keys.contains(&key), "{key}: {errors}");
    }
    assert_eq!(keys.len(), 6, "{errors}");
    let adress = errors.0.iter().find(|e| e.key.ends_with("adress")).unwrap();
    assert_eq!(
        (adress.line, adress.remedy.as_str()),
        (Some(4), "Did you mean `address`?")
    );
    let text = errors.to_string();
    assert!(
        text.starts_with("There are 6 mistakes in the configuration:\n"),
        "{text}"
    );
    assert!(
        text.contains("auth-manager.toml, line 4: listen.proxy.adress\n"),
        "{text}"
    );
}

#[test]
fn a_key_in_the_wrong_section_is_sent_home() {
    let house = House::new();
    let error = house.one(
        HOST,
        &format!("{HOST}\ntombstone = \"40h\""),
        "apps[chat].tombstone",
    );
    assert_eq!(error.remedy, "`tombstone` belongs in [apps.session].");
    assert_eq!(error.line, Some(26));
    let error = house.one(HOST, &format!("{HOST}\ncolour = 1"), "apps[chat].colour");
    assert!(error.remedy.contains("upstream_ca"), "{error}");
}

#[test]
fn what_would_let_strangers_in_is_refused() {
    let house = House::new();
    let no_tls = "[listen.other]\n";
    let tls = "[listen.proxy.tls]\n";
    let errors = house.mistakes(tls, no_tls);
    assert!(
        errors.iter().any(|e| e.key == "listen.proxy.address"),
        "{errors:#?}"
    );
    let names = "client_names = [\"pomerium.internal\"]";
    house.one(names, "client_names = []", "listen.proxy.tls.client_names");
    house.one(names, "", "listen.proxy.tls.client_names");
    house.one(
        names,
        "client_names = [\" \"]",
        "listen.proxy.tls.client_names",
    );
    let ca =
        "client_ca = \"/etc/auth-manager/certs/ca.pem\"\nclient_names = [\"pomerium.internal\"]";
    house.one(ca, "", "listen.proxy.tls.client_ca");
    let url = "\"https://chat.example.com/.well-known/pomerium/jwks.json\"";
    for bad in [
        "\"http://chat.example.com/jwks\"",
        "\"ftp://x/\"",
        "\"http://localhost.evil/\"",
    ] {
        house.one(url, bad, "issuers[pomerium].jwks.url");
    }
    assert!(house.mistakes(url, "\"http://127.0.0.1/jwks\"").is_empty());
    let access = "any_of = [\"mattermost-users\"]";
    for bad in [
        "",
        "any_of = []",
        "everyone = false",
        "validated = \"staff\"",
    ] {
        house.one(access, bad, "apps[chat].access");
    }
    house.one(
        access,
        "everyone = true\nany_of = [\"a\"]",
        "apps[chat].access.everyone",
    );
}

#[test]
fn weakening_is_listed() {
    let house = House::new();
    let url = "\"https://chat.example.com/.well-known/pomerium/jwks.json\" }";
    let text = with_store(MINIMAL)
        .replace(
            url,
            "\"http://keys.internal/\" }\ninsecure_http_jwks = true",
        )
        .replace(
            "[listen.proxy]",
            "insecure_secret_permissions = true\n[listen.proxy]",
        );
    let config = house.load(&text).unwrap_or_else(|e| panic!("{e}"));
    let listed = [
        "insecure_secret_permissions",
        "issuers[pomerium].insecure_http_jwks",
    ];
    assert_eq!(config.insecure, listed);
    assert!(config.allows_shared_secrets());
}

#[test]
fn secrets_must_be_there_and_private_and_are_never_shown() {
    let house = House::new();
    let token = house.path("etc/bot.token");
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o644)).unwrap();
    let error = house.one(HOST, HOST, "apps[chat].mattermost.bot_token.file");
    assert!(error.remedy.contains("chmod 600"), "{error}");
    let open = format!("insecure_secret_permissions = true\n{MINIMAL}");
    assert!(house.load(&with_store(&open)).is_ok());
    std::fs::remove_file(&token).unwrap();
    house.one(HOST, HOST, "apps[chat].mattermost.bot_token.file");
    let bot = "bot_token = { file = \"/etc/auth-manager/bot.token\" }";
    let error = house.one(
        bot,
        "bot_token = \"geheim\"",
        "apps[chat].mattermost.bot_token",
    );
    assert!(!error.to_string().contains("geheim"));
    for bad in [
        "{}",
        "{ file = \"/etc/auth-manager/master.key\", credential = \"x\" }",
    ] {
        let errors = house.mistakes(bot, &format!("bot_token = {bad}"));
        assert!(
            errors
                .iter()
                .any(|e| e.key == "apps[chat].mattermost.bot_token"),
            "{errors:#?}"
        );
    }
    let credential = "bot_token = { credential = \"../bot\" }";
    house.one(
        bot,
        credential,
        "apps[chat].mattermost.bot_token.credential",
    );
}

#[test]
fn what_is_no_configuration_is_said_in_one_sentence() {
    let house = House::new();
    let errors = Config::load(&house.path("etc/none.toml")).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    let errors = house.load("[listen.proxy\naddress = \"x\"\n").unwrap_err();
    assert!(
        errors
            .0
            .iter()
            .all(|e| e.problem.starts_with("This is not TOML")),
        "{errors}"
    );
    assert_eq!(errors.0[0].line, Some(1), "{errors}");
    assert!(house.load("").unwrap_err().0.len() >= 4);
}

#[test]
fn what_init_writes_loads() {
    let house = House::new();
    let host = crate::types::HostName::new("chat.example.org").unwrap();
    let mut init = Init {
        jwks: Init::jwks_of(&host).unwrap(),
        host,
        upstream: url::Url::parse("http://127.0.0.1:8065").unwrap(),
        jwks_ca: None,
        secrets: house.path("etc"),
        state: house.path("var"),
        certificates: None,
        client_name: "pomerium.internal".into(),
    };
    let config = house
        .load(&write_default(&init))
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(config.proxy.tls.is_none() && config.proxy.address.ip().is_loopback());
    init.certificates = Some(house.path("etc/certs"));
    init.jwks_ca = Some(house.path("etc/certs/ca.pem"));
    let config = house
        .load(&write_default(&init))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        config.proxy.tls.unwrap().client_names,
        ["pomerium.internal"]
    );
    assert!(config.insecure.is_empty());
    // A folder's name can't break out of its text.
    init.state = PathBuf::from("/nowhere/\"\n[limits]\nhead = 1\n\"");
    let errors = house.load(&write_default(&init)).unwrap_err();
    assert_eq!(errors.0[0].key, "store.sqlite", "{errors}");
}

#[test]
fn what_is_wrong_with_the_postgres_url_is_said_once() {
    let house = House::new();
    let postgres = |file: &str| {
        MINIMAL.replace(
            "[keys]",
            &format!("[store.postgres]\nurl = {{ file = \"{file}\" }}\n\n[keys]"),
        )
    };
    assert!(house.load(&postgres("postgres.url")).is_ok());

    let errors = house.load(&postgres("missing.url")).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert_eq!(errors.0[0].key, "store.postgres.url.file");

    house.write("etc/bad.url", "postgres://a:ge/heim@db/x\n");
    let errors = house.load(&postgres("bad.url")).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(errors.0[0].remedy.contains("%2F"), "{errors}");
    assert!(!errors.to_string().contains("heim"));
}

#[test]
fn keys_change_by_a_schedule_that_gives_each_time_to_be_known() {
    let house = House::new();
    let with = |lines: &str| {
        let text = with_store(MINIMAL);
        assert!(text.contains("\n[keys]\n"));
        house.load(&text.replace("\n[keys]\n", &format!("\n[keys]\n{lines}\n")))
    };
    let config = with("").unwrap();
    let day = Duration::from_secs(86_400);
    assert_eq!(config.keys.rotate_every, Some(90 * day));
    let config = with("rotate_every = \"off\"\nannounce = \"1s\"").unwrap();
    assert_eq!(config.keys.rotate_every, None);
    // Nobody may keep the public keys for longer than a new one is announced.
    for announce in [1, 2, 60, 600, 86_400] {
        let announce = Duration::from_secs(announce);
        assert!(jwks_max_age(announce) * 2 <= announce);
    }
    for (lines, key) in [
        ("rotate_every = \"19m\"", "keys.rotate_every"),
        (
            "rotate_every = \"1s\"\nannounce = \"1s\"",
            "keys.rotate_every",
        ),
        ("rotate_every = \"never\"", "keys.rotate_every"),
        ("rotate_every = 90", "keys.rotate_every"),
        ("announce = \"500ms\"", "keys.announce"),
    ] {
        let errors = with(lines).unwrap_err();
        assert_eq!(errors.0[0].key, key, "{lines}: {errors}");
    }
}

#[test]
fn traces_go_where_nobody_listens_on_the_way() {
    let house = House::new();
    let with = |lines: &str| {
        house.load(&with_store(&format!(
            "{MINIMAL}\n[telemetry.traces]\n{lines}\n"
        )))
    };
    let here = "endpoint = \"http://127.0.0.1:4318/v1/traces\"";
    let config = with(here).unwrap();
    let traces = config.traces.unwrap();
    assert_eq!(traces.one_in, 1);
    assert_eq!(traces.instance, config.proxy.address.to_string());
    assert!(house.load(&with_store(MINIMAL)).unwrap().traces.is_none());
    for (lines, key) in [
        ("", "telemetry.traces.endpoint"),
        (
            "endpoint = \"http://collector.test/v1/traces\"",
            "telemetry.traces.endpoint",
        ),
        (
            "endpoint = \"ftp://127.0.0.1/\"",
            "telemetry.traces.endpoint",
        ),
        (
            "endpoint = \"http://127.0.0.1/\"\none_in = 0",
            "telemetry.traces.one_in",
        ),
        (
            "endpont = \"http://127.0.0.1/\"",
            "telemetry.traces.endpont",
        ),
    ] {
        let errors = with(lines).unwrap_err();
        assert!(errors.0.iter().any(|e| e.key == key), "{lines}: {errors}");
    }
    let plain = "endpoint = \"http://collector.test/\"\ninsecure_http_traces = true";
    let config = with(plain).unwrap();
    assert_eq!(config.insecure, ["telemetry.traces.insecure_http_traces"]);
}

/// Keys and values near enough to real ones to get past the first check.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        proptest::sample::select(vec![
            "id",
            "host",
            "apps",
            "issuers",
            "jwks",
            "url",
            "file",
            "store",
            "listen",
            "proxy",
            "tls",
            "address",
            "path",
            "method",
            "everyone",
            "any_of",
            "absolute",
            "bot_token",
            "upstream",
            "origin",
            "base_path",
            "mattermost",
            "machine_routes",
            "clients",
            "api",
            "scopes",
            "static_bearer_sha256",
            "team",
            "postgres",
        ])
        .prop_map(str::to_owned),
        "[a-z_]{1,12}",
    ];
    let value = prop_oneof![
        "\"[ -!#-\\[\\]-~é]{0,30}\"",
        "-?[0-9]{1,20}",
        Just("true".to_owned()),
        Just("1.5".to_owned()),
        Just("[\"a\", 1]".to_owned()),
        Just("{ url = \"http://a\", file = 3 }".to_owned()),
        Just("[{}, { file = \"x\" }, 3]".to_owned()),
        Just("1979-05-27".to_owned()),
    ];
    (key, value, 0..6_u8).prop_map(|(key, value, form)| match form {
        0 => format!("[{key}]"),
        1 => format!("[[{key}]]"),
        2 => format!("[listen.{key}]"),
        3 => format!("[apps.{key}]"),
        _ => format!("{key} = {value}"),
    })
}

proptest! {
    #[test]
    fn no_text_panics_or_loads(lines in prop::collection::vec(line(), 0..20), noise in "\\PC{0,20}") {
        // Files that no machine has.
        let minimal = with_store(MINIMAL).replace("/auth-manager", "/none/such");
        for text in [lines.join("\n"), format!("{minimal}\n{}", lines.join("\n")), noise] {
            let source = Source { name: "x".into(), text };
            let (result, _) = examine(&source, &[], Problems::new(Path::new("/nonexistent")));
            let errors = result.unwrap_err();
            prop_assert!(!errors.0.is_empty());
            let _ = errors.to_string();
        }
    }
}
