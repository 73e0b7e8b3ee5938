//! Which version of a secret a label is on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Cloud, refused, token};

const BAD_PARAMETER: &str = "InvalidParameterException";
const NOT_FOUND: &str = "ResourceNotFoundException";

#[tokio::test]
async fn a_new_version_becomes_the_current_one_unless_it_has_labels_of_its_own() {
    let cloud = with_versions(2).await;
    assert_eq!(labels(&cloud).await, rows([(1, &["AWSPREVIOUS"]), (2, &["AWSCURRENT"])]));
    put(&cloud, 3, Some(&["AWSPENDING", "mine"])).await.unwrap();
    assert_eq!(current(&cloud).await, "value 2");
    let got = get(&cloud, json!({ "VersionStage": "AWSPENDING" })).await.unwrap();
    assert_eq!(
        (&got["SecretString"], &got["VersionStages"]),
        (&json!("value 3"), &json!(["AWSPENDING", "mine"]))
    );
    put(&cloud, 4, Some(&["mine"])).await.unwrap();
    let want = rows([(1, &["AWSPREVIOUS"][..]), (2, &["AWSCURRENT"]), (3, &["AWSPENDING"]), (4, &["mine"])]);
    assert_eq!(labels(&cloud).await, want, "a label is on one version only");
    put(&cloud, 5, Some(&["AWSCURRENT", "mine"])).await.unwrap();
    let want = rows([(2, &["AWSPREVIOUS"][..]), (3, &["AWSPENDING"]), (5, &["AWSCURRENT", "mine"])]);
    assert_eq!(labels(&cloud).await, want);
}

#[tokio::test]
async fn the_first_version_is_current_whatever_its_labels() {
    let cloud = Cloud::start().await;
    cloud.secrets("CreateSecret", json!({ "Name": "s", "ClientRequestToken": token(9) })).await.unwrap();
    put(&cloud, 1, Some(&["mine"])).await.unwrap();
    assert_eq!(labels(&cloud).await, rows([(1, &["AWSCURRENT", "mine"])]));
}

#[tokio::test]
async fn a_version_is_found_by_id_and_label_that_agree() {
    let cloud = with_versions(2).await;
    for (members, want) in [
        (json!({}), Ok("value 2")),
        (json!({ "VersionStage": "AWSCURRENT" }), Ok("value 2")),
        (json!({ "VersionStage": "AWSPREVIOUS" }), Ok("value 1")),
        (json!({ "VersionId": token(1) }), Ok("value 1")),
        (json!({ "VersionId": token(1), "VersionStage": "AWSPREVIOUS" }), Ok("value 1")),
        (json!({ "VersionId": token(1), "VersionStage": "AWSCURRENT" }), Err("InvalidRequestException")),
        (json!({ "VersionId": token(7) }), Err(NOT_FOUND)),
        (json!({ "VersionStage": "AWSPENDING" }), Err(NOT_FOUND)),
    ] {
        let got = get(&cloud, members.clone()).await.map(|got| got["SecretString"].clone());
        assert_eq!(got, want.map(|text| json!(text)).map_err(str::to_owned), "{members}");
    }
}

#[tokio::test]
async fn whoever_moves_a_label_must_know_where_it_is() {
    let cloud = with_versions(2).await;
    put(&cloud, 3, Some(&["mine"])).await.unwrap();
    for (label, from, to, want) in [
        ("AWSCURRENT", None, Some(3), Err(BAD_PARAMETER)),
        ("AWSCURRENT", Some(1), Some(3), Err(BAD_PARAMETER)),
        ("AWSCURRENT", Some(3), Some(3), Err(BAD_PARAMETER)),
        ("AWSCURRENT", Some(2), None, Err(BAD_PARAMETER)),
        ("AWSCURRENT", Some(2), Some(7), Err(NOT_FOUND)),
        ("AWSCURRENT", None, None, Err(BAD_PARAMETER)),
        ("mine", None, Some(1), Err(BAD_PARAMETER)),
        ("mine", None, Some(3), Ok(())),
        ("new", Some(1), Some(3), Err(BAD_PARAMETER)),
    ] {
        let moved = move_label(&cloud, label, from, to).await.map(|_| ());
        assert_eq!(moved, want.map_err(str::to_owned), "{label} from {from:?} to {to:?}");
        let want = rows([(1, &["AWSPREVIOUS"]), (2, &["AWSCURRENT"]), (3, &["mine"])]);
        assert_eq!(labels(&cloud).await, want, "{label} from {from:?} to {to:?}");
    }
    for (label, from, to, want) in [
        // The version that was current becomes the previous one.
        ("AWSCURRENT", Some(2), Some(3), rows([(2, &["AWSPREVIOUS"][..]), (3, &["AWSCURRENT", "mine"])])),
        ("AWSCURRENT", Some(3), Some(2), rows([(2, &["AWSCURRENT"][..]), (3, &["AWSPREVIOUS", "mine"])])),
        ("mine", Some(3), Some(1), rows([(1, &["mine"]), (2, &["AWSCURRENT"]), (3, &["AWSPREVIOUS"])])),
        ("mine", Some(1), None, rows([(2, &["AWSCURRENT"]), (3, &["AWSPREVIOUS"])])),
        ("new", None, Some(1), rows([(1, &["new"]), (2, &["AWSCURRENT"]), (3, &["AWSPREVIOUS"])])),
    ] {
        move_label(&cloud, label, from, to).await.unwrap();
        assert_eq!(labels(&cloud).await, want, "{label} from {from:?} to {to:?}");
    }
}

#[tokio::test]
async fn a_secret_has_at_most_twenty_labels() {
    let cloud = with_versions(2).await;
    let names: Vec<String> = (0..19).map(|number| format!("label-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(put(&cloud, 3, Some(&names)).await, refused("LimitExceededException"), "with two it has");
    put(&cloud, 3, Some(&names[..18])).await.unwrap();
    let one_more = move_label(&cloud, "one-more", None, Some(1)).await;
    assert_eq!(one_more, refused("LimitExceededException"));
    assert!(put(&cloud, 4, None).await.is_ok(), "these two labels it has");
    let many: Vec<&str> = names.iter().chain(&["x", "y"]).copied().collect();
    for labels in [&many[..], &[], &[""]] {
        assert_eq!(put(&cloud, 5, Some(labels)).await, refused("ValidationException"), "{labels:?}");
    }
}

#[tokio::test]
async fn of_versions_without_labels_the_last_hundred_stay() {
    let cloud = with_versions(1).await;
    put(&cloud, 2, Some(&["kept"])).await.unwrap();
    for number in 3..=103 {
        put(&cloud, number, None).await.unwrap();
    }
    let found = async |number| get(&cloud, json!({ "VersionId": token(number) })).await.is_ok();
    // The labels are on 2, 102 and 103, which leaves a hundred others.
    for number in [1, 2, 3, 101, 102, 103] {
        assert!(found(number).await, "{number} of 103");
    }
    put(&cloud, 104, None).await.unwrap();
    put(&cloud, 105, None).await.unwrap();
    for (number, want) in [(1, false), (2, true), (3, false), (4, true), (103, true), (105, true)] {
        assert_eq!(found(number).await, want, "{number} of 105");
    }
}

/// A secret `s` with these versions, each current in its turn.
async fn with_versions(count: u32) -> Cloud {
    let cloud = Cloud::start().await;
    let members = json!({ "Name": "s", "ClientRequestToken": token(1), "SecretString": "value 1" });
    cloud.secrets("CreateSecret", members).await.unwrap();
    for number in 2..=count {
        put(&cloud, number, None).await.unwrap();
    }
    cloud
}

async fn put(cloud: &Cloud, number: u32, labels: Option<&[&str]>) -> Result<Value, String> {
    let value = format!("value {number}");
    let members = json!({
        "SecretId": "s", "ClientRequestToken": token(number), "SecretString": value, "VersionStages": labels,
    });
    cloud.secrets("PutSecretValue", members).await
}

async fn move_label(cloud: &Cloud, label: &str, from: Option<u32>, to: Option<u32>) -> Result<Value, String> {
    let (from, to) = (from.map(token), to.map(token));
    let members = json!({
        "SecretId": "s", "VersionStage": label, "RemoveFromVersionId": from, "MoveToVersionId": to,
    });
    cloud.secrets("UpdateSecretVersionStage", members).await
}

async fn get(cloud: &Cloud, mut members: Value) -> Result<Value, String> {
    members["SecretId"] = json!("s");
    cloud.secrets("GetSecretValue", members).await
}

/// As `GetSecretValue` and a batch see it, which must agree.
async fn current(cloud: &Cloud) -> String {
    let got = get(cloud, json!({})).await.unwrap();
    let batch = cloud.secrets("BatchGetSecretValue", json!({ "SecretIdList": ["s"] })).await.unwrap();
    assert_eq!(batch["SecretValues"], json!([got]));
    got["SecretString"].as_str().unwrap().to_owned()
}

async fn labels(cloud: &Cloud) -> Value {
    let mut described = cloud.secrets("DescribeSecret", json!({ "SecretId": "s" })).await.unwrap();
    described["VersionIdsToStages"].take()
}

fn rows<const N: usize, L: AsRef<[&'static str]>>(rows: [(u32, L); N]) -> Value {
    let rows = rows.iter().map(|(number, labels)| (token(*number), labels.as_ref()));
    json!(rows.collect::<BTreeMap<_, _>>())
}
