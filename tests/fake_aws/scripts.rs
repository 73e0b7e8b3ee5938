//! Answers that tests ask for, and what they can learn about the requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use undertone_tests::fake_aws::Answer;

use crate::{Cloud, KMS, refused, request, token};

#[tokio::test]
async fn the_next_answers_have_what_a_test_puts_in() {
    let cloud = Cloud::start().await;
    let kms = cloud.aws.kms();
    let made = json!({ "KeyId": "alias/red", "KeySpec": "AES_256" });
    let other = kms.key_arn("alias/blue");
    for plaintext in [&[][..], &[7; 31], &[7; 33], &[0; 32]] {
        kms.answer_next("GenerateDataKey", Answer::plaintext(plaintext));
    }
    kms.answer_next("GenerateDataKey", Answer::key_id(&other));
    kms.answer_next("GenerateDataKey", Answer::Without("CiphertextBlob"));
    kms.answer_next("GenerateDataKey", Answer::refusal("KMSInternalException"));
    for length in [0, 31, 33, 32] {
        let answer = cloud.kms("GenerateDataKey", made.clone()).await.unwrap();
        assert_eq!(STANDARD.decode(answer["Plaintext"].as_str().unwrap()).unwrap().len(), length);
        assert_eq!(answer["KeyId"], json!(kms.key_arn("alias/red")), "the rest is true");
    }
    // Another operation is not meant.
    assert!(cloud.kms("DescribeKey", json!({ "KeyId": "alias/red" })).await.is_ok());
    assert_eq!(cloud.kms("GenerateDataKey", made.clone()).await.unwrap()["KeyId"], json!(other));
    assert!(cloud.kms("GenerateDataKey", made.clone()).await.unwrap()["CiphertextBlob"].is_null());
    assert_eq!(cloud.kms("GenerateDataKey", made.clone()).await, refused("KMSInternalException"));
    let answer = cloud.kms("GenerateDataKey", made).await.unwrap();
    assert_eq!(answer["KeyId"], json!(kms.key_arn("alias/red")));
    assert!(answer["CiphertextBlob"].is_string());
}

#[tokio::test]
async fn the_next_answer_is_anything_at_all() {
    let cloud = Cloud::start().await;
    let huge = vec![b' '; 10 << 20];
    for (status, content_type, body) in [
        (200, "application/x-amz-json-1.1", huge),
        (200, "text/html", b"<html>".to_vec()),
        (500, "application/x-amz-json-1.1", Vec::new()),
    ] {
        cloud.aws.kms().answer_next("Decrypt", Answer::raw(status, content_type, body.clone()));
        let request = request(&cloud.http, &cloud.aws.url(), KMS, "Decrypt").body("{}");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["content-type"], content_type);
        assert!(answer.bytes().await.unwrap() == body);
    }
    assert_eq!(cloud.kms("Decrypt", json!({})).await, refused("ValidationException"));
}

#[tokio::test]
async fn every_request_is_remembered_without_what_it_carries() {
    let cloud = Cloud::start().await;
    let (kms, secrets) = (cloud.aws.kms(), cloud.aws.secrets());
    assert!(kms.calls().is_empty(), "what tests do themselves is no request");
    kms.deny("Encrypt", None);
    for operation in ["Encrypt", "Decrypt", "NoSuchThing"] {
        let members = json!({
            "KeyId": "alias/red", "Plaintext": "c2VjcmV0", "CiphertextBlob": "c2VjcmV0",
            "EncryptionContext": { "a": "b" },
        });
        assert!(cloud.kms(operation, members).await.is_err());
    }
    let value = json!({ "Name": "a", "ClientRequestToken": token(1), "SecretString": "secret" });
    cloud.secrets("CreateSecret", value).await.unwrap();
    let calls = kms.calls();
    let operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["Encrypt", "Decrypt", "NoSuchThing"]);
    assert!(calls.is_sorted_by_key(|call| call.at));
    assert_eq!(calls[0].request["EncryptionContext"], json!({ "a": "b" }));
    assert_eq!(calls[0].request["Plaintext"], json!("8 characters"));
    let all = format!("{calls:?} {:?}", secrets.calls());
    assert!(!all.contains("c2VjcmV0") && !all.contains("\"secret\""), "{all}");
    assert_eq!((kms.calls_of("Decrypt"), kms.calls_of("CreateSecret")), (1, 0));
    assert_eq!(secrets.calls_of("CreateSecret"), 1);
    kms.reset_calls();
    assert_eq!((kms.calls().len(), secrets.calls().len()), (0, 1));
    secrets.reset_calls();
    assert_eq!(secrets.calls().len(), 0);
}

#[tokio::test]
async fn secrets_manager_answers_by_script_too() {
    let cloud = Cloud::start().await;
    let made = json!({ "Name": "a", "ClientRequestToken": token(1), "SecretString": "x" });
    cloud.secrets("CreateSecret", made).await.unwrap();
    let changed = Answer::With { member: "SecretString", value: json!("y") };
    cloud.aws.secrets().answer_next("GetSecretValue", changed);
    for want in ["y", "x"] {
        let got = cloud.secrets("GetSecretValue", json!({ "SecretId": "a" })).await.unwrap();
        assert_eq!(got["SecretString"], json!(want));
    }
}
