//! What goes back to whoever invoked: enough to act on, and never a secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use undertone_lambda::{LambdaError, Options};

use crate::served::{CANARY, LONG, Served, event};

fn post(body: impl ToString) -> Value {
    json!({ "version": "2.0", "requestContext": { "accountId": "1", "http": { "method": "POST" }, "authorizer": { "iam": { "userArn": "a" } } },
            "headers": { "idempotency-key": "key-1" }, "body": body.to_string(), "isBase64Encoded": false })
}

#[tokio::test]
async fn a_request_is_answered_by_what_became_of_its_event() {
    let served = Served::new().await;
    let nowhere = json!({ "topic": "test:run", "id": "n", "context": { "environmentId": "gone" } });
    for (request, status, began) in [
        (post(event("ok", json!({}))), 200, 1),
        (post(event("ok", json!({}))), 200, 0),
        (post(event("ok", json!({ "more": 1 }))), 409, 0),
        (post(event("bad", json!({ "do": "fail" }))), 500, 1),
        (post(json!({ "topic": "test:run" })), 200, 1),
        (post(json!({ "topic": "test:run" })), 200, 0),
        (post(nowhere), 400, 0),
        (post("{"), 400, 0),
        (post(json!({ "topic": "other" })), 409, 0),
    ] {
        let answer = served.invoke(request.clone(), LONG).await.expect("a request has an answer");
        let body: Value = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
        assert_eq!(answer["statusCode"], status, "{request} {body}");
        assert_eq!(served.began().len(), began, "{request}");
        assert_eq!(body.get("error").is_some(), body.get("outcomes").is_none(), "{body}");
    }
    served.world.store.set_broken(Some("away"));
    served.function.forget_all();
    let answer = served.invoke(post(event("late", json!({}))), LONG).await.expect("an answer");
    assert_eq!(answer["statusCode"], 503);
    assert!(answer["body"].as_str().is_some_and(|body| body.contains("\"retry\":true")), "{answer}");
}

#[tokio::test]
async fn failures_of_events_that_come_alone_are_errors_with_a_name() {
    let served = Served::new().await;
    for (payload, kind) in [
        (event("a", json!({ "do": "fail" })), "HandlerFailed"),
        (event("b", json!({ "do": "panic" })), "HandlerFailed"),
        (
            json!({ "detail-type": "x", "source": "y", "detail": event("c", json!({ "do": "fail" })) }),
            "HandlerFailed",
        ),
        (json!({ "topic": "*" }), "NoEvent"),
        (json!({ "Records": [{ "eventSource": "aws:s3" }] }), "NoEvent"),
    ] {
        let error = served.invoke(payload.clone(), LONG).await.expect_err("it fails");
        assert_eq!(error.kind(), kind, "{payload}");
        let line = served.lines().remove(0);
        assert_eq!((&line["level"], &line["Failures"]), (&json!("ERROR"), &json!(1.0)), "{line}");
    }
    let error = served.invoke(event("d", json!({ "do": "fail" })), LONG).await.expect_err("it fails");
    assert_eq!(error.to_string(), "event `d`: 1 of 1 handlers failed; handler 0 (error): as told");
}

#[tokio::test]
async fn nobody_sees_a_secret_that_a_handler_puts_into_its_failure() {
    let served = Served::new().await;
    for what in ["leak", "panic"] {
        let raw = event(what, json!({ "do": what }));
        let error = served.invoke(raw.clone(), LONG).await.expect_err("it fails");
        let answer = served.invoke(post(raw), LONG).await.expect("an answer");
        let diagnostic = shown(error);
        for text in [diagnostic, answer.to_string(), json!(served.lines()).to_string()] {
            assert!(!text.contains(CANARY), "{text}");
            assert!(text.contains("failed") || text.contains("panicked"), "{text}");
        }
    }
}

/// All that is shown of an error anywhere.
fn shown(error: LambdaError) -> String {
    format!("{error} {error:?}")
}

#[tokio::test]
async fn not_even_a_panic_of_the_runtime_shows_what_it_says() {
    let counts: undertone_lambda::Counts = Arc::new(|| panic!("{CANARY}"));
    let served = Served::with_options(|options| Options { counts: Some(counts), ..options }).await;
    let error = served.invoke(event("e", json!({})), LONG).await.expect_err("it panics");
    assert!(matches!(error, LambdaError::Panicked) && !shown(error).contains(CANARY));
}

#[tokio::test]
async fn a_handler_is_cut_off_before_the_deadline_and_the_event_comes_again() {
    let served = Served::new().await;
    let began = Instant::now();
    let slow = event("e", json!({ "do": "wait", "ms": 60_000 }));
    let error = served.invoke(slow, Duration::from_millis(700)).await.expect_err("it takes too long");
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    assert!(error.to_string().contains("(deadline)"), "{error}");
    let error = served.invoke(event("f", json!({})), Duration::from_millis(50)).await.expect_err("no time");
    assert!(matches!(error, LambdaError::NoTime { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(served.began(), ["e"]);
}

#[tokio::test]
async fn forgetting_wipes_the_runtimes_keys_and_calls_every_hook() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (first, second) = (calls.clone(), calls.clone());
    let served = Served::with_options(|options| Options {
        on_forget: vec![
            Arc::new(move || {
                first.fetch_add(1, Ordering::Relaxed);
            }),
            Arc::new(move || {
                second.fetch_add(10, Ordering::Relaxed);
            }),
        ],
        ..options
    })
    .await;
    let use_it = |id: &str| event(id, json!({ "do": "leak" }));
    let counts = || (served.world.store.reads(), served.world.keys.unwraps());
    let before = counts();
    let _ = served.invoke(use_it("1"), LONG).await;
    let first = counts();
    assert!(before.0 < first.0 && before.1 < first.1, "{before:?} {first:?}");
    let _ = served.invoke(use_it("2"), LONG).await;
    assert_eq!(counts(), first, "what is known isn't asked for again");
    served.function.forget_all();
    assert_eq!(calls.load(Ordering::Relaxed), 11);
    let _ = served.invoke(use_it("3"), LONG).await;
    let again = counts();
    assert!(first.0 < again.0 && first.1 < again.1, "{first:?} {again:?}");
}

#[tokio::test]
async fn a_process_that_slept_for_ten_minutes_looks_everything_up_again() {
    let served = Served::new().await;
    let _ = served.invoke(event("1", json!({ "do": "leak" })), LONG).await;
    let before = served.world.store.reads();
    served.world.clock.forward(Duration::from_secs(600));
    let _ = served.invoke(event("2", json!({ "do": "leak" })), LONG).await;
    assert!(before < served.world.store.reads());
}
