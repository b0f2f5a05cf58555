//! The lease: one reconciler at a time, fenced.
//!
//! Two things make it up. A lock of the operating system on a file beside the journal says who is
//! alive: it ends with the process, however that ends, so whoever gets it knows that the former
//! holder is dead and takes over at once. A row with a growing number, the *fence*, says who may
//! write: every guarded write checks it in its own transaction, so a holder that lost the lock
//! without knowing commits nothing.

use std::fmt;
use std::fs::{File, TryLockError};
use std::time::Duration;

use fleetwright_core::{Error, Kind, Result, check_name};
use jiff::Timestamp;

use crate::Store;
use crate::error::{refused, unreadable};
use crate::file;
use crate::transaction::{Transaction, column};

/// How often, and with which pause, a lock that is held is tried again. A process that was killed
/// while it started another one leaves the lock to it until its `exec`: a moment, but not nothing.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// The right to change the fleet, held by one at a time.
///
/// Ends with [`Store::release`], when it is dropped, or with the process.
pub struct Lease {
    name: String,
    holder: String,
    fence: i64,
    acquired_at: Timestamp,
    /// Locked. Closed on `exec`, so no child process keeps it.
    lock: File,
}

impl Lease {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who holds it, as given to [`Store::acquire`].
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// The number that grows with every holder.
    pub const fn fence(&self) -> i64 {
        self.fence
    }

    /// Since when it is held.
    pub const fn acquired_at(&self) -> Timestamp {
        self.acquired_at
    }
}

/// Somebody alive who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who, as given to [`Store::acquire`].
    pub holder: String,
    /// Since when.
    pub since: Timestamp,
}

impl Drop for Lease {
    /// Unlocks, rather than leaving it to the closing of the file: a process that is just being
    /// started has a copy of the descriptor until its `exec`, and the lock would live as long.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(lease = self.name, %error, "the lease cannot be unlocked");
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("holder", &self.holder)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Takes the lease, if nobody alive holds it. `holder` is shown to those who come too late.
    ///
    /// A holder that died is succeeded at once, whatever `ttl` it asked for; one that lives is
    /// waited for no longer than a tenth of a second.
    ///
    /// # Errors
    /// `Conflict`, naming the holder and since when; `Config` if `name` is no name or the lock
    /// file cannot be made.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Lease> {
        check_name("lease", name)?;
        let lock_path = file::beside(self.file(), &format!(".{name}.lock"));
        let lock = file::open_lock(&lock_path)?;
        let mut tries = TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries == 0 => {
                    return Err(self.taken(name).await?);
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(refused("lock", &lock_path, error)),
            }
            tries -= 1;
        }
        let mut transaction = self.durable().await?;
        let row = transaction
            .row(
                sqlx::query(
                    "INSERT INTO leases (name, holder, fence, acquired_at, expires_at) \
                     VALUES ($1, $2, 1, $3, $4) \
                     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
                     fence = leases.fence + 1, acquired_at = excluded.acquired_at, \
                     expires_at = excluded.expires_at \
                     RETURNING fence",
                )
                .bind(name)
                .bind(holder)
                .bind(now.as_microsecond())
                .bind(expiry(now, ttl)),
            )
            .await?
            .ok_or_else(|| {
                unreadable(self.path(), "lease", "no row came back", "empty RETURNING")
            })?;
        let fence = column(self.path(), &row, 0)?;
        transaction.commit().await?;
        Ok(Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            fence,
            acquired_at: now,
            lock,
        })
    }

    /// Says that the holder is still at work.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost.
    pub async fn renew(&self, lease: &Lease, now: Timestamp, ttl: Duration) -> Result<()> {
        let mut transaction = self.durable().await?;
        let renewed = transaction
            .run(
                sqlx::query(
                    "UPDATE leases SET expires_at = $1 \
                     WHERE name = $2 AND fence = $3 AND holder IS NOT NULL",
                )
                .bind(expiry(now, ttl))
                .bind(lease.name())
                .bind(lease.fence),
            )
            .await?;
        if renewed == 0 {
            return Err(lost(lease));
        }
        transaction.commit().await
    }

    /// Gives the lease back. One that was lost meanwhile is left to its new holder.
    pub async fn release(&self, lease: Lease) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction
            .run(
                sqlx::query("UPDATE leases SET holder = NULL WHERE name = $1 AND fence = $2")
                    .bind(lease.name())
                    .bind(lease.fence),
            )
            .await?;
        transaction.commit().await
    }

    /// Who holds a lease and is alive; `None` if nobody does. Whoever has just taken it and is not
    /// written down yet counts as nobody.
    ///
    /// # Errors
    /// `Config` if `name` is no name or the lock file cannot be made.
    pub async fn holder(&self, name: &str) -> Result<Option<Held>> {
        check_name("lease", name)?;
        let lock_path = file::beside(self.file(), &format!(".{name}.lock"));
        let lock = file::open_lock(&lock_path)?;
        // Shared, so that those who only look do not get in each other's way.
        match lock.try_lock_shared() {
            Ok(()) => {
                lock.unlock()
                    .map_err(|e| refused("unlock", &lock_path, e))?;
                Ok(None)
            }
            Err(TryLockError::WouldBlock) => self.written_holder(name).await,
            Err(TryLockError::Error(error)) => Err(refused("lock", &lock_path, error)),
        }
    }

    async fn written_holder(&self, name: &str) -> Result<Option<Held>> {
        let query = sqlx::query("SELECT holder, acquired_at FROM leases WHERE name = $1");
        let rows = self.rows(query.bind(name)).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let Some(holder) = column::<Option<String>>(self.path(), row, 0)? else {
            return Ok(None);
        };
        let since = Timestamp::from_microsecond(column(self.path(), row, 1)?)
            .map_err(|e| unreadable(self.path(), "lease", "its time is out of range", e))?;
        Ok(Some(Held { holder, since }))
    }

    /// The error for those who come too late.
    async fn taken(&self, name: &str) -> Result<Error> {
        let who = match self.written_holder(name).await? {
            Some(Held { holder, since }) => format!("`{holder}` since {since:.0}"),
            None => "another process that has just begun".to_owned(),
        };
        Ok(
            Error::new(Kind::Conflict, format!("lease `{name}` is held by {who}"))
                .with_hint("wait until it is done, or stop it"),
        )
    }
}

impl Transaction<'_> {
    /// Goes on only if the lease is still held. An update and not a query, so that the row stays
    /// locked until the commit on every database.
    pub(crate) async fn guard(&mut self, lease: &Lease) -> Result<()> {
        let held = self
            .run(
                sqlx::query(
                    "UPDATE leases SET fence = fence \
                     WHERE name = $1 AND fence = $2 AND holder IS NOT NULL",
                )
                .bind(lease.name())
                .bind(lease.fence),
            )
            .await?;
        if held == 0 { Err(lost(lease)) } else { Ok(()) }
    }
}

fn lost(lease: &Lease) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "lease `{}` of `{}` was lost to another process; nothing was written",
            lease.name(),
            lease.holder()
        ),
    )
}

fn expiry(now: Timestamp, ttl: Duration) -> i64 {
    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    now.as_microsecond().saturating_add(ttl)
}
