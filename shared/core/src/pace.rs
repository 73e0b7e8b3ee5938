//! A limit on calls that fail: however many want something of a service that is away, few ask it.
//!
//! Quotas of a key service are shared by everybody in the account. So within any second at most
//! [`AT_MOST`] calls are under way or have failed. While calls succeed nobody is refused, only
//! kept waiting for a place.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;

use crate::clock::{Clock, Moment};

/// How many calls may be under way or have failed within one second.
pub const AT_MOST: usize = 10;

const WINDOW: Duration = Duration::from_secs(1);

/// Gives out places for calls. One per service and process.
pub struct Pace {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: usize,
    failed: VecDeque<Moment>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// So many calls failed just now that this one isn't made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its last calls failed, and it is asked at most {AT_MOST} times a second")]
pub struct Paced;

/// A place for one call. A place that is dropped without [`Place::succeeded`] counts as a failure.
pub struct Place<'a> {
    pace: &'a Pace,
    failed: bool,
}

impl Pace {
    /// No call yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A place for one call, at once or when one that is under way has ended.
    ///
    /// # Errors
    /// If all places are taken by failures.
    pub async fn place(&self) -> Result<Place<'_>, Paced> {
        loop {
            let freed = {
                let mut state = self.lock();
                state.failed.retain(|at| at.is_within(WINDOW, &*self.clock));
                if state.under_way + state.failed.len() < AT_MOST {
                    state.under_way += 1;
                    return Ok(Place { pace: self, failed: true });
                }
                if state.under_way == 0 {
                    return Err(Paced);
                }
                let (waiting, freed) = oneshot::channel();
                state.waiting.push(waiting);
                freed
            };
            // A sender that went away is news as well.
            let _ = freed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Place<'_> {
    /// The call was answered as hoped.
    pub fn succeeded(mut self) {
        self.failed = false;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        state.under_way -= 1;
        if self.failed {
            state.failed.push_back(Moment::now(&*self.pace.clock));
        }
        for waiting in state.waiting.drain(..) {
            // Who waited may have gone.
            let _ = waiting.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;
    use futures_util::FutureExt;
    use jiff::Timestamp;

    use super::*;

    #[derive(Default)]
    struct HandClock(Mutex<Duration>);

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH + self.monotonic()
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn ten_failures_a_second_and_no_more() {
        let clock = Arc::new(HandClock::default());
        let pace = Pace::new(clock.clone());
        for second in 0..3 {
            for _ in 0..AT_MOST {
                drop(block_on(pace.place()).unwrap());
            }
            assert!(block_on(pace.place()).is_err(), "in second {second}");
            *clock.0.lock().unwrap() += Duration::from_millis(999);
            assert!(block_on(pace.place()).is_err());
            *clock.0.lock().unwrap() += Duration::from_millis(1);
        }
    }

    #[test]
    fn successes_cost_nothing_and_ten_are_under_way_at_once() {
        let pace = Pace::new(Arc::new(HandClock::default()));
        for _ in 0..1_000 {
            block_on(pace.place()).unwrap().succeeded();
        }
        let mut places: Vec<Place<'_>> = (0..AT_MOST).map(|_| block_on(pace.place()).unwrap()).collect();
        let mut eleventh = Box::pin(pace.place());
        assert!((&mut eleventh).now_or_never().is_none(), "it waits");
        places.pop().unwrap().succeeded();
        assert!((&mut eleventh).now_or_never().is_some_and(|place| place.is_ok()));
    }

    #[test]
    fn who_waits_while_all_fail_is_told() {
        let pace = Pace::new(Arc::new(HandClock::default()));
        let places: Vec<Place<'_>> = (0..AT_MOST).map(|_| block_on(pace.place()).unwrap()).collect();
        let mut waiting = Box::pin(pace.place());
        assert!((&mut waiting).now_or_never().is_none());
        drop(places);
        assert!(matches!((&mut waiting).now_or_never(), Some(Err(Paced))));
    }
}
