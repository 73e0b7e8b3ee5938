//! How often the table is asked, counted by a proxy before it.

use std::sync::Arc;

use undertone_aws::DynamoStore;
use undertone_core::{Names, ReadStore, SecretName, Standing, Store, VersionChange};
use undertone_tests::emulators::Ministack;
use undertone_tests::fault_proxy::FaultProxy;

use super::world::{
    Attributes, World, change, changes, existing, history, make_scopes, name, new_row, next_version, read,
    scope, text, version, write,
};
use crate::cloud::connection;

/// A world, and the same store in another process whose calls are counted.
async fn counted() -> (World, FaultProxy, DynamoStore) {
    let world = World::with_scopes(Ministack::start().url()).await;
    let proxy = FaultProxy::before(Ministack::start().url()).await;
    let other = world.other(&connection(&proxy.url()).dynamodb()).await;
    (world, proxy, other)
}

/// How many calls it takes.
async fn calls<T>(proxy: &FaultProxy, work: impl Future<Output = T>) -> (usize, T) {
    let before = proxy.requests();
    let done = work.await;
    (proxy.requests() - before, done)
}

#[tokio::test]
async fn a_cold_chain_of_ten_names_in_two_scopes_is_one_call_and_one_unwrap() {
    let (world, proxy, other) = counted().await;
    let names: Vec<SecretName> = (0..10).map(|number| name(&format!("NAME_{number}"))).collect();
    for name in &names {
        write(&*world.store, new_row("dev", name.as_str())).await.unwrap();
    }
    write(&*world.store, new_row("dev/sp_1", "NAME_3")).await.unwrap();
    let before = world.keys.unwraps();
    let chain = scope("dev/sp_1").chain();
    let (count, rows) = calls(&proxy, other.chain(&chain, Names::Only(&names))).await;
    let rows = rows.unwrap();
    assert_eq!((rows.scopes[0].rows.len(), rows.scopes[1].rows.len()), (10, 1));
    assert_eq!((count, world.keys.unwraps() - before), (1, 1));
}

#[tokio::test]
async fn reads_cost_what_the_documentation_says() {
    let (world, proxy, other) = counted().await;
    let names: Vec<SecretName> = (0..120).map(|number| name(&format!("NAME_{number}"))).collect();
    for part in names[..60].chunks(world.store.limits().changes) {
        let part = part.iter().map(|name| new_row("dev", name.as_str())).collect();
        world.store.write(changes(part)).await.unwrap();
    }
    let next = next_version(&*world.store, "dev", "NAME_1").await;
    write(&*world.store, next).await.unwrap();
    let (chain, env) = (scope("dev/sp_1").chain(), scope("dev").chain());
    assert_eq!(calls(&proxy, other.epoch(&chain)).await.0, 1);
    for (count, want) in [(0, 1), (49, 1), (50, 2), (120, 2)] {
        let found = calls(&proxy, other.chain(&chain, Names::Only(&names[..count]))).await;
        assert_eq!((found.0, found.1.unwrap().scopes[0].rows.len()), (want, count.min(60)), "{count} names");
    }
    assert_eq!(calls(&proxy, other.chain(&env, Names::Only(&names[..99]))).await.0, 1);
    assert_eq!(calls(&proxy, other.chain(&chain, Names::All)).await.0, 3);
    assert_eq!(calls(&proxy, other.chain(&env, Names::All)).await.0, 1);
    assert_eq!(calls(&proxy, history(&other, "dev", "NAME_0")).await.0, 1);
    assert_eq!(calls(&proxy, history(&other, "dev", "NAME_1")).await.0, 2);
    assert_eq!(calls(&proxy, other.environments()).await.0, 1);
    assert_eq!(calls(&proxy, other.spaces(&env.environment, None, 500)).await.0, 2);
}

#[tokio::test]
async fn writes_cost_what_the_documentation_says() {
    let (world, proxy, other) = counted().await;
    let store = &*world.store;
    for (scope, name) in [("dev", "FIRST"), ("dev", "SECOND"), ("dev/sp_1", "FIRST")] {
        write(store, new_row(scope, name)).await.unwrap();
    }
    for (what, change, want) in [
        ("a new name in a Space", new_row("dev/sp_1", "TOKEN"), 4),
        ("a new name in an Environment", new_row("dev", "TOKEN"), 5),
        ("a new version", next_version(store, "dev", "FIRST").await, 2),
        ("a lock", change(store, "dev/sp_1", "FIRST", VersionChange::Keep).await, 2),
        ("a revoked version", change(store, "dev", "SECOND", VersionChange::Revoke(1)).await, 2),
    ] {
        let (count, written) = calls(&proxy, write(&other, change)).await;
        assert_eq!((count, written), (want, Ok(())), "{what}");
    }
    let (count, _) = calls(&proxy, make_scopes(&other, &["dev/sp_2"])).await;
    assert_eq!(count, 2);
}

#[tokio::test]
async fn a_new_name_of_an_environment_costs_the_same_whatever_its_spaces_have() {
    let (world, proxy, other) = counted().await;
    let counts = async |name_text: &str| {
        let (count, written) = calls(&proxy, write(&other, new_row("dev", name_text))).await;
        written.unwrap();
        count
    };
    write(&*world.store, new_row("dev", "FIRST")).await.unwrap();
    let alone = counts("ALONE").await;
    for number in 0..30 {
        let scope = format!("dev/more_{number}");
        make_scopes(&*world.store, &[&scope]).await;
        write(&*world.store, new_row(&scope, "TOKEN")).await.unwrap();
    }
    assert_eq!(counts("TOKEN").await, alone);
}

#[tokio::test]
async fn a_listed_spelling_without_its_row_bars_nothing() {
    let (world, _proxy, other) = counted().await;
    let spaces: Vec<String> = (0..12).map(|number| format!("dev/more_{number}")).collect();
    for scope in &spaces {
        make_scopes(&*world.store, &[scope]).await;
        for spelling in ["token", "Token"] {
            let spelt = write(&*world.store, new_row(scope, spelling)).await;
            assert_eq!(spelt.is_ok(), spelling == "token", "{spelt:?}");
        }
    }
    let listed = async || -> Vec<Attributes> {
        let items = world.items().await.into_iter();
        items.filter(|item| text(item, "pk").starts_with("names#")).collect()
    };
    let entries = listed().await;
    assert_eq!(entries.len(), spaces.len());
    assert!(write(&other, new_row("dev", "TOKEN")).await.is_err(), "their rows are there");
    for scope in &spaces {
        let gone = change(&*world.store, scope, "token", VersionChange::DestroyAll).await;
        write(&*world.store, gone).await.unwrap();
    }
    assert_eq!(listed().await, []);
    for entry in &entries {
        world.put(entry).await;
    }
    write(&other, new_row("dev", "TOKEN")).await.unwrap();
    for spelling in ["token", "TOKEN"] {
        let row = read(&other, &spaces[3], spelling).await.unwrap();
        assert!(row.is_none_or(|row| row.head.standing == Standing::Destroyed));
    }
}

#[tokio::test]
async fn readers_never_see_half_of_a_write() {
    let (world, _proxy, other) = counted().await;
    let store: Arc<dyn Store> = world.store.clone();
    // Whatever is read, both rows are at the same version.
    for scope in ["dev", "dev/sp_1"] {
        write(&*store, new_row(scope, "TOKEN")).await.unwrap();
    }
    let writer = tokio::spawn(async move {
        for number in 2..40 {
            let mut both = Vec::new();
            for scope in ["dev", "dev/sp_1"] {
                let versions = VersionChange::Add(version(number));
                both.push(change(&*store, scope, "TOKEN", versions).await);
            }
            store.write(changes(both)).await.unwrap();
        }
    });
    let many: Vec<SecretName> = (0..60).map(|number| name(&format!("NAME_{number}"))).collect();
    let many = [many, vec![name("TOKEN")]].concat();
    let mut reads = 0;
    while !writer.is_finished() {
        for names in [Names::All, Names::Only(&[name("TOKEN")]), Names::Only(&many)] {
            let rows = other.chain(&scope("dev/sp_1").chain(), names).await.unwrap();
            let current = |at: usize| rows.scopes[at].rows[0].head.current;
            assert_eq!(current(0), current(1), "{names:?}");
        }
        let history = history(&other, "dev", "TOKEN").await;
        assert_eq!(history.versions.len() as u64, history.row.head.latest);
        reads += 1;
    }
    writer.await.unwrap();
    assert!(3 < reads, "they met");
    assert_eq!(existing(&other, "dev", "TOKEN").await.head.current, 39);
}
