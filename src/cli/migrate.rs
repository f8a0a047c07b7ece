//! `auth-manager migrate`.

use super::out::print;
use super::stage::{block_on, load};
use super::{ConfigFile, EX_CONFIG};
use crate::runtime;

/// Bring the store's tables up to date (`serve` does it too).
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    file: ConfigFile,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let Some(config) = load(&self.file) else {
            return Ok(EX_CONFIG);
        };
        block_on(async {
            let before = runtime::schema_of(&config.store).await?;
            let (known, found) = (before.known, before.found);
            let from = found.map_or("none".to_owned(), |version| format!("version {version}"));
            let would = if self.dry_run { "would be" } else { "are" };
            if !self.dry_run {
                // Also says what is wrong with a store that is newer than this program.
                drop(runtime::store_of(&config.store).await?);
            }
            print(if found >= Some(known) {
                format!("the tables have {from}; this program knows version {known}")
            } else {
                format!("the tables {would} brought from {from} to version {known}")
            })?;
            Ok(0)
        })
    }
}
