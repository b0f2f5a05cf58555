//! A clock on tokio's time: real, faster than real, or virtual.

use std::time::Duration;

use async_trait::async_trait;
use fleetwright_core::Clock;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::world::after;

/// A clock that follows tokio's time.
///
/// Where tokio's time is paused (`#[tokio::test(start_paused = true)]`) this is a virtual clock:
/// waiting costs nothing and the order of events is the same in every run. With a factor, time
/// passes faster than on the wall, so that a whole day of a simulated cloud fits in a minute.
///
/// Clocks of several processes agree if they have the same factor, because time is counted from one
/// fixed instant: `epoch + (wall - epoch) × factor`.
#[derive(Debug, Clone)]
pub struct TokioClock {
    base: Timestamp,
    started: Instant,
    factor: u32,
}

/// 2026-01-01T00:00:00Z: where scaled time begins.
const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl TokioClock {
    /// Begins at the time on the wall and runs at the speed of tokio's time.
    pub fn new() -> Self {
        Self::scaled(1)
    }

    /// Runs `factor` times as fast; a factor of 0 counts as 1.
    pub fn scaled(factor: u32) -> Self {
        let factor = factor.max(1);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock: the wall is its source"
        )]
        let wall = Timestamp::now();
        let since = Duration::try_from(wall.duration_since(EPOCH)).unwrap_or_default();
        let base = if factor == 1 {
            wall
        } else {
            after(EPOCH, since.saturating_mul(factor))
        };
        Self {
            base,
            started: Instant::now(),
            factor,
        }
    }

    /// Begins at a given instant: with paused time, every timestamp of a test is known beforehand.
    pub fn starting_at(base: Timestamp) -> Self {
        Self {
            base,
            started: Instant::now(),
            factor: 1,
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        after(
            self.base,
            self.started.elapsed().saturating_mul(self.factor),
        )
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.factor).await;
    }
}
