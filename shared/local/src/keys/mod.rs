//! Scope keys wrapped under this machine's root key.
//!
//! A wrapped key is an ESR1 record of kind 3, sealed under the root key for the scope, with no
//! name, the generation as its version, purpose `scope-key`, no rules, not padded. So it opens
//! only under the same root, for the same scope and generation.

#[cfg(test)]
mod vectors;

use async_trait::async_trait;
use undertone_core::keys::{Generation, Provider, WrappedKey};
use undertone_core::record::{Context, Kind, Padding, open, seal};
use undertone_core::{KeyError, KeyId, KeyScope, Opener, Rules, ScopeKey, Sealer, StoreId};
use zeroize::Zeroizing;

use crate::root::RootKey;

/// The root key with the two powers that it gives.
pub struct LocalKeys {
    root: RootKey,
}

impl LocalKeys {
    pub(crate) fn new(root: RootKey) -> Self {
        Self { root }
    }

    /// The root key's id in a store: what a home expects and names in its errors.
    pub(crate) fn root_id(&self, store: StoreId) -> Result<KeyId, KeyError> {
        Ok(self.root_for(&KeyScope::store(store))?.id())
    }

    /// Makes a key for the scope.
    pub(crate) fn make_key(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KeyError> {
        let key = ScopeKey::random(scope);
        let root = self.root_for(scope)?;
        let record = seal(&root, &context(scope, generation), key.expose(), Padding::None);
        let wrapped = WrappedKey { provider: Provider::Local, id: key.id(), generation, blob: record.into() };
        Ok((key, wrapped))
    }

    /// Unwraps a key; the caller checks its id.
    pub(crate) fn open_key(
        &self,
        scope: &KeyScope,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match wrapped.provider {
            Provider::Local => {}
            Provider::Kms => {
                return Err(KeyError::Denied(format!(
                    "the key {} was wrapped by AWS KMS, and this store has a root key on this machine",
                    wrapped.id
                )));
            }
        }
        let root = self.root_for(scope)?;
        let opened = open(&root, &context(scope, wrapped.generation), &wrapped.blob).map_err(|error| {
            KeyError::BadAnswer(format!("the wrapped key {} doesn't open: {error}", wrapped.id))
        })?;
        Ok(Zeroizing::new(opened.to_vec()))
    }

    fn root_for(&self, scope: &KeyScope) -> Result<ScopeKey, KeyError> {
        Ok(ScopeKey::from_bytes(self.root.expose(), scope)?)
    }
}

#[async_trait]
impl Sealer for LocalKeys {
    async fn new_key(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KeyError> {
        self.make_key(scope, generation)
    }
}

#[async_trait]
impl Opener for LocalKeys {
    async fn unwrap_key(
        &self,
        scope: &KeyScope,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_key(scope, wrapped)
    }
}

fn context(scope: &KeyScope, generation: Generation) -> Context<'_> {
    Context {
        scope,
        name: "",
        version: u64::from(generation),
        kind: Kind::ScopeKey,
        purpose: "scope-key",
        policy: Rules::default().digest(),
    }
}
