//! `auth-manager audit verify`.

use super::key;
use crate::audit::Kind;
use crate::audit::chain::Fault;
use crate::audit::checkpoints::Checkpoints;
use crate::audit::export;
use crate::audit::verify::{self, Verdict, VerifyError};
use crate::cli::ConfigFile;
use crate::cli::out::print;
use crate::cli::stage::{Stage, on_store};
use crate::keys::AuditPublicKey;
use crate::store::TrailFilter;
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{BufReader, stdin};
use std::path::{Path, PathBuf};

/// Find the first record that was changed, removed, moved or cut off: exit code 1 names it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Verify {
    /// Judge this export (`-`: standard input) instead of the store. Needs no configuration, no store
    /// and no secret.
    #[arg(long, value_name = "FILE", requires = "key")]
    export: Option<PathBuf>,
    /// The public key, as `audit key` printed it. For the store it is read from there when it is not
    /// given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere: a file or a folder. For the store, without it, the folder
    /// that `[audit] checkpoints` names.
    #[arg(long, value_name = "PATH")]
    checkpoints: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        if let Some(path) = &self.export {
            self.export(path)?;
            return Ok(0);
        }
        on_store(file, async |stage| self.store(stage).await)
    }

    fn public(&self) -> anyhow::Result<Option<AuditPublicKey>> {
        let Some(path) = &self.key else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let key = AuditPublicKey::from_jwk(&text);
        let key = key.with_context(|| {
            format!(
                "{}: no public Ed25519 key as `auth-manager audit key` prints it",
                path.display()
            )
        })?;
        Ok(Some(key))
    }

    fn export(&self, path: &Path) -> anyhow::Result<()> {
        let key = self.public()?.context("an export needs --key")?;
        let outside = outside(self.checkpoints.as_deref(), &key)?;
        let verdict = if path == Path::new("-") {
            export::verify(stdin().lock(), &key, &outside)?
        } else {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            export::verify(BufReader::new(file), &key, &outside)?
        };
        say(&verdict, &outside)
    }

    async fn store(&self, stage: &Stage) -> anyhow::Result<()> {
        let read;
        let loaded;
        let public = match self.public()? {
            Some(key) => {
                read = key;
                &read
            }
            None => {
                loaded = key(stage).await?;
                loaded.public()
            }
        };
        let folder = self.checkpoints.as_deref();
        let folder = folder.or(stage.config.audit.checkpoints.as_deref());
        let outside = match outside(folder, public) {
            Ok(outside) => outside,
            Err(error) => return Err(restored(stage, error).await),
        };
        match verify::store(&*stage.store, public, &outside).await {
            Ok(verdict) => say(&verdict, &outside),
            Err(error) => Err(restored(stage, error.into()).await),
        }
    }
}

/// What a restore has to do with a fault that checkpoints from elsewhere found: a restore says so in
/// their folder, and what it says may be missing there.
async fn restored(stage: &Stage, error: anyhow::Error) -> anyhow::Error {
    let contradicts = error.chain().any(|cause| {
        let fault = cause.downcast_ref::<Fault>();
        let fault = fault.or_else(|| match cause.downcast_ref::<VerifyError>() {
            Some(VerifyError::Fault(fault)) => Some(fault),
            _ => None,
        });
        matches!(
            fault,
            Some(Fault::Contradicted { .. } | Fault::Truncated { .. })
        )
    });
    let filter = TrailFilter {
        kinds: vec![Kind::StoreRestored.as_str().into()],
        before: Some(i64::MAX),
        limit: 1,
        ..TrailFilter::default()
    };
    let found = stage.store.trail(&filter).await.unwrap_or_default();
    match found.first() {
        Some(record) if contradicts => error.context(format!(
            "record {} says that the store was restored from a backup at {}. If you did that, the \
             restore left a signed line in the folder of [audit] checkpoints, and --checkpoints must \
             have it: then what was signed before about later records does not count. If nobody did, \
             the trail was written anew",
            record.number, record.at
        )),
        _ => error,
    }
}

fn outside(path: Option<&Path>, key: &AuditPublicKey) -> anyhow::Result<Checkpoints> {
    let Some(path) = path else {
        return Ok(Checkpoints::default());
    };
    let read = Checkpoints::read(path, key).with_context(|| path.display().to_string())??;
    if read.is_empty() && read.restores().is_empty() {
        bail!("{}: there is no checkpoint in it", path.display());
    }
    Ok(read)
}

fn say(verdict: &Verdict, outside: &Checkpoints) -> anyhow::Result<()> {
    let Verdict {
        first,
        last,
        checkpoints,
        covered,
        begins_behind,
    } = verdict;
    if *first == 0 {
        return print("there is no record yet");
    }
    print(format!(
        "records {first} to {last} are as they were written; {checkpoints} checkpoints agree"
    ))?;
    if *begins_behind > 0 {
        print(format!(
            "what came up to record {begins_behind} was removed by the bridge, or is not in this export"
        ))?;
    }
    if covered < last {
        print(format!(
            "records after {covered} are not signed yet: they are chained, but whoever can write to \
             the store could have written them"
        ))?;
    }
    for restore in outside.restores() {
        print(format!(
            "the store was restored at {}: up to record {} it is the backup's trail",
            restore.time, restore.number
        ))?;
    }
    if outside.replaced() > 0 {
        print(format!(
            "{} checkpoints are of what a restore replaced, and not of this trail",
            outside.replaced()
        ))?;
    }
    if outside.is_empty() {
        print(
            "without checkpoints from elsewhere (--checkpoints) an end that was cut off together with \
             its checkpoints can't be noticed",
        )?;
    }
    Ok(())
}
