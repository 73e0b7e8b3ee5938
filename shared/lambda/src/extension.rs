//! An internal extension that wants no events. Lambda tells a process that it is about to end only
//! if it has one.

use std::time::Duration;

use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{PooledClient, build_request};

/// What registering may take: events wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is said again that no event is wanted, should the connection break (as it does when
/// a snapshot is restored).
const ATTEMPTS: usize = 10;

/// Registers it. If that fails, as where Lambda is only played, the listener is served all the
/// same, and its process is ended without warning.
pub(crate) async fn register() {
    let client = PooledClient::builder().build();
    match tokio::time::timeout(PATIENCE, ask(&client)).await {
        Ok(Some(identifier)) => {
            tokio::spawn(wait(client, identifier));
        }
        Ok(None) | Err(_) => {
            tracing::debug!("no extension could be registered: the end of the process won't be announced");
        }
    }
}

async fn ask(client: &PooledClient) -> Option<String> {
    let request = build_request()
        .method("POST")
        .uri("/2020-01-01/extension/register")
        .header("Lambda-Extension-Name", "undertone-shutdown")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"events":[]}"#));
    let answer = client.call(request.ok()?).await.ok()?;
    Some(answer.headers().get("lambda-extension-identifier")?.to_str().ok()?.to_owned())
}

/// Asks for the next event, which never comes: Lambda begins with invocations when all have asked.
async fn wait(client: PooledClient, identifier: String) {
    for _ in 0..ATTEMPTS {
        let request = build_request()
            .uri("/2020-01-01/extension/event/next")
            .header("Lambda-Extension-Identifier", &identifier)
            .body(Body::empty());
        let Ok(request) = request else { return };
        if client.call(request).await.is_ok_and(|answer| answer.status().is_client_error()) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
