//! What topics and filters match, case by case, through the index that a listener uses.

use serde_json::Value;
use undertone_runtime::matching::{Filter, Index, IntoTopics, Topics};

const CASES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/cases/filter-cases.json"));

#[test]
fn every_case_matches_as_written() {
    let file: Value = serde_json::from_str(CASES).expect("the cases are JSON");
    let cases = file["cases"].as_array().expect("the cases are a list");
    assert_eq!(cases.len(), 100);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let found = answer(case, &file["events"]);
            let want = &case["expect"];
            (found != *want).then(|| format!("{}: {found}, not {want}", case["name"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// `true`, `false` or `"refused"`.
fn answer(case: &Value, events: &Value) -> Value {
    let event = match &case["event"] {
        Value::String(name) => &events[name],
        event => event,
    };
    let topic = event["topic"].as_str().expect("an event has a topic");
    let (Some(topics), Ok(filter)) = (topics(&case["topic"]), Filter::parse(case["filter"].clone())) else {
        return "refused".into();
    };
    let index = Index::new(vec![(topics, filter)]);
    Value::Bool(index.matching(topic, event) == [0])
}

fn topics(given: &Value) -> Option<Topics> {
    let text = |value: &Value| value.as_str().expect("a topic is a string").to_owned();
    match given {
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().into_topics().ok(),
        one => text(one).into_topics().ok(),
    }
}
