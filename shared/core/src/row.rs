//! Rows: what one scope says about one name.
//!
//! A row that exists decides; only an absent one falls through to the scope above. Version
//! numbers of a name never repeat, not even after `destroy`, so an old record can't come back
//! under a number that is in use.

use std::sync::Arc;

use jiff::Timestamp;

use crate::id::SecretId;
use crate::name::SecretName;
use crate::rules::Rules;
use crate::scope::Scope;

/// Rises with every change of a row; a write names the one it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// What one scope says about one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose row it is.
    pub scope: Scope,
    /// The exact name.
    pub name: SecretName,
    /// For compare-and-set.
    pub revision: Revision,
    /// All but the versions.
    pub head: RowHead,
    /// The current version. `None` once destroyed.
    pub current: Option<Version>,
}

/// The part of a row that a change replaces as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowHead {
    /// Names this secret whatever its versions.
    pub id: SecretId,
    /// Whether the row takes part in resolution.
    pub standing: Standing,
    /// The number of the current version; 0 once destroyed.
    pub current: u64,
    /// The highest version number that was ever given.
    pub latest: u64,
    /// Switched off by hand: resolution answers `Disabled`.
    pub disabled: bool,
    /// At an Environment: no Space overrides this row.
    pub locked: bool,
    /// From here on resolution answers `Expired`.
    pub expires_at: Option<Timestamp>,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub updated_by: String,
}

/// Whether a row takes part in resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// Taken out by `unset`; its versions can be restored.
    Unset,
    /// Taken out by `delete`; restorable until the time given, then destroyed.
    Deleted {
        /// When its versions are destroyed.
        purge_at: Timestamp,
    },
    /// Its versions are gone for good; only the name's last version number remains.
    Destroyed,
}

/// One version of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// From 1, without repeats.
    pub number: u64,
    /// What it says.
    pub body: Body,
    /// The rules of use that are sealed with it.
    pub rules: Rules,
    /// Revoked versions never resolve again.
    pub revoked: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// Who wrote it.
    pub created_by: String,
}

/// What a version says. Each carries an ESR1 record, so none can be forged or moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A sealed value (kind 1).
    Value(Arc<[u8]>),
    /// A sealed reference (kind 1, purpose `external`) to a secret that another service keeps.
    External(Arc<[u8]>),
    /// A sealed tombstone (kind 2): nothing is inherited here.
    Blocked(Arc<[u8]>),
}

impl Body {
    /// The same with another record.
    pub fn resealed(&self, record: Arc<[u8]>) -> Body {
        match self {
            Body::Value(_) => Body::Value(record),
            Body::External(_) => Body::External(record),
            Body::Blocked(_) => Body::Blocked(record),
        }
    }

    /// The record.
    pub fn record(&self) -> &Arc<[u8]> {
        match self {
            Body::Value(record) | Body::External(record) | Body::Blocked(record) => record,
        }
    }
}

/// A row with all the versions that still exist, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The row.
    pub row: Row,
    /// Its versions.
    pub versions: Vec<Version>,
}

/// A compare-and-set change of one row.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose row.
    pub scope: Scope,
    /// Which name.
    pub name: SecretName,
    /// The revision that the writer saw; `None` if it saw no row.
    pub expected: Option<Revision>,
    /// The row's head from now on.
    pub head: RowHead,
    /// What happens to its versions.
    pub versions: VersionChange,
}

/// What a change does to a row's versions.
#[derive(Clone, Debug)]
pub enum VersionChange {
    /// Nothing.
    Keep,
    /// Adds one.
    Add(Version),
    /// Adds several, none of which the row has: for a row that moves in from another store.
    AddAll(Vec<Version>),
    /// Revokes one.
    Revoke(u64),
    /// Destroys all, records included.
    DestroyAll,
}
