//! What a command stands on: the configuration, the store, the time. The store is opened as the
//! bridge does it; a running bridge notices what is written there by its revocation log.

use super::{ConfigFile, EX_CONFIG, operator};
use crate::audit::{Audit, Event, Witness};
use crate::config::{AppConfig, Config, StoreConfig};
use crate::directory::Intake;
use crate::identity::orders::{Desk, Terms};
use crate::keys::master::MasterKey;
use crate::runtime;
use crate::store::{By, Store};
use crate::types::{AppId, Clock as _, SystemClock, Timestamp};
use anyhow::{Context as _, bail};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub(super) struct Stage {
    pub(super) config: Config,
    pub(super) store: Arc<dyn Store>,
    pub(super) now: Timestamp,
    audit: Audit,
    terms: Terms,
}

/// Runs a job on the configured store, which must exist.
pub(super) fn on_store(
    file: &ConfigFile,
    job: impl AsyncFnOnce(&Stage) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    let Some(config) = load(file) else {
        return Ok(EX_CONFIG);
    };
    block_on(async {
        // Opening would make or migrate it, perhaps under an older bridge that is running, perhaps
        // as another user than the bridge's.
        let schema = runtime::schema_of(&config.store).await?;
        if schema.found.is_none() {
            bail!(
                "there is no store yet: start the bridge once, or run `auth-manager migrate` as the bridge's user"
            );
        }
        if schema.found < Some(schema.known) {
            bail!(
                "the store is of an older version: `auth-manager migrate`, or the next start of the bridge, brings it up to date"
            );
        }
        let store = runtime::store_of(&config.store).await?;
        let stage = Stage {
            audit: runtime::audit_of(&config, Arc::new(SystemClock)),
            terms: runtime::terms_of(&config),
            config,
            store,
            now: SystemClock.now(),
        };
        job(&stage).await?;
        Ok(0)
    })
}

/// The configuration; `None` when it has mistakes, which are then on standard error.
pub(super) fn load(file: &ConfigFile) -> Option<Config> {
    match Config::load(&file.config) {
        Ok(config) => Some(config),
        Err(errors) => {
            eprintln!("{errors}");
            None
        }
    }
}

/// Runs what is asynchronous.
pub(super) fn block_on<T>(job: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")?;
    runtime.block_on(job)
}

impl Stage {
    /// A configured app.
    pub(super) fn app(&self, id: &AppId) -> anyhow::Result<&AppConfig> {
        let found = self.config.apps.iter().find(|app| app.id == *id);
        found.with_context(|| {
            let ids: Vec<_> = self.config.apps.iter().map(|app| app.id.as_str()).collect();
            format!("there is no app {id}; configured: {}", ids.join(", "))
        })
    }

    /// Where orders are taken.
    pub(super) fn desk(&self) -> Desk<'_> {
        Desk {
            store: &*self.store,
            terms: &self.terms,
            now: self.now,
            by: self.by(),
        }
    }

    /// The way in of what directories say.
    pub(super) fn intake(&self) -> Intake {
        let (store, audit) = (self.store.clone(), self.audit());
        runtime::intake_of(&self.config, store, audit, Arc::new(SystemClock))
    }

    /// Where what is done beside orders is accounted for.
    pub(super) fn audit(&self) -> Arc<Audit> {
        Arc::new(runtime::audit_of(&self.config, Arc::new(SystemClock)))
    }

    /// The master key and its predecessors.
    pub(super) fn master(&self) -> anyhow::Result<MasterKey> {
        Ok(runtime::master_of(&self.config.keys)?)
    }

    /// Whoever runs this: whom the audit trail names.
    pub(super) fn witness(&self) -> Witness {
        self.audit.by(operator::operator())
    }

    /// Writes a record that is no change in the store.
    pub(super) async fn record(&self, event: Event) -> anyhow::Result<()> {
        self.audit.record(&*self.store, event).await?;
        Ok(())
    }

    /// Whoever runs this, for the store.
    pub(super) fn by(&self) -> By {
        self.witness().by()
    }

    /// The longest time that a tombstone of any app stands.
    pub(super) fn longest_tombstone(&self) -> Duration {
        longest_tombstone(&self.config)
    }

    /// Refuses to leave files behind that the bridge could not open: lock files belong to who
    /// makes them.
    pub(super) fn as_owner(&self) -> anyhow::Result<()> {
        as_owner(&self.config.store)
    }
}

/// See [`Stage::as_owner`].
pub(super) fn as_owner(store: &StoreConfig) -> anyhow::Result<()> {
    if let Some(owner) = foreign_owner(store) {
        bail!(
            "the store belongs to user {owner}: run this as that user, for example with `sudo -u '#{owner}'`"
        );
    }
    Ok(())
}

/// The longest time that a tombstone of any configured app stands.
pub(super) fn longest_tombstone(config: &Config) -> Duration {
    let all = config.apps.iter().map(|app| app.session.tombstone);
    all.max().unwrap_or(Duration::ZERO)
}

/// The user id that owns the store's file, or its folder while there is none, when it is not the one
/// that runs this.
pub(super) fn foreign_owner(store: &StoreConfig) -> Option<u32> {
    let StoreConfig::Sqlite { path } = store else {
        return None;
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let there = std::fs::metadata(path).or_else(|_| std::fs::metadata(folder));
    let owner = there.ok()?.uid();
    let me = operator::uid()?;
    (owner != me).then_some(owner)
}
