//! The writer's keys: the scope's newest one if the writer may unwrap it, else one of its own.
//!
//! Either is kept open as long as a reader keeps one before it asks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::clock::{Clock, Moment};
use crate::keys::{KeyError, Opener, Sealer, WrappedKey, unwrap_checked};
use crate::record::{KeyId, KeyScope, ScopeKey};
use crate::resolve::SOFT;

/// At most this many keys are kept open at a time.
const OPEN_KEYS: usize = 1_000;

pub(crate) struct WriterKeys {
    sealer: Arc<dyn Sealer>,
    opener: Option<Arc<dyn Opener>>,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<KeyId, (Arc<ScopeKey>, Moment)>>,
}

/// A key to seal under, and its wrapped form if the store doesn't have it yet.
pub(crate) struct WriterKey {
    pub(crate) key: Arc<ScopeKey>,
    pub(crate) new: Option<WrappedKey>,
}

impl WriterKeys {
    pub(crate) fn new(
        sealer: Arc<dyn Sealer>,
        opener: Option<Arc<dyn Opener>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sealer, opener, clock, open: Mutex::new(HashMap::new()) }
    }

    /// Forgets every key.
    pub(crate) fn forget_all(&self) {
        self.open.lock().expect("no holder of this lock panics").clear();
    }

    /// A key of the scope for sealing now. `stored` are the scope's wrapped keys.
    pub(crate) async fn for_sealing(
        &self,
        scope: &KeyScope,
        stored: &[WrappedKey],
    ) -> Result<WriterKey, KeyError> {
        let newest_first = {
            let mut keys: Vec<&WrappedKey> = stored.iter().collect();
            keys.sort_by_key(|key| std::cmp::Reverse(key.generation));
            keys
        };
        if let Some(key) = newest_first.iter().find_map(|wrapped| self.kept(wrapped.id)) {
            return Ok(WriterKey { key, new: None });
        }
        if let (Some(opener), Some(wrapped)) = (&self.opener, newest_first.first()) {
            match unwrap_checked(&**opener, scope, wrapped).await {
                Ok(key) => {
                    let key = Arc::new(key);
                    self.keep(&key);
                    return Ok(WriterKey { key, new: None });
                }
                // Whoever may write and not read seals under a key of its own.
                Err(KeyError::Denied(_)) => {}
                Err(error @ (KeyError::Unavailable(_) | KeyError::BadAnswer(_))) => return Err(error),
            }
        }
        let generation = newest_first.first().map_or(0, |key| key.generation) + 1;
        let (key, wrapped) = self.sealer.new_key(scope, generation).await?;
        if key.id() != wrapped.id || stored.iter().any(|known| known.id == wrapped.id) {
            return Err(KeyError::BadAnswer("a new key that isn't new".to_owned()));
        }
        let key = Arc::new(key);
        self.keep(&key);
        Ok(WriterKey { key, new: Some(wrapped) })
    }

    fn kept(&self, id: KeyId) -> Option<Arc<ScopeKey>> {
        let mut open = self.open.lock().expect("no holder of this lock panics");
        open.retain(|_, (_, since)| since.is_within(SOFT, &*self.clock));
        open.get(&id).map(|(key, _)| key.clone())
    }

    fn keep(&self, key: &Arc<ScopeKey>) {
        let mut open = self.open.lock().expect("no holder of this lock panics");
        if OPEN_KEYS <= open.len() {
            open.clear();
        }
        open.insert(key.id(), (key.clone(), Moment::now(&*self.clock)));
    }
}
