//! Keeping a scope's keys few and young: everything sealed under one of them, the others destroyed.
//!
//! Writers that may not unwrap make keys of their own, so a scope gathers some. Values, versions
//! and their numbers stay as they are. A key is destroyed only if nothing was sealed under it when
//! a run began, so that a record which was being written meanwhile keeps its key; stopping at any
//! point leaves everything readable, and the next run goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::audit::{Action, Actor, AuditEntry, AuditError, AuditLog, Outcome};
use crate::clock::Clock;
use crate::keys::{KeyError, Opener, Rewrapper, Sealer, WrappedKey};
use crate::name::SecretName;
use crate::record::{Context, KeyId, KeyScope, Padding, key_id, open, seal};
use crate::resolve::{KeyCache, OpenKey};
use crate::row::History;
use crate::scope::Scope;
use crate::store::{Batch, Reseal, Store, StoreError};
use crate::transfer::{meaning, own, own_at};

/// How many records go into one write.
const RECORDS: usize = 8;

/// What was done to a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Records that were sealed anew.
    pub resealed: u64,
    /// Keys that were destroyed.
    pub retired: u64,
    /// Keys that the scope has now.
    pub keys: u64,
}

/// Why it stopped. What was done stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key service failed.
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
}

/// Both powers over a store, for its upkeep and for nothing else.
pub struct Maintenance {
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    keys: KeyCache,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl Maintenance {
    /// Over a store.
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        opener: Arc<dyn Opener>,
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        actor: Actor,
    ) -> Self {
        Self { store, sealer, keys: KeyCache::new(opener, clock.clone()), audit, clock, actor }
    }

    /// Seals all of a scope under its newest key and destroys those under which nothing was sealed.
    ///
    /// # Errors
    /// See [`MaintenanceError`]. A row that somebody changes meanwhile is left to the next run.
    pub async fn compact(&self, scope: &Scope) -> Result<Compacted, MaintenanceError> {
        let mut done = Compacted::default();
        let (epoch, before) = own_at(&*self.store, scope).await?;
        done.keys = before.keys.len() as u64;
        let newest = before.keys.iter().max_by_key(|key| (key.generation, key.id));
        let (Some(newest), true) = (newest, 1 < before.keys.len()) else {
            return Ok(done);
        };
        self.note(scope, &format!("{} keys", before.keys.len())).await?;
        let key_scope = KeyScope::of(self.store.id(), scope);
        let key = self.keys.key(&key_scope, newest).await?;
        let mut in_use = BTreeSet::from([newest.id]);
        for row in &before.rows {
            if let Some(history) = self.store.history(scope, &row.name).await? {
                let records = history.versions.iter().map(|version| version.body.record());
                in_use.extend(records.filter_map(|record| key_id(record)));
                done.resealed += self.reseal(&history, &before.keys, (&key_scope, newest.id, &key)).await?;
            }
        }
        let idle = before.keys.iter().filter(|key| !in_use.contains(&key.id));
        let retired: Vec<(Scope, KeyId)> = idle.map(|key| (scope.clone(), key.id)).collect();
        // A key is destroyed only if nothing at all has changed since it was found idle: a writer
        // that may not read seals under a key of its own, which may be this one.
        if !retired.is_empty() && done.resealed == 0 {
            let count = retired.len() as u64;
            let seen = Some((scope.chain(), epoch));
            match self.store.write(Batch { retired, seen, ..Batch::default() }).await {
                Ok(()) => done.retired = count,
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        done.keys -= done.retired;
        Ok(done)
    }

    /// Gives a scope that has keys a new one, and seals all of it under that. The next run destroys
    /// the old ones.
    ///
    /// # Errors
    /// See [`MaintenanceError`].
    pub async fn rotate(&self, scope: &Scope) -> Result<Compacted, MaintenanceError> {
        let before = own(&*self.store, scope).await?;
        let Some(newest) = before.keys.iter().map(|key| key.generation).max() else {
            return Ok(Compacted::default());
        };
        self.note(scope, "a new key").await?;
        let key_scope = KeyScope::of(self.store.id(), scope);
        let (key, wrapped) = self.sealer.new_key(&key_scope, newest + 1).await?;
        if key.id() != wrapped.id || before.keys.iter().any(|known| known.id == wrapped.id) {
            return Err(KeyError::BadAnswer("a new key that isn't new".to_owned()).into());
        }
        self.store.write(Batch { keys: vec![(scope.clone(), wrapped)], ..Batch::default() }).await?;
        self.compact(scope).await
    }

    /// Wraps every key of a scope anew, under another root. The keys, and so all records, stay.
    ///
    /// # Errors
    /// See [`MaintenanceError`]. Both roots are needed until every scope is done.
    pub async fn rewrap(&self, scope: &Scope, root: &dyn Rewrapper) -> Result<u64, MaintenanceError> {
        let before = own(&*self.store, scope).await?;
        if before.keys.is_empty() {
            return Ok(0);
        }
        self.note(scope, "rewrapped").await?;
        let key_scope = KeyScope::of(self.store.id(), scope);
        let mut rewrapped = Vec::new();
        for key in &before.keys {
            rewrapped.push((scope.clone(), root.rewrap(&key_scope, key).await?));
        }
        let count = rewrapped.len() as u64;
        self.store.write(Batch { rewrapped, ..Batch::default() }).await?;
        Ok(count)
    }

    async fn reseal(
        &self,
        history: &History,
        keys: &[WrappedKey],
        (key_scope, id, key): (&KeyScope, KeyId, &OpenKey),
    ) -> Result<u64, MaintenanceError> {
        let (scope, name) = (&history.row.scope, &history.row.name);
        let mut resealed = 0;
        let mut expected = history.row.revision;
        let mut due: Vec<_> =
            history.versions.iter().filter(|version| key_id(version.body.record()) != Some(id)).collect();
        due.reverse();
        for part in due.chunks(RECORDS) {
            let mut records = Vec::new();
            for version in part {
                let record = version.body.record();
                let unreadable = || MaintenanceError::Unreadable {
                    scope: scope.clone(),
                    name: name.clone(),
                    version: version.number,
                };
                let old = keys.iter().find(|key| Some(key.id) == key_id(record)).ok_or_else(unreadable)?;
                let old = self.keys.key(key_scope, old).await?;
                let (kind, purpose) = meaning(&version.body);
                let context = Context {
                    scope: key_scope,
                    name: name.as_str(),
                    version: version.number,
                    kind,
                    purpose,
                    policy: version.rules.digest(),
                };
                let opened = open(old.key(), &context, record).map_err(|_| unreadable())?;
                records.push((version.number, seal(key.key(), &context, &opened, Padding::Blocks).into()));
            }
            let count = records.len() as u64;
            let reseal = Reseal { scope: scope.clone(), name: name.clone(), expected, records };
            match self.store.write(Batch { reseals: vec![reseal], ..Batch::default() }).await {
                Ok(()) => resealed += count,
                Err(StoreError::Conflict { .. }) => return Ok(resealed),
                Err(error) => return Err(error.into()),
            }
            match self.store.history(scope, name).await? {
                Some(now) => expected = now.row.revision,
                None => return Ok(resealed),
            }
        }
        Ok(resealed)
    }

    async fn note(&self, scope: &Scope, what: &str) -> Result<(), AuditError> {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action: Action::Maintain,
            scope: Some(scope.clone()),
            asked_in: None,
            name: None,
            version: None,
            source_version: None,
            destination: None,
            reason: Some(what.to_owned()),
            outcome: Outcome::Allowed,
        };
        self.audit.append(vec![entry]).await
    }
}

#[cfg(test)]
#[cfg(feature = "memory")]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_executor::block_on;
    use futures_util::FutureExt;

    use super::*;
    use crate::clock::SystemClock;
    use crate::keys::unwrap_checked;
    use crate::memory::{MemoryAudit, MemoryKeys, MemoryStore};
    use crate::rules::Mode;
    use crate::store::ReadStore;
    use crate::value::SecretValue;
    use crate::vault::{SetRequest, Vault};

    struct World {
        store: Arc<MemoryStore>,
        keys: Arc<MemoryKeys>,
        audit: Arc<MemoryAudit>,
        scope: Scope,
    }

    impl World {
        /// As many writers as values, none of which may unwrap.
        fn new(values: &[(&str, &str)]) -> Self {
            let (store, keys) = (Arc::new(MemoryStore::default()), Arc::new(MemoryKeys::default()));
            let audit = Arc::new(MemoryAudit::default());
            let scope = Scope::Environment("live".parse().unwrap());
            let world = Self { store, keys, audit, scope };
            block_on(world.writer().create_environment("live".parse().unwrap(), Mode::Standard)).unwrap();
            values.iter().for_each(|(name, value)| world.set(&world.writer(), name, value));
            world
        }

        fn writer(&self) -> Vault {
            let (store, keys, audit) = (self.store.clone(), self.keys.clone(), self.audit.clone());
            let actor = Actor::Operator("writer".into());
            Vault::sealing_only(store, keys, audit, Arc::new(SystemClock::default()), actor)
        }

        fn set(&self, writer: &Vault, name: &str, value: &str) {
            let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
            block_on(writer.set(&self.scope, SetRequest::new(name.parse().unwrap(), value))).unwrap();
        }

        fn maintenance(&self) -> Maintenance {
            let (store, keys, audit) = (self.store.clone(), self.keys.clone(), self.audit.clone());
            let actor = Actor::Operator("maintenance".into());
            Maintenance::new(store, keys.clone(), keys, audit, Arc::new(SystemClock::default()), actor)
        }

        fn compact(&self) -> (u64, u64, u64) {
            let done = block_on(self.maintenance().compact(&self.scope)).unwrap();
            (done.resealed, done.retired, done.keys)
        }

        fn key_ids(&self) -> Vec<KeyId> {
            block_on(own(&*self.store, &self.scope)).unwrap().keys.iter().map(|key| key.id).collect()
        }

        /// Every version's number and value, by name.
        fn values(&self) -> Vec<(String, u64, String)> {
            let rows = block_on(own(&*self.store, &self.scope)).unwrap();
            let key_scope = KeyScope::of(self.store.id(), &self.scope);
            let mut values = Vec::new();
            for row in &rows.rows {
                let history = block_on(self.store.history(&self.scope, &row.name)).unwrap().unwrap();
                for version in history.versions {
                    let record = version.body.record();
                    let wrapped = rows.keys.iter().find(|key| Some(key.id) == key_id(record)).unwrap();
                    let key = block_on(unwrap_checked(&*self.keys, &key_scope, wrapped)).unwrap();
                    let (kind, purpose) = meaning(&version.body);
                    let (name, policy) = (row.name.as_str(), version.rules.digest());
                    let number = version.number;
                    let context = Context { scope: &key_scope, name, version: number, kind, purpose, policy };
                    let Ok(value) = open(&key, &context, record) else { panic!("it opens") };
                    values.push((name.to_owned(), number, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
            values
        }
    }

    #[test]
    fn keys_become_one_in_two_runs_and_values_stay() {
        let world = World::new(&[("A", "a-1"), ("A", "a-2"), ("B", "b-1"), ("C", "c-1")]);
        let before = world.values();
        assert_eq!(world.key_ids().len(), 4);
        assert_eq!(world.compact(), (3, 0, 4), "what was in use when it began stays");
        assert_eq!(world.values(), before);
        assert_eq!(world.compact(), (0, 3, 1));
        assert_eq!((world.values(), world.key_ids().len()), (before, 1));
        assert_eq!(world.compact(), (0, 0, 1), "and then there is nothing to do");
    }

    #[test]
    fn a_new_key_takes_over_and_the_old_one_goes() {
        let world = World::new(&[("A", "a-1"), ("A", "a-2"), ("B", "b-1")]);
        world.compact();
        world.compact();
        let (before, old) = (world.values(), world.key_ids());
        let done = block_on(world.maintenance().rotate(&world.scope)).unwrap();
        assert_eq!((done.resealed, done.keys), (3, 2));
        assert_eq!(world.compact(), (0, 1, 1));
        assert_eq!(world.values(), before);
        assert_ne!(world.key_ids(), old);
    }

    #[test]
    fn a_writer_whose_key_was_destroyed_makes_another() {
        let world = World::new(&[("A", "a-1")]);
        let writer = world.writer();
        world.set(&writer, "B", "b-1");
        world.set(&world.writer(), "C", "c-1");
        world.compact();
        world.compact();
        assert_eq!(world.key_ids().len(), 1);
        world.set(&writer, "B", "b-2");
        assert_eq!(world.key_ids().len(), 2);
        assert!(world.values().contains(&("B".to_owned(), 2, "b-2".to_owned())));
    }

    /// A store in which somebody writes between the reading of a scope and what comes after it.
    struct Meanwhile {
        inner: Arc<MemoryStore>,
        write: Box<dyn Fn() + Send + Sync>,
    }

    #[async_trait]
    impl ReadStore for Meanwhile {
        fn id(&self) -> crate::StoreId {
            self.inner.id()
        }

        async fn epoch(&self, chain: &crate::Chain) -> Result<crate::Epoch, StoreError> {
            self.inner.epoch(chain).await
        }

        async fn chain(
            &self,
            chain: &crate::Chain,
            names: crate::Names<'_>,
        ) -> Result<crate::ChainRows, StoreError> {
            let read = self.inner.chain(chain, names).await;
            (self.write)();
            read
        }

        async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
            self.inner.history(scope, name).await
        }
    }

    #[async_trait]
    impl Store for Meanwhile {
        fn limits(&self) -> crate::Limits {
            self.inner.limits()
        }

        async fn write(&self, batch: Batch) -> Result<(), StoreError> {
            self.inner.write(batch).await
        }

        async fn create_environment(&self, environment: crate::Environment) -> Result<(), StoreError> {
            self.inner.create_environment(environment).await
        }

        async fn create_space(&self, space: crate::Space) -> Result<(), StoreError> {
            self.inner.create_space(space).await
        }

        async fn environments(&self) -> Result<Vec<crate::Environment>, StoreError> {
            self.inner.environments().await
        }

        async fn spaces(
            &self,
            environment: &crate::EnvironmentId,
            after: Option<&crate::SpaceId>,
            limit: usize,
        ) -> Result<Vec<crate::Space>, StoreError> {
            self.inner.spaces(environment, after, limit).await
        }
    }

    #[test]
    fn a_key_that_a_writer_uses_again_meanwhile_is_not_destroyed() {
        let world = World::new(&[]);
        let writer = world.writer();
        world.set(&writer, "A", "a-1");
        world.set(&world.writer(), "A", "a-2");
        assert_eq!(world.compact(), (1, 0, 2), "the first writer's key is idle now");
        let late: Arc<Vault> = Arc::new(writer);
        let (scope, again) = (world.scope.clone(), late.clone());
        let write = Box::new(move || {
            let value = SecretValue::new(b"c-1".to_vec()).unwrap();
            let request = SetRequest::new("C".parse().unwrap(), value);
            again.set(&scope, request).now_or_never().expect("memory doesn't wait").unwrap();
        });
        let store = Arc::new(Meanwhile { inner: world.store.clone(), write });
        let (keys, audit) = (world.keys.clone(), world.audit.clone());
        let actor = Actor::Operator("maintenance".into());
        let clock = Arc::new(SystemClock::default());
        let maintenance = Maintenance::new(store, keys.clone(), keys, audit, clock, actor);
        let done = block_on(maintenance.compact(&world.scope)).unwrap();
        assert_eq!(done.retired, 0);
        assert!(world.values().contains(&("C".to_owned(), 1, "c-1".to_owned())), "and so it opens");
    }

    #[test]
    fn nothing_is_done_without_a_row_of_audit() {
        let world = World::new(&[("A", "a-1"), ("B", "b-1")]);
        world.audit.set_broken(Some("the disk is gone"));
        let refused = block_on(world.maintenance().compact(&world.scope));
        assert!(matches!(refused, Err(MaintenanceError::Audit(_))));
        assert_eq!(world.key_ids().len(), 2);
    }

    /// "Wraps" by writing down what it was asked.
    struct OtherRoot(Mutex<Vec<KeyId>>);

    #[async_trait]
    impl Rewrapper for OtherRoot {
        async fn rewrap(&self, _: &KeyScope, wrapped: &WrappedKey) -> Result<WrappedKey, KeyError> {
            self.0.lock().unwrap().push(wrapped.id);
            Ok(WrappedKey { blob: vec![7; 40].into(), ..wrapped.clone() })
        }
    }

    #[test]
    fn another_root_changes_the_wrapping_and_no_record() {
        let world = World::new(&[("A", "a-1"), ("B", "b-1")]);
        let records = || {
            let rows = block_on(own(&*world.store, &world.scope)).unwrap().rows;
            rows.into_iter().map(|row| row.current.unwrap().body).collect::<Vec<_>>()
        };
        let before = (records(), world.key_ids());
        let root = OtherRoot(Mutex::default());
        assert_eq!(block_on(world.maintenance().rewrap(&world.scope, &root)), Ok(2));
        assert_eq!((records(), world.key_ids()), before);
        let keys = block_on(own(&*world.store, &world.scope)).unwrap().keys;
        assert!(keys.iter().all(|key| *key.blob == [7; 40]));
    }
}
