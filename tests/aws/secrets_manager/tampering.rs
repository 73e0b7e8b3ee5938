//! What somebody finds who changes a store's secrets past Undertone: what is noticed, and what isn't.

use std::sync::Arc;

use undertone_core::audit::Actor;
use undertone_core::memory::MemoryAudit;
use undertone_core::vault::{SetRequest, Vault};
use undertone_core::{Names, ReadStore, SecretValue, Store, StoreError, SystemClock};
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::fake_aws::FakeAws;

use super::world::{World, change, name, names, new_row, row, scope, write};

async fn assert_damaged(store: &dyn Store, place: &str, what: &str) {
    let read = store.chain(&scope(place).chain(), Names::All).await;
    let Err(StoreError::Damaged(problem)) = read else { panic!("{what}: {read:?}") };
    assert!(problem.contains(&scope(place).to_string()), "{what}: {problem}");
}

#[tokio::test]
async fn every_changed_byte_is_found() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let (text, _) = world.stored("dev").await;
    assert!(text.is_ascii());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        world.put("dev", &String::from_utf8(bytes).unwrap()).await;
        let read = world.store.epoch(&scope("dev").chain()).await;
        let is_found = match &read {
            Err(StoreError::Damaged(problem)) => problem.contains("Environment dev"),
            // The number of the format may become a higher one.
            Err(StoreError::Denied(problem)) => problem.contains("has the format"),
            _ => false,
        };
        assert!(is_found, "byte {at}, `{}`: {read:?}", &text[at..=at]);
    }
    world.put("dev", &text).await;
    assert!(world.store.epoch(&scope("dev").chain()).await.is_ok());
}

#[tokio::test]
async fn texts_that_nobody_wrote_are_found() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let (text, _) = world.stored("dev").await;
    let (head, mac) = text.split_at(text.len() - 53);
    for (what, edited) in [
        ("no MAC", format!("{head}}}")),
        ("an empty MAC", format!("{head},\"mac\":\"\"}}")),
        ("another", format!("{head},\"mac\":\"{}\"}}", "A".repeat(43))),
        ("space added", format!("{head} {mac}")),
        ("a field added", format!("{head},\"more\":1{mac}")),
        ("a field twice", format!("{head},\"epoch\":9{mac}")),
        ("a row left out", format!("{}\"rows\":[]{mac}", head.split("\"rows\"").next().unwrap())),
        ("unlocked rules", head.replace("\"standing\":0", "\"standing\":1") + mac),
        ("an earlier epoch", head.replace("\"epoch\":2", "\"epoch\":1") + mac),
        ("another mode", head.replace("\"mode\":0", "\"mode\":1") + mac),
        ("cut", text[..text.len() / 2].to_owned()),
        ("nothing", " ".to_owned()),
        ("no JSON", "ä".repeat(60)),
        ("somebody's", "{\"user\":\"a\",\"password\":\"b\"}".to_owned()),
    ] {
        assert_ne!(edited, text, "{what}");
        world.put("dev", &edited).await;
        assert_damaged(&*world.store, "dev", what).await;
        let written = write(&*world.store, new_row("dev", "OTHER")).await;
        assert!(matches!(written, Err(StoreError::Damaged(_))), "{what}: nothing is built on it");
    }
    world.put("dev", &text.replace("\"format\":1", "\"format\":2")).await;
    let newer = world.store.epoch(&scope("dev").chain()).await.unwrap_err();
    assert_eq!(newer.to_string(), "the store refused: Environment dev has the format 2: update this program");
}

#[tokio::test]
async fn a_document_in_the_place_of_another_is_found() {
    let aws = FakeAws::start().await;
    let scopes = ["dev", "prod", "dev/sp_1", "dev/sp_2", "prod/sp_1"];
    let (world, other) = (World::with(&aws.url(), &scopes).await, World::with(&aws.url(), &scopes).await);
    for (from, to) in [
        ("dev/sp_1", "dev/sp_2"),
        ("dev/sp_2", "dev/sp_1"),
        ("prod/sp_1", "dev/sp_1"),
        ("prod", "dev"),
        ("dev", "dev/sp_1"),
        ("dev/sp_1", "dev"),
    ] {
        let (kept, _) = world.stored(to).await;
        world.put(to, &world.stored(from).await.0).await;
        assert_damaged(&*world.store, to, &format!("{from} as {to}")).await;
        world.put(to, &kept).await;
    }
    world.put("dev", &other.stored("dev").await.0).await;
    assert_damaged(&*world.store, "dev", "another store's").await;
}

#[tokio::test]
async fn an_older_version_of_a_whole_scope_is_not_found() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let (_, older) = world.stored("dev").await;
    write(&*world.store, change("dev", "TOKEN", Some(1), 2)).await.unwrap();
    let (_, newer) = world.stored("dev").await;
    let moved = world.client.update_secret_version_stage().secret_id(world.secret("dev"));
    let moved = moved.version_stage("AWSCURRENT").remove_from_version_id(newer).move_to_version_id(older);
    moved.send().await.unwrap();
    // The module says so: what once was right passes. It is also how a damaged scope is mended.
    assert_eq!(row(&*world.store, "dev", "TOKEN").await.unwrap().head.current, 1);
    write(&*world.store, change("dev", "TOKEN", Some(1), 2)).await.unwrap();
}

#[tokio::test]
async fn no_value_and_no_error_shows_what_was_sealed() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    let (audit, clock) = (Arc::new(MemoryAudit::default()), Arc::new(SystemClock::default()));
    let keys = world.keys.clone();
    let store: Arc<dyn Store> = world.store.clone();
    let vault = Vault::new(store, keys.clone(), keys, audit, clock, Actor::Operator("tester".into()));
    for place in ["dev", "dev/sp_1"] {
        let value = SecretValue::new(CANARY.as_bytes().to_vec()).unwrap();
        vault.set(&scope(place), SetRequest::new(name("TOKEN"), value)).await.unwrap();
    }
    let stored = aws.secrets().stored_bytes().concat();
    assert!(stored.windows(5).any(|window| window == b"TOKEN"), "names are readable");
    assert_clean(&stored, CANARY);

    world.put("dev", &format!("{{\"format\":1,\"environment\":\"{CANARY}\",\"epoch\":\"{CANARY}\"}}")).await;
    let error = world.store.epoch(&scope("dev").chain()).await.unwrap_err();
    assert_clean(format!("{error} {error:?}").as_bytes(), CANARY);
    assert!(names(&*world.store, "dev/sp_1").await.is_err(), "below an unreadable scope nothing is read");
}
