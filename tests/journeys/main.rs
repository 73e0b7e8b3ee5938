//! What people do with the programs, from the outside: nothing here reaches into a library.

mod demo;
mod first_steps;
mod memory;
mod service;

use undertone_tests::servers::{Answer, Received, Server};

/// A stand-in for Slack that takes any token and says so.
async fn slack() -> Server {
    Server::plain(|request: &Received| {
        let text = match request.target.as_str() {
            "/api/chat.postMessage" => r#"{"ok":true,"channel":"C0TEST","ts":"1700000000.000001"}"#,
            _ => r#"{"ok":false,"error":"unknown_method"}"#,
        };
        Answer::new(200, &[("content-type", "application/json")], text)
    })
    .await
}

/// Which bearer token each request carried.
fn tokens(server: &Server) -> Vec<String> {
    let token = |request: &Received| {
        let header = request.header("authorization").expect("every call is authorised");
        String::from_utf8(header.to_vec()).expect("tokens are text").replace("Bearer ", "")
    };
    server.requests().iter().map(token).collect()
}
