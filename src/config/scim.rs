//! `[[scim]]`: what their keys are, their defaults, bounds and cross checks.

use super::reader::{Table, shown};
use super::sections::{hours, seconds};
use super::{
    ClientConfig, DirectoryConfig, IssuerConfig, ScimBrake, ScimConfig, ScimPatchAnswer,
    ScimSubject,
};
use crate::types::{ClientId, IssuerId, Scope, SourceId};
use std::collections::HashSet;

/// What the connections are checked against.
pub(super) struct Around<'a> {
    /// Who vouches for people.
    pub(super) issuers: &'a [IssuerConfig],
    /// Who may call.
    pub(super) clients: &'a [ClientConfig],
    /// Who can be asked.
    pub(super) directories: &'a [DirectoryConfig],
    /// Whether all of these could be read: else what is missing is not said twice.
    pub(super) complete: bool,
}

/// Attributes that people change, or that are given to others later: none may say who somebody is.
const CHANGING: &[&str] = &[
    "username",
    "displayname",
    "nickname",
    "emails",
    "name",
    "phonenumbers",
    "title",
    "active",
    "groups",
    "locale",
];

/// One of `[[scim]]`; `taken` holds the clients of those before it.
pub(super) fn connection(
    table: &Table<'_>,
    around: &Around<'_>,
    taken: &mut HashSet<ClientId>,
) -> Option<ScimConfig> {
    table.require("id", "Write id = \"authentik-scim\", and never change it.");
    let id = table.parsed(
        "id",
        SourceId::new,
        "Use a short word, and never change it: what the client put here is kept under it.",
    );
    super::directories::not_reserved(table, id.as_ref());
    let issuer = issuer(table, around);
    let clients = clients(table, around, taken);
    let connection = ScimConfig {
        id: id?,
        clients,
        issuer: issuer?,
        subject: subject(table),
        strict: table.flag("strict", false),
        reread: reread(table, around),
        patch_answer: table.choice(
            "patch_answer",
            ScimPatchAnswer::Resource,
            &[
                ("resource", ScimPatchAnswer::Resource),
                ("nothing", ScimPatchAnswer::Nothing),
            ],
        ),
        page: u32::try_from(table.count("page", 200, 1..=1000)).unwrap_or(200),
        body: table.size("body", 4 << 20, (64 << 10)..=(64 << 20)),
        patch_operations: table.count("patch_operations", 1000, 1..=10_000),
        bulk_operations: table.count("bulk_operations", 100, 1..=1000),
        brake: ScimBrake {
            number: table.count("brake_number", 10, 0..=1_000_000),
            share: table.count("brake_share", 20, 0..=100),
            window: table.duration("brake_window", hours(1), seconds(60)..=hours(24 * 7)),
        },
    };
    Some(connection)
}

fn issuer(table: &Table<'_>, around: &Around<'_>) -> Option<IssuerId> {
    let names: Vec<_> = around.issuers.iter().map(|i| i.id.as_str()).collect();
    let remedy = format!("The ids of [[issuers]] are: {}.", names.join(", "));
    if !table.has("issuer")
        && let [only] = around.issuers
        && around.complete
    {
        return Some(only.id.clone());
    }
    if around.complete {
        table.require(
            "issuer",
            &format!("Say whose subjects its users are. {remedy}"),
        );
    }
    let issuer = table.parsed("issuer", IssuerId::new, &remedy)?;
    if around.complete && around.issuers.iter().all(|known| known.id != issuer) {
        table.complain(
            "issuer",
            format!("There is no issuer \"{issuer}\"."),
            remedy,
        );
    }
    Some(issuer)
}

fn clients(table: &Table<'_>, around: &Around<'_>, taken: &mut HashSet<ClientId>) -> Vec<ClientId> {
    let remedy = "List ids of [[clients]] with the scope scim, for example \
                  clients = [\"authentik\"].";
    table.require("clients", remedy);
    let mut clients = Vec::new();
    for text in table.texts("clients") {
        let Some(client) = around
            .clients
            .iter()
            .find(|known| known.id.as_str() == text)
        else {
            if around.complete {
                let problem = format!("There is no client {}.", shown(text));
                table.complain("clients", problem, remedy);
            }
            continue;
        };
        if !client.scopes.contains(&Scope::Scim) {
            table.complain(
                "clients",
                format!("The client \"{}\" lacks the scope scim.", client.id),
                "Add scim to its scopes.",
            );
        }
        if !taken.insert(client.id.clone()) {
            table.complain(
                "clients",
                format!("The client \"{}\" has a connection already.", client.id),
                "Give each connection clients of its own: the client says which one is meant.",
            );
        }
        clients.push(client.id.clone());
    }
    if clients.is_empty() && table.has("clients") && around.complete {
        table.complain("clients", "Nobody may use the connection.", remedy);
    }
    clients
}

fn subject(table: &Table<'_>) -> ScimSubject {
    let path = match table.text("subject") {
        None | Some("external_id") => return ScimSubject::ExternalId,
        Some("none") => return ScimSubject::Nobody,
        Some(path) => path,
    };
    let name = path.rsplit(':').next().unwrap_or(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if path.len() > 200 || !path.chars().all(plain) || !name.starts_with(char::is_alphabetic) {
        table.complain(
            "subject",
            format!("{} is no path of an attribute.", shown(path)),
            "Write \"external_id\", \"none\", or the path of an attribute that holds the `sub`.",
        );
    } else if !path.contains(':')
        && let first = name.split('.').next().unwrap_or(name)
        && CHANGING.contains(&first.to_ascii_lowercase().as_str())
    {
        table.complain(
            "subject",
            format!("{} changes, and may be somebody else's later.", shown(path)),
            "Name an attribute that is theirs for ever, as Authentik's externalId is: who has the \
             subject has the access.",
        );
    }
    ScimSubject::Attribute(path.to_owned())
}

fn reread(table: &Table<'_>, around: &Around<'_>) -> Option<SourceId> {
    let names: Vec<_> = around.directories.iter().map(|d| d.id.as_str()).collect();
    let remedy = match names.as_slice() {
        [] => "Add [[directories]], or remove it.".to_owned(),
        names => format!("The ids of [[directories]] are: {}.", names.join(", ")),
    };
    let directory = table.parsed("reread", SourceId::new, &remedy)?;
    if around.complete && around.directories.iter().all(|known| known.id != directory) {
        let problem = format!("There is no directory \"{directory}\".");
        table.complain("reread", problem, remedy);
    }
    Some(directory)
}
