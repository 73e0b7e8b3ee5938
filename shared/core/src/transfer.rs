//! Moving what one store holds into another, scope by scope, so that it can be stopped and goes on.
//!
//! Values are opened under the old store's keys and sealed under the new one's, since a record is
//! bound to its store. Names, versions, their numbers and states stay. A row that the new store
//! has already is left alone if it is the same row, completed if it is an earlier state of it, and
//! an error if it is another: nothing is ever overwritten by accident.

use std::sync::Arc;

use crate::audit::{Action, Actor, AuditEntry, AuditError, AuditLog, Outcome};
use crate::clock::Clock;
use crate::id::SpaceId;
use crate::keys::{KeyError, Opener, Sealer, WrappedKey};
use crate::name::SecretName;
use crate::record::{Context, KeyScope, Kind, Padding, ScopeKey, key_id, open, seal};
use crate::resolve::external::EXTERNAL_PURPOSE;
use crate::resolve::{KeyCache, PURPOSE};
use crate::row::{Body, Change, History, Revision, Row, Standing, Version, VersionChange};
use crate::scope::Scope;
use crate::store::{Batch, Epoch, Names, ScopeRows, Store, StoreError};
use crate::vault::seal::WriterKeys;

/// How many Spaces are asked for at a time.
const PAGE: usize = 500;
/// How many versions go into one write: with their records they fit into every store's largest one.
const VERSIONS: usize = 8;

/// The store that is read.
pub struct Source {
    /// Its rows.
    pub store: Arc<dyn Store>,
    /// Opens its values.
    pub opener: Arc<dyn Opener>,
    /// Where it is written down that they were.
    pub audit: Arc<dyn AuditLog>,
}

/// The store that is written.
pub struct Target {
    /// Its rows.
    pub store: Arc<dyn Store>,
    /// Makes keys for scopes that have none.
    pub sealer: Arc<dyn Sealer>,
    /// Unwraps those of scopes that have some, so that going on makes no new ones.
    pub opener: Arc<dyn Opener>,
    /// Where it is written down what came.
    pub audit: Arc<dyn AuditLog>,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Environments and Spaces that are done.
    pub scopes: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Versions that were written.
    pub versions: u64,
    /// Rows that were there already.
    pub already: u64,
}

/// Why it stopped. What was written stays; the next run goes on from there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The store that is read failed.
    #[error("the store to copy from: {0}")]
    From(#[source] StoreError),
    /// The store that is written failed.
    #[error("the store to copy to: {0}")]
    To(#[source] StoreError),
    /// Both are the same store.
    #[error("both are the same store: name another one to copy to")]
    SameStore,
    /// A key service failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A row of audit can't be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A record doesn't open.
    #[error(
        "version {version} of `{name}` in {scope} can't be read: run `undertone doctor`, or destroy it first"
    )]
    Unreadable {
        /// Whose row.
        scope: Scope,
        /// Which name.
        name: SecretName,
        /// Which version.
        version: u64,
    },
    /// The new store has another row under the same name.
    #[error("{scope} of the store to copy to has another `{name}`: destroy one of the two first")]
    Differs {
        /// Whose row.
        scope: Scope,
        /// Which name.
        name: SecretName,
    },
}

/// One move, under way.
pub struct Transfer {
    from: Source,
    to: Target,
    source_keys: KeyCache,
    target_keys: WriterKeys,
    clock: Arc<dyn Clock>,
    actor: Actor,
    progress: Progress,
}

impl Transfer {
    /// A move from one store into another.
    ///
    /// # Errors
    /// If they are the same.
    pub fn new(from: Source, to: Target, clock: Arc<dyn Clock>, actor: Actor) -> Result<Self, TransferError> {
        if from.store.id() == to.store.id() {
            return Err(TransferError::SameStore);
        }
        let source_keys = KeyCache::new(from.opener.clone(), clock.clone());
        let target_keys = WriterKeys::new(to.sealer.clone(), Some(to.opener.clone()), clock.clone());
        Ok(Self { from, to, source_keys, target_keys, clock, actor, progress: Progress::default() })
    }

    /// Copies everything. `done` hears what was done after every scope.
    ///
    /// # Errors
    /// See [`TransferError`]. Run it again to go on.
    pub async fn run(&mut self, mut done: impl FnMut(Progress)) -> Result<Progress, TransferError> {
        for environment in self.from.store.environments().await.map_err(TransferError::From)? {
            let id = environment.id.clone();
            unless_exists(self.to.store.create_environment(environment).await)?;
            self.scope(Scope::Environment(id.clone())).await?;
            done(self.progress);
            let mut after: Option<SpaceId> = None;
            loop {
                let page = self.from.store.spaces(&id, after.as_ref(), PAGE).await;
                let page = page.map_err(TransferError::From)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                for space in page {
                    let scope = Scope::Space(id.clone(), space.id.clone());
                    unless_exists(self.to.store.create_space(space).await)?;
                    self.scope(scope).await?;
                    done(self.progress);
                }
            }
        }
        Ok(self.progress)
    }

    async fn scope(&mut self, scope: Scope) -> Result<(), TransferError> {
        let source = own(&*self.from.store, &scope).await.map_err(TransferError::From)?;
        let target = own(&*self.to.store, &scope).await.map_err(TransferError::To)?;
        let mut missing = Vec::new();
        for row in &source.rows {
            match target.rows.iter().find(|other| other.name == row.name) {
                Some(other) if is_same(row, other) => self.progress.already += 1,
                Some(other) if other.head.id != row.head.id => {
                    return Err(TransferError::Differs { scope, name: row.name.clone() });
                }
                Some(_) | None => missing.push(row),
            }
        }
        if !missing.is_empty() {
            self.note(&scope, missing.len()).await?;
        }
        // What blocks or locks comes first: nobody should read the new store yet, and somebody may.
        missing.sort_by_key(|row| {
            let blocks = row.current.as_ref().is_some_and(|version| matches!(version.body, Body::Blocked(_)));
            !(blocks || row.head.locked)
        });
        for row in missing {
            self.row(&scope, row, &source.keys).await?;
            self.progress.rows += 1;
        }
        self.progress.scopes += 1;
        Ok(())
    }

    /// One row: its versions a few at a time, and with the last of them its head.
    async fn row(&mut self, scope: &Scope, row: &Row, keys: &[WrappedKey]) -> Result<(), TransferError> {
        let name = &row.name;
        let history = self.from.store.history(scope, name).await.map_err(TransferError::From)?;
        // It may have been destroyed for good since the scope was read.
        let Some(history) = history else { return Ok(()) };
        let known = self.to.store.history(scope, name).await.map_err(TransferError::To)?;
        let known_versions = known.as_ref().map_or(&[][..], |known| &known.versions);
        let mut there: Vec<u64> = known_versions.iter().map(|version| version.number).collect();
        let mut expected = known.as_ref().map(|known| known.row.revision);
        let mut left: Vec<&Version> =
            history.versions.iter().filter(|version| !there.contains(&version.number)).collect();
        // What resolves comes first: a row that is there without its value would be a hole.
        left.sort_by_key(|version| (version.number != history.row.head.current, version.number));
        for version in known_versions.iter().filter(|version| !version.revoked) {
            let same = history.versions.iter().find(|same| same.number == version.number);
            if same.is_some_and(|same| same.revoked) {
                let revoke = VersionChange::Revoke(version.number);
                expected = Some(self.write(scope, &history, expected, &there, revoke, None).await?);
            }
        }
        if left.is_empty() {
            let gone = history.row.head.standing == Standing::Destroyed && !there.is_empty();
            let versions = if gone { VersionChange::DestroyAll } else { VersionChange::Keep };
            return self.write(scope, &history, expected, &there, versions, None).await.map(drop);
        }
        for part in left.chunks(VERSIONS) {
            let stored = own(&*self.to.store, scope).await.map_err(TransferError::To)?.keys;
            let key_scope = KeyScope::of(self.to.store.id(), scope);
            let writer = self.target_keys.for_sealing(&key_scope, &stored).await?;
            let mut sealed = Vec::new();
            for version in part {
                let record = self.resealed(scope, name, version, keys, &writer.key).await?;
                there.push(version.number);
                sealed.push(Version { body: version.body.resealed(record), ..(*version).clone() });
            }
            self.progress.versions += sealed.len() as u64;
            let add = VersionChange::AddAll(sealed);
            expected = Some(self.write(scope, &history, expected, &there, add, writer.new).await?);
        }
        Ok(())
    }

    /// Writes some versions with a head that points to what is there. The row's revision from now on.
    async fn write(
        &self,
        scope: &Scope,
        history: &History,
        expected: Option<Revision>,
        there: &[u64],
        versions: VersionChange,
        key: Option<WrappedKey>,
    ) -> Result<Revision, TransferError> {
        let name = history.row.name.clone();
        let mut head = history.row.head.clone();
        if history.versions.iter().any(|version| !there.contains(&version.number)) {
            // So that a row of which a part is there is never taken for the whole of it.
            head.updated_at = jiff::Timestamp::UNIX_EPOCH;
        }
        let change = Change { scope: scope.clone(), name: name.clone(), expected, head, versions };
        let keys = key.map(|key| (scope.clone(), key)).into_iter().collect();
        let batch = Batch { keys, changes: vec![change], ..Batch::default() };
        self.to.store.write(batch).await.map_err(TransferError::To)?;
        let written = self.to.store.history(scope, &name).await.map_err(TransferError::To)?;
        let conflict =
            || TransferError::To(StoreError::Conflict { scope: scope.clone(), name: name.clone() });
        Ok(written.ok_or_else(conflict)?.row.revision)
    }

    /// The version's record, opened under the old store's key and sealed under the new one's.
    async fn resealed(
        &self,
        scope: &Scope,
        name: &SecretName,
        version: &Version,
        keys: &[WrappedKey],
        key: &ScopeKey,
    ) -> Result<Arc<[u8]>, TransferError> {
        let (kind, purpose) = meaning(&version.body);
        let unreadable = || TransferError::Unreadable {
            scope: scope.clone(),
            name: name.clone(),
            version: version.number,
        };
        let record = version.body.record();
        let id = key_id(record).ok_or_else(unreadable)?;
        let wrapped = keys.iter().find(|key| key.id == id).ok_or_else(unreadable)?;
        let (old, new) = (KeyScope::of(self.from.store.id(), scope), KeyScope::of(self.to.store.id(), scope));
        let old_key = self.source_keys.key(&old, wrapped).await?;
        let context = Context {
            scope: &old,
            name: name.as_str(),
            version: version.number,
            kind,
            purpose,
            policy: version.rules.digest(),
        };
        let opened = open(old_key.key(), &context, record).map_err(|_| unreadable())?;
        Ok(seal(key, &Context { scope: &new, ..context }, &opened, Padding::Blocks).into())
    }

    /// Before the first value of a scope is opened, both stores' logs say that it is copied.
    async fn note(&self, scope: &Scope, rows: usize) -> Result<(), TransferError> {
        let entry = |why: String| AuditEntry {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action: Action::Copy,
            scope: Some(scope.clone()),
            asked_in: None,
            name: None,
            version: None,
            source_version: None,
            destination: None,
            reason: Some(why),
            outcome: Outcome::Allowed,
        };
        let (from, to) = (self.from.store.id(), self.to.store.id());
        self.from.audit.append(vec![entry(format!("{rows} rows to the store {to}"))]).await?;
        self.to.audit.append(vec![entry(format!("{rows} rows from the store {from}"))]).await?;
        Ok(())
    }
}

/// What kind of record a version has, and for what.
pub(crate) fn meaning(body: &Body) -> (Kind, &'static str) {
    match body {
        Body::Value(_) => (Kind::Value, PURPOSE),
        Body::External(_) => (Kind::Value, EXTERNAL_PURPOSE),
        Body::Blocked(_) => (Kind::Tombstone, PURPOSE),
    }
}

fn unless_exists(made: Result<(), StoreError>) -> Result<(), TransferError> {
    match made {
        Ok(()) | Err(StoreError::Exists(_)) => Ok(()),
        Err(error) => Err(TransferError::To(error)),
    }
}

/// The scope's own rows and keys.
pub(crate) async fn own(store: &dyn Store, scope: &Scope) -> Result<ScopeRows, StoreError> {
    Ok(own_at(store, scope).await?.1)
}

/// The same with the chain's epoch.
pub(crate) async fn own_at(store: &dyn Store, scope: &Scope) -> Result<(Epoch, ScopeRows), StoreError> {
    let mut chain = store.chain(&scope.chain(), Names::All).await?;
    Ok((chain.epoch, chain.scopes.pop().expect("a chain ends at its own scope")))
}

/// A row that was copied has the same head; only its current record was sealed anew.
fn is_same(one: &Row, other: &Row) -> bool {
    let known = |row: &Row| row.current.as_ref().map(|version| (version.number, version.revoked));
    one.head == other.head && known(one) == known(other)
}

#[cfg(feature = "memory")]
#[cfg(test)]
mod tests;
