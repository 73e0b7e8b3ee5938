//! Single flight: concurrent callers who want the same thing share one piece of work.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};

/// Work under way, by key. A piece of work lives as long as somebody waits for it.
pub(super) struct Flights<K, V: Clone> {
    running: Mutex<Running<K, V>>,
}

type Running<K, V> = HashMap<K, WeakShared<BoxFuture<'static, V>>>;

impl<K: Eq + Hash + Clone, V: Clone + Send + Sync + 'static> Flights<K, V> {
    pub(super) fn new() -> Self {
        Self { running: Mutex::new(HashMap::new()) }
    }

    /// Joins the work under way for the key, or starts it.
    pub(super) async fn run(&self, key: &K, start: impl FnOnce() -> BoxFuture<'static, V>) -> V {
        let flight = self.join(key, start);
        let result = flight.await;
        self.forget_finished(key);
        result
    }

    /// Whether work for the key was started before now and hasn't ended.
    pub(super) fn is_under_way(&self, key: &K) -> bool {
        let running = self.running.lock().expect("no holder of this lock panics");
        under_way(&running, key).is_some()
    }

    fn join(&self, key: &K, start: impl FnOnce() -> BoxFuture<'static, V>) -> Shared<BoxFuture<'static, V>> {
        let mut running = self.running.lock().expect("no holder of this lock panics");
        if let Some(flight) = under_way(&running, key) {
            return flight;
        }
        let flight = start().shared();
        if let Some(weak) = flight.downgrade() {
            running.insert(key.clone(), weak);
        }
        flight
    }

    fn forget_finished(&self, key: &K) {
        let mut running = self.running.lock().expect("no holder of this lock panics");
        let finished =
            running.get(key).is_some_and(|weak| weak.upgrade().is_none_or(|flight| flight.peek().is_some()));
        if finished {
            running.remove(key);
        }
    }
}

/// A finished flight answers no newcomer: what it read may have changed since.
fn under_way<K: Eq + Hash, V: Clone>(
    running: &Running<K, V>,
    key: &K,
) -> Option<Shared<BoxFuture<'static, V>>> {
    running.get(key).and_then(WeakShared::upgrade).filter(|flight| flight.peek().is_none())
}
