//! How a process ends: no new work, a moment for what is under way, then that is cut off.
//!
//! What is cut off isn't acknowledged, so whoever sent it delivers it again.

use std::time::Duration;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Phase {
    Running,
    Draining,
    CutOff,
}

/// See the module.
pub(crate) struct Stop {
    phase: watch::Sender<Phase>,
    under_way: watch::Sender<usize>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Running), under_way: watch::Sender::new(0) }
    }
}

impl Stop {
    /// Counts an invocation as under way until what this gives is dropped.
    pub(crate) fn begin(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.under_way.clone())
    }

    /// Whether nothing more is to be begun.
    pub(crate) fn is_stopping(&self) -> bool {
        Phase::Draining <= *self.phase.borrow()
    }

    /// Ends when what is under way is to be dropped.
    pub(crate) async fn cut_off(&self) {
        // The sender is `self`, so it is there as long as this is.
        let _ = self.phase.subscribe().wait_for(|phase| Phase::CutOff <= *phase).await;
    }

    /// Ends all work within `grace` and a little.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.phase.send_replace(Phase::Draining);
        let _ = tokio::time::timeout(grace, self.drained()).await;
        self.phase.send_replace(Phase::CutOff);
        let _ = tokio::time::timeout(grace / 4, self.drained()).await;
    }

    async fn drained(&self) {
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// See [`Stop::begin`].
pub(crate) struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn what_ends_by_itself_is_waited_for_and_what_does_not_is_cut_off() {
        for (work_ms, cut, waited) in [(0, false, 0..900), (50, false, 50..900), (10_000, true, 1_000..1_900)]
        {
            let stop = Stop::default();
            let under_way = stop.begin();
            let work = async {
                let _under_way = under_way;
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(work_ms)) => false,
                    () = stop.cut_off() => true,
                }
            };
            let began = Instant::now();
            assert!(!stop.is_stopping());
            let (was_cut, ()) = tokio::join!(work, stop.stop(GRACE));
            assert!(stop.is_stopping());
            assert_eq!(was_cut, cut, "{work_ms}");
            assert!(waited.contains(&began.elapsed().as_millis()), "{work_ms}: {:?}", began.elapsed());
        }
    }
}
