//! Time as a port, so that expiry and staleness can be tested.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Wall-clock time, for expiry and for rows of audit.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment that never goes back, for ages.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// An instant of a process by both clocks, since a frozen process or a paused machine stops one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: Timestamp,
    monotonic: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), monotonic: clock.monotonic() }
    }

    /// Whether less than `age` has passed by both clocks. A wall clock that went back by more than
    /// five seconds counts as any age.
    pub(crate) fn is_within(&self, age: Duration, clock: &dyn Clock) -> bool {
        let monotonic = clock.monotonic().saturating_sub(self.monotonic);
        let wall_ms = clock.now().as_millisecond() - self.wall.as_millisecond();
        let wall = Duration::from_millis(u64::try_from(wall_ms).unwrap_or(0));
        -5_000 <= wall_ms && monotonic < age && wall < age
    }
}
