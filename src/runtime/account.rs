//! What the audit trail is told of the configuration, and what keeps the trail while the bridge runs.

use super::wire::StartError;
use crate::audit::keeper::{Keeper, Plan};
use crate::audit::{Actor, Kind};
use crate::config::{Config, Fingerprint};
use crate::keys::{AuditKey, MasterKeyId};
use crate::proxy::Bridge;
use crate::store::{Store, StoreError, TrailFilter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of configurations that are looked through for this replica's last one.
const LOOK_BACK: u32 = 200;

/// The keeper, with its key.
pub(super) async fn keeper(
    bridge: &Arc<Bridge>,
    config: &Config,
    replica: &str,
) -> Result<Keeper, StartError> {
    let key = AuditKey::load(&*bridge.store, &bridge.master.load())
        .await
        .map_err(|e| StartError::new("keys", e))?;
    Ok(Keeper {
        audit: bridge.audit.clone(),
        store: bridge.store.clone(),
        key,
        plan: Plan {
            records: i64::try_from(config.audit.checkpoint_records).unwrap_or(i64::MAX),
            every: config.audit.checkpoint_every,
            keep: config.audit.keep,
            folder: config.audit.checkpoints.clone(),
            replica: replica.to_owned(),
        },
        clock: bridge.clock.clone(),
        metrics: bridge.metrics.clone(),
    })
}

/// Records a configuration before it takes effect: its hash, which sections differ from the one that
/// this replica had before (also across a restart), and what in it weakens the bridge.
pub(super) async fn configuration(
    bridge: &Bridge,
    config: &Config,
    kind: Kind,
    master: MasterKeyId,
    replica: &str,
) -> Result<(), StoreError> {
    let Fingerprint { files, sections } = &config.fingerprint;
    let before = sections_before(&*bridge.store, replica).await?;
    let changed = before.map_or(Value::Null, |before| changed(&before, sections).into());
    let event = bridge
        .audit
        .by(Actor::Bridge)
        .event(kind)
        .detail("files", files.as_str())
        .detail("changed", changed)
        .detail("insecure", json!(config.insecure))
        .detail("master_key", master.to_string())
        .detail("sections", listed(sections))
        .detail("version", env!("CARGO_PKG_VERSION"));
    bridge.audit.record(&*bridge.store, event).await.map(drop)
}

/// `name=hash`, shortened: to tell the next one what differs.
fn listed(sections: &BTreeMap<String, String>) -> Vec<String> {
    let short = |hash: &String| hash.chars().take(16).collect::<String>();
    sections
        .iter()
        .map(|(name, hash)| format!("{name}={}", short(hash)))
        .collect()
}

/// Sections that are new, gone or different.
fn changed(before: &[String], now: &BTreeMap<String, String>) -> Vec<String> {
    let now = listed(now);
    let name = |line: &String| line.split('=').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = now
        .iter()
        .filter(|line| !before.contains(line))
        .chain(before.iter().filter(|line| !now.contains(line)))
        .map(name)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What this replica's last record of a configuration listed.
async fn sections_before(
    store: &dyn Store,
    replica: &str,
) -> Result<Option<Vec<String>>, StoreError> {
    let filter = TrailFilter {
        kinds: vec![
            Kind::ConfigStarted.as_str().into(),
            Kind::ConfigReloaded.as_str().into(),
        ],
        before: Some(i64::MAX),
        limit: LOOK_BACK,
        ..TrailFilter::default()
    };
    let found = store.trail(&filter).await?;
    Ok(found.iter().find_map(|record| {
        let body: Value = serde_json::from_str(&record.body).ok()?;
        let of = body
            .get("replica")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let sections = body.pointer("/detail/sections")?.as_array()?;
        let texts = sections.iter().filter_map(Value::as_str).map(str::to_owned);
        (of == replica).then(|| texts.collect())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named_and_nothing_else() {
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let own = |(name, hash): &(&str, &str)| ((*name).to_owned(), (*hash).to_owned());
            pairs.iter().map(own).collect()
        };
        let before = listed(&of(&[("apps", "1"), ("keys", "2"), ("portal", "3")]));
        let now = of(&[("apps", "1"), ("keys", "4"), ("limits", "5")]);
        assert_eq!(changed(&before, &now), ["keys", "limits", "portal"]);
        assert!(changed(&listed(&now), &now).is_empty());
    }
}
