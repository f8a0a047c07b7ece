//! `[[apps]]`: what is taken, and what refuses to start.

use super::*;

#[test]
fn apps_are_checked() {
    let house = House::new();
    let upstream = "upstream = \"http://127.0.0.1:8065\"";
    for bad in [
        "http://a/chat",
        "http://u:p@a",
        "http://a/?x",
        "unix:/run/x",
        "a:1",
        "http://",
    ] {
        house.one(
            upstream,
            &format!("upstream = \"{bad}\""),
            "apps[chat].upstream",
        );
    }
    for bad in ["chat", "/chat/", "//", "/a/../b", "/%61", "/.pomerium", ""] {
        let text = format!("{HOST}\nbase_path = \"{bad}\"");
        house.one(HOST, &text, "apps[chat].base_path");
    }
    for bad in [
        "http://chat.example.com",
        "https://other.example.com",
        "https://chat.example.com/",
        "https://chat.example.com:443",
        "chat.example.com",
    ] {
        house.one(
            HOST,
            &format!("{HOST}\norigin = \"{bad}\""),
            "apps[chat].origin",
        );
    }
    let port = format!("{HOST}\norigin = \"https://chat.example.com:8443\"");
    assert!(house.mistakes(HOST, &port).is_empty());
    house.one(
        HOST,
        &format!("{HOST}\nissuer = \"other\""),
        "apps[chat].issuer",
    );
    let bot = "bot_token = {";
    for bad in ["Main", "postgres", "a", "-x"] {
        let text = format!("team = \"{bad}\"\n{bot}");
        house.one(bot, &text, "apps[chat].mattermost.team");
    }
    house.one(
        bot,
        &format!("create_team = true\n{bot}"),
        "apps[chat].mattermost.create_team",
    );
}

#[test]
fn sessions_are_checked() {
    let house = House::new();
    let section = "[apps.mattermost]";
    for (key, value) in [
        ("tombstone", "14h"),
        ("stale_after", "89s"),
        ("absolute", "1m"),
        ("idle", "never"),
        ("replay_body", "2MiB"),
        ("external_revoke", "signout"),
    ] {
        let text = format!("[apps.session]\n{key} = \"{value}\"\n{section}");
        house.one(section, &text, &format!("apps[chat].session.{key}"));
    }
    let longer = format!("[apps.session]\nabsolute = \"26h\"\n{section}");
    house.one(section, &longer, "apps[chat].session.tombstone");
    let leeway = "id = \"pomerium\"\nleeway = \"61s\"";
    house.one("id = \"pomerium\"", leeway, "issuers[pomerium].leeway");
}

#[test]
fn machine_routes_are_canonical_and_narrow() {
    let house = House::new();
    let route = |path: &str| {
        format!("{MINIMAL}\n[[apps.machine_routes]]\nmethod = \"POST\"\npath = \"{path}\"\n")
    };
    for good in ["/hooks/*", "/hooks/commands/x", "/api/v4/system/ping"] {
        assert!(house.load(&with_store(&route(good))).is_ok(), "{good}");
    }
    for bad in [
        "/*",
        "/",
        "*",
        "",
        "hooks/*",
        "/hooks*",
        "/hooks/",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/%2e/",
        "/a;b",
        "/a?b",
        "/a#b",
        "/a\\\\b",
        "/*/x",
        "/.pomerium/x",
        "/.auth-manager/*",
        "/é",
    ] {
        let errors = house.load(&with_store(&route(bad))).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{bad}: {errors}");
    }
    for method in ["post", "CONNECT", "TRACE", "*"] {
        let text = route("/hooks/*").replace("POST", method);
        assert!(house.load(&with_store(&text)).is_err(), "{method}");
    }
    let below = route("/hooks/*").replace(HOST, &format!("{HOST}\nbase_path = \"/chat\""));
    assert!(house.load(&with_store(&below)).is_err());
    assert!(
        house
            .load(&with_store(&below.replace("/hooks", "/chat/hooks")))
            .is_ok()
    );
    assert!(
        house
            .load(&with_store(&below.replace("/hooks", "/chat")))
            .is_err()
    );
}

#[test]
fn apps_may_stand_in_files_of_their_own() {
    let house = House::new();
    let (rest, app) = MINIMAL.split_at(MINIMAL.find("[[apps]]").unwrap());
    let app = house.moved(app);
    house.write("etc/apps.d/b.toml", &app.replace("chat", "talk"));
    house.write("etc/apps.d/a.toml", &app);
    house.write("etc/apps.d/readme.txt", "not TOML");
    let config = house
        .load(&with_store(rest))
        .unwrap_or_else(|e| panic!("{e}"));
    let ids: Vec<_> = config.apps.iter().map(|app| app.id.as_str()).collect();
    assert_eq!(ids, ["chat", "talk"]);
    house.write(
        "etc/apps.d/c.toml",
        &format!("[portal]\ncontact = \"x\"\n{app}"),
    );
    let errors = house.load(&with_store(rest)).unwrap_err();
    let keys: Vec<_> = errors.0.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["portal", "apps[chat].id", "apps[chat].host"]);
    assert!(
        errors
            .0
            .iter()
            .all(|error| error.file.ends_with("apps.d/c.toml"))
    );
}
