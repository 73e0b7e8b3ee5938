//! The published vectors, parsed once: texts become types and mutations become the bytes they stand for.

use serde::Deserialize;
use undertone_core::record::{Context, KeyScope, Kind};
use undertone_core::{EnvironmentId, Scope, ScopeKey, SpaceId, StoreId};

/// All that is published about records.
#[derive(Deserialize)]
pub struct File {
    pub positives: Vec<Positive>,
    pub too_large: Vec<TooLarge>,
    pub negatives: Vec<Negative>,
    pub unwrap_answers: Vec<UnwrapAnswer>,
}

#[derive(Deserialize)]
pub struct Positive {
    pub id: String,
    pub key: Hex,
    pub request: Request,
    pub plaintext: Hex,
    pub padded: bool,
    pub key_id: Hex,
    pub record: Hex,
}

#[derive(Deserialize)]
pub struct TooLarge {
    pub plaintext_len: usize,
    pub error: String,
}

#[derive(Deserialize)]
pub struct Negative {
    pub id: String,
    pub why: String,
    pub key: Hex,
    pub request: Option<Request>,
    pub ctx: Option<Hex>,
    pub record: Option<Hex>,
    pub mutation: Option<Mutation>,
    pub error: String,
}

#[derive(Deserialize)]
pub struct UnwrapAnswer {
    pub id: String,
    pub scope: AskedScope,
    pub key_id: Hex,
    pub answer: Hex,
    pub error: Option<String>,
}

/// What is asked for; the policy as its bytes.
#[derive(Deserialize)]
pub struct Request {
    #[serde(flatten)]
    pub scope: AskedScope,
    pub name: String,
    pub version: u64,
    pub kind: u8,
    pub purpose: String,
    pub policy: Hex,
}

#[derive(Deserialize)]
pub struct AskedScope {
    store: Hex,
    environment: String,
    space: Option<String>,
}

/// How a record differs from the one that it is `of`.
#[derive(Deserialize)]
pub struct Mutation {
    pub of: String,
    #[serde(flatten)]
    pub op: Op,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// One bit is wrong, each of these.
    Flip { from: usize, to: usize },
    /// Cut to each of these lengths.
    Truncate { from: usize, to: usize },
    /// So many bytes more, each of these counts.
    Append { from: usize, to: usize, byte: Hex },
    /// Other bytes at a place.
    Set { offset: usize, bytes: Hex },
    /// As it is.
    Keep,
}

/// Bytes, written as hexadecimal digits.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let digits = str::from_utf8(pair).ok().filter(|digits| digits.len() == 2)?;
            u8::from_str_radix(digits, 16).ok()
        });
        pairs.collect::<Option<_>>().map(Self).ok_or("not hexadecimal digits")
    }
}

impl File {
    /// The file as it is published.
    pub fn read() -> Self {
        serde_json::from_str(include_str!("esr1.json")).expect("the vectors are JSON of this shape")
    }

    /// Every (step, record) of a negative vector: one for a given record, many for a sweep.
    pub fn records(&self, negative: &Negative) -> Vec<(usize, Vec<u8>)> {
        match (&negative.record, &negative.mutation) {
            (Some(record), None) => vec![(0, record.0.clone())],
            (None, Some(mutation)) => {
                let of = self.positives.iter().find(|positive| positive.id == mutation.of);
                mutation.op.apply(&of.expect("a mutation is of a positive vector").record.0)
            }
            _ => panic!("{}: either a record or a mutation", negative.id),
        }
    }
}

impl Op {
    fn apply(&self, record: &[u8]) -> Vec<(usize, Vec<u8>)> {
        match self {
            Op::Keep => vec![(0, record.to_vec())],
            Op::Set { offset, bytes } => {
                let mut set = record.to_vec();
                set[*offset..offset + bytes.0.len()].copy_from_slice(&bytes.0);
                vec![(0, set)]
            }
            Op::Flip { from, to } => (*from..*to)
                .map(|bit| {
                    let mut flipped = record.to_vec();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    (bit, flipped)
                })
                .collect(),
            Op::Truncate { from, to } => {
                (*from..*to).map(|length| (length, record[..length].to_vec())).collect()
            }
            Op::Append { from, to, byte } => {
                (*from..*to).map(|count| (count, [record, &byte.0.repeat(count)].concat())).collect()
            }
        }
    }
}

impl AskedScope {
    /// The scope, if our types can say it.
    pub fn typed(&self) -> Option<KeyScope> {
        let store = StoreId(self.store.0.as_slice().try_into().ok()?);
        if self.environment == "-store-" {
            return self.space.is_none().then(|| KeyScope::store(store));
        }
        let environment: EnvironmentId = self.environment.parse().ok()?;
        let scope = match &self.space {
            None => Scope::Environment(environment),
            Some(space) => Scope::Space(environment, space.parse::<SpaceId>().ok()?),
        };
        Some(KeyScope::of(store, &scope))
    }
}

impl Request {
    /// The kind, if this version of the product has it.
    pub fn typed_kind(&self) -> Option<Kind> {
        [Kind::Value, Kind::Tombstone, Kind::ScopeKey].into_iter().find(|kind| *kind as u8 == self.kind)
    }

    /// Calls with the context and the key that belongs to its scope.
    pub fn with<T>(&self, kind: Kind, key: &Hex, call: impl FnOnce(&ScopeKey, &Context<'_>) -> T) -> T {
        let scope = self.scope.typed().expect("the vectors' scopes are scopes");
        let key = ScopeKey::from_bytes(&key.0, &scope).expect("the vectors' keys are keys");
        let context = Context {
            scope: &scope,
            name: &self.name,
            version: self.version,
            kind,
            purpose: &self.purpose,
            policy: sha256(&self.policy.0),
        };
        call(&key, &context)
    }
}

/// The digest that a record is bound to, of policy bytes that needn't be rules of ours.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}
