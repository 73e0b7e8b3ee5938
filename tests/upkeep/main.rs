//! Upkeep that is cut off at any point: nothing is lost, everything resolves, and the next run ends the job.

mod failing;

use std::sync::Arc;

use undertone_core::audit::Actor;
use undertone_core::maintenance::Maintenance;
use undertone_core::memory::{MemoryAudit, MemoryKeys, MemoryStore};
use undertone_core::record::{Context, Kind, open};
use undertone_core::resolve::KeyCache;
use undertone_core::transfer::{Source, Target, Transfer};
use undertone_core::vault::{SetRequest, Vault};
use undertone_core::{
    Clock, KeyScope, Mode, Names, ReadStore, Rules, Scope, SecretName, SecretValue, Store, SystemClock,
};

use failing::{Failing, When};

/// More calls than any of these jobs makes.
const MANY: usize = 400;

struct Side {
    store: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    audit: Arc<MemoryAudit>,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

fn actor() -> Actor {
    Actor::Operator("tester".into())
}

fn scopes() -> [Scope; 3] {
    let live: undertone_core::EnvironmentId = "live".parse().expect("an id");
    let space = |id: &str| Scope::Space(live.clone(), id.parse().expect("an id"));
    [Scope::Environment(live.clone()), space("blue"), space("red")]
}

impl Side {
    fn empty() -> Self {
        Self { store: Arc::default(), keys: Arc::default(), audit: Arc::default() }
    }

    /// Three scopes with names of up to ten versions, each value sealed by a writer with a key of its own.
    async fn filled() -> Self {
        let side = Self::empty();
        side.writer()
            .create_environment("live".parse().expect("an id"), Mode::Standard)
            .await
            .expect("memory works");
        for space in ["blue", "red"] {
            side.writer()
                .create_space("live".parse().expect("an id"), space.parse().expect("an id"))
                .await
                .expect("memory works");
        }
        for scope in scopes() {
            for (name, versions) in [("ONE", 1), ("TEN", 10), ("TWO", 2)] {
                for version in 1..=versions {
                    let value = SecretValue::new(format!("{scope} {name} {version}").into_bytes())
                        .expect("it is short");
                    let request = SetRequest::new(name.parse().expect("an id"), value);
                    side.writer().set(&scope, request).await.expect("memory works");
                }
            }
        }
        side
    }

    fn writer(&self) -> Vault {
        let (store, keys, audit) = (self.store.clone(), self.keys.clone(), self.audit.clone());
        Vault::sealing_only(store, keys, audit, clock(), actor())
    }

    fn failing(&self, at: usize, when: When) -> Arc<Failing> {
        Arc::new(Failing::new(self.store.clone(), at, when))
    }

    fn maintenance(&self, store: Arc<dyn Store>) -> Maintenance {
        let (keys, audit) = (self.keys.clone(), self.audit.clone());
        Maintenance::new(store, keys.clone(), keys, audit, clock(), actor())
    }

    async fn key_counts(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for scope in scopes() {
            let mut rows = self.store.chain(&scope.chain(), Names::All).await.expect("memory works");
            counts.push(rows.scopes.pop().expect("a chain ends at its own scope").keys.len());
        }
        counts
    }

    /// Every version's scope, name, number and value; panics if one doesn't open.
    async fn values(&self) -> Vec<String> {
        let cache = KeyCache::new(self.keys.clone(), clock());
        let mut values = Vec::new();
        for scope in scopes() {
            let Ok(mut chain) = self.store.chain(&scope.chain(), Names::All).await else { continue };
            let own = chain.scopes.pop().expect("a chain ends at its own scope");
            let key_scope = KeyScope::of(self.store.id(), &scope);
            let names: Vec<SecretName> = own.rows.iter().map(|row| row.name.clone()).collect();
            for name in names {
                let history =
                    self.store.history(&scope, &name).await.expect("readable").expect("it is there");
                assert!(history.row.current.is_some(), "{scope} {name} has a value at every moment");
                for version in history.versions {
                    let record = version.body.record();
                    let id = undertone_core::record::key_id(record).expect("a record names its key");
                    let wrapped = own.keys.iter().find(|key| key.id == id).expect("its key is there");
                    let key = cache.key(&key_scope, wrapped).await.expect("memory works");
                    let context = Context {
                        scope: &key_scope,
                        name: name.as_str(),
                        version: version.number,
                        kind: Kind::Value,
                        purpose: "secret",
                        policy: Rules::default().digest(),
                    };
                    let Ok(value) = open(key.key(), &context, record) else { panic!("{scope} {name}") };
                    values.push(format!("{} {}", version.number, String::from_utf8_lossy(&value)));
                }
            }
        }
        values
    }
}

#[tokio::test]
async fn compacting_and_rotating_can_be_cut_off_at_every_call() {
    for when in [When::Before, When::After] {
        for rotate in [false, true] {
            let mut at = 0;
            loop {
                let side = Side::filled().await;
                let before = side.values().await;
                let failing = side.failing(at, when);
                let mut cut_off = false;
                for scope in scopes() {
                    let maintenance = side.maintenance(failing.clone());
                    let done = match rotate {
                        true => maintenance.rotate(&scope).await,
                        false => maintenance.compact(&scope).await,
                    };
                    cut_off |= done.is_err();
                }
                assert_eq!(side.values().await, before, "cut off at call {at}, {when:?}");
                for _ in 0..3 {
                    for scope in scopes() {
                        side.maintenance(side.store.clone()).compact(&scope).await.unwrap();
                    }
                }
                assert_eq!(side.values().await, before, "after {at}, {when:?}");
                assert_eq!(side.key_counts().await, [1, 1, 1], "after {at}, {when:?}");
                if !cut_off {
                    assert!(10 < at, "there were calls to fail");
                    break;
                }
                at += 1;
                assert!(at < MANY);
            }
        }
    }
}

#[tokio::test]
async fn a_copy_can_be_cut_off_at_every_call_of_either_store() {
    for (reading, when) in [(true, When::Before), (false, When::Before), (false, When::After)] {
        let from = Side::filled().await;
        let want = from.values().await;
        let mut at = 0;
        loop {
            let to = Side::empty();
            let (source, target): (Arc<dyn Store>, Arc<dyn Store>) = match reading {
                true => (from.failing(at, when), to.store.clone()),
                false => (from.store.clone(), to.failing(at, when)),
            };
            let cut_off = copy(&from, &to, source, target).await.is_err();
            for value in to.values().await {
                assert!(want.contains(&value), "{value}");
            }
            copy(&from, &to, from.store.clone(), to.store.clone()).await.expect("the next run ends the job");
            assert_eq!(to.values().await, want, "cut off at call {at}, {when:?}");
            if !cut_off {
                assert!(10 < at, "there were calls to fail");
                break;
            }
            at += 1;
            assert!(at < MANY);
        }
    }
}

async fn copy(
    from: &Side,
    to: &Side,
    source: Arc<dyn Store>,
    target: Arc<dyn Store>,
) -> Result<(), undertone_core::transfer::TransferError> {
    let source = Source { store: source, opener: from.keys.clone(), audit: from.audit.clone() };
    let (sealer, opener) = (to.keys.clone(), to.keys.clone());
    let target = Target { store: target, sealer, opener, audit: to.audit.clone() };
    Transfer::new(source, target, clock(), actor())?.run(|_| ()).await.map(|_| ())
}
