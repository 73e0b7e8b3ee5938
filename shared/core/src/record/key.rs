//! Scope keys: 32 bytes under which the records of one scope are sealed, and the id that certifies them.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use super::context::KeyScope;
use crate::id::{random_bytes, write_hex};

/// Derived from a key and its scope: a key that yields another id is another key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// An unwrapped key with the scope it belongs to. Wiped when dropped, never printed.
///
/// ```compile_fail,E0277
/// fn print(key: &undertone_core::ScopeKey) { println!("{key:?}"); }
/// ```
pub struct ScopeKey {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

/// A key service answered with something that can't be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyBytesError {
    /// Not 32 bytes.
    #[error("the key service answered with {0} bytes instead of 32")]
    Length(usize),
    /// All bytes are zero.
    #[error("the key service answered with an all-zero key")]
    Zero,
}

impl ScopeKey {
    /// A fresh key for the scope.
    pub fn random(scope: &KeyScope) -> Self {
        Self::from_array(Zeroizing::new(random_bytes()), scope)
    }

    /// A key that a key service unwrapped. Its id is computed from the bytes, never taken on trust.
    ///
    /// # Errors
    /// If the bytes can't be a key.
    pub fn from_bytes(bytes: &[u8], scope: &KeyScope) -> Result<Self, KeyBytesError> {
        let mut array = Zeroizing::new([0; 32]);
        if bytes.len() != array.len() {
            return Err(KeyBytesError::Length(bytes.len()));
        }
        array.copy_from_slice(bytes);
        if array.iter().all(|byte| *byte == 0) {
            return Err(KeyBytesError::Zero);
        }
        Ok(Self::from_array(array, scope))
    }

    fn from_array(bytes: Zeroizing<[u8; 32]>, scope: &KeyScope) -> Self {
        let prk = Salt::new(HKDF_SHA512, &[0; 64]).extract(bytes.as_slice());
        let mut id = [0; 16];
        expand(&prk, &[b"ESR1/kid\0", &scope.digest()], &mut id);
        Self { bytes, id: KeyId(id) }
    }

    /// The key's id within its scope.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The raw bytes, for wrapping them and for nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand (RFC 5869) into a buffer of at most 255 hashes.
pub(crate) fn expand(prk: &Prk, info: &[&[u8]], out: &mut [u8]) {
    prk.expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("16 to 64 bytes are within HKDF's limit");
}
