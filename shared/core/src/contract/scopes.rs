//! Checks of Environments, Spaces and the epoch.

use super::fixture::{changes, existing, key, make_scopes, name, new_row, next_version, scope, time, write};
use crate::id::{EnvironmentId, SpaceId};
use crate::rules::Mode;
use crate::store::{Batch, Environment, Epoch, Names, Space, Store, StoreError};

fn environment(text: &str) -> EnvironmentId {
    text.parse().expect("the suites' ids are ids")
}

fn space(text: &str) -> SpaceId {
    text.parse().expect("the suites' ids are ids")
}

pub(super) async fn a_new_store_is_empty(store: &dyn Store) {
    assert_eq!(store.environments().await, Ok(Vec::new()));
    assert!(0 < store.limits().changes && 0 < store.limits().scopes);
}

pub(super) async fn two_stores_have_two_ids(one: &dyn Store, other: &dyn Store) {
    assert_eq!(one.id(), one.id());
    assert_ne!(one.id(), other.id(), "records are bound to their store");
}

pub(super) async fn environments_come_back_by_id(store: &dyn Store) {
    let made = [("prod", Mode::Standard), ("Prod", Mode::Standard), ("dev", Mode::Development)];
    for (number, (id, mode)) in (0..).zip(made) {
        let made = Environment { id: environment(id), mode, created_at: time(number) };
        assert_eq!(store.create_environment(made).await, Ok(()), "{id}");
    }
    let expected = [("Prod", Mode::Standard, 1), ("dev", Mode::Development, 2), ("prod", Mode::Standard, 0)]
        .map(|(id, mode, at)| Environment { id: environment(id), mode, created_at: time(at) });
    assert_eq!(store.environments().await, Ok(expected.to_vec()));
}

pub(super) async fn an_environment_is_made_once(store: &dyn Store) {
    make_scopes(store, &["prod"]).await;
    let again = Environment { id: environment("prod"), mode: Mode::Development, created_at: time(9) };
    assert_eq!(store.create_environment(again).await, Err(StoreError::Exists(scope("prod"))));
    let kept = store.environments().await.expect("readable");
    assert_eq!(kept.iter().map(|kept| kept.mode).collect::<Vec<_>>(), [Mode::Standard], "nothing changed");
}

pub(super) async fn a_space_is_made_once_in_an_environment_that_is_there(store: &dyn Store) {
    let made = |environment_id: &str| Space {
        environment: environment(environment_id),
        id: space("sp_1"),
        created_at: time(5),
    };
    let unknown = Err(StoreError::UnknownEnvironment(environment("dev")));
    assert_eq!(store.create_space(made("dev")).await, unknown);
    make_scopes(store, &["dev", "prod"]).await;
    assert_eq!(store.create_space(made("dev")).await, Ok(()));
    assert_eq!(store.create_space(made("dev")).await, Err(StoreError::Exists(scope("dev/sp_1"))));
    assert_eq!(store.create_space(made("prod")).await, Ok(()), "another Environment, another Space");
    let spaces = store.spaces(&environment("dev"), None, 10).await;
    assert_eq!(spaces, Ok(vec![made("dev")]));
}

pub(super) async fn spaces_come_in_pages_by_id(store: &dyn Store) {
    make_scopes(store, &["dev", "prod", "prod/sp_9", "dev/a", "dev/sp_10", "dev/sp_1", "dev/B", "dev/sp_2"])
        .await;
    let dev = environment("dev");
    for (after, limit, expected) in [
        (None, 10, &["B", "a", "sp_1", "sp_10", "sp_2"][..]),
        (None, 2, &["B", "a"]),
        (Some("a"), 2, &["sp_1", "sp_10"]),
        (Some("sp_10"), 2, &["sp_2"]),
        (Some("sp_2"), 2, &[]),
        (Some("b"), 1, &["sp_1"]),
        (None, 0, &[]),
        (None, usize::MAX, &["B", "a", "sp_1", "sp_10", "sp_2"]),
    ] {
        let after_id = after.map(space);
        let page = store.spaces(&dev, after_id.as_ref(), limit).await.expect("readable");
        let ids: Vec<&str> = page.iter().map(|space| space.id.as_str()).collect();
        assert_eq!(ids, expected, "{limit} after {after:?}");
        assert!(page.iter().all(|space| space.environment == dev && space.created_at == time(2)));
    }
    let unknown = Err(StoreError::UnknownEnvironment(environment("stage")));
    assert_eq!(store.spaces(&environment("stage"), None, 10).await, unknown);
}

pub(super) async fn an_unknown_scope_is_an_error_of_its_own(store: &dyn Store) {
    make_scopes(store, &["dev", "dev/sp_1", "prod"]).await;
    let token = name("TOKEN");
    for (unknown, error) in [
        ("stage", StoreError::UnknownEnvironment(environment("stage"))),
        ("stage/sp_1", StoreError::UnknownEnvironment(environment("stage"))),
        ("dev/sp_2", StoreError::UnknownSpace(environment("dev"), space("sp_2"))),
        ("prod/sp_1", StoreError::UnknownSpace(environment("prod"), space("sp_1"))),
    ] {
        for names in [Names::All, Names::Only(&[]), Names::Only(std::slice::from_ref(&token))] {
            let read = store.chain(&scope(unknown).chain(), names).await;
            assert_eq!(read.err().as_ref(), Some(&error), "{unknown} {names:?}");
        }
        assert_eq!(write(store, new_row(unknown, "TOKEN")).await.as_ref(), Err(&error), "{unknown}");
        let batch = Batch { keys: vec![(scope(unknown), key(1, 1))], ..Batch::default() };
        assert_eq!(store.write(batch).await, Err(error), "{unknown}");
        assert_eq!(store.history(&scope(unknown), &token).await, Ok(None), "{unknown}");
    }
}

pub(super) async fn the_epoch_rises_with_every_change_and_not_otherwise(store: &dyn Store) {
    make_scopes(store, &["dev"]).await;
    let environment = async || store.epoch(&scope("dev").chain()).await.expect("readable");
    let before = environment().await;
    make_scopes(store, &["dev/sp_1"]).await;
    let epoch = async || store.epoch(&scope("dev/sp_1").chain()).await;
    let mut seen: Vec<Epoch> = vec![epoch().await.expect("readable")];
    write(store, new_row("dev/sp_1", "TOKEN")).await.expect("it is new");
    seen.push(epoch().await.expect("readable"));
    let next = next_version(&existing(store, "dev/sp_1", "TOKEN").await);
    write(store, next).await.expect("nobody came between");
    seen.push(epoch().await.expect("readable"));
    let batch = Batch { keys: vec![(scope("dev"), key(1, 1))], ..Batch::default() };
    store.write(batch).await.expect("it is new");
    seen.push(epoch().await.expect("readable"));
    write(store, new_row("dev", "TOKEN")).await.expect("it is new");
    seen.push(epoch().await.expect("readable"));
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    assert!(before < environment().await, "the Environment's own chain, too");

    let last = seen.last().copied();
    let chain = store.chain(&scope("dev/sp_1").chain(), Names::All).await.expect("readable");
    assert_eq!(Some(chain.epoch), last);
    store.history(&scope("dev"), &name("TOKEN")).await.expect("readable");
    store.write(changes(vec![new_row("dev/sp_1", "TOKEN")])).await.expect_err("it is there already");
    assert_eq!(epoch().await.ok(), last, "reading and failing change nothing");
}
