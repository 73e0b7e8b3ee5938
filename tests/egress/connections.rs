//! Connections: one for each request, so that nothing of one Space is carried over to another.

use std::sync::Arc;

use undertone_tests::servers::{Answer, Server};

use super::{content, send, world};

#[tokio::test]
async fn every_request_has_a_connection_of_its_own() {
    let server = Server::plain(content).await;
    let world = world().await;
    world.set("dev/red", "TOKEN", "the-token-of-red").await;
    for (at, times) in [("dev", 2), ("dev/red", 1), ("dev/blue", 1), ("dev", 1)] {
        let url = server.url("/");
        world
            .within(at, async move |event| {
                let token = event.secrets("TOKEN").await.unwrap();
                for _ in 0..times {
                    event.http().post(&url).bearer(&token).send().await.unwrap();
                }
            })
            .await;
    }
    let connections: Vec<usize> = server.requests().iter().map(|got| got.connection).collect();
    assert_eq!(connections, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_server_that_would_go_on_finds_the_connection_closed() {
    let server = Server::plain(content).await;
    let world = world().await;
    let url = server.url("/");
    send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await.unwrap();
    server.settled().await;
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let server = Server::plain(|_| Answer::new(200, &[("set-cookie", "session=of-red; Path=/")], "")).await;
    let world = world().await;
    for at in ["dev/red", "dev/red", "dev/blue"] {
        let url = server.url("/");
        send(&world, at, move |http, token| http.get(&url).bearer(token)).await.unwrap();
    }
    assert!(server.requests().iter().all(|got| got.header("cookie").is_none()));
}

#[tokio::test]
async fn spaces_that_send_at_the_same_time_send_their_own_secrets() {
    let server = Server::plain(content).await;
    let world = Arc::new(world().await);
    for space in ["red", "blue"] {
        world.set(&format!("dev/{space}"), "TOKEN", format!("the-token-of-{space}")).await;
    }
    let mut running = tokio::task::JoinSet::new();
    for turn in 0..100 {
        let space = if turn % 2 == 0 { "red" } else { "blue" };
        let (world, url) = (world.clone(), server.url(&format!("/{space}")));
        running.spawn(async move {
            let at = format!("dev/{space}");
            send(&world, &at, move |http, token| http.get(&url).bearer(token)).await.unwrap().status()
        });
    }
    while let Some(status) = running.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 100);
    for got in requests {
        let want = format!("Bearer the-token-of-{}", &got.target[1..]);
        assert_eq!(got.header("authorization"), Some(want.as_bytes()));
    }
}
