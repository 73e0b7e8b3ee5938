//! Records that were moved or edited in the store don't open, and no other name suffers.

use std::sync::Arc;

use undertone_core::record::KeyId;
use undertone_core::{Body, ChainRows, Row, Version};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, HOST, value, version};
use crate::wrapped::WrappedStore;

/// What a hand in the store does to the rows of a chain.
type Edit = fn(&mut ChainRows);

#[tokio::test]
async fn records_that_were_moved_or_edited_are_unreadable_and_the_others_are_not() {
    // What audit says of it; nothing where already the lookup fails.
    let edits: [(&str, Option<&str>, Edit); 8] = [
        ("the records of two names are swapped", Some("commitment mismatch"), |rows| {
            let [one, two] = ["ONE", "TWO"].map(|name| current(rows, "live/red", name).body.clone());
            current(rows, "live/red", "ONE").body = two;
            current(rows, "live/red", "TWO").body = one;
        }),
        ("a bit is wrong", Some("ciphertext edited"), |rows| {
            each(rows, |version| edit(version, |record| record[90] ^= 1));
        }),
        ("the end is missing", Some("wrong length"), |rows| {
            each(rows, |version| edit(version, |record| record.truncate(100)));
        }),
        ("nothing is left", None, |rows| each(rows, |version| edit(version, Vec::clear))),
        ("the rules were loosened", Some("commitment mismatch"), |rows| {
            each(rows, |version| version.rules = hosts(&[HOST, "evil.example"]));
        }),
        ("old records stand under the current version", Some("commitment mismatch"), |rows| {
            each(rows, |version| version.number += 1);
        }),
        ("a record that blocks is passed off as a value", Some("commitment mismatch"), |rows| {
            let block = current(rows, "live/red", "BLOCKED").body.record().clone();
            each(rows, |version| version.body = Body::Value(block.clone()));
        }),
        ("the records are the Environment's", None, |rows| {
            let [one, two] = ["ONE", "TWO"].map(|name| current(rows, "live", name).body.clone());
            current(rows, "live/red", "ONE").body = one;
            current(rows, "live/red", "TWO").body = two;
        }),
    ];
    for (what, reason, change) in edits {
        let world = world().await;
        let store = WrappedStore::new(world.store.clone());
        let names = ["ONE", "TWO", "THREE", "BLOCKED"];
        let asker = Asker::over(&world, store.clone(), world.keys.clone(), &names);
        store.set_edit(change);
        for name in ["ONE", "TWO"] {
            let answer = asker.ask("live/red", name).await;
            assert_eq!(answer, Answer::Unreadable(scope("live/red")), "{what}: {name}");
        }
        assert_eq!(asker.ask("live/red", "THREE").await, value("three-value", "live/red"), "{what}");
        let rows = world.rows_in_short().await;
        let failed: Vec<&String> = rows.iter().filter(|row| row.contains(" failed ")).collect();
        let want =
            reason.map(|reason| ["ONE", "TWO"].map(|name| format!("secret.use {name} failed {reason}")));
        assert_eq!(failed, want.iter().flatten().collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test]
async fn a_key_that_is_missing_or_another_makes_its_scope_unreadable_and_no_other() {
    let edits: [Edit; 3] = [
        |rows| rows.scopes[1].keys.clear(),
        |rows| rows.scopes[1].keys = rows.scopes[0].keys.clone(),
        |rows| rows.scopes[1].keys[0].id = KeyId([7; 16]),
    ];
    for (case, change) in edits.into_iter().enumerate() {
        let world = world().await;
        world.set_with("live", "INHERITED", "inherited-value", hosts(&[HOST])).await;
        let store = WrappedStore::new(world.store.clone());
        let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["ONE", "INHERITED"]);
        store.set_edit(change);
        let answer = asker.ask("live/red", "ONE").await;
        assert_eq!(answer, Answer::Unreadable(scope("live/red")), "{case}: and not the Environment's value");
        assert_eq!(asker.ask("live/red", "INHERITED").await, value("inherited-value", "live"), "{case}");
    }
}

#[tokio::test]
async fn a_value_that_is_passed_off_as_a_block_gives_no_value() {
    let world = world().await;
    let store = WrappedStore::new(world.store.clone());
    let asker = Asker::over(&world, store.clone(), world.keys.clone(), &["ONE", "THREE"]);
    store.set_edit(|rows| {
        let version = current(rows, "live/red", "ONE");
        version.body = Body::Blocked(version.body.record().clone());
    });
    assert_eq!(asker.ask("live/red", "ONE").await, Answer::Blocked(scope("live/red")));
    assert_eq!(asker.ask("live/red", "THREE").await, value("three-value", "live/red"));
}

/// Two names, each with a value in both scopes; a third beside them, and a name that is blocked.
async fn world() -> World {
    let world = World::new().await;
    for at in ["live", "live/red"] {
        for (name, value) in [("ONE", "one-value"), ("TWO", "two-value")] {
            world.set_with(at, name, value, hosts(&[HOST])).await;
        }
    }
    world.set_with("live/red", "THREE", "three-value", hosts(&[HOST])).await;
    let spelling = undertone_core::vault::Spelling::Canonical;
    world.vault.block(&scope("live/red"), &name("BLOCKED"), spelling).await.expect("a block");
    let asker = Asker::new(&world, &["ONE", "TWO"]);
    assert_eq!(asker.ask("live/red", "ONE").await, version("one-value", "live/red", 1));
    world
}

fn current<'a>(rows: &'a mut ChainRows, at: &str, name: &str) -> &'a mut Version {
    let at = scope(at);
    let scope = rows.scopes.iter_mut().find(|rows| rows.scope == at).expect("the chain has the scope");
    let row: &mut Row =
        scope.rows.iter_mut().find(|row| row.name.as_str() == name).expect("the row is there");
    row.current.as_mut().expect("the row has a version")
}

/// Changes the Space's two values.
fn each(rows: &mut ChainRows, change: impl Fn(&mut Version)) {
    for name in ["ONE", "TWO"] {
        change(current(rows, "live/red", name));
    }
}

fn edit(version: &mut Version, change: impl FnOnce(&mut Vec<u8>)) {
    let mut record = version.body.record().to_vec();
    change(&mut record);
    version.body = Body::Value(Arc::from(record));
}
