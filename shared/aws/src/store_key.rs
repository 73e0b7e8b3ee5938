//! The store key: what MACs over rows and the chain of audit hang under.
//!
//! It seals no values, and every program may unwrap it. It is unwrapped when it is first needed,
//! never when a program starts, and ages like every other key.

use std::sync::{Arc, Mutex, MutexGuard};

use undertone_core::audit::ChainKey;
use undertone_core::keys::{WrappedKey, use_key};
use undertone_core::resolve::{KeyCache, OpenKey};
use undertone_core::seals::Seals;
use undertone_core::{Clock, KeyError, KeyScope, Opener, Rewrapper, StoreId};

/// The store's id with its key, wrapped.
pub struct StoreKey {
    id: StoreId,
    wrapped: WrappedKey,
    keys: KeyCache,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    derived: Option<(Arc<OpenKey>, Arc<Derived>)>,
    /// How often it was forgotten.
    forgotten: u64,
}

/// The keys that hang under the store key.
pub(crate) struct Derived {
    /// Of the MACs over rows.
    pub(crate) seals: Seals,
    /// Of the chains of audit.
    pub(crate) chain: ChainKey,
}

impl StoreKey {
    /// A key that was read and not yet unwrapped.
    pub fn new(id: StoreId, wrapped: WrappedKey, opener: Arc<dyn Opener>, clock: Arc<dyn Clock>) -> Self {
        Self { id, wrapped, keys: KeyCache::new(opener, clock), known: Mutex::default() }
    }

    /// The store's id.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// Forgets what was unwrapped, before the process is frozen or copied.
    pub fn forget(&self) {
        self.keys.forget_all();
        let mut known = self.known();
        known.derived = None;
        known.forgotten += 1;
    }

    /// The key as it would be stored under another root.
    pub(crate) async fn rewrapped(&self, root: &dyn Rewrapper) -> Result<WrappedKey, KeyError> {
        root.rewrap(&KeyScope::store(self.id), &self.wrapped).await
    }

    /// The keys that hang under it, unwrapped now or a short while ago.
    pub(crate) async fn derived(&self) -> Result<Arc<Derived>, KeyError> {
        let forgotten = self.known().forgotten;
        let key = match self.keys.key(&KeyScope::store(self.id), &self.wrapped).await {
            Ok(key) => key,
            Err(error) => {
                self.known().derived = None;
                return Err(error);
            }
        };
        let mut known = self.known();
        if let Some((_, derived)) = known.derived.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &key)) {
            return Ok(derived.clone());
        }
        let derived = Arc::new(Derived {
            seals: Seals::new(&use_key(self.id, key.key(), "rows")),
            chain: ChainKey::new(&use_key(self.id, key.key(), "audit")),
        });
        // What was forgotten while it was on its way isn't kept.
        if known.forgotten == forgotten {
            known.derived = Some((key, derived.clone()));
        }
        Ok(derived)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no holder of this lock panics")
    }
}
