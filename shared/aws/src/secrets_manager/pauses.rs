//! Pauses between tries, each with full jitter and twice as long on average as the one before.

use std::time::Duration;

use tokio::time::Instant;

pub(super) struct Pauses {
    until: Instant,
    longest: Duration,
}

/// There was no time left for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeIsUp;

impl Pauses {
    /// For at most so long.
    pub(super) fn within(time: Duration) -> Self {
        Self { until: Instant::now() + time, longest: Duration::from_millis(25) }
    }

    pub(super) async fn next(&mut self) -> Result<(), TimeIsUp> {
        if self.until <= Instant::now() {
            return Err(TimeIsUp);
        }
        tokio::time::sleep(self.longest.mul_f64(fastrand::f64())).await;
        self.longest = (self.longest * 2).min(Duration::from_millis(800));
        Ok(())
    }
}
