//! Events: what came in is what a handler gets, and what can't be an event is refused without an echo.

use serde_json::{Value, json};
use undertone_core::ResolveError;
use undertone_runtime::{Event, EventData, LARGEST_EVENT, Listener};
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::world::{TOPIC, World, event_with, once};

#[tokio::test]
async fn what_looks_like_a_reference_to_a_secret_is_data_and_stays_data() {
    let world = World::new().await;
    world.set("dev", "SLACK_TOKEN", "the-value-of-the-token").await;
    let payload = json!({
        "{{secrets.SLACK_TOKEN}}": "{{secrets.SLACK_TOKEN}}",
        "list": ["{{ secrets.SLACK_TOKEN }}", "${system.secrets.SLACK_TOKEN}", "$SLACK_TOKEN", "%SLACK_TOKEN%"],
        "text": "Bearer {{ secret.token }} [secret:SLACK_TOKEN] Secret(SLACK_TOKEN v1)",
    });
    let bytes = payload.to_string();
    let (give, given) = std::sync::mpsc::channel();
    let listener = world.listener().on(
        TOPIC,
        once(async move |event: Event| {
            give.send(event.payload().to_string())?;
            Ok(event.payload().clone())
        }),
    );
    let report = world.dispatch(listener, &event_with(TOPIC, "dev", payload.clone())).await;
    assert_eq!(given.recv().unwrap(), bytes);
    assert_eq!(report.outcomes[0].result.as_ref().unwrap(), &payload);
}

#[tokio::test]
async fn a_handler_sees_every_field_of_its_event() {
    let world = World::new().await;
    let raw = json!({
        "id": "evt_1",
        "topic": TOPIC,
        "domain": "test",
        "context": {"environmentId": "dev", "spaceId": "red", "more": 1},
        "payload": {"a": [1, 2.5, "é\u{0}"]},
        "namespaces": ["space:red"],
        "origin": {"id": "o", "slug": "s"},
        "createdAt": "2026-01-02T03:04:05Z",
        "unknown": {"kept": true},
    });
    let bytes = raw.to_string();
    let (give, given) = std::sync::mpsc::channel();
    let listener = Listener::new("tester").on(
        TOPIC,
        once(async move |event: Event| {
            give.send(event)?;
            Ok(())
        }),
    );
    world.dispatch(listener, &EventData::parse(bytes.as_bytes()).unwrap()).await;
    let event = given.recv().unwrap();
    assert_eq!(event.json(), &raw);
    assert_eq!((event.id(), event.topic(), event.domain()), ("evt_1", TOPIC, "test"));
    assert_eq!(event.environment_id().unwrap().as_str(), "dev");
    assert_eq!(event.space_id().unwrap().as_str(), "red");
    assert_eq!((event.payload(), event.context()), (&raw["payload"], &raw["context"]));
    assert_eq!((event.namespaces(), event.origin()), (vec!["space:red"], &raw["origin"]));
    assert_eq!(event.created_at().unwrap().to_string(), "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn an_event_of_an_unknown_scope_or_a_broken_store_runs_no_handler() {
    let world = World::new().await;
    let ran = super::Diary::default();
    let runtime = world.runtime(Listener::new("tester").uses("TOKEN").on(TOPIC, ran.handler("ran")));
    let unknown = |error: &ResolveError| matches!(error, ResolveError::UnknownScope(_));
    let unavailable = |error: &ResolveError| matches!(error, ResolveError::Unavailable { .. });
    type Check = fn(&ResolveError) -> bool;
    let rows: [(&str, Option<&str>, Check, bool); 4] = [
        ("nowhere", None, unknown, false),
        ("dev/nobody", None, unknown, false),
        ("live", Some("the disk is gone"), unavailable, true),
        ("nowhere", Some("the disk is gone"), unavailable, true),
    ];
    for (at, broken, is_it, retryable) in rows {
        world.store.set_broken(broken);
        let error =
            runtime.dispatch(&undertone_tests::world::event(TOPIC, at), world.budget).await.unwrap_err();
        assert!(is_it(&error), "{at}: {error}");
        assert_eq!(error.is_retryable(), retryable, "{at}: {error}");
    }
    assert_eq!(ran.lines(), Vec::<String>::new());
}

#[test]
fn what_is_no_event_is_refused_by_position_or_field_and_not_quoted() {
    let text = serde_json::to_string(CANARY).unwrap();
    let whole = format!(
        r#"{{"id": {text}, "topic": {text}, "domain": {text}, "context": {{"environmentId": {text}, "spaceId": {text}}},
            "payload": {{{text}: [{text}, 1]}}, "namespaces": [{text}], "createdAt": {text}}}"#
    );
    // Cut off anywhere, and with an unquoted canary anywhere, it is no JSON.
    let mut broken: Vec<String> = (1..whole.len()).map(|end| whole[..end].to_owned()).collect();
    broken.extend((0..whole.len()).map(|at| format!("{}{CANARY}{}", &whole[..at], &whole[at..])));
    for (field, value) in [
        ("topic", json!(format!("a:{CANARY}*"))),
        ("topic", json!({ CANARY: CANARY })),
        ("id", json!(format!("{CANARY} with a space"))),
        ("context", json!({ "environmentId": format!("../{CANARY}") })),
        ("context", json!({ "environmentId": "dev", "spaceId": [CANARY] })),
        ("namespaces", json!({ CANARY: CANARY })),
        ("createdAt", json!(CANARY)),
        ("domain", json!([CANARY])),
    ] {
        let mut event = json!({"topic": "a"});
        event[field] = value;
        broken.push(event.to_string());
    }
    let mut refused = 0;
    for bytes in &broken {
        if let Err(error) = EventData::parse(bytes.as_bytes()) {
            refused += 1;
            let said = format!("{error} {error:?}");
            // Planting in each of these thousands would take minutes; the rows below do it once.
            assert_eq!(undertone_tests::encodings::find(said.as_bytes(), CANARY), None, "{bytes}: {said}");
        }
    }
    assert!(broken.len() - 40 < refused, "{refused} of {}", broken.len());
    let error = EventData::parse(broken.last().unwrap().as_bytes()).err().unwrap();
    assert_clean(error.to_string().as_bytes(), CANARY);
    let quoting = serde_json::from_str::<Vec<u8>>(&text).unwrap_err().to_string();
    assert!(
        undertone_tests::encodings::find(quoting.as_bytes(), CANARY).is_some(),
        "serde quotes it: {quoting}"
    );
}

#[test]
fn an_event_is_at_most_as_large_as_it_may_be() {
    let event = |size: usize| {
        let frame = json!({"topic": "a", "payload": ""}).to_string().len();
        json!({"topic": "a", "payload": "x".repeat(size - frame)}).to_string()
    };
    assert!(EventData::parse(event(LARGEST_EVENT).as_bytes()).is_ok());
    assert!(EventData::parse(event(LARGEST_EVENT + 1).as_bytes()).is_err());
    let parsed: Value = serde_json::from_str(&event(100)).unwrap();
    assert_eq!(parsed.to_string().len(), 100);
}
