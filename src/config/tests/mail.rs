//! `[mail]` and `[directories.reconcile]`: what is taken, and what refuses to start.

use super::*;

const MAIL: &str = r#"
[mail]
server = "smtps://mail.example.com"
from = "Chat <chat@example.com>"
"#;
const DIRECTORY: &str = r#"
[[directories]]
id = "authentik"
kind = "authentik"
url = "https://id.example.com"
token = { file = "/etc/auth-manager/directory.token" }
"#;

fn more(house: &House, text: &str) -> Result<Config, ConfigErrors> {
    house.load(&with_store(&format!("{MINIMAL}{text}")))
}

fn mistake(text: &str, key: &str) {
    let errors = more(&House::new(), text).expect_err(text).0;
    assert_eq!(errors.len(), 1, "{text}: {errors:#?}");
    assert_eq!(errors[0].key, key, "{text}");
}

#[test]
fn without_the_section_no_letter_goes() {
    assert!(more(&House::new(), "").unwrap().mail.is_none());
}

#[test]
fn letters_go_over_tls_unless_it_is_said_otherwise() {
    let house = House::new();
    let mail = more(&house, MAIL).unwrap().mail.unwrap();
    assert!(!mail.plain && mail.login.is_none());
    assert_eq!(mail.timeout, Duration::from_secs(30));
    let with = |server: &str, more: &str| MAIL.replace("smtps://mail.example.com", server) + more;
    let starttls = more(&house, &with("smtp://mail.example.com", "")).unwrap();
    assert!(!starttls.mail.unwrap().plain);
    let near = more(&house, &with("smtp://127.0.0.1:2525", "")).unwrap();
    assert!(near.mail.unwrap().plain);
    let open = with("smtp://mail.example.com", "insecure_plain_smtp = true");
    let open = more(&house, &open).unwrap();
    assert!(open.mail.unwrap().plain);
    assert_eq!(open.insecure, ["mail.insecure_plain_smtp"]);
}

#[test]
fn a_mail_server_is_checked() {
    for (with, key) in [
        ("server = \"https://mail.example.com\"", "mail.server"),
        ("server = \"smtps://a:b@mail.example.com\"", "mail.server"),
        ("server = \"smtps://mail.example.com/inbox\"", "mail.server"),
        ("", "mail.server"),
    ] {
        let text = MAIL.replace("server = \"smtps://mail.example.com\"", with);
        mistake(&text, key);
    }
    mistake(
        &MAIL.replace("Chat <chat@example.com>", "nobody"),
        "mail.from",
    );
    mistake(&format!("{MAIL}username = \"chat\""), "mail.password");
    mistake(
        &format!("{MAIL}password = {{ file = \"/etc/auth-manager/mail.password\" }}"),
        "mail.username",
    );
}

#[test]
fn a_directory_is_read_whole_every_quarter_of_an_hour_and_braked() {
    let config = more(&House::new(), DIRECTORY).unwrap();
    let reconcile = config.directories[0].reconcile;
    assert_eq!(reconcile.every, Duration::from_secs(900));
    assert_eq!(reconcile.brake, Brake::default());
    let said = format!(
        "{DIRECTORY}[directories.reconcile]\nevery = \"1h\"\nbrake_number = 0\nbrake_share = 50\n\
         brake_most = 7\n"
    );
    let reconcile = more(&House::new(), &said).unwrap().directories[0].reconcile;
    assert_eq!(reconcile.every, Duration::from_secs(3600));
    let brake = reconcile.brake;
    assert_eq!((brake.number, brake.share, brake.most), (0, 50, 7));
    for (text, key) in [
        ("every = \"1s\"", "every"),
        ("brake_share = 101", "brake_share"),
        ("brake_number = 7\nbrake_most = 6", "brake_most"),
    ] {
        mistake(
            &format!("{DIRECTORY}[directories.reconcile]\n{text}\n"),
            &format!("directories[authentik].reconcile.{key}"),
        );
    }
}
