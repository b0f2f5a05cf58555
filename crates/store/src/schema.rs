//! The schema and its versions.
//!
//! A migration is a file of SQL, run once, in order, inside one transaction for all of them. Two
//! tables are promised to every later version, so that an older program can still say what it
//! found: `schema_version` and `meta`.

use std::path::Path;

use fleetwright_core::{Effect, Error, Kind, Result};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Row};
use uuid::Uuid;

use crate::error::{code, damaged, fault, refused};
use crate::file;

/// Version, name and SQL of every migration, in order.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "journal", include_str!("../migrations/0001_journal.sql")),
    (2, "memory", include_str!("../migrations/0002_memory.sql")),
    (3, "turns", include_str!("../migrations/0003_turns.sql")),
    (4, "money", include_str!("../migrations/0004_money.sql")),
    (5, "scaling", include_str!("../migrations/0005_scaling.sql")),
    (
        6,
        "decisions",
        include_str!("../migrations/0006_decisions.sql"),
    ),
    (7, "targets", include_str!("../migrations/0007_targets.sql")),
    (
        8,
        "findings",
        include_str!("../migrations/0008_findings.sql"),
    ),
    (9, "healing", include_str!("../migrations/0009_healing.sql")),
    (10, "health", include_str!("../migrations/0010_health.sql")),
];

/// The version that this program writes.
pub(crate) const CURRENT: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What a database turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A journal of this version, with its identity.
    Current {
        /// The identity.
        journal: String,
    },
    /// A journal of an older version, or a database without tables.
    Older,
}

/// Looks what the database is: one query.
///
/// # Errors
/// `Config` if it was written by a newer version or is no database of ours.
pub(crate) async fn look(pool: &AnyPool, path: &Path) -> Result<Found> {
    const LOOK: &str = "SELECT (SELECT max(version) FROM schema_version), \
                        (SELECT value FROM meta WHERE name = 'journal')";
    let row = match sqlx::query(LOOK).fetch_one(pool).await {
        Ok(row) => row,
        Err(error) if is_no_such_table(&error) => return Ok(Found::Older),
        Err(error) => return Err(fault(path, error)),
    };
    let version: Option<i64> = row.try_get(0).map_err(|e| fault(path, e))?;
    let version = version.unwrap_or(0);
    refuse_newer(path, version)?;
    if version < CURRENT {
        return Ok(Found::Older);
    }
    let journal: Option<String> = row.try_get(1).map_err(|e| fault(path, e))?;
    let journal = journal.ok_or_else(|| damaged(path))?;
    Ok(Found::Current { journal })
}

/// Brings the database to the current version, making it if it is empty.
///
/// One process at a time: switching to the write-ahead log needs the file for itself and does not
/// wait for others (<https://www.sqlite.org/wal.html>), so the others wait here.
pub(crate) async fn migrate(path: &Path) -> Result<()> {
    let lock_path = file::beside(path, ".migration.lock");
    let lock = file::open_lock(&lock_path)?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await
        .map_err(|e| {
            Error::new(Kind::Unexpected, "the wait for the migration was cut off")
                .with_effect(Effect::None)
                .with_source(e)
        })?
        .map_err(|e| refused("lock", &lock_path, e))?;

    file::make_file(path)?;
    let url = file::url(&file::canonical(path)?)?;
    let options: AnyConnectOptions = url.parse().map_err(|e| fault(path, e))?;
    let mut connection = options
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|e| fault(path, e))?;
    let done = migrate_alone(&mut connection, path).await;
    let closed = connection.close().await.map_err(|e| fault(path, e));
    drop(lock);
    done.and(closed)
}

async fn migrate_alone(connection: &mut AnyConnection, path: &Path) -> Result<()> {
    let failed = |e| fault(path, e);
    sqlx::raw_sql("PRAGMA busy_timeout = 30000; PRAGMA synchronous = FULL;")
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    refuse_foreign(connection, path).await?;
    // Stays with the file. Where it cannot be had (network file systems), the old way of
    // journaling does; readers and writers then wait for each other.
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut *connection)
        .await
        .map_err(failed)?;

    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL)",
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    let row = sqlx::query("SELECT coalesce(max(version), 0) FROM schema_version")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    let from: i64 = row.try_get(0).map_err(failed)?;
    refuse_newer(path, from)?;
    for (version, name, sql) in MIGRATIONS.iter().filter(|(version, ..)| *version > from) {
        tracing::debug!(version, name, journal = %path.display(), "migrating the journal");
        sqlx::raw_sql(*sql)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("INSERT INTO schema_version (version, name) VALUES ($1, $2)")
            .bind(*version)
            .bind(*name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ('journal', $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(Uuid::new_v4().to_string())
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Refuses a database that has tables but none of ours: the file of another program.
async fn refuse_foreign(connection: &mut AnyConnection, path: &Path) -> Result<()> {
    let row = sqlx::query(
        "SELECT count(*), count(CASE WHEN name = 'schema_version' THEN 1 END) FROM sqlite_master",
    )
    .fetch_one(connection)
    .await
    .map_err(|e| fault(path, e))?;
    let all: i64 = row.try_get(0).map_err(|e| fault(path, e))?;
    let ours: i64 = row.try_get(1).map_err(|e| fault(path, e))?;
    if all == 0 || ours > 0 {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "`{}` is the database of another program, not a journal",
            path.display()
        ),
    )
    .with_hint("name another file for the journal"))
}

fn refuse_newer(path: &Path, version: i64) -> Result<()> {
    if version <= CURRENT {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "journal `{}` has schema version {version}; this program knows versions up to {CURRENT}",
            path.display()
        ),
    )
    .with_hint("upgrade fleetwright to the version that wrote this journal, or a later one"))
}

fn is_no_such_table(error: &sqlx::Error) -> bool {
    code(error) == Some(1)
        && error
            .as_database_error()
            .is_some_and(|e| e.message().starts_with("no such table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_from_one() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|(version, ..)| *version).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(versions.first(), Some(&1));
    }
}
