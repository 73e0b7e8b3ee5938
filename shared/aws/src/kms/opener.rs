//! The power to unwrap a scope key: `kms:Decrypt`.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::operation::decrypt::DecryptOutput;
use aws_sdk_kms::primitives::Blob;
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::{KeyError, KeyScope, Opener, ScopeKey};
use zeroize::Zeroizing;

use super::{Kms, KmsFault, KmsKey, context, fits};
use crate::Connection;

/// Unwraps scope keys by `Decrypt`.
pub struct KmsOpener {
    kms: Kms,
    key: KmsKey,
}

impl KmsOpener {
    /// Unwraps what this key wrapped.
    pub fn new(connection: Arc<Connection>, key: KmsKey) -> Self {
        Self { kms: Kms(connection), key }
    }

    async fn open(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, KmsFault> {
        match wrapped.provider {
            Provider::Kms => {}
            Provider::Local => return Err(KmsFault::OtherProvider(wrapped.id)),
        }
        fits(&wrapped.blob)?;
        let key = self.kms.name_of(&self.key)?;
        let context = context(scope, wrapped.generation);
        let call = |client: aws_sdk_kms::Client| {
            client
                .decrypt()
                .key_id(&key)
                .ciphertext_blob(Blob::new(wrapped.blob.to_vec()))
                .set_encryption_context(Some(context.clone()))
                .send()
        };
        let check = |answer: DecryptOutput| {
            let bytes = plaintext(answer.plaintext);
            if !answer.key_id.is_some_and(|answered| self.key.answered(&key, &answered)) {
                return Err(KmsFault::OtherKey("Decrypt"));
            }
            let bytes = bytes.ok_or(KmsFault::Nothing("Decrypt"))?;
            // Its id is the caller's to check; that it is a key at all is checked before it leaves here.
            ScopeKey::from_bytes(&bytes, scope)?;
            Ok(bytes)
        };
        self.kms.ask("Decrypt", call, check).await
    }
}

#[async_trait]
impl Opener for KmsOpener {
    async fn unwrap_key(
        &self,
        scope: &KeyScope,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(self.open(scope, wrapped).await?)
    }
}

/// The SDK's bytes without a copy, wiped when dropped.
///
/// What stays is beyond reach: the answer's text with the same bytes as base64, in buffers of the
/// SDK and of TLS that are freed and not wiped. Programs that wipe whatever they free (see
/// `zeroizing-alloc`) wipe those as well.
pub(super) fn plaintext(blob: Option<Blob>) -> Option<Zeroizing<Vec<u8>>> {
    blob.map(|blob| Zeroizing::new(blob.into_inner()))
}
