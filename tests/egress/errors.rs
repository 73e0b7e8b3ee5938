//! Errors name the method, the host and the status, and quote nothing of a request or an answer.

use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};
use undertone_core::Secret;
use undertone_runtime::{EgressError, Http, Request};
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, find};
use undertone_tests::servers::{Answer, Server};
use undertone_tests::world::{World, hosts, name, scope};

use super::{kind, send, world};

/// A request with a canary in every place that it has: the secret in each sink, the author's own in the rest.
fn everywhere<'s>(http: &Http, url: &str, token: &'s Secret) -> Request<'s> {
    http.post(&format!("{url}{OTHER_CANARY}?own={OTHER_CANARY}#{OTHER_CANARY}"))
        .bearer(token)
        .header("X-Secret", token)
        .header_template("X-Template", "Token {}", token)
        .query("secret", token)
        .json(&json!({ OTHER_CANARY: OTHER_CANARY }))
        .json_field("secret", token)
        .header("X-Own", OTHER_CANARY)
        .query("own", OTHER_CANARY)
        .idempotency_key(OTHER_CANARY)
        .follow_redirects(3)
        .largest_answer(200)
}

/// Everything that an error says, also through its sources.
fn said(error: &EgressError) -> String {
    let mut said = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    while let Some(inner) = source {
        said += &format!("\n{inner}\n{inner:?}");
        source = inner.source();
    }
    said
}

fn assert_says_nothing(error: &EgressError) {
    assert_clean(said(error).as_bytes(), CANARY);
    assert_clean(said(error).as_bytes(), OTHER_CANARY);
}

/// Sends it and reads the answer as an author would.
async fn fail(world: &World, at: &str, url: String) -> EgressError {
    world
        .within(at, async move |event| {
            let token = event.secrets("TOKEN").await?;
            let answer = everywhere(&event.http(), &url, &token).send().await?;
            answer.error_for_status()?.json::<u64>()
        })
        .await
        .expect_err("it fails")
}

#[tokio::test]
async fn a_failing_server_is_named_and_its_answer_and_the_request_are_not() {
    let echo = format!("{CANARY} {OTHER_CANARY}");
    let text = |status, headers: &[(&str, &str)]| Answer::new(status, headers, &echo);
    for (what, answer, want) in [
        ("a status", text(500, &[("x-echo", OTHER_CANARY)]), "Status"),
        (
            "a status with a reason",
            Answer::raw(format!("HTTP/1.1 418 {OTHER_CANARY}\r\ncontent-length: 0\r\n\r\n")),
            "Status",
        ),
        ("no JSON", text(200, &[]), "BadAnswer"),
        ("too much", Answer::new(200, &[], echo.repeat(10)), "BadAnswer"),
        (
            "cut off",
            Answer::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 180\r\n\r\n{echo}")),
            "BadAnswer",
        ),
        ("garbage", Answer::raw(echo.clone()), "Ambiguous"),
        ("a garbage header", Answer::raw(format!("HTTP/1.1 200 OK\r\n{OTHER_CANARY}\r\n\r\n")), "Ambiguous"),
        ("silence", Answer::none(), "Ambiguous"),
        ("a later time", text(429, &[("retry-after", "9999")]), "RetryLater"),
        ("a redirect with the secret", Answer::redirect(302, &format!("/?{CANARY}")), "SecretInRedirect"),
        ("a redirect to a bad URL", Answer::redirect(302, &format!("http://[{OTHER_CANARY}")), "BadAnswer"),
        (
            "a redirect with a password",
            Answer::redirect(302, &format!("https://u:{OTHER_CANARY}@a.example/")),
            "BadUrl",
        ),
        (
            "a redirect to plain HTTP",
            Answer::redirect(302, &format!("http://a.example/{OTHER_CANARY}")),
            "PlainHttp",
        ),
        (
            "a redirect to a scheme",
            Answer::redirect(302, &format!("x-{OTHER_CANARY}:{OTHER_CANARY}")),
            "BadUrl",
        ),
    ] {
        let mut world = world().await;
        world.budget = Duration::from_secs(2);
        let server = Server::plain(move |_| answer.clone()).await;
        let error = fail(&world, "dev", server.url("/")).await;
        assert_eq!(kind(&Err(error.clone())), want, "{what}");
        assert_says_nothing(&error);
        assert!(find(&server.wire(), CANARY).is_some(), "{what}: the server did get it");
        if !matches!(error, EgressError::BadUrl(_) | EgressError::PlainHttp { .. }) {
            assert!(error.to_string().starts_with(&format!("POST {}: ", server.host())), "{error}");
        }
    }
}

#[tokio::test]
async fn what_never_leaves_is_not_quoted_either() {
    let authority = Authority::default();
    let expired = Server::tls(&authority, Shown::Expired, |_| Answer::status(200)).await;
    let mut world = world().await;
    world.roots.push(authority.root());
    world.set_with("dev/red", "TOKEN", CANARY, hosts(&["slack.com"])).await;
    world.set_with("live", "TOKEN", CANARY, hosts(&["private.example"])).await;
    world.network.answer("private.example", &[&["10.0.0.1"]]);
    for (at, url, want) in [
        ("dev", expired.url("/"), "Connect"),
        ("dev", "http://127.0.0.1:1/".to_owned(), "Connect"),
        ("dev", "https://nowhere.example/".to_owned(), "Connect"),
        ("dev", "http://a.example/".to_owned(), "PlainHttp"),
        ("dev/red", "https://a.example/".to_owned(), "HostNotAllowed"),
        ("live", "https://private.example/".to_owned(), "AddressNotAllowed"),
        ("live", "https://10.0.0.1/".to_owned(), "AddressNotAllowed"),
        ("dev", format!("https://user:{OTHER_CANARY}@a.example/"), "BadUrl"),
        ("dev", format!("https://a.example/{OTHER_CANARY}\n/"), "BadUrl"),
        ("dev", format!("https://a.example:{OTHER_CANARY}/"), "BadUrl"),
        ("dev", format!("{OTHER_CANARY}://a.example/"), "BadUrl"),
    ] {
        let error = fail(&world, at, url.clone()).await;
        assert_eq!(kind(&Err(error.clone())), want, "{url}");
        assert_says_nothing(&error);
    }
    for (value, want) in [
        ([CANARY.as_bytes(), b"\r\n"].concat(), "BadHeader"),
        ([CANARY.as_bytes(), b"\xff"].concat(), "BadBody"),
    ] {
        world.set("dev", "TOKEN", value).await;
        let error = fail(&world, "dev", "http://127.0.0.1:1/".to_owned()).await;
        assert_eq!(kind(&Err(error.clone())), want);
        assert_says_nothing(&error);
    }
    world.vault.disable(&scope("dev"), &name("TOKEN")).await.unwrap();
    let error = fail(&world, "dev", "http://127.0.0.1:1/".to_owned()).await;
    assert_eq!(kind(&Err(error.clone())), "Resolve");
    assert_says_nothing(&error);
}

#[tokio::test]
async fn what_does_not_serialise_is_not_quoted() {
    struct Telling;
    impl serde::Serialize for Telling {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(OTHER_CANARY))
        }
    }
    let planted = serde_json::to_value(Telling).unwrap_err().to_string();
    assert!(find(planted.as_bytes(), OTHER_CANARY).is_some(), "serde does quote it");
    let world = world().await;
    let result = send(&world, "dev", |http, _| http.post("http://127.0.0.1:1/").json(&Telling)).await;
    assert_eq!(kind(&result), "BadBody");
    assert_says_nothing(&result.err().unwrap());
}

#[tokio::test]
async fn the_same_error_of_the_transport_would_have_quoted_the_url() {
    // The finder sees what this product keeps to itself: reqwest's own error quotes the query.
    let url = format!("http://127.0.0.1:1/?q={OTHER_CANARY}");
    let error = reqwest::Client::builder().no_proxy().build().unwrap().get(&url).send().await.unwrap_err();
    assert!(find(format!("{error} {error:?}").as_bytes(), OTHER_CANARY).is_some());
    let quoting = serde_json::from_value::<u64>(Value::String(OTHER_CANARY.to_owned())).unwrap_err();
    assert!(find(quoting.to_string().as_bytes(), OTHER_CANARY).is_some());
}
