//! Keys of KMS: their names, their states, and who may use them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use undertone_tests::fake_aws::{ACCOUNT, REGION};

use crate::{Cloud, refused};

#[tokio::test]
async fn a_key_has_four_names_and_answers_with_its_arn() {
    let cloud = Cloud::start().await;
    let arn = cloud.aws.kms().key_arn("alias/red");
    let id = arn.rsplit('/').next().unwrap();
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/red");
    for name in [id, &arn, "alias/red", &alias_arn] {
        assert_eq!(encrypt(&cloud, name).await.unwrap()["KeyId"], json!(arn), "{name}");
        let described = cloud.kms("DescribeKey", json!({ "KeyId": name })).await.unwrap();
        assert_eq!(described["KeyMetadata"]["Arn"], json!(arn), "{name}");
    }
    let elsewhere = arn.replace(REGION, "us-east-1");
    let someone = arn.replace(ACCOUNT, "444455556666");
    for name in ["red", "alias/green", "key/red", &elsewhere, &someone, &id[1..], ""] {
        assert_eq!(encrypt(&cloud, name).await, refused("NotFoundException"), "{name}");
    }
    for alias in ["alias/red", &alias_arn] {
        let disabled = cloud.kms("DisableKey", json!({ "KeyId": alias })).await;
        assert_eq!(disabled, refused("NotFoundException"), "AWS changes no key by its alias");
    }
}

#[tokio::test]
async fn a_key_that_is_off_or_going_neither_seals_nor_opens() {
    let cloud = Cloud::start().await;
    let kms = cloud.aws.kms();
    let ciphertext = encrypt(&cloud, "alias/red").await.unwrap()["CiphertextBlob"].take();
    let (off, going) = (Some("DisabledException"), Some("KMSInvalidStateException"));
    let source =
        json!({ "CiphertextBlob": ciphertext, "SourceKeyId": "alias/red", "DestinationKeyId": "alias/blue" });
    let other = encrypt(&cloud, "alias/blue").await.unwrap()["CiphertextBlob"].take();
    let destination =
        json!({ "CiphertextBlob": other, "SourceKeyId": "alias/blue", "DestinationKeyId": "alias/red" });
    for (step, want, state) in [
        ("nothing", None, "Enabled"),
        ("disable", off, "Disabled"),
        ("enable", None, "Enabled"),
        ("schedule_deletion", going, "PendingDeletion"),
        ("cancel_deletion", off, "Disabled"),
    ] {
        match step {
            "disable" => kms.disable("alias/red"),
            "enable" => kms.enable("alias/red"),
            "schedule_deletion" => kms.schedule_deletion("alias/red"),
            "cancel_deletion" => kms.cancel_deletion("alias/red"),
            _ => {}
        }
        for (operation, members) in [
            ("Encrypt", json!({ "KeyId": "alias/red", "Plaintext": "AAAA" })),
            ("GenerateDataKey", json!({ "KeyId": "alias/red", "KeySpec": "AES_256" })),
            ("Decrypt", json!({ "KeyId": "alias/red", "CiphertextBlob": ciphertext })),
            ("ReEncrypt", source.clone()),
            ("ReEncrypt", destination.clone()),
            ("RotateKeyOnDemand", json!({ "KeyId": kms.key_arn("alias/red") })),
        ] {
            let kind = cloud.kms(operation, members).await.err();
            assert_eq!(kind.as_deref(), want, "{operation} after {step}");
        }
        let described = cloud.kms("DescribeKey", json!({ "KeyId": "alias/red" })).await.unwrap();
        let metadata = &described["KeyMetadata"];
        assert_eq!(metadata["KeyState"], json!(state), "after {step}");
        assert_eq!(metadata["Enabled"], json!(state == "Enabled"), "after {step}");
        assert_eq!(metadata["DeletionDate"].is_number(), state == "PendingDeletion", "after {step}");
    }
}

#[tokio::test]
async fn a_key_that_is_going_changes_by_cancelling_only() {
    let cloud = Cloud::start().await;
    let key = cloud.aws.kms().key_arn("alias/red");
    let invalid = Some("KMSInvalidStateException");
    for (operation, days, want) in [
        ("CancelKeyDeletion", None, invalid),
        ("ScheduleKeyDeletion", Some(6), Some("ValidationException")),
        ("ScheduleKeyDeletion", Some(31), Some("ValidationException")),
        ("ScheduleKeyDeletion", Some(7), None),
        ("ScheduleKeyDeletion", Some(7), invalid),
        ("EnableKey", None, invalid),
        ("DisableKey", None, invalid),
        ("CancelKeyDeletion", None, None),
        ("EnableKey", None, None),
    ] {
        let mut members = json!({ "KeyId": key });
        if let Some(days) = days {
            members["PendingWindowInDays"] = json!(days);
        }
        assert_eq!(cloud.kms(operation, members).await.err().as_deref(), want, "{operation} {days:?}");
    }
}

#[tokio::test]
async fn keys_and_aliases_are_made_by_request() {
    let cloud = Cloud::start().await;
    let made = cloud.kms("CreateKey", json!({ "Description": "for a test" })).await.unwrap();
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    for (alias, target, want) in [
        ("alias/red", key, Some("AlreadyExistsException")),
        ("green", key, Some("InvalidAliasNameException")),
        ("alias/", key, Some("InvalidAliasNameException")),
        ("alias/aws/green", key, Some("InvalidAliasNameException")),
        ("alias/gr een", key, Some("InvalidAliasNameException")),
        ("alias/green", "alias/red", Some("NotFoundException")),
        ("alias/green", key, None),
    ] {
        let kind = cloud.kms("CreateAlias", json!({ "AliasName": alias, "TargetKeyId": target })).await.err();
        assert_eq!(kind.as_deref(), want, "{alias}");
    }
    assert_eq!(made["KeyMetadata"]["Arn"], json!(cloud.aws.kms().key_arn("alias/green")));
    let unknown = cloud.kms("CreateKey", json!({ "KeySpec": "RSA_2048" })).await;
    assert_eq!(unknown, refused("ValidationException"));
}

#[tokio::test]
async fn a_denial_is_about_one_operation_and_the_pairs_it_names() {
    let cloud = Cloud::start().await;
    let kms = cloud.aws.kms();
    let encrypt = async |context: Value| {
        let members = json!({ "KeyId": "alias/red", "Plaintext": "AAAA", "EncryptionContext": context });
        cloud.kms("Encrypt", members).await
    };
    let denied = refused("AccessDeniedException");
    let live = json!({ "scope": "red", "env": "live" });
    kms.deny("Encrypt", Some(&[("scope", "red"), ("env", "live")]));
    assert_eq!(encrypt(live.clone()).await, denied);
    assert_eq!(encrypt(json!({ "scope": "red", "env": "live", "more": "x" })).await, denied);
    for other in [json!({}), json!({ "scope": "red" }), json!({ "scope": "red", "env": "dev" })] {
        assert!(encrypt(other.clone()).await.is_ok(), "{other}");
    }
    kms.allow_all();
    let ciphertext = encrypt(live.clone()).await.unwrap()["CiphertextBlob"].take();
    let moved = json!({
        "CiphertextBlob": ciphertext, "SourceKeyId": "alias/red", "DestinationKeyId": "alias/blue",
        "SourceEncryptionContext": live, "DestinationEncryptionContext": { "scope": "blue" },
    });
    for pair in [("env", "live"), ("scope", "blue")] {
        kms.deny("ReEncrypt", Some(&[pair]));
        assert_eq!(cloud.kms("ReEncrypt", moved.clone()).await, denied, "{pair:?}");
        kms.allow_all();
    }
    assert!(cloud.kms("ReEncrypt", moved).await.is_ok());
    kms.deny("Encrypt", None);
    assert_eq!(encrypt(json!({})).await, denied);
    assert!(
        cloud.kms("GenerateDataKey", json!({ "KeyId": "alias/red", "KeySpec": "AES_256" })).await.is_ok()
    );
}

async fn encrypt(cloud: &Cloud, key: &str) -> Result<Value, String> {
    let members = json!({ "KeyId": key, "Plaintext": STANDARD.encode("value") });
    cloud.kms("Encrypt", members).await
}
