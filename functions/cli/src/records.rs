//! Whether a sealed record opens, without keeping what is inside.

use undertone_core::keys::{Opener, WrappedKey};
use undertone_core::record::{Context, KeyScope, Kind, key_id, open};
use undertone_core::resolve::KeyCache;
use undertone_core::{Body, KeyError, Row, StoreId, SystemClock, Version};

/// Opens records of one store and drops what comes out.
pub(crate) struct Checker {
    store: StoreId,
    keys: KeyCache,
}

/// What is wrong with a record. The words are stable.
pub(crate) type Problem = &'static str;

/// Damage where the root key is at hand, a matter of rights on AWS.
pub(crate) const REFUSED: Problem = "the key that it was sealed under is refused";

impl Checker {
    pub(crate) fn new(store: StoreId, opener: std::sync::Arc<dyn Opener>) -> Self {
        Self { store, keys: KeyCache::new(opener, std::sync::Arc::new(SystemClock::default())) }
    }

    /// Opens the version's record where the row says it belongs, under a key of its scope.
    ///
    /// # Errors
    /// If the key service can't be reached.
    pub(crate) async fn check(
        &self,
        row: &Row,
        version: &Version,
        scope_keys: &[WrappedKey],
    ) -> Result<Result<(), Problem>, KeyError> {
        let (kind, purpose, record) = match &version.body {
            Body::Value(record) => (Kind::Value, SECRET, record),
            Body::External(record) => (Kind::Value, EXTERNAL, record),
            Body::Blocked(record) => (Kind::Tombstone, SECRET, record),
        };
        let Some(id) = key_id(record) else {
            return Ok(Err("the record is cut off"));
        };
        let Some(wrapped) = scope_keys.iter().find(|key| key.id == id) else {
            return Ok(Err("the key that it was sealed under is missing"));
        };
        let scope = KeyScope::of(self.store, &row.scope);
        let key = match self.keys.key(&scope, wrapped).await {
            Ok(key) => key,
            Err(error @ KeyError::Unavailable(_)) => return Err(error),
            Err(KeyError::Denied(_)) => return Ok(Err(REFUSED)),
            Err(KeyError::BadAnswer(_)) => return Ok(Err("the key that it was sealed under doesn't open")),
        };
        let context = Context {
            scope: &scope,
            name: row.name.as_str(),
            version: version.number,
            kind,
            purpose,
            policy: version.rules.digest(),
        };
        let opened = open(key.key(), &context, record).map(drop);
        Ok(opened.map_err(|_| "the record, its place or its rules were edited"))
    }
}

/// As in the resolver: the purposes of records that hold a value, and of those that hold a reference.
const SECRET: &str = "secret";
const EXTERNAL: &str = "external";
