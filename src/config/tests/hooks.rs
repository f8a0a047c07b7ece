//! `[directories.hooks]`: what is taken, and what refuses to start.

use super::*;

const API: &str = "[listen.api]\naddress = \"127.0.0.1:8444\"\nissuer = \"https://api.internal\"\n";
const DIRECTORY: &str = r#"
[[directories]]
id = "authentik"
kind = "authentik"
url = "https://id.example.com"
token = { file = "/etc/auth-manager/directory.token" }
"#;
const HOOKS: &str = r#"
[directories.hooks]
secrets = [{ file = "/etc/auth-manager/hooks.secret" }]
"#;

impl House {
    fn hooks(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.load(&with_store(&format!("{MINIMAL}{text}")))
    }

    fn hooks_mistake(&self, text: &str, key: &str) -> ConfigError {
        let errors = self.hooks(text).expect_err(text).0;
        assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
        assert_eq!(errors[0].key, key, "{text}");
        assert!(!errors[0].remedy.is_empty(), "{text}");
        errors[0].clone()
    }
}

#[test]
fn a_secret_is_read_and_kept_as_its_hash_alone() {
    let house = House::new();
    let config = house.hooks(&format!("{API}{DIRECTORY}{HOOKS}"));
    let config = config.unwrap_or_else(|e| panic!("{e}"));
    let hooks = config.directories[0].hooks.as_ref().unwrap();
    assert_eq!(hooks.secrets.len(), 1);
    assert_eq!(hooks.silent_after, Duration::from_secs(7 * 86_400));
    // sha256sum of the text without its line end.
    let hash = hooks.secrets[0].sha256.map(|b| format!("{b:02x}")).concat();
    assert_eq!(hash, HASH);
    assert!(!format!("{config:?}").contains("kq3Zr9"));
    // The same by its hash, and two while it is changed.
    let by_hash = format!("[directories.hooks]\nsecrets_sha256 = [\"{HASH}\"]\n");
    let config = house.hooks(&format!("{API}{DIRECTORY}{by_hash}"));
    let config = config.unwrap_or_else(|e| panic!("{e}"));
    let hooks = config.directories[0].hooks.as_ref().unwrap();
    assert!(hooks.secrets[0].source.is_none());
    let other = HASH.replace("0", "1");
    let two = format!("{HOOKS}secrets_sha256 = [\"{other}\"]\n");
    let config = house.hooks(&format!("{API}{DIRECTORY}{two}"));
    let config = config.unwrap_or_else(|e| panic!("{e}"));
    let hooks = config.directories[0].hooks.as_ref().unwrap();
    assert_eq!(hooks.secrets.len(), 2);
}

const HASH: &str = "f571677095b6ee45474f467e7bd1a98c098a625c82cf7afd665bbddb52d3a1cf";

#[test]
fn t30_a_weak_or_known_bad_secret_refuses_to_start_and_is_never_shown() {
    let house = House::new();
    for (secret, says) in [
        ("None", "shorter than 32"),
        ("null", "shorter than 32"),
        ("changeme", "shorter than 32"),
        ("\n", "is empty"),
        ("", "is empty"),
        ("kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0o", "shorter than 32"),
        (
            "changeme-changeme-changeme-changeme",
            "few characters over and over",
        ),
        ("authentik-webhook-secret-changeme-please", "made of words"),
        ("kq3Zr9tYw2mXc7Vb\"1sLdF5gH8jP0oUa", "other characters"),
        (
            "Bearer kq3Zr9tYw2mXc7VbN1sLdF5gH8jP0oUa",
            "other characters",
        ),
    ] {
        house.write("etc/hooks.secret", secret);
        let text = format!("{API}{DIRECTORY}{HOOKS}");
        let error = house.hooks_mistake(&text, "directories[authentik].hooks.secrets");
        assert!(error.problem.contains(says), "{secret}: {error}");
        assert!(
            secret.trim().is_empty() || !error.to_string().contains(secret),
            "{error}"
        );
    }
}

#[test]
fn hooks_without_a_secret_or_a_listener_or_with_somebody_elses_are_refused() {
    let house = House::new();
    let hooks = "directories[authentik].hooks";
    let with = |text: &str| format!("{API}{DIRECTORY}{text}");
    let none = with("[directories.hooks]\nsilent_after = \"1d\"\n");
    house.hooks_mistake(&none, &format!("{hooks}.secrets"));
    let inline = with("[directories.hooks]\nsecrets = [\"geheim\"]\n");
    let errors = house.hooks(&inline).unwrap_err().to_string();
    assert!(!errors.contains("geheim"), "{errors}");
    house.hooks_mistake(&format!("{DIRECTORY}{HOOKS}"), hooks);
    let off = API.replace("127.0.0.1:8444", "off");
    house.hooks_mistake(&format!("{off}{DIRECTORY}{HOOKS}"), hooks);
    let twice = HOOKS.replace(
        "secrets = [",
        "secrets = [{ file = \"/etc/auth-manager/hooks.secret\" }, ",
    );
    house.hooks_mistake(&with(&twice), &format!("{hooks}.secrets"));
    let nothing = with(
        "[directories.hooks]\nsecrets_sha256 = [\"dc937b59892604f5a86ac96936cd7ff09e25f18ae6b758e8014a24c7fa039e91\"]\n",
    );
    house.hooks_mistake(&nothing, &format!("{hooks}.secrets_sha256"));
    // Another directory, or a client, with the same secret or name.
    let second = DIRECTORY.replace("\"authentik\"\nkind", "\"second\"\nkind");
    house.hooks_mistake(
        &format!("{API}{DIRECTORY}{HOOKS}{second}{HOOKS}"),
        "directories[second].hooks",
    );
    let client = |id: &str, hash: &str| {
        let client = format!("[[clients]]\nid = \"{id}\"\nscopes = [\"hooks\"]\n");
        with(&format!(
            "{HOOKS}{client}static_bearer_sha256 = [\"{hash}\"]\n"
        ))
    };
    house.hooks_mistake(&client("x", HASH), "clients[x].static_bearer_sha256");
    house.hooks_mistake(
        &client("authentik", &"ab".repeat(32)),
        "clients[authentik].id",
    );
    let keycloak = "[[directories]]\nid = \"k\"\nkind = \"keycloak\"\nurl = \"https://id.example.com\"\n\
                    realm = \"main\"\nclient_id = \"x\"\n\
                    client_secret = { file = \"/etc/auth-manager/directory.token\" }\n";
    house.hooks_mistake(&format!("{API}{keycloak}{HOOKS}"), "directories[k].hooks");
}
