//! Changes of the table past the store: each is found, or changes nothing that anybody reads.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::{
    Batch, Body, KeyId, Names, ReadStore, SecretName, Store, StoreError, Version, VersionChange,
};
use undertone_tests::emulators::Ministack;

use super::world::{
    Attributes, World, change, history, name, new_row, next_version, read, scope, text, version, write,
};

const NAMES: [&str; 4] = ["TOKEN", "OTHER", "GONE", "ABSENT"];

/// A world with every kind of item.
async fn world() -> World {
    let world = World::with_scopes(Ministack::start().url()).await;
    let store = &*world.store;
    for scope in ["dev", "dev/sp_1"] {
        let blocked = Version { body: Body::Blocked(b"tombstone".to_vec().into()), ..version(1) };
        let blocked = VersionChange::Add(blocked);
        write(store, undertone_core::Change { versions: blocked, ..new_row(scope, "OTHER") }).await.unwrap();
        for name in ["TOKEN", "GONE"] {
            write(store, new_row(scope, name)).await.unwrap();
            for _ in 0..2 {
                write(store, next_version(store, scope, name).await).await.unwrap();
            }
        }
        write(store, change(store, scope, "TOKEN", VersionChange::Revoke(2)).await).await.unwrap();
        write(store, change(store, scope, "GONE", VersionChange::DestroyAll).await).await.unwrap();
        let blob = b"wrapped".as_slice().into();
        let key = WrappedKey { provider: Provider::Local, id: KeyId([1; 16]), generation: 1, blob };
        let keys = vec![(super::world::scope(scope), key)];
        store.write(Batch { keys, ..Batch::default() }).await.unwrap();
    }
    world
}

/// Every answer of the store, by question.
async fn answers(store: &dyn Store) -> BTreeMap<String, Result<String, StoreError>> {
    fn shown<T: std::fmt::Debug>(read: Result<T, StoreError>) -> Result<String, StoreError> {
        read.map(|read| format!("{read:?}"))
    }
    let few: Vec<SecretName> = NAMES.iter().map(|text| name(text)).collect();
    let more = (0..60).map(|number| name(&format!("NAME_{number}")));
    let many: Vec<SecretName> = few.iter().cloned().chain(more).collect();
    let mut answers = BTreeMap::new();
    let space = scope("dev/sp_1");
    answers.insert("epoch".to_owned(), shown(store.epoch(&space.chain()).await));
    for (what, names) in [("all", Names::All), ("few", Names::Only(&few)), ("many", Names::Only(&many))] {
        answers.insert(what.to_owned(), shown(store.chain(&space.chain(), names).await));
    }
    for (scope, name) in
        [scope("dev"), space].iter().flat_map(|scope| few.iter().map(move |name| (scope, name)))
    {
        answers.insert(format!("history of {name} in {scope}"), shown(store.history(scope, name).await));
    }
    answers.insert("list of Environments".to_owned(), shown(store.environments().await));
    let spaces = store.spaces(scope("dev").environment(), None, 10).await;
    answers.insert("list of Spaces".to_owned(), shown(spaces));
    answers
}

/// A value that is a little different, of the same type.
fn altered(value: &AttributeValue) -> Vec<AttributeValue> {
    match value {
        AttributeValue::S(text) => vec![AttributeValue::S(format!("{text}1"))],
        AttributeValue::N(number) => {
            let number: u64 = number.parse().unwrap();
            [number + 1, 0].map(|other| AttributeValue::N(other.to_string())).into()
        }
        AttributeValue::B(bytes) => {
            let longer = [bytes.as_ref(), b"\0"].concat();
            let mut flipped = bytes.as_ref().to_vec();
            flipped.last_mut().into_iter().for_each(|last| *last ^= 0x80);
            [longer, flipped].map(|bytes| AttributeValue::B(Blob::new(bytes))).into()
        }
        AttributeValue::Bool(flag) => vec![AttributeValue::Bool(!flag)],
        AttributeValue::L(list) => {
            let other = AttributeValue::B(Blob::new(b"EWK1\x02"));
            let fewer = list.iter().skip(1).cloned().collect();
            vec![AttributeValue::L(fewer), AttributeValue::L([list.clone(), vec![other]].concat())]
        }
        other => panic!("{other:?} is never stored"),
    }
}

/// Every item that differs from this one in one attribute.
fn edits(item: &Attributes) -> Vec<(String, Attributes)> {
    let mut edits = Vec::new();
    for (name, value) in item.iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str())) {
        let mut without = item.clone();
        without.remove(name);
        edits.push((format!("{name} removed"), without));
        for other in altered(value).into_iter().filter(|other| other != value) {
            let mut edited = item.clone();
            edited.insert(name.clone(), other);
            edits.push((format!("{name} altered"), edited));
        }
    }
    let mut more = item.clone();
    more.insert("purge_at".to_owned(), AttributeValue::S("2030-01-01T00:00:00Z".to_owned()));
    edits.push(("an attribute more".to_owned(), more));
    edits
}

/// Items in which a change must be noticed by somebody.
fn says_something(item: &Attributes) -> bool {
    !text(item, "pk").starts_with("names#") && text(item, "pk") != "store"
}

#[tokio::test]
async fn no_edit_of_any_attribute_is_believed() {
    let world = world().await;
    let right = answers(&*world.store).await;
    assert!(right.values().all(Result::is_ok), "{right:?}");
    let items = world.items().await;
    let mut tried = 0;
    // The Environment's rows are items like the Space's.
    let is_repeated = |item: &Attributes| text(item, "pk") == "S#dev" && text(item, "sk") != "head";
    for item in items.iter().filter(|item| text(item, "pk") != "store" && !is_repeated(item)) {
        for (what, edited) in edits(item) {
            let about = format!("{} {}: {what}", text(item, "pk"), text(item, "sk"));
            world.put(&edited).await;
            let now = answers(&*world.store).await;
            for (question, answer) in &now {
                match answer {
                    Ok(_) => assert_eq!(Some(answer), right.get(question), "{about}, {question}"),
                    Err(StoreError::Damaged(_)) => {}
                    Err(other) => panic!("{about}, {question}: {other:?}"),
                }
            }
            let noticed = now.values().any(Result::is_err);
            assert_eq!(noticed, says_something(item), "{about}");
            tried += 1;
        }
        world.put(item).await;
    }
    assert!(200 < tried, "{tried} edits of {} items", items.len());
    assert_eq!(answers(&*world.store).await, right);
}

#[tokio::test]
async fn an_item_that_is_removed_is_missed() {
    let world = world().await;
    let right = answers(&*world.store).await;
    for item in world.items().await.iter().filter(|item| text(item, "pk") != "store") {
        let (pk, sk) = (text(item, "pk"), text(item, "sk"));
        world.remove(item).await;
        let now = answers(&*world.store).await;
        world.put(item).await;
        // Lists are no proof that there are no others.
        let is_listed = pk.starts_with("spaces#") || pk == "environments";
        for (question, answer) in
            now.iter().filter(|(question, _)| !is_listed || !question.starts_with("list"))
        {
            assert!(answer.is_err() || Some(answer) == right.get(question), "{pk} {sk}, {question}");
        }
        let noticed = now.values().any(Result::is_err);
        assert!(noticed || is_listed || !says_something(item), "{pk} {sk}");
    }
}

#[tokio::test]
async fn a_row_that_is_removed_from_a_space_lets_nothing_through_from_above() {
    let world = world().await;
    let items = world.items().await;
    let rows = items.iter().filter(|item| text(item, "sk").starts_with("row#"));
    for item in rows.filter(|item| text(item, "pk") == "S#dev#sp_1") {
        world.remove(item).await;
        let name_text = text(item, "name");
        let found = read(&*world.store, "dev/sp_1", name_text).await;
        let Err(StoreError::Damaged(problem)) = found else { panic!("{name_text}: {found:?}") };
        assert!(problem.contains(&format!("`{name_text}` in Space dev/sp_1")), "{problem}");
        let all = world.store.chain(&scope("dev/sp_1").chain(), Names::All).await;
        assert!(matches!(all, Err(StoreError::Damaged(_))), "{all:?}");
        world.put(item).await;
    }
    let head = items.iter().find(|item| text(item, "pk") == "S#dev#sp_1" && text(item, "sk") == "head");
    world.remove(head.unwrap()).await;
    let found = read(&*world.store, "dev/sp_1", "TOKEN").await;
    assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
    let found = read(&*world.store, "dev/sp_1", "ABSENT").await;
    assert!(matches!(found, Err(StoreError::UnknownSpace(..))), "{found:?}");
}

#[tokio::test]
async fn an_item_in_anothers_place_is_refused() {
    let world = world().await;
    let right = answers(&*world.store).await;
    let items = world.items().await;
    for to in items.iter().filter(|item| says_something(item)) {
        for from in items
            .iter()
            .filter(|from| says_something(from) && (&from["pk"], &from["sk"]) != (&to["pk"], &to["sk"]))
        {
            let mut moved = from.clone();
            moved.extend(["pk", "sk"].map(|name| (name.to_owned(), to[name].clone())));
            world.put(&moved).await;
            let found = read(&*world.store, "dev/sp_1", "TOKEN").await;
            let versions = world.store.history(&scope("dev/sp_1"), &name("TOKEN")).await;
            let about = format!("{} at {} {}", text(from, "sk"), text(to, "pk"), text(to, "sk"));
            let same = format!("{versions:?}");
            let was = right["history of TOKEN in Space dev/sp_1"].as_ref().unwrap();
            assert!(versions.is_err() || same == format!("Ok({was})"), "{about}");
            assert!(found.is_err() || found.unwrap().unwrap().head.current == 3, "{about}");
        }
        world.put(to).await;
    }
    assert_eq!(answers(&*world.store).await, right);
}

#[tokio::test]
async fn a_whole_scope_in_anothers_place_is_refused() {
    let world = world().await;
    let items = world.items().await;
    for item in items.iter().filter(|item| text(item, "pk") == "S#dev#sp_1") {
        world.remove(item).await;
    }
    for item in items.iter().filter(|item| text(item, "pk") == "S#dev") {
        let mut moved = item.clone();
        moved.insert("pk".to_owned(), AttributeValue::S("S#dev#sp_1".to_owned()));
        world.put(&moved).await;
    }
    for (question, answer) in answers(&*world.store).await {
        let is_of_another = question.starts_with("list") || question.ends_with("Environment dev");
        assert_eq!(matches!(answer, Err(StoreError::Damaged(_))), !is_of_another, "{question}: {answer:?}");
    }
}

#[tokio::test]
async fn what_was_once_right_is_refused_when_it_is_put_back() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let store = &*world.store;
    write(store, new_row("dev/sp_1", "TOKEN")).await.unwrap();
    write(store, next_version(store, "dev/sp_1", "TOKEN").await).await.unwrap();
    let before = world.items().await;
    write(store, change(store, "dev/sp_1", "TOKEN", VersionChange::Revoke(1)).await).await.unwrap();
    write(store, change(store, "dev/sp_1", "TOKEN", VersionChange::Revoke(2)).await).await.unwrap();
    let after = world.items().await;
    let mut tried = 0;
    for item in &before {
        let same = |other: &&Attributes| ["pk", "sk"].iter().all(|name| other[*name] == item[*name]);
        let Some(changed) = after.iter().find(same).filter(|changed| *changed != item) else { continue };
        world.put(item).await;
        let found = read(store, "dev/sp_1", "TOKEN").await;
        let versions = store.history(&scope("dev/sp_1"), &name("TOKEN")).await;
        let all = store.chain(&scope("dev/sp_1").chain(), Names::All).await;
        assert!(matches!(all, Err(StoreError::Damaged(_))) || text(item, "sk").starts_with("ver#"));
        // An old version isn't read together with its row.
        assert!(matches!(found, Err(StoreError::Damaged(_))) || text(item, "sk").starts_with("ver#"));
        assert!(matches!(versions, Err(StoreError::Damaged(_))), "{versions:?}");
        world.put(changed).await;
        tried += 1;
    }
    assert_eq!(tried, 3, "the head, the row and the older version changed");
    assert!(history(store, "dev/sp_1", "TOKEN").await.versions.iter().all(|version| version.revoked));
}

#[tokio::test]
async fn nothing_is_written_over_damage() {
    let world = world().await;
    let store = &*world.store;
    let change = next_version(store, "dev/sp_1", "TOKEN").await;
    let revoke = undertone_core::Change { versions: VersionChange::Revoke(1), ..change.clone() };
    let items = world.items().await;
    let is_of_another_row =
        |item: &Attributes| text(item, "sk").starts_with("row#") && text(item, "name") != "TOKEN";
    let own = items.iter().filter(|item| text(item, "pk") == "S#dev#sp_1" && !is_of_another_row(item));
    let mut tried = 0;
    for item in own {
        let is_version = text(item, "sk").starts_with("ver#");
        world.remove(item).await;
        let written = write(store, if is_version { revoke.clone() } else { change.clone() }).await;
        assert!(matches!(written, Err(StoreError::Damaged(_))), "{}: {written:?}", text(item, "sk"));
        world.put(item).await;
        tried += 1;
    }
    assert_eq!(tried, 4, "the head, the row and two older versions");
}
