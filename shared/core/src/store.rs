//! The ports `ReadStore` and `Store`: rows and sealed records, written by compare-and-set.
//!
//! A store never sees a value and never decides which row wins. Its contract suite is
//! `contract::store`, which every adapter runs. Reading is a port of its own: whoever runs listeners
//! holds nothing that writes a row.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::id::{EnvironmentId, SpaceId, StoreId};
use crate::keys::WrappedKey;
use crate::name::SecretName;
use crate::record::{KeyId, key_id};
use crate::row::{Change, History, Revision, Row};
use crate::rules::Mode;
use crate::scope::{Chain, Scope};

/// Rises with every change that any process makes to a chain; equal epochs mean equal rows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// Which names of a scope to read.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// All of them.
    All,
    /// These.
    Only(&'a [SecretName]),
}

/// One scope's part of a chain.
#[derive(Clone, Debug)]
pub struct ScopeRows {
    /// Which scope.
    pub scope: Scope,
    /// Its rows among the names asked for.
    pub rows: Vec<Row>,
    /// All its wrapped keys.
    pub keys: Vec<WrappedKey>,
}

/// A chain's rows, read at one moment.
#[derive(Clone, Debug)]
pub struct ChainRows {
    /// The moment.
    pub epoch: Epoch,
    /// What kind of Environment it is.
    pub mode: Mode,
    /// From the Environment down.
    pub scopes: Vec<ScopeRows>,
}

/// An Environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its id, for ever.
    pub id: EnvironmentId,
    /// Whether development rules apply.
    pub mode: Mode,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A Space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The Environment that it is in.
    pub environment: EnvironmentId,
    /// Its id, for ever.
    pub id: SpaceId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New Spaces, made before anything else in the batch.
    pub spaces: Vec<Space>,
    /// New scope keys, each with its scope. The same key twice is the same key.
    pub keys: Vec<(Scope, WrappedKey)>,
    /// Changes of rows.
    pub changes: Vec<Change>,
    /// Records sealed anew, their values as before.
    pub reseals: Vec<Reseal>,
    /// Keys wrapped anew: same scope, id and generation, other bytes.
    pub rewrapped: Vec<(Scope, WrappedKey)>,
    /// Keys that are destroyed. Whoever names one has made sure that no record needs it.
    pub retired: Vec<(Scope, KeyId)>,
    /// If given, the chain has still this epoch, or nothing is done.
    pub seen: Option<(Chain, Epoch)>,
}

/// One version's record, sealed anew under another key of its scope. Says what it said before.
#[derive(Clone, Debug)]
pub struct Reseal {
    /// Whose row.
    pub scope: Scope,
    /// Which name.
    pub name: SecretName,
    /// The revision of the row that the writer saw. It rises like with every change.
    pub expected: Revision,
    /// The versions with their new records.
    pub records: Vec<(u64, Arc<[u8]>)>,
}

/// How much a store takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many changes fit in one [`Batch`].
    pub changes: usize,
    /// Over how many scopes one [`Batch`] may reach.
    pub scopes: usize,
    /// How many bytes all rows of one scope may have, versions included, if the store has such a limit.
    pub scope_bytes: Option<usize>,
}

/// Why a store didn't do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Trying again may help.
    #[error("the store can't be used now: {0}")]
    Unavailable(String),
    /// The store answered, and the answer is no. Trying again doesn't help.
    #[error("the store refused: {0}")]
    Denied(String),
    /// More than the store takes, now or ever.
    #[error("{scope} doesn't fit in this store: {problem}")]
    Full {
        /// Whose rows.
        scope: Scope,
        /// Which limit was met, and the way out.
        problem: String,
    },
    /// The stored data can't be right.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Somebody else changed the row first.
    #[error(
        "`{name}` in {scope} was changed by somebody else: look at it with `undertone secrets history {name}` and try again"
    )]
    Conflict {
        /// Whose row.
        scope: Scope,
        /// Which name.
        name: SecretName,
    },
    /// Somebody else changed something in the chain first.
    #[error("{0} was changed by somebody else meanwhile: try again")]
    Changed(Scope),
    /// Another spelling of the name exists in the chain.
    #[error("`{name}` looks like `{existing}`, which exists in {scope}: use that spelling")]
    LookAlike {
        /// The name that was to be written.
        name: SecretName,
        /// The one that exists.
        existing: SecretName,
        /// Where it exists.
        scope: Scope,
    },
    /// No such Environment.
    #[error("there is no Environment `{0}`: make it with `undertone env create {0}`")]
    UnknownEnvironment(EnvironmentId),
    /// No such Space.
    #[error(
        "there is no Space `{1}` in the Environment `{0}`: make it with `undertone space create {1} --env {0}`"
    )]
    UnknownSpace(EnvironmentId, SpaceId),
    /// The Environment or Space exists already.
    #[error("{0} exists already")]
    Exists(Scope),
}

/// Whether the version's record can be opened with one of its scope's keys. A record of another
/// format names none and is the reader's to refuse.
pub fn names_a_key_of(keys: &[WrappedKey], record: &[u8]) -> bool {
    let id = key_id(record).filter(|_| record.starts_with(b"ESR1"));
    id.is_none_or(|id| keys.iter().any(|key| key.id == id))
}

/// Where rows and sealed records are read from: what a listener needs of a store.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// The id to which every record is bound.
    fn id(&self) -> StoreId;

    /// The epoch of a chain. Cheap: called about once per event.
    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError>;

    /// The rows and keys of every scope of the chain, read at one moment, in one call.
    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError>;

    /// One row with all its versions.
    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError>;
}

/// Where rows and sealed records are kept.
#[async_trait]
pub trait Store: ReadStore {
    /// How much fits in one [`Batch`] and in one scope.
    fn limits(&self) -> Limits;

    /// Applies a batch: all of it, durable when this returns, or nothing.
    ///
    /// A record that names a key which its scope doesn't have, or no longer has, is a conflict: its
    /// writer reads again, and seals under a key that is there. [`names_a_key_of`] is that check.
    async fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Makes an Environment.
    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError>;

    /// Makes a Space.
    async fn create_space(&self, space: Space) -> Result<(), StoreError>;

    /// The Environments by id.
    async fn environments(&self) -> Result<Vec<Environment>, StoreError>;

    /// At most `limit` Spaces of an Environment by id, after the one given.
    async fn spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError>;
}
