//! `[[clients]]`: who may call the api listener, how it proves that, and what it may do.

use super::reader::{Table, shown};
use super::suggest::nearest;
use super::{ApiIssuerConfig, ApiListener, AppConfig, AudienceConfig, BearerSubject, ClientConfig};
use crate::types::{ClientId, HostName, IssuerId, Scope, Subject};
use std::collections::{BTreeSet, HashSet};

/// What a client's keys are checked against.
pub(super) struct Around<'a> {
    /// The listener, when it is served.
    pub(super) api: Option<&'a ApiListener>,
    /// Who signs callers' tokens.
    pub(super) issuers: &'a [ApiIssuerConfig],
    /// The apps.
    pub(super) apps: &'a [AppConfig],
    /// Whom tokens are exchanged for.
    pub(super) audiences: &'a [AudienceConfig],
    /// Whether all issuers, apps and audiences could be read: else a missing name is not said twice.
    pub(super) complete: bool,
}

/// One of `[[clients]]`; `taken` holds the credentials of those before it.
pub(super) fn client(
    table: &Table<'_>,
    around: &Around<'_>,
    taken: &mut HashSet<String>,
) -> Option<ClientConfig> {
    table.require("id", "Write id = \"grafana\", and never change it.");
    let id = table.parsed(
        "id",
        ClientId::new,
        "Use a short word, and never change it.",
    );
    let (mut dns_names, mut uri_names) = (Vec::new(), Vec::new());
    for name in table.texts("certificate_names") {
        let uri = name.contains("://");
        if name.is_empty() || name.contains(char::is_whitespace) || (!uri && name.contains('*')) {
            table.complain(
                "certificate_names",
                format!("{} is no name of a certificate.", shown(name)),
                "List exact DNS or URI names, for example \"grafana.internal\" or \
                 \"spiffe://example.com/grafana\"; patterns are not taken.",
            );
        } else if uri {
            uri_names.push(name.to_owned());
        } else {
            dns_names.push(name.to_ascii_lowercase());
        }
    }
    let spki_sha256 = hashes(
        table,
        "spki_sha256",
        "Write 64 hex digits: `openssl x509 -in client.pem -pubkey -noout | openssl pkey -pubin \
         -outform der | sha256sum` prints them.",
    );
    let static_bearer_sha256 = hashes(
        table,
        "static_bearer_sha256",
        "Write 64 hex digits: `auth-manager clients new-bearer` makes a bearer and prints them.",
    );
    let bearer = bearer(&table.table("bearer"), around);
    let scopes = scopes(table, around);
    let hosts = hosts(table, around);
    let audiences = audiences(table, around);
    let client = ClientConfig {
        id: id?,
        dns_names,
        uri_names,
        spki_sha256,
        bearer,
        static_bearer_sha256,
        scopes,
        hosts,
        audiences,
    };
    check_means(table, &client, around);
    check_static(table, &client);
    check_unique(table, &client, taken);
    Some(client)
}

pub(super) fn hashes(table: &Table<'_>, key: &'static str, remedy: &str) -> Vec<[u8; 32]> {
    let mut found = Vec::new();
    for text in table.texts(key) {
        match hex(text) {
            Some(hash) => found.push(hash),
            // Never shown: somebody may have written the bearer itself.
            None => table.complain(key, "It is no SHA-256.", remedy),
        }
    }
    found
}

/// 64 hex digits, either case.
fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        let digits = text.get(at..at + 2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

fn bearer(table: &Table<'_>, around: &Around<'_>) -> Option<BearerSubject> {
    let issuer = table.parsed(
        "issuer",
        IssuerId::new,
        "Name the id of one of [[api_issuers]].",
    );
    let sub = table.parsed("sub", Subject::new, "Write the exact `sub` of its tokens.");
    if !table.is_present() {
        return None;
    }
    table.require("issuer", "Name the id of one of [[api_issuers]].");
    table.require("sub", "Write the exact `sub` of its tokens.");
    let issuer = issuer?;
    if around.complete && around.issuers.iter().all(|known| known.id != issuer) {
        let names: Vec<_> = around.issuers.iter().map(|i| i.id.as_str()).collect();
        table.complain(
            "issuer",
            format!("There is no issuer \"{issuer}\" of callers' tokens."),
            match names.as_slice() {
                [] => "Add [[api_issuers]].".to_owned(),
                names => format!("The ids of [[api_issuers]] are: {}.", names.join(", ")),
            },
        );
    }
    Some(BearerSubject { issuer, sub: sub? })
}

fn scopes(table: &Table<'_>, around: &Around<'_>) -> BTreeSet<Scope> {
    table.require(
        "scopes",
        "List what it may do, for example scopes = [\"introspect\"].",
    );
    let words = table.texts("scopes");
    let mut scopes = BTreeSet::new();
    for word in &words {
        match word.parse::<Scope>() {
            Ok(Scope::Proxy(app))
                if around.complete && around.apps.iter().all(|known| known.id != app) =>
            {
                table.complain(
                    "scopes",
                    format!("There is no app \"{app}\"."),
                    "Name the id of one of [[apps]] behind proxy:.",
                );
            }
            Ok(scope) => {
                scopes.insert(scope);
            }
            Err(error) => {
                let known: Vec<_> = Scope::words().collect();
                let remedy = nearest(word, known.iter().copied()).map_or_else(
                    || format!("The scopes are: {}.", known.join(", ")),
                    |meant| format!("Did you mean \"{meant}\"?"),
                );
                table.complain("scopes", format!("{}: {error}.", shown(word)), remedy);
            }
        }
    }
    if words.is_empty() && table.has("scopes") {
        table.complain(
            "scopes",
            "A client without scopes may do nothing.",
            "List what it may do, or remove the client.",
        );
    }
    scopes
}

fn hosts(table: &Table<'_>, around: &Around<'_>) -> Vec<HostName> {
    let mut hosts = Vec::new();
    for text in table.texts("hosts") {
        let known = around.apps.iter().find(|app| app.host.matches(text));
        match known {
            Some(app) => hosts.push(app.host.clone()),
            None if !around.complete => {}
            None => table.complain(
                "hosts",
                format!("No app has the host {}.", shown(text)),
                "List hosts of [[apps]], exactly: there is no \"any\".",
            ),
        }
    }
    hosts
}

fn audiences(table: &Table<'_>, around: &Around<'_>) -> Vec<String> {
    let mut audiences = Vec::new();
    for text in table.texts("audiences") {
        if around.audiences.iter().any(|known| known.id == text) {
            audiences.push(text.to_owned());
        } else if around.complete {
            let ids: Vec<_> = around.audiences.iter().map(|a| a.id.as_str()).collect();
            table.complain(
                "audiences",
                format!("There is no audience {}.", shown(text)),
                match ids.as_slice() {
                    [] => "Add [[audiences]] with this id: there is no \"any\".".to_owned(),
                    ids => format!("The ids of [[audiences]] are: {}.", ids.join(", ")),
                },
            );
        }
    }
    audiences
}

/// Whether it can prove who it is, here.
fn check_means(table: &Table<'_>, client: &ClientConfig, around: &Around<'_>) {
    let certificate = client.has_certificate();
    let any = certificate || client.bearer.is_some() || !client.static_bearer_sha256.is_empty();
    let named = [
        "certificate_names",
        "spki_sha256",
        "bearer",
        "static_bearer_sha256",
    ];
    if !any && !named.into_iter().any(|key| table.has(key)) {
        table.complain(
            "",
            "It has no way to prove who it is.",
            "Add certificate_names, spki_sha256, bearer = { issuer = …, sub = … } or \
             static_bearer_sha256.",
        );
    }
    let Some(api) = around.api else { return };
    let asked = api.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if certificate && !asked {
        let key = match client.spki_sha256.is_empty() {
            true => "certificate_names",
            false => "spki_sha256",
        };
        table.complain(
            key,
            "The api listener asks nobody for a certificate.",
            "Set client_ca in [listen.api.tls].",
        );
    }
    let both = certificate && client.bearer.is_some();
    if api.require_both && client.scopes.contains(&Scope::Admin) && !both {
        table.complain(
            "scopes",
            "Changes of scope admin need both a certificate and a bearer \
             (listen.api.require_both), and this client can't bring both.",
            "Add what is missing, or take admin away.",
        );
    }
}

fn check_static(table: &Table<'_>, client: &ClientConfig) {
    if client.static_bearer_sha256.is_empty() {
        return;
    }
    let beyond: Vec<_> = (client.scopes.iter())
        .filter(|scope| !scope.allows_static_bearer())
        .map(Scope::to_string)
        .collect();
    if !beyond.is_empty() {
        table.complain(
            "scopes",
            format!(
                "A static bearer carries the scopes hooks and scim alone, not {}.",
                beyond.join(", ")
            ),
            "Make a client of its own for them, with a certificate or `bearer`.",
        );
    }
}

/// A credential names one client, or it names nobody.
fn check_unique(table: &Table<'_>, client: &ClientConfig, taken: &mut HashSet<String>) {
    let names = client.dns_names.iter().chain(&client.uri_names);
    let mut all: Vec<(&str, String)> = names
        .map(|name| ("certificate_names", format!("name {name}")))
        .collect();
    let pins = client
        .spki_sha256
        .iter()
        .map(|hash| format!("spki {hash:?}"));
    all.extend(pins.map(|pin| ("spki_sha256", pin)));
    let subject = client.bearer.as_ref();
    all.extend(subject.map(|b| ("bearer", format!("sub {} {}", b.issuer, b.sub))));
    let statics = client.static_bearer_sha256.iter();
    all.extend(statics.map(|hash| ("static_bearer_sha256", format!("static {hash:?}"))));
    for (key, credential) in all {
        if !taken.insert(credential) {
            table.complain(
                key,
                "The same credential is there twice: it would not say which client calls.",
                "Give each client its own.",
            );
        }
    }
}

impl ClientConfig {
    /// Whether a certificate can be its.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        !(self.dns_names.is_empty() && self.uri_names.is_empty() && self.spki_sha256.is_empty())
    }
}
