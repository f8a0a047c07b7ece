//! `[listen.api]` and who calls there: issuers, clients, audiences, services.

use super::*;

/// A served api, an issuer of tokens and a client of each kind.
const SERVICES: &str = r#"
[listen.api]
address = "127.0.0.1:8444"
issuer = "https://api.internal"
[listen.api.tls]
certificate = "/etc/auth-manager/certs/server.pem"
key = "/etc/auth-manager/certs/server-key.pem"
client_ca = "/etc/auth-manager/certs/ca.pem"
[[api_issuers]]
id = "services"
issuer = "https://id.internal/"
jwks = { file = "/etc/auth-manager/certs/app-ca.pem" }
[[audiences]]
id = "https://reports.internal"
scopes = ["read", "write", "read"]
claims = ["email"]
groups = ["staff"]
[[clients]]
id = "one"
certificate_names = ["One.internal", "spiffe://x/one"]
scopes = ["admin", "bridge"]
hosts = ["chat.example.com"]
audiences = ["https://reports.internal"]
[[clients]]
id = "two"
bearer = { issuer = "services", sub = "two" }
scopes = ["introspect"]
[[clients]]
id = "hook"
static_bearer_sha256 = ["2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
scopes = ["hooks"]
[[clients]]
id = "caller"
bearer = { issuer = "services", sub = "caller" }
scopes = ["proxy:chat"]
[[apps.services]]
client = "caller"
bot = "reports"
allow = ["POST /api/v4/posts"]
"#;

impl House {
    fn services(&self, from: &str, to: &str) -> Result<Config, ConfigErrors> {
        let text = with_store(&format!("{MINIMAL}{SERVICES}"));
        assert!(text.contains(from), "{from:?}");
        self.load(&text.replace(from, to))
    }

    fn service_mistake(&self, from: &str, to: &str, key: &str) {
        let errors = self.services(from, to).expect_err(to).0;
        assert_eq!(errors.len(), 1, "{to}: {errors:#?}");
        assert_eq!(errors[0].key, key, "{to}");
        assert!(
            !errors[0].remedy.is_empty() && errors[0].line.is_some(),
            "{to}"
        );
        assert!(!errors[0].to_string().contains("geheim"), "{to}");
    }
}

#[test]
fn the_api_listener_is_off_by_default_and_checked_when_it_is_on() {
    let house = House::new();
    assert!(house.load(&with_store(MINIMAL)).unwrap().api.is_none());
    let off = house.services("address = \"127.0.0.1:8444\"", "address = \"off\"");
    assert!(off.unwrap().api.is_none());
    let config = house
        .services("x/one", "x/one")
        .unwrap_or_else(|e| panic!("{e}"));
    let api = config.api.unwrap();
    assert_eq!(
        (api.issuer.as_str(), api.audience.as_str()),
        ("https://api.internal", "https://api.internal")
    );
    assert!(!api.require_both);
    let one = &config.clients[0];
    assert_eq!(one.dns_names, ["one.internal"]);
    assert_eq!(one.uri_names, ["spiffe://x/one"]);
    assert_eq!(
        config.clients[2].static_bearer_sha256[0][..3],
        [0x2c, 0x26, 0xb4]
    );
    let issuer = "issuer = \"https://api.internal\"";
    for bad in [
        "https://api.internal/",
        "https://api.internal/x",
        "http://api.internal",
        "api",
    ] {
        house.service_mistake(issuer, &format!("issuer = \"{bad}\""), "listen.api.issuer");
    }
    // An assertion for an app's visitors would fit.
    house.service_mistake(
        issuer,
        "issuer = \"https://chat.example.com\"",
        "listen.api.issuer",
    );
    let aud = format!("{issuer}\naudience = \"chat.example.com\"");
    house.service_mistake(issuer, &aud, "listen.api.audience");
    house.service_mistake(issuer, "", "listen.api.issuer");
    let last = "client_ca = \"/etc/auth-manager/certs/ca.pem\"\n[[api";
    let crl = format!("client_crl = \"/etc/auth-manager/certs/none.crl\"\n{last}");
    house.service_mistake(last, &crl, "listen.api.tls.client_crl");
    // Without an authority no certificate counts.
    house.service_mistake(last, "[[api", "clients[one].certificate_names");
    let both = format!("{issuer}\nrequire_both = true");
    house.service_mistake(issuer, &both, "clients[one].scopes");
    let plain = "[listen.api]\naddress = \"0.0.0.0:8444\"\nissuer = \"https://a.b\"\n";
    let errors = house
        .load(&with_store(&format!("{MINIMAL}{plain}")))
        .unwrap_err();
    assert_eq!(errors.0[0].key, "listen.api.address", "{errors}");
    let allowed = format!("{MINIMAL}{plain}insecure_plain_http = true\n");
    let config = house.load(&with_store(&allowed)).unwrap();
    assert_eq!(config.insecure, ["listen.api.insecure_plain_http"]);
}

#[test]
fn issuers_of_callers_tokens_are_not_those_of_people() {
    let house = House::new();
    let jwks = "jwks = { file = \"/etc/auth-manager/certs/app-ca.pem\" }";
    let people = "jwks = { url = \"https://chat.example.com/.well-known/pomerium/jwks.json\" }";
    house.service_mistake(jwks, people, "api_issuers[services].jwks");
    let elsewhere = "jwks = { url = \"https://other.test/.well-known/pomerium/jwks.json\" }";
    house.service_mistake(jwks, elsewhere, "api_issuers[services].jwks");
    for (key, value) in [
        ("algorithms", "[\"HS256\"]"),
        ("algorithms", "[\"none\"]"),
        ("algorithms", "[]"),
        ("max_lifetime", "\"61m\""),
        ("profile", "\"id-token\""),
        ("typ", "\"\""),
    ] {
        let text = format!("{jwks}\n{key} = {value}");
        house.service_mistake(jwks, &text, &format!("api_issuers[services].{key}"));
    }
    let own = format!("{jwks}\nprofile = \"client-assertion\"\ntyp = \"JWT\"");
    house.service_mistake(jwks, &own, "api_issuers[services].typ");
}

#[test]
fn clients_prove_who_they_are_and_may_do_what_exists() {
    let house = House::new();
    let hash = "[\"2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"]";
    for (from, to, key) in [
        ("id = \"one\"", "id = \"One\"", "clients[One].id"),
        ("id = \"two\"", "id = \"one\"", "clients[one].id"),
        (
            "\"spiffe://x/one\"",
            "\"*.internal\"",
            "clients[one].certificate_names",
        ),
        ("\"admin\"", "\"Admin\"", "clients[one].scopes"),
        ("\"introspect\"", "", "clients[two].scopes"),
        (
            "[\"chat.example.com\"]\naud",
            "[\"*\"]\naud",
            "clients[one].hosts",
        ),
        (
            "[\"https://reports.internal\"]",
            "[\"*\"]",
            "clients[one].audiences",
        ),
        (
            "issuer = \"services\", sub = \"two\"",
            "issuer = \"pomerium\", sub = \"two\"",
            "clients[two].bearer.issuer",
        ),
        (
            "bearer = { issuer = \"services\", sub = \"two\" }\n",
            "",
            "clients[two]",
        ),
        (hash, "[\"geheim\"]", "clients[hook].static_bearer_sha256"),
        (
            "[\"hooks\"]",
            "[\"hooks\", \"introspect\"]",
            "clients[hook].scopes",
        ),
        ("[\"hooks\"]", "[\"admin\"]", "clients[hook].scopes"),
        // One credential, two clients.
        (
            "bearer = { issuer = \"services\", sub = \"two\" }",
            "certificate_names = [\"ONE.internal\"]\nbearer = { issuer = \"services\", sub = \"two\" }",
            "clients[two].certificate_names",
        ),
    ] {
        house.service_mistake(from, to, key);
    }
}

#[test]
fn services_call_as_a_bot_of_their_own_what_is_listed() {
    let house = House::new();
    let config = house.services("\"reports\"", "\"reports\"").unwrap();
    let service = &config.apps[0].services[0];
    assert_eq!(
        (service.client.as_str(), service.audit_reads),
        ("caller", true)
    );
    assert!(config.insecure.is_empty());
    house.write("etc/service.token", "y");
    let service = "apps[chat].services[caller]";
    let token = |file: &str| format!("bot_token = {{ file = \"/etc/auth-manager/{file}\" }}");
    for (from, to, key) in [
        ("client = \"caller\"", "client = \"nobody\"", ".client"),
        ("client = \"caller\"", "client = \"two\"", ".client"),
        ("bot = \"reports\"\n", "", ".bot"),
        ("bot = \"reports\"", "bot = \"R\"", ".bot"),
        (
            "bot = \"reports\"",
            &format!("bot = \"reports\"\n{}", token("service.token")),
            ".bot_token",
        ),
        // The bridge's own bot is an administrator.
        ("bot = \"reports\"", &token("bot.token"), ".bot_token"),
        ("bot = \"reports\"", "bot_token = \"geheim\"", ".bot_token"),
        ("[\"POST /api/v4/posts\"]", "[]", ".allow"),
        ("allow = [\"POST /api/v4/posts\"]\n", "", ".allow"),
        ("POST /api/v4/posts", "POST /**", ".allow"),
        ("POST /api/v4/posts", "POST /api/v4/**", ".allow"),
        ("POST /api/v4/posts", "* /api/v4/posts", ".allow"),
        ("POST /api/v4/posts", "POST /api/v4//posts", ".allow"),
        (
            "POST /api/v4/posts\"",
            "POST /api/v4/posts\", \"POST /api/v4/posts\"",
            ".allow",
        ),
    ] {
        let errors = house.services(from, to).expect_err(to).0;
        // One that names another client leaves the first one without a bot, too.
        let named = ["nobody", "two"].into_iter().find(|id| to.contains(*id));
        let wanted = format!("{service}{key}").replace("caller", named.unwrap_or("caller"));
        let error = errors.iter().find(|error| error.key == wanted);
        let error = error.unwrap_or_else(|| panic!("{to}: {errors:#?}"));
        assert!(!error.remedy.is_empty() && error.line.is_some(), "{to}");
        assert!(
            errors
                .iter()
                .all(|error| !error.to_string().contains("geheim"))
        );
    }
    // A scope without a bot would be good for nothing.
    house.service_mistake(
        "scopes = [\"introspect\"]",
        "scopes = [\"proxy:chat\"]",
        "clients[two].scopes",
    );
    let errors = house.services("proxy:chat", "proxy:talk").unwrap_err().0;
    let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "clients[caller].scopes",
            "apps[chat].services[caller].client"
        ]
    );
    // What weakens it is listed.
    let list =
        "allow = [\"POST /api/v4/posts\"]\ninsecure_allow = [\"PUT /api/v4/users/*/active\"]";
    let config = house
        .services("allow = [\"POST /api/v4/posts\"]", list)
        .unwrap();
    assert_eq!(config.insecure, [format!("{service}.insecure_allow")]);
    // The token of a bot of one's own.
    let config = house
        .services("bot = \"reports\"", &token("service.token"))
        .unwrap();
    assert!(matches!(
        config.apps[0].services[0].bot,
        BotSource::Token(_)
    ));
}

#[test]
fn audiences_are_services_and_say_what_they_are_told() {
    let house = House::new();
    let config = house.services("", "").unwrap_or_else(|e| panic!("{e}"));
    let audience = &config.audiences[0];
    assert_eq!(audience.scopes, ["read", "write"]);
    assert_eq!(audience.lifetime, Duration::from_secs(300));
    assert_eq!(audience.subject, SubjectKind::Shared);
    assert_eq!(audience.claims, [AudienceClaim::Email]);
    let id = "[[audiences]]\nid = \"https://reports.internal\"";
    for bad in [
        "*",
        "a b",
        "https://chat.example.com",
        "chat.example.com",
        "https://api.internal",
    ] {
        let with = format!("[[audiences]]\nid = \"{bad}\"");
        let errors = house.services(id, &with).expect_err(bad).0;
        assert_eq!(errors[0].key, format!("audiences[{bad}].id"), "{errors:#?}");
    }
    let key = |key: &str| format!("audiences[https://reports.internal].{key}");
    for (line, at) in [
        ("subject = \"pairwise\"", "claims"),
        ("subject = \"both\"", "subject"),
        ("lifetime = \"11m\"", "lifetime"),
    ] {
        let line = line.to_owned() + "\nscopes = [\"read\"";
        house.service_mistake("scopes = [\"read\"", &line, &key(at));
    }
    for (from, to, at) in [
        ("\"write\"", "\"wr ite\"", "scopes"),
        ("[\"email\"]", "[\"phone\"]", "claims"),
        ("[\"staff\"]", "[\"\"]", "groups"),
    ] {
        house.service_mistake(from, to, &key(at));
    }
    let none = "audiences = [\"https://reports.internal\"]";
    let other = "audiences = [\"https://other.internal\"]";
    house.service_mistake(none, other, "clients[one].audiences");
    let twice = "[[audiences]]\nid = \"https://reports.internal\"\n[[audiences]]\nid = \"https://reports.internal\"";
    house.service_mistake(id, twice, &key("id"));
}
