//! Secrets that AWS keeps.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use futures_util::future::join_all;
use serde_json::json;
use undertone_aws::SecretsManagerSource;
use undertone_core::{ExternalError, ExternalSource, SystemClock};
use undertone_tests::emulators::Moto;
use undertone_tests::fake_aws::{Answer, FakeAws};
use undertone_tests::fault_proxy::{Fault, FaultProxy};
use undertone_tests::world::MovedClock;

use crate::cloud::connection;

fn over(client: Client) -> SecretsManagerSource {
    SecretsManagerSource::new(client, Arc::new(SystemClock::default()))
}

#[tokio::test]
async fn the_current_version_is_fetched_text_or_bytes_with_its_id() {
    let fake = FakeAws::start().await;
    for url in [Moto::start().url(), &fake.url()] {
        let client = connection(url).secrets_manager();
        let source = over(client.clone());
        let made = client.create_secret().name("shared/db").secret_string("first").send().await.unwrap();
        let second =
            client.put_secret_value().secret_id("shared/db").secret_string("second").send().await.unwrap();
        for id in ["shared/db", made.arn().unwrap()] {
            let value = source.fetch(id).await.unwrap();
            assert_eq!(&value.bytes[..], b"second");
            assert_eq!(Some(&*value.version), second.version_id());
        }
        let moved = client
            .update_secret_version_stage()
            .secret_id("shared/db")
            .version_stage("AWSCURRENT")
            .move_to_version_id(made.version_id().unwrap())
            .remove_from_version_id(second.version_id().unwrap());
        moved.send().await.unwrap();
        assert_eq!(&source.fetch("shared/db").await.unwrap().bytes[..], b"first", "the label moved back");
        client.create_secret().name("bytes").secret_binary(Blob::new([0, 255])).send().await.unwrap();
        assert_eq!(&source.fetch("bytes").await.unwrap().bytes[..], [0, 255]);
    }
}

#[tokio::test]
async fn what_gives_no_value_says_which_kind_of_no_and_quotes_nothing() {
    let fake = FakeAws::start().await;
    let client = connection(&fake.url()).secrets_manager();
    let source = over(client.clone());
    client.create_secret().name("db").secret_string("canary-value").send().await.unwrap();
    client.create_secret().name("gone").secret_string("canary-value").send().await.unwrap();
    client.delete_secret().secret_id("gone").send().await.unwrap();
    let denied = |result: Result<_, _>| matches!(result, Err(ExternalError::Denied(_)));
    assert!(denied(source.fetch("gone").await.map(drop)));
    for code in
        ["AccessDeniedException", "DecryptionFailure", "InvalidRequestException", "ExpiredTokenException"]
    {
        fake.secrets().answer_next("GetSecretValue", Answer::refusal(code));
        assert!(denied(source.fetch("db").await.map(drop)), "{code}");
    }
    let broken = "{\"__type\":\"InternalServiceError\"}";
    let json = "application/x-amz-json-1.1";
    for answer in [Answer::raw(500, json, broken), Answer::raw(503, "text/html", "later")] {
        (0..3).for_each(|_| fake.secrets().answer_next("GetSecretValue", answer.clone()));
        let away = source.fetch("db").await.map(drop);
        assert!(matches!(away, Err(ExternalError::Unavailable(_))), "{away:?}");
    }
    for (member, value) in [
        ("Name", json!("other")),
        ("SecretString", json!("x".repeat(65_537))),
        ("SecretString", json!(null)),
        ("VersionId", json!(null)),
    ] {
        fake.secrets().answer_next("GetSecretValue", Answer::With { member, value });
        let unfit = source.fetch("db").await.map(drop).unwrap_err();
        assert!(matches!(unfit, ExternalError::Unfit(_)), "{member}: {unfit:?}");
        assert!(!unfit.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_secret_made_a_moment_ago_is_asked_for_three_times() {
    let fake = FakeAws::start().await;
    let client = connection(&fake.url()).secrets_manager();
    let source = over(client.clone());
    client.create_secret().name("db").secret_string("value").send().await.unwrap();
    let missing = || Answer::refusal("ResourceNotFoundException");
    (0..2).for_each(|_| fake.secrets().answer_next("GetSecretValue", missing()));
    assert!(source.fetch("db").await.is_ok());
    fake.secrets().reset_calls();
    assert!(matches!(source.fetch("nowhere").await.map(drop), Err(ExternalError::Denied(_))));
    assert_eq!(fake.secrets().calls_of("GetSecretValue"), 3);
}

#[tokio::test]
async fn a_service_that_is_away_is_asked_ten_times_a_second_at_most_and_one_that_refuses_as_often_as_need_be()
{
    let fake = FakeAws::start().await;
    let proxy = FaultProxy::before(&fake.url()).await;
    let clock = Arc::new(MovedClock::default());
    let client = connection(&proxy.url()).secrets_manager();
    let source = SecretsManagerSource::new(client.clone(), clock.clone());
    client.create_secret().name("db").secret_string("value").send().await.unwrap();
    fake.secrets().deny("GetSecretValue", "");
    for _ in 0..30 {
        let denied = source.fetch("db").await.map(drop);
        assert!(matches!(denied, Err(ExternalError::Denied(_))), "{denied:?}");
    }
    fake.secrets().allow_all();
    proxy.set(Some(Fault::Throttle));
    clock.forward(Duration::from_secs(1));
    let failed = join_all((0..300).map(|_| async { source.fetch("db").await.map(drop) })).await;
    assert!(failed.iter().all(|failed| matches!(failed, Err(ExternalError::Unavailable(_)))));
    // The clock goes on a little meanwhile.
    let asked = proxy.count_of(Fault::Throttle);
    assert!((10..=20).contains(&asked), "{asked}");
    proxy.set(None);
    clock.forward(Duration::from_secs(1));
    assert!(source.fetch("db").await.is_ok());
}
