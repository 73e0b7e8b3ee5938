//! The power to move wrapped keys from one KMS key to another: `kms:ReEncrypt*`. No key is seen.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::operation::re_encrypt::ReEncryptOutput;
use aws_sdk_kms::primitives::Blob;
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::{KeyError, KeyScope, Rewrapper};

use super::{Kms, KmsFault, KmsKey, context, fits};
use crate::Connection;

/// Wraps keys anew by `ReEncrypt`, when the root changes. The key inside never leaves KMS.
pub struct KmsRewrapper {
    kms: Kms,
    from: KmsKey,
    to: KmsKey,
}

impl KmsRewrapper {
    /// From one KMS key to another of the same region.
    pub fn new(connection: Arc<Connection>, from: KmsKey, to: KmsKey) -> Self {
        Self { kms: Kms(connection), from, to }
    }

    async fn move_over(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Result<WrappedKey, KmsFault> {
        match wrapped.provider {
            Provider::Kms => {}
            Provider::Local => return Err(KmsFault::OtherProvider(wrapped.id)),
        }
        fits(&wrapped.blob)?;
        let (from, to) = (self.kms.name_of(&self.from)?, self.kms.name_of(&self.to)?);
        let context = context(scope, wrapped.generation);
        let call = |client: aws_sdk_kms::Client| {
            client
                .re_encrypt()
                .source_key_id(&from)
                .destination_key_id(&to)
                .ciphertext_blob(Blob::new(wrapped.blob.to_vec()))
                .set_source_encryption_context(Some(context.clone()))
                .set_destination_encryption_context(Some(context.clone()))
                .send()
        };
        let check = |answer: ReEncryptOutput| {
            let is_from = answer.source_key_id.is_some_and(|key| self.from.answered(&from, &key));
            let is_to = answer.key_id.is_some_and(|key| self.to.answered(&to, &key));
            if !is_from || !is_to {
                return Err(KmsFault::OtherKey("ReEncrypt"));
            }
            let blob = answer.ciphertext_blob.ok_or(KmsFault::Nothing("ReEncrypt"))?.into_inner();
            fits(&blob)?;
            Ok(WrappedKey { blob: blob.into(), ..wrapped.clone() })
        };
        self.kms.ask("ReEncrypt", call, check).await
    }
}

#[async_trait]
impl Rewrapper for KmsRewrapper {
    async fn rewrap(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Result<WrappedKey, KeyError> {
        Ok(self.move_over(scope, wrapped).await?)
    }
}
