//! Records at rest in format ESR1 (suite 0x01): HKDF-SHA-512, AES-256-GCM, a 32-byte commitment.
//!
//! A record opens only under the scope key and the context with which it was sealed. The context
//! is never read from the record: the reader builds it from what was asked for. The format is
//! frozen and described in `docs/reference/esr1.md`.
//!
//! ```text
//! 0    4  magic "ESR1"          22  32  salt         86+n  16  GCM tag
//! 4    1  suite 0x01            54  32  commitment
//! 5    1  flags, bit 0 padded   86   n  ciphertext
//! 6   16  key id
//! ```

mod context;
mod key;
mod plaintext;
mod seal;

pub use context::{Context, KeyScope, Kind};
pub(crate) use key::expand;
pub use key::{KeyBytesError, KeyId, ScopeKey};
pub use plaintext::Plaintext;
pub use seal::{Padding, RecordError, key_id, open, seal};
