//! Lines: one for each event, its metrics in it, and what handlers say with the ids of the invocation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use undertone_lambda::{JsonLines, Lines, Options};

use crate::served::{CANARY, LONG, Served, event};

#[tokio::test]
async fn each_event_has_one_line_and_the_first_of_a_process_says_so() {
    let served = Served::new().await;
    for id in ["a", "b"] {
        served.invoke(event(id, json!({})), LONG).await.expect("handled");
    }
    let lines = served.lines();
    let told: Vec<Value> =
        lines.iter().map(|line| json!([line["event"], line["coldStart"], line["ColdStart"]])).collect();
    assert_eq!(told, [json!(["a", true, 1.0]), json!(["b", false, 0.0])]);
    let line = &lines[0];
    for (name, want) in [
        ("requestId", "request-1"),
        ("agent", "tester"),
        ("topic", "test:run"),
        ("environment", "dev"),
        ("space", "red"),
        ("way", "invoke"),
        ("traceId", "1-5759e988-bd862e3fe1be46a994272793"),
    ] {
        assert_eq!(line[name], want, "{name}");
    }
}

#[tokio::test]
async fn counters_of_others_become_metrics_when_they_have_moved() {
    let errors = Arc::new(AtomicU64::new(0));
    let read = errors.clone();
    let served = Served::with_options(|options| Options {
        counts: Some(Arc::new(move || vec![("KmsErrors", read.load(Ordering::Relaxed))])),
        ..options
    })
    .await;
    for (id, total, want) in [("a", 0, None), ("b", 3, Some(3.0)), ("c", 3, None), ("d", 4, Some(1.0))] {
        errors.store(total, Ordering::Relaxed);
        served.invoke(event(id, json!({})), LONG).await.expect("handled");
        let line = served.lines().remove(0);
        assert_eq!(line.get("KmsErrors").and_then(Value::as_f64), want, "{id}");
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].to_string();
        assert_eq!(metrics.contains("KmsErrors"), want.is_some(), "{id}");
    }
}

#[tokio::test]
async fn what_handlers_log_is_masked_and_tells_the_event() {
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = written.clone();
    let lines =
        Lines::new(move |line| keep.lock().expect("no test panics with this lock").push(line.to_owned()));
    let _installed = tracing::subscriber::set_default(Registry::default().with(JsonLines(lines)));
    let served = Served::new().await;
    let _ = served.invoke(event("e", json!({ "do": "leak" })), LONG).await;
    let written = written.lock().expect("no test panics with this lock");
    let line = written.iter().find(|line| line.contains("logged")).expect("the handler's line");
    assert!(!written.concat().contains(CANARY), "{written:?}");
    let line: Value = serde_json::from_str(line).expect("a line is JSON");
    assert_eq!((&line["requestId"], &line["event"]), (&json!("request-1"), &json!("e")));
}
