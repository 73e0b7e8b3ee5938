//! Values that would break out of their place don't leave; those that a place can hold arrive as they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use undertone_core::Secret;
use undertone_runtime::Request;
use undertone_tests::servers::Server;

use super::{content, kind, send, server, world};

type Sink = for<'s> fn(Request<'static>, &'s Secret) -> Request<'s>;

const SINKS: [(&str, Sink); 6] = [
    ("bearer", |request, token| request.bearer(token)),
    ("basic", |request, token| request.basic("ann", token)),
    ("header", |request, token| request.header("X-Token", token)),
    ("template", |request, token| request.header_template("X-Token", "Token {}", token)),
    ("query", |request, token| request.query("token", token)),
    ("json", |request, token| request.json_field("token", token)),
];

#[tokio::test]
async fn a_value_that_splits_a_header_is_refused_and_elsewhere_it_is_escaped() {
    let server = server().await;
    let world = world().await;
    for value in ["a\r\nX-Evil: yes\r\n\r\nGET /evil", "a\nX-Evil: yes", "a\rX-Evil: yes", "a\0b", "a\u{7f}b"]
    {
        world.set("dev", "TOKEN", value).await;
        for (name, sink) in SINKS {
            let before = server.connections();
            let url = server.url("/path");
            let result = send(&world, "dev", move |http, token| sink(http.post(&url), token)).await;
            let want = match name {
                "basic" | "query" | "json" => "200",
                _ => "BadHeader",
            };
            assert_eq!(kind(&result), want, "{name} {value:?}");
            if want != "200" {
                assert_eq!(server.connections(), before, "{name} {value:?}");
                continue;
            }
            let got = server.requests().pop().unwrap();
            assert_eq!(got.header("x-evil"), None, "{name} {value:?}");
            let arrived = match name {
                "basic" => {
                    let encoded = &got.header("authorization").unwrap()[b"Basic ".len()..];
                    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap().replace("ann:", "")
                }
                "json" => got.json()["token"].as_str().unwrap().to_owned(),
                _ => {
                    let url = reqwest::Url::parse(&format!("http://server{}", got.target)).unwrap();
                    url.query_pairs().next().unwrap().1.into_owned()
                }
            };
            assert_eq!(arrived, value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_value_that_is_no_text_goes_where_bytes_may_stand_and_nowhere_else() {
    let server = server().await;
    let world = world().await;
    let value = b"\xff\xfebytes";
    world.set("dev", "TOKEN", value).await;
    for (name, sink) in SINKS {
        let before = server.connections();
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| sink(http.post(&url), token)).await;
        let want = match name {
            "query" | "json" => "BadBody",
            _ => "200",
        };
        assert_eq!(kind(&result), want, "{name}");
        assert_eq!(server.connections() - before, usize::from(want == "200"), "{name}");
    }
    let bearer = server.requests().remove(0);
    assert_eq!(bearer.header("authorization"), Some(&b"Bearer \xff\xfebytes"[..]));
}

#[tokio::test]
async fn what_the_author_writes_can_not_split_or_frame_a_request_anew() {
    let server = server().await;
    let world = world().await;
    let builds: [(&str, Sink, &str); 15] = [
        ("a header's value", |request, _| request.header("X-A", "a\r\nX-Evil: yes"), "BadHeader"),
        ("a header's name", |request, _| request.header("X-A\r\nX-Evil", "yes"), "BadHeader"),
        (
            "a template",
            |request, token| request.header_template("X-A", "{}\r\nX-Evil: yes", token),
            "BadHeader",
        ),
        ("a template's header", |request, token| request.header_template("X A", "{}", token), "BadHeader"),
        ("a secret's header", |request, token| request.header("X-A: yes\r\nX-Evil", token), "BadHeader"),
        ("the idempotency key", |request, _| request.idempotency_key("k\r\nX-Evil: yes"), "BadHeader"),
        ("the host", |request, _| request.header("Host", "evil.example"), "BadHeader"),
        ("a secret as host", |request, token| request.header("host", token), "BadHeader"),
        ("the length", |request, _| request.header("Content-Length", "0"), "BadHeader"),
        ("the framing", |request, _| request.header("Transfer-Encoding", "chunked"), "BadHeader"),
        ("the connection", |request, _| request.header("Connection", "upgrade"), "BadHeader"),
        (
            "a template without a place",
            |request, token| request.header_template("X-A", "Token", token),
            "BadTemplate",
        ),
        (
            "a template with two places",
            |request, token| request.header_template("X-A", "{}{}", token),
            "BadTemplate",
        ),
        ("a pointer to nowhere", |request, token| request.json_field("/a/b", token), "BadBody"),
        ("a pointer into a text", |request, token| request.json(&"text").json_field("/a", token), "BadBody"),
    ];
    for (what, build, want) in builds {
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| build(http.post(&url), token)).await;
        assert_eq!(kind(&result), want, "{what}");
    }
    for method in ["", "GET /evil HTTP/1.1\r\nX:", "GE T", "GÉT", "GET\0", &"A".repeat(17)] {
        let (url, method) = (server.url("/"), method.to_owned());
        let what = format!("{method:?}");
        let result = send(&world, "dev", move |http, token| http.request(&method, &url).bearer(token)).await;
        assert_eq!(kind(&result), "BadBody", "{what}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_secret_in_a_body_can_not_reach_beyond_its_string() {
    let server = Server::plain(content).await;
    let world = world().await;
    for value in
        [r#"","admin":true,"x":""#, r#"\","admin":true"#, "\u{2028}\n\t\u{1}\"\\", "}]}", "</script>"]
    {
        world.set("dev", "TOKEN", value).await;
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| {
            let body = serde_json::json!({"a": 1, "deep": {"list": ["x", null]}});
            http.post(&url).json(&body).json_field("/deep/list/1", token).json_field("token", token)
        })
        .await;
        assert_eq!(kind(&result), "200");
        let want = serde_json::json!({"a": 1, "deep": {"list": ["x", value]}, "token": value});
        assert_eq!(server.requests().pop().unwrap().json(), want);
    }
}
