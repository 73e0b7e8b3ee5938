//! Handlers run in series; one that fails doesn't stop the next, and every failure is reported.

use std::time::{Duration, Instant};

use undertone_core::ResolveError;
use undertone_runtime::{Error, Event, FailureKind, Json, Listener, Result};
use undertone_tests::world::{TOPIC, World, event};

use super::{Diary, outcomes};

async fn fails(_: Event) -> Result<()> {
    Err(Error::msg("no coffee left"))
}

async fn panics(_: Event) -> Result<()> {
    panic!("a handler's panic is expected here")
}

async fn hangs(_: Event) -> Result<()> {
    std::future::pending().await
}

#[tokio::test]
async fn handlers_run_one_after_another_in_the_order_of_registration() {
    let world = World::new().await;
    let diary = Diary::default();
    let listener = Listener::new("tester")
        .on("test:*", diary.handler("first"))
        .on("other:run", diary.handler("not asked"))
        .on(TOPIC, diary.handler("second"))
        .on("**", diary.handler("third"));
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    assert_eq!(
        diary.lines(),
        ["first begins", "first ends", "second begins", "second ends", "third begins", "third ends"]
    );
    assert_eq!(outcomes(&report), ["first", "second", "third"]);
    let positions: Vec<usize> = report.outcomes.iter().map(|outcome| outcome.handler).collect();
    assert_eq!(positions, [0, 2, 3]);
    assert!(report.is_success());
}

#[tokio::test]
async fn parents_come_before_nested_children_wherever_these_were_registered() {
    let world = World::new().await;
    let diary = Diary::default();
    let grandchild = Listener::new("grandchild").on(TOPIC, diary.handler("grandchild"));
    let child = Listener::new("child")
        .nest(grandchild)
        .on(TOPIC, diary.handler("child 1"))
        .on(TOPIC, diary.handler("child 2"));
    let other = Listener::new("other").on(TOPIC, diary.handler("other child"));
    let listener = Listener::new("tester")
        .on(TOPIC, diary.handler("parent 1"))
        .nest(child)
        .on(TOPIC, diary.handler("parent 2"))
        .namespace("space:red", |red| {
            red.namespace("zone:*", |zone| zone.on(TOPIC, diary.handler("in both")))
                .on(TOPIC, diary.handler("in the namespace"))
        })
        .nest(other)
        .on(TOPIC, diary.handler("parent 3"));
    let event = serde_json::json!({"topic": TOPIC, "namespaces": ["space:red", "zone:1"]});
    let event = undertone_runtime::EventData::from_json(event).unwrap();
    let report = world.dispatch(listener, &event).await;
    let order = [
        "parent 1",
        "parent 2",
        "parent 3",
        "child 1",
        "child 2",
        "grandchild",
        "in the namespace",
        "in both",
        "other child",
    ];
    assert_eq!(diary.ended(), order);
    assert_eq!(outcomes(&report), order);
    assert!(report.outcomes.is_sorted_by_key(|outcome| outcome.handler));
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_stops_no_other_and_every_failure_is_reported() {
    let world = World::new().await;
    let diary = Diary::default();
    let listener = Listener::new("tester")
        .on(TOPIC, fails)
        .on(TOPIC, diary.handler("after an error"))
        .on(TOPIC, panics)
        .on(TOPIC, diary.handler("after a panic"))
        // The part of a handler before its future.
        .on(TOPIC, |event: Event| {
            assert_eq!(event.topic(), "another", "this panic is expected");
            async { Ok(()) }
        })
        .on(TOPIC, fails);
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    assert_eq!(
        outcomes(&report),
        [
            "Error: no coffee left",
            "after an error",
            "Panic: the handler panicked",
            "after a panic",
            "Panic: the handler panicked",
            "Error: no coffee left",
        ]
    );
    assert!(!report.is_success());
    assert_eq!(report.failures().count(), 4);
    assert!(report.failures().next().unwrap().error.is_some(), "the error itself, for sorting");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_ended_at_the_deadline_and_the_next_is_reported_as_not_started() {
    let mut world = World::new().await;
    world.budget = Duration::from_millis(800);
    let diary = Diary::default();
    let quick = diary.clone();
    let listener = Listener::new("tester").on(TOPIC, diary.handler("before")).on(TOPIC, hangs).on(
        TOPIC,
        move |event: Event| {
            quick.write(format!("after, with {:?} left", event.time_left()));
            async { Ok("after") }
        },
    );
    let began = Instant::now();
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(
        outcomes(&report),
        [
            "before",
            "Deadline: the handler took longer than it had",
            "Deadline: no time was left, so the handler wasn't started",
        ]
    );
    assert!(!diary.lines().iter().any(|line| line.starts_with("after")), "{:?}", diary.lines());
    assert_eq!(report.failures().next().unwrap().kind, FailureKind::Deadline);
}

#[tokio::test]
async fn the_handlers_of_an_event_share_one_deadline() {
    let mut world = World::new().await;
    world.budget = Duration::from_secs(5);
    let diary = Diary::default();
    let timed = |diary: &Diary| {
        let diary = diary.clone();
        move |event: Event| {
            let diary = diary.clone();
            async move {
                diary.write(event.time_left().as_millis().to_string());
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
        }
    };
    let listener = Listener::new("tester").on(TOPIC, timed(&diary)).on(TOPIC, timed(&diary));
    world.dispatch(listener, &event(TOPIC, "dev")).await;
    let left: Vec<u64> = diary.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(left[0] <= 5_000 && left[1] + 50 <= left[0], "{left:?}");
}

#[tokio::test]
async fn an_event_that_nobody_takes_gives_an_empty_report_and_asks_no_store() {
    let world = World::new().await;
    world.set("dev", "TOKEN", "a-token-of-no-use").await;
    let listener = world.listener().on("other:run", fails);
    world.store.set_broken(Some("the disk is gone"));
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    assert!(report.outcomes.is_empty() && report.is_success());
}

#[tokio::test]
async fn every_kind_of_reply_becomes_json() {
    let world = World::new().await;
    let listener = Listener::new("tester")
        .on(TOPIC, |_: Event| async { Ok(()) })
        .on(TOPIC, |_: Event| async { Ok("a text") })
        .on(TOPIC, |_: Event| async { Ok("a string".to_owned()) })
        .on(TOPIC, |_: Event| async { Ok(serde_json::json!({"a": [1]})) })
        .on(TOPIC, |_: Event| async { Ok(Json(Some(7))) })
        .on(TOPIC, |_: Event| async { Ok(Json(std::collections::HashMap::from([((1, 2), 3)]))) });
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    let said =
        ["null", "a text", "a string", r#"{"a":[1]}"#, "7", "Error: the reply doesn't serialise to JSON"];
    assert_eq!(outcomes(&report), said);
}

#[tokio::test]
async fn an_error_can_be_told_by_its_type() {
    let world = World::new().await;
    let listener = Listener::new("tester").on(TOPIC, |event: Event| async move {
        let token = event.secrets("TOKEN").await?;
        Ok(format!("{token:?}"))
    });
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    let failure = report.failures().next().unwrap();
    let error = failure.error.as_ref().unwrap().downcast_ref::<ResolveError>();
    assert!(matches!(error, Some(ResolveError::NotDeclared { .. })), "{failure:?}");
}
