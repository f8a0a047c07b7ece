//! What this machine has: configuration, secrets, keys, store.

use super::report::Report;
use crate::cli::out::count;
use crate::cli::stage::foreign_owner;
use crate::config::{AppKind, Config, SecretSource, StoreConfig};
use crate::keys::derive::{PasswordRoot, PasswordRootError};
use crate::keys::master::MasterKey;
use crate::keys::rewrap::Census;
use crate::keys::ring::{Ring, RingError};
use crate::keys::seal::OpenError;
use crate::runtime;
use crate::store::{Schema, Store};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

/// The file itself: that it was read says that it has no mistake of its own.
pub(super) fn configuration(report: &mut Report, config: &Config, file: &str) {
    let (apps, issuers) = (config.apps.len(), config.issuers.len());
    report.ok(
        "config",
        format!(
            "{file}: {}, {}",
            count(apps, "app"),
            count(issuers, "issuer")
        ),
    );
    for key in &config.insecure {
        report.warning(
            "insecure",
            format!("{key} is active"),
            "Take it out unless you need it and know why.",
        );
    }
    if config.allows_shared_secrets() {
        return;
    }
    let keys = &config.keys;
    let secrets = std::iter::once(&keys.master)
        .chain(&keys.former_masters)
        .chain(&keys.next_master);
    let bots = config.apps.iter().map(|app| {
        let AppKind::Mattermost(mattermost) = &app.kind;
        &mattermost.bot_token
    });
    let (files, credentials): (Vec<_>, Vec<_>) = secrets
        .chain(bots)
        .partition(|source| matches!(source, SecretSource::File(_)));
    report.ok(
        "secrets",
        format!(
            "{} that nobody else may read, {}",
            count(files.len(), "file"),
            count(credentials.len(), "systemd credential")
        ),
    );
}

/// What else can be judged with: the store, and the key of what is sealed in it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) master: Option<MasterKey>,
}

/// The master key, the store, and whether the one opens what the other holds. Gives what there is
/// when there is a store.
pub(super) async fn keys_and_store(report: &mut Report, config: &Config) -> Option<Opened> {
    let master = match runtime::master_of(&config.keys) {
        Ok(master) => Some(master),
        Err(error) => {
            report.error(
                "master key",
                error.why,
                "Put the key back from your backup; `auth-manager init` makes one for a new bridge only.",
            );
            None
        }
    };
    let Some(store) = store(report, config).await else {
        if let Some(master) = master {
            report.ok(
                "master key",
                format!("{}; nothing is sealed under it yet", master.id()),
            );
        }
        return None;
    };
    if let Some(master) = &master {
        sealed(report, &*store, master).await;
    }
    Some(Opened { store, master })
}

/// Opens the store, unless that would make or migrate it.
async fn store(report: &mut Report, config: &Config) -> Option<Arc<dyn Store>> {
    let place = match &config.store {
        StoreConfig::Sqlite { path } => path.display().to_string(),
        StoreConfig::Postgres { .. } => "PostgreSQL".to_owned(),
    };
    let remedy = match &config.store {
        StoreConfig::Sqlite { .. } => {
            "Check the folder's owner and mode, and that the disk has room."
        }
        StoreConfig::Postgres { .. } => {
            "Is the server up, and are address, password and TLS of store.postgres.url right?"
        }
    };
    match runtime::schema_of(&config.store).await {
        Err(error) => {
            report.error("store", format!("{place}: {}", error.why), remedy);
            return None;
        }
        Ok(Schema { found: None, .. }) => {
            report.ok("store", format!("{place}: empty, made at the first start"));
            return None;
        }
        Ok(Schema {
            found: Some(found),
            known,
        }) if found < known => {
            report.warning(
                "store",
                format!("{place}: tables of version {found}, this program has {known}"),
                "`auth-manager migrate`, or the next start, brings them up to date; make a backup first.",
            );
            return None;
        }
        Ok(_) => {}
    }
    let store = match runtime::store_of(&config.store).await {
        Ok(store) => store,
        Err(error) => {
            report.error("store", format!("{place}: {}", error.why), remedy);
            return None;
        }
    };
    if let StoreConfig::Sqlite { path } = &config.store
        && let Ok(meta) = std::fs::metadata(path)
        && meta.mode() & 0o077 != 0
    {
        report.warning(
            "store",
            format!(
                "{place}: others may read it (mode {:04o})",
                meta.mode() & 0o7777
            ),
            format!("Run `chmod 600 {place}`: it holds names and sealed tokens."),
        );
    }
    if let Some(owner) = foreign_owner(&config.store) {
        report.note(
            "store",
            format!("{place} belongs to user {owner}: run commands that change keys as that user"),
        );
    }
    report.ok("store", format!("{place}: answers, tables up to date"));
    Some(store)
}

/// What still hangs on master keys that no longer seal, and on ones that are not there.
fn former(report: &mut Report, master: &MasterKey, census: &Census) {
    for id in master.former() {
        let hanging = census.under(id);
        match hanging.total() {
            0 => report.ok(
                "master key",
                format!("nothing is sealed under the former {id}: it may be taken out of keys.former_master_keys (keep it as long as backups of before)"),
            ),
            _ => report.note(
                "master key",
                format!("{hanging} still sealed under the former {id}: a running bridge, or `auth-manager keys rewrap`, seals them anew; until then it must stay"),
            ),
        }
    }
    for (id, hanging) in census.missing(master) {
        report.error(
            "master key",
            format!("{hanging} sealed under {id}, which is not configured: the bridge does not start"),
            "Put that key back into keys.former_master_keys until `auth-manager keys status` says that nothing hangs on it.",
        );
    }
    if census.malformed > 0 {
        report.error(
            "store",
            format!(
                "{} not of a form that this version knows",
                match census.malformed {
                    1 => "1 sealed record is".to_owned(),
                    n => format!("{n} sealed records are"),
                }
            ),
            "Is this program older than the one that wrote them? Else restore a backup.",
        );
    }
}

/// Whether the master key opens the signing keys and the root of the passwords.
async fn sealed(report: &mut Report, store: &dyn Store, master: &MasterKey) {
    let id = master.id();
    let changed = |under: &dyn std::fmt::Display| {
        (
            format!("the master key changed: this one is {id}, the store was sealed under {under}"),
            "Put the former key back, or name it in keys.former_master_keys. Without it nobody's account can be proven theirs.",
        )
    };
    match Census::take(store).await {
        Ok(census) => former(report, master, &census),
        Err(error) => report.error("store", error.to_string(), ""),
    }
    let mut broken = false;
    let mut say = |what: &str, text: String, remedy: &str| {
        broken = true;
        report.error(what, text, remedy);
    };
    let mut keys = 0;
    match Ring::load(store, master).await {
        Ok(ring) => keys = ring.keys().len(),
        Err(RingError::Open {
            source: OpenError::UnknownKey(under),
            ..
        }) => {
            let (text, remedy) = changed(&under);
            say("master key", text, remedy);
        }
        Err(error) => say(
            "signing keys",
            error.to_string(),
            "`auth-manager keys revoke` the key if somebody else wrote it; a backup has it as it was.",
        ),
    }
    // Loading would make a root where there is none.
    let root = match store.secret(PasswordRoot::STORED_AS).await {
        Ok(Some(_)) => PasswordRoot::load(store, master).await.map(|_| true),
        Ok(None) => Ok(false),
        Err(error) => Err(error.into()),
    };
    match &root {
        Ok(_) => {}
        Err(PasswordRootError::Open(OpenError::UnknownKey(under))) => {
            let (text, remedy) = changed(under);
            say("password root", text, remedy);
        }
        Err(error) => say(
            "password root",
            error.to_string(),
            "Restore the store from a backup: app passwords derive from it.",
        ),
    }
    if !broken {
        let text = match (keys, root.unwrap_or(false)) {
            (0, false) => format!("{id}; nothing is sealed under it yet"),
            (keys, _) => format!(
                "{id} opens {} and the root of the app passwords",
                count(keys, "signing key")
            ),
        };
        report.ok("master key", text);
    }
}
