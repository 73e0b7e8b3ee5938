//! An event that is delivered twice is handled once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use undertone_core::Idempotency;
use undertone_core::idempotency::{ClaimId, Claimed};
use undertone_core::memory::MemoryIdempotency;
use undertone_lambda::LambdaError;
use undertone_runtime::EventData;

use crate::claims::{Fault, Faulty};
use crate::served::{LONG, Served, event, message, returned};

#[tokio::test]
async fn a_second_delivery_gets_the_first_ones_report_and_no_handler_runs() {
    let served = Served::new().await;
    let first = served.invoke(event("e", json!({})), LONG).await.expect("handled");
    assert_eq!(first["outcomes"], json!([{ "handler": 0, "ok": true, "reply": "done" }]));
    let again = served.invoke(event("e", json!({})), LONG).await.expect("replayed");
    assert_eq!(again, first);
    assert_eq!(served.began(), ["e"]);
    let replayed: Vec<Value> = served.lines().iter().map(|line| line["replayed"].clone()).collect();
    assert_eq!(replayed, [false, true]);
    let body = json!({ "Records": [message("m", event("e", json!({})))] });
    assert!(
        returned(&served.invoke(body, LONG).await.expect("an answer")).is_empty(),
        "whatever way it comes"
    );
    assert_eq!(served.began().len(), 0);
}

#[tokio::test]
async fn an_event_without_an_id_is_known_again_by_what_it_came_under() {
    let served = Served::new().await;
    let bare = json!({ "topic": "test:run" });
    let bus = json!({ "detail-type": "x", "source": "y", "id": "bus-1", "detail": bare });
    for payload in [json!({ "Records": [message("m", &bare)] }), bus, bare.clone()] {
        for _ in 0..2 {
            served.invoke(payload.clone(), LONG).await.expect("an answer");
        }
    }
    assert_eq!(served.began(), ["m", "bus-1", "request-1"]);
    let invocation = served.invocation("request-2", LONG);
    served.function.handle(bare, &invocation).await.expect("handled");
    assert_eq!(served.began(), ["request-2"]);
}

#[tokio::test]
async fn what_failed_is_handled_again() {
    let served = Served::new().await;
    for _ in 0..2 {
        let error = served.invoke(event("e", json!({ "do": "fail" })), LONG).await.expect_err("it fails");
        assert!(matches!(error, LambdaError::Handlers { .. }), "{error:?}");
    }
    assert_eq!(served.began(), ["e", "e"]);
    served.world.store.set_broken(Some("away"));
    let error = served.invoke(event("other", json!({})), LONG).await.expect_err("no store");
    assert!(error.is_retryable(), "{error:?}");
    served.world.store.set_broken(None);
    served.invoke(event("other", json!({})), LONG).await.expect("handled");
}

#[tokio::test]
async fn another_event_under_the_same_id_is_refused() {
    let served = Served::new().await;
    served.invoke(event("e", json!({})), LONG).await.expect("handled");
    let error = served.invoke(event("e", json!({ "more": 1 })), LONG).await.expect_err("another event");
    assert!(matches!(error, LambdaError::OtherEvent { .. }) && !error.is_retryable(), "{error:?}");
    assert_eq!(served.began(), ["e"]);
}

#[tokio::test]
async fn what_another_process_handles_is_left_to_it_until_its_time_is_over() {
    let claims = Arc::new(MemoryIdempotency::default());
    let served = Served::with(Some(claims.clone())).await;
    let raw = event("e", json!({}));
    let key = EventData::from_json(raw.clone()).expect("an event");
    let key = key.idempotency_key(&"tester".parse().expect("a slug"));
    let now = undertone_core::Clock::now(&*served.world.clock);
    let until = now + Duration::from_secs(30);
    let claimed = claims.claim(&key, ClaimId::random(), now, until).await.expect("claims in memory");
    assert_eq!(claimed, Claimed::Yours);
    let error = served.invoke(raw.clone(), LONG).await.expect_err("it is another's");
    assert!(matches!(error, LambdaError::BeingHandled { .. }) && error.is_retryable(), "{error:?}");
    let body = json!({ "Records": [message("m", &raw)] });
    assert_eq!(returned(&served.invoke(body, LONG).await.expect("an answer")), ["m"]);
    assert_eq!(served.began().len(), 0);
    served.world.clock.forward(Duration::from_secs(31));
    served.invoke(raw, LONG).await.expect("handled");
    assert_eq!(served.began(), ["e"]);
}

#[tokio::test]
async fn a_claim_lasts_as_long_as_its_invocation() {
    let inner = MemoryIdempotency::default();
    let faulty = Arc::new(Faulty { claiming: Fault::None, settling: Fault::Fails, inner });
    let served = Served::with(Some(faulty)).await;
    served.invoke(event("e", json!({})), LONG).await.expect("handled, though that can't be kept");
    for (later, want) in [(LONG - Duration::from_secs(2), false), (Duration::from_secs(3), true)] {
        served.world.clock.forward(later);
        assert_eq!(served.invoke(event("e", json!({})), LONG).await.is_ok(), want);
    }
    assert_eq!(served.began(), ["e", "e"]);
}

#[tokio::test]
async fn without_claims_nothing_is_handled_and_no_deadline_is_missed() {
    for (claiming, settling, ok, began) in [
        (Fault::Fails, Fault::None, false, 0),
        (Fault::Hangs, Fault::None, false, 0),
        (Fault::None, Fault::Hangs, true, 1),
    ] {
        let inner = MemoryIdempotency::default();
        let served = Served::with(Some(Arc::new(Faulty { claiming, settling, inner }))).await;
        let started = Instant::now();
        let result = served.invoke(event("e", json!({})), Duration::from_millis(800)).await;
        assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
        assert_eq!((result.is_ok(), served.began().len()), (ok, began));
        assert!(result.err().is_none_or(|error| error.is_retryable()));
    }
}

#[tokio::test]
async fn without_a_place_for_claims_an_event_is_handled_each_time() {
    let served = Served::with(None).await;
    for _ in 0..2 {
        served.invoke(event("e", json!({})), LONG).await.expect("handled");
    }
    assert_eq!(served.began(), ["e", "e"]);
}

#[tokio::test]
async fn a_reply_that_is_too_long_to_keep_is_left_out_of_the_replay() {
    let served = Served::new().await;
    let raw = event("e", json!({ "do": "reply", "bytes": 7 * 1024 * 1024 }));
    let error = served.invoke(raw.clone(), LONG).await.expect_err("Lambda takes 6 MiB");
    assert!(matches!(error, LambdaError::AnswerTooLarge(bytes) if 7 * 1024 * 1024 < bytes), "{error:?}");
    let replayed = served.invoke(raw, LONG).await.expect("it was handled");
    assert_eq!(
        replayed["outcomes"][0],
        json!({ "handler": 0, "ok": true, "reply": null, "replyTooLong": true })
    );
    assert_eq!(served.began(), ["e"]);
}
