//! `[mail]`: the mail server that letters to people go through.

use super::SecretSource;
use super::reader::{Table, shown};
use super::sections::seconds;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `[mail]`.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The server: `smtps://` (TLS from the start, 465) or `smtp://` (STARTTLS, 587, never without
    /// TLS but on loopback or with `insecure_plain_smtp`).
    pub server: Url,
    /// Whether letters go without TLS.
    pub plain: bool,
    /// Authorities of the server's certificate; `None`: public ones.
    pub ca: Option<PathBuf>,
    /// User name and password, when the server wants them.
    pub login: Option<(String, SecretSource)>,
    /// The sender: `Example <chat@example.com>` or a bare address.
    pub from: String,
    /// How long the server may take for one letter. Default 30 s.
    pub timeout: Duration,
}

/// `[mail]`; `None`: no letter is sent.
pub(super) fn mail(table: &Table<'_>) -> Option<MailConfig> {
    let server = table.parsed(
        "server",
        server,
        "Write server = \"smtps://mail.example.com\", or smtp:// for STARTTLS.",
    );
    let insecure = table.insecure("insecure_plain_smtp");
    let ca = table.file("ca");
    let from = table.parsed(
        "from",
        sender,
        "Write from = \"Chat <chat@example.com>\" or a bare address.",
    );
    let username = table.text("username").map(str::to_owned);
    let password = table.secret("password");
    let timeout = table.duration("timeout", seconds(30), seconds(1)..=seconds(300));
    if !table.is_present() {
        return None;
    }
    table.require("server", "Write server = \"smtps://mail.example.com\".");
    table.require("from", "Write from = \"Chat <chat@example.com>\".");
    let server = server?;
    let plain = server.scheme() == "smtp" && (insecure || is_near(&server));
    if username.is_some() != password.is_some() {
        table.complain(
            if username.is_some() {
                "password"
            } else {
                "username"
            },
            "A user name needs a password, and the other way round.",
            "Set both, or neither.",
        );
    }
    Some(MailConfig {
        server,
        plain,
        ca,
        login: username.zip(password),
        from: from?,
        timeout,
    })
}

/// Whether it is on this machine. Of these schemes the host is a text, whatever it spells.
fn is_near(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    match (url.scheme(), url.host_str(), bare) {
        ("smtp" | "smtps", Some(host), true) if !host.is_empty() => Ok(url),
        ("smtp" | "smtps", _, _) => Err(format!(
            "{} must be scheme, host and port only",
            shown(text)
        )),
        _ => Err(format!("{} is no smtps:// or smtp:// address", shown(text))),
    }
}

fn sender(text: &str) -> Result<String, String> {
    let parsed = text.parse::<lettre::message::Mailbox>();
    parsed
        .map(|_| text.to_owned())
        .map_err(|_| format!("{} is no sender", shown(text)))
}
