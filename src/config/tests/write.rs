//! `[directories.write]`: what is taken, and what refuses to start.

use super::*;

const AUTHENTIK: &str = r#"
[[directories]]
id = "authentik"
kind = "authentik"
url = "https://id.example.com"
token = { file = "/etc/auth-manager/directory.token" }
[directories.write]
token = { file = "/etc/auth-manager/directory-write.token" }
groups = [{ name = "validated", id = "4e41e286-12c1-4bbe-8a39-98dbd1aeae02" }]
[directories.write.invitations]
flow = "enrol"
"#;

impl House {
    fn writing(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.load(&with_store(&format!("{MINIMAL}{text}")))
    }
}

#[test]
fn what_may_be_done_by_hand_has_the_documented_defaults() {
    let house = House::new();
    let config = house.writing(AUTHENTIK).unwrap_or_else(|e| panic!("{e}"));
    let write = config.directories[0].write.as_ref().unwrap();
    assert_eq!(write.groups[0].name.as_str(), "validated");
    assert_eq!(write.token_identifier, None);
    let day = 86_400;
    let invitations = InvitationsConfig {
        flow: "enrol".into(),
        url: None,
        lifetime: Duration::from_secs(7 * day),
        longest: Duration::from_secs(30 * day),
        reusable: false,
    };
    assert_eq!(write.invitations.as_ref(), Some(&invitations));
    let bare = AUTHENTIK.split("[directories.write]").next().unwrap();
    let config = house.writing(bare).unwrap_or_else(|e| panic!("{e}"));
    assert!(config.directories[0].write.is_none(), "nothing by default");
}

#[test]
fn what_would_let_too_much_be_done_by_hand_refuses_to_start() {
    let house = House::new();
    let with = |from: &str, to: &str| {
        assert!(AUTHENTIK.contains(from), "{from}");
        AUTHENTIK.replace(from, to)
    };
    const ID: &str = "id = \"4e41e286-12c1-4bbe-8a39-98dbd1aeae02\"";
    const GROUP: &str = "{ name = \"validated\", id = \"4e41e286-12c1-4bbe-8a39-98dbd1aeae02\" }";
    let power = format!(
        "{AUTHENTIK}[[apps]]\nid = \"other\"\nkind = \"mattermost\"\nhost = \"other.example.com\"\n\
         upstream = \"http://127.0.0.1:8065\"\n[apps.access]\neveryone = true\n\
         [apps.mattermost]\nbot_token = {{ file = \"/etc/auth-manager/bot.token\" }}\n\
         [[apps.provision.groups]]\n\
         group_id = \"4e41e286-12c1-4bbe-8a39-98dbd1aeae02\"\nsystem_role = \"system_admin\"\n"
    );
    for (text, key, says) in [
        (
            with("directory-write.token", "directory.token"),
            "write.token",
            "read with",
        ),
        (with(GROUP, "\"validated\""), "write.groups", "no id"),
        (with(ID, "id = \"validated\""), "write.groups", "not a UUID"),
        (
            with(GROUP, &format!("{GROUP}, {GROUP}")),
            "write.groups",
            "twice",
        ),
        (
            with("flow = \"enrol\"", "flow = \"a/b\""),
            "write.invitations.flow",
            "not the slug",
        ),
        (
            with("flow = \"enrol\"", "flow = \"enrol\"\nlifetime = \"60d\""),
            "write.invitations.lifetime",
            "longer than",
        ),
        (
            with(
                "flow = \"enrol\"",
                "flow = \"enrol\"\nurl = \"http://id.example.com\"",
            ),
            "write.invitations.url",
            "https",
        ),
        (power, "write", "gives power over an app"),
    ] {
        let errors = house.writing(&text).expect_err(says).0;
        let key = format!("directories[authentik].{key}");
        let found = errors.iter().find(|error| error.key == key);
        let found = found.unwrap_or_else(|| panic!("{key}: {errors:#?}"));
        assert!(found.problem.contains(says), "{found}");
        assert!(!found.remedy.is_empty());
    }
    let keycloak = "[[directories]]\nid = \"keycloak\"\nkind = \"keycloak\"\n\
        url = \"https://id.example.com\"\nrealm = \"main\"\nclient_id = \"a\"\n\
        client_secret = { file = \"/etc/auth-manager/directory.token\" }\n\
        [directories.write]\ntoken = { file = \"/etc/auth-manager/directory-write.token\" }\n";
    let errors = house
        .writing(keycloak)
        .expect_err("Keycloak is only read")
        .0;
    assert_eq!(errors[0].key, "directories[keycloak].write");
}
