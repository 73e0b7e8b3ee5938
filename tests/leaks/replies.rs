//! A reply that holds a secret, in whatever form and place, becomes a failure that names both.

use serde_json::{Value, json};
use undertone_runtime::{Event, FailureKind, Report, Runtime};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean};
use undertone_tests::world::{BUDGET, TOPIC, World, event, event_with, once, scope};

use super::{read, readable, texts, world};

/// A listener that replies with what an event carries.
fn replying(world: &World) -> Runtime {
    world.runtime(world.listener().on(TOPIC, |event: Event| async move { Ok(event.payload().clone()) }))
}

/// What becomes of a reply: itself, or the secret's name and the pointer.
async fn reply(runtime: &Runtime, at: &str, reply: Value) -> Result<Value, (String, String)> {
    let event = event_with(TOPIC, at, reply);
    outcome(runtime.dispatch(&event, BUDGET).await.expect("the scope can be read"))
}

fn outcome(mut report: Report) -> Result<Value, (String, String)> {
    report.outcomes.remove(0).result.map_err(|failure| {
        assert_clean(failure.message.as_bytes(), CANARY);
        match failure.kind {
            FailureKind::SecretInOutput { name, pointer } => (name, pointer),
            other => panic!("{other:?}: {}", failure.message),
        }
    })
}

fn found(name: &str, pointer: &str) -> Result<Value, (String, String)> {
    Err((name.to_owned(), pointer.to_owned()))
}

#[tokio::test]
async fn a_value_in_a_reply_is_found_in_every_place_and_encoding() {
    let world = world().await;
    let runtime = replying(&world);
    for (encoding, text) in texts(CANARY) {
        let beside = format!("it is {text}, isn't it");
        for (value, pointer) in [
            (json!(text), ""),
            (json!({"a": [1, {"b~/c": beside}]}), "/a/1/b~0~1c"),
            (json!([[], [null, true, text]]), "/1/2"),
        ] {
            assert_eq!(reply(&runtime, "dev", value).await, found("TOKEN", pointer), "{encoding}");
        }
        // A key is pointed at with the value masked.
        let (name, pointer) = reply(&runtime, "dev/red", json!({"a": {text: 1}})).await.unwrap_err();
        assert_eq!(name, "TOKEN", "{encoding}");
        assert_clean(pointer.as_bytes(), CANARY);
        assert!(pointer.starts_with("/a/"), "{encoding}: {pointer}");
    }
}

#[tokio::test]
async fn numbers_leaves_and_lines_of_a_value_are_found_too() {
    let world = world().await;
    world.set("dev", "PIN", "12345678").await;
    world
        .set(
            "dev",
            "SERVICE",
            r#"{"user": "ann-of-the-service", "key": "the-inner-key-9f", "id": 9876543210}"#,
        )
        .await;
    world.set("dev", "KEY", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\n").await;
    let runtime = replying(&world);
    for (value, name, pointer) in [
        (json!({"pin": 12_345_678}), "PIN", "/pin"),
        (json!({"pin": -12_345_678}), "PIN", "/pin"),
        (json!([0, "pin 12345678"]), "PIN", "/1"),
        (json!({"k": "the-inner-key-9f"}), "SERVICE", "/k"),
        (json!({"id": 9_876_543_210_u64}), "SERVICE", "/id"),
        (json!("MIIEvQIBADANBgkqhkiG9w0B"), "KEY", ""),
    ] {
        assert_eq!(reply(&runtime, "dev", value.clone()).await, found(name, pointer), "{value}");
    }
}

#[tokio::test]
async fn what_a_handler_read_is_found_however_it_returns_it() {
    let world = world().await;
    type Make = fn(String) -> Value;
    let runs: [(&str, Make, &str); 5] = [
        ("as it is", |text| json!({ "token": text }), "/token"),
        ("in a sentence", |text| json!([format!("<{text}>")]), "/0"),
        ("as JSON in a text", |text| json!(json!({ "token": text }).to_string()), ""),
        ("as JSON in JSON in a text", |text| json!(json!([json!([text]).to_string()]).to_string()), ""),
        ("in Rust's own quotes", |text| json!(format!("{text:?}")), ""),
    ];
    for (what, make, pointer) in runs {
        let listener =
            world.listener().on(TOPIC, once(async move |event: Event| Ok(make(read(&event, "TOKEN").await))));
        let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
        assert_eq!(outcome(report), found("TOKEN", pointer), "{what}");
    }
}

#[tokio::test]
async fn a_secret_that_could_have_been_used_is_found_though_it_was_not() {
    let world = world().await;
    world.set("dev/red", "NEVER_ASKED_FOR", OTHER_CANARY).await;
    let runtime = replying(&world);
    assert_eq!(reply(&runtime, "dev/red", json!([OTHER_CANARY])).await, found("NEVER_ASKED_FOR", "/0"));
    // It is of `red`: an event of `blue` can't have it, and the guard doesn't know it.
    assert_eq!(reply(&runtime, "dev/blue", json!([OTHER_CANARY])).await, Ok(json!([OTHER_CANARY])));
}

#[tokio::test]
async fn a_secret_of_a_granted_scope_is_found_once_it_was_asked_for() {
    let mut world = world().await;
    world.set_with("dev/blue", "OTHER", OTHER_CANARY, readable()).await;
    world.granted.push(scope("dev/blue"));
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| {
            let secret = event.secrets("OTHER").space("blue").await?;
            let value = secret.reveal("a test of what happens then").await?;
            Ok(json!({"other": String::from_utf8_lossy(value.expose())}))
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    assert_eq!(outcome(report), found("OTHER", "/other"));
}

#[tokio::test]
async fn a_pointer_to_one_secret_does_not_show_another() {
    let mut world = world().await;
    world.set_with("dev/blue", "OTHER", OTHER_CANARY, readable()).await;
    world.granted.push(scope("dev/blue"));
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| {
            let other = event.secrets("OTHER").space("blue").await?;
            Ok(json!({format!("{} {other:?}", OTHER_CANARY): {"own": CANARY}}))
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    assert_eq!(outcome(report), found("TOKEN", "/[secret:OTHER] Secret(OTHER v1)/own"));
}

#[tokio::test]
async fn the_version_that_the_event_is_pinned_to_is_found_after_a_rotation() {
    let world = std::sync::Arc::new(world().await);
    let operator = world.clone();
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| {
            operator.set_with("dev", "TOKEN", OTHER_CANARY, readable()).await;
            Ok(json!({"token": read(&event, "TOKEN").await}))
        }),
    );
    let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
    assert_eq!(outcome(report), found("TOKEN", "/token"));
}

#[tokio::test]
async fn a_reply_without_a_secret_passes_as_it_is() {
    let world = world().await;
    world.set("dev", "SHORT", "abc").await;
    world.set("dev", "EMPTY", "").await;
    let runtime = replying(&world);
    for value in [
        Value::Null,
        json!({"a": [1, 2.5, -3], "b": {"": ""}, "c": null}),
        json!("abc, which is too short to be masked"),
        json!([&CANARY[..CANARY.len() - 1], &CANARY[1..]]),
        json!({"name": "[secret:TOKEN]", "handle": "Secret(TOKEN v1)"}),
    ] {
        assert_eq!(reply(&runtime, "dev", value.clone()).await, Ok(value));
    }
}
