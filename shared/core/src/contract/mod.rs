//! What every adapter of a port must do, as suites that each adapter runs.
//!
//! A suite takes a function that makes fresh adapters and panics at the first promise that isn't
//! kept; the name of the failing function is the promise. It needs no particular executor.

pub mod audit;
mod conflicts;
mod fixture;
pub mod idempotency;
pub mod keys;
mod rows;
mod scopes;
pub mod store;

pub use audit::audit;
pub use idempotency::idempotency;
pub use keys::keys;
pub use store::store;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use crate::memory::{MemoryAudit, MemoryIdempotency, MemoryKeys, MemoryStore};

    // Nothing in memory ever waits, so no executor is needed.

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        let suite = super::store(&|| Arc::new(MemoryStore::default()));
        suite.now_or_never().expect("memory doesn't wait");
    }

    #[test]
    fn the_audit_log_in_memory_keeps_the_contract() {
        let suite = super::audit(&|| Arc::new(MemoryAudit::default()));
        suite.now_or_never().expect("memory doesn't wait");
    }

    #[test]
    fn the_claims_in_memory_keep_the_contract() {
        let suite = super::idempotency(&|| Arc::new(MemoryIdempotency::default()));
        suite.now_or_never().expect("memory doesn't wait");
    }

    #[test]
    fn the_keys_in_memory_keep_the_contract() {
        let suite = super::keys(&|| {
            let keys = Arc::new(MemoryKeys::default());
            (keys.clone(), keys)
        });
        suite.now_or_never().expect("memory doesn't wait");
    }
}
