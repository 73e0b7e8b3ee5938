//! Unwrapped scope keys, for a bounded time: one unwrap per key, shared by concurrent lookups.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
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
    cached: Arc<Cache<Key, (Arc<ScopeKey>, Moment)>>,
    flights: Flights<Key, Answer>,
}

impl KeyCache {
    /// An empty cache.
    pub fn new(opener: Arc<dyn Opener>, clock: Arc<dyn Clock>) -> Self {
        Self { opener, clock, cached: Arc::new(Cache::new(ENTRIES)), flights: Flights::new() }
    }

    /// The key, unwrapped now or a short while ago.
    pub async fn key(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Answer {
        let key = (scope.clone(), wrapped.clone());
        if let Some(cached) = self.fresh(&key) {
            return Ok(cached);
        }
        self.flights.run(&key, || self.landed_or_unwrap(&key)).await
    }

    pub(super) fn forget_stale(&self) {
        self.cached.retain(|_, (_, at)| at.is_within(TIME_TO_LIVE, &*self.clock));
    }

    fn fresh(&self, key: &Key) -> Option<Arc<ScopeKey>> {
        let (cached, at) = self.cached.get(key)?;
        if !at.is_within(TIME_TO_LIVE, &*self.clock) {
            self.cached.remove(key);
            return None;
        }
        Some(cached)
    }

    /// What a flight brought that landed since this caller looked; else an unwrap.
    fn landed_or_unwrap(&self, key: &Key) -> BoxFuture<'static, Answer> {
        if let Some(landed) = self.fresh(key) {
            return Box::pin(ready(Ok(landed)));
        }
        let (opener, cached, clock) = (self.opener.clone(), self.cached.clone(), self.clock.clone());
        let key = key.clone();
        Box::pin(async move {
            let unwrapped = Arc::new(unwrap_checked(&*opener, &key.0, &key.1).await?);
            cached.insert(key, (unwrapped.clone(), Moment::now(&*clock)));
            Ok(unwrapped)
        })
    }
}
