//! What leaves, to whom, and what doesn't.
//!
//! The servers of these tests are on loopback, which only a development Environment reaches. Of a
//! standard Environment they show what is refused, and with which reason.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod addresses;
mod answers;
mod audit;
mod connections;
mod errors;
mod injection;
mod proxies;
mod redirects;
mod retries;
mod rules;
mod sinks;
mod tls;

use undertone_core::Secret;
use undertone_runtime::{EgressError, Http, Request, Response};
use undertone_tests::encodings::CANARY;
use undertone_tests::servers::{Answer, Received, Server};
use undertone_tests::world::World;

/// A world in which `TOKEN` is the canary in both Environments, without rules.
async fn world() -> World {
    let world = World::new().await;
    world.set("dev", "TOKEN", CANARY).await;
    world.set("live", "TOKEN", CANARY).await;
    world
}

/// Sends the one request of the one handler of one event.
async fn send(
    world: &World,
    at: &str,
    build: impl for<'s> FnOnce(Http, &'s Secret) -> Request<'s> + Send + 'static,
) -> Result<Response, EgressError> {
    world
        .within(at, async move |event| {
            let token = event.secrets("TOKEN").await.expect("the world has a TOKEN");
            build(event.http(), &token).send().await
        })
        .await
}

/// A server that is content with everything.
async fn server() -> Server {
    Server::plain(content).await
}

fn content(_: &Received) -> Answer {
    Answer::new(200, &[], "fine")
}

/// What went wrong, in the test's words: a name that stands for one variant.
fn kind(result: &Result<Response, EgressError>) -> String {
    use undertone_core::UseError;
    let name = match result {
        Ok(response) => return response.status().to_string(),
        Err(error) => match error {
            EgressError::BadUrl(_) => "BadUrl",
            EgressError::PlainHttp { .. } => "PlainHttp",
            EgressError::AddressNotAllowed { .. } => "AddressNotAllowed",
            EgressError::BadHeader(_) => "BadHeader",
            EgressError::BadBody(_) => "BadBody",
            EgressError::BadTemplate => "BadTemplate",
            EgressError::Secret(error) => match error {
                UseError::NotOfThisEvent { .. } => "NotOfThisEvent",
                UseError::HostNotAllowed { .. } => "HostNotAllowed",
                UseError::NoHostRule { .. } => "NoHostRule",
                UseError::MethodNotAllowed { .. } => "MethodNotAllowed",
                UseError::SinkNotAllowed { .. } => "SinkNotAllowed",
                UseError::PlainNotAllowed { .. } => "PlainNotAllowed",
                UseError::RevealNotAllowed { .. } => "RevealNotAllowed",
                UseError::Resolve(_) => "Resolve",
                UseError::Audit(_) => "Audit",
            },
            EgressError::Deadline { .. } => "Deadline",
            EgressError::Connect { .. } => "Connect",
            EgressError::Ambiguous { .. } => "Ambiguous",
            EgressError::RetryLater { .. } => "RetryLater",
            EgressError::BadAnswer { .. } => "BadAnswer",
            EgressError::Status { .. } => "Status",
            EgressError::SecretInRedirect { .. } => "SecretInRedirect",
            EgressError::SecretInRequest { .. } => "SecretInRequest",
        },
    };
    name.to_owned()
}
