//! What was read lately, by region.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::{Clock, Result};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

/// Values by region, each with the time at which it was asked for. Those who ask at the same time
/// share one answer; a failure is not remembered.
pub(crate) struct Remembered<T>(Mutex<HashMap<String, Slot<T>>>);

type Slot<T> = Arc<OnceCell<(Timestamp, Arc<T>)>>;

/// Says how many regions are known: what is known of them fills pages.
impl<T> fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("Remembered").field(&slots.len()).finish()
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Remembered<T> {
    /// The remembered value of a region if it is young enough, or what `read` brings. It is boxed
    /// because the calls of five services side by side do not fit on a stack.
    pub(crate) async fn or_read(
        &self,
        region: &str,
        clock: &dyn Clock,
        lifetime: SignedDuration,
        read: BoxFuture<'_, Result<T>>,
    ) -> Result<Arc<T>> {
        let now = clock.now();
        let slot = self.slot(region, now, lifetime);
        let value = slot.get_or_try_init(|| async { Ok((now, Arc::new(read.await?))) });
        value.await.map(|(_, value)| Arc::clone(value))
    }

    fn slot(&self, region: &str, now: Timestamp, lifetime: SignedDuration) -> Slot<T> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(region.to_owned()).or_default();
        let is_stale = slot.get().is_some_and(|(at, _)| {
            let age = now.duration_since(*at);
            age >= lifetime || age.is_negative()
        });
        if is_stale {
            *slot = Arc::default();
        }
        Arc::clone(slot)
    }

    /// Forgets all regions.
    pub(crate) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
