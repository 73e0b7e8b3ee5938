//! What an answer costs: reads of the store and unwraps of keys, counted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use undertone_tests::world::{World, hosts};

use crate::lookup::{Asker, HOST, value, version};
use crate::wrapped::{WrappedKeys, WrappedStore};

const LOOKUPS: usize = 50;

/// One name in the Environment, one in the Space: both scope keys are needed.
async fn two_scopes() -> World {
    let world = World::new().await;
    world.set_with("live", "SHARED", "shared-value", hosts(&[HOST])).await;
    world.set_with("live/red", "OWN", "own-value", hosts(&[HOST])).await;
    world
}

#[tokio::test]
async fn a_cold_lookup_is_one_read_and_one_unwrap_per_scope_key_and_a_warm_one_none() {
    let world = two_scopes().await;
    let store = WrappedStore::new(world.store.clone());
    let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["SHARED", "OWN", "ABSENT"]);
    let before = (world.store.reads(), world.keys.unwraps());
    let cost = || (world.store.reads() - before.0, world.keys.unwraps() - before.1);

    asker.snapshot("live/red").await.expect("the store is well");
    assert_eq!((cost(), store.epochs()), ((1, 2), 0), "cold");
    for warm in 1..=10 {
        asker.snapshot("live/red").await.expect("the store is well");
        assert_eq!((cost(), store.epochs()), ((1, 2), warm), "warm, asked once whether anything changed");
    }
    assert_eq!(asker.ask("live/red", "SHARED").await, value("shared-value", "live"));
    assert_eq!(asker.ask("live/red", "OWN").await, value("own-value", "live/red"));
    assert_eq!(cost(), (1, 2), "using what was found reads and unwraps nothing");

    asker.snapshot("live/blue").await.expect("the store is well");
    assert_eq!(cost(), (2, 2), "another chain is read, under a key that is open already");
}

#[tokio::test]
async fn a_change_costs_one_read_and_a_key_is_unwrapped_again_after_its_time() {
    let world = two_scopes().await;
    let asker = Asker::new(&world, &["SHARED", "OWN"]);
    asker.snapshot("live/red").await.expect("the store is well");
    world.set_with("live/red", "OWN", "next-value", hosts(&[HOST])).await;
    let before = (world.store.reads(), world.keys.unwraps());
    let cost = || (world.store.reads() - before.0, world.keys.unwraps() - before.1);
    assert_eq!(asker.ask("live/red", "OWN").await, version("next-value", "live/red", 2));
    assert_eq!(cost(), (1, 0), "after a change");
    world.clock.forward(Duration::from_secs(61));
    asker.snapshot("live/red").await.expect("the store is well");
    assert_eq!(cost(), (2, 0), "after the longest time that an answer is shared");
    world.clock.forward(Duration::from_secs(331));
    asker.snapshot("live/red").await.expect("the store is well");
    assert_eq!(cost(), (3, 2), "after the time that a key stays open");
}

#[tokio::test]
async fn lookups_at_the_same_time_share_one_read_and_one_unwrap_per_key() {
    let world = two_scopes().await;
    let (store, keys) = (WrappedStore::new(world.store.clone()), WrappedKeys::new(world.keys.clone()));
    let asker = Asker::over(&world, store.clone(), keys.clone(), &["SHARED", "OWN"]);
    let before = (world.store.reads(), world.keys.unwraps());
    store.gate.set_open(false);
    keys.gate.set_open(false);
    let lookups = join_all((0..LOOKUPS).map(|_| asker.ask("live/red", "OWN")));
    let open = async {
        store.gate.set_open(true);
        tokio::task::yield_now().await;
        keys.gate.set_open(true);
    };
    let (answers, ()) = tokio::join!(lookups, open);
    assert!(answers.iter().all(|answer| *answer == value("own-value", "live/red")), "{answers:?}");
    assert_eq!((world.store.reads() - before.0, world.keys.unwraps() - before.1), (1, 2));
}

#[tokio::test]
async fn chains_at_the_same_time_share_the_unwrap_of_their_environments_key() {
    let world = two_scopes().await;
    let keys = WrappedKeys::new(world.keys.clone());
    let asker = Asker::over(&world, world.store.clone(), keys.clone(), &["SHARED"]);
    let before = (world.store.reads(), world.keys.unwraps());
    keys.gate.set_open(false);
    let lookups = join_all(["live", "live/red", "live/blue"].map(|at| asker.ask(at, "SHARED")));
    let (answers, ()) = tokio::join!(lookups, async { keys.gate.set_open(true) });
    assert!(answers.iter().all(|answer| *answer == value("shared-value", "live")), "{answers:?}");
    assert_eq!((world.store.reads() - before.0, world.keys.unwraps() - before.1), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lookups_on_several_threads_share_one_read_and_one_unwrap_per_key() {
    for round in 0..200 {
        let world = two_scopes().await;
        let asker = Arc::new(Asker::new(&world, &["SHARED", "OWN"]));
        let before = (world.store.reads(), world.keys.unwraps());
        let tasks = (0..LOOKUPS).map(|_| {
            let asker = asker.clone();
            tokio::spawn(async move { asker.snapshot("live/red").await.map(|_| ()) })
        });
        for lookup in join_all(tasks).await {
            assert_eq!(lookup.expect("no lookup panics"), Ok(()));
        }
        let cost = (world.store.reads() - before.0, world.keys.unwraps() - before.1);
        assert_eq!(cost, (1, 2), "round {round}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobodys_answer_with_it() {
    let world = two_scopes().await;
    let store = WrappedStore::new(world.store.clone());
    let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["OWN"]);
    let before = world.store.reads();
    store.gate.set_open(false);
    let mut first = Box::pin(asker.ask("live/red", "OWN"));
    let mut second = Box::pin(asker.ask("live/red", "OWN"));
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    drop(first);
    store.gate.set_open(true);
    assert_eq!(second.await, value("own-value", "live/red"));
    assert_eq!(world.store.reads() - before, 1);
}

/// A caller finds a read under way and is held up; when it goes on, the read has landed.
#[tokio::test]
async fn a_caller_who_misses_a_landing_takes_what_it_brought() {
    let world = two_scopes().await;
    let store = WrappedStore::new(world.store.clone());
    let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["OWN"]);
    let before = (world.store.reads(), world.keys.unwraps());
    store.gate.set_open(false);
    store.epoch_gate.set_open(false);
    let mut first = Box::pin(asker.snapshot("live/red"));
    let mut second = Box::pin(asker.snapshot("live/red"));
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    store.gate.set_open(true);
    first.await.expect("the store is well");
    store.epoch_gate.set_open(true);
    second.await.expect("the store is well");
    assert_eq!((world.store.reads() - before.0, world.keys.unwraps() - before.1), (1, 1));
}

/// The first caller reads and is held up; then the value changes. A second caller comes after the
/// change and must not be given what the first one read, whether or not it was here before.
#[tokio::test]
async fn a_caller_after_a_change_is_not_answered_from_before_it() {
    for warm in [true, false] {
        let world = two_scopes().await;
        let store = WrappedStore::new(world.store.clone());
        let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["OWN"]);
        if warm {
            asker.snapshot("live/red").await.expect("the store is well");
        }
        world.set_with("live/red", "OWN", "second-value", hosts(&[HOST])).await;
        store.gate.set_open(false);
        let mut early = Box::pin(asker.ask("live/red", "OWN"));
        assert!((&mut early).now_or_never().is_none(), "it waits for what it read");
        world.set_with("live/red", "OWN", "third-value", hosts(&[HOST])).await;
        let late = asker.ask("live/red", "OWN");
        let (_, late, ()) = tokio::join!(early, late, async { store.gate.set_open(true) });
        assert_eq!(late, version("third-value", "live/red", 3), "warm: {warm}");
    }
}
