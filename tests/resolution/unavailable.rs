//! A store or key service that fails is an answer of its own, and ends when the failure ends.

use undertone_core::{KeyError, ResolveError};
use undertone_tests::world::{World, hosts, scope};

use crate::lookup::{Answer, Asker, HOST, value};

async fn both_scopes() -> World {
    let world = World::new().await;
    world.set_with("live", "TOKEN", "a-value", hosts(&[HOST])).await;
    world.set_with("live/red", "TOKEN", "b-value", hosts(&[HOST])).await;
    world
}

#[tokio::test]
async fn a_broken_store_is_unavailable_and_never_a_missing_secret_or_the_value_beneath() {
    let world = both_scopes().await;
    let asker = Asker::new(&world, &["TOKEN", "ABSENT"]);
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("b-value", "live/red"));
    world.store.set_broken(Some("the disk is gone"));
    for asker in [&asker, &Asker::new(&world, &["TOKEN", "ABSENT"])] {
        for (at, name) in [("live/red", "TOKEN"), ("live", "TOKEN"), ("live/red", "ABSENT"), ("dev", "TOKEN")]
        {
            let error = asker.handle(at, name).await.expect_err("the store is broken");
            assert!(matches!(error, ResolveError::Unavailable { .. }), "{at} {name}: {error}");
            assert!(error.is_retryable() && !error.is_not_found());
        }
    }
    world.store.set_broken(None);
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("b-value", "live/red"));
    assert_eq!(asker.ask("live/red", "ABSENT").await, Answer::NotFound);
}

#[tokio::test]
async fn a_key_service_that_fails_is_unavailable_and_one_that_lies_is_unreadable() {
    let fault = |fault: fn(String) -> KeyError| fault("said the key service".to_owned());
    for (fault, want) in [
        (fault(KeyError::Unavailable), Answer::Unavailable),
        (fault(KeyError::Denied), Answer::Denied(scope("live/red"))),
        (fault(KeyError::BadAnswer), Answer::Unreadable(scope("live/red"))),
    ] {
        let world = both_scopes().await;
        let asker = Asker::new(&world, &["TOKEN"]);
        world.keys.set_fault(Some(fault.clone()));
        assert_eq!(asker.ask("live/red", "TOKEN").await, want, "{fault:?}");
    }
}

/// The answer of a moment is not kept: the same lookup a moment later succeeds.
#[tokio::test]
async fn a_key_service_that_recovers_is_asked_again() {
    let world = both_scopes().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    world.keys.set_fault(Some(KeyError::Unavailable("no route".to_owned())));
    assert_eq!(asker.ask("live/red", "TOKEN").await, Answer::Unavailable);
    world.keys.set_fault(None);
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("b-value", "live/red"));
}

#[tokio::test]
async fn a_key_that_is_open_outlasts_a_key_service_that_is_away() {
    let world = both_scopes().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("b-value", "live/red"));
    world.keys.set_fault(Some(KeyError::Unavailable("no route".to_owned())));
    world.set_with("live/blue", "TOKEN", "c-value", hosts(&[HOST])).await;
    assert_eq!(asker.ask("live/red", "TOKEN").await, value("b-value", "live/red"));
    assert_eq!(asker.ask("live/blue", "TOKEN").await, Answer::Unavailable, "whose key nobody has opened");
    assert_eq!(asker.ask("live", "TOKEN").await, Answer::Unavailable, "and no fallback to its Environment");
}

#[tokio::test]
async fn a_scope_that_does_not_exist_is_no_missing_secret() {
    let world = both_scopes().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    for at in ["nowhere", "live/nobody", "nowhere/red"] {
        let error = asker.handle(at, "TOKEN").await.expect_err("there is no such scope");
        assert!(matches!(error, ResolveError::UnknownScope(_)), "{at}: {error}");
        assert!(!error.is_not_found() && !error.is_retryable(), "{at}");
    }
}
