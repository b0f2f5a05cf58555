//! Where events go: to whoever listens, at once, and into the journal.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_core::{Clock, Event, EventKind, Result};
use fleetwright_store::Store;

/// Takes events as they happen. Must not block.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn hear(&self, event: &Event);
}

/// Hands events to listeners and keeps those that are not part of a transaction until the next
/// [`flush`](Self::flush).
pub struct Recorder {
    store: Store,
    clock: Arc<dyn Clock>,
    listeners: Vec<Arc<dyn Listener>>,
    pending: Mutex<Vec<Event>>,
}

impl Recorder {
    /// A recorder for one process.
    pub fn new(store: Store, clock: Arc<dyn Clock>, listeners: Vec<Arc<dyn Listener>>) -> Self {
        Self {
            store,
            clock,
            listeners,
            pending: Mutex::default(),
        }
    }

    /// Stamps an event without telling anybody: for a transaction that stores it itself.
    pub fn event(&self, what: EventKind) -> Event {
        Event {
            sequence: 0,
            at: self.clock.now(),
            what,
        }
    }

    /// Tells the listeners about events that were stored.
    pub fn announce(&self, events: &[Event]) {
        for event in events {
            tracing::debug!(event = event.what.name(), "{:?}", event.what);
            for listener in &self.listeners {
                listener.hear(event);
            }
        }
    }

    /// Tells the listeners at once and stores the event with the next flush.
    pub fn note(&self, what: EventKind) {
        let event = self.event(what);
        self.announce(std::slice::from_ref(&event));
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    /// Stores what was noted.
    pub async fn flush(&self) -> Result<()> {
        let pending =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            Ok(())
        } else {
            self.store.append(&pending).await
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}
