//! Lists of secrets: which, in what order, and in pages.

use serde_json::{Value, json};

use crate::{Cloud, refused, token};

#[tokio::test]
async fn filters_are_prefixes_that_must_all_be_met() {
    let cloud = with_secrets().await;
    for (filters, want) in [
        (json!([]), "app/a app/b App/c other"),
        (json!([{ "Key": "name", "Values": ["app/"] }]), "app/a app/b"),
        (json!([{ "Key": "name", "Values": ["App", "oth"] }]), "App/c other"),
        (json!([{ "Key": "name", "Values": ["pp"] }]), ""),
        (json!([{ "Key": "tag-key", "Values": ["sco"] }]), "app/a app/b"),
        (json!([{ "Key": "tag-value", "Values": ["blue"] }]), "app/b"),
        (json!([{ "Key": "tag-value", "Values": ["BLUE"] }]), ""),
        (json!([{ "Key": "name", "Values": ["app/"] }, { "Key": "tag-value", "Values": ["red"] }]), "app/a"),
    ] {
        let listed = list(&cloud, json!({ "Filters": filters, "SortOrder": "asc" })).await.unwrap();
        assert_eq!(listed.0, want, "{filters}");
    }
    for filters in [
        json!([{ "Key": "colour", "Values": ["x"] }]),
        json!([{ "Key": "name", "Values": [] }]),
        json!([{ "Key": "name", "Values": ["!app"] }]),
    ] {
        let listed = list(&cloud, json!({ "Filters": filters })).await;
        assert_eq!(listed, Err("ValidationException".to_owned()), "{filters}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_while_secrets_come_and_go() {
    let cloud = with_secrets().await;
    for (order, pages) in [("asc", ["app/a app/b", "App/c other"]), ("desc", ["other App/c", "app/b app/a"])]
    {
        let page = json!({ "SortOrder": order, "MaxResults": 2 });
        let (first, token) = list(&cloud, page.clone()).await.unwrap();
        let mut next = page;
        next["NextToken"] = token;
        let (second, end) = list(&cloud, next).await.unwrap();
        assert_eq!([first.as_str(), &second], pages, "{order}");
        assert!(end.is_null(), "{order}");
    }
    let page = json!({ "SortOrder": "asc", "MaxResults": 2 });
    let (_, token) = list(&cloud, page.clone()).await.unwrap();
    delete(&cloud, "app/b").await;
    let (second, _) = list(&cloud, json!({ "SortOrder": "asc", "NextToken": token })).await.unwrap();
    assert_eq!(second, "App/c other", "nothing twice, nothing left out");
    let invalid = Err("InvalidNextTokenException".to_owned());
    assert_eq!(list(&cloud, json!({ "SortOrder": "asc", "NextToken": "x" })).await, invalid);
    assert_eq!(list(&cloud, json!({ "SortOrder": "desc", "NextToken": token })).await, invalid);
    for most in [0, 101] {
        let listed = list(&cloud, json!({ "MaxResults": most })).await;
        assert_eq!(listed, Err("ValidationException".to_owned()), "{most}");
    }
}

#[tokio::test]
async fn the_deleted_are_listed_on_demand_only() {
    let cloud = with_secrets().await;
    delete(&cloud, "app/b").await;
    let listed = list(&cloud, json!({ "SortOrder": "asc" })).await.unwrap().0;
    assert_eq!(listed, "app/a App/c other");
    let all = json!({ "SortOrder": "asc", "IncludePlannedDeletion": true });
    assert_eq!(list(&cloud, all).await.unwrap().0, "app/a app/b App/c other");
}

#[tokio::test]
async fn a_list_holds_labels_and_tags_and_no_value() {
    let cloud = with_secrets().await;
    let request = json!({ "Filters": [{ "Key": "name", "Values": ["app/a"] }] });
    let listed = cloud.secrets("ListSecrets", request).await.unwrap();
    let secret = &listed["SecretList"][0];
    assert_eq!(secret["Tags"], json!([{ "Key": "scope", "Value": "red" }]));
    assert_eq!(secret["SecretVersionsToStages"], json!({ token(1): ["AWSCURRENT"] }));
    assert!(!listed.to_string().contains("the value"));
}

#[tokio::test]
async fn a_tag_is_added_or_replaced_and_fifty_are_enough() {
    let cloud = with_secrets().await;
    let tag = async |key: &str, value: &str| {
        let tags = json!([{ "Key": key, "Value": value }]);
        cloud.secrets("TagResource", json!({ "SecretId": "app/a", "Tags": tags })).await
    };
    tag("scope", "green").await.unwrap();
    let described = cloud.secrets("DescribeSecret", json!({ "SecretId": "app/a" })).await.unwrap();
    assert_eq!(described["Tags"], json!([{ "Key": "scope", "Value": "green" }]));
    let invalid = refused("InvalidParameterException");
    assert_eq!(tag("aws:mine", "x").await, invalid);
    for number in 0..49 {
        tag(&number.to_string(), "x").await.unwrap();
    }
    assert_eq!(tag("one-more", "x").await, invalid);
    assert!(tag("scope", "one that is there").await.is_ok());
    let (key, value) = ("k".repeat(129), "v".repeat(257));
    for (key, value) in [("", "x"), (key.as_str(), "x"), ("scope", &value)] {
        assert_eq!(tag(key, value).await, refused("ValidationException"), "{key} {value}");
    }
}

/// The names of one page, and the token for the next.
async fn list(cloud: &Cloud, members: Value) -> Result<(String, Value), String> {
    let mut listed = cloud.secrets("ListSecrets", members).await?;
    let secrets = listed["SecretList"].as_array().unwrap().iter();
    let names: Vec<&str> = secrets.map(|secret| secret["Name"].as_str().unwrap()).collect();
    let names = names.join(" ");
    Ok((names, listed["NextToken"].take()))
}

async fn delete(cloud: &Cloud, name: &str) {
    cloud.secrets("DeleteSecret", json!({ "SecretId": name })).await.unwrap();
}

async fn with_secrets() -> Cloud {
    let cloud = Cloud::start().await;
    for (name, tags) in [
        ("app/a", json!([{ "Key": "scope", "Value": "red" }])),
        ("app/b", json!([{ "Key": "scope", "Value": "blue" }])),
        ("App/c", json!([])),
        ("other", json!([])),
    ] {
        let members = json!({
            "Name": name, "ClientRequestToken": token(1), "SecretString": "the value", "Tags": tags,
        });
        cloud.secrets("CreateSecret", members).await.unwrap();
    }
    cloud
}
