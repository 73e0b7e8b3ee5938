//! Answers: read within limits of size and time, whatever a server sends.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use undertone_runtime::Response;
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::servers::{Answer, Server};

use super::{kind, send, world};

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn an_answer_larger_than_allowed_is_refused_and_one_that_fits_is_not() {
    let world = world().await;
    for (limit, size, want) in [
        (Some(1_000), 1_000, "200"),
        (Some(1_000), 1_001, "BadAnswer"),
        (Some(0), 0, "200"),
        (Some(0), 1, "BadAnswer"),
        (None, 10 * 1024 * 1024, "200"),
        (None, 10 * 1024 * 1024 + 1, "BadAnswer"),
    ] {
        let server = Server::plain(move |_| Answer::new(200, &[], vec![b'x'; size])).await;
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| {
            let request = http.get(&url).bearer(token);
            match limit {
                Some(limit) => request.largest_answer(limit),
                None => request,
            }
        })
        .await;
        assert_eq!(kind(&result), want, "{limit:?} {size}");
        if let Ok(response) = result {
            assert_eq!(response.bytes().len(), size);
        }
        server.settled().await;
    }
}

#[tokio::test]
async fn an_answer_without_an_end_ends_with_an_error_and_the_connection() {
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let header = format!("x-h: {}\r\n", "x".repeat(1_000));
    let now = Duration::from_millis(2);
    let second = Duration::from_secs(1);
    let start = |rest: &str| format!("{OK}{rest}");
    let rows = [
        (
            "endless chunks",
            Answer::endless(start("transfer-encoding: chunked\r\n\r\n"), chunk, now),
            "BadAnswer",
        ),
        (
            "10 GiB",
            Answer::endless(start("content-length: 10737418240\r\n\r\n"), vec![0; 9_999], now),
            "BadAnswer",
        ),
        ("no length", Answer::endless(start("\r\n"), vec![0; 9_999], now), "BadAnswer"),
        ("endless headers", Answer::endless(OK, header, now), "Ambiguous"),
        ("an endless header", Answer::endless(start("x-h: "), vec![b'x'; 9_999], now), "Ambiguous"),
        ("an endless status", Answer::endless("HTTP/1.1 200 ", vec![b'x'; 9_999], now), "Ambiguous"),
        (
            "endless chunk extensions",
            Answer::endless(start("transfer-encoding: chunked\r\n\r\n1;"), vec![b'x'; 9_999], now),
            "BadAnswer",
        ),
        (
            "a body of 1 byte/s",
            Answer::endless(start("content-length: 100\r\n\r\n"), "x", second),
            "BadAnswer",
        ),
        ("a head of 1 byte/s", Answer::endless(OK, "x", second), "Ambiguous"),
        (
            "endless interim answers",
            Answer::endless("", "HTTP/1.1 100 Continue\r\n\r\n", Duration::from_millis(1)),
            "Ambiguous",
        ),
        ("silence", Answer::none(), "Ambiguous"),
    ];
    let ends_by_time = ["a body of 1 byte/s", "a head of 1 byte/s", "endless interim answers", "silence"];
    join_all(rows.map(async |(what, answer, want)| {
        let mut world = world().await;
        if ends_by_time.contains(&what) {
            world.budget = Duration::from_secs(3);
        }
        let server = Server::plain(move |_| answer.clone()).await;
        let url = server.url("/");
        let began = Instant::now();
        let result =
            send(&world, "dev", move |http, token| http.post(&url).bearer(token).largest_answer(100_000))
                .await;
        assert_eq!(kind(&result), want, "{what}");
        assert!(began.elapsed() < world.budget + Duration::from_secs(1), "{what}: {:?}", began.elapsed());
        if what != "silence" {
            server.settled().await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_million_headers_are_an_error() {
    let headers = "a: b\r\n".repeat(1_000_000);
    let server = Server::plain(move |_| Answer::raw(format!("{OK}{headers}content-length: 0\r\n\r\n"))).await;
    let world = world().await;
    let url = server.url("/");
    let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
    assert_eq!(kind(&result), "Ambiguous");
}

#[tokio::test]
async fn what_is_no_complete_http_answer_is_an_error() {
    let world = world().await;
    for (what, bytes, want) in [
        ("garbage", "\0\u{1}\u{2}garbage\r\n\r\n".to_owned(), "Ambiguous"),
        ("another protocol", "SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "Ambiguous"),
        ("nothing", String::new(), "Ambiguous"),
        ("half a head", "HTTP/1.1 200 OK\r\nx-a".to_owned(), "Ambiguous"),
        ("two lengths", format!("{OK}content-length: 2\r\ncontent-length: 3\r\n\r\nabc"), "Ambiguous"),
        ("a body cut off", format!("{OK}content-length: 100\r\n\r\nabc"), "BadAnswer"),
        ("chunks cut off", format!("{OK}transfer-encoding: chunked\r\n\r\n5\r\nab"), "BadAnswer"),
        ("a chunk of no size", format!("{OK}transfer-encoding: chunked\r\n\r\nzz\r\nab"), "BadAnswer"),
    ] {
        let server = Server::plain(move |_| Answer::raw(bytes.clone())).await;
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{what}");
        assert_eq!(server.requests().len(), 1, "{what}: it isn't repeated");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_neither_asked_for_nor_unpacked() {
    // 10 KiB that would be 10 MiB of zeros.
    let packed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 10_000]].concat();
    let body = packed.clone();
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let body = body.clone();
        let server = Server::plain(move |_| Answer::new(200, &[("content-encoding", coding)], &body)).await;
        let world = world().await;
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await;
        assert_eq!(result.unwrap().bytes(), packed, "{coding}");
        assert_eq!(server.request().header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn an_answer_is_read_as_what_it_is() {
    let server = Server::plain(|_| Answer::new(404, &[("X-Why", "gone")], br#"{"a": [1]}"#)).await;
    let world = world().await;
    let url = server.url("/");
    let response = send(&world, "dev", move |http, token| http.get(&url).bearer(token)).await.unwrap();
    assert_eq!((response.status(), response.header("x-why")), (404, Some("gone")));
    assert_eq!(response.json::<Value>().unwrap(), json!({"a": [1]}));
    assert_eq!(response.masked_text(), r#"{"a": [1]}"#);
    let error = response.error_for_status().err().unwrap().to_string();
    assert_eq!(error, format!("GET {}: answered 404", server.host()));
}

#[tokio::test]
async fn an_answer_that_is_not_the_json_expected_is_an_error_that_does_not_quote_it() {
    let world = world().await;
    let text = serde_json::to_string(CANARY).unwrap();
    type Read = fn(&Response) -> Option<String>;
    let reads: [(&str, Read); 4] = [
        ("a number", |response| response.json::<u64>().err().map(|error| format!("{error} {error:?}"))),
        ("a list", |response| response.json::<Vec<u8>>().err().map(|error| format!("{error} {error:?}"))),
        ("an enum", |response| {
            response.json::<std::net::IpAddr>().err().map(|error| format!("{error} {error:?}"))
        }),
        ("a map", |response| {
            let parsed = response.json::<std::collections::BTreeMap<String, bool>>();
            parsed.err().map(|error| format!("{error} {error:?}"))
        }),
    ];
    for body in [
        text.clone(),
        format!("{{{text}: {text}}}"),
        format!("[{text}, 1]"),
        format!("{{\"a\": {text}"),
        format!("{{\"a\": {CANARY}}}"),
        CANARY.to_owned(),
        format!("[1, {CANARY}"),
    ] {
        let answer = Answer::new(200, &[], &body);
        let server = Server::plain(move |_| answer.clone()).await;
        let url = server.url("/");
        let response = send(&world, "dev", move |http, _| http.get(&url)).await.unwrap();
        for (what, read) in reads {
            let error = read(&response).unwrap_or_else(|| panic!("{body} isn't {what}"));
            assert_clean(error.as_bytes(), CANARY);
        }
    }
}
