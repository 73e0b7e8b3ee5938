//! What 1,000 handlers cost beside one, when one of them matches.
//!
//! The two are timed in turn, in short batches, so that both see the same machine.

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use undertone_runtime::matching::{Filter, Index, IntoTopics};

const HANDLERS: usize = 1_000;
const ROUNDS: usize = 301;
const BATCH: usize = 400;
const CHOSEN: usize = 617;

fn main() {
    println!("{:<58}{:>9}{:>9}{:>8}", "shape", "one, ns", "all, ns", "ratio");
    type Handler = fn(usize) -> (String, Value);
    let shapes: [(&str, Handler); 14] = [
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
        ("   job:*, distinct bare keys", |n| ("job:*".into(), json!({ format!("k{n}"): "v" }))),
        ("   distinct topic suffixes, job:*nN", |n| (format!("job:*n{n}"), json!(null))),
        ("   job:*, distinct value suffixes, space:*jN", |n| {
            ("job:*".into(), json!({ "job": format!("space:*j{n}") }))
        }),
    ];
    for (shape, handler) in shapes {
        let topic = match handler(CHOSEN).0 {
            topic if topic.starts_with("job-617-") => "job-617-x:ready",
            topic if topic.starts_with("job-617") => "job-617:ready",
            _ => "job:n617",
        };
        let one = index([handler(CHOSEN)]);
        let all = index((0..HANDLERS).map(handler));
        compare(shape, topic, &one, &all);
    }
}

fn index(handlers: impl IntoIterator<Item = (String, Value)>) -> Index {
    let parse = |(topic, filter): (String, Value)| {
        let topics = topic.into_topics().expect("the bench's topics are patterns");
        (topics, Filter::parse(filter).expect("the bench's filters are filters"))
    };
    Index::new(handlers.into_iter().map(parse).collect())
}

fn compare(shape: &str, topic: &str, one: &Index, all: &Index) {
    let event = json!({
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
    });
    assert_eq!(one.matching(topic, &event), [0], "{shape}");
    assert_eq!(all.matching(topic, &event), [CHOSEN], "{shape}");
    let (mut ones, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ones.push(time(one, topic, &event));
        alls.push(time(all, topic, &event));
    }
    let (one, all) = (median(ones), median(alls));
    println!("{shape:<58}{one:>9.0}{all:>9.0}{:>8.2}", all / one);
}

fn time(index: &Index, topic: &str, event: &Value) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        black_box(index.matching(black_box(topic), black_box(event)));
    }
    start.elapsed().as_secs_f64() * 1e9 / BATCH as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
