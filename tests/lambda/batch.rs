//! Batches: exactly what wasn't handled is given back.

use std::time::Duration;

use serde_json::{Value, json};
use undertone_lambda::LambdaError;

use crate::served::{LONG, Served, event, message, returned};

fn batch(records: Vec<Value>) -> Value {
    json!({ "Records": records })
}

fn fifo(id: &str, group: &str, payload: Value) -> Value {
    let mut record = message(id, event(&format!("evt_{id}"), payload));
    record["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:123456789012:events.fifo");
    record["attributes"]["MessageGroupId"] = json!(group);
    record
}

#[tokio::test]
async fn of_ten_messages_exactly_those_that_failed_are_given_back() {
    let served = Served::new().await;
    let good = |id: &str| message(id, event(&format!("evt_{id}"), json!({})));
    let bad = |id: &str, what: &str| message(id, event(&format!("evt_{id}"), json!({ "do": what })));
    let mut nowhere = event("evt_m7", json!({}));
    nowhere["context"]["spaceId"] = json!("gone");
    let records = vec![
        good("m0"),
        good("m1"),
        bad("m2", "fail"),
        good("m3"),
        message("m4", r#"{"topic": "test:run", "#),
        bad("m5", "panic"),
        good("m1"),
        message("m7", nowhere),
        good("m8"),
        good("m9"),
    ];
    let answer = served.invoke(batch(records), LONG).await.expect("a batch has an answer");
    assert_eq!(returned(&answer), ["m2", "m4", "m5", "m7"]);
    let mut began = served.began();
    began.sort();
    let want = ["evt_m0", "evt_m1", "evt_m2", "evt_m3", "evt_m5", "evt_m8", "evt_m9"];
    assert_eq!(began, want, "each once, the duplicate too");
    assert_eq!(served.lines().len(), 9);
}

#[tokio::test]
async fn a_message_that_is_there_twice_and_fails_is_named_once() {
    let served = Served::new().await;
    let record = || message("m", event("e", json!({ "do": "fail" })));
    let answer = served.invoke(batch(vec![record(), record()]), LONG).await.expect("an answer");
    assert_eq!((returned(&answer), served.began()), (vec!["m".to_owned()], vec!["e".to_owned()]));
}

#[tokio::test]
async fn a_message_without_a_name_gives_back_all_before_anything_is_begun() {
    let served = Served::new().await;
    for id in [json!(""), json!(null), json!(7)] {
        let mut odd = message("x", event("e2", json!({})));
        odd["messageId"] = id;
        let records = vec![message("m", event("e1", json!({}))), odd];
        let error = served.invoke(batch(records), LONG).await.expect_err("no answer");
        assert!(matches!(error, LambdaError::NoMessageId), "{error:?}");
        assert_eq!(served.began().len(), 0);
        assert_eq!(served.lines()[0]["level"], "ERROR");
    }
}

#[tokio::test]
async fn in_a_fifo_queue_a_failure_gives_back_the_rest_of_its_group_in_order() {
    let served = Served::new().await;
    let records = vec![
        fifo("a1", "a", json!({})),
        fifo("b1", "b", json!({})),
        fifo("a2", "a", json!({ "do": "wait", "ms": 50 })),
        fifo("a3", "a", json!({ "do": "fail" })),
        fifo("b2", "b", json!({})),
        fifo("a4", "a", json!({})),
        fifo("a5", "a", json!({})),
        fifo("b3", "b", json!({})),
    ];
    let answer = served.invoke(batch(records), LONG).await.expect("an answer");
    assert_eq!(returned(&answer), ["a3", "a4", "a5"]);
    let began = served.began();
    let of = |group: &str| began.iter().filter(|id| id.contains(group)).cloned().collect::<Vec<_>>();
    assert_eq!(of("_a"), ["evt_a1", "evt_a2", "evt_a3"]);
    assert_eq!(of("_b"), ["evt_b1", "evt_b2", "evt_b3"]);
}

#[tokio::test]
async fn groups_of_an_ordinary_queue_promise_no_order() {
    let served = Served::new().await;
    let grouped = |id: &str, payload: Value| {
        let mut record = fifo(id, "g", payload);
        record["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:123456789012:events");
        record
    };
    let records = vec![grouped("m1", json!({ "do": "fail" })), grouped("m2", json!({}))];
    let answer = served.invoke(batch(records), LONG).await.expect("an answer");
    assert_eq!(returned(&answer), ["m1"]);
}

#[tokio::test]
async fn what_cannot_be_begun_in_time_is_given_back_and_not_lost() {
    let served = Served::new().await;
    let records = || (0..10).map(|n| message(&format!("m{n}"), event(&format!("e{n}"), json!({})))).collect();
    let answer = served.invoke(batch(records()), Duration::from_millis(50)).await.expect("an answer");
    assert_eq!((returned(&answer).len(), served.began().len()), (10, 0));
    let answer = served.invoke(batch(records()), LONG).await.expect("an answer");
    assert_eq!((returned(&answer).len(), served.began().len()), (0, 10));
}

#[tokio::test]
async fn a_group_that_is_cut_off_by_the_deadline_is_answered_before_it() {
    let served = Served::new().await;
    let wait = || json!({ "do": "wait", "ms": 400 });
    let records = (1..=4).map(|n| fifo(&format!("m{n}"), "g", wait())).collect();
    let began = std::time::Instant::now();
    let answer = served.invoke(batch(records), Duration::from_secs(1)).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(returned(&answer), ["m3", "m4"]);
    assert_eq!(served.began().len(), 3);
}

#[tokio::test]
async fn all_messages_of_an_ordinary_batch_wait_together() {
    let served = Served::new().await;
    let wait = json!({ "do": "wait", "ms": 400 });
    let records = (0..10).map(|n| message(&format!("m{n}"), event(&format!("e{n}"), wait.clone()))).collect();
    // Too short for one after the other, and for a second round.
    let answer = served.invoke(batch(records), Duration::from_millis(850)).await.expect("an answer");
    assert_eq!((returned(&answer).len(), served.began().len()), (0, 10));
}

#[tokio::test]
async fn an_empty_batch_has_nothing_to_give_back() {
    let served = Served::new().await;
    let answer = served.invoke(batch(Vec::new()), LONG).await.expect("an answer");
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}

#[tokio::test]
async fn a_message_of_a_bus_takes_the_buss_id_and_a_bare_one_its_own() {
    let served = Served::new().await;
    let bare = json!({ "topic": "test:run" });
    let bus = json!({ "detail-type": "x", "source": "y", "id": "bus-1", "detail": bare });
    let records = vec![message("m1", &bare), message("m2", bus)];
    let answer = served.invoke(batch(records), LONG).await.expect("an answer");
    assert_eq!(returned(&answer).len(), 0);
    let mut began = served.began();
    began.sort();
    assert_eq!(began, ["bus-1", "m1"]);
}
