//! What the libraries below log about a request, at their most talkative.

use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::child::is_alone;
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, find};
use undertone_tests::servers::{Answer, Server};

use super::logs::log;
use super::world;

#[tokio::test]
async fn the_transport_at_its_most_talkative_shows_no_value() {
    if !is_alone("wire::the_transport_at_its_most_talkative_shows_no_value") {
        return;
    }
    // Lines of `log`, which rustls writes, become lines of `tracing` in the whole process.
    tracing_log::LogTracer::init().unwrap();
    let authority = Authority::default();
    let server =
        Server::tls(&authority, Shown::Right, |_| Answer::new(200, &[("x-echo", CANARY)], CANARY)).await;
    let mut world = world().await;
    world.roots.push(authority.root());
    world.set("dev/red", "OTHER", OTHER_CANARY).await;
    let log = log();
    let url = server.url("/");
    let status = world
        .within("dev/red", async move |event| {
            tracing::trace!(target: "hyper::proto", "authorization: Bearer {CANARY}");
            let token = event.secrets("TOKEN").await.unwrap();
            let other = event.secrets("OTHER").await.unwrap();
            let request = event.http().post(&url).bearer(&token).header("X-Other", &other);
            let request = request.query("q", &token).json_field("body", &other);
            request.send().await.unwrap().status()
        })
        .await;
    assert_eq!(status, 200);
    assert_eq!(server.requests().len(), 1);
    let raw = log.raw.text();
    for library in ["rustls::client", "hyper_util::client"] {
        assert!(raw.contains(library), "nothing of {library} was logged: {raw}");
    }
    // The line that was planted reached the log, and not past the guard.
    log.assert_masked(CANARY, "the planted line");
    assert_clean(&log.guarded.bytes(), OTHER_CANARY);
    let without_the_planted: String =
        raw.lines().filter(|line| !line.contains("authorization: Bearer")).collect();
    assert_eq!(find(without_the_planted.as_bytes(), CANARY), None, "the libraries log no value themselves");
    assert_eq!(find(without_the_planted.as_bytes(), OTHER_CANARY), None);
}
