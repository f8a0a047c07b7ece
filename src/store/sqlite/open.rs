//! Opening the file: who may read it, how it is written, and its migrations.

use super::row::{many, run};
use crate::store::migrate::{Migration, due};
use crate::store::rows::Columns as _;
use crate::store::{Result, StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long SQLite waits for another process that writes (a command beside the server).
const BUSY: Duration = Duration::from_secs(5);

/// The schema's steps, in order.
pub(in crate::store) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_initial",
        sql: include_str!("migrations/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "0002_key_kinds",
        sql: include_str!("migrations/0002_key_kinds.sql"),
    },
    Migration {
        version: 3,
        name: "0003_claims",
        sql: include_str!("migrations/0003_claims.sql"),
    },
    Migration {
        version: 4,
        name: "0004_audit",
        sql: include_str!("migrations/0004_audit.sql"),
    },
    Migration {
        version: 5,
        name: "0005_revoked_tokens",
        sql: include_str!("migrations/0005_revoked_tokens.sql"),
    },
    Migration {
        version: 6,
        name: "0006_bots",
        sql: include_str!("migrations/0006_bots.sql"),
    },
    Migration {
        version: 7,
        name: "0007_jobs",
        sql: include_str!("migrations/0007_jobs.sql"),
    },
    Migration {
        version: 8,
        name: "0008_plans",
        sql: include_str!("migrations/0008_plans.sql"),
    },
    Migration {
        version: 9,
        name: "0009_directory",
        sql: include_str!("migrations/0009_directory.sql"),
    },
    Migration {
        version: 10,
        name: "0010_admission",
        sql: include_str!("migrations/0010_admission.sql"),
    },
    Migration {
        version: 11,
        name: "0011_provision",
        sql: include_str!("migrations/0011_provision.sql"),
    },
    Migration {
        version: 12,
        name: "0012_scim",
        sql: include_str!("migrations/0012_scim.sql"),
    },
    Migration {
        version: 13,
        name: "0013_plan_apps",
        sql: include_str!("migrations/0013_plan_apps.sql"),
    },
    Migration {
        version: 14,
        name: "0014_looks",
        sql: include_str!("migrations/0014_looks.sql"),
    },
];

/// Makes the file if there is none, for its owner alone: it holds sealed tokens and names.
/// SQLite gives `-wal` and `-shm` the mode of the file.
pub(super) fn create(path: &Path) -> Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unavailable(format!(
            "{}: {error}",
            path.display()
        ))),
    }
}

/// The connection that writes, its schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    let mode = write_ahead(&db)?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "the file can't be kept in WAL mode (it is in {mode:?}): is it on a network disk?"
        )));
    }
    prepare(db)
}

/// WAL: readers never wait for the writer, and another process may open the file. Gives the mode.
///
/// The change needs the file for a moment alone, and two processes that make it at the same moment
/// are both refused at once, since waiting for each other would not end: SQLite's own patience does
/// not apply, so this one has its own.
fn write_ahead(db: &Connection) -> Result<String> {
    let until = Instant::now() + BUSY;
    loop {
        let mode = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        let busy = matches!(
            mode.as_ref().map_err(rusqlite::Error::sqlite_error_code),
            Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
        );
        if !busy || Instant::now() > until {
            return Ok(mode?);
        }
        // On a thread where blocking is allowed.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection whose database is in memory and its own.
pub(super) fn memory() -> Result<Connection> {
    prepare(Connection::open_in_memory()?)
}

fn prepare(mut db: Connection) -> Result<Connection> {
    // FULL: a revocation that was answered is on the disk, even if the power fails next. NORMAL
    // would lose the last commits then, and a signed-out visitor would be back.
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db, MIGRATIONS)?;
    Ok(db)
}

/// A connection that can only read.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    // Opened for writing all the same, since a reader may have to make `-shm`.
    db.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// A connection that nobody else has the file open beside, its tables as they are. Constraints
/// between tables are off, to be checked at the end.
pub(super) fn alone(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(1))?;
    // Said before the file is read: WAL is then entered with the file locked, which fails while
    // anybody, though idle, has it open.
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;
         PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON;",
    )
    .map_err(|error| super::error::taken_by_another(error.into()))?;
    Ok(db)
}

/// The version of the file's tables; `None` when it has none. Changes nothing.
pub(super) fn version(path: &Path) -> Result<Option<i64>> {
    version_of(&reader(path)?)
}

/// The same of an open file.
pub(super) fn version_of(db: &Connection) -> Result<Option<i64>> {
    let there = "SELECT count(*) FROM sqlite_master WHERE name = 'schema_versions'";
    if many(db, there, [], |row| row.int(0))?.as_slice() != [1] {
        return Ok(None);
    }
    let newest = "SELECT max(version) FROM schema_versions";
    let found = many(db, newest, [], |row| row.int_or_null(0))?;
    Ok(found.into_iter().next().flatten())
}

/// Applies what is due. `BEGIN IMMEDIATE` lets one process at a time look and apply.
fn migrate(db: &mut Connection, known: &[Migration]) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate_within(&tx, known, i64::MAX)?;
    tx.commit()?;
    Ok(())
}

/// Applies what is due up to a version, in the caller's transaction.
pub(super) fn migrate_within(tx: &Connection, known: &[Migration], to: i64) -> Result<()> {
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (
             version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
             applied_at INTEGER NOT NULL DEFAULT (unixepoch())
         ) STRICT;",
    )?;
    let applied = many(
        tx,
        "SELECT version, checksum FROM schema_versions ORDER BY version",
        [],
        |row| Ok((row.int(0)?, row.text(1)?)),
    )?;
    for migration in due(known, &applied)?.iter().filter(|m| m.version <= to) {
        tx.execute_batch(migration.sql)
            .map_err(|error| match StoreError::from(error) {
                // The disk's fault, not the migration's.
                error @ StoreError::Unavailable(_) => error,
                error => StoreError::Schema(format!("{}: {error}", migration.name)),
            })?;
        run(
            tx,
            "INSERT INTO schema_versions (version, name, checksum) VALUES (?1, ?2, ?3)",
            params![migration.version, migration.name, migration.checksum()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut db = memory().unwrap();
        let mut known = MIGRATIONS.to_vec();
        known.push(Migration {
            version: MIGRATIONS.len() as i64 + 1,
            name: "9999_broken",
            sql: "CREATE TABLE half (a TEXT); CREATE TABLE half (a TEXT);",
        });
        assert!(matches!(
            migrate(&mut db, &known),
            Err(StoreError::Schema(_))
        ));
        let half = many(
            &db,
            "SELECT name FROM sqlite_master WHERE name = 'half'",
            [],
            |row| row.text(0),
        );
        assert!(half.unwrap().is_empty());
        migrate(&mut db, MIGRATIONS).unwrap();
    }
}
