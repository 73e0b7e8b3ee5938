//! Every sink puts the value where it says, and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use undertone_core::Secret;
use undertone_runtime::Request;
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::encodings::{CANARY, OTHER_CANARY};
use undertone_tests::servers::{Received, Server};

use super::{content, kind, send, server, world};

type Sink = for<'s> fn(Request<'static>, &'s Secret) -> Request<'s>;
type Check = fn(&Received) -> bool;

#[tokio::test]
async fn every_sink_arrives_over_tls_exactly_as_it_should() {
    let authority = Authority::default();
    let server = Server::tls(&authority, Shown::Right, content).await;
    let mut world = world().await;
    world.roots.push(authority.root());
    let rows: [(&str, Sink, Check); 11] = [
        (
            "bearer",
            |request, token| request.bearer(token),
            |got| header(got, "authorization") == format!("Bearer {CANARY}"),
        ),
        (
            "basic",
            |request, token| request.basic("ann", token),
            |got| {
                header(got, "authorization") == format!("Basic {}", STANDARD.encode(format!("ann:{CANARY}")))
            },
        ),
        (
            "basic without a user",
            |request, token| request.basic("", token),
            |got| header(got, "authorization") == format!("Basic {}", STANDARD.encode(format!(":{CANARY}"))),
        ),
        ("header", |request, token| request.header("X-Token", token), |got| header(got, "x-token") == CANARY),
        (
            "header_template",
            |request, token| request.header_template("Authorization", "Token {};v=1", token),
            |got| header(got, "authorization") == format!("Token {CANARY};v=1"),
        ),
        (
            "query beside a plain field",
            |request, token| request.query("a b", "c&d").query("token", token),
            |got| query(got) == [("a b".into(), "c&d".into()), ("token".into(), CANARY.into())],
        ),
        (
            "json_field at the top",
            |request, token| request.json(&json!({"text": "hi"})).json_field("token", token),
            |got| got.json() == json!({"text": "hi", "token": CANARY}),
        ),
        (
            "json_field at a pointer",
            |request, token| request.json(&json!({"a": [{"b": null}, 2]})).json_field("/a/0/b", token),
            |got| got.json() == json!({"a": [{"b": CANARY}, 2]}),
        ),
        (
            "json_field whose name holds what a pointer escapes",
            |request, token| request.json_field("a/b~c", token),
            |got| got.json() == json!({"a/b~c": CANARY}),
        ),
        (
            "json_field without a body",
            |request, token| request.json_field("token", token),
            |got| got.json() == json!({"token": CANARY}) && header(got, "content-type") == "application/json",
        ),
        (
            "one secret in two places",
            |request, token| request.bearer(token).json_field("token", token),
            |got| {
                header(got, "authorization") == format!("Bearer {CANARY}")
                    && got.json() == json!({"token": CANARY})
            },
        ),
    ];
    for (name, sink, check) in rows {
        let url = server.url("/path?x=1");
        let result = send(&world, "dev", move |http, token| sink(http.post(&url), token)).await;
        assert_eq!(kind(&result), "200", "{name}");
        let got = server.requests().pop().expect("a request came");
        assert!(got.target.starts_with("/path?x=1"), "{name}: {got:?}");
        assert!(check(&got), "{name}: {got:?}");
    }
}

#[tokio::test]
async fn two_secrets_go_to_their_own_places_in_one_request() {
    let server = server().await;
    let world = world().await;
    world.set("dev/red", "OTHER", OTHER_CANARY).await;
    let url = server.url("/");
    let status = world
        .within("dev/red", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            let other = event.secrets("OTHER").await.unwrap();
            let request = event.http().post(&url).bearer(&token).query("o", &other);
            request.json_field("token", &token).json_field("other", &other).send().await.unwrap().status()
        })
        .await;
    let got = server.request();
    assert_eq!(status, 200);
    assert_eq!(header(&got, "authorization"), format!("Bearer {CANARY}"));
    assert_eq!(query(&got), [("o".to_owned(), OTHER_CANARY.to_owned())]);
    assert_eq!(got.json(), json!({"token": CANARY, "other": OTHER_CANARY}));
}

#[tokio::test]
async fn an_empty_value_is_sent_as_one() {
    let server = server().await;
    let world = world().await;
    world.set("dev/red", "TOKEN", "").await;
    let url = server.url("/");
    send(&world, "dev/red", move |http, token| http.post(&url).json_field("token", token)).await.unwrap();
    assert_eq!(server.request().json(), json!({"token": ""}));
}

#[tokio::test]
async fn a_large_value_arrives_whole() {
    let server = server().await;
    let world = world().await;
    let large = CANARY.repeat(2_000);
    world.set("dev/red", "TOKEN", &large).await;
    let url = server.url("/");
    send(&world, "dev/red", move |http, token| http.post(&url).json_field("token", token)).await.unwrap();
    assert_eq!(server.request().json(), json!({"token": large}));
}

fn header(got: &Received, name: &str) -> String {
    String::from_utf8_lossy(got.header(name).unwrap_or_default()).into_owned()
}

/// The fields of the query after the URL's own `x=1`, decoded.
fn query(got: &Received) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://server{}", got.target)).expect("a target is a URL's end");
    url.query_pairs().into_owned().filter(|(name, _)| name != "x").collect()
}
