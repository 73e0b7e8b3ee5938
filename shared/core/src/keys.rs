//! Scope keys, wrapped, and the two powers over them: making one, and unwrapping one.
//!
//! A wrapped key is unwrapped in one place, [`unwrap_checked`], which recomputes the id from the
//! bytes: a key service that answers with another key is caught before any use.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::id::StoreId;
use crate::record::{KeyBytesError, KeyId, KeyScope, ScopeKey, expand};

/// The n-th key of a scope, from 1.
pub type Generation = u32;

/// A scope key as the store keeps it, format EWK1:
/// `"EWK1" ‖ provider ‖ key id(16) ‖ generation(u32) ‖ what the provider wrote`. What AWS KMS wrote has
/// its length before it, as a u16.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrappedKey {
    /// Who can unwrap it.
    pub provider: Provider,
    /// The id of the key inside.
    pub id: KeyId,
    /// Which of the scope's keys it is.
    pub generation: Generation,
    /// The provider's bytes.
    pub blob: Arc<[u8]>,
}

/// Who wrapped a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// A symmetric key of AWS KMS; the blob is the `CiphertextBlob` of KMS.
    Kms,
    /// A root key on this machine; the blob is an ESR1 record of kind 3.
    Local,
}

/// The bytes are no wrapped key that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored scope key is damaged or was wrapped by a newer program")]
pub struct WrappedKeyError;

const MAGIC: &[u8; 4] = b"EWK1";

impl WrappedKey {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let provider = match self.provider {
            Provider::Kms => 0x01,
            Provider::Local => 0x02,
        };
        let mut out = Vec::with_capacity(27 + self.blob.len());
        out.extend_from_slice(MAGIC);
        out.push(provider);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.generation.to_be_bytes());
        if self.provider == Provider::Kms {
            let length = u16::try_from(self.blob.len()).expect("KMS answers with at most 6,144 bytes");
            out.extend_from_slice(&length.to_be_bytes());
        }
        out.extend_from_slice(&self.blob);
        out
    }

    /// Reads stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WrappedKeyError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(WrappedKeyError)?;
        let (provider, rest) = rest.split_first().ok_or(WrappedKeyError)?;
        let provider = match provider {
            0x01 => Provider::Kms,
            0x02 => Provider::Local,
            _ => return Err(WrappedKeyError),
        };
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(WrappedKeyError)?;
        let (generation, rest) = rest.split_first_chunk::<4>().ok_or(WrappedKeyError)?;
        let blob = match provider {
            Provider::Local => rest,
            Provider::Kms => {
                let (length, blob) = rest.split_first_chunk::<2>().ok_or(WrappedKeyError)?;
                let whole = usize::from(u16::from_be_bytes(*length)) == blob.len();
                whole.then_some(blob).ok_or(WrappedKeyError)?
            }
        };
        Ok(Self { provider, id: KeyId(*id), generation: u32::from_be_bytes(*generation), blob: blob.into() })
    }
}

/// Why a key service gave no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The service can't be reached now. Trying again may help.
    #[error("the key service can't be reached: {0}")]
    Unavailable(String),
    /// The service answered, and the answer is no. Trying again doesn't help.
    #[error("the key service refused: {0}")]
    Denied(String),
    /// The service answered with something that isn't the key asked for.
    #[error("the key service gave a wrong answer: {0}")]
    BadAnswer(String),
}

impl From<KeyBytesError> for KeyError {
    fn from(error: KeyBytesError) -> Self {
        KeyError::BadAnswer(error.to_string())
    }
}

/// The power to make a new scope key. Holding it lets nobody read a value.
#[async_trait]
pub trait Sealer: Send + Sync {
    /// Makes a key for the scope and returns it open, for sealing now, and wrapped, for the store.
    async fn new_key(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KeyError>;
}

/// The power to unwrap a scope key: whoever holds it can read what is sealed under that key.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The key's 32 bytes. Call [`unwrap_checked`] instead, which checks the answer.
    async fn unwrap_key(
        &self,
        scope: &KeyScope,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// The power to wrap a key anew under another root, without seeing it.
#[async_trait]
pub trait Rewrapper: Send + Sync {
    /// The same key of the same scope and generation, wrapped under the other root.
    async fn rewrap(&self, scope: &KeyScope, wrapped: &WrappedKey) -> Result<WrappedKey, KeyError>;
}

/// Unwraps a key and makes sure that it is the one asked for.
pub async fn unwrap_checked(
    opener: &dyn Opener,
    scope: &KeyScope,
    wrapped: &WrappedKey,
) -> Result<ScopeKey, KeyError> {
    let bytes = opener.unwrap_key(scope, wrapped).await?;
    let key = ScopeKey::from_bytes(&bytes, scope)?;
    if key.id() != wrapped.id {
        return Err(KeyError::BadAnswer(format!("expected the key {}, got {}", wrapped.id, key.id())));
    }
    Ok(key)
}

/// A key that hangs under the store key, for one use: `HKDF(store key, "ESR1/use/<name>")`.
///
/// The store key seals no values; every program may unwrap it.
pub fn use_key(store: StoreId, store_key: &ScopeKey, name: &str) -> Zeroizing<[u8; 32]> {
    let prk = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA512, &store.0).extract(store_key.expose());
    let mut out = Zeroizing::new([0; 32]);
    expand(&prk, &[b"ESR1/use/", name.as_bytes()], out.as_mut());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_survives_its_encoding_and_damage_is_refused() {
        for provider in [Provider::Local, Provider::Kms] {
            let (id, blob) = (KeyId([7; 16]), Arc::from(&b"blob"[..]));
            let wrapped = WrappedKey { provider, id, generation: 3, blob };
            let bytes = wrapped.encode();
            assert_eq!(WrappedKey::decode(&bytes), Ok(wrapped));
            for damaged in [&b""[..], b"EWK2", &bytes[..4], &bytes[..20], b"EWK1\x03aaaaaaaaaaaaaaaaaaaaaaaa"]
            {
                assert_eq!(WrappedKey::decode(damaged), Err(WrappedKeyError));
            }
        }
    }

    #[test]
    fn what_kms_wrote_has_its_length_before_it() {
        let blob = Arc::from(&b"blob"[..]);
        let wrapped = WrappedKey { provider: Provider::Kms, id: KeyId([7; 16]), generation: 3, blob };
        let bytes = wrapped.encode();
        assert_eq!(bytes[25..], *b"\0\x04blob");
        let longer = [&bytes[..], b"x"].concat();
        for damaged in [&bytes[..26], &bytes[..bytes.len() - 1], &longer] {
            assert_eq!(WrappedKey::decode(damaged), Err(WrappedKeyError));
        }
    }
}
