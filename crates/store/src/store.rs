//! The open journal and its connections.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleetwright_core::Result;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, ConnectOptions, Connection};

use crate::error::{damaged, fault};
use crate::file;
use crate::schema::{self, Found};
use crate::transaction::{Query, Transaction};

/// The journal. Cheap to clone; all clones share their connections.
///
/// Must be used inside a Tokio runtime with time enabled.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// As it was given, for messages.
    path: PathBuf,
    /// Without links, for lock files.
    file: PathBuf,
    journal: String,
    durable: AnyPool,
    loose: AnyPool,
    reads: AnyPool,
    /// Write transactions begun by this process.
    writes: AtomicU64,
}

/// Settings of the connections. The time-out is how long a statement waits, in milliseconds, for
/// the lock of another process.
const READS: &str = "PRAGMA busy_timeout = 30000; PRAGMA query_only = ON;";
const DURABLE: &str = "PRAGMA busy_timeout = 30000; PRAGMA synchronous = FULL;";
const LOOSE: &str = "PRAGMA busy_timeout = 30000; PRAGMA synchronous = NORMAL;";
/// How long an operation waits for a connection: behind all earlier ones of its kind.
const QUEUE: Duration = Duration::from_mins(2);

impl Store {
    /// Opens the journal, making it if it is missing: directory with mode 0700, file with 0600.
    /// Brings an older one to this version.
    ///
    /// # Errors
    /// `Config` if the path cannot be used, if the file is no journal or damaged, or if it was
    /// written by a newer version; `Unavailable` if the disk is full.
    pub async fn open(path: &Path) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let given = path.to_owned();
        file::make_directory(&given)?;
        if file::is_missing(&given)? {
            schema::migrate(&given).await?;
        }
        let file = file::canonical(&given)?;
        let options: AnyConnectOptions = file::url(&file)?.parse().map_err(|e| fault(path, e))?;
        let options = options.disable_statement_logging();
        let reads = pool(2, &options, READS);
        let mut found = schema::look(&reads, &given).await?;
        if found == Found::Older {
            schema::migrate(&given).await?;
            found = schema::look(&reads, &given).await?;
        }
        let Found::Current { journal } = found else {
            return Err(damaged(&given));
        };
        Ok(Self(Arc::new(Inner {
            durable: pool(1, &options, DURABLE),
            loose: pool(1, &options, LOOSE),
            reads,
            writes: AtomicU64::new(0),
            path: given,
            file,
            journal,
        })))
    }

    /// The path that it was opened with.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The identity of this journal, made with it: goes onto every node as a label.
    pub fn journal(&self) -> &str {
        &self.0.journal
    }

    /// Closes all connections, of all clones, after what is under way. The last process to close
    /// also tidies the write-ahead log away, which makes the next start faster.
    pub async fn close(&self) {
        self.0.durable.close().await;
        self.0.loose.close().await;
        self.0.reads.close().await;
    }

    /// The path that all processes agree on.
    pub(crate) fn file(&self) -> &Path {
        &self.0.file
    }

    /// Begins a write that is on disk when it is committed.
    pub(crate) async fn durable(&self) -> Result<Transaction<'_>> {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        Transaction::begin(&self.0.durable, self.path()).await
    }

    /// Begins a write that may be lost with the machine, never with the process.
    pub(crate) async fn loose(&self) -> Result<Transaction<'_>> {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        Transaction::begin(&self.0.loose, self.path()).await
    }

    /// Begins to read at one instant, whatever is written meanwhile.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'_>> {
        Transaction::begin_reading(&self.0.reads, self.path()).await
    }

    /// Reads rows.
    pub(crate) async fn rows(&self, query: Query<'_>) -> Result<Vec<AnyRow>> {
        let rows = query.fetch_all(&self.0.reads).await;
        rows.map_err(|e| fault(self.path(), e))
    }

    /// How many write transactions this process has begun, through all clones: for tests of what a
    /// call costs.
    #[doc(hidden)]
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// Whether no connection is at work: for tests whose time only passes while everybody waits.
    #[doc(hidden)]
    pub fn is_idle(&self) -> bool {
        [&self.0.durable, &self.0.loose, &self.0.reads]
            .into_iter()
            .all(|pool| usize::try_from(pool.size()).is_ok_and(|size| size == pool.num_idle()))
    }

    /// Leaves room for so many more pages of 4 KiB in durable writes, until the next error: the
    /// tests' full disk.
    #[doc(hidden)]
    pub async fn limit_pages(&self, more: u32) -> Result<()> {
        use sqlx::{AssertSqlSafe, Row};

        let failed = |e| fault(self.path(), e);
        let mut connection = self.0.durable.acquire().await.map_err(failed)?;
        let row = sqlx::query("PRAGMA page_count")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        let pages: i64 = row.try_get(0).map_err(failed)?;
        let limit = pages + i64::from(more);
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA max_page_count = {limit}")))
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.0.path)
            .field("journal", &self.0.journal)
            .finish_non_exhaustive()
    }
}

/// A pool that connects when it is asked, keeps what it has, and tests nothing: there is no
/// network to break.
fn pool(size: u32, options: &AnyConnectOptions, settings: &'static str) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(QUEUE)
        .acquire_slow_threshold(QUEUE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite rolls back by itself when the disk is full; the driver then believes for ever
        // that a transaction is open. Such a connection is replaced.
        .before_acquire(|connection, _| {
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(settings).execute(&mut *connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}
