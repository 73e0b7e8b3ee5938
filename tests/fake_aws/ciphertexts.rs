//! What opens a ciphertext of KMS, and what doesn't.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Cloud, refused};

const INVALID: &str = "InvalidCiphertextException";

#[tokio::test]
async fn a_data_key_opens_with_its_context_in_any_order() {
    let cloud = Cloud::start().await;
    let arn = cloud.aws.kms().key_arn("alias/red");
    for (asked, length) in [
        (json!({ "KeySpec": "AES_256" }), 32),
        (json!({ "KeySpec": "AES_128" }), 16),
        (json!({ "NumberOfBytes": 1024 }), 1024),
    ] {
        let mut members = asked;
        members["KeyId"] = json!("alias/red");
        members["EncryptionContext"] = json!({ "scope": "red", "env": "live" });
        let made = cloud.kms("GenerateDataKey", members).await.unwrap();
        assert_eq!(made["KeyId"], json!(arn));
        assert_eq!(STANDARD.decode(made["Plaintext"].as_str().unwrap()).unwrap().len(), length);
        let turned = json!({ "env": "live", "scope": "red" });
        let opened = open(&cloud, "alias/red", &made["CiphertextBlob"], turned).await.unwrap();
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&made["Plaintext"], &json!(arn)));
    }
}

#[tokio::test]
async fn no_other_context_opens_a_ciphertext() {
    let cloud = Cloud::start().await;
    let ciphertext = seal(&cloud, json!({ "scope": "red", "env": "live" })).await;
    for context in [
        json!({}),
        json!({ "scope": "red" }),
        json!({ "scope": "red", "env": "live", "more": "" }),
        json!({ "scope": "red", "env": "dev" }),
        json!({ "scope": "red", "Env": "live" }),
        json!({ "scope": "RED", "env": "live" }),
        json!({ "scope": "live", "env": "red" }),
        json!({ "envlive": "scopered" }),
    ] {
        let opened = open(&cloud, "alias/red", &ciphertext, context.clone()).await;
        assert_eq!(opened, refused(INVALID), "{context}");
    }
    let ciphertext = seal(&cloud, json!({})).await;
    assert_eq!(open(&cloud, "alias/red", &ciphertext, json!({ "a": "" })).await, refused(INVALID));
}

#[tokio::test]
async fn no_flipped_bit_and_no_lost_byte_opens() {
    let cloud = Cloud::start().await;
    let ciphertext = seal(&cloud, json!({ "scope": "red" })).await;
    let bytes = STANDARD.decode(ciphertext.as_str().unwrap()).unwrap();
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let shortened = (1..bytes.len()).map(|length| bytes[..length].to_vec());
    let longer = [[bytes.as_slice(), &[0]].concat()];
    for changed in flipped.chain(shortened).chain(longer) {
        let changed = json!(STANDARD.encode(changed));
        let opened = open(&cloud, "alias/red", &changed, json!({ "scope": "red" })).await;
        assert_eq!(opened, refused(INVALID), "{changed} of {ciphertext}");
    }
    assert!(open(&cloud, "alias/red", &ciphertext, json!({ "scope": "red" })).await.is_ok());
}

#[tokio::test]
async fn the_key_must_be_named_and_be_the_right_one() {
    let cloud = Cloud::start().await;
    let ciphertext = seal(&cloud, json!({})).await;
    let opened = open(&cloud, "alias/blue", &ciphertext, json!({})).await;
    assert_eq!(opened, refused("IncorrectKeyException"));
    let nameless = cloud.kms("Decrypt", json!({ "CiphertextBlob": ciphertext })).await;
    assert_eq!(nameless, refused("ValidationException"));
    let nameless = json!({ "CiphertextBlob": ciphertext, "DestinationKeyId": "alias/blue" });
    assert_eq!(cloud.kms("ReEncrypt", nameless).await, refused("ValidationException"));
}

#[tokio::test]
async fn re_encryption_moves_a_ciphertext_to_another_key_and_context() {
    let cloud = Cloud::start().await;
    let ciphertext = seal(&cloud, json!({ "scope": "red" })).await;
    let request = |source: &str, context: &str| {
        json!({
            "CiphertextBlob": ciphertext,
            "SourceKeyId": source,
            "SourceEncryptionContext": { "scope": context },
            "DestinationKeyId": "alias/blue",
            "DestinationEncryptionContext": { "scope": "blue" },
        })
    };
    for (source, context, want) in [
        ("alias/red", "other", INVALID),
        ("alias/blue", "red", "IncorrectKeyException"),
        ("alias/none", "red", "NotFoundException"),
    ] {
        assert_eq!(cloud.kms("ReEncrypt", request(source, context)).await, refused(want), "{source}");
    }
    let moved = cloud.kms("ReEncrypt", request("alias/red", "red")).await.unwrap();
    let kms = cloud.aws.kms();
    assert_eq!(moved["SourceKeyId"], json!(kms.key_arn("alias/red")));
    assert_eq!(moved["KeyId"], json!(kms.key_arn("alias/blue")));
    let opened = open(&cloud, "alias/blue", &moved["CiphertextBlob"], json!({ "scope": "blue" })).await;
    assert_eq!(opened.unwrap()["Plaintext"], json!(STANDARD.encode("value")));
}

#[tokio::test]
async fn plaintexts_and_keys_are_of_the_sizes_that_aws_allows() {
    let cloud = Cloud::start().await;
    for (length, ok) in [(0, false), (1, true), (4096, true), (4097, false)] {
        let plaintext = STANDARD.encode(vec![7; length]);
        let sealed = cloud.kms("Encrypt", json!({ "KeyId": "alias/red", "Plaintext": plaintext })).await;
        assert_eq!(sealed.map(|_| ()), allowed(ok), "{length}");
    }
    for (asked, ok) in [
        (json!({}), false),
        (json!({ "KeySpec": "AES_256", "NumberOfBytes": 32 }), false),
        (json!({ "KeySpec": "AES_512" }), false),
        (json!({ "NumberOfBytes": 0 }), false),
        (json!({ "NumberOfBytes": 1 }), true),
        (json!({ "NumberOfBytes": 1025 }), false),
    ] {
        let mut members = asked.clone();
        members["KeyId"] = json!("alias/red");
        let made = cloud.kms("GenerateDataKey", members).await;
        assert_eq!(made.map(|_| ()), allowed(ok), "{asked}");
    }
}

#[tokio::test]
async fn a_rotated_key_opens_what_was_sealed_before() {
    let cloud = Cloud::start().await;
    let before = seal(&cloud, json!({})).await;
    let first = open(&cloud, "alias/red", &before, json!({})).await.unwrap();
    cloud.aws.kms().rotate("alias/red");
    let after = seal(&cloud, json!({})).await;
    let again = open(&cloud, "alias/red", &before, json!({})).await.unwrap();
    let second = open(&cloud, "alias/red", &after, json!({})).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first["Plaintext"], second["Plaintext"]);
    assert_ne!(first["KeyMaterialId"], second["KeyMaterialId"]);
}

async fn seal(cloud: &Cloud, context: Value) -> Value {
    let plaintext = STANDARD.encode("value");
    let members = json!({ "KeyId": "alias/red", "Plaintext": plaintext, "EncryptionContext": context });
    cloud.kms("Encrypt", members).await.unwrap()["CiphertextBlob"].take()
}

async fn open(cloud: &Cloud, key: &str, ciphertext: &Value, context: Value) -> Result<Value, String> {
    let members = json!({ "KeyId": key, "CiphertextBlob": ciphertext, "EncryptionContext": context });
    cloud.kms("Decrypt", members).await
}

fn allowed(ok: bool) -> Result<(), String> {
    if ok { Ok(()) } else { Err("ValidationException".to_owned()) }
}
