//! The time of one invocation, divided: first the handlers', then what it takes to answer.
//!
//! Lambda kills what doesn't answer by the deadline, and on managed instances nobody does: so it
//! is enforced here.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use undertone_core::Clock;

/// Longer than any invocation may take.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// With less, an event isn't begun: it would only be cut off half done.
const SHORTEST: Duration = Duration::from_millis(20);

/// When Lambda began, in milliseconds of the clock on the wall, generously: 2001.
const BEFORE_LAMBDA: u64 = 1_000_000_000_000;

/// When an invocation ends, as the runtime API says it. `cargo lambda watch` says how long it may
/// take instead: 600000, which would be a time long ago.
pub(crate) fn deadline(ms: u64, now: Timestamp) -> Timestamp {
    let ends = match ms < BEFORE_LAMBDA {
        true => now.checked_add(Duration::from_millis(ms)).ok(),
        false => i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    };
    ends.unwrap_or(Timestamp::MAX)
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// When handlers are cut off.
    pub(crate) work_until: Instant,
    /// When what goes on before handlers begin is cut off, if it hasn't ended by itself.
    pub(crate) wait_until: Instant,
    /// When the claim's fate must be written.
    pub(crate) settle_until: Instant,
    /// When nobody works on the event any more, by the clock on the wall.
    pub(crate) ends: Timestamp,
}

impl Time {
    /// Divides what is left until the deadline.
    pub(crate) fn until(deadline: Timestamp, clock: &dyn Clock) -> Self {
        let now = Instant::now();
        let left = Duration::try_from(deadline.duration_since(clock.now())).unwrap_or(Duration::ZERO);
        let left = left.min(LONGEST);
        let reserve = (left / 10).clamp(Duration::from_millis(100), Duration::from_secs(1));
        let before_end = |reserve| now + left.saturating_sub(reserve);
        Self {
            work_until: before_end(reserve),
            wait_until: before_end(reserve * 3 / 4),
            settle_until: before_end(reserve / 2),
            ends: deadline,
        }
    }

    /// What handlers that begin now may take.
    pub(crate) fn left(&self) -> Duration {
        self.work_until.saturating_duration_since(Instant::now())
    }

    /// Whether it makes sense to begin.
    pub(crate) fn is_enough(&self) -> bool {
        SHORTEST <= self.left()
    }
}

#[cfg(test)]
mod tests {
    use undertone_core::SystemClock;

    use super::*;

    #[test]
    fn what_says_no_time_of_day_says_how_long() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (ms, want) in [
            (600_000, "2026-01-31T12:10:00Z"),
            (1_769_860_803_000, "2026-01-31T12:00:03Z"),
            (1_769_860_799_000, "2026-01-31T11:59:59Z"),
            (0, "2026-01-31T12:00:00Z"),
        ] {
            assert_eq!(deadline(ms, now), want.parse().unwrap(), "{ms}");
        }
        assert_eq!(deadline(u64::MAX, now), Timestamp::MAX);
    }

    #[test]
    fn a_tenth_is_kept_to_answer_within_bounds() {
        let clock = SystemClock::default();
        for (left, want) in [(50, 0), (100, 0), (1_000, 900), (3_000, 2_700), (60_000, 59_000), (-5, 0)] {
            let time = Time::until(clock.now() + jiff::SignedDuration::from_millis(left), &clock);
            let found = time.left().as_millis();
            assert!(found <= want && want <= found + 30, "{left}: {found}");
            assert!(time.work_until <= time.wait_until && time.wait_until <= time.settle_until);
            assert_eq!(time.is_enough(), 0 < want, "{left}");
        }
        let time = Time::until(Timestamp::MAX, &clock);
        assert!(time.left() < LONGEST);
    }
}
