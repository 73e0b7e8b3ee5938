//! Sixteen processes write at once.

use std::sync::Arc;

use futures_util::future::join_all;
use undertone_core::{ReadStore, RowHead, SecretName, Store, StoreError};
use undertone_tests::emulators::Ministack;
use undertone_tests::fake_aws::FakeAws;

use super::world::{World, change, head, name, names, new_row, row, scope, write};

async fn sixteen(world: &World) -> Vec<Arc<dyn Store>> {
    let processes = (0..16).map(|_| async { Arc::new(world.other().await) as Arc<dyn Store> });
    join_all(processes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_names_all_win_and_nothing_is_lost() {
    let fake = FakeAws::start().await;
    for url in [&fake.url(), Ministack::start().url()] {
        let world = World::with(url, &["dev", "dev/sp_1"]).await;
        for place in ["dev", "dev/sp_1"] {
            let processes = sixteen(&world).await;
            let writing = processes.iter().enumerate().map(|(number, process)| async move {
                write(&**process, new_row(place, &format!("NAME_{number:02}"))).await
            });
            let written = join_all(writing).await;
            assert!(written.iter().all(Result::is_ok), "{written:?}");
            let expected: Vec<String> = (0..16).map(|number| format!("NAME_{number:02}")).collect();
            assert_eq!(names(&*world.store, place).await.unwrap(), expected, "{place} at {url}");
            let epoch = world.store.epoch(&scope("dev").chain()).await.unwrap();
            assert_eq!(epoch.0 >> 32, 17, "each was applied once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_write_one_row_one_wins() {
    let fake = FakeAws::start().await;
    for url in [&fake.url(), Ministack::start().url()] {
        let world = World::with(url, &["dev"]).await;
        for round in 0..3 {
            let processes = sixteen(&world).await;
            let expected = row(&*world.store, "dev", "TOKEN").await.map(|row| row.revision.0);
            let writing = processes.iter().enumerate().map(|(number, process)| async move {
                let head = RowHead { updated_by: format!("process {number}"), ..head(round + 1) };
                let change = undertone_core::Change { head, ..change("dev", "TOKEN", expected, round + 1) };
                (number, write(&**process, change).await)
            });
            let (won, lost): (Vec<_>, Vec<_>) =
                join_all(writing).await.into_iter().partition(|(_, written)| written.is_ok());
            assert_eq!(won.len(), 1, "{won:?}");
            let conflict = StoreError::Conflict { scope: scope("dev"), name: name("TOKEN") };
            assert!(lost.iter().all(|(_, written)| *written == Err(conflict.clone())), "{lost:?}");
            let kept = row(&*world.store, "dev", "TOKEN").await.unwrap();
            assert_eq!(kept.head.updated_by, format!("process {}", won[0].0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_make_one_scope_one_wins() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    let processes = sixteen(&world).await;
    let making = processes.iter().map(|process| process.create_space(super::world::space("dev/sp_1")));
    let made = join_all(making).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    let exists = Err(StoreError::Exists(scope("dev/sp_1")));
    assert_eq!(made.iter().filter(|made| **made == exists).count(), 15, "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_process_take_turns_and_waste_no_version() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    aws.secrets().reset_calls();
    let writing = (0..16).map(|number| {
        let store = world.store.clone();
        async move { write(&*store, new_row("dev/sp_1", &format!("NAME_{number}"))).await }
    });
    assert!(join_all(writing).await.iter().all(Result::is_ok));
    assert_eq!(aws.secrets().calls_of("PutSecretValue"), 16);
}

#[tokio::test]
async fn a_version_that_was_put_and_lost_is_never_current() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    // As a writer leaves it that ended between its two calls.
    let (text, _) = world.stored("dev").await;
    let put = world.client.put_secret_value().secret_id(world.secret("dev")).secret_string("{}");
    put.version_stages("UNDERTONE_PENDING").send().await.unwrap();
    assert_eq!(world.stored("dev").await.0, text);
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let expected: Vec<SecretName> = vec![name("TOKEN")];
    assert_eq!(
        names(&*world.store, "dev").await.unwrap(),
        expected.iter().map(|name| name.as_str()).collect::<Vec<_>>()
    );
}
