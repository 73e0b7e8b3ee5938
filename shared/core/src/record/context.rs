//! The context of a record: where it belongs, byte for byte.
//!
//! `"ESR1ctx\0"` and then fields `tag(1) ‖ length(u32) ‖ bytes`, tags strictly ascending, each
//! exactly once. "No space" and a space with an empty id are different encodings, and the second
//! can't be expressed.

use aws_lc_rs::digest::{SHA512, digest};

use crate::id::StoreId;
use crate::scope::Scope;

const PREFIX: &[u8; 8] = b"ESR1ctx\0";
/// The reserved environment id under which the store key lives; no real id starts with a hyphen.
const STORE_SCOPE: &str = "-store-";

/// Whose key it is: the part of a context that is the same for every record of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyScope {
    store: StoreId,
    environment: String,
    space: Option<String>,
}

impl KeyScope {
    /// The scope of an Environment's or a Space's keys.
    pub fn of(store: StoreId, scope: &Scope) -> Self {
        Self {
            store,
            environment: scope.environment().to_string(),
            space: scope.space().map(ToString::to_string),
        }
    }

    /// The reserved scope of the store key.
    pub fn store(store: StoreId) -> Self {
        Self { store, environment: STORE_SCOPE.to_owned(), space: None }
    }

    /// The store to which the keys are bound.
    pub fn store_id(&self) -> StoreId {
        self.store
    }

    /// The Environment's id, or `-store-` for the store key.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The Space's id, if the keys are a Space's.
    pub fn space(&self) -> Option<&str> {
        self.space.as_deref()
    }

    pub(super) fn digest(&self) -> [u8; 64] {
        sha512(&self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(PREFIX);
        field(&mut out, 1, &self.store.0);
        field(&mut out, 2, self.environment.as_bytes());
        match &self.space {
            None => field(&mut out, 3, b""),
            Some(space) => field(&mut out, 4, space.as_bytes()),
        }
        out
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A secret's value.
    Value = 1,
    /// A row that blocks what it would inherit.
    Tombstone = 2,
    /// A scope key, wrapped.
    ScopeKey = 3,
}

/// Everything that a record is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whose record it is.
    pub scope: &'a KeyScope,
    /// The exact name; empty for keys.
    pub name: &'a str,
    /// The version, or a key's generation.
    pub version: u64,
    /// What it is.
    pub kind: Kind,
    /// What it is for: `secret`, `scope-key`.
    pub purpose: &'a str,
    /// SHA-256 of the canonical rules of use.
    pub policy: [u8; 32],
}

impl Context<'_> {
    pub(super) fn digest(&self) -> [u8; 64] {
        let mut out = self.scope.encode();
        field(&mut out, 5, self.name.as_bytes());
        field(&mut out, 6, &self.version.to_be_bytes());
        field(&mut out, 7, &[self.kind as u8]);
        field(&mut out, 8, self.purpose.as_bytes());
        field(&mut out, 9, &self.policy);
        sha512(&out)
    }
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("names and ids are short");
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn sha512(bytes: &[u8]) -> [u8; 64] {
    digest(&SHA512, bytes).as_ref().try_into().expect("SHA-512 has 64 bytes")
}
