//! `[directories.write]`: what may be done in a directory by hand or by a CI job. What is not listed
//! here is never done there.

use super::reader::{Table, shown};
use super::sections::{hours, is_loopback};
use super::units::format_duration;
use super::{AppConfig, DirectoryConfig, Gate, SecretSource, access, directories};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// Most groups that may be given.
const GROUPS: usize = 50;

/// `[directories.write]`.
#[derive(Debug, Clone)]
pub struct WriteConfig {
    /// An API token of a service account that is not the reader's; read anew when its file changes.
    pub token: SecretSource,
    /// What the directory calls that token: whoever says it is warned before it ends.
    pub token_identifier: Option<String>,
    /// Groups that people may be put into, each bound by name and id. The first is given when none is
    /// named.
    pub groups: Vec<Gate>,
    /// How people are invited; `None`: they are not.
    pub invitations: Option<InvitationsConfig>,
}

/// `[directories.write.invitations]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationsConfig {
    /// The slug of the enrolment flow that an invitation is for.
    pub flow: String,
    /// Where people reach the directory; `None`: where the bridge does.
    pub url: Option<Url>,
    /// How long one is good for unless it is said. Default 7 days.
    pub lifetime: Duration,
    /// How long one may be good for. Default 30 days.
    pub longest: Duration,
    /// Whether one may be good for several people. Default false.
    pub reusable: bool,
}

/// The table of a directory; `reader` is what an Authentik is read with, `None` when it is none.
pub(super) fn write(
    directory: &Table<'_>,
    writable: bool,
    reader: Option<&SecretSource>,
) -> Option<WriteConfig> {
    let table = directory.table("write");
    let token = table.secret("token");
    let token_identifier = table.text("token_identifier").map(str::to_owned);
    let groups = access::gates(&table, "groups");
    let invitations = invitations(&table.table("invitations"));
    if !table.is_present() {
        return None;
    }
    if !writable {
        directory.complain(
            "write",
            "The bridge can write to Authentik alone.",
            "Remove it: groups are given, and people invited, in the directory itself.",
        );
        return None;
    }
    table.require(
        "token",
        "Write token = { file = \"…\" }: an API token of a service account of its own, as README.md, \
         \"By hand and from CI\", says.",
    );
    if token.is_some() && token.as_ref() == reader {
        table.complain(
            "token",
            "It is the token that the directory is read with.",
            "Make another service account for it: whoever only reads must not be able to write.",
        );
    }
    directories::identifier(&table, token_identifier.as_deref());
    judge(&table, &groups);
    if groups.is_empty() && invitations.is_none() {
        table.complain(
            "",
            "It allows nothing.",
            "List `groups`, or add [directories.write.invitations], or remove it.",
        );
    }
    Some(WriteConfig {
        token: token?,
        token_identifier,
        groups,
        invitations,
    })
}

/// A group that gives power over an app is never given by hand. Those that are in one are found when
/// they are asked for; this one is seen here.
pub(super) fn gives_no_power(
    tables: &[Table<'_>],
    directories: &[DirectoryConfig],
    apps: &[AppConfig],
) {
    let mappings = apps.iter().flat_map(|app| &app.provision.groups);
    let power: Vec<_> = mappings.filter(|mapping| mapping.gives_power()).collect();
    for directory in directories {
        let groups = directory.write.iter().flat_map(|write| &write.groups);
        let named = |group: &&Gate| {
            let (id, name) = (group.id.as_deref().unwrap_or_default(), group.name.as_str());
            power.iter().any(|mapping| mapping.group.is(id, name))
        };
        let table = (tables.iter()).find(|t| t.text("id") == Some(directory.id.as_str()));
        for group in groups.filter(named) {
            if let Some(table) = table {
                table.complain(
                    "write",
                    format!(
                        "{} gives power over an app ([[apps.provision.groups]]).",
                        shown(group.name.as_str())
                    ),
                    "Take it out of `groups`: who administers is decided in the directory itself.",
                );
            }
        }
    }
}

/// Each group is named and meant without doubt: a name alone is whoever's it is tomorrow.
fn judge(table: &Table<'_>, groups: &[Gate]) {
    const REMEDY: &str =
        "Write { name = \"validated\", id = \"…\" } with Authentik's own id (UUID) of it.";
    if groups.len() > GROUPS {
        let problem = format!("It lists more than {GROUPS} groups.");
        table.complain(
            "groups",
            problem,
            "List those that a person is given by hand.",
        );
    }
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for group in groups {
        let name = shown(group.name.as_str());
        let id = group.id.as_deref().map(Uuid::parse_str);
        match id {
            None => table.complain("groups", format!("{name} has no id."), REMEDY),
            Some(Err(_)) => {
                table.complain("groups", format!("The id of {name} is not a UUID."), REMEDY);
            }
            Some(Ok(id)) if !ids.insert(id) => {
                table.complain(
                    "groups",
                    format!("The id of {name} is there twice."),
                    REMEDY,
                );
            }
            Some(Ok(_)) => {}
        }
        if !names.insert(group.name.as_str()) {
            table.complain("groups", format!("{name} is there twice."), REMEDY);
        }
    }
}

fn invitations(table: &Table<'_>) -> Option<InvitationsConfig> {
    let flow = table.text("flow");
    let plain = table.insecure("insecure_http_links");
    let url = table.parsed("url", Url::parse, "Write \"https://id.example.com\".");
    let longest = table.duration("longest", hours(30 * 24), hours(1)..=hours(365 * 24));
    let usual = hours(7 * 24).min(longest);
    let lifetime = table.duration("lifetime", usual, hours(1)..=hours(365 * 24));
    let reusable = table.flag("reusable", false);
    if !table.is_present() {
        return None;
    }
    if lifetime > longest {
        let problem = format!(
            "{} is longer than `longest` ({}).",
            format_duration(lifetime),
            format_duration(longest)
        );
        table.complain("lifetime", problem, "Lower it, or raise `longest`.");
    }
    table.require("flow", "Name the enrolment flow by its slug.");
    let slug = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if let Some(flow) = flow
        && (flow.is_empty() || flow.len() > 100 || !flow.bytes().all(slug))
    {
        let problem = format!("{} is not the slug of a flow.", shown(flow));
        table.complain(
            "flow",
            problem,
            "Write it as its address has it: letters, digits, - _ .",
        );
    }
    let url = url.map(|mut url| {
        let odd = url.query().is_some() || url.fragment().is_some() || url.host().is_none();
        let secure = match url.scheme() {
            "https" => true,
            "http" => plain || is_loopback(&url),
            _ => false,
        };
        if odd || !secure || !url.username().is_empty() || url.password().is_some() {
            table.complain(
                "url",
                "It is not the https:// address of a directory.",
                "Write scheme, host, port and path: whoever reads the link on its way can use it.",
            );
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    });
    Some(InvitationsConfig {
        flow: flow?.to_owned(),
        url,
        lifetime,
        longest,
        reusable,
    })
}
