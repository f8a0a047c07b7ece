//! What was heard of each directory.

use crate::cli::ConfigFile;
use crate::cli::out::{Table, json, print, roughly};
use crate::cli::stage::on_store;
use crate::types::Timestamp;
use serde_json::json;

pub(super) fn run(file: &ConfigFile, as_json: bool) -> anyhow::Result<u8> {
    on_store(file, async |stage| {
        let mut rows = Vec::new();
        for directory in &stage.config.directories {
            let Some(hooks) = &directory.hooks else {
                continue;
            };
            let state = stage.store.source_state(&directory.id).await?;
            rows.push((directory.id.to_string(), hooks.secrets.len(), state));
        }
        if as_json {
            let shown = rows.iter().map(|(id, secrets, state)| {
                json!({
                    "directory": id,
                    "secrets": secrets,
                    "heard_at": state.heard_at,
                    "tested_at": state.tested_at,
                })
            });
            return json(&shown.collect::<Vec<_>>());
        }
        let ago = |at: Option<Timestamp>| match at {
            Some(at) => format!("{at} ({} ago)", roughly(stage.now.0 - at.0)),
            None => "never".to_owned(),
        };
        let mut table = Table::new(&["DIRECTORY", "SECRETS", "HEARD", "TESTED"]);
        for (id, secrets, state) in rows {
            let heard = ago(state.heard_at.max(state.tested_at));
            table.row([id, secrets.to_string(), heard, ago(state.tested_at)]);
        }
        print(table.text("None: no directory has [directories.hooks]."))
    })
}
