//! Every use has its row before its first byte leaves, and one that can't be written doesn't happen.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use serde_json::json;
use undertone_core::AuditLog;
use undertone_core::audit::Verified;
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean};
use undertone_tests::servers::Server;

use super::{content, kind, send, server, world};

#[tokio::test]
async fn the_row_is_there_when_the_request_arrives() {
    let world = Arc::new(world().await);
    let (seen, watched) = (Arc::new(Mutex::new(Vec::new())), world.clone());
    let keep = seen.clone();
    let server = Server::plain(move |got| {
        let rows = watched.rows_in_short().now_or_never().expect("memory doesn't wait");
        keep.lock().unwrap().push(rows);
        content(got)
    })
    .await;
    for _ in 0..2 {
        let url = server.url("/");
        send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await.unwrap();
    }
    let row = "secret.use TOKEN allowed";
    assert_eq!(*seen.lock().unwrap(), [vec![row], vec![row, row]]);
}

#[tokio::test]
async fn a_use_whose_row_can_not_be_written_does_not_happen() {
    let server = server().await;
    let world = world().await;
    let url = server.url("/");
    let same = url.clone();
    world.audit.set_broken(Some("the disk is full"));
    let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
    assert_eq!(kind(&result), "Audit");
    assert_eq!((server.connections(), server.wire().len()), (0, 0));
    world.audit.set_broken(None);
    assert_eq!(world.rows_in_short().await, Vec::<String>::new());
    let result = send(&world, "dev", move |http, token| http.post(&same).bearer(token)).await;
    assert_eq!(kind(&result), "200");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refusal_whose_row_can_not_be_written_is_reported_as_that() {
    let world = world().await;
    world.audit.set_broken(Some("the disk is full"));
    for (at, url) in [
        ("live", "https://api.example.com/"),
        ("live", "http://127.0.0.1/"),
        ("dev", "https://169.254.169.254/"),
    ] {
        let result = send(&world, at, move |http, token| http.post(url).bearer(token)).await;
        assert_eq!(kind(&result), "Audit", "{url}");
    }
}

#[tokio::test]
async fn a_row_says_who_what_where_and_how_and_never_the_value() {
    let server = server().await;
    let world = world().await;
    world.set("dev", "TOKEN", CANARY).await;
    world.set("dev/red", "OTHER", OTHER_CANARY).await;
    let (url, host) = (server.url("/path?q=1"), server.host());
    let event = world
        .within("dev/red", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            let other = event.secrets("OTHER").await.unwrap();
            let request = event.http().post(&url).bearer(&token).json_field("other", &other);
            request.query("again", &token).send().await.unwrap();
            event.id().to_owned()
        })
        .await;
    let row = |name: &str, version: u64, space: Option<&str>, sink: &str| {
        json!({
            "actor": {"agent": "tester", "event": event},
            "action": "secret.use",
            "scope": {"environment": "dev", "space": space},
            "asked_in": {"environment": "dev", "space": "red"},
            "name": name,
            "version": version,
            "sink": sink,
            "method": "POST",
            "host": host,
            "reason": null,
            "outcome": "allowed",
            "detail": null,
        })
    };
    let mut rows = world.rows().await;
    for got in &mut rows {
        let at = got.as_object_mut().unwrap().remove("at").unwrap();
        assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
    }
    // One row for each use: the same secret in two places is used twice.
    let want = [
        row("TOKEN", 2, None, "bearer"),
        row("OTHER", 1, Some("red"), "json_field"),
        row("TOKEN", 2, None, "query"),
    ];
    assert_eq!(rows, want);
    let written = world.audit.read(0, usize::MAX).await.unwrap();
    let written: Vec<&str> = written.iter().map(|row| row.body.as_str()).collect();
    assert_clean(written.join("\n").as_bytes(), CANARY);
    assert_clean(written.join("\n").as_bytes(), OTHER_CANARY);
    assert!(matches!(world.audit.verify().await, Ok(Verified::Intact { .. })));
}

#[tokio::test]
async fn a_handle_that_is_not_used_leaves_no_row() {
    let world = world().await;
    let named = world
        .within("dev", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            format!("{token:?}")
        })
        .await;
    assert_eq!(named, "Secret(TOKEN v1)");
    assert_eq!(world.rows_in_short().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_request_without_a_secret_leaves_no_row() {
    let server = server().await;
    let world = world().await;
    let url = server.url("/");
    let result = send(&world, "dev", move |http, _| http.post(&url).json(&json!({"a": 1}))).await;
    assert_eq!(kind(&result), "200");
    let refused = send(&world, "live", move |http, _| http.post("https://169.254.169.254/")).await;
    assert_eq!(kind(&refused), "AddressNotAllowed");
    assert_eq!(world.rows_in_short().await, Vec::<String>::new());
}
