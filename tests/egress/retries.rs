//! Repeating a request: only where that is safe, when the server asks for it, and while time is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use undertone_runtime::EgressError;
use undertone_tests::servers::{Answer, Server};
use undertone_tests::world::{name, scope};

use super::{content, kind, send, server, world};

/// Asks for patience so many times, then is content.
async fn busy(times: usize, status: u16, retry_after: Option<&str>) -> Server {
    let header = retry_after.map(str::to_owned);
    Server::plain(move |got| match got.number < times {
        true => {
            let headers: Vec<(&str, &str)> =
                header.iter().map(|after| ("retry-after", after.as_str())).collect();
            Answer::new(status, &headers, "later")
        }
        false => content(got),
    })
    .await
}

#[tokio::test]
async fn patience_that_a_server_asks_for_is_had_where_repeating_is_safe() {
    let world = world().await;
    for (method, key, times, status, want, requests) in [
        ("GET", None, 2, 429, "200", 3),
        ("GET", None, 2, 503, "200", 3),
        ("PUT", None, 2, 429, "200", 3),
        ("DELETE", None, 1, 503, "200", 2),
        ("HEAD", None, 1, 429, "200", 2),
        ("GET", None, 9, 429, "429", 3),
        ("POST", None, 2, 429, "429", 1),
        ("PATCH", None, 2, 503, "503", 1),
        ("POST", Some("key-1"), 2, 429, "200", 3),
        ("PATCH", Some("key-1"), 2, 503, "200", 3),
        ("POST", Some("key-1"), 9, 503, "503", 3),
        ("GET", None, 2, 500, "500", 1),
        ("GET", None, 2, 502, "502", 1),
        ("GET", None, 2, 408, "408", 1),
        ("POST", Some("key-1"), 2, 500, "500", 1),
    ] {
        let what = format!("{method} {key:?} {times} times {status}");
        let server = busy(times, status, Some("0")).await;
        let before = world.rows().await.len();
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| {
            let request = http.request(method, &url).bearer(token);
            match key {
                Some(key) => request.idempotency_key(key),
                None => request,
            }
        })
        .await;
        assert_eq!(kind(&result), want, "{what}");
        let got = server.requests();
        assert_eq!(got.len(), requests, "{what}");
        assert!(got.iter().all(|got| got.header("idempotency-key") == key.map(str::as_bytes)), "{what}");
        let rows = world.rows_in_short().await.split_off(before);
        assert_eq!(rows, vec!["secret.use TOKEN allowed"; requests], "{what}: one row for each attempt");
    }
}

#[tokio::test]
async fn retry_after_is_believed_within_the_deadline_and_garbage_is_not() {
    let date = |seconds: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let rows = [
        (None, "200", 3, 0, 900),
        (Some("1"), "200", 3, 2_000, 3_500),
        (Some("in 2"), "200", 3, 900, 5_000),
        (Some("120"), "RetryLater", 1, 0, 500),
        (Some("86400"), "RetryLater", 1, 0, 500),
        (Some("in 100"), "RetryLater", 1, 0, 500),
        (Some("-1"), "200", 3, 0, 900),
        (Some("1000000000000"), "200", 3, 0, 900),
        (Some("99999999999999999999999"), "200", 3, 0, 900),
        (Some("1.5"), "200", 3, 0, 900),
        (Some("in -1000"), "200", 3, 0, 900),
        (Some("soon"), "200", 3, 0, 900),
        (Some(""), "200", 3, 0, 900),
    ];
    join_all(rows.map(async |(retry_after, want, requests, at_least, at_most)| {
        let dated = retry_after.and_then(|text| Some(date(text.strip_prefix("in ")?.parse().unwrap())));
        let server = busy(2, 429, dated.as_deref().or(retry_after)).await;
        let world = world().await;
        let url = server.url("/");
        let began = Instant::now();
        let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
        let took = began.elapsed();
        assert_eq!(kind(&result), want, "{retry_after:?}");
        assert_eq!(server.requests().len(), requests, "{retry_after:?}");
        let (least, most) = (Duration::from_millis(at_least), Duration::from_millis(at_most + 4_000));
        assert!(least <= took && took < most, "{retry_after:?}: {took:?}");
        if let Err(EgressError::RetryLater { status, after, .. }) = result {
            assert_eq!(status, 429);
            assert!(90 <= after.as_secs() && after.as_secs() <= 86_400, "{after:?}");
        }
    }))
    .await;
}

#[tokio::test]
async fn a_connection_that_fails_is_tried_again_where_repeating_is_safe() {
    // Bound, so that nobody else takes it, and listened at by nobody.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = bound.local_addr().unwrap().port();
    let world = world().await;
    for (method, key, attempts) in
        [("GET", None, 3), ("DELETE", None, 3), ("POST", None, 1), ("PATCH", None, 1), ("POST", Some("k"), 3)]
    {
        let before = (world.network.lookups().len(), world.rows().await.len());
        let url = format!("http://localhost:{port}/");
        let result = send(&world, "dev", move |http, token| {
            let request = http.request(method, &url).bearer(token);
            match key {
                Some(key) => request.idempotency_key(key),
                None => request,
            }
        })
        .await;
        assert_eq!(kind(&result), "Connect", "{method}");
        assert_eq!(world.network.lookups().len() - before.0, attempts, "{method} {key:?}");
        assert_eq!(world.rows().await.len() - before.1, attempts, "{method} {key:?}");
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_carried_out_is_not_repeated() {
    let mut world = world().await;
    world.budget = Duration::from_secs(2);
    let world = &world;
    let ends = [("silence", Answer::none()), ("a closed connection", Answer::raw(""))];
    let methods = [("POST", None), ("POST", Some("k")), ("GET", None), ("PUT", None)];
    let rows = ends.iter().flat_map(|end| methods.map(|method| (end.clone(), method)));
    join_all(rows.map(async |((what, answer), (method, key))| {
        let server = Server::plain(move |_| answer.clone()).await;
        let url = server.url("/");
        let result = send(world, "dev", move |http, token| {
            let request = http.request(method, &url).bearer(token);
            match key {
                Some(key) => request.idempotency_key(key),
                None => request,
            }
        })
        .await;
        assert_eq!(kind(&result), "Ambiguous", "{what} {method}");
        let said = result.err().unwrap().to_string();
        assert!(said.contains("may have been carried out"), "{said}");
        assert_eq!(server.requests().len(), 1, "{what} {method} {key:?}");
    }))
    .await;
}

#[tokio::test]
async fn patience_ends_before_the_deadline() {
    let mut world = world().await;
    world.budget = Duration::from_secs(3);
    for (status, retry_after, want) in [(429, Some("5"), "RetryLater"), (503, Some("5"), "RetryLater")] {
        let server = busy(9, status, retry_after).await;
        let url = server.url("/");
        let began = Instant::now();
        let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{retry_after:?}");
        assert!(began.elapsed() < world.budget, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let server = server().await;
    let mut world = world().await;
    world.budget = Duration::from_millis(500);
    let url = server.url("/");
    let mut late = world
        .within("dev", async move |event| {
            let mut late = JoinSet::new();
            late.spawn(async move {
                let token = event.secrets("TOKEN").await.unwrap();
                tokio::time::sleep(Duration::from_millis(600)).await;
                event.http().get(&url).bearer(&token).send().await
            });
            late
        })
        .await;
    assert_eq!(kind(&late.join_next().await.unwrap().unwrap()), "Deadline");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_secret_that_is_revoked_while_a_server_asks_for_patience_is_not_sent_again() {
    let world = Arc::new(world().await);
    let operator = world.clone();
    let server = Server::plain(move |_| {
        let (scope, name) = (scope("dev"), name("TOKEN"));
        let revoked = operator.vault.revoke(&scope, &name, 1).now_or_never();
        revoked.expect("memory doesn't wait").expect("version 1 is revoked");
        Answer::new(429, &[("retry-after", "0")], "")
    })
    .await;
    let url = server.url("/");
    let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
    assert_eq!(kind(&result), "Resolve");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        world.rows_in_short().await,
        ["secret.use TOKEN allowed", "secret.resolve TOKEN refused revoked"]
    );
}
