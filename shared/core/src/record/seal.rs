//! Sealing and opening one record.
//!
//! ```text
//! PRK = HKDF-Extract(salt, K_scope)
//! rk  = HKDF-Expand(PRK, "ESR1/enc\0" ‖ hdr22 ‖ D, 32)
//! com = HKDF-Expand(PRK, "ESR1/com\0" ‖ hdr22 ‖ D, 32)
//! ct  = AES-256-GCM(rk, nonce = 12 zero bytes, aad = first 86 bytes ‖ D)
//! ```
//! Every record key is used once, since its salt is fresh, so the nonce is constant.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA512, Salt};
use zeroize::Zeroizing;

use super::context::Context;
use super::key::{ScopeKey, expand};
use super::plaintext::Plaintext;
use crate::id::random_bytes;
use crate::value::LARGEST_VALUE;

const MAGIC: &[u8; 4] = b"ESR1";
const SUITE: u8 = 0x01;
const PADDED: u8 = 0x01;
const HEADER: usize = 86;
const TAG: usize = 16;
const BLOCK: usize = 64;

/// Whether the value's length is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As long as the value.
    None,
    /// Length-prefixed and filled with zeros up to a multiple of 64 bytes.
    Blocks,
}

/// Why a record doesn't open. For the audit trail; a caller outside learns only that it doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than an empty record, or longer than the largest.
    #[error("wrong length")]
    Length,
    /// Not an ESR1 record.
    #[error("unsupported format")]
    Format,
    /// Another suite than 0x01.
    #[error("unsupported suite")]
    Suite,
    /// A reserved flag is set.
    #[error("unsupported flags")]
    Flags,
    /// Sealed under another key.
    #[error("sealed under another key")]
    Key,
    /// The record doesn't belong to what was asked for, or was edited.
    #[error("commitment mismatch")]
    Commitment,
    /// The ciphertext or its tag was edited.
    #[error("ciphertext edited")]
    Ciphertext,
    /// Length prefix or zero fill is wrong.
    #[error("wrong padding")]
    Padding,
}

/// Seals a value under a scope key for exactly this context.
///
/// # Panics
/// If the value is larger than 65,536 bytes: `SecretValue` can't be.
pub fn seal(key: &ScopeKey, context: &Context<'_>, value: &[u8], padding: Padding) -> Vec<u8> {
    seal_with_salt(key, context, value, padding, random_bytes())
}

fn seal_with_salt(
    key: &ScopeKey,
    context: &Context<'_>,
    value: &[u8],
    padding: Padding,
    salt: [u8; 32],
) -> Vec<u8> {
    assert!(value.len() <= LARGEST_VALUE, "values are at most 64 KiB");
    let length = match padding {
        Padding::None => value.len(),
        Padding::Blocks => (4 + value.len()).next_multiple_of(BLOCK),
    };
    let mut record = Vec::with_capacity(HEADER + length + TAG);
    record.extend_from_slice(MAGIC);
    record.push(SUITE);
    record.push(match padding {
        Padding::None => 0,
        Padding::Blocks => PADDED,
    });
    record.extend_from_slice(&key.id().0);
    record.extend_from_slice(&salt);
    let context_digest = context.digest();
    let derived = Derived::new(key, &record[..22], &salt, &context_digest);
    record.extend_from_slice(&derived.commitment);
    if padding == Padding::Blocks {
        let prefix = u32::try_from(value.len()).expect("64 KiB fits");
        record.extend_from_slice(&prefix.to_be_bytes());
    }
    record.extend_from_slice(value);
    record.resize(HEADER + length, 0);
    let (header, body) = record.split_at_mut(HEADER);
    let aad = associated_data(header, &context_digest);
    let tag = derived
        .cipher
        .seal_in_place_separate_tag(nonce(), Aad::from(aad), body)
        .expect("AES-GCM seals 64 KiB");
    record.extend_from_slice(tag.as_ref());
    record
}

/// Opens a record that must have been sealed under this key for this context.
///
/// Checks in this order: length, magic, suite, flags, key id, commitment (in constant time), tag,
/// padding. Nothing is decrypted before the commitment holds.
///
/// # Errors
/// The first check that fails; buffers are wiped.
pub fn open(key: &ScopeKey, context: &Context<'_>, record: &[u8]) -> Result<Plaintext, RecordError> {
    let largest = HEADER + (4 + LARGEST_VALUE).next_multiple_of(BLOCK) + TAG;
    if !(HEADER + TAG..=largest).contains(&record.len()) {
        return Err(RecordError::Length);
    }
    let (header, rest) = record.split_at(HEADER);
    if &header[..4] != MAGIC {
        return Err(RecordError::Format);
    }
    if header[4] != SUITE {
        return Err(RecordError::Suite);
    }
    if header[5] & !PADDED != 0 {
        return Err(RecordError::Flags);
    }
    if header[6..22] != key.id().0 {
        return Err(RecordError::Key);
    }
    let context_digest = context.digest();
    let derived = Derived::new(key, &header[..22], &header[22..54], &context_digest);
    verify_slices_are_equal(&derived.commitment, &header[54..]).map_err(|_| RecordError::Commitment)?;
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG);
    let mut plain = Plaintext(vec![0; ciphertext.len()]);
    let aad = associated_data(header, &context_digest);
    derived
        .cipher
        .open_separate_gather(nonce(), Aad::from(aad), ciphertext, tag, &mut plain.0)
        .map_err(|_| RecordError::Ciphertext)?;
    if header[5] & PADDED != 0 {
        unpad(&mut plain.0)?;
    }
    Ok(plain)
}

/// The id of the key under which a record says it was sealed. Opening checks it.
pub fn key_id(record: &[u8]) -> Option<super::key::KeyId> {
    let id = record.get(6..22)?.try_into().ok()?;
    Some(super::key::KeyId(id))
}

struct Derived {
    cipher: LessSafeKey,
    commitment: [u8; 32],
}

impl Derived {
    fn new(key: &ScopeKey, hdr22: &[u8], salt: &[u8], context_digest: &[u8; 64]) -> Self {
        let prk = Salt::new(HKDF_SHA512, salt).extract(key.expose());
        let mut record_key = Zeroizing::new([0; 32]);
        expand(&prk, &[b"ESR1/enc\0", hdr22, context_digest], record_key.as_mut());
        let mut commitment = [0; 32];
        expand(&prk, &[b"ESR1/com\0", hdr22, context_digest], &mut commitment);
        let cipher = UnboundKey::new(&AES_256_GCM, record_key.as_slice())
            .map(LessSafeKey::new)
            .expect("AES-256 takes 32 bytes");
        Self { cipher, commitment }
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn associated_data(header: &[u8], context_digest: &[u8; 64]) -> [u8; HEADER + 64] {
    let mut aad = [0; HEADER + 64];
    aad[..HEADER].copy_from_slice(header);
    aad[HEADER..].copy_from_slice(context_digest);
    aad
}

/// Removes length prefix and zero fill, in place, so that no second copy of the value exists.
fn unpad(plain: &mut Vec<u8>) -> Result<(), RecordError> {
    let prefix = plain.first_chunk::<4>().ok_or(RecordError::Padding)?;
    let length = usize::try_from(u32::from_be_bytes(*prefix)).map_err(|_| RecordError::Padding)?;
    let filled = length.checked_add(4).ok_or(RecordError::Padding)?.next_multiple_of(BLOCK);
    if LARGEST_VALUE < length || filled != plain.len() {
        return Err(RecordError::Padding);
    }
    if plain[4 + length..].iter().any(|byte| *byte != 0) {
        return Err(RecordError::Padding);
    }
    plain.copy_within(4..4 + length, 0);
    // The bytes behind the value are a remainder of it: wiped now, not at the next reuse.
    plain[length..].fill(0);
    plain.truncate(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};
    use serde_json::Value;

    use super::super::context::{KeyScope, Kind};
    use super::*;
    use crate::id::StoreId;
    use crate::scope::Scope;

    const VECTORS: &str = include_str!("../../../../tests/vectors/esr1.json");

    #[test]
    fn every_positive_seals_to_its_record() {
        let mut sealed = 0;
        for row in rows("positives") {
            let Some(asked) = Asked::of(&row["request"]) else {
                assert_eq!(row["id"], "P14-delegated-token", "only a reserved kind can't be asked for");
                continue;
            };
            assert_eq!(hash(&SHA512, &bytes(&row["ctx"])), asked.context().digest(), "{}", row["id"]);
            assert_eq!(asked.seal(&row, &bytes(&row["plaintext"])), bytes(&row["record"]), "{}", row["id"]);
            sealed += 1;
        }
        assert_eq!(sealed, 19);
    }

    #[test]
    fn the_largest_values_seal_to_their_digests_and_open_again() {
        let large = rows("large");
        assert_eq!(large.len(), 2);
        for row in large {
            let length = row["plaintext_len"].as_u64().expect("a number");
            let plaintext: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let asked = Asked::of(&row["request"]).expect("a value");
            let record = asked.seal(&row, &plaintext);
            assert_eq!(record.len() as u64, row["record_len"], "{}", row["id"]);
            assert_eq!(hash(&SHA256, &record), bytes(&row["record_sha256"]), "{}", row["id"]);
            assert_eq!(*open(&asked.key(&row), &asked.context(), &record).unwrap(), plaintext);
        }
    }

    #[test]
    #[should_panic(expected = "values are at most 64 KiB")]
    fn a_value_over_the_limit_is_not_sealed() {
        let row = &rows("positives")[0];
        Asked::of(&row["request"]).expect("a value").seal(row, &[0; LARGEST_VALUE + 1]);
    }

    /// No context can be given as bytes, so the nearest thing is asked for: what a lenient reader
    /// of the malformed bytes would take them to mean.
    #[test]
    fn no_request_has_a_malformed_context() {
        let whole = bytes(&rows("positives")[1]["ctx"]);
        let cuts = (0..whole.len()).map(|length| (format!("cut to {length}"), whole[..length].to_vec()));
        let published = rows("contexts").into_iter().map(|row| (row["id"].to_string(), bytes(&row["ctx"])));
        let malformed: Vec<(String, Vec<u8>)> = published.chain(cuts).collect();
        assert_eq!(malformed.len(), 57 + whole.len());
        let mut understood = 0;
        for (id, ctx) in malformed {
            let Some(asked) = Asked::read(&ctx) else { continue };
            let same = hash(&SHA512, &ctx) == asked.context().digest();
            // A purpose is a constant of this program, so its type lets more through than the format.
            assert_eq!(same, id == "\"ctx-purpose-not-ascii\"", "{id}");
            understood += 1;
        }
        assert!(20 < understood, "the reader is lenient enough to mean something: {understood}");
        for row in rows("positives").iter().filter(|row| Asked::of(&row["request"]).is_some()) {
            let ctx = bytes(&row["ctx"]);
            let asked = Asked::read(&ctx).expect("a well-formed context is a request");
            assert_eq!(asked.context().digest(), hash(&SHA512, &ctx)[..], "{}", row["id"]);
        }
    }

    /// What a vector asks for, typed.
    struct Asked {
        scope: KeyScope,
        name: String,
        version: u64,
        kind: Kind,
        purpose: String,
        policy: [u8; 32],
    }

    impl Asked {
        /// A vector's request, if it is one that can be made.
        fn of(request: &Value) -> Option<Self> {
            let text = |field: &str| request[field].as_str().expect("a text").to_owned();
            Some(Self {
                scope: scope(&bytes(&request["store"]), &text("environment"), request["space"].as_str())?,
                name: text("name"),
                version: request["version"].as_u64()?,
                kind: kind(request["kind"].as_u64()?)?,
                purpose: text("purpose"),
                policy: hash(&SHA256, &bytes(&request["policy"])).try_into().ok()?,
            })
        }

        /// What the fields of an encoded context mean, in whatever order, number and length they come.
        fn read(ctx: &[u8]) -> Option<Self> {
            let mut fields: [Option<&[u8]>; 10] = [None; 10];
            let mut rest = ctx.get(8..)?;
            while let Some((tag, after)) = rest.split_first() {
                let Some((length, after)) = after.split_first_chunk::<4>() else { break };
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?.min(after.len());
                let (value, after) = after.split_at(length);
                if let Some(field) = fields.get_mut(usize::from(*tag)) {
                    field.get_or_insert(value);
                }
                rest = after;
            }
            let text = |tag: usize| fields[tag].and_then(|value| str::from_utf8(value).ok());
            let number =
                |tag: usize| Some(fields[tag]?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
            Some(Self {
                scope: scope(fields[1]?, text(2)?, text(4))?,
                name: text(5)?.to_owned(),
                version: number(6)?,
                kind: kind(number(7)?)?,
                purpose: text(8)?.to_owned(),
                policy: fields[9]?.try_into().ok()?,
            })
        }

        fn context(&self) -> Context<'_> {
            Context {
                scope: &self.scope,
                name: &self.name,
                version: self.version,
                kind: self.kind,
                purpose: &self.purpose,
                policy: self.policy,
            }
        }

        fn key(&self, row: &Value) -> ScopeKey {
            let key = ScopeKey::from_bytes(&bytes(&row["key"]), &self.scope).expect("a key");
            assert_eq!(key.id().0.as_slice(), bytes(&row["key_id"]), "{}", row["id"]);
            key
        }

        fn seal(&self, row: &Value, plaintext: &[u8]) -> Vec<u8> {
            let padding = match row["padded"].as_bool().expect("true or false") {
                true => Padding::Blocks,
                false => Padding::None,
            };
            let salt = bytes(&row["salt"]).try_into().expect("a salt has 32 bytes");
            seal_with_salt(&self.key(row), &self.context(), plaintext, padding, salt)
        }
    }

    fn scope(store: &[u8], environment: &str, space: Option<&str>) -> Option<KeyScope> {
        let environment = environment.parse().ok()?;
        let scope = match space {
            None => Scope::Environment(environment),
            Some(space) => Scope::Space(environment, space.parse().ok()?),
        };
        Some(KeyScope::of(StoreId(store.try_into().ok()?), &scope))
    }

    fn kind(number: u64) -> Option<Kind> {
        let kinds = [Kind::Value, Kind::Tombstone, Kind::ScopeKey];
        kinds.into_iter().find(|kind| *kind as u64 == number)
    }

    fn rows(section: &str) -> Vec<Value> {
        let mut file: Value = serde_json::from_str(VECTORS).expect("the vectors are JSON");
        match file[section].take() {
            Value::Array(rows) => rows,
            _ => panic!("no section {section}"),
        }
    }

    fn bytes(hex: &Value) -> Vec<u8> {
        let digits = hex.as_str().expect("bytes are written as text").as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn hash(algorithm: &'static Algorithm, bytes: &[u8]) -> Vec<u8> {
        digest(algorithm, bytes).as_ref().to_vec()
    }
}
