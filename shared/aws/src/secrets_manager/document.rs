//! A scope in one piece: its keys, and its rows with all their versions; and how a batch changes it.
//!
//! Pure. What is stored is in `wire.rs`, who may store it in `write.rs`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use undertone_core::keys::WrappedKey;
use undertone_core::{
    Batch, Change, Environment, Epoch, History, Mode, Names, Reseal, Revision, Row, Scope, ScopeRows,
    SecretName, Space, Standing, StoreError, Version, VersionChange, names_a_key_of, random_bytes,
};

/// How many versions of a row are kept: the current one, and the newest others.
pub(super) const VERSIONS_KEPT: usize = 20;

/// How many writes a document remembers.
const WRITES_KEPT: usize = 32;

/// Names one call of [`write`](undertone_core::Store::write), so that it knows its own work again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteId(pub(super) [u8; 8]);

impl WriteId {
    pub(super) fn random() -> Self {
        Self(random_bytes())
    }
}

/// Whether a write is part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    No,
    /// So much was written since that nobody remembers.
    Forgotten,
}

/// All that a scope's secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) scope: Scope,
    /// A Space has its Environment's.
    pub(super) mode: Mode,
    pub(super) created_at: Timestamp,
    /// Rises by one with every write.
    pub(super) epoch: u32,
    /// What made the scope.
    pub(super) made: WriteId,
    /// What wrote it, the newest last.
    pub(super) writes: Vec<WriteId>,
    pub(super) keys: Vec<WrappedKey>,
    pub(super) rows: BTreeMap<SecretName, History>,
}

impl Document {
    /// A new Environment's.
    pub(super) fn of_environment(made: &Environment, write: WriteId) -> Self {
        Self::new(Scope::Environment(made.id.clone()), made.mode, made.created_at, write)
    }

    /// A new Space's.
    pub(super) fn of_space(made: &Space, write: WriteId) -> Self {
        let scope = Scope::Space(made.environment.clone(), made.id.clone());
        Self::new(scope, Mode::Standard, made.created_at, write)
    }

    fn new(scope: Scope, mode: Mode, created_at: Timestamp, made: WriteId) -> Self {
        let (writes, keys, rows) = (vec![made], Vec::new(), BTreeMap::new());
        Self { scope, mode, created_at, epoch: 1, made, writes, keys, rows }
    }

    /// The part that a chain shows.
    pub(super) fn scope_rows(self, names: Names<'_>) -> ScopeRows {
        let asked: Option<BTreeSet<&SecretName>> = match names {
            Names::All => None,
            Names::Only(names) => Some(names.iter().collect()),
        };
        let is_asked = |row: &Row| asked.as_ref().is_none_or(|asked| asked.contains(&row.name));
        let rows = self.rows.into_values().map(|history| history.row).filter(is_asked).collect();
        ScopeRows { scope: self.scope, rows, keys: self.keys }
    }

    /// Another spelling of the name that the scope has.
    pub(super) fn look_alike(&self, name: &SecretName) -> Option<StoreError> {
        let folded = name.folded();
        let kept = self.rows.values().filter(|known| known.row.head.standing != Standing::Destroyed);
        let existing =
            kept.map(|known| &known.row.name).find(|known| *known != name && known.folded() == folded);
        existing.map(|existing| StoreError::LookAlike {
            name: name.clone(),
            existing: existing.clone(),
            scope: self.scope.clone(),
        })
    }

    /// Whether the change gives the scope a name that it doesn't have.
    pub(super) fn lacks(&self, name: &SecretName) -> bool {
        self.rows.get(name).is_none_or(|known| known.row.head.standing == Standing::Destroyed)
    }

    /// The document after a batch, all of which is about this scope.
    pub(super) fn with(
        &self,
        batch: &Batch,
        write: WriteId,
        above: Option<&Document>,
    ) -> Result<Self, StoreError> {
        let mut next = self.clone();
        for (_, key) in &batch.keys {
            if !next.keys.contains(key) {
                next.keys.push(key.clone());
            }
        }
        for change in &batch.changes {
            next.apply(change, above)?;
        }
        for reseal in &batch.reseals {
            next.reseal(reseal)?;
        }
        for (_, key) in &batch.rewrapped {
            next.keys.iter_mut().filter(|known| known.id == key.id).for_each(|known| *known = key.clone());
        }
        for (_, id) in &batch.retired {
            next.keys.retain(|known| known.id != *id);
        }
        next.epoch += 1;
        next.writes.push(write);
        let forgotten = next.writes.len().saturating_sub(WRITES_KEPT);
        next.writes.drain(..forgotten);
        Ok(next)
    }

    /// Whether both say the same, whenever and by whom they were written.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        self.keys == other.keys && self.rows == other.rows
    }

    /// Whether a write, which would have been the one after the epoch `seen`, is part of this.
    pub(super) fn has(&self, write: WriteId, seen: u32) -> Written {
        let remembered = u32::try_from(self.writes.len()).expect("a few writes are remembered");
        match self.writes.contains(&write) {
            true => Written::Yes,
            false if self.epoch.saturating_sub(remembered) <= seen => Written::No,
            false => Written::Forgotten,
        }
    }

    fn apply(&mut self, change: &Change, above: Option<&Document>) -> Result<(), StoreError> {
        let conflict = || StoreError::Conflict { scope: change.scope.clone(), name: change.name.clone() };
        let known = self.rows.get(&change.name);
        if known.map(|known| known.row.revision) != change.expected {
            return Err(conflict());
        }
        if self.lacks(&change.name) {
            let look_alike = above.and_then(|above| above.look_alike(&change.name));
            look_alike.or_else(|| self.look_alike(&change.name)).map_or(Ok(()), Err)?;
        }
        let added = match &change.versions {
            VersionChange::Add(version) => std::slice::from_ref(version),
            VersionChange::AddAll(added) => added,
            VersionChange::Keep | VersionChange::Revoke(_) | VersionChange::DestroyAll => &[],
        };
        if !added.iter().all(|version| names_a_key_of(&self.keys, version.body.record())) {
            return Err(conflict());
        }
        let mut versions = known.map(|known| known.versions.clone()).unwrap_or_default();
        match change.versions {
            VersionChange::Keep | VersionChange::Add(_) | VersionChange::AddAll(_) => {
                versions.extend_from_slice(added);
            }
            VersionChange::Revoke(number) => versions
                .iter_mut()
                .filter(|version| version.number == number)
                .for_each(|version| version.revoked = true),
            VersionChange::DestroyAll => versions.clear(),
        }
        forget_oldest(&mut versions, change.head.current);
        let row = Row {
            scope: change.scope.clone(),
            name: change.name.clone(),
            revision: Revision(change.expected.map_or(0, |revision| revision.0) + 1),
            head: change.head.clone(),
            current: numbered(&versions, change.head.current),
        };
        self.rows.insert(change.name.clone(), History { row, versions });
        Ok(())
    }

    fn reseal(&mut self, reseal: &Reseal) -> Result<(), StoreError> {
        let conflict = || StoreError::Conflict { scope: reseal.scope.clone(), name: reseal.name.clone() };
        let has_keys = reseal.records.iter().all(|(_, record)| names_a_key_of(&self.keys, record));
        let known = self.rows.get_mut(&reseal.name);
        let known = known.filter(|known| has_keys && known.row.revision == reseal.expected);
        let known = known.ok_or_else(conflict)?;
        for (number, record) in &reseal.records {
            let version = known.versions.iter_mut().find(|version| version.number == *number);
            let version = version.ok_or_else(conflict)?;
            version.body = version.body.resealed(record.clone());
        }
        known.row.revision = Revision(reseal.expected.0 + 1);
        known.row.current = numbered(&known.versions, known.row.head.current);
        Ok(())
    }
}

/// The epoch of a chain: both parts can be told from it, so no other pair has the same.
pub(super) fn chain_epoch(environment: &Document, space: Option<&Document>) -> Epoch {
    Epoch(u64::from(environment.epoch) << 32 | space.map_or(0, |space| u64::from(space.epoch)))
}

/// The version of this number.
pub(super) fn numbered(versions: &[Version], number: u64) -> Option<Version> {
    versions.iter().find(|version| version.number == number).cloned()
}

/// Sorts versions, the newest first, and drops what is more than is kept.
fn forget_oldest(versions: &mut Vec<Version>, current: u64) {
    versions.sort_by_key(|version| Reverse(version.number));
    let has_current = versions.iter().any(|version| version.number == current);
    let mut others = VERSIONS_KEPT - usize::from(has_current);
    versions.retain(|version| {
        let is_kept = version.number == current || 0 < others;
        others -= usize::from(is_kept && version.number != current);
        is_kept
    });
}
