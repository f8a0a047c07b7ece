//! `[[directories]]`: what their keys are, their defaults, bounds and cross checks.

use super::hooks;
use super::reader::{Table, shown};
use super::reconcile;
use super::sections::{hours, is_loopback, seconds};
use super::write;
use super::{
    AuthentikConfig, AuthentikSubject, AuthentikType, DirectoryConfig, DirectoryKind, IssuerConfig,
    KeycloakConfig,
};
use crate::types::{IssuerId, SourceId};
use url::Url;

/// Most that Authentik gives in one answer, whatever is asked for (recordings/authentik, difference
/// 34): with more, pages would be counted wrongly.
const LARGEST_PAGE: usize = 100;

/// What the directories are checked against.
pub(super) struct Around<'a> {
    /// Who vouches for people.
    pub(super) issuers: &'a [IssuerConfig],
    /// Whether all issuers could be read: else a missing one is not said twice.
    pub(super) complete: bool,
    /// Whether the api listener is served.
    pub(super) api: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Authentik,
    Keycloak,
}

/// One of `[[directories]]`.
pub(super) fn directory(table: &Table<'_>, around: &Around<'_>) -> Option<DirectoryConfig> {
    table.require("id", "Write id = \"authentik\", and never change it.");
    let id = table.parsed(
        "id",
        SourceId::new,
        "Use a short word, and never change it: what the directory said is kept under it.",
    );
    not_reserved(table, id.as_ref());
    table.require("kind", "Write kind = \"authentik\" or kind = \"keycloak\".");
    let kind = table.choice(
        "kind",
        Kind::Authentik,
        &[("authentik", Kind::Authentik), ("keycloak", Kind::Keycloak)],
    );
    let issuer = issuer(table, around);
    let url = url(table);
    let ca = table.file("ca");
    if ca.is_some() && url.as_ref().is_some_and(|url| url.scheme() == "http") {
        table.complain("ca", "An http:// address needs no authority.", "Remove it.");
    }
    let page_size = table.count("page_size", LARGEST_PAGE, 1..=LARGEST_PAGE);
    let timeout = table.duration("timeout", seconds(20), seconds(1)..=seconds(120));
    let reads = table.count("reads", 4, 1..=32);
    let groups_max_age = table.duration("groups_max_age", seconds(60), seconds(0)..=hours(1));
    let expiry_warning = table.duration(
        "expiry_warning",
        hours(14 * 24),
        seconds(0)..=hours(365 * 24),
    );
    let hooks = hooks::hooks(
        &table.table("hooks"),
        matches!(kind, Kind::Authentik),
        around.api,
    );
    let reconcile = reconcile::reconcile(&table.table("reconcile"));
    let (authentik, keycloak) = (authentik(table, kind), keycloak(table, kind));
    let reader = authentik.as_ref().map(|own| &own.token);
    let write = write::write(table, matches!(kind, Kind::Authentik), reader);
    let kind = match kind {
        Kind::Authentik => authentik.map(DirectoryKind::Authentik),
        Kind::Keycloak => keycloak.map(DirectoryKind::Keycloak),
    };
    Some(DirectoryConfig {
        id: id?,
        issuer: issuer?,
        url: url?,
        ca,
        page_size,
        timeout,
        reads,
        groups_max_age,
        expiry_warning,
        hooks,
        reconcile,
        write,
        kind: kind?,
    })
}

/// Names under which the bridge keeps what is no directory's: they begin like itself.
const RESERVED: &str = "auth-manager-";

/// Refuses an id that is kept for the bridge itself.
pub(super) fn not_reserved(table: &Table<'_>, id: Option<&SourceId>) {
    if id.is_some_and(|id| id.as_str().starts_with(RESERVED)) {
        table.complain(
            "id",
            format!("Ids that begin with \"{RESERVED}\" are kept for the bridge itself."),
            "Choose another: \"authentik\".",
        );
    }
}

fn issuer(table: &Table<'_>, around: &Around<'_>) -> Option<IssuerId> {
    let names: Vec<_> = around
        .issuers
        .iter()
        .map(|known| known.id.as_str())
        .collect();
    let remedy = format!("The ids of [[issuers]] are: {}.", names.join(", "));
    let Some(given) = table.parsed("issuer", IssuerId::new, &remedy) else {
        return match around.issuers {
            [only] if around.complete && !table.has("issuer") => Some(only.id.clone()),
            _ => {
                if around.complete {
                    table.require("issuer", &format!("Say whose subjects it names. {remedy}"));
                }
                None
            }
        };
    };
    if around.complete && around.issuers.iter().all(|known| known.id != given) {
        table.complain("issuer", format!("There is no issuer \"{given}\"."), remedy);
    }
    Some(given)
}

/// Scheme, host, port and a path; a slash at the end is added, so that paths join below it.
fn url(table: &Table<'_>) -> Option<Url> {
    let plain_allowed = table.insecure("insecure_http_directory");
    let remedy =
        "Write its address: \"https://id.example.com\", with a path if it lives below one.";
    table.require("url", remedy);
    let mut url = table.parsed("url", Url::parse, remedy)?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => plain_allowed || is_loopback(&url),
        _ => false,
    };
    if !secure {
        table.complain(
            "url",
            "What it says must come over https://: whoever changes it on the way lets in whom they \
             like, and the token can be read.",
            "Use https:// (with `ca` for an authority of your own), or http:// on loopback, or set \
             insecure_http_directory = true.",
        );
    }
    let more = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    if more || url.host().is_none() {
        table.complain(
            "url",
            "It holds more than scheme, host, port and path.",
            remedy,
        );
        return None;
    }
    if url.path().trim_end_matches('/').ends_with("/api/v3") {
        table.complain(
            "url",
            "It ends in the API's own path.",
            "Leave out /api/v3.",
        );
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

fn authentik(table: &Table<'_>, kind: Kind) -> Option<AuthentikConfig> {
    let wanted = matches!(kind, Kind::Authentik);
    // Asked for in any case, so that they are known as keys.
    let token = table.secret("token");
    let token_identifier = table.text("token_identifier").map(str::to_owned);
    let types = table.texts("types");
    let ignore = table.texts("ignore");
    if !wanted {
        for key in ["token", "token_identifier", "types", "ignore"] {
            if table.has(key) {
                table.complain(key, "It is for kind = \"authentik\".", "Remove it.");
            }
        }
        return None;
    }
    table.require(
        "token",
        "Write token = { file = \"…\" }: an API token of a service account, as README.md says.",
    );
    identifier(table, token_identifier.as_deref());
    let types = types_of_people(table, &types);
    let ignore = paths(table, &ignore);
    Some(AuthentikConfig {
        token: token?,
        token_identifier,
        subject: subject(table),
        types,
        ignore,
    })
}

/// What Authentik calls a token.
pub(super) fn identifier(table: &Table<'_>, name: Option<&str>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let good = |name: &str| !name.is_empty() && name.len() <= 255 && name.bytes().all(plain);
    if let Some(name) = name.filter(|name| !good(name)) {
        table.complain(
            "token_identifier",
            format!("{} is not an identifier of a token.", shown(name)),
            "Write what Authentik lists under Tokens: letters, digits, - _ .",
        );
    }
}

fn subject(table: &Table<'_>) -> AuthentikSubject {
    let changes = match table.text("subject") {
        Some("username") => "A user name",
        Some("email") => "An e-mail address",
        Some("upn") => "A user principal name",
        Some("name") => "A name",
        _ => {
            return table.choice(
                "subject",
                AuthentikSubject::Uid,
                &[
                    ("uid", AuthentikSubject::Uid),
                    ("uuid", AuthentikSubject::Uuid),
                    ("pk", AuthentikSubject::Pk),
                ],
            );
        }
    };
    table.complain(
        "subject",
        format!(
            "{changes} can be changed, and may be somebody else's tomorrow, who would then have \
             this person's accounts."
        ),
        "Set the provider's subject mode to the hashed user id (subject = \"uid\", the default), \
         the UUID (\"uuid\") or the user id (\"pk\").",
    );
    AuthentikSubject::Uid
}

fn types_of_people(table: &Table<'_>, words: &[&str]) -> Vec<AuthentikType> {
    const ALL: [AuthentikType; 2] = [AuthentikType::Internal, AuthentikType::External];
    if !table.has("types") {
        return ALL.to_vec();
    }
    let mut found = Vec::new();
    for word in words {
        match ALL.iter().find(|known| known.as_str() == *word) {
            Some(known) if !found.contains(known) => found.push(*known),
            Some(_) => {}
            None if word.ends_with("service_account") => table.complain(
                "types",
                "Service accounts are no people: they get no account in an app.",
                "Let services call the app through the api listener, as README.md says.",
            ),
            None => table.complain(
                "types",
                format!("{} is not a type of user.", shown(word)),
                "Choose among: internal, external.",
            ),
        }
    }
    if words.is_empty() {
        table.complain(
            "types",
            "Nobody would be a person.",
            "Choose among: internal, external; or remove it for both.",
        );
    }
    found
}

fn paths(table: &Table<'_>, given: &[&str]) -> Vec<String> {
    if !table.has("ignore") {
        return vec!["goauthentik.io".to_owned()];
    }
    let mut paths = Vec::new();
    for path in given {
        let bare = path.trim_end_matches('/');
        if bare.is_empty() || bare.starts_with('/') || bare.contains(char::is_control) {
            table.complain(
                "ignore",
                format!("{} is not a path of users.", shown(path)),
                "Write it as Authentik shows it: \"goauthentik.io/service-accounts\".",
            );
        }
        paths.push(bare.to_owned());
    }
    paths
}

fn keycloak(table: &Table<'_>, kind: Kind) -> Option<KeycloakConfig> {
    let realm = table.text("realm");
    let client_id = table.text("client_id");
    let client_secret = table.secret("client_secret");
    if !matches!(kind, Kind::Keycloak) {
        for key in ["realm", "client_id", "client_secret"] {
            if table.has(key) {
                table.complain(key, "It is for kind = \"keycloak\".", "Remove it.");
            }
        }
        return None;
    }
    if table.text("subject").is_some_and(|rule| rule != "id") {
        table.complain(
            "subject",
            "Keycloak's tokens name people by their id alone.",
            "Write \"id\", or remove it.",
        );
    }
    table.require("realm", "Name the realm whose people are meant.");
    table.require("client_id", "Name a client that has a service account.");
    table.require("client_secret", "Write client_secret = { file = \"…\" }.");
    for (key, text) in [("realm", realm), ("client_id", client_id)] {
        let bad =
            |text: &str| text.is_empty() || text.len() > 255 || text.contains(['/', '?', '#']);
        if text.is_some_and(|text| bad(text) || text.contains(char::is_control)) {
            table.complain(
                key,
                "It is empty, or no name.",
                "Write it as Keycloak shows it.",
            );
        }
    }
    Some(KeycloakConfig {
        realm: realm?.to_owned(),
        client_id: client_id?.to_owned(),
        client_secret: client_secret?,
    })
}
