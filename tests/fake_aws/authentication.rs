//! Who may come in, and what is a request at all.

use serde_json::Value;
use undertone_tests::fake_aws::{EXPIRED, FakeAws, REGION};

use crate::{authorization, client};

#[tokio::test]
async fn a_request_says_who_asks_and_for_what() {
    let aws = FakeAws::start().await;
    let good = authorization(REGION, "kms");
    let no_signature = good.split(", Signature").next().unwrap().to_owned();
    let missing = "MissingAuthenticationTokenException";
    for (authorization, session, want) in [
        (Some(good.clone()), None, "NotFoundException"),
        (Some(good.clone()), Some("a session"), "NotFoundException"),
        (Some(good.clone()), Some(EXPIRED), "ExpiredTokenException"),
        (None, None, missing),
        (Some("Bearer abc".to_owned()), None, missing),
        (Some(no_signature), None, "IncompleteSignatureException"),
        (Some(good.replace("/aws4_request", "")), None, "IncompleteSignatureException"),
        (Some(authorization("us-east-1", "kms")), None, "InvalidSignatureException"),
        (Some(authorization(REGION, "secretsmanager")), None, "InvalidSignatureException"),
    ] {
        let mut headers = vec![("x-amz-target", "TrentService.DescribeKey".to_owned())];
        headers.push(("content-type", "application/x-amz-json-1.1".to_owned()));
        headers.extend(authorization.clone().map(|value| ("authorization", value)));
        headers.extend(session.map(|value| ("x-amz-security-token", value.to_owned())));
        let kind = refusal(&aws, &headers, r#"{"KeyId":"alias/none"}"#).await;
        assert_eq!(kind, want, "{authorization:?} {session:?}");
    }
}

#[tokio::test]
async fn only_requests_in_json_1_1_that_name_an_operation_are_read() {
    let aws = FakeAws::start().await;
    let (json, unknown) = ("application/x-amz-json-1.1", "UnknownOperationException");
    for (target, content_type, body, want) in [
        ("TrentService.DescribeKey", json, r#"{"KeyId":"alias/none"}"#, "NotFoundException"),
        ("TrentService.DescribeKey", "application/json", "{}", unknown),
        ("TrentService.NoSuchThing", json, "{}", unknown),
        ("TrentService", json, "{}", unknown),
        ("Elsewhere.DescribeKey", json, "{}", unknown),
        ("TrentService.DescribeKey", json, "", "SerializationException"),
        ("TrentService.DescribeKey", json, "[]", "SerializationException"),
        ("TrentService.DescribeKey", json, r#"{"KeyId":1}"#, "SerializationException"),
        ("TrentService.DescribeKey", json, "{}", "ValidationException"),
        // A rule that a test asks for and nobody keeps must not go unnoticed.
        (
            "TrentService.DescribeKey",
            json,
            r#"{"KeyId":"alias/none","GrantTokens":[]}"#,
            "ValidationException",
        ),
    ] {
        let headers = [
            ("x-amz-target", target.to_owned()),
            ("content-type", content_type.to_owned()),
            ("authorization", authorization(REGION, "kms")),
        ];
        assert_eq!(refusal(&aws, &headers, body).await, want, "{target} {content_type} {body}");
    }
}

#[tokio::test]
async fn a_dropped_fake_is_gone() {
    let aws = FakeAws::start().await;
    let (url, http) = (aws.url(), client());
    http.post(&url).send().await.unwrap();
    drop(aws);
    for _ in 0..500 {
        if http.post(&url).send().await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it still answers");
}

async fn refusal(aws: &FakeAws, headers: &[(&str, String)], body: &'static str) -> String {
    let mut request = client().post(aws.url()).body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["__type"].as_str().unwrap().to_owned()
}
