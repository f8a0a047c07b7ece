//! Which migrations are due: the part of migrating that needs no database.
//!
//! Forward only. Each engine keeps a table of what was applied and with which text, and applies
//! what is due in one transaction under a lock, so that two replicas may start at once.

use super::{Result, StoreError};
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;

/// One step of an engine's schema. A released one never changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// 1, 2, 3 …
    pub(super) version: i64,
    /// The file's name, for people.
    pub(super) name: &'static str,
    /// Its text.
    pub(super) sql: &'static str,
}

impl Migration {
    /// SHA-256 of the text, in hex.
    pub(super) fn checksum(&self) -> String {
        digest(&SHA256, self.sql.as_bytes()).as_ref().iter().fold(
            String::new(),
            |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            },
        )
    }
}

/// What of `known` is not in `applied` (version and checksum, ascending).
///
/// # Errors
/// `Schema` when the store is newer than this program, or was made by another text.
pub(super) fn due<'a>(
    known: &'a [Migration],
    applied: &[(i64, String)],
) -> Result<&'a [Migration]> {
    for (at, (version, checksum)) in applied.iter().enumerate() {
        let Some(migration) = known.get(at) else {
            return Err(StoreError::Schema(format!(
                "it has version {version}, this program knows up to {}: start the newer program, \
                 or restore a backup made before it ran",
                known.len()
            )));
        };
        if migration.version != *version || migration.checksum() != *checksum {
            return Err(StoreError::Schema(format!(
                "its version {version} was made by another text than {}",
                migration.name
            )));
        }
    }
    Ok(&known[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration {
            version: 1,
            name: "0001_a",
            sql: "a",
        },
        Migration {
            version: 2,
            name: "0002_b",
            sql: "b",
        },
    ];

    fn applied(n: usize) -> Vec<(i64, String)> {
        KNOWN[..n]
            .iter()
            .map(|m| (m.version, m.checksum()))
            .collect()
    }

    #[test]
    fn only_what_is_missing_is_due() {
        for n in 0..=2 {
            assert_eq!(due(&KNOWN, &applied(n)).unwrap().len(), 2 - n);
        }
    }

    #[test]
    fn a_newer_schema_and_a_changed_text_are_refused() {
        assert!(matches!(
            due(&KNOWN[..1], &applied(2)),
            Err(StoreError::Schema(_))
        ));
        let changed = [(1, "0".repeat(64))];
        assert!(matches!(due(&KNOWN, &changed), Err(StoreError::Schema(_))));
    }

    #[test]
    fn versions_count_up_from_one() {
        for known in [
            super::super::sqlite::MIGRATIONS,
            super::super::postgres::MIGRATIONS,
        ] {
            for (at, migration) in known.iter().enumerate() {
                assert_eq!(usize::try_from(migration.version).unwrap(), at + 1);
            }
        }
    }
}
