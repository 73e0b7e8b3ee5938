//! A handle is pinned to one version of one secret; revocation, expiry, disabling and deletion beat that.

use std::time::Duration;

use undertone_core::vault::{SetRequest, Spelling};
use undertone_core::{Clock, Reveal, Rules, SecretValue, UseError};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, HOST, send, value};

/// What happens between getting a handle and using it.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    Rotated,
    RotatedAndRevoked,
    RotatedAndRevokedTheNext,
    Disabled,
    DisabledAndEnabled,
    Expired,
    Unset,
    Blocked,
    Deleted,
    DeletedAndRestored,
    Destroyed,
    DestroyedAndSetAgain,
    LockedAbove,
    SetInTheSpace,
    OtherNameRevoked,
    StoreBroken,
}

#[tokio::test]
async fn what_ends_a_secret_ends_its_handles_and_nothing_else_does() {
    let live = || scope("live");
    for (then, want) in [
        (Then::Nothing, value("first-value", "live")),
        (Then::Rotated, value("first-value", "live")),
        (Then::RotatedAndRevoked, Answer::Revoked(live(), 1)),
        (Then::RotatedAndRevokedTheNext, value("first-value", "live")),
        (Then::Disabled, Answer::Disabled(live())),
        (Then::DisabledAndEnabled, value("first-value", "live")),
        (Then::Expired, Answer::Expired(live())),
        (Then::Unset, value("first-value", "live")),
        (Then::Blocked, value("first-value", "live")),
        (Then::Deleted, Answer::Revoked(live(), 1)),
        (Then::DeletedAndRestored, value("first-value", "live")),
        (Then::Destroyed, Answer::Revoked(live(), 1)),
        (Then::DestroyedAndSetAgain, Answer::Revoked(live(), 1)),
        (Then::LockedAbove, value("first-value", "live")),
        (Then::SetInTheSpace, value("first-value", "live")),
        (Then::OtherNameRevoked, value("first-value", "live")),
        (Then::StoreBroken, Answer::Unavailable),
    ] {
        let world = World::new().await;
        set_first(&world, "live", "TOKEN").await;
        set_first(&world, "live", "OTHER").await;
        let asker = Asker::new(&world, &["TOKEN"]);
        let handle = asker.handle("live/red", "TOKEN").await.expect("the Environment has a value");
        happen(&world, then).await;
        assert_eq!(send(&handle, HOST).await, want, "{then:?}");
        let revealed = handle.reveal("a test looks at it").await;
        match (&want, revealed) {
            (Answer::Value { value, .. }, Ok(revealed)) => assert_eq!(revealed.expose(), *value, "{then:?}"),
            (Answer::Value { .. }, Err(error)) => panic!("{then:?}: {error}"),
            (want, revealed) => match revealed.map(|_| "a value") {
                Err(UseError::Resolve(error)) => assert_eq!(Answer::from(error), *want, "{then:?}"),
                other => panic!("{then:?}: {other:?}"),
            },
        }
    }
}

/// Cold or warm, a lookup after the event sees it.
#[tokio::test]
async fn the_next_lookup_sees_what_happened() {
    let live = || scope("live");
    let next = |text: &str, at: &str, number| crate::lookup::version(text, at, number);
    for (then, want) in [
        (Then::Rotated, next("next-value", "live", 2)),
        (Then::RotatedAndRevoked, next("next-value", "live", 2)),
        (Then::RotatedAndRevokedTheNext, Answer::Revoked(live(), 2)),
        (Then::Disabled, Answer::Disabled(live())),
        (Then::Expired, Answer::Expired(live())),
        (Then::Unset, Answer::NotFound),
        (Then::Blocked, Answer::Blocked(live())),
        (Then::Deleted, Answer::NotFound),
        (Then::DeletedAndRestored, next("first-value", "live", 1)),
        (Then::Destroyed, Answer::NotFound),
        (Then::DestroyedAndSetAgain, next("next-value", "live", 2)),
        (Then::SetInTheSpace, next("next-value", "live/red", 1)),
        (Then::StoreBroken, Answer::Unavailable),
    ] {
        let world = World::new().await;
        set_first(&world, "live", "TOKEN").await;
        set_first(&world, "live", "OTHER").await;
        let warm = Asker::new(&world, &["TOKEN"]);
        assert_eq!(warm.ask("live/red", "TOKEN").await, value("first-value", "live"));
        happen(&world, then).await;
        assert_eq!(warm.ask("live/red", "TOKEN").await, want, "{then:?}, warm");
        assert_eq!(Asker::new(&world, &["TOKEN"]).ask("live/red", "TOKEN").await, want, "{then:?}, cold");
    }
}

#[tokio::test]
async fn a_use_whose_row_of_audit_cannot_be_written_does_not_happen() {
    let world = World::new().await;
    set_first(&world, "live", "TOKEN").await;
    let handle = Asker::new(&world, &["TOKEN"]).handle("live", "TOKEN").await.expect("a value");
    world.audit.set_broken(Some("the disk is full"));
    let revealed = handle.reveal("a test looks at it").await.map(|_| "a value");
    assert!(matches!(revealed, Err(UseError::Audit(_))), "{revealed:?}");
    world.audit.set_broken(None);
    assert_eq!(send(&handle, HOST).await, value("first-value", "live"));
}

#[tokio::test]
async fn a_handle_ends_with_its_attempt_and_no_other_does() {
    let world = World::new().await;
    set_first(&world, "live", "TOKEN").await;
    let asker = Asker::new(&world, &["TOKEN"]);
    let (first, second) = (asker.attempt(), asker.attempt());
    let snapshot = first.snapshot(&scope("live").chain()).await.expect("the store is well");
    let [kept, other] = [&first, &second]
        .map(|attempt| attempt.handle(&snapshot, "TOKEN").expect("the Environment has a value"));
    first.end();
    let revealed = kept.reveal("a test looks at it").await.map(|_| "a value");
    assert!(matches!(revealed, Err(UseError::NotOfThisEvent { .. })), "{revealed:?}");
    assert_eq!(send(&other, HOST).await, value("first-value", "live"));
}

async fn set_first(world: &World, at: &str, token: &str) {
    let rules = Rules { reveal: Reveal::Allowed, ..hosts(&[HOST]) };
    let first = SecretValue::new(b"first-value".to_vec()).expect("it is short");
    let expires_at = Some(world.clock.now() + Duration::from_secs(600));
    let request = SetRequest { rules, expires_at, ..SetRequest::new(name(token), first) };
    world.vault.set(&scope(at), request).await.expect("a secret is set");
}

async fn happen(world: &World, then: Then) {
    let (vault, live, token) = (&world.vault, scope("live"), name("TOKEN"));
    let rotate = || world.set_with("live", "TOKEN", "next-value", hosts(&[HOST]));
    let done = match then {
        Then::Nothing => return,
        Then::Rotated => return rotate().await,
        Then::RotatedAndRevoked => {
            rotate().await;
            vault.revoke(&live, &token, 1).await
        }
        Then::RotatedAndRevokedTheNext => {
            rotate().await;
            vault.revoke(&live, &token, 2).await
        }
        Then::Disabled => vault.disable(&live, &token).await,
        Then::DisabledAndEnabled => {
            vault.disable(&live, &token).await.expect("the row is there");
            vault.enable(&live, &token).await
        }
        Then::Expired => return world.clock.forward(Duration::from_secs(601)),
        Then::Unset => vault.unset(&live, &token).await,
        Then::Blocked => vault.block(&live, &token, Spelling::Canonical).await,
        Then::Deleted => vault.delete(&live, &token).await,
        Then::DeletedAndRestored => {
            vault.delete(&live, &token).await.expect("the row is there");
            vault.restore(&live, &token, 1).await
        }
        Then::Destroyed => vault.destroy(&live, &token).await,
        Then::DestroyedAndSetAgain => {
            vault.destroy(&live, &token).await.expect("the row is there");
            return rotate().await;
        }
        Then::LockedAbove => vault.lock(&live, &token).await,
        Then::SetInTheSpace => {
            return world.set_with("live/red", "TOKEN", "next-value", hosts(&[HOST])).await;
        }
        Then::OtherNameRevoked => vault.revoke(&live, &name("OTHER"), 1).await,
        Then::StoreBroken => return world.store.set_broken(Some("the disk is gone")),
    };
    done.expect("the row is there");
}
