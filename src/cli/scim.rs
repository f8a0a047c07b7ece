//! `auth-manager scim`: the connections of SCIM clients, and how they are doing.

use super::ConfigFile;
use super::out::{Table, json, print};
use super::stage::{Stage, on_store};
use crate::store::ScimCount;
use serde_json::json;

/// SCIM connections.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Scim {
    /// The connections of the configuration: who uses each, what was put there, and when it was last
    /// heard of.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Scim {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        let Self::List { json } = self;
        on_store(file, async |stage| list(stage, json).await)
    }
}

async fn list(stage: &Stage, as_json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for connection in &stage.config.scim {
        let since = stage.now - connection.brake.window;
        let count = stage.store.scim_count(&connection.id, since).await?;
        let state = stage.store.source_state(&connection.id).await?;
        all.push((connection, count, state.heard_at));
    }
    if as_json {
        let shown = all.iter().map(|(connection, count, heard_at)| {
            json!({
                "id": connection.id,
                "clients": connection.clients,
                "issuer": connection.issuer,
                "strict": connection.strict,
                "reread": connection.reread,
                "heard_at": heard_at,
                "active": count.active,
                "inactive": count.inactive,
                "groups": count.groups,
                "due": count.due,
                "gone_lately": count.ended,
                "braked": connection.brake.holds(count.ended, count.active),
            })
        });
        return json(&shown.collect::<Vec<_>>());
    }
    let mut table = Table::new(&[
        "ID",
        "CLIENTS",
        "ACTIVE",
        "INACTIVE",
        "GROUPS",
        "LAST HEARD",
        "STATE",
    ]);
    for (connection, count, heard_at) in &all {
        let clients: Vec<_> = connection.clients.iter().map(ToString::to_string).collect();
        let braked = connection.brake.holds(count.ended, count.active);
        table.row([
            connection.id.to_string(),
            clients.join(" "),
            count.active.to_string(),
            count.inactive.to_string(),
            count.groups.to_string(),
            heard_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            state(count, braked),
        ]);
    }
    print(table.text("None: [[scim]] of the configuration names none."))
}

fn state(count: &ScimCount, braked: bool) -> String {
    match (braked, count.due) {
        (true, _) => format!("braked: {} went lately", count.ended),
        (false, 0) => "up to date".to_owned(),
        (false, due) => format!("{due} to be told"),
    }
}
