//! `auth-manager restore`: a backup into the configured store, whichever engine it is of.

use super::backup::progress;
use super::out::{clean, count, print};
use super::stage::{as_owner, block_on, load, longest_tombstone};
use super::{ConfigFile, EX_CONFIG, operator};
use crate::audit::chain::Mark;
use crate::audit::{Kind, checkpoints};
use crate::backup::{Backup, BackupError, Manifest};
use crate::config::Config;
use crate::keys::master::MasterKey;
use crate::keys::{AuditKey, Statement};
use crate::runtime;
use crate::store::StoreError;
use crate::store::archive::{Load, Loaded};
use crate::types::{Clock as _, SystemClock, Timestamp};
use anyhow::{Context as _, bail};
use std::path::PathBuf;
use std::sync::Arc;

/// Restore a backup, on either engine; the bridge must be stopped. All sessions end, and the signing
/// keys of the backup are revoked: what was ended since it was made must not come back.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    #[command(flatten)]
    file: ConfigFile,
    /// The backup.
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// Replace what the store holds.
    #[arg(long)]
    replace: bool,
    /// Let in again whom only the replaced store has disabled or signed out.
    #[arg(long, requires = "replace")]
    forget_denials: bool,
    /// Check the backup, and only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let Some(config) = load(&self.file) else {
            return Ok(EX_CONFIG);
        };
        as_owner(&config.store)?;
        let master = runtime::master_of(&config.keys)?;
        let place = runtime::place_of(&config.store)?;
        let mut backup = Backup::open(&self.from, &master)?;
        // Before anything of the store is touched.
        let contents = backup.check(progress)?;
        let rows = count(usize::try_from(contents.rows())?, "row");
        let made = Timestamp(contents.manifest.made_at);
        let program = clean(&contents.manifest.program);
        block_on(async {
            let known = runtime::schema_of(&config.store).await?.known;
            if contents.manifest.schema > known {
                bail!(
                    "the backup has tables of version {}, this program knows up to {known}: use auth-manager {program} or newer",
                    contents.manifest.schema
                );
            }
            let held = place.held().await?.unwrap_or(0);
            if held > 0 && !self.replace {
                bail!(
                    "the store holds {} already: name --replace to replace them, after a backup of them",
                    count(usize::try_from(held)?, "row")
                );
            }
            if self.dry_run {
                print(format!(
                    "the backup of {made} (auth-manager {program}) is whole: {rows} would be restored, {} replaced; \
                     every session would end, and every signing key be revoked",
                    count(usize::try_from(held)?, "row")
                ))?;
                return Ok(0);
            }
            let now = SystemClock.now();
            let how = Load {
                replace: self.replace,
                keep_denials: !self.forget_denials,
                tombstone_until: now + longest_tombstone(&config),
                now,
            };
            match backup.restore(&place, &how).await {
                Ok(loaded) => {
                    record(&config, &master, &loaded, &contents.manifest).await?;
                    print(report(&loaded, made))?;
                }
                Err(BackupError::Store(StoreError::Busy)) => bail!(
                    "a bridge or a command has the store open: stop every replica first, with systemd by `systemctl stop auth-manager.socket auth-manager.service`"
                ),
                Err(BackupError::Store(StoreError::NotEmpty)) => {
                    bail!(
                        "the store is not empty any more: name --replace to replace what it holds"
                    )
                }
                Err(error) => return Err(error.into()),
            }
            Ok(0)
        })
    }
}

/// Into the restored trail: what follows in it is of now, what stands before of then. And beside the
/// checkpoints that are kept elsewhere, signed: of what came after the backup they tell another trail.
async fn record(
    config: &Config,
    master: &MasterKey,
    loaded: &Loaded,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    let store = runtime::store_of(&config.store).await?;
    let audit = runtime::audit_of(config, Arc::new(SystemClock));
    let head = store.trail_head().await?;
    let event = audit
        .by(operator::operator())
        .event(Kind::StoreRestored)
        .detail("made_at", manifest.made_at)
        .detail("program", manifest.program.as_str())
        .detail("up_to", head.number)
        .detail("rows", loaded.rows)
        .detail("sessions", loaded.ended)
        .detail("keys", loaded.keys);
    audit.record(&*store, event).await?;
    let Some(folder) = &config.audit.checkpoints else {
        return Ok(());
    };
    // Without the key nothing was ever signed that it could contradict.
    if store.secret(AuditKey::STORED_AS).await?.is_none() {
        return Ok(());
    }
    let key = AuditKey::load(&*store, master).await?;
    let now = SystemClock.now();
    let token = Mark::of(head, now).sign(&key, Statement::Restored);
    checkpoints::append(folder, &runtime::replica_of(&config.audit), &token, now).with_context(|| {
        format!(
            "the backup is restored, but that could not be written to {}: `audit verify` will find \
             what was signed there to contradict the trail. Make it writable and restore again",
            folder.display()
        )
    })
}

fn report(loaded: &Loaded, made: Timestamp) -> String {
    let number = |n: u64, what| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    let mut lines = vec![
        format!("{} of {made} restored", number(loaded.rows, "row")),
        match loaded.ended {
            0 => "no session was live in it".into(),
            n => format!("{} ended: everybody signs in again", number(n, "session")),
        },
        format!(
            "{} revoked: the bridge makes a new one when it starts",
            number(loaded.keys, "signing key")
        ),
    ];
    if loaded.disabled > 0 || loaded.tombstones > 0 {
        lines.push(format!(
            "kept from the replaced store: {} disabled since, {}",
            match loaded.disabled {
                1 => "1 person".to_owned(),
                n => format!("{n} people"),
            },
            number(loaded.tombstones, "tombstone")
        ));
    }
    lines.push(format!(
        "what else was done after {made} is not in it: disable and erase again whom you disabled or erased since"
    ));
    lines.join("\n")
}
