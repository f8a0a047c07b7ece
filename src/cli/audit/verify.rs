//! `auth-manager audit verify`.

use super::key;
use crate::audit::checkpoints::Checkpoints;
use crate::audit::export;
use crate::audit::verify::{self, Verdict};
use crate::cli::ConfigFile;
use crate::cli::out::print;
use crate::cli::stage::{Stage, on_store};
use crate::keys::AuditPublicKey;
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
            say(&self.export(path)?, self.checkpoints.is_some())?;
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

    fn export(&self, path: &Path) -> anyhow::Result<Verdict> {
        let key = self.public()?.context("an export needs --key")?;
        let outside = outside(self.checkpoints.as_deref(), &key)?;
        if path == Path::new("-") {
            return Ok(export::verify(stdin().lock(), &key, &outside)?);
        }
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(export::verify(BufReader::new(file), &key, &outside)?)
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
        let outside = outside(folder, public)?;
        let verdict = verify::store(&*stage.store, public, &outside).await?;
        say(&verdict, folder.is_some())
    }
}

fn outside(path: Option<&Path>, key: &AuditPublicKey) -> anyhow::Result<Checkpoints> {
    let Some(path) = path else {
        return Ok(Checkpoints::default());
    };
    let read = Checkpoints::read(path, key).with_context(|| path.display().to_string())??;
    if read.is_empty() {
        bail!("{}: there is no checkpoint in it", path.display());
    }
    Ok(read)
}

fn say(verdict: &Verdict, outside: bool) -> anyhow::Result<()> {
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
    if !outside {
        print(
            "without checkpoints from elsewhere (--checkpoints) an end that was cut off together with \
             its checkpoints can't be noticed",
        )?;
    }
    Ok(())
}
