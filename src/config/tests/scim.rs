//! `[[scim]]`: what is taken, and what refuses to start.

use super::*;

const API: &str = r#"
[listen.api]
address = "127.0.0.1:8444"
issuer = "https://api.example.com"
[[clients]]
id = "idp"
scopes = ["scim"]
static_bearer_sha256 = ["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
[[clients]]
id = "reader"
scopes = ["hooks"]
static_bearer_sha256 = ["3c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
"#;
const SCIM: &str = "[[scim]]\nid = \"idp-scim\"\nclients = [\"idp\"]\n";

impl House {
    fn scim(&self, text: &str) -> Result<Config, ConfigErrors> {
        self.load(&with_store(&format!("{MINIMAL}{API}{text}")))
    }

    fn scim_mistake(&self, text: &str, key: &str) {
        let errors = self.scim(text).expect_err(text).0;
        assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
        assert_eq!(errors[0].key, format!("scim[idp-scim].{key}"), "{text}");
        assert!(!errors[0].remedy.is_empty(), "{text}");
    }
}

#[test]
fn a_connection_has_the_documented_defaults() {
    let house = House::new();
    let config = house.scim(SCIM).unwrap_or_else(|e| panic!("{e}"));
    let [scim] = config.scim.as_slice() else {
        panic!("one of them");
    };
    assert_eq!(scim.issuer.as_str(), "pomerium", "the only one");
    assert_eq!(scim.subject, ScimSubject::ExternalId);
    assert_eq!((scim.strict, &scim.reread), (false, &None));
    assert_eq!(scim.patch_answer, ScimPatchAnswer::Resource);
    assert_eq!((scim.page, scim.body), (200, 4 << 20));
    assert_eq!((scim.patch_operations, scim.bulk_operations), (1000, 100));
    assert_eq!((scim.brake.number, scim.brake.share), (10, 20));
    assert_eq!(scim.brake.window, Duration::from_secs(3600));
}

#[test]
fn t33_what_changes_hands_says_of_nobody_who_they_are() {
    let house = House::new();
    for path in [
        "userName",
        "emails.value",
        "EMAILS",
        "name.givenName",
        "displayName",
    ] {
        house.scim_mistake(&format!("{SCIM}subject = \"{path}\"\n"), "subject");
    }
    house.scim_mistake(&format!("{SCIM}subject = \"a b\"\n"), "subject");
    for path in [
        "external_id",
        "none",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    ] {
        assert!(house.scim(&format!("{SCIM}subject = \"{path}\"\n")).is_ok());
    }
}

#[test]
fn an_id_is_none_that_the_bridge_keeps_for_itself() {
    let house = House::new();
    let own = "[[scim]]\nid = \"auth-manager-terms\"\nclients = [\"idp\"]\n";
    assert!(house.scim(own).is_err());
}

#[test]
fn a_client_has_one_connection_and_the_scope_for_it() {
    let house = House::new();
    let of = |clients: &str| format!("[[scim]]\nid = \"idp-scim\"\nclients = [{clients}]\n");
    house.scim_mistake(&of("\"reader\""), "clients");
    house.scim_mistake(&of("\"nobody\", \"idp\""), "clients");
    house.scim_mistake(&of(""), "clients");
    let two = format!("[[scim]]\nid = \"first\"\nclients = [\"idp\"]\n{SCIM}");
    house.scim_mistake(&two, "clients");
    house.scim_mistake(&format!("{SCIM}reread = \"nothing\"\n"), "reread");
    house.scim_mistake(&format!("{SCIM}issuer = \"nobody\"\n"), "issuer");
}
