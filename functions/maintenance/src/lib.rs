//! Keeps the keys of a whole store few, a part of it in each run.
//!
//! A run begins at a Space by chance and goes on, around and around at most once, until its time
//! is over: so every Space has its turn without anybody keeping count, and a run that dies costs
//! nothing. Invoked with `{"rotate": true}` each scope gets a new key first.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use undertone_core::maintenance::{Compacted, Maintenance, MaintenanceError};
use undertone_core::{EnvironmentId, Scope, SpaceId, Store, StoreError};

/// How many Spaces are asked for at a time.
const PAGE: usize = 200;

/// What a run does with each scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Seals it under its newest key.
    Compact,
    /// Gives it a new one first.
    Rotate,
}

impl Work {
    /// As the invocation asks.
    pub fn asked_for(payload: &Value) -> Self {
        match payload["rotate"] == true {
            true => Work::Rotate,
            false => Work::Compact,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Scopes that it looked at.
    pub scopes: u64,
    /// Records that were sealed anew.
    pub resealed: u64,
    /// Keys that were destroyed.
    pub retired: u64,
    /// Scopes that it couldn't do, with why. The others were done all the same.
    pub failed: Vec<String>,
    /// Whether it came around before its time was over.
    pub whole: bool,
}

impl Done {
    /// For the log.
    pub fn to_json(&self) -> Value {
        json!({
            "scopes": self.scopes,
            "resealed": self.resealed,
            "retired": self.retired,
            "failed": self.failed.len(),
            "whole": self.whole,
        })
    }

    fn add(&mut self, scope: &Scope, result: Result<Compacted, MaintenanceError>) {
        self.scopes += 1;
        match result {
            Ok(done) => {
                self.resealed += done.resealed;
                self.retired += done.retired;
            }
            Err(error) => self.failed.push(format!("{scope}: {error}")),
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunFailed {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Scopes couldn't be done.
    #[error("{} of {} scopes couldn't be done, such as: {}", .0.failed.len(), .0.scopes, .0.failed.iter().take(10).cloned().collect::<Vec<_>>().join("; "))]
    Scopes(Done),
}

/// One run. `start` is where it begins in each Environment: no Space needs to have that id.
///
/// # Errors
/// If the store can't be read, or a scope couldn't be done; then all others were.
pub async fn run(
    store: &dyn Store,
    maintenance: &Maintenance,
    work: Work,
    start: &SpaceId,
    time: Duration,
) -> Result<Done, RunFailed> {
    let began = Instant::now();
    let is_over = || time <= began.elapsed();
    let mut done = Done::default();
    for environment in store.environments().await? {
        let scope = Scope::Environment(environment.id.clone());
        done.add(&scope, one(maintenance, work, &scope).await);
        for (after, until) in [(Some(start), None), (None, Some(start))] {
            let spaces = Spaces { store, environment: &environment.id, until };
            let mut after = after.cloned();
            while let Some(page) = spaces.after(after.as_ref()).await? {
                after = page.last().cloned();
                for space in page {
                    if is_over() {
                        return finish(done);
                    }
                    let scope = Scope::Space(environment.id.clone(), space);
                    done.add(&scope, one(maintenance, work, &scope).await);
                }
            }
        }
    }
    done.whole = true;
    finish(done)
}

fn finish(done: Done) -> Result<Done, RunFailed> {
    match done.failed.is_empty() {
        true => Ok(done),
        false => Err(RunFailed::Scopes(done)),
    }
}

async fn one(maintenance: &Maintenance, work: Work, scope: &Scope) -> Result<Compacted, MaintenanceError> {
    match work {
        Work::Compact => maintenance.compact(scope).await,
        Work::Rotate => maintenance.rotate(scope).await,
    }
}

/// The Spaces of an Environment, up to one and including it.
struct Spaces<'a> {
    store: &'a dyn Store,
    environment: &'a EnvironmentId,
    until: Option<&'a SpaceId>,
}

impl Spaces<'_> {
    /// The next page; `None` after the last.
    async fn after(&self, after: Option<&SpaceId>) -> Result<Option<Vec<SpaceId>>, StoreError> {
        let page = self.store.spaces(self.environment, after, PAGE).await?;
        let ids = page.into_iter().map(|space| space.id);
        let ids: Vec<SpaceId> = ids.take_while(|id| self.until.is_none_or(|until| id <= until)).collect();
        Ok(Some(ids).filter(|ids| !ids.is_empty()))
    }
}

/// An id by chance, where a run begins.
pub fn anywhere() -> SpaceId {
    let first = fastrand::alphanumeric();
    let rest: String = std::iter::repeat_with(fastrand::alphanumeric).take(3).collect();
    format!("{first}{rest}").parse().expect("letters and digits are an id")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use undertone_core::audit::Actor;
    use undertone_core::memory::{MemoryAudit, MemoryKeys, MemoryStore};
    use undertone_core::vault::{SetRequest, Vault};
    use undertone_core::{Mode, Names, ReadStore, SecretValue, SystemClock};

    use super::*;

    struct World {
        store: Arc<MemoryStore>,
        keys: Arc<MemoryKeys>,
        maintenance: Maintenance,
    }

    async fn world(spaces: usize) -> World {
        let (store, keys) = (Arc::new(MemoryStore::default()), Arc::new(MemoryKeys::default()));
        let (audit, clock) = (Arc::new(MemoryAudit::default()), Arc::new(SystemClock::default()));
        let actor = Actor::Operator("tester".into());
        // Each writer makes a key of its own.
        let writer =
            || Vault::sealing_only(store.clone(), keys.clone(), audit.clone(), clock.clone(), actor.clone());
        writer().create_environment("live".parse().unwrap(), Mode::Standard).await.unwrap();
        for number in 0..spaces {
            let id: SpaceId = format!("s{number:04}").parse().unwrap();
            writer().create_space("live".parse().unwrap(), id.clone()).await.unwrap();
            for name in ["A", "B"] {
                let value = SecretValue::new(b"a-value".to_vec()).unwrap();
                let request = SetRequest::new(name.parse().unwrap(), value);
                writer().set(&Scope::Space("live".parse().unwrap(), id.clone()), request).await.unwrap();
            }
        }
        let maintenance =
            Maintenance::new(store.clone(), keys.clone(), keys.clone(), audit, clock, actor.clone());
        World { store, keys, maintenance }
    }

    async fn key_counts(world: &World) -> Vec<usize> {
        let environment = "live".parse().unwrap();
        let mut counts = Vec::new();
        for space in world.store.spaces(&environment, None, usize::MAX).await.unwrap() {
            let scope = Scope::Space(environment.clone(), space.id);
            counts.push(world.store.chain(&scope.chain(), Names::All).await.unwrap().scopes[1].keys.len());
        }
        counts
    }

    async fn go(world: &World, work: Work, start: &str, time: Duration) -> Result<Done, RunFailed> {
        run(&*world.store, &world.maintenance, work, &start.parse().unwrap(), time).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn wherever_it_begins_every_scope_has_its_turn_once() {
        for start in ["0", "s0200", "s0299", "s0300x", "z"] {
            let world = world(300).await;
            let first = go(&world, Work::Compact, start, LONG).await.unwrap();
            assert_eq!((first.scopes, first.resealed, first.whole), (301, 300, true), "{start}");
            let second = go(&world, Work::Compact, start, LONG).await.unwrap();
            assert_eq!((second.scopes, second.retired), (301, 300), "{start}");
            assert!(key_counts(&world).await.iter().all(|keys| *keys == 1));
        }
    }

    #[tokio::test]
    async fn it_ends_when_its_time_is_over_and_a_rotation_gives_new_keys() {
        let world = world(3).await;
        let none = go(&world, Work::Compact, "s", Duration::ZERO).await.unwrap();
        assert_eq!((none.scopes, none.whole), (1, false), "the Environment only");
        let rotated = go(&world, Work::Rotate, "s", LONG).await.unwrap();
        assert_eq!((rotated.resealed, rotated.retired), (6, 0));
        assert_eq!(key_counts(&world).await, [3, 3, 3]);
        go(&world, Work::Compact, "s", LONG).await.unwrap();
        assert_eq!(key_counts(&world).await, [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_scope_that_fails_is_named_and_the_others_are_done() {
        let world = world(3).await;
        world.keys.set_fault(Some(undertone_core::KeyError::Denied("AccessDeniedException".to_owned())));
        let Err(RunFailed::Scopes(done)) = go(&world, Work::Compact, "s", LONG).await else {
            panic!("no key opens")
        };
        assert_eq!((done.scopes, done.failed.len()), (4, 3));
        assert!(done.failed[0].contains("s0000") && done.failed[0].contains("AccessDenied"), "{done:?}");
    }

    #[test]
    fn what_is_asked_for_and_where_it_begins() {
        assert_eq!(Work::asked_for(&json!({"rotate": true})), Work::Rotate);
        for payload in [json!({}), json!({"rotate": "yes"}), json!(null), json!([1])] {
            assert_eq!(Work::asked_for(&payload), Work::Compact);
        }
        let places: std::collections::BTreeSet<SpaceId> = (0..100).map(|_| anywhere()).collect();
        assert!(90 < places.len());
    }
}
