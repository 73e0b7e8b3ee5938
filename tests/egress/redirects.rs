//! Redirects: not followed unless asked, and to another origin nothing of the caller's goes along.

use std::sync::Arc;

use serde_json::json;
use undertone_core::Secret;
use undertone_runtime::Request;
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, encodings, find};
use undertone_tests::servers::{Answer, Received, Server};
use undertone_tests::world::scope;

use super::{kind, send, server, world};

/// Redirects `/away` and answers everything else.
async fn redirecting(status: u16, location: &str) -> Server {
    let location = location.to_owned();
    Server::plain(move |got| match got.target.starts_with("/away") {
        true => Answer::redirect(status, &location),
        false => Answer::status(200),
    })
    .await
}

fn everywhere<'s>(request: Request<'static>, token: &'s Secret) -> Request<'s> {
    request
        .bearer(token)
        .header("X-Secret", token)
        .header_template("X-Template", "Token {}", token)
        .header("X-Custom", "mine")
        .query("secret", token)
        .query("plain", "mine")
        .idempotency_key("key-of-mine")
        .follow_redirects(5)
}

#[tokio::test]
async fn a_redirect_is_not_followed_unless_that_was_asked() {
    let other = server().await;
    for status in [301, 302, 303, 307, 308] {
        let first = redirecting(status, &other.url("/")).await;
        let world = world().await;
        let url = first.url("/away");
        let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
        assert_eq!(kind(&result), status.to_string());
        assert_eq!((first.connections(), other.connections()), (1, 0));
    }
}

#[tokio::test]
async fn the_same_origin_keeps_the_secrets() {
    for (status, method, want) in [
        (301, "GET", "GET"),
        (302, "GET", "GET"),
        (307, "GET", "GET"),
        (308, "GET", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ] {
        let server = redirecting(status, "/here?x=1").await;
        let world = world().await;
        let url = server.url("/away");
        let result =
            send(&world, "dev", move |http, token| everywhere(http.request(method, &url), token)).await;
        assert_eq!(kind(&result), "200", "{status} {method}");
        let got = &server.requests()[1];
        assert_eq!(got.method, want, "{status} {method}");
        assert_eq!(got.header("authorization"), Some(format!("Bearer {CANARY}").as_bytes()));
        assert_eq!(got.header("x-custom"), Some(&b"mine"[..]));
        assert!(find(got.target.as_bytes(), CANARY).is_some(), "{}", got.target);
    }
}

#[tokio::test]
async fn the_same_origin_keeps_a_body_where_the_status_says_so() {
    for (status, kept) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let server = redirecting(status, "/here").await;
        let world = world().await;
        let url = server.url("/away");
        let result = send(&world, "dev", move |http, token| {
            let request = http.post(&url).json(&json!({"text": "hi"})).json_field("token", token);
            request.header("X-Custom", "mine").follow_redirects(1)
        })
        .await;
        assert_eq!(kind(&result), "200", "{status}");
        let got = server.requests().remove(1);
        match kept {
            true => assert_eq!(got.json(), json!({"text": "hi", "token": CANARY}), "{status}"),
            // The secret was in a body that is gone: nothing else goes along either.
            false => assert_eq!((got.method.as_str(), got.body.len()), ("GET", 0), "{status}"),
        }
    }
}

#[tokio::test]
async fn another_port_host_or_scheme_gets_nothing_of_the_callers() {
    let authority = Authority::default();
    let fine = |_: &Received| Answer::status(200);
    let tls = Server::tls(&authority, Shown::Right, fine).await;
    let plain = Server::plain(fine).await;
    for (what, status, to) in [
        ("another port", 302, plain.url("/landed")),
        ("another port", 307, plain.url("/landed")),
        ("another port", 308, plain.url("/landed")),
        ("another scheme", 302, tls.url("/landed")),
    ] {
        let first = redirecting(status, &to).await;
        let mut world = world().await;
        world.roots.push(authority.root());
        let url = first.url("/away");
        let result = send(&world, "dev", move |http, token| everywhere(http.get(&url), token)).await;
        assert_eq!(kind(&result), "200", "{what}");
        assert!(find(&first.wire(), CANARY).is_some(), "the first origin gets the secret");
        let landed = if what == "another scheme" { &tls } else { &plain };
        assert_nothing_of_the_callers(&landed.requests().pop().unwrap(), what);
    }
    assert_clean(&plain.wire(), CANARY);
}

#[tokio::test]
async fn another_name_of_the_same_server_is_another_origin() {
    let server = Server::plain(|got| match got.target.starts_with("/away") {
        // The port of this server, which its script can't know, is in the request.
        true => {
            let host = String::from_utf8_lossy(got.header("host").unwrap()).replace("127.0.0.1", "localhost");
            Answer::redirect(302, &format!("http://{host}/landed"))
        }
        false => Answer::status(200),
    })
    .await;
    let world = world().await;
    let url = server.url("/away");
    let result = send(&world, "dev", move |http, token| everywhere(http.get(&url), token)).await;
    assert_eq!(kind(&result), "200");
    assert_nothing_of_the_callers(&server.requests()[1], "another host");
}

#[tokio::test]
async fn the_way_back_to_the_first_origin_restores_nothing() {
    let first_port = Arc::new(std::sync::OnceLock::new());
    let back = first_port.clone();
    let second = Server::plain(move |_| {
        Answer::redirect(302, &format!("http://127.0.0.1:{}/landed", back.get().expect("the port is known")))
    })
    .await;
    let first = redirecting(302, &second.url("/")).await;
    first_port.set(first.port()).unwrap();
    let world = world().await;
    let url = first.url("/away");
    let result = send(&world, "dev", move |http, token| everywhere(http.get(&url), token)).await;
    assert_eq!(kind(&result), "200");
    assert_nothing_of_the_callers(&second.request(), "the second origin");
    assert_nothing_of_the_callers(&first.requests()[1], "the first origin, again");
}

#[tokio::test]
async fn a_body_is_not_sent_to_another_origin_though_the_status_asks_for_it() {
    let other = server().await;
    for status in [307, 308] {
        for (what, method) in [("a plain body", "POST"), ("a secret in the body", "PUT"), ("bearer", "POST")]
        {
            let first = redirecting(status, &other.url("/")).await;
            let world = world().await;
            let url = first.url("/away");
            let result = send(&world, "dev", move |http, token| {
                let request = http.request(method, &url).follow_redirects(5);
                match what {
                    "a plain body" => request.json(&json!({"text": "hi"})),
                    "bearer" => request.bearer(token),
                    _ => request.json_field("token", token),
                }
            })
            .await;
            assert_eq!(kind(&result), status.to_string(), "{what}");
        }
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_hop_to_where_nothing_may_go_is_refused() {
    let world = world().await;
    world.network.answer("private.example", &[&["10.0.0.1"]]);
    for (location, want) in [
        ("http://169.254.169.254/latest/meta-data/", "PlainHttp"),
        ("https://169.254.169.254/latest/meta-data/", "AddressNotAllowed"),
        ("https://[::ffff:169.254.169.254]/", "AddressNotAllowed"),
        ("https://2852039166/", "AddressNotAllowed"),
        ("//169.254.169.254/", "PlainHttp"),
        ("https://10.0.0.1/", "AddressNotAllowed"),
        ("http://api.example.com/", "PlainHttp"),
        ("https://private.example/", "AddressNotAllowed"),
        ("https://user:pass@api.example.com/", "BadUrl"),
        ("file:///etc/passwd", "BadUrl"),
        ("ftp://127.0.0.1/", "BadUrl"),
        ("https://api.example.com./", "BadUrl"),
        ("http://[", "BadAnswer"),
        ("http://\u{e9}\u{0}", "Ambiguous"),
    ] {
        let first = redirecting(302, location).await;
        let url = first.url("/away");
        let result =
            send(&world, "dev", move |http, token| http.get(&url).bearer(token).follow_redirects(5)).await;
        assert_eq!(kind(&result), want, "{location:?}");
        assert_eq!(first.connections(), 1, "{location:?}");
    }
}

#[tokio::test]
async fn a_location_that_holds_a_secret_is_not_followed() {
    let other = server().await;
    let world = world().await;
    for encoding in encodings(CANARY) {
        let Ok(written) = String::from_utf8(encoding.written) else { continue };
        if written.contains('\0') {
            continue;
        }
        for location in [other.url(&format!("/?stolen={written}")), format!("/{written}")] {
            let first = redirecting(302, &location).await;
            let url = first.url("/away");
            let result =
                send(&world, "dev", move |http, token| http.get(&url).bearer(token).follow_redirects(5))
                    .await;
            assert_eq!(kind(&result), "SecretInRedirect", "{}: {location}", encoding.name);
        }
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_location_that_holds_the_secret_of_a_granted_scope_is_not_followed() {
    let other = server().await;
    let first = redirecting(302, &other.url(&format!("/?stolen={OTHER_CANARY}"))).await;
    let mut world = world().await;
    world.set("dev/blue", "TOKEN", OTHER_CANARY).await;
    world.granted.push(scope("dev/blue"));
    let url = first.url("/away");
    let result = world
        .within("dev/red", async move |event| {
            let token = event.secrets("TOKEN").space("blue").await.unwrap();
            event.http().get(&url).bearer(&token).follow_redirects(5).send().await
        })
        .await;
    assert_eq!(kind(&result), "SecretInRedirect");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    for (most, hops) in [(0, 1), (3, 4), (10, 11), (255, 11)] {
        let server = Server::plain(|_| Answer::redirect(302, "/away")).await;
        let world = world().await;
        let url = server.url("/away");
        let result =
            send(&world, "dev", move |http, token| http.get(&url).bearer(token).follow_redirects(most)).await;
        assert_eq!(kind(&result), "302", "{most}");
        assert_eq!(server.requests().len(), hops, "{most}");
    }
}

#[tokio::test]
async fn every_hop_that_carries_a_secret_has_its_row_and_no_other_has() {
    let second = redirecting(302, "/landed").await;
    let first = Server::plain({
        let away = second.url("/away");
        move |got| match got.target.as_str() {
            "/once" => Answer::redirect(302, "/twice"),
            _ => Answer::redirect(302, &away),
        }
    })
    .await;
    let world = world().await;
    let url = first.url("/once");
    let result =
        send(&world, "dev", move |http, token| http.get(&url).bearer(token).follow_redirects(5)).await;
    assert_eq!(kind(&result), "200");
    assert_eq!((first.requests().len(), second.requests().len()), (2, 2));
    assert_eq!(world.rows_in_short().await, ["secret.use TOKEN allowed", "secret.use TOKEN allowed"]);
}

fn assert_nothing_of_the_callers(got: &Received, what: &str) {
    assert!(got.target == "/landed" || got.target == "/", "{what}: {got:?}");
    let names: Vec<&str> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| ["accept", "host", "user-agent"].contains(name)), "{what}: {names:?}");
    assert_clean(format!("{got:?}").as_bytes(), CANARY);
}
