//! Calls that fail, answers that get lost, writers that are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use undertone_core::{Names, ReadStore, Revision, Store, StoreError, VersionChange};
use undertone_tests::emulators::{Emulator, Ministack, Moto};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use super::world::{
    World, change, changes, existing, history, name, new_row, next_version, now, scope, version, write,
};
use crate::cloud::connection;

fn emulators() -> [&'static Emulator; 2] {
    [Ministack::start(), Moto::start()]
}

#[tokio::test]
async fn an_answer_that_got_lost_is_no_conflict_and_no_second_write() {
    for emulator in emulators() {
        let world = World::with_scopes(emulator.url()).await;
        let proxy = FaultProxy::before(emulator.url()).await;
        let other = world.other(&connection(&proxy.url()).dynamodb()).await;
        proxy.only("TransactWriteItems");
        for (number, fault) in (1..).zip([Fault::CutBeforeResponse, Fault::CutInBody, Fault::ServerError]) {
            proxy.fail_nth(1, fault);
            let change = match number {
                1 => new_row("dev/sp_1", "TOKEN"),
                _ => next_version(&other, "dev/sp_1", "TOKEN").await,
            };
            assert_eq!(write(&other, change).await, Ok(()), "{fault:?}");
            let history = history(&*world.store, "dev/sp_1", "TOKEN").await;
            assert_eq!((history.row.revision, history.versions.len()), (Revision(number), number as usize));
        }
        proxy.fail_nth(1, Fault::CutBeforeResponse);
        super::world::make_scopes(&other, &["prod"]).await;
        proxy.fail_nth(1, Fault::CutBeforeResponse);
        super::world::make_scopes(&other, &["prod/sp_1"]).await;
        assert_eq!(proxy.faults().len(), 5);
    }
}

#[tokio::test]
async fn a_write_whose_every_answer_gets_lost_is_found_where_it_was_written() {
    for emulator in emulators() {
        let world = World::with_scopes(emulator.url()).await;
        let proxy = FaultProxy::before(emulator.url()).await;
        let other = world.other(&connection(&proxy.url()).dynamodb()).await;
        proxy.only("TransactWriteItems");
        proxy.set(Some(Fault::CutBeforeResponse));
        assert_eq!(write(&other, new_row("dev/sp_1", "TOKEN")).await, Ok(()));
        super::world::make_scopes(&other, &["prod"]).await;
        super::world::make_scopes(&other, &["prod/sp_1"]).await;
        let history = history(&*world.store, "dev/sp_1", "TOKEN").await;
        assert_eq!((history.row.revision, history.versions.len()), (Revision(1), 1));
    }
}

/// Runs something when the nth request of an operation is about to be sent.
#[derive(Clone)]
struct Before {
    operation: &'static str,
    left: Arc<AtomicUsize>,
    run: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before")
    }
}

impl Intercept for Before {
    fn name(&self) -> &'static str {
        "Before"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        if target.ends_with(self.operation) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            (self.run)();
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_another_wrote_over_before_it_was_looked_for_is_still_ones_own() {
    let url = Ministack::start().url();
    let world = World::with_scopes(url).await;
    let proxy = FaultProxy::before(url).await;
    // Its first read is planned on, its second looks for what was written.
    let store = world.store.clone();
    let run = Arc::new(move || {
        now(async {
            let next = next_version(&*store, "dev", "TOKEN").await;
            write(&*store, next).await.unwrap();
        })
    });
    let before = Before { operation: "TransactGetItems", left: Arc::new(AtomicUsize::new(2)), run };
    let config = connection(&proxy.url()).dynamodb().config().to_builder();
    let config = config.retry_config(RetryConfig::disabled()).interceptor(before);
    let other = world.other(&Client::from_conf(config.build())).await;
    proxy.only("TransactWriteItems");
    proxy.fail_nth(1, Fault::CutBeforeResponse);
    assert_eq!(write(&other, new_row("dev", "TOKEN")).await, Ok(()));
    let history = history(&*world.store, "dev", "TOKEN").await;
    assert_eq!((history.row.revision, history.versions.len()), (Revision(2), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_between_two_halves_of_a_read_is_in_both_or_in_none() {
    let url = Ministack::start().url();
    for (operation, nth) in [("Query", 2), ("BatchGetItem", 1)] {
        let world = World::with_scopes(url).await;
        for scope in ["dev", "dev/sp_1"] {
            write(&*world.store, new_row(scope, "TOKEN")).await.unwrap();
        }
        let store = world.store.clone();
        let run = Arc::new(move || {
            now(async {
                // So that the half that was sent before has been answered.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let both = [
                    next_version(&*store, "dev", "TOKEN").await,
                    next_version(&*store, "dev/sp_1", "TOKEN").await,
                ];
                store.write(changes(both.into())).await.unwrap();
            });
        });
        let before = Before { operation, left: Arc::new(AtomicUsize::new(nth)), run };
        let config = connection(url).dynamodb().config().to_builder().interceptor(before);
        let other = world.other(&Client::from_conf(config.build())).await;
        let many: Vec<_> =
            (0..60).map(|number| name(&format!("NAME_{number}"))).chain([name("TOKEN")]).collect();
        let names = if operation == "Query" { Names::All } else { Names::Only(&many) };
        let chain = other.chain(&scope("dev/sp_1").chain(), names).await.unwrap();
        let current = |at: usize| chain.scopes[at].rows[0].head.current;
        assert_eq!((current(0), current(1)), (2, 2), "{operation}");
    }
}

#[tokio::test]
async fn a_table_that_is_away_is_unavailable_and_one_that_refuses_is_no_outage() {
    let world = World::with_scopes(Ministack::start().url()).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let change = next_version(&*world.store, "dev", "TOKEN").await;
    let proxy = FaultProxy::before(Ministack::start().url()).await;
    let other = world.other(&connection(&proxy.url()).dynamodb()).await;
    for fault in [Fault::Throttle, Fault::ServerError, Fault::RefuseConnections, Fault::Corrupt] {
        proxy.set(Some(fault));
        let read = other.chain(&scope("dev").chain(), Names::All).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{fault:?}: {read:?}");
        let written = write(&other, change.clone()).await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{fault:?}: {written:?}");
    }
    proxy.set(None);
    assert_eq!(existing(&other, "dev", "TOKEN").await.revision, Revision(1));
    world.client.delete_table().table_name(&world.table).send().await.unwrap();
    let Err(StoreError::Denied(problem)) = other.epoch(&scope("dev").chain()).await else {
        panic!("a table that is gone doesn't come back by waiting");
    };
    assert!(problem.contains(&world.table) && problem.contains("undertone init"), "{problem}");
    assert!(matches!(write(&other, change).await, Err(StoreError::Denied(_))));
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_all_of_its_batch_or_nothing() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let mut seen = [0, 0];
    for round in 0..24 {
        let rows = (0..6).map(|number| new_row("dev/sp_1", &format!("ROUND_{round}_{number}"))).collect();
        let other = world.other(&world.client).await;
        let writer = tokio::spawn(async move { other.write(changes(rows)).await });
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        writer.abort();
        let _ = writer.await;
        // What was sent may still be on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let rows = world.store.chain(&scope("dev/sp_1").chain(), Names::All).await.unwrap();
        let prefix = format!("ROUND_{round}_");
        let written = rows.scopes[1].rows.iter().filter(|row| row.name.as_str().starts_with(&prefix)).count();
        assert!([0, 6].contains(&written), "{written} of 6 in round {round}");
        seen[usize::from(written == 6)] += 1;
    }
    assert!(0 < seen[0] && 0 < seen[1], "killed before and after: {seen:?}");
}

#[tokio::test]
async fn a_long_destruction_that_is_stopped_leaves_a_shorter_row_and_goes_on() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let store = &*world.store;
    write(store, new_row("dev", "TOKEN")).await.unwrap();
    for part in 0..5 {
        let added = (part * 60 + 2..part * 60 + 62).map(version).collect();
        write(store, change(store, "dev", "TOKEN", VersionChange::AddAll(added)).await).await.unwrap();
    }
    let proxy = FaultProxy::before(Ministack::start().url()).await;
    let other = world.other(&connection(&proxy.url()).dynamodb()).await;
    let destroy = change(store, "dev", "TOKEN", VersionChange::DestroyAll).await;
    proxy.only("TransactWriteItems");
    // Its second step never gets there.
    let cut = async {
        while proxy.faults().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    proxy.fail_nth(2, Fault::Hang);
    tokio::select! {
        done = write(&other, destroy.clone()) => panic!("it wasn't stopped: {done:?}"),
        () = cut => {}
    }
    let row = existing(store, "dev", "TOKEN").await;
    assert_eq!((Some(row.revision), row.current), (destroy.expected, Some(version(1))));
    let left = history(store, "dev", "TOKEN").await.versions.len();
    assert!((2..301).contains(&left), "{left} versions are left");
    assert_eq!(write(store, destroy).await, Ok(()), "the row is still the one that was seen");
    let names = [name("TOKEN")];
    let chain = store.chain(&scope("dev").chain(), Names::Only(&names)).await.unwrap();
    assert_eq!(chain.scopes[0].rows[0].current, None);
    assert!(history(store, "dev", "TOKEN").await.versions.is_empty());
}
