//! `auth-manager audit`: the audit trail. `list` is for looking, `export` for keeping elsewhere;
//! `verify` judges the trail in the store, or an export of it on a machine that has neither store nor
//! master key.

mod list;
mod verify;

use super::ConfigFile;
use super::out::print;
use super::stage::{Stage, on_store};
use crate::audit::Kind;
use crate::audit::export::{self, ExportError};
use crate::keys::AuditKey;
use anyhow::{Context as _, bail};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who did what: look, export, and prove that nothing was changed.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    /// The newest records, oldest of them first.
    List(list::List),
    /// The trail as JSON lines with its checkpoints; its end is signed.
    Export {
        /// Only what came after this record: from the newest checkpoint at or before it.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
        /// Into this file, which must not exist, instead of standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Find the first record that was changed, removed, moved or cut off: exit code 1 names it.
    Verify(verify::Verify),
    /// The public key that checkpoints and exports are signed under, as a JWK: keep it where exports
    /// are verified.
    Key,
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let near = crate::config::nearest(word, all.iter().copied());
        match near {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("must be one of {}", all.join(", ")),
        }
    })
}

impl Audit {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        match self {
            Self::List(list) => on_store(file, async |stage| list.run(stage).await),
            Self::Export { after, output } => on_store(file, async |stage| {
                to(stage, after, output.as_deref()).await
            }),
            Self::Verify(verify) => verify.run(file),
            Self::Key => on_store(file, async |stage| print(key(stage).await?.public().jwk())),
        }
    }
}

/// The audit key, which the bridge makes when it first starts.
async fn key(stage: &Stage) -> anyhow::Result<AuditKey> {
    if stage.store.secret(AuditKey::STORED_AS).await?.is_none() {
        bail!("there is no audit key yet: the bridge makes it when it first starts");
    }
    Ok(AuditKey::load(&*stage.store, &stage.master()?).await?)
}

async fn to(stage: &Stage, after: i64, output: Option<&Path>) -> anyhow::Result<()> {
    let key = key(stage).await?;
    let Some(path) = output else {
        let out = io::stdout().lock();
        return match write(stage, &key, after, out).await {
            // A reader that has seen enough.
            Err(ExportError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other.map(drop)?),
        };
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| path.display().to_string())?;
    let last = write(stage, &key, after, &file).await?;
    file.sync_all()?;
    print(format!(
        "{} ends with record {last}. It is verified with `auth-manager audit verify --export` and the \
         key of `auth-manager audit key`",
        path.display()
    ))
}

async fn write(
    stage: &Stage,
    key: &AuditKey,
    after: i64,
    to: impl Write,
) -> Result<i64, ExportError> {
    export::write(&*stage.store, key, after, stage.now, BufWriter::new(to)).await
}
