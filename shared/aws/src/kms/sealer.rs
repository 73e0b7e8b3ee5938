//! The power to make a scope key: `kms:GenerateDataKey`. Whoever has only this can read no value.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_kms::operation::generate_data_key::GenerateDataKeyOutput;
use undertone_core::keys::{Generation, Provider, WrappedKey};
use undertone_core::{KeyError, KeyId, KeyScope, ScopeKey, Sealer, StoreId};

use super::opener::plaintext;
use super::{Kms, KmsFault, KmsKey, context, fits};
use crate::Connection;

/// How many keys are remembered, as digests, to notice one that KMS makes twice.
const REMEMBERED: usize = 1_024;

/// Makes scope keys by `GenerateDataKey`.
pub struct KmsSealer {
    kms: Kms,
    key: KmsKey,
    made: Mutex<VecDeque<KeyId>>,
}

impl KmsSealer {
    /// Makes keys that this key wraps.
    pub fn new(connection: Arc<Connection>, key: KmsKey) -> Self {
        Self { kms: Kms(connection), key, made: Mutex::default() }
    }

    async fn make(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KmsFault> {
        let key = self.kms.name_of(&self.key)?;
        let context = context(scope, generation);
        let call = |client: aws_sdk_kms::Client| {
            client
                .generate_data_key()
                .key_id(&key)
                .number_of_bytes(32)
                .set_encryption_context(Some(context.clone()))
                .send()
        };
        let check = |answer: GenerateDataKeyOutput| {
            let bytes = plaintext(answer.plaintext);
            if !answer.key_id.is_some_and(|answered| self.key.answered(&key, &answered)) {
                return Err(KmsFault::OtherKey("GenerateDataKey"));
            }
            let bytes = bytes.ok_or(KmsFault::Nothing("GenerateDataKey"))?;
            let made = ScopeKey::from_bytes(&bytes, scope)?;
            let blob = answer.ciphertext_blob.ok_or(KmsFault::Nothing("GenerateDataKey"))?.into_inner();
            fits(&blob)?;
            self.remember(&bytes)?;
            let wrapped =
                WrappedKey { provider: Provider::Kms, id: made.id(), generation, blob: blob.into() };
            Ok((made, wrapped))
        };
        self.kms.ask("GenerateDataKey", call, check).await
    }

    /// A key's id depends on its scope; for this comparison all keys have the same.
    fn remember(&self, bytes: &[u8]) -> Result<(), KmsFault> {
        let digest = ScopeKey::from_bytes(bytes, &KeyScope::store(StoreId([0; 16])))?.id();
        let mut made = self.made.lock().expect("no holder of this lock panics");
        if made.contains(&digest) {
            return Err(KmsFault::Repeated);
        }
        if made.len() == REMEMBERED {
            made.pop_front();
        }
        made.push_back(digest);
        Ok(())
    }
}

#[async_trait]
impl Sealer for KmsSealer {
    async fn new_key(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KeyError> {
        Ok(self.make(scope, generation).await?)
    }
}
