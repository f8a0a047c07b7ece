//! Bringing the schema up to date. An advisory lock lets one replica at a time look and apply.

use super::lock::key;
use super::row::{many, run};
use crate::store::migrate::{Migration, due};
use crate::store::rows::Columns as _;
use crate::store::{Result, StoreError};
use deadpool_postgres::{GenericClient, Pool};

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

/// The version of the tables; `None` when there are none. Changes nothing.
pub(super) async fn version(pool: &Pool, schema: &str) -> Result<Option<i64>> {
    version_of(&pool.get().await?, schema).await
}

/// The same on a connection.
pub(super) async fn version_of(client: &impl GenericClient, schema: &str) -> Result<Option<i64>> {
    let there = "SELECT 1::bigint FROM pg_tables WHERE schemaname = $1 \
                 AND tablename = 'schema_versions'";
    if many(client, there, &[&schema], |row| row.int(0))
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let newest = "SELECT max(version) FROM schema_versions";
    let found = many(client, newest, &[], |row| row.int_or_null(0)).await?;
    Ok(found.into_iter().next().flatten())
}

/// Applies what is due, in one transaction.
pub(super) async fn migrate(pool: &Pool, schema: &str) -> Result<()> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    // A large table may take long, and so may another replica that is at it.
    tx.batch_execute("SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10min'")
        .await?;
    run(
        &tx,
        "SELECT pg_advisory_xact_lock($1)",
        &[&key(schema, "migrate")],
    )
    .await?;
    migrate_within(&tx, schema, MIGRATIONS, i64::MAX).await?;
    tx.commit().await?;
    Ok(())
}

/// Applies what is due up to a version, in the caller's transaction.
pub(super) async fn migrate_within(
    tx: &impl GenericClient,
    schema: &str,
    known: &[Migration],
    to: i64,
) -> Result<()> {
    // Looked up first: `CREATE SCHEMA IF NOT EXISTS` needs the right to create even if it exists.
    let there = "SELECT 1::bigint FROM pg_namespace WHERE nspname = $1";
    if many(tx, there, &[&schema], |row| row.int(0))
        .await?
        .is_empty()
    {
        tx.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    tx.batch_execute(
        "CREATE TABLE IF NOT EXISTS schema_versions (
             version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
         )",
    )
    .await?;
    let applied = many(
        tx,
        "SELECT version, checksum FROM schema_versions ORDER BY version",
        &[],
        |row| Ok((row.int(0)?, row.text(1)?)),
    )
    .await?;
    for migration in due(known, &applied)?.iter().filter(|m| m.version <= to) {
        tx.batch_execute(migration.sql)
            .await
            .map_err(|error| match StoreError::from(error) {
                // The wire's fault, not the migration's.
                error @ StoreError::Unavailable(_) => error,
                error => StoreError::Schema(format!("{}: {error}", migration.name)),
            })?;
        run(
            tx,
            "INSERT INTO schema_versions (version, name, checksum) VALUES ($1, $2, $3)",
            &[&migration.version, &migration.name, &migration.checksum()],
        )
        .await?;
    }
    Ok(())
}
