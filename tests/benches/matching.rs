//! What 1,000 handlers cost beside one, when one of them matches.
//!
//! The two are timed in turn, in short batches, so that both see the same machine.
//! `cargo bench -p undertone-tests --bench matching`, with `-- --check` to fail if a target is missed.

mod ratio;

use std::hint::black_box;

use serde_json::{Value, json};
use undertone_runtime::matching::{Filter, Index, IntoTopics};

const HANDLERS: usize = 1_000;
const ROUNDS: usize = 301;
const BATCH: usize = 400;
const CHOSEN: usize = 617;
const TARGET: f64 = 2.0;

type Handler = fn(usize) -> (String, Value);

fn main() {
    let mut met = true;
    for (shape, handler) in looked_up() {
        met &= ratio::report(shape, all_over_one(shape, handler, ROUNDS), TARGET);
    }
    println!("Shapes that have to be tried one by one:");
    for (shape, handler) in tried_one_by_one() {
        ratio::note(shape, all_over_one(shape, handler, ROUNDS / 10));
    }
    ratio::end(met);
}

/// What the index finds without looking at every handler.
fn looked_up() -> [(&'static str, Handler); 11] {
    [
        ("a  distinct literal topics", |n| (format!("job:n{n}"), json!(null))),
        ("b  one topic, bare key, distinct values", |n| {
            ("job:n617".into(), json!({ "spaceId": format!("sp_{n}") }))
        }),
        ("b  one topic, dotted key, distinct values", |n| {
            ("job:n617".into(), json!({ "payload.job": format!("space:j{n}") }))
        }),
        ("c  distinct wildcard topics, job-N:*", |n| (format!("job-{n}:*"), json!(null))),
        ("d  job:*, bare key, distinct values", |n| {
            ("job:*".into(), json!({ "spaceId": format!("sp_{n}") }))
        }),
        ("d  job:*, dotted key, distinct values", |n| {
            ("job:*".into(), json!({ "payload.job": format!("space:j{n}") }))
        }),
        ("   distinct prefix topics, job-N*:*", |n| (format!("job-{n}-*:*"), json!(null))),
        ("   distinct topics behind **, **:nN", |n| (format!("**:n{n}"), json!(null))),
        ("   job:**, a shared condition and a distinct one", |n| {
            ("job:**".into(), json!({ "domain": "space", "spaceId": format!("sp_{n}") }))
        }),
        ("   job:*, distinct wildcard values, sp*:jN", |n| {
            ("job:*".into(), json!({ "job": format!("sp*:j{n}") }))
        }),
        ("   job:*, distinct numbers", |n| ("job:*".into(), json!({ "count": n }))),
    ]
}

/// What says nothing by which it could be looked up.
fn tried_one_by_one() -> [(&'static str, Handler); 3] {
    [
        ("   job:*, distinct bare keys", |n| ("job:*".into(), json!({ format!("k{n}"): "v" }))),
        ("   distinct topic suffixes, job:*nN", |n| (format!("job:*n{n}"), json!(null))),
        ("   job:*, distinct value suffixes, space:*jN", |n| {
            ("job:*".into(), json!({ "job": format!("space:*j{n}") }))
        }),
    ]
}

fn all_over_one(shape: &str, handler: Handler, rounds: usize) -> f64 {
    let topic = match handler(CHOSEN).0 {
        topic if topic.starts_with("job-617-") => "job-617-x:ready",
        topic if topic.starts_with("job-617") => "job-617:ready",
        _ => "job:n617",
    };
    let one = index([handler(CHOSEN)]);
    let all = index((0..HANDLERS).map(handler));
    let event = event(topic);
    assert_eq!(one.matching(topic, &event), [0], "{shape}");
    assert_eq!(all.matching(topic, &event), [CHOSEN], "{shape}");
    let [one, all] =
        ratio::least(rounds, [&mut || matching(&one, topic, &event), &mut || matching(&all, topic, &event)]);
    all.as_secs_f64() / one.as_secs_f64()
}

fn matching(index: &Index, topic: &str, event: &Value) {
    for _ in 0..BATCH {
        black_box(index.matching(black_box(topic), black_box(event)));
    }
}

fn index(handlers: impl IntoIterator<Item = (String, Value)>) -> Index {
    let parse = |(topic, filter): (String, Value)| {
        let topics = topic.into_topics().expect("the bench's topics are patterns");
        (topics, Filter::parse(filter).expect("the bench's filters are filters"))
    };
    Index::new(handlers.into_iter().map(parse).collect())
}

fn event(topic: &str) -> Value {
    json!({
        "id": "evt_1", "topic": topic, "domain": "job",
        "context": {
            "accountId": "acc_1", "environmentId": "env_1", "spaceId": "sp_617",
            "jobId": "jb_1", "actorId": "usr_1", "slugs": { "space": "acme", "sheet": "contacts" },
        },
        "payload": {
            "job": "space:j617", "domain": "space", "operation": "configure",
            "status": "ready", "info": null, "count": 617, "k617": "v",
        },
        "namespaces": ["space:red", "workbook:orders"],
    })
}
