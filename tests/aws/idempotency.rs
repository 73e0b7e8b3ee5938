//! Claims in DynamoDB.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use undertone_aws::{ANSWER_TOO_LONG, Connection, DynamoIdempotency};
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyKey};
use undertone_core::{Idempotency, contract};
use undertone_tests::emulators::{Ministack, Moto};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use crate::cloud::{connection, new_table};

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(2_000_000_000 + seconds, 5).unwrap()
}

fn key(event: &str) -> IdempotencyKey {
    IdempotencyKey { agent: "agent".parse().unwrap(), event: event.to_owned(), digest: [7; 32] }
}

async fn claims(connection: &Connection) -> DynamoIdempotency {
    DynamoIdempotency::new(connection.dynamodb(), &new_table(connection).await)
}

#[tokio::test]
async fn claims_keep_the_contract() {
    for url in [Moto::start().url(), Ministack::start().url()] {
        let connection = connection(url);
        let mut fresh = VecDeque::new();
        for _ in 0..7 {
            fresh.push_back(claims(&connection).await);
        }
        let fresh = Mutex::new(fresh);
        contract::idempotency(&|| Arc::new(fresh.lock().unwrap().pop_front().unwrap())).await;
    }
}

#[tokio::test]
async fn an_item_holds_no_event_and_says_when_it_may_go() {
    let connection = connection(Ministack::start().url());
    let table = new_table(&connection).await;
    let claims = DynamoIdempotency::new(connection.dynamodb(), &table);
    let id = ClaimId::random();
    claims.claim(&key("canary-of-an-event"), id, at(0), at(30)).await.unwrap();
    let stored =
        async || connection.dynamodb().scan().table_name(&table).send().await.unwrap().items.unwrap();
    let items = stored().await;
    assert!(!format!("{items:?}").contains("canary"), "ids are hashed");
    assert_eq!(items[0]["expires"].as_n().unwrap(), "2000003630", "an hour after the claim lapses");
    claims.finish(&key("canary-of-an-event"), id, "done", at(60)).await.unwrap();
    assert_eq!(stored().await[0]["expires"].as_n().unwrap(), "2000003660");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_replayed_as_handled() {
    let connection = connection(Ministack::start().url());
    let claims = claims(&connection).await;
    for (length, want) in [(350_000, "x".repeat(350_000)), (350_001, ANSWER_TOO_LONG.to_owned())] {
        let (key, id) = (key(&length.to_string()), ClaimId::random());
        claims.claim(&key, id, at(0), at(30)).await.unwrap();
        claims.finish(&key, id, &"x".repeat(length), at(100)).await.unwrap();
        let again = claims.claim(&key, ClaimId::random(), at(1), at(31)).await.unwrap();
        assert!(again == Claimed::Done(want), "{length} bytes");
    }
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_still_the_callers() {
    let emulator = Ministack::start();
    let proxy = FaultProxy::before(emulator.url()).await;
    let claims = DynamoIdempotency::new(
        connection(&proxy.url()).dynamodb(),
        &new_table(&connection(emulator.url())).await,
    );
    proxy.fail_nth(1, Fault::CutBeforeResponse);
    let id = ClaimId::random();
    assert_eq!(claims.claim(&key("ev"), id, at(0), at(30)).await, Ok(Claimed::Yours));
    assert_eq!(proxy.requests(), 2, "the SDK asked again");
    proxy.fail_nth(1, Fault::CutBeforeResponse);
    assert_eq!(claims.finish(&key("ev"), id, "done", at(100)).await, Ok(()));
    let again = claims.claim(&key("ev"), ClaimId::random(), at(1), at(31)).await;
    assert_eq!(again, Ok(Claimed::Done("done".to_owned())));
    proxy.set(Some(Fault::ServerError));
    let away = claims.claim(&key("other"), ClaimId::random(), at(0), at(30)).await;
    assert!(away.is_err(), "the event is to be delivered again: {away:?}");
}
