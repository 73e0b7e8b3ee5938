//! Scopes that this process made a short while ago, and that not all of Secrets Manager may know yet.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use undertone_core::{Clock, Scope};

/// `ListSecrets` may leave out what happened in the last five minutes.
const LIFETIME: Duration = Duration::from_secs(300);

pub(super) struct Recent {
    clock: Arc<dyn Clock>,
    made: Mutex<Vec<(Scope, Duration)>>,
}

impl Recent {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, made: Mutex::default() }
    }

    /// The scope was made now.
    pub(super) fn note(&self, scope: &Scope) {
        let now = self.clock.monotonic();
        self.living().push((scope.clone(), now));
    }

    /// Whether it was made here a short while ago.
    pub(super) fn has(&self, scope: &Scope) -> bool {
        self.living().iter().any(|(made, _)| made == scope)
    }

    /// Those of them that are so.
    pub(super) fn that(&self, is_so: impl Fn(&Scope) -> bool) -> Vec<Scope> {
        self.living().iter().map(|(scope, _)| scope).filter(|scope| is_so(scope)).cloned().collect()
    }

    fn living(&self) -> MutexGuard<'_, Vec<(Scope, Duration)>> {
        let now = self.clock.monotonic();
        let mut made = self.made.lock().expect("no holder of this lock panics");
        made.retain(|(_, at)| now.saturating_sub(*at) < LIFETIME);
        made
    }
}
