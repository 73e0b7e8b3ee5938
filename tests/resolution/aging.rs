//! How long an unwrapped key serves: about five minutes unasked, fifteen while the key service is
//! away, and not a moment longer once it says no.

use std::time::Duration;

use undertone_core::KeyError;
use undertone_core::resolve::{HARD, SOFT};
use undertone_tests::world::{World, hosts, scope};

use crate::lookup::{Answer, Asker, HOST, send, value};

async fn world() -> World {
    let world = World::new().await;
    world.set_with("live", "TOKEN", "a-value", hosts(&[HOST])).await;
    world
}

fn away() -> Option<KeyError> {
    Some(KeyError::Unavailable("no route".to_owned()))
}

#[tokio::test]
async fn a_key_serves_through_an_outage_until_its_hard_limit_and_then_no_more() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"));
    world.keys.set_fault(away());
    let mut passed = Duration::ZERO;
    while passed + Duration::from_secs(60) < HARD {
        world.clock.forward(Duration::from_secs(60));
        passed += Duration::from_secs(60);
        assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"), "after {passed:?}");
    }
    world.clock.forward(HARD - passed);
    assert_eq!(asker.ask("live", "TOKEN").await, Answer::Unavailable);
    world.keys.set_fault(None);
    assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"), "and when it is back");
}

#[tokio::test]
async fn an_outage_of_half_a_minute_is_not_noticed_and_asked_about_rarely() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    asker.ask("live", "TOKEN").await;
    world.clock.forward(SOFT + SOFT / 5);
    world.keys.set_fault(away());
    let before = world.keys.unwraps();
    for _ in 0..30_000 {
        asker.snapshot("live").await.expect("the key is known");
        world.clock.forward(Duration::from_millis(1));
    }
    let asked = world.keys.unwraps() - before;
    // Snapshots are shared for a minute, so the key is looked for twice at most; and paused between.
    assert!((1..=4).contains(&asked), "{asked}");
    world.keys.set_fault(None);
    assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"));
}

#[tokio::test]
async fn a_denial_is_no_outage_and_takes_effect_at_once() {
    let denied = || Some(KeyError::Denied("AccessDeniedException".to_owned()));
    let lied = || Some(KeyError::BadAnswer("31 bytes".to_owned()));
    for (fault, want) in
        [(denied(), Answer::Denied(scope("live"))), (lied(), Answer::Unreadable(scope("live")))]
    {
        let world = world().await;
        let asker = Asker::new(&world, &["TOKEN"]);
        let held = asker.handle("live", "TOKEN").await.expect("the key service is well");
        world.clock.forward(SOFT + SOFT / 5);
        world.keys.set_fault(away());
        assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"), "while it is away");
        world.keys.set_fault(fault.clone());
        world.clock.forward(Duration::from_secs(61));
        assert_eq!(asker.ask("live", "TOKEN").await, want, "{fault:?}");
        assert_eq!(send(&held, HOST).await, want, "nor for a handle from before");
        world.keys.set_fault(away());
        world.clock.forward(Duration::from_secs(61));
        assert_eq!(asker.ask("live", "TOKEN").await, Answer::Unavailable, "the key was forgotten");
    }
}

#[tokio::test]
async fn a_denial_reaches_handles_from_before_the_key_was_unwrapped_again() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    let held = asker.handle("live", "TOKEN").await.expect("the key service is well");
    world.clock.forward(SOFT + SOFT / 5);
    assert_eq!(asker.ask("live", "TOKEN").await, value("a-value", "live"), "by a key unwrapped anew");
    world.keys.set_fault(Some(KeyError::Denied("DisabledException".to_owned())));
    world.clock.forward(SOFT + SOFT / 5);
    assert_eq!(asker.ask("live", "TOKEN").await, Answer::Denied(scope("live")));
    assert_eq!(send(&held, HOST).await, Answer::Denied(scope("live")), "it isn't too old by itself");
}

#[tokio::test]
async fn a_denial_is_not_retried_by_itself_and_is_audited_as_a_refusal() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    world.keys.set_fault(Some(KeyError::Denied("DisabledException".to_owned())));
    let error = asker.handle("live", "TOKEN").await.expect_err("the key is disabled");
    assert!(!error.is_retryable() && !error.is_not_found(), "{error}");
    assert!(error.to_string().contains("DisabledException"), "{error}");
    asker.attempt().record_refusal(&scope("live").chain(), "TOKEN", &error).await.expect("written");
    assert_eq!(world.rows_in_short().await, ["secret.resolve TOKEN refused denied"]);
}

#[tokio::test]
async fn each_use_of_a_key_that_outlasts_an_outage_is_on_record_as_one() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    asker.ask("live", "TOKEN").await;
    world.keys.set_fault(away());
    world.clock.forward(SOFT + SOFT / 5);
    asker.ask("live", "TOKEN").await;
    let reasons: Vec<String> = world.rows().await.iter().map(|row| row["reason"].to_string()).collect();
    assert_eq!(reasons, ["null", "\"stale_key\""]);
}

#[tokio::test]
async fn a_process_that_was_frozen_past_the_limit_uses_no_old_key() {
    let world = world().await;
    let asker = Asker::new(&world, &["TOKEN"]);
    let held = asker.handle("live", "TOKEN").await.expect("the key service is well");
    world.keys.set_fault(away());
    world.clock.forward(HARD);
    assert_eq!(send(&held, HOST).await, Answer::Unavailable);
    assert_eq!(asker.ask("live", "TOKEN").await, Answer::Unavailable);
    world.keys.set_fault(None);
    assert_eq!(send(&held, HOST).await, value("a-value", "live"), "a handle finds its key again");
}
