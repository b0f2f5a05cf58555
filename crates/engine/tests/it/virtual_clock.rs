//! Time that passes only while everybody waits for it, the journal included.
//!
//! Tokio's paused time runs ahead while SQLite is at work, because the runtime has nothing to do
//! then. Here the next instant comes when all futures have nothing left to do and no connection of
//! any journal is at work, so an hour with its thousands of calls is over in a second, and each run
//! is like the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::Clock;
use fleetwright_store::Store;
use jiff::Timestamp;

/// How often everybody is asked again before time passes.
const ROUNDS: u32 = 8;

#[derive(Debug, Clone)]
pub(crate) struct VirtualClock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    last: u64,
    /// Those who sleep, by the time at which they want to be woken.
    sleepers: BTreeMap<(Timestamp, u64), Option<Waker>>,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: Timestamp::from_second(1_790_000_000).unwrap(),
            last: 0,
            sleepers: BTreeMap::new(),
        })))
    }

    /// Lets time pass by itself.
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.lock().unwrap().now += duration;
    }

    /// Waits, as [`Clock::sleep`] does.
    pub(crate) async fn sleep_for(&self, duration: Duration) {
        self.sleeper(duration).await;
    }

    /// Runs something to its end, while time passes as it is needed.
    pub(crate) async fn run<T>(&self, stores: &[&Store], work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let mut round = 0;
            while round < ROUNDS {
                tokio::select! {
                    biased;
                    done = &mut work => return done,
                    () = tokio::task::yield_now() => {}
                }
                if stores.iter().all(|store| store.is_idle()) {
                    round += 1;
                } else {
                    round = 0;
                    std::thread::yield_now();
                }
            }
            self.wake_next();
        }
    }

    fn sleeper(&self, duration: Duration) -> Sleep {
        let mut inner = self.0.lock().unwrap();
        inner.last += 1;
        let key = (inner.now + duration, inner.last);
        inner.sleepers.insert(key, None);
        Sleep {
            clock: self.clone(),
            key,
        }
    }

    /// Goes to the next instant for which somebody waits.
    fn wake_next(&self) {
        let mut inner = self.0.lock().unwrap();
        let Some(((at, _), _)) = inner.sleepers.first_key_value() else {
            return;
        };
        inner.now = inner.now.max(*at);
        let now = inner.now;
        for ((at, _), waker) in &mut inner.sleepers {
            if *at > now {
                break;
            }
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    async fn sleep(&self, duration: Duration) {
        self.sleeper(duration).await;
    }
}

struct Sleep {
    clock: VirtualClock,
    key: (Timestamp, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.0.lock().unwrap();
        if inner.now >= self.key.0 {
            return Poll::Ready(());
        }
        inner
            .sleepers
            .insert(self.key, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.lock().unwrap().sleepers.remove(&self.key);
    }
}
