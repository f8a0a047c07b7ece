//! `[[directories]]`: what is taken, and what refuses to start.

use super::*;

const AUTHENTIK: &str = r#"
[[directories]]
id = "authentik"
kind = "authentik"
url = "https://id.example.com/auth"
token = { file = "/etc/auth-manager/directory.token" }
"#;
const KEYCLOAK: &str = r#"
[[directories]]
id = "keycloak"
kind = "keycloak"
url = "https://id.example.com"
realm = "main"
client_id = "auth-manager"
client_secret = { file = "/etc/auth-manager/directory.token" }
"#;

impl House {
    fn directories(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.load(&with_store(&format!("{MINIMAL}{text}")))
    }

    fn directory_mistake(&self, text: &str, key: &str) -> ConfigError {
        let errors = self.directories(text).expect_err(text).0;
        assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
        assert_eq!(errors[0].key, format!("directories[{key}"), "{text}");
        assert!(
            errors[0].line.is_some() && !errors[0].remedy.is_empty(),
            "{text}"
        );
        errors[0].clone()
    }
}

#[test]
fn an_id_is_none_that_the_bridge_keeps_for_itself() {
    let house = House::new();
    for own in ["auth-manager-terms", "auth-manager-x"] {
        let text = AUTHENTIK.replace("\"authentik\"\nkind", &format!("\"{own}\"\nkind"));
        let mistake = house.directory_mistake(&text, &format!("{own}].id"));
        assert!(
            mistake.problem.contains("kept for the bridge"),
            "{mistake:?}"
        );
    }
}

#[test]
fn a_directory_has_the_documented_defaults() {
    let house = House::new();
    let config = house
        .directories(&format!("{AUTHENTIK}{KEYCLOAK}"))
        .unwrap_or_else(|e| panic!("{e}"));
    let [authentik, keycloak] = config.directories.as_slice() else {
        panic!("two of them");
    };
    assert_eq!(authentik.issuer.as_str(), "pomerium", "the only one");
    assert_eq!(authentik.url.as_str(), "https://id.example.com/auth/");
    let seconds = Duration::from_secs;
    assert_eq!((authentik.page_size, authentik.reads), (100, 4));
    assert_eq!(
        (
            authentik.timeout,
            authentik.groups_max_age,
            authentik.expiry_warning
        ),
        (seconds(20), seconds(60), seconds(14 * 86_400))
    );
    let DirectoryKind::Authentik(own) = &authentik.kind else {
        panic!("its kind");
    };
    assert_eq!(own.subject, AuthentikSubject::Uid);
    assert_eq!(
        own.types,
        [AuthentikType::Internal, AuthentikType::External]
    );
    assert_eq!(own.ignore, ["goauthentik.io"]);
    let DirectoryKind::Keycloak(own) = &keycloak.kind else {
        panic!("its kind");
    };
    assert_eq!(
        (own.realm.as_str(), own.client_id.as_str()),
        ("main", "auth-manager")
    );
    assert!(config.insecure.is_empty());
}

#[test]
fn t33_a_subject_that_changes_hands_refuses_to_start() {
    let house = House::new();
    for (rule, says) in [
        ("username", "user name can be changed"),
        ("email", "e-mail address can be changed"),
        ("upn", "can be changed"),
        ("sub", "not a choice"),
    ] {
        let text = format!("{AUTHENTIK}subject = \"{rule}\"");
        let error = house.directory_mistake(&text, "authentik].subject");
        assert!(error.problem.contains(says), "{error}");
    }
    house.directory_mistake(
        &format!("{KEYCLOAK}subject = \"username\""),
        "keycloak].subject",
    );
    assert!(
        house
            .directories(&format!("{KEYCLOAK}subject = \"id\""))
            .is_ok()
    );
}

#[test]
fn what_would_make_a_directory_unsafe_or_useless_refuses_to_start() {
    let house = House::new();
    let with = |from: &str, to: &str| AUTHENTIK.replace(from, to);
    let url = "\"https://id.example.com/auth\"";
    for (text, key) in [
        (with(url, "\"http://id.example.com\""), "authentik].url"),
        (with(url, "\"ftp://id.example.com\""), "authentik].url"),
        (
            with(url, "\"https://a:b@id.example.com\""),
            "authentik].url",
        ),
        (with(url, "\"https://id.example.com/?x\""), "authentik].url"),
        (
            with(url, "\"https://id.example.com/api/v3/\""),
            "authentik].url",
        ),
        (with(&format!("url = {url}"), ""), "authentik].url"),
        (with("kind = \"authentik\"", ""), "authentik].kind"),
        (
            with("kind = \"authentik\"", "kind = \"ldap\""),
            "authentik].kind",
        ),
        (
            with("id = \"authentik\"", "id = \"Authentik\""),
            "Authentik].id",
        ),
        (
            with(
                "token = { file = \"/etc/auth-manager/directory.token\" }",
                "",
            ),
            "authentik].token",
        ),
        (
            AUTHENTIK.to_owned() + "issuer = \"nobody\"",
            "authentik].issuer",
        ),
        (
            AUTHENTIK.to_owned() + "types = [\"service_account\"]",
            "authentik].types",
        ),
        (
            AUTHENTIK.to_owned() + "types = [\"people\"]",
            "authentik].types",
        ),
        (AUTHENTIK.to_owned() + "types = []", "authentik].types"),
        (
            AUTHENTIK.to_owned() + "ignore = [\"/\"]",
            "authentik].ignore",
        ),
        (
            AUTHENTIK.to_owned() + "page_size = 101",
            "authentik].page_size",
        ),
        (
            AUTHENTIK.to_owned() + "token_identifier = \"a b\"",
            "authentik].token_identifier",
        ),
        (
            AUTHENTIK.to_owned() + "realm = \"main\"",
            "authentik].realm",
        ),
        (
            KEYCLOAK.to_owned() + "types = [\"internal\"]",
            "keycloak].types",
        ),
        (
            KEYCLOAK.replace("realm = \"main\"", "realm = \"a/b\""),
            "keycloak].realm",
        ),
        (KEYCLOAK.replace("realm = \"main\"", ""), "keycloak].realm"),
        (format!("{AUTHENTIK}{AUTHENTIK}"), "authentik].id"),
    ] {
        house.directory_mistake(&text, key);
    }
    assert!(
        house
            .directories(&with(url, "\"http://127.0.0.1:9000\""))
            .is_ok()
    );
    let plain = with(url, "\"http://id.internal\"") + "insecure_http_directory = true";
    let config = house.directories(&plain).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        config.insecure,
        ["directories[authentik].insecure_http_directory"]
    );
}

#[test]
fn the_token_never_stands_in_the_file() {
    let house = House::new();
    let inline = AUTHENTIK.replace(
        "{ file = \"/etc/auth-manager/directory.token\" }",
        "\"geheim\"",
    );
    let error = house.directory_mistake(&inline, "authentik].token");
    assert!(!error.to_string().contains("geheim"));
}
