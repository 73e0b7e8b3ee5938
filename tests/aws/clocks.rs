//! A machine whose clock is wrong: one question more at first, and then no more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::{KeyId, KeyScope, Opener};
use undertone_tests::fake_aws::REGION;
use undertone_tests::servers::{Answer, Received, Server};

use crate::cloud::{STORE, connection, keys};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A KMS that opens anything, if the request was signed within five minutes of its own time.
fn punctual(request: &Received, ahead: Duration) -> Answer {
    let now = Timestamp::now() + ahead;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date = date.timestamp_to_rfc9110_string(&now).unwrap();
    let signed = std::str::from_utf8(request.header("x-amz-date").unwrap()).unwrap();
    let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", signed).unwrap().to_zoned(TimeZone::UTC).unwrap();
    let late = now.duration_since(signed.timestamp()).unsigned_abs();
    let headers = [("date", date.as_str()), ("content-type", "application/x-amz-json-1.1")];
    if Duration::from_secs(300) < late {
        return Answer::new(400, &headers, r#"{"__type":"InvalidSignatureException"}"#);
    }
    let opened = json!({ "KeyId": KEY, "Plaintext": STANDARD.encode([7; 32]) });
    Answer::new(200, &headers, opened.to_string())
}

#[tokio::test]
async fn a_clock_that_is_twenty_minutes_wrong_costs_one_question() {
    assert!(KEY.contains(REGION));
    let signed = Arc::new(Mutex::new(0));
    let count = signed.clone();
    let server = Server::plain(move |request| {
        *count.lock().unwrap() += 1;
        punctual(request, Duration::from_secs(20 * 60))
    })
    .await;
    let (_, opener) = keys(&connection(&server.url("")), KEY);
    let wrapped =
        WrappedKey { provider: Provider::Kms, id: KeyId([7; 16]), generation: 1, blob: Arc::from([7]) };
    for (time, asked) in [("first", 2), ("second", 3), ("third", 4)] {
        let opened = opener.unwrap_key(&KeyScope::store(STORE), &wrapped).await;
        assert!(opened.is_ok_and(|key| key[..] == [7; 32]), "the {time} time");
        assert_eq!(*signed.lock().unwrap(), asked, "the {time} time");
    }
}
