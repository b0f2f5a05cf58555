//! A transaction, and reading: thin wrappers that translate errors in one place.

use std::path::Path;

use fleetwright_core::Result;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyPool, Decode, Row, Type};

use crate::error::fault;

/// A statement with its parameters.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A transaction. Dropped without [`commit`](Self::commit), it is rolled back.
///
/// After an error nothing more may be run in it: SQLite rolls a transaction back by itself when
/// the disk is full, and what follows would be written for good, alone.
pub(crate) struct Transaction<'a> {
    inner: sqlx::Transaction<'static, Any>,
    path: &'a Path,
}

impl<'a> Transaction<'a> {
    /// Begins. `IMMEDIATE` takes the write lock at once and waits for it: a transaction that reads
    /// first and takes it later fails with SQLITE_BUSY, without waiting, if another process wrote
    /// in between.
    pub(crate) async fn begin(pool: &AnyPool, path: &'a Path) -> Result<Self> {
        let inner = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|e| fault(path, e))?;
        Ok(Self { inner, path })
    }

    /// Begins to read. SQLite takes its snapshot with the first row.
    pub(crate) async fn begin_reading(pool: &AnyPool, path: &'a Path) -> Result<Self> {
        let inner = pool.begin().await.map_err(|e| fault(path, e))?;
        Ok(Self { inner, path })
    }

    /// The journal as the user named it.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// Runs a statement; says how many rows it touched.
    pub(crate) async fn run(&mut self, query: Query<'_>) -> Result<u64> {
        let done = query.execute(&mut *self.inner).await;
        Ok(done.map_err(|e| fault(self.path, e))?.rows_affected())
    }

    /// The rows of a query or of a statement with `RETURNING`.
    pub(crate) async fn rows(&mut self, query: Query<'_>) -> Result<Vec<AnyRow>> {
        let rows = query.fetch_all(&mut *self.inner).await;
        rows.map_err(|e| fault(self.path, e))
    }

    /// The first row of a query or of a statement with `RETURNING`.
    ///
    /// All rows are read, so that a statement that writes runs to its end.
    pub(crate) async fn row(&mut self, query: Query<'_>) -> Result<Option<AnyRow>> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// Makes it so. On an error nothing of it is kept.
    pub(crate) async fn commit(self) -> Result<()> {
        self.inner.commit().await.map_err(|e| fault(self.path, e))
    }
}

/// The value of a column.
pub(crate) fn column<'r, T>(path: &Path, row: &'r AnyRow, index: usize) -> Result<T>
where
    T: Decode<'r, Any> + Type<Any>,
{
    row.try_get(index).map_err(|e| fault(path, e))
}
