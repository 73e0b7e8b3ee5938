//! The resolver: snapshots of chains, shared by events until they are stale.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use super::choose::{Decision, choose};
use super::declaration::Declaration;
use super::error::ResolveError;
use super::flight::Flights;
use super::key_cache::KeyCache;
use crate::clock::{Clock, Moment};
use crate::host::HostRule;
use crate::id::{AgentId, SecretId};
use crate::keys::Opener;
use crate::name::SecretName;
use crate::record::{Context, KeyScope, Kind, Plaintext, RecordError, ScopeKey, open};
use crate::redact::Guard;
use crate::row::{Row, Standing, Version};
use crate::rules::{Destination, EffectiveRules, Mode, Refusal, Reveal, Sink};
use crate::scope::{Chain, Scope};
use crate::store::{ChainRows, Epoch, Names, Store};

/// The purpose of an ordinary secret's records.
pub(crate) const PURPOSE: &str = "secret";

/// How long an answer may be shared.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// For this long the store isn't even asked whether anything changed. It bounds how late a
    /// rotation or revocation is seen. Zero on one machine, where asking is cheap.
    pub unasked: Duration,
    /// After this long a snapshot is read again although nothing changed.
    pub longest: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { unasked: Duration::ZERO, longest: Duration::from_secs(60) }
    }
}

const SNAPSHOTS: usize = 4_096;

type Answer = Result<Arc<Snapshot>, ResolveError>;
type Key = (AgentId, Chain);

/// Resolves names for agents. One per process.
pub struct Resolver {
    store: Arc<dyn Store>,
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
    freshness: Freshness,
    snapshots: Arc<Cache<Key, Arc<Snapshot>>>,
    flights: Flights<Key, Answer>,
}

/// One chain as one agent sees it at one moment: an answer for every declared name.
pub struct Snapshot {
    mode: Mode,
    epoch: Epoch,
    loaded: Moment,
    asked: Mutex<Moment>,
    /// The first moment at which a row expires.
    expires_at: Option<Timestamp>,
    answers: HashMap<SecretName, Result<Arc<Resolved>, ResolveError>>,
    guard: OnceLock<Arc<Guard>>,
    sealed_guard: OnceLock<Arc<Guard>>,
}

/// One version of one secret, sealed, with the key that opens it and the rules that bind it.
pub struct Resolved {
    pub(crate) name: SecretName,
    pub(crate) id: SecretId,
    pub(crate) scope: Scope,
    pub(crate) asked_in: Scope,
    pub(crate) version: u64,
    pub(crate) mode: Mode,
    pub(crate) rules: EffectiveRules,
    /// The hosts to which the agent limits itself.
    declared: Option<BTreeSet<HostRule>>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) epoch: Epoch,
    policy: [u8; 32],
    record: Arc<[u8]>,
    key_scope: KeyScope,
    key: Arc<ScopeKey>,
}

impl Resolver {
    /// A resolver over a store and a key service.
    pub fn new(
        store: Arc<dyn Store>,
        opener: Arc<dyn Opener>,
        clock: Arc<dyn Clock>,
        freshness: Freshness,
    ) -> Self {
        Self {
            keys: Arc::new(KeyCache::new(opener, clock.clone())),
            store,
            clock,
            freshness,
            snapshots: Arc::new(Cache::new(SNAPSHOTS)),
            flights: Flights::new(),
        }
    }

    /// The answers for every name that the agent declares, along the chain.
    ///
    /// A warm answer costs at most one [`Store::epoch`]; a cold one exactly one [`Store::chain`].
    ///
    /// # Errors
    /// `UnknownScope` and `Unavailable`; the errors of single names are in the snapshot.
    pub async fn snapshot(&self, declaration: &Arc<Declaration>, chain: &Chain) -> Answer {
        let key = (declaration.agent.clone(), chain.clone());
        let mut newest = None;
        if let Some(snapshot) = self.snapshots.get(&key) {
            if snapshot.is_fresh(self.freshness, &*self.clock) {
                return Ok(snapshot);
            }
            let moment = Moment::now(&*self.clock);
            let epoch = self.store.epoch().await.map_err(|e| ResolveError::from_store("*", e))?;
            if snapshot.epoch == epoch && snapshot.is_young(self.freshness, &*self.clock) {
                *snapshot.asked.lock().expect("no holder of this lock panics") = moment;
                return Ok(snapshot);
            }
            newest = Some(epoch);
        } else if self.flights.is_under_way(&key) {
            newest = Some(self.store.epoch().await.map_err(|e| ResolveError::from_store("*", e))?);
        }
        let answer = self.flights.run(&key, || self.landed_or_load(declaration, &key, newest)).await?;
        if newest.is_some_and(|epoch| answer.epoch < epoch) {
            // The flight that was joined had read before the change that this caller knows of.
            return self.load(declaration, key).await;
        }
        Ok(answer)
    }

    /// Drops snapshots and unwrapped keys whose time is over.
    pub fn forget_stale(&self) {
        self.snapshots.retain(|_, snapshot| snapshot.is_young(self.freshness, &*self.clock));
        self.keys.forget_stale();
    }

    /// Whether a handle may still be used: revocation, expiry and disabling beat pinning.
    pub(crate) async fn confirm(&self, resolved: &Resolved) -> Result<(), ResolveError> {
        let (name, scope) = (&resolved.name, &resolved.scope);
        let unavailable = |error| ResolveError::from_store(name.as_str(), error);
        if resolved.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(ResolveError::Expired { name: name.clone(), scope: scope.clone() });
        }
        if self.store.epoch().await.map_err(unavailable)? == resolved.epoch {
            return Ok(());
        }
        let revoked =
            || ResolveError::Revoked { name: name.clone(), scope: scope.clone(), version: resolved.version };
        let history = self.store.history(scope, name).await.map_err(unavailable)?;
        let history = history.filter(|history| history.row.head.id == resolved.id).ok_or_else(revoked)?;
        match history.row.head.standing {
            Standing::Active | Standing::Unset => {}
            Standing::Deleted { .. } | Standing::Destroyed => return Err(revoked()),
        }
        if history.row.head.disabled {
            return Err(ResolveError::Disabled { name: name.clone(), scope: scope.clone() });
        }
        let mut versions = history.versions.iter();
        let version = versions.find(|version| version.number == resolved.version);
        match version {
            Some(version) if !version.revoked => Ok(()),
            _ => Err(revoked()),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What a flight brought that landed since this caller looked, if it still holds; else a read.
    fn landed_or_load(
        &self,
        declaration: &Arc<Declaration>,
        key: &Key,
        newest: Option<Epoch>,
    ) -> BoxFuture<'static, Answer> {
        let load = self.load(declaration, key.clone());
        let holds = |snapshot: &Arc<Snapshot>| {
            newest.is_none_or(|epoch| snapshot.epoch == epoch)
                && snapshot.is_young(self.freshness, &*self.clock)
        };
        let Some(landed) = self.snapshots.get(key).filter(holds) else {
            return load;
        };
        let store = self.store.clone();
        Box::pin(async move {
            let epoch = store.epoch().await.map_err(|e| ResolveError::from_store("*", e))?;
            if landed.epoch == epoch { Ok(landed) } else { load.await }
        })
    }

    /// Reads a chain and keeps what it says before anybody who waits hears of it.
    fn load(&self, declaration: &Arc<Declaration>, key: Key) -> BoxFuture<'static, Answer> {
        let (store, keys, clock) = (self.store.clone(), self.keys.clone(), self.clock.clone());
        let (declaration, snapshots) = (declaration.clone(), self.snapshots.clone());
        Box::pin(async move {
            let chain = key.1.clone();
            let names = declaration.names();
            let loaded = Moment::now(&*clock);
            let rows = store
                .chain(&chain, Names::Only(&names))
                .await
                .map_err(|error| ResolveError::from_store("*", error))?;
            let now = clock.now();
            let rows = ByName::new(rows);
            let mut answers = HashMap::with_capacity(names.len());
            for name in &names {
                let answer = resolve(&rows, name, now, &declaration, store.id(), &keys, &chain).await;
                answers.insert(name.clone(), answer);
            }
            let snapshot = Arc::new(Snapshot {
                epoch: rows.epoch,
                mode: rows.mode,
                expires_at: rows.first_expiry(now),
                loaded,
                asked: Mutex::new(loaded),
                answers,
                guard: OnceLock::new(),
                sealed_guard: OnceLock::new(),
            });
            if snapshot.is_settled() {
                snapshots.insert(key, snapshot.clone());
            }
            Ok(snapshot)
        })
    }
}

/// A chain's rows by name, so that a chain of many names is not searched once per name.
struct ByName {
    epoch: Epoch,
    mode: Mode,
    shape: ChainRows,
    rows: HashMap<SecretName, Vec<(usize, Row)>>,
}

impl ByName {
    fn new(mut chain: ChainRows) -> Self {
        let mut rows: HashMap<SecretName, Vec<(usize, Row)>> = HashMap::new();
        for (depth, scope) in chain.scopes.iter_mut().enumerate() {
            for row in std::mem::take(&mut scope.rows) {
                rows.entry(row.name.clone()).or_default().push((depth, row));
            }
        }
        Self { epoch: chain.epoch, mode: chain.mode, shape: chain, rows }
    }

    /// The chain with the rows of one name only.
    fn of(&self, name: &SecretName) -> ChainRows {
        let mut chain = self.shape.clone();
        for (depth, row) in self.rows.get(name).into_iter().flatten() {
            chain.scopes[*depth].rows.push(row.clone());
        }
        chain
    }

    fn first_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let rows = self.rows.values().flatten();
        rows.filter_map(|(_, row)| row.head.expires_at).filter(|at| now < *at).min()
    }
}

async fn resolve(
    rows: &ByName,
    name: &SecretName,
    now: Timestamp,
    declaration: &Declaration,
    store: crate::id::StoreId,
    keys: &KeyCache,
    asked: &Chain,
) -> Result<Arc<Resolved>, ResolveError> {
    let chain = rows.of(name);
    let at = |row: &Row| (name.clone(), row.scope.clone());
    let (row, version, rules) = match choose(&chain, name, now).decision {
        Decision::Value { row, version, rules } => (row, version, rules),
        Decision::Blocked(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Blocked { name, scope });
        }
        Decision::Disabled(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Disabled { name, scope });
        }
        Decision::Expired(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Expired { name, scope });
        }
        Decision::Revoked(row) => {
            let (name, scope) = at(row);
            let version = row.head.current;
            return Err(ResolveError::Revoked { name, scope, version });
        }
        Decision::NotFound => {
            return Err(ResolveError::NotFound {
                name: name.clone(),
                scope: asked.nearest(),
                close: close_names(rows, name),
            });
        }
    };
    let key_scope = KeyScope::of(store, &row.scope);
    let key = scope_key(&chain, row, version, &key_scope, keys).await?;
    Ok(Arc::new(Resolved {
        name: name.clone(),
        id: row.head.id,
        scope: row.scope.clone(),
        asked_in: asked.nearest(),
        version: version.number,
        mode: rows.mode,
        rules,
        declared: declaration.hosts(name).cloned(),
        expires_at: row.head.expires_at,
        epoch: rows.epoch,
        policy: version.rules.digest(),
        record: version.body.record().clone(),
        key_scope,
        key,
    }))
}

async fn scope_key(
    chain: &ChainRows,
    row: &Row,
    version: &Version,
    key_scope: &KeyScope,
    keys: &KeyCache,
) -> Result<Arc<ScopeKey>, ResolveError> {
    let unreadable = || ResolveError::Unreadable { name: row.name.clone(), scope: row.scope.clone() };
    let id = crate::record::key_id(version.body.record()).ok_or_else(unreadable)?;
    let mut wrapped =
        chain.scopes.iter().filter(|scope| scope.scope == row.scope).flat_map(|scope| &scope.keys);
    let wrapped = wrapped.find(|key| key.id == id).ok_or_else(unreadable)?;
    keys.key(key_scope, wrapped).await.map_err(|error| ResolveError::from_key(&row.name, &row.scope, error))
}

/// Declared names that have a row and are spelt nearly the same.
fn close_names(rows: &ByName, name: &SecretName) -> Vec<SecretName> {
    let mut close: Vec<SecretName> = rows
        .rows
        .iter()
        .filter(|(_, rows)| rows.iter().any(|(_, row)| row.head.standing == Standing::Active))
        .map(|(other, _)| other)
        .filter(|other| *other != name && 0.8 <= strsim::jaro_winkler(other.as_str(), name.as_str()))
        .cloned()
        .collect();
    close.sort();
    close.truncate(3);
    close
}

impl Snapshot {
    /// The answer for a declared name; `None` for any other.
    pub fn get(&self, name: &str) -> Option<&Result<Arc<Resolved>, ResolveError>> {
        self.answers.get(name)
    }

    /// What kind of Environment it is.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The leak guard, loaded with every secret that an execution over this snapshot can use.
    ///
    /// A record that doesn't open is left out: nobody can leak what nobody can read.
    pub fn guard(&self) -> Arc<Guard> {
        self.guard.get_or_init(|| self.load_guard(|_| true)).clone()
    }

    /// The same without the secrets that code may reveal: what of a request may hold no value.
    pub fn sealed_guard(&self) -> Arc<Guard> {
        let sealed = |resolved: &Resolved| resolved.rules.reveal() == Reveal::Refused;
        self.sealed_guard.get_or_init(|| self.load_guard(sealed)).clone()
    }

    fn load_guard(&self, wanted: impl Fn(&Resolved) -> bool) -> Arc<Guard> {
        let mut guard = Guard::builder();
        for resolved in self.answers.values().flatten().filter(|resolved| wanted(resolved)) {
            if let Ok(value) = resolved.open() {
                guard = guard.add(resolved.name.as_str(), &value);
            }
        }
        Arc::new(guard.build())
    }

    fn is_fresh(&self, freshness: Freshness, clock: &dyn Clock) -> bool {
        let asked = *self.asked.lock().expect("no holder of this lock panics");
        asked.is_within(freshness.unasked, clock) && self.is_young(freshness, clock)
    }

    /// Whether the same rows would be answered the same a moment later: a key service that was
    /// away may be back, though nothing in the store changes.
    fn is_settled(&self) -> bool {
        let mut errors = self.answers.values().filter_map(|answer| answer.as_ref().err());
        !errors.any(ResolveError::is_retryable)
    }

    fn is_young(&self, freshness: Freshness, clock: &dyn Clock) -> bool {
        self.loaded.is_within(freshness.longest, clock) && self.expires_at.is_none_or(|at| clock.now() < at)
    }
}

impl Resolved {
    /// The one place where a use in a sink is allowed or refused: by the owners' rules, and then
    /// by what the agent declared.
    pub(crate) fn check(&self, sink: Sink, to: &Destination) -> Result<(), Refusal> {
        self.rules.check(self.mode, sink, to)?;
        match &self.declared {
            Some(hosts) if !hosts.iter().any(|rule| rule.covers(&to.to)) => Err(Refusal::Host),
            Some(_) | None => Ok(()),
        }
    }

    /// Opens the record. Callers are the sink, `reveal` and the leak guard, nobody else.
    pub(crate) fn open(&self) -> Result<Plaintext, RecordError> {
        let context = Context {
            scope: &self.key_scope,
            name: self.name.as_str(),
            version: self.version,
            kind: Kind::Value,
            purpose: PURPOSE,
            policy: self.policy,
        };
        open(&self.key, &context, &self.record)
    }
}
