//! `[[audiences]]`: whom tokens are exchanged for, what they may allow there, and what they say about
//! a person.

use super::api::is_audience;
use super::reader::{Table, shown};
use super::{ApiListener, AppConfig, AudienceClaim, AudienceConfig, SubjectKind};
use crate::types::GroupName;
use std::time::Duration;

/// Longest life of an exchanged token, whatever an audience asks for.
pub const LONGEST_TOKEN: Duration = Duration::from_secs(600);
/// Most groups that a token passes on, and their bytes together: a token must fit into a header.
const GROUPS: usize = 32;
const GROUP_BYTES: usize = 2048;
/// Most scopes of an audience.
const SCOPES: usize = 64;
/// Longest scope in bytes.
const LONGEST_SCOPE: usize = 64;

/// One of `[[audiences]]`.
pub(super) fn audience(
    table: &Table<'_>,
    api: Option<&ApiListener>,
    apps: &[AppConfig],
) -> Option<AudienceConfig> {
    table.require(
        "id",
        "Write id = \"https://reports.internal\": the `aud` of its tokens.",
    );
    let id = id(table, api, apps);
    let lifetime = table.duration(
        "lifetime",
        Duration::from_secs(300),
        Duration::from_secs(30)..=LONGEST_TOKEN,
    );
    let subject = table.choice(
        "subject",
        SubjectKind::Shared,
        &[
            ("shared", SubjectKind::Shared),
            ("pairwise", SubjectKind::Pairwise),
        ],
    );
    let audience = AudienceConfig {
        id: id?,
        scopes: scopes(table),
        lifetime,
        subject,
        claims: claims(table),
        groups: groups(table),
    };
    let tells = !audience.claims.is_empty() || !audience.groups.is_empty();
    if subject == SubjectKind::Pairwise && tells {
        let key = if audience.claims.is_empty() {
            "groups"
        } else {
            "claims"
        };
        table.complain(
            key,
            "It tells who the person is, which subject = \"pairwise\" is there to hide.",
            "Remove it, or write subject = \"shared\".",
        );
    }
    Some(audience)
}

fn id(table: &Table<'_>, api: Option<&ApiListener>, apps: &[AppConfig]) -> Option<String> {
    let text = table.text("id")?;
    let remedy = "Write the service's own address or name, exactly: there is no \"any\".";
    if !is_audience(text) || text == "*" {
        table.complain("id", format!("{} is no audience.", shown(text)), remedy);
        return None;
    }
    let bare = text.strip_prefix("https://").unwrap_or(text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if apps
        .iter()
        .any(|app| app.host.matches(bare) || app.origin == text)
    {
        table.complain(
            "id",
            "It names an app: its tokens would look like its visitors' sessions.",
            "Give the service behind it a name of its own.",
        );
    } else if api.is_some_and(|api| api.audience == text || api.issuer == text) {
        // Else a person's token could serve as a service's bearer.
        table.complain("id", "It names the api listener itself.", remedy);
    }
    Some(text.to_owned())
}

/// RFC 6749 §3.3 `scope-token`.
fn scopes(table: &Table<'_>) -> Vec<String> {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    let mut scopes: Vec<String> = Vec::new();
    for text in table.texts("scopes") {
        let fits = !text.is_empty() && text.len() <= LONGEST_SCOPE && text.bytes().all(plain);
        if !fits {
            table.complain(
                "scopes",
                format!("{} is no scope.", shown(text)),
                "Use up to 64 letters, digits and signs, without blanks, quotes and backslashes.",
            );
        } else if !scopes.iter().any(|known| known == text) {
            scopes.push(text.to_owned());
        }
    }
    if scopes.len() > SCOPES {
        table.complain(
            "scopes",
            format!("There are more than {SCOPES}."),
            "Make fewer, wider ones, or several audiences.",
        );
    }
    scopes
}

fn claims(table: &Table<'_>) -> Vec<AudienceClaim> {
    let mut claims = Vec::new();
    let names = AudienceClaim::ALL.map(AudienceClaim::as_str);
    for word in table.texts("claims") {
        match AudienceClaim::ALL.iter().find(|c| c.as_str() == word) {
            Some(claim) if claims.contains(claim) => {}
            Some(claim) => claims.push(*claim),
            None => table.complain(
                "claims",
                format!("{} is not passed on.", shown(word)),
                format!("Choose among: {}.", names.join(", ")),
            ),
        }
    }
    claims
}

fn groups(table: &Table<'_>) -> Vec<GroupName> {
    let mut groups = Vec::new();
    for text in table.texts("groups") {
        match GroupName::new(text) {
            Ok(group) => groups.push(group),
            Err(error) => table.complain(
                "groups",
                format!("{}: {error}.", shown(text)),
                "List groups letter by letter, as the assertion has them.",
            ),
        }
    }
    let bytes: usize = groups.iter().map(|group| group.as_str().len()).sum();
    if groups.len() > GROUPS || bytes > GROUP_BYTES {
        table.complain(
            "groups",
            format!("There are more than {GROUPS}, or they are longer than {GROUP_BYTES} bytes."),
            "List those that the service decides by: a token must fit into a header.",
        );
    }
    groups
}
