//! Do the stand-ins for AWS refuse what AWS refuses? Asked in plain HTTP, without an SDK.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod authentication;
mod ciphertexts;
mod keys;
mod labels;
mod listing;
mod proxy;
mod scripts;
mod secrets;

use serde_json::{Value, json};
use undertone_tests::fake_aws::{FakeAws, REGION};

const KMS: &str = "TrentService";
const SECRETS: &str = "secretsmanager";

/// Two keys, `alias/red` and `alias/blue`, and no secret.
struct Cloud {
    aws: FakeAws,
    http: reqwest::Client,
}

impl Cloud {
    async fn start() -> Self {
        let aws = FakeAws::start().await;
        aws.kms().create_key("alias/red");
        aws.kms().create_key("alias/blue");
        Self { aws, http: client() }
    }

    /// The answer, or the kind of the refusal.
    async fn kms(&self, operation: &str, members: Value) -> Result<Value, String> {
        self.ask(KMS, operation, members).await
    }

    /// The answer, or the kind of the refusal.
    async fn secrets(&self, operation: &str, members: Value) -> Result<Value, String> {
        self.ask(SECRETS, operation, members).await
    }

    async fn ask(&self, service: &str, operation: &str, members: Value) -> Result<Value, String> {
        let url = self.aws.url();
        let request = request(&self.http, &url, service, operation).body(members.to_string());
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        let body: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(&body).unwrap() };
        match (status, body["__type"].as_str()) {
            (200, None) => Ok(body),
            (400, Some(kind)) => Err(kind.to_owned()),
            (status, kind) => panic!("{operation}: {status} {kind:?}"),
        }
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A request that lacks its body only.
fn request(http: &reqwest::Client, url: &str, service: &str, operation: &str) -> reqwest::RequestBuilder {
    let scope = if service == KMS { "kms" } else { service };
    http.post(url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("{service}.{operation}"))
        .header("authorization", authorization(REGION, scope))
}

fn authorization(region: &str, scope: &str) -> String {
    let credential = format!("AKIDEXAMPLE/20260101/{region}/{scope}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0000")
}

fn refused(kind: &str) -> Result<Value, String> {
    Err(kind.to_owned())
}

/// A token of 32 characters.
fn token(number: u32) -> String {
    format!("{number:032}")
}
