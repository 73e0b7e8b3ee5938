//! Unwrapped scope keys, for a bounded time: one unwrap per key, shared by concurrent lookups.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::flight::Flights;
use crate::clock::{Clock, Moment};
use crate::keys::{KeyError, Opener, WrappedKey, unwrap_checked};
use crate::record::{KeyScope, ScopeKey};

const ENTRIES: usize = 1_000;
const TIME_TO_LIVE: Duration = Duration::from_secs(300);

type Answer = Result<Arc<ScopeKey>, KeyError>;
type Key = (KeyScope, WrappedKey);

/// A cache before an [`Opener`]. Keys are wiped when they are evicted and nobody uses them.
pub struct KeyCache {
    opener: Arc<dyn Opener>,
    clock: Arc<dyn Clock>,
    cached: Cache<Key, (Arc<ScopeKey>, Moment)>,
    flights: Flights<Key, Answer>,
}

impl KeyCache {
    /// An empty cache.
    pub fn new(opener: Arc<dyn Opener>, clock: Arc<dyn Clock>) -> Self {
        Self { opener, clock, cached: Cache::new(ENTRIES), flights: Flights::new() }
    }

    /// The key, unwrapped now or a short while ago.
    pub async fn key(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Answer {
        let key = (scope.clone(), wrapped.clone());
        if let Some((cached, at)) = self.cached.get(&key) {
            if at.is_within(TIME_TO_LIVE, &*self.clock) {
                return Ok(cached);
            }
            self.cached.remove(&key);
        }
        let answer = self.flights.run(&key, || self.unwrap(key.clone())).await;
        if let Ok(unwrapped) = &answer {
            let now = Moment::now(&*self.clock);
            self.cached.insert(key, (unwrapped.clone(), now));
        }
        answer
    }

    pub(super) fn forget_stale(&self) {
        self.cached.retain(|_, (_, at)| at.is_within(TIME_TO_LIVE, &*self.clock));
    }

    fn unwrap(&self, (scope, wrapped): Key) -> futures_util::future::BoxFuture<'static, Answer> {
        let opener = self.opener.clone();
        Box::pin(async move { unwrap_checked(&*opener, &scope, &wrapped).await.map(Arc::new) })
    }
}
