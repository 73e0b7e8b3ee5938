//! The resolver: snapshots of chains, shared by events until they are stale.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use quick_cache::sync::Cache;

use super::declaration::Declaration;
use super::error::ResolveError;
use super::external::External;
use super::flight::Flights;
use super::key_cache::KeyCache;
use super::lookup::{ByName, Lookup, resolve};
use super::snapshot::{Asked, Resolved, Snapshot};
use crate::clock::{Clock, Moment};
use crate::external::ExternalSource;
use crate::id::AgentId;
use crate::keys::Opener;
use crate::row::Standing;
use crate::scope::Chain;
use crate::store::{Epoch, Names, ReadStore};

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
    store: Arc<dyn ReadStore>,
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
    freshness: Freshness,
    snapshots: Arc<Cache<Key, Arc<Snapshot>>>,
    external: Option<Arc<External>>,
    flights: Flights<Key, Answer>,
}

impl Resolver {
    /// A resolver over a store and a key service.
    pub fn new(
        store: Arc<dyn ReadStore>,
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
            external: None,
            flights: Flights::new(),
        }
    }

    /// The same, able to fetch external secrets.
    pub fn with_external(self, source: Arc<dyn ExternalSource>) -> Self {
        Self { external: Some(Arc::new(External::new(source))), ..self }
    }

    /// The answers for every name that the agent declares, along the chain.
    ///
    /// A warm answer costs at most one [`ReadStore::epoch`]; a cold one exactly one [`ReadStore::chain`].
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
            let epoch = self.store.epoch(chain).await.map_err(|e| ResolveError::from_store("*", chain, e))?;
            if snapshot.epoch == epoch && snapshot.is_young(self.freshness, &*self.clock) {
                snapshot.asked_again(moment);
                return Ok(snapshot);
            }
            newest = Some(epoch);
        } else if self.flights.is_under_way(&key) {
            newest =
                Some(self.store.epoch(chain).await.map_err(|e| ResolveError::from_store("*", chain, e))?);
        }
        let answer = self.flights.run(&key, || self.landed_or_load(declaration, &key, newest)).await?;
        if newest.is_some_and(|epoch| answer.epoch < epoch) {
            // The flight that was joined had read before the change that this caller knows of.
            return self.load(declaration, key).await;
        }
        Ok(answer)
    }

    /// Drops all snapshots and unwrapped keys, before the process is frozen or copied.
    pub fn forget_all(&self) {
        self.snapshots.clear();
        self.keys.forget_all();
    }

    /// Drops snapshots and unwrapped keys whose time is over.
    pub fn forget_stale(&self) {
        self.snapshots.retain(|_, snapshot| snapshot.is_young(self.freshness, &*self.clock));
        self.keys.forget_stale();
    }

    /// Whether a handle may still be used: revocation, expiry and disabling beat pinning.
    pub(crate) async fn confirm(&self, resolved: &Resolved) -> Result<(), ResolveError> {
        let (name, scope) = (&resolved.name, &resolved.scope);
        let chain = resolved.asked_in.chain();
        let unavailable = |error| ResolveError::from_store(name.as_str(), &chain, error);
        if resolved.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(ResolveError::Expired { name: name.clone(), scope: scope.clone() });
        }
        if !resolved.key().is_valid(&*self.clock) {
            let Some(wrapped) = &resolved.wrapped else {
                let problem = "it was fetched too long ago: look it up again".to_owned();
                return Err(ResolveError::Denied { name: name.to_string(), scope: scope.clone(), problem });
            };
            let key = self.keys.key(&resolved.key_scope, wrapped).await;
            resolved.renew_key(key.map_err(|error| ResolveError::from_key(name, scope, error))?);
        }
        if resolved.asked.is_within(self.freshness.unasked, &*self.clock) {
            return Ok(());
        }
        let moment = Moment::now(&*self.clock);
        if self.store.epoch(&chain).await.map_err(unavailable)? == resolved.epoch {
            resolved.asked.again(moment);
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
        let (store, chain) = (self.store.clone(), key.1.clone());
        Box::pin(async move {
            let epoch = store.epoch(&chain).await.map_err(|e| ResolveError::from_store("*", &chain, e))?;
            if landed.epoch == epoch { Ok(landed) } else { load.await }
        })
    }

    /// Reads a chain and keeps what it says before anybody who waits hears of it.
    fn load(&self, declaration: &Arc<Declaration>, key: Key) -> BoxFuture<'static, Answer> {
        let (store, keys, clock) = (self.store.clone(), self.keys.clone(), self.clock.clone());
        let (declaration, snapshots) = (declaration.clone(), self.snapshots.clone());
        let external = self.external.clone();
        Box::pin(async move {
            let chain = key.1.clone();
            let names = declaration.names();
            let loaded = Moment::now(&*clock);
            let rows = store
                .chain(&chain, Names::Only(&names))
                .await
                .map_err(|error| ResolveError::from_store("*", &chain, error))?;
            let now = clock.now();
            let rows = ByName::new(rows);
            let asked = Asked::at(loaded);
            let lookup = Lookup {
                declaration: &declaration,
                store: store.id(),
                keys: &keys,
                external: external.as_deref(),
                clock: &*clock,
                asked_in: &chain,
                asked: &asked,
            };
            // All at once: the keys of the chain's scopes don't depend on each other.
            let each = join_all(names.iter().map(|name| resolve(&rows, name, now, &lookup))).await;
            let answers = names.iter().cloned().zip(each).collect();
            let expires_at = rows.first_expiry(now);
            let snapshot =
                Snapshot::new((rows.epoch, rows.mode), expires_at, (loaded, asked.clone()), answers);
            let snapshot = Arc::new(snapshot);
            if snapshot.is_settled() {
                snapshots.insert(key, snapshot.clone());
            }
            Ok(snapshot)
        })
    }
}
