//! What was read lately, so that it is not read before every call.

use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::Result;
use jiff::{SignedDuration, Timestamp};

/// A value with the time at which it was read.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<Option<(Arc<T>, Timestamp)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Recent<T> {
    /// The value, read anew if the last reading is older than `age`.
    pub(crate) async fn or_read(
        &self,
        now: Timestamp,
        age: SignedDuration,
        read: impl Future<Output = Result<T>>,
    ) -> Result<Arc<T>> {
        let known = self.lock().clone();
        if let Some((value, at)) = known
            && now.duration_since(at) < age
        {
            return Ok(value);
        }
        let value = Arc::new(read.await?);
        *self.lock() = Some((Arc::clone(&value), now));
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Arc<T>, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
