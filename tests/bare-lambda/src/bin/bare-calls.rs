//! Makes the calls that slack-notifier makes, in its order, and nothing of what it makes them for: no
//! rules, no audit, no guard. The bench `cold_start` compares with it.

use std::sync::Arc;

use aws_sdk_kms::primitives::Blob;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use undertone_aws::Connection;

/// What the bench says: the KMS key, a ciphertext of it in hex, two secrets, and where to post.
struct Calls {
    connection: Connection,
    key: String,
    ciphertext: Vec<u8>,
    secrets: Vec<String>,
    post_to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name| std::env::var(name);
    let secrets: Vec<String> = variable("BARE_SECRETS")?.split(',').map(str::to_owned).collect();
    let calls = Calls {
        connection: Connection::from_environment(),
        key: variable("BARE_KMS_KEY")?,
        ciphertext: bytes(&variable("BARE_CIPHERTEXT")?)?,
        secrets,
        post_to: format!("{}/chat.postMessage", variable("SLACK_API_URL")?),
    };
    let first = calls.connection.secrets_manager().get_secret_value().secret_id(&calls.secrets[0]);
    first.version_stage("AWSCURRENT").send().await?;
    let calls = Arc::new(calls);
    run(service_fn(move |event: LambdaEvent<Value>| handle(calls.clone(), event.payload))).await
}

async fn handle(calls: Arc<Calls>, event: Value) -> Result<Value, Error> {
    let secrets = calls.connection.secrets_manager();
    let batch = secrets.batch_get_secret_value().set_secret_id_list(Some(calls.secrets.clone()));
    let decrypt = || {
        let call = calls.connection.kms().decrypt().key_id(&calls.key);
        call.ciphertext_blob(Blob::new(calls.ciphertext.clone())).send()
    };
    let (batch, first) = tokio::join!(batch.send(), decrypt());
    batch?;
    first?;
    decrypt().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let body = json!({ "channel": "C", "text": event["topic"] }).to_string();
    let posted = http.post(&calls.post_to).bearer_auth("xoxb-0").header("content-type", "application/json");
    posted.body(body).send().await?.error_for_status()?.bytes().await?;
    Ok(json!({ "done": true }))
}

fn bytes(hex: &str) -> Result<Vec<u8>, Error> {
    let digits = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    digits.collect::<Result<_, _>>().map_err(Into::into)
}
