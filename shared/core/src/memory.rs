//! The ports in memory: for tests, which count calls with them, and for programs that keep nothing.

mod claims;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::audit::{AuditEntry, AuditError, AuditLog, AuditRow, CHAIN_START, ChainCheck, ChainKey, Verified};
use crate::id::{EnvironmentId, SpaceId, StoreId};
use crate::keys::{Generation, KeyError, Opener, Provider, Sealer, WrappedKey};
use crate::name::SecretName;
use crate::record::{KeyScope, ScopeKey};
use crate::row::{Change, History, Revision, Row, Standing, Version, VersionChange};
use crate::scope::{Chain, Scope};
use crate::store::{
    Batch, ChainRows, Environment, Epoch, Limits, Names, ReadStore, Reseal, ScopeRows, Space, Store,
    StoreError, names_a_key_of,
};

pub use claims::MemoryIdempotency;

/// A store in memory. Counts its reads.
pub struct MemoryStore {
    id: StoreId,
    state: Mutex<State>,
    reads: AtomicU64,
}

#[derive(Clone, Default)]
struct State {
    epoch: u64,
    environments: BTreeMap<EnvironmentId, Environment>,
    spaces: BTreeMap<(EnvironmentId, SpaceId), Space>,
    rows: BTreeMap<Scope, BTreeMap<SecretName, History>>,
    keys: BTreeMap<Scope, Vec<WrappedKey>>,
    broken: Option<String>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { id: StoreId::random(), state: Mutex::default(), reads: AtomicU64::new(0) }
    }
}

impl MemoryStore {
    /// How often [`ReadStore::chain`] was called.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// From now on every call fails as unavailable, with this reason; `None` ends that.
    pub fn set_broken(&self, why: Option<&str>) {
        self.lock().broken = why.map(str::to_owned);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn usable(&self) -> Result<std::sync::MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        match &state.broken {
            None => Ok(state),
            Some(why) => Err(StoreError::Unavailable(why.clone())),
        }
    }
}

impl State {
    fn check_scope(&self, scope: &Scope) -> Result<(), StoreError> {
        let environment = scope.environment();
        if !self.environments.contains_key(environment) {
            return Err(StoreError::UnknownEnvironment(environment.clone()));
        }
        match scope.space() {
            Some(space) if !self.spaces.contains_key(&(environment.clone(), space.clone())) => {
                Err(StoreError::UnknownSpace(environment.clone(), space.clone()))
            }
            _ => Ok(()),
        }
    }

    fn check_look_alike(&self, scope: &Scope, name: &SecretName) -> Result<(), StoreError> {
        let folded = name.folded();
        let in_one_chain = |other: &Scope| {
            other.environment() == scope.environment()
                && (other == scope || other.space().is_none() || scope.space().is_none())
        };
        for (other, rows) in self.rows.iter().filter(|(other, _)| in_one_chain(other)) {
            let kept = rows.values().filter(|known| known.row.head.standing != Standing::Destroyed);
            let mut names = kept.map(|known| &known.row.name);
            if let Some(existing) = names.find(|known| *known != name && known.folded() == folded) {
                return Err(StoreError::LookAlike {
                    name: name.clone(),
                    existing: existing.clone(),
                    scope: other.clone(),
                });
            }
        }
        Ok(())
    }

    fn add_space(&mut self, space: Space) -> Result<(), StoreError> {
        self.check_scope(&Scope::Environment(space.environment.clone()))?;
        let key = (space.environment.clone(), space.id.clone());
        if self.spaces.contains_key(&key) {
            return Err(StoreError::Exists(Scope::Space(key.0, key.1)));
        }
        self.spaces.insert(key, space);
        Ok(())
    }

    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        self.check_scope(&change.scope)?;
        let rows = self.rows.get(&change.scope);
        let known = rows.and_then(|rows| rows.get(&change.name));
        if known.map(|known| known.row.revision) != change.expected {
            return Err(StoreError::Conflict { scope: change.scope, name: change.name });
        }
        if known.is_none_or(|known| known.row.head.standing == Standing::Destroyed) {
            self.check_look_alike(&change.scope, &change.name)?;
        }
        let keys = self.keys.get(&change.scope).map(Vec::as_slice).unwrap_or_default();
        let added = match &change.versions {
            VersionChange::Add(version) => std::slice::from_ref(version),
            VersionChange::AddAll(added) => added,
            VersionChange::Keep | VersionChange::Revoke(_) | VersionChange::DestroyAll => &[],
        };
        if !added.iter().all(|version| names_a_key_of(keys, version.body.record())) {
            return Err(StoreError::Conflict { scope: change.scope, name: change.name });
        }
        let mut versions: Vec<Version> = known.map(|known| known.versions.clone()).unwrap_or_default();
        match change.versions {
            VersionChange::Keep => {}
            VersionChange::Add(version) => versions.insert(0, version),
            VersionChange::AddAll(added) => {
                versions.extend(added);
                versions.sort_by_key(|version| std::cmp::Reverse(version.number));
            }
            VersionChange::Revoke(number) => versions
                .iter_mut()
                .filter(|version| version.number == number)
                .for_each(|version| version.revoked = true),
            VersionChange::DestroyAll => versions.clear(),
        }
        let current = versions.iter().find(|version| version.number == change.head.current).cloned();
        let revision = Revision(change.expected.map_or(0, |revision| revision.0) + 1);
        let row = Row {
            scope: change.scope.clone(),
            name: change.name.clone(),
            revision,
            head: change.head,
            current,
        };
        let rows = self.rows.entry(change.scope).or_default();
        rows.insert(change.name, History { row, versions });
        Ok(())
    }

    fn reseal(&mut self, reseal: Reseal) -> Result<(), StoreError> {
        let Reseal { scope, name, expected, records } = reseal;
        self.check_scope(&scope)?;
        let keys = self.keys.get(&scope).map(Vec::as_slice).unwrap_or_default();
        let has_keys = records.iter().all(|(_, record)| names_a_key_of(keys, record));
        let known = self.rows.get_mut(&scope).and_then(|rows| rows.get_mut(&name));
        let known = known.filter(|known| has_keys && known.row.revision == expected);
        let Some(known) = known else {
            return Err(StoreError::Conflict { scope, name });
        };
        for (number, record) in records {
            let version = known.versions.iter_mut().find(|version| version.number == number);
            let Some(version) = version else {
                return Err(StoreError::Conflict { scope, name });
            };
            version.body = version.body.resealed(record);
        }
        known.row.revision = Revision(expected.0 + 1);
        let current = known.row.head.current;
        known.row.current = known.versions.iter().find(|version| version.number == current).cloned();
        Ok(())
    }
}

#[async_trait]
impl ReadStore for MemoryStore {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn epoch(&self, _chain: &Chain) -> Result<Epoch, StoreError> {
        Ok(Epoch(self.usable()?.epoch))
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let state = self.usable()?;
        let mut scopes = Vec::new();
        for scope in chain.scopes() {
            state.check_scope(&scope)?;
            let rows = state.rows.get(&scope);
            let rows = match (rows, names) {
                (None, _) => Vec::new(),
                (Some(rows), Names::All) => rows.values().map(|history| history.row.clone()).collect(),
                (Some(rows), Names::Only(names)) => names
                    .iter()
                    .filter_map(|name| rows.get(name))
                    .map(|history| history.row.clone())
                    .collect(),
            };
            let keys = state.keys.get(&scope).cloned().unwrap_or_default();
            scopes.push(ScopeRows { scope, rows, keys });
        }
        let mode = state.environments[&chain.environment].mode;
        Ok(ChainRows { epoch: Epoch(state.epoch), mode, scopes })
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        let state = self.usable()?;
        Ok(state.rows.get(scope).and_then(|rows| rows.get(name)).cloned())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn limits(&self) -> Limits {
        Limits { changes: 10_000, scopes: usize::MAX, scope_bytes: None }
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut state = self.usable()?;
        if let Some((chain, _)) = batch.seen.as_ref().filter(|(_, epoch)| epoch.0 != state.epoch) {
            return Err(StoreError::Changed(chain.nearest()));
        }
        let mut next = state.clone();
        for space in batch.spaces {
            next.add_space(space)?;
        }
        for (scope, key) in batch.keys {
            next.check_scope(&scope)?;
            let keys = next.keys.entry(scope).or_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for change in batch.changes {
            next.apply(change)?;
        }
        for reseal in batch.reseals {
            next.reseal(reseal)?;
        }
        for (scope, key) in batch.rewrapped {
            next.check_scope(&scope)?;
            let keys = next.keys.entry(scope).or_default();
            keys.iter_mut().filter(|known| known.id == key.id).for_each(|known| *known = key.clone());
        }
        for (scope, id) in batch.retired {
            next.check_scope(&scope)?;
            next.keys.entry(scope).or_default().retain(|known| known.id != id);
        }
        next.epoch += 1;
        *state = next;
        Ok(())
    }

    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        let mut state = self.usable()?;
        if state.environments.contains_key(&environment.id) {
            return Err(StoreError::Exists(Scope::Environment(environment.id)));
        }
        state.environments.insert(environment.id.clone(), environment);
        state.epoch += 1;
        Ok(())
    }

    async fn create_space(&self, space: Space) -> Result<(), StoreError> {
        let mut state = self.usable()?;
        state.add_space(space)?;
        state.epoch += 1;
        Ok(())
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        Ok(self.usable()?.environments.values().cloned().collect())
    }

    async fn spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        let state = self.usable()?;
        state.check_scope(&Scope::Environment(environment.clone()))?;
        let spaces = state.spaces.values().filter(|space| space.environment == *environment);
        let spaces = spaces.filter(|space| after.is_none_or(|after| *after < space.id));
        Ok(spaces.take(limit).cloned().collect())
    }
}

/// A key service in memory that "wraps" a key by keeping it. Counts its unwraps.
#[derive(Default)]
pub struct MemoryKeys {
    kept: Mutex<BTreeMap<crate::record::KeyId, Zeroizing<Vec<u8>>>>,
    unwraps: AtomicU64,
    fault: Mutex<Option<KeyError>>,
}

impl MemoryKeys {
    /// How often a key was unwrapped.
    pub fn unwraps(&self) -> u64 {
        self.unwraps.load(Ordering::Relaxed)
    }

    /// From now on unwrapping fails like this; `None` ends that.
    pub fn set_fault(&self, fault: Option<KeyError>) {
        *self.fault.lock().expect("no holder of this lock panics") = fault;
    }
}

#[async_trait]
impl Sealer for MemoryKeys {
    async fn new_key(
        &self,
        scope: &KeyScope,
        generation: Generation,
    ) -> Result<(ScopeKey, WrappedKey), KeyError> {
        let key = ScopeKey::random(scope);
        let bytes = Zeroizing::new(key.expose().to_vec());
        self.kept.lock().expect("no holder of this lock panics").insert(key.id(), bytes);
        let wrapped = WrappedKey {
            provider: Provider::Local,
            id: key.id(),
            generation,
            blob: key.id().0.as_slice().into(),
        };
        Ok((key, wrapped))
    }
}

#[async_trait]
impl Opener for MemoryKeys {
    async fn unwrap_key(
        &self,
        _scope: &KeyScope,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.unwraps.fetch_add(1, Ordering::Relaxed);
        if let Some(fault) = self.fault.lock().expect("no holder of this lock panics").clone() {
            return Err(fault);
        }
        let kept = self.kept.lock().expect("no holder of this lock panics");
        let key = wrapped.blob.as_ref().try_into().ok().map(crate::record::KeyId);
        key.and_then(|key| kept.get(&key).cloned()).ok_or_else(|| KeyError::Denied("no such key".to_owned()))
    }
}

/// An audit log in memory, chained like every other.
pub struct MemoryAudit {
    key: ChainKey,
    rows: Mutex<Vec<AuditRow>>,
    broken: Mutex<Option<String>>,
}

impl Default for MemoryAudit {
    fn default() -> Self {
        Self {
            key: ChainKey::new(&crate::id::random_bytes()),
            rows: Mutex::default(),
            broken: Mutex::default(),
        }
    }
}

impl MemoryAudit {
    /// From now on nothing can be written, with this reason; `None` ends that.
    pub fn set_broken(&self, why: Option<&str>) {
        *self.broken.lock().expect("no holder of this lock panics") = why.map(str::to_owned);
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Vec<AuditRow>> {
        self.rows.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl AuditLog for MemoryAudit {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError> {
        if let Some(why) = self.broken.lock().expect("no holder of this lock panics").clone() {
            return Err(AuditError(why));
        }
        let mut rows = self.rows();
        for entry in entries {
            let previous = rows.last().map_or(CHAIN_START, |row| row.mac);
            let sequence = rows.len() as u64 + 1;
            let body = crate::wire::audit_body(&entry);
            let mac = self.key.link(&previous, sequence, &body);
            rows.push(AuditRow { sequence, body, mac });
        }
        Ok(())
    }

    async fn read(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, AuditError> {
        let rows = self.rows();
        Ok(rows.iter().filter(|row| after < row.sequence).take(limit).cloned().collect())
    }

    async fn last(&self) -> Result<u64, AuditError> {
        Ok(self.rows().len() as u64)
    }

    async fn verify(&self) -> Result<Verified, AuditError> {
        let rows = self.rows();
        let mut check = ChainCheck::new(&self.key);
        for row in rows.iter() {
            if let Err(broken) = check.row(row) {
                return Ok(broken);
            }
        }
        let (sequence, last) = rows.last().map_or((0, CHAIN_START), |row| (row.sequence, row.mac));
        Ok(check.end(Some(self.key.tip(&last, sequence))))
    }
}
