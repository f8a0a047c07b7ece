//! `auth-manager backup`: the store, keys included, in one sealed file.

use super::out::{count, print};
use super::stage::{as_owner, block_on, load};
use super::{ConfigFile, EX_CONFIG};
use crate::backup;
use crate::runtime;
use crate::types::{Clock as _, SystemClock};
use std::path::PathBuf;

/// Bring store and sealed keys into one file, while the bridge runs. The master key is not in it.
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    #[command(flatten)]
    file: ConfigFile,
    /// The file to write; none is overwritten.
    #[arg(value_name = "BACKUP")]
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let Some(config) = load(&self.file) else {
            return Ok(EX_CONFIG);
        };
        as_owner(&config.store)?;
        let master = runtime::master_of(&config.keys)?;
        let place = runtime::place_of(&config.store)?;
        block_on(async {
            let now = SystemClock.now();
            let contents = backup::write(&place, &master, &self.to, now, progress).await?;
            print(format!(
                "{}: {} of {}, tables of version {}; read back and whole\n\
                 it opens with master key {} only, which is not in it: keep that elsewhere",
                self.to.display(),
                count(usize::try_from(contents.rows())?, "row"),
                count(contents.tables.len(), "table"),
                contents.manifest.schema,
                master.id(),
            ))?;
            Ok(0)
        })
    }
}

/// How far it is, beside the result.
pub(super) fn progress(table: &str, rows: u64) {
    eprintln!("{table:<16}{rows:>10}");
}
