//! What fits, and what is said of what doesn't.

use std::collections::BTreeSet;

use undertone_core::{
    Batch, Body, HostRule, Names, ReadStore, Rules, Scope, Space, Standing, Store, StoreError, Version,
    VersionChange,
};
use undertone_tests::emulators::Ministack;

use super::world::{
    World, change, change_of, changes, existing, history, large_version, name, new_row, next_version, scope,
    text, version, write,
};

/// The largest record: 64 KiB of value, padded.
const LARGEST_RECORD: usize = 65_798;

#[tokio::test]
async fn a_full_batch_of_the_largest_records_is_written_and_written_over() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let count = world.store.limits().changes;
    let names: Vec<String> = (0..count).map(|number| format!("NAME_{number}")).collect();
    let large = |number| VersionChange::Add(large_version(number, LARGEST_RECORD));
    let first =
        names.iter().map(|name| undertone_core::Change { versions: large(1), ..new_row("dev/sp_1", name) });
    world.store.write(changes(first.collect())).await.unwrap();
    let mut second = Vec::new();
    for name in &names {
        second.push(change(&*world.store, "dev/sp_1", name, large(2)).await);
    }
    world.store.write(changes(second)).await.unwrap();
    // Each takes its first version back: four items at once.
    let mut back = Vec::new();
    for name in &names {
        let mut change = change(&*world.store, "dev/sp_1", name, VersionChange::Keep).await;
        change.head.current = 1;
        back.push(change);
    }
    world.store.write(changes(back)).await.unwrap();
    let all = world.store.chain(&scope("dev/sp_1").chain(), Names::All).await.unwrap();
    assert_eq!(all.scopes[1].rows.len(), count);
    let is_first = |version: &Option<Version>| version == &Some(large_version(1, LARGEST_RECORD));
    assert!(all.scopes[1].rows.iter().all(|row| is_first(&row.current)));
    // More than 4 MB, which one transaction doesn't read.
    let asked: Vec<_> = names.iter().map(|text| name(text)).collect();
    let some = world.store.chain(&scope("dev/sp_1").chain(), Names::Only(&asked)).await.unwrap();
    assert_eq!(some.scopes[1].rows.len(), count);
    assert_eq!(history(&*world.store, "dev/sp_1", "NAME_3").await.versions.len(), 2);
}

#[tokio::test]
async fn a_batch_reaches_as_many_scopes_as_the_limits_say() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let limits = world.store.limits();
    let spaces: Vec<String> = (0..limits.scopes).map(|number| format!("dev/new_{number}")).collect();
    let made = spaces.iter().map(|text| match scope(text) {
        Scope::Space(environment, id) => Space { environment, id, created_at: jiff::Timestamp::UNIX_EPOCH },
        Scope::Environment(_) => unreachable!("they are Spaces"),
    });
    let rows =
        (0..limits.changes).map(|number| new_row(&spaces[number % spaces.len()], &format!("N_{number}")));
    let batch = Batch { spaces: made.collect(), changes: rows.collect(), ..Batch::default() };
    world.store.write(batch).await.unwrap();
    let chain = world.store.chain(&scope(&spaces[0]).chain(), Names::All).await.unwrap();
    assert_eq!(chain.scopes[1].rows.len(), limits.changes.div_ceil(spaces.len()));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_whole_and_says_what_to_do() {
    let world = World::with_scopes(Ministack::start().url()).await;
    write(&*world.store, new_row("dev", "KEPT")).await.unwrap();
    let host = |number: usize| format!("host-{number}.example.com").parse::<HostRule>().unwrap();
    let hosts = Rules { hosts: Some((0..20_000).map(host).collect()), ..Rules::default() };
    let many = |count: u64| (1..=count).map(version).collect::<Vec<_>>();
    let one = |versions| vec![undertone_core::Change { versions, ..new_row("dev", "LARGE") }];
    let rows = (0..60).map(|number| new_row("dev", &format!("NAME_{number}"))).collect();
    for (what, batch) in [
        ("a record", one(VersionChange::Add(large_version(1, 400 << 10)))),
        ("rules", one(VersionChange::Add(Version { rules: hosts, ..version(1) }))),
        ("versions", one(VersionChange::AddAll(many(120)))),
        ("bytes", one(VersionChange::AddAll((1..=80).map(|n| large_version(n, LARGEST_RECORD)).collect()))),
        ("rows", rows),
    ] {
        let refused = world.store.write(changes(batch)).await;
        match refused {
            // Sixty rows fit: the limits promise less than there is.
            Ok(()) => assert_eq!(what, "rows"),
            Err(StoreError::Full { scope: at, problem }) => {
                assert_eq!(at, scope("dev"), "{what}");
                assert!(problem.contains("at most"), "{problem}");
                let all = world.store.chain(&scope("dev").chain(), Names::All).await.unwrap();
                assert_eq!(all.scopes[0].rows.len(), 1, "{what}");
            }
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_long_history_is_read_whole_and_destroyed_whole() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let store = &*world.store;
    write(store, new_row("dev", "TOKEN")).await.unwrap();
    write(store, new_row("dev", "TOKEN_2")).await.unwrap();
    for part in 0..4 {
        let from = 2 + part * 60;
        let added = (from..from + 60).map(version).collect();
        write(store, change(store, "dev", "TOKEN", VersionChange::AddAll(added)).await).await.unwrap();
    }
    let large = (300..320).map(|number| large_version(number, LARGEST_RECORD)).collect();
    write(store, change(store, "dev", "TOKEN", VersionChange::AddAll(large)).await).await.unwrap();
    let before = history(store, "dev", "TOKEN").await;
    assert_eq!(before.versions.len(), 261);
    assert!(before.versions.is_sorted_by(|one, next| next.number < one.number));
    let row = existing(store, "dev", "TOKEN").await;
    assert_eq!(write(store, change_of(&row, VersionChange::DestroyAll)).await, Ok(()));
    let after = history(store, "dev", "TOKEN").await;
    assert_eq!((after.versions.len(), after.row.current), (0, None));
    assert_eq!(after.row.head.standing, Standing::Destroyed);
    assert_eq!(after.row.revision.0, row.revision.0 + 1);
    let left = world.items().await;
    let records = left.iter().filter(|item| item.contains_key("record"));
    assert_eq!(records.count(), 1, "that of the other row");
    assert!(!left.iter().any(|item| text(item, "sk").starts_with("ver#")));
    write(store, next_version(store, "dev", "TOKEN").await).await.unwrap();
    assert_eq!(history(store, "dev", "TOKEN").await.versions.len(), 1);
}

#[tokio::test]
async fn versions_come_and_go_in_any_order() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let store = &*world.store;
    write(store, new_row("dev", "TOKEN")).await.unwrap();
    let numbers = async || -> Vec<(u64, bool)> {
        let history = history(store, "dev", "TOKEN").await;
        assert_eq!(history.row, existing(store, "dev", "TOKEN").await);
        let current = history.row.current.as_ref().map(|version| version.number);
        let versions = history.versions.iter();
        versions.map(|version| (version.number, Some(version.number) == current)).collect()
    };
    let add = |numbers: &[u64]| VersionChange::AddAll(numbers.iter().copied().map(version).collect());
    for (versions, current, want) in [
        (add(&[5, 3]), 1, vec![(5, false), (3, false), (1, true)]),
        (VersionChange::Keep, 3, vec![(5, false), (3, true), (1, false)]),
        (add(&[4]), 3, vec![(5, false), (4, false), (3, true), (1, false)]),
        (VersionChange::Add(version(6)), 6, vec![(6, true), (5, false), (4, false), (3, false), (1, false)]),
        (VersionChange::Revoke(4), 1, vec![(6, false), (5, false), (4, false), (3, false), (1, true)]),
        (VersionChange::Revoke(1), 1, vec![(6, false), (5, false), (4, false), (3, false), (1, true)]),
    ] {
        let mut change = change(store, "dev", "TOKEN", versions.clone()).await;
        change.head.current = current;
        assert_eq!(write(store, change).await, Ok(()), "{versions:?}");
        assert_eq!(numbers().await, want, "{versions:?}");
    }
    let revoked = history(store, "dev", "TOKEN").await.versions.into_iter().filter(|version| version.revoked);
    assert_eq!(revoked.map(|version| version.number).collect::<BTreeSet<_>>(), [1, 4].into());
    for taken in [1, 4, 6] {
        for versions in [VersionChange::Add(version(taken)), VersionChange::AddAll(vec![version(taken)])] {
            let mut again = change(store, "dev", "TOKEN", versions).await;
            again.head.current = 1;
            assert!(matches!(write(store, again).await, Err(StoreError::Conflict { .. })), "{taken}");
        }
    }
    let body = Body::Value(b"sealed anew".to_vec().into());
    let row = existing(store, "dev", "TOKEN").await;
    let (scope, name) = (row.scope.clone(), row.name.clone());
    let records = [1, 5].map(|number| (number, body.record().clone())).to_vec();
    let reseal = undertone_core::Reseal { scope, name, expected: row.revision, records };
    store.write(Batch { reseals: vec![reseal], ..Batch::default() }).await.unwrap();
    for version in history(store, "dev", "TOKEN").await.versions {
        assert_eq!(version.body == body, [1, 5].contains(&version.number), "{}", version.number);
    }
}
