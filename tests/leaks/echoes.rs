//! What a server sends back, secret included.

use serde_json::json;
use undertone_runtime::slack::{Slack, SlackError};
use undertone_runtime::{Error, Event, FailureKind};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, encodings, find};
use undertone_tests::servers::{Answer, Received, Server};
use undertone_tests::world::{TOPIC, event, once, scope};

use super::world;

/// Answers with the header that came, as a careless API does.
fn echo(got: &Received) -> Answer {
    let header = String::from_utf8_lossy(got.header("authorization").unwrap_or_default()).into_owned();
    Answer::new(401, &[("x-echo", &header)], format!("bad credentials: {header}"))
}

#[tokio::test]
async fn an_echoed_secret_is_masked_in_the_masked_text() {
    let server = Server::plain(echo).await;
    let world = world().await;
    let url = server.url("/");
    let (raw, masked) = world
        .within("dev/red", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            let response = event.http().post(&url).bearer(&token).send().await.unwrap();
            (response.bytes().to_vec(), response.masked_text())
        })
        .await;
    assert!(find(&raw, CANARY).is_some());
    assert_eq!(masked, "bad credentials: Bearer [secret:TOKEN]");
}

#[tokio::test]
async fn an_answer_with_the_secret_in_any_encoding_is_masked() {
    let world = world().await;
    for encoding in encodings(CANARY) {
        let body = [b"it was ", encoding.written.as_slice(), b" I think"].concat();
        let server = Server::plain(move |_| Answer::new(200, &[], &body)).await;
        let url = server.url("/");
        let masked = world
            .within("dev/red", async move |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                event.http().post(&url).bearer(&token).send().await.unwrap().masked_text()
            })
            .await;
        assert!(masked.contains("[secret:TOKEN]"), "{}: {masked}", encoding.name);
        assert_clean(masked.as_bytes(), CANARY);
    }
}

#[tokio::test]
async fn the_secret_of_a_granted_scope_is_masked_in_an_answer() {
    let server = Server::plain(echo).await;
    let mut world = world().await;
    world.set("dev/blue", "OTHER", OTHER_CANARY).await;
    world.granted.push(scope("dev/blue"));
    let url = server.url("/");
    let masked = world
        .within("dev/red", async move |event| {
            let other = event.secrets("OTHER").space("blue").await.unwrap();
            event.http().post(&url).bearer(&other).send().await.unwrap().masked_text()
        })
        .await;
    assert_eq!(masked, "bad credentials: Bearer [secret:OTHER]");
}

#[tokio::test]
async fn an_echo_that_is_returned_is_a_secret_in_the_output() {
    let server = Server::plain(echo).await;
    let world = world().await;
    for (what, pointer) in [("body", "/got/0"), ("header", "/got/0"), ("error", "")] {
        let url = server.url("/");
        let listener = world.listener().on(
            TOPIC,
            once(async move |event: Event| {
                let token = event.secrets("TOKEN").await?;
                let response = event.http().post(&url).bearer(&token).send().await?;
                let body = String::from_utf8_lossy(response.bytes()).into_owned();
                match what {
                    "body" => Ok(json!({"got": [body]})),
                    "header" => Ok(json!({"got": [response.header("x-echo")]})),
                    _ => Err(Error::msg(body)),
                }
            }),
        );
        let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
        let failure = report.failures().next().unwrap();
        match what {
            "error" => assert_eq!(failure.message, "bad credentials: Bearer [secret:TOKEN]"),
            _ => {
                let (name, pointer) = ("TOKEN".to_owned(), pointer.to_owned());
                assert_eq!(failure.kind, FailureKind::SecretInOutput { name, pointer }, "{what}");
            }
        }
        assert_clean(failure.message.as_bytes(), CANARY);
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_slack_that_answers_with_the_token_does_not_bring_it_into_a_report() {
    for (what, status, body) in [
        ("as its error", 200, json!({"ok": false, "error": CANARY}).to_string()),
        ("as a scope", 200, json!({"ok": false, "error": "missing_scope", "needed": CANARY}).to_string()),
        ("as no JSON", 200, CANARY.to_owned()),
        ("as the wrong JSON", 200, json!({"ok": CANARY}).to_string()),
        ("as an error page", 500, CANARY.to_owned()),
        ("as the message's channel", 200, json!({"ok": true, "channel": [CANARY], "ts": CANARY}).to_string()),
    ] {
        let server = Server::plain(move |_| Answer::new(status, &[], &body)).await;
        let world = world().await;
        let url = server.url("/api");
        let listener = world.listener().on(
            TOPIC,
            once(async move |event: Event| {
                let token = event.secrets("TOKEN").await?;
                Slack::new(event.http(), &token).at(&url).post_message("C1", "hi").await?;
                Ok(())
            }),
        );
        let report = world.dispatch(listener, &event(TOPIC, "dev/red")).await;
        let failure = report.failures().next().unwrap();
        assert!(failure.error.as_ref().unwrap().downcast_ref::<SlackError>().is_some(), "{what}");
        assert_clean(failure.message.as_bytes(), CANARY);
        assert_clean(format!("{report:?}").as_bytes(), CANARY);
        assert!(find(&server.wire(), CANARY).is_some(), "{what}: the token was sent");
    }
}
