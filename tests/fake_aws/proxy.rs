//! A proxy that fails on demand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use crate::{Cloud, KMS, request};

/// Longer than a slow machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a caller sees.
#[derive(Debug, PartialEq)]
enum Seen {
    /// The status and the kind of the error.
    Answer(u16, Option<String>),
    /// No JSON.
    Garbage,
    /// An answer began and did not end.
    Broken,
    /// No answer on a connection that was there.
    Nothing,
    Refused,
    TimedOut,
}

#[tokio::test]
async fn each_fault_looks_as_it_says() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    let error = |status, kind: &str| Seen::Answer(status, Some(kind.to_owned()));
    for (fault, want, performed) in [
        (Fault::Throttle, error(400, "ThrottlingException"), 0),
        (Fault::ServerError, error(503, "ServiceUnavailableException"), 0),
        (Fault::Delay(Duration::from_millis(10)), Seen::Answer(200, None), 1),
        (Fault::Delay(Duration::from_secs(60)), Seen::TimedOut, 1),
        (Fault::CutBeforeResponse, Seen::Nothing, 1),
        (Fault::CutInBody, Seen::Broken, 1),
        (Fault::Corrupt, Seen::Garbage, 1),
        (Fault::RefuseConnections, Seen::Refused, 0),
        (Fault::Hang, Seen::TimedOut, 0),
    ] {
        assert_eq!(ask(&proxy, "DescribeKey").await, Seen::Answer(200, None), "before {fault:?}");
        cloud.aws.kms().reset_calls();
        proxy.set(Some(fault));
        let patience = if want == Seen::TimedOut { Duration::from_secs(1) } else { PATIENCE };
        assert_eq!(ask_within(&proxy, "DescribeKey", patience).await, want, "{fault:?}");
        assert_eq!(cloud.aws.kms().calls().len(), performed, "{fault:?}");
        let met = usize::from(fault != Fault::RefuseConnections);
        assert_eq!(proxy.count_of(fault), met, "{fault:?}");
        proxy.set(None);
    }
    assert_eq!(proxy.faults().len(), 8);
    assert_eq!(proxy.requests(), 9 + 8);
}

#[tokio::test]
async fn what_passes_is_what_the_server_said() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    let members = json!({ "KeyId": "alias/red" }).to_string();
    let mut answers = Vec::new();
    // Twice over the proxy, on one connection.
    for url in [cloud.aws.url(), proxy.url(), proxy.url()] {
        let answer =
            request(&cloud.http, &url, KMS, "DescribeKey").body(members.clone()).send().await.unwrap();
        let content_type = answer.headers()["content-type"].clone();
        assert!(answer.headers().contains_key("x-amzn-requestid"));
        answers.push((answer.status(), content_type, answer.bytes().await.unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let refusal = ask(&proxy, "NoSuchThing").await;
    assert_eq!(refusal, Seen::Answer(400, Some("UnknownOperationException".to_owned())));
}

#[tokio::test]
async fn a_delay_takes_its_time() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    let time = Duration::from_millis(150);
    proxy.set(Some(Fault::Delay(time)));
    let began = Instant::now();
    ask(&proxy, "DescribeKey").await;
    assert!(time <= began.elapsed());
}

#[tokio::test]
async fn a_fault_can_be_for_some_operations_only() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    proxy.only("TrentService.Decrypt");
    for (fault, want) in [
        (Fault::Throttle, Seen::Answer(400, Some("ThrottlingException".to_owned()))),
        (Fault::RefuseConnections, Seen::Nothing),
    ] {
        proxy.set(Some(fault));
        assert_eq!(ask(&proxy, "DescribeKey").await, Seen::Answer(200, None), "{fault:?}");
        assert_eq!(ask(&proxy, "Decrypt").await, want, "{fault:?}");
        assert_eq!(proxy.count_of(fault), 1, "{fault:?}");
    }
    proxy.only("");
    assert_eq!(ask(&proxy, "DescribeKey").await, Seen::Refused);
}

#[tokio::test]
async fn each_request_can_fail_in_its_turn() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    for turn in 1..=3 {
        proxy.fail_nth(turn, Fault::ServerError);
        for number in 1..=4 {
            let failed = ask(&proxy, "DescribeKey").await != Seen::Answer(200, None);
            assert_eq!(failed, number == turn, "{number} of {turn}");
        }
    }
    proxy.only("Decrypt");
    proxy.fail_nth(1, Fault::CutBeforeResponse);
    assert_eq!(ask(&proxy, "DescribeKey").await, Seen::Answer(200, None), "it is not counted");
    assert_eq!(ask(&proxy, "Decrypt").await, Seen::Nothing);
    assert_eq!(proxy.faults(), [[Fault::ServerError; 3].as_slice(), &[Fault::CutBeforeResponse]].concat());
}

#[tokio::test]
async fn a_port_that_is_closed_stays_the_proxy_s_own() {
    let cloud = Cloud::start().await;
    let proxy = FaultProxy::before(&cloud.aws.url()).await;
    let address = proxy.url().strip_prefix("http://").unwrap().to_owned();
    for _ in 0..20 {
        proxy.set(Some(Fault::RefuseConnections));
        let refused = tokio::net::TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        proxy.set(None);
        assert_eq!(ask(&proxy, "DescribeKey").await, Seen::Answer(200, None));
    }
}

/// One request on a connection of its own.
async fn ask(proxy: &FaultProxy, operation: &str) -> Seen {
    ask_within(proxy, operation, PATIENCE).await
}

async fn ask_within(proxy: &FaultProxy, operation: &str, patience: Duration) -> Seen {
    let http = reqwest::Client::builder().no_proxy().timeout(patience).build().unwrap();
    let body = json!({ "KeyId": "alias/red" }).to_string();
    let answer = match request(&http, &proxy.url(), KMS, operation).body(body).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return Seen::TimedOut,
        Err(error) if error.is_connect() => return Seen::Refused,
        Err(_) => return Seen::Nothing,
    };
    let status = answer.status().as_u16();
    let Ok(body) = answer.bytes().await else { return Seen::Broken };
    match serde_json::from_slice::<Value>(&body) {
        Ok(body) => Seen::Answer(status, body["__type"].as_str().map(str::to_owned)),
        Err(_) => Seen::Garbage,
    }
}
