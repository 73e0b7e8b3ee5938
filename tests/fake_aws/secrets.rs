//! Secrets of Secrets Manager: making, changing, reading and deleting them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Cloud, refused, token};

const EXISTS: &str = "ResourceExistsException";
const INVALID: &str = "ValidationException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const BAD_REQUEST: &str = "InvalidRequestException";
const BAD_PARAMETER: &str = "InvalidParameterException";

#[tokio::test]
async fn a_token_is_the_version_and_says_the_same_thing_only() {
    let cloud = Cloud::start().await;
    let secret = |number, text| json!({ "ClientRequestToken": token(number), "SecretString": text });
    let with = |mut members: Value, member: &str, name: &str| {
        members[member] = json!(name);
        members
    };
    let created = cloud.secrets("CreateSecret", with(secret(1, "one"), "Name", "a")).await.unwrap();
    assert_eq!(created["VersionId"], json!(token(1)));
    for (operation, member, members, want) in [
        ("CreateSecret", "Name", secret(1, "one"), None),
        ("CreateSecret", "Name", secret(1, "other"), Some(EXISTS)),
        ("CreateSecret", "Name", secret(2, "one"), Some(EXISTS)),
        ("PutSecretValue", "SecretId", secret(1, "one"), None),
        ("PutSecretValue", "SecretId", secret(1, "other"), Some(EXISTS)),
        ("PutSecretValue", "SecretId", secret(2, "two"), None),
        ("PutSecretValue", "SecretId", secret(2, "two"), None),
        ("PutSecretValue", "SecretId", secret(2, "one"), Some(EXISTS)),
    ] {
        let kind = cloud.secrets(operation, with(members.clone(), member, "a")).await.err();
        assert_eq!(kind.as_deref(), want, "{operation} {members}");
    }
    // A repeated request changes nothing, not even where the labels are.
    cloud.secrets("PutSecretValue", with(secret(1, "one"), "SecretId", "a")).await.unwrap();
    assert_eq!(
        cloud.secrets("GetSecretValue", json!({ "SecretId": "a" })).await.unwrap()["SecretString"],
        "two"
    );
    let same_bytes = json!({
        "SecretId": "a", "ClientRequestToken": token(2), "SecretBinary": STANDARD.encode("two"),
    });
    assert_eq!(cloud.secrets("PutSecretValue", same_bytes).await, refused(EXISTS), "a text is no binary");
}

#[tokio::test]
async fn tokens_and_names_are_of_the_sizes_that_aws_allows() {
    let cloud = Cloud::start().await;
    let long = |length: usize| "n".repeat(length);
    for (name, token, want) in [
        (long(512), token(1), None),
        (long(513), token(1), Some(INVALID)),
        (String::new(), token(1), Some(INVALID)),
        ("a/Z0_+=.@-".to_owned(), token(1), None),
        ("a b".to_owned(), token(1), Some(INVALID)),
        ("a!".to_owned(), token(1), Some(INVALID)),
        ("ä".to_owned(), token(1), Some(INVALID)),
        ("b".to_owned(), long(31), Some(INVALID)),
        ("b".to_owned(), long(65), Some(INVALID)),
        ("b".to_owned(), long(64), None),
    ] {
        let members = json!({ "Name": name, "ClientRequestToken": token, "SecretString": "x" });
        let kind = cloud.secrets("CreateSecret", members).await.err();
        assert_eq!(kind.as_deref(), want, "{name} {token}");
    }
    let nameless = json!({ "Name": "c", "SecretString": "x" });
    assert_eq!(cloud.secrets("CreateSecret", nameless).await, refused(BAD_REQUEST));
}

#[tokio::test]
async fn a_value_is_a_text_or_bytes_of_at_most_64_kib() {
    let cloud = Cloud::start().await;
    let most = 65_536;
    create(&cloud, "a").await;
    for (number, (value, want)) in [
        (json!({ "SecretString": "x".repeat(most) }), None),
        (json!({ "SecretString": "x".repeat(most + 1) }), Some(INVALID)),
        (json!({ "SecretString": "ä".repeat(most / 2 + 1) }), Some(INVALID)),
        (json!({ "SecretString": "" }), Some(INVALID)),
        (json!({ "SecretBinary": STANDARD.encode(vec![0; most]) }), None),
        (json!({ "SecretBinary": STANDARD.encode(vec![0; most + 1]) }), Some(INVALID)),
        (json!({ "SecretBinary": "no base64" }), Some("SerializationException")),
        (json!({ "SecretString": "x", "SecretBinary": "AAAA" }), Some(BAD_PARAMETER)),
        (json!({}), Some(BAD_PARAMETER)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut members = value.clone();
        members["SecretId"] = json!("a");
        members["ClientRequestToken"] = json!(token(u32::try_from(number).unwrap() + 10));
        let kind = cloud.secrets("PutSecretValue", members).await.err();
        assert_eq!(kind.as_deref(), want, "row {number}");
        if want.is_none() {
            let got = cloud.secrets("GetSecretValue", json!({ "SecretId": "a" })).await.unwrap();
            let member = value.as_object().unwrap().keys().next().unwrap();
            assert_eq!(got[member], value[member], "row {number}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_found_by_name_and_arn() {
    let cloud = Cloud::start().await;
    let arn = create(&cloud, "a").await;
    for (id, want) in [("a", None), (&arn, None), ("b", Some(NOT_FOUND)), ("", Some(NOT_FOUND))] {
        for operation in ["GetSecretValue", "DescribeSecret"] {
            let got = cloud.secrets(operation, json!({ "SecretId": id })).await;
            assert_eq!(got.as_ref().err().map(String::as_str), want, "{operation} {id}");
            assert!(got.is_err() || got.unwrap()["ARN"] == json!(arn), "{operation} {id}");
        }
    }
    let empty = json!({ "Name": "empty", "ClientRequestToken": token(1) });
    assert!(cloud.secrets("CreateSecret", empty).await.unwrap()["VersionId"].is_null());
    let got = cloud.secrets("GetSecretValue", json!({ "SecretId": "empty" })).await;
    assert_eq!(got, refused(NOT_FOUND), "it has no value yet");
}

#[tokio::test]
async fn a_batch_brings_what_is_there_and_names_what_is_not() {
    let cloud = Cloud::start().await;
    for name in ["a", "b", "c", "gone"] {
        create(&cloud, name).await;
    }
    let put = json!({
        "SecretId": "a", "ClientRequestToken": token(2), "SecretString": "pending",
        "VersionStages": ["AWSPENDING"],
    });
    cloud.secrets("PutSecretValue", put).await.unwrap();
    cloud.secrets("DeleteSecret", json!({ "SecretId": "gone" })).await.unwrap();
    cloud.aws.secrets().deny("GetSecretValue", "b");
    let ids = ["a", "none", "b", "gone", "c"];
    let batch = cloud.secrets("BatchGetSecretValue", json!({ "SecretIdList": ids })).await.unwrap();
    let column = |list: &str, member: &str| -> Vec<String> {
        let rows = batch[list].as_array().unwrap().iter();
        rows.map(|row| row[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(column("SecretValues", "SecretString"), ["value of a", "value of c"]);
    assert_eq!(column("Errors", "SecretId"), ["none", "b", "gone"]);
    assert_eq!(column("Errors", "ErrorCode"), [NOT_FOUND, "AccessDeniedException", BAD_REQUEST]);
    for (count, ok) in [(0, false), (1, true), (20, true), (21, false)] {
        let batch = cloud.secrets("BatchGetSecretValue", json!({ "SecretIdList": vec!["a"; count] })).await;
        assert_eq!(batch.is_ok(), ok, "{count}");
    }
    cloud.aws.secrets().deny("BatchGetSecretValue", "");
    let batch = cloud.secrets("BatchGetSecretValue", json!({ "SecretIdList": ["a"] })).await;
    assert_eq!(batch, refused("AccessDeniedException"));
    cloud.aws.secrets().allow_all();
    assert!(cloud.secrets("GetSecretValue", json!({ "SecretId": "b" })).await.is_ok());
}

#[tokio::test]
async fn a_deleted_secret_is_only_there_to_be_restored() {
    let cloud = Cloud::start().await;
    create(&cloud, "a").await;
    for (members, want) in [
        (json!({ "RecoveryWindowInDays": 6 }), BAD_PARAMETER),
        (json!({ "RecoveryWindowInDays": 31 }), BAD_PARAMETER),
        (json!({ "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true }), BAD_PARAMETER),
    ] {
        let mut request = members.clone();
        request["SecretId"] = json!("a");
        assert_eq!(cloud.secrets("DeleteSecret", request).await, refused(want), "{members}");
    }
    let value = json!({ "SecretId": "a", "ClientRequestToken": token(2), "SecretString": "x" });
    let create_again = json!({ "Name": "a", "ClientRequestToken": token(1), "SecretString": "value of a" });
    let label = json!({ "SecretId": "a", "VersionStage": "x", "MoveToVersionId": token(1) });
    let id = json!({ "SecretId": "a" });
    cloud.secrets("DeleteSecret", json!({ "SecretId": "a", "RecoveryWindowInDays": 7 })).await.unwrap();
    for (operation, members) in [
        ("GetSecretValue", id.clone()),
        ("PutSecretValue", value),
        ("UpdateSecretVersionStage", label),
        ("CreateSecret", create_again.clone()),
        ("TagResource", json!({ "SecretId": "a", "Tags": [] })),
        ("DeleteSecret", id.clone()),
    ] {
        assert_eq!(cloud.secrets(operation, members).await, refused(BAD_REQUEST), "{operation}");
    }
    let described = cloud.secrets("DescribeSecret", id.clone()).await.unwrap();
    assert!(described["DeletedDate"].is_number());
    cloud.secrets("RestoreSecret", id.clone()).await.unwrap();
    assert!(cloud.secrets("GetSecretValue", id.clone()).await.is_ok());
    // For good, and safe to repeat.
    for _ in 0..2 {
        let forced = json!({ "SecretId": "a", "ForceDeleteWithoutRecovery": true });
        cloud.secrets("DeleteSecret", forced).await.unwrap();
        for operation in ["GetSecretValue", "RestoreSecret", "DeleteSecret", "DescribeSecret"] {
            assert_eq!(cloud.secrets(operation, id.clone()).await, refused(NOT_FOUND), "{operation}");
        }
    }
    assert!(cloud.secrets("CreateSecret", create_again).await.is_ok());
}

#[tokio::test]
async fn a_secret_needs_its_own_key() {
    let cloud = Cloud::start().await;
    let members = |key: &str| {
        let named = token(1);
        json!({ "Name": "a", "ClientRequestToken": named, "SecretString": "x", "KmsKeyId": key })
    };
    assert_eq!(cloud.secrets("CreateSecret", members("alias/none")).await, refused("EncryptionFailure"));
    cloud.secrets("CreateSecret", members("alias/red")).await.unwrap();
    cloud.aws.kms().disable("alias/red");
    let got = cloud.secrets("GetSecretValue", json!({ "SecretId": "a" })).await;
    assert_eq!(got, refused("DecryptionFailure"));
    let put = json!({ "SecretId": "a", "ClientRequestToken": token(2), "SecretString": "y" });
    assert_eq!(cloud.secrets("PutSecretValue", put).await, refused("EncryptionFailure"));
    cloud.aws.kms().enable("alias/red");
    assert!(cloud.secrets("GetSecretValue", json!({ "SecretId": "a" })).await.is_ok());
}

#[tokio::test]
async fn everything_that_is_kept_can_be_searched() {
    let cloud = Cloud::start().await;
    let members = json!({
        "Name": "the-name", "Description": "the-description", "KmsKeyId": "alias/red",
        "Tags": [{ "Key": "the-tag", "Value": "the-tag-value" }],
        "ClientRequestToken": token(1), "SecretString": "the-first-value",
    });
    cloud.secrets("CreateSecret", members).await.unwrap();
    let second = STANDARD.encode("the-second-value");
    let put = json!({
        "SecretId": "the-name", "ClientRequestToken": token(2), "SecretBinary": second,
        "VersionStages": ["the-label"],
    });
    cloud.secrets("PutSecretValue", put).await.unwrap();
    let kept = cloud.aws.secrets().stored_bytes();
    let (first, second) = (token(1), token(2));
    for part in [
        "the-name",
        "the-description",
        "alias/red",
        "the-tag",
        "the-tag-value",
        "the-first-value",
        "the-second-value",
        "the-label",
        &first,
        &second,
    ] {
        assert!(kept.iter().any(|bytes| bytes == part.as_bytes()), "{part}");
    }
}

/// The ARN of a new secret whose first version is `token(1)`.
async fn create(cloud: &Cloud, name: &str) -> String {
    let value = format!("value of {name}");
    let members = json!({ "Name": name, "ClientRequestToken": token(1), "SecretString": value });
    let created = cloud.secrets("CreateSecret", members).await.unwrap();
    created["ARN"].as_str().unwrap().to_owned()
}
