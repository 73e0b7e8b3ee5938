//! A stand-in for Slack's API on loopback that answers as Slack does, errors included.
//!
//! It knows tokens by digest only, and remembers who called with which of them, not the token.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Json;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A call of `chat.postMessage`.
#[derive(Clone)]
pub(crate) struct Received {
    /// Whose token it carried, as it was registered.
    pub token_of: String,
    /// The channel.
    pub channel: String,
    /// The text.
    pub text: String,
}

/// The running stand-in. It ends with the process.
pub(crate) struct StandIn {
    /// `127.0.0.1:port`.
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tokens: Mutex<HashMap<[u8; 32], &'static str>>,
    received: Mutex<Vec<Received>>,
}

impl StandIn {
    pub(crate) async fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/api/chat.postMessage", post(post_message))
            .route("/api/echo", get(echo))
            .with_state(shared.clone());
        let listening = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listening.local_addr()?.to_string();
        tokio::spawn(async move { axum::serve(listening, router).await });
        Ok(Self { address, shared })
    }

    /// From now on the token is valid; `name` says whose it is.
    pub(crate) fn know(&self, token: &[u8], name: &'static str) {
        let mut tokens = self.shared.tokens.lock().expect("no holder of this lock panics");
        tokens.insert(fingerprint(token), name);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no holder of this lock panics").clone()
    }
}

async fn post_message(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let refused = |error: &str| Json(json!({ "ok": false, "error": error }));
    let Some(token) = bearer(&headers) else {
        return refused("not_authed");
    };
    let known =
        shared.tokens.lock().expect("no holder of this lock panics").get(&fingerprint(token)).copied();
    let Some(token_of) = known else {
        return refused("invalid_auth");
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return refused("invalid_json");
    };
    let Some(channel) = message["channel"].as_str().filter(|channel| channel.starts_with('C')) else {
        return refused("channel_not_found");
    };
    let Some(text) = message["text"].as_str().filter(|text| !text.is_empty()) else {
        return refused("no_text");
    };
    let mut received = shared.received.lock().expect("no holder of this lock panics");
    received.push(Received {
        token_of: token_of.to_owned(),
        channel: channel.to_owned(),
        text: text.to_owned(),
    });
    let ts = format!("1700000000.{:06}", received.len());
    Json(json!({ "ok": true, "channel": channel, "ts": ts, "message": { "text": text } }))
}

/// What some servers do in their error pages: repeats the credentials that it was sent.
async fn echo(headers: HeaderMap) -> String {
    let sent = bearer(&headers).unwrap_or_default();
    format!("you sent: Bearer {}", String::from_utf8_lossy(sent))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")
}

fn fingerprint(token: &[u8]) -> [u8; 32] {
    digest(&SHA256, token).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
