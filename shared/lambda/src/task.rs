//! Work on Lambda that is no listener: begun by an invocation, ended before its time is over.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Map, Value, json};
use undertone_runtime::log;

use crate::error::LambdaError;
use crate::function::Counts;
use crate::lines::{Lines, time};
use crate::serve::check_environment;
use crate::time::deadline;
use crate::wire::{add_metrics, beginning};

/// What is left to answer with, when the rest of the time was used.
const RESERVE: Duration = Duration::from_secs(5);

/// Serves work: it gets what it was invoked with and how long it may take, and answers with JSON.
/// One line says how each run ended, with `counts` as its metrics, under `name`.
///
/// # Errors
/// If this isn't Lambda, or Lambda can't be spoken to any more.
pub async fn serve_task<Task, Running, E>(
    name: &'static str,
    counts: Counts,
    task: Task,
) -> Result<(), LambdaError>
where
    Task: Fn(Value, Duration) -> Running + Send + Sync + 'static,
    Running: Future<Output = Result<Value, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    check_environment()?;
    let (task, lines) = (Arc::new(task), Lines::to_stdout());
    let counted = Arc::new(Mutex::new(BTreeMap::new()));
    let handle = service_fn(move |invoked: LambdaEvent<Value>| {
        let (task, lines, counts) = (task.clone(), lines.clone(), counts.clone());
        let counted = counted.clone();
        async move {
            let work = AssertUnwindSafe(task(invoked.payload, time_left(invoked.context.deadline)));
            let result = match work.catch_unwind().await {
                Ok(result) => result.map_err(|error| clipped(&log::clean(&error.to_string()))),
                // What a panic says may hold anything.
                Err(_) => Err("it panicked".to_owned()),
            };
            let metrics = since(&counted, &counts());
            lines.write(&line(name, &invoked.context.request_id, &result, metrics));
            result.map_err(|error_message| Diagnostic { error_type: "TaskFailed".to_owned(), error_message })
        }
    });
    lambda_runtime::run(handle).await.map_err(|_| LambdaError::RuntimeApi)
}

fn time_left(deadline_ms: u64) -> Duration {
    let now = Timestamp::now();
    let left = Duration::try_from(deadline(deadline_ms, now).duration_since(now)).unwrap_or_default();
    left.saturating_sub(RESERVE)
}

/// What was counted since the last run.
fn since(
    counted: &Mutex<BTreeMap<&'static str, u64>>,
    totals: &[(&'static str, u64)],
) -> BTreeMap<&'static str, f64> {
    let mut counted = counted.lock().expect("no holder of this lock panics");
    let since = totals.iter().map(|(name, total)| {
        let before = counted.insert(name, *total).unwrap_or(0);
        // A count that is too large for a float to be exact is none that anybody reads.
        (*name, total.saturating_sub(before) as f64)
    });
    since.collect()
}

/// At most so much of an error's text that a log and an answer take it.
fn clipped(text: &str) -> String {
    const LONGEST: usize = 2_048;
    match text.len() <= LONGEST {
        true => text.to_owned(),
        false => format!("{}…", beginning(text, LONGEST)),
    }
}

fn line(
    name: &str,
    request: &str,
    result: &Result<Value, String>,
    metrics: BTreeMap<&'static str, f64>,
) -> Value {
    let (level, outcome) = match result {
        Ok(done) => ("INFO", json!({ "done": done })),
        Err(error) => ("ERROR", json!({ "failed": error })),
    };
    let at = Timestamp::now();
    let mut line = Map::new();
    for (field, value) in [("level", level), ("timestamp", &time(at)), ("requestId", request), ("task", name)]
    {
        line.insert(field.to_owned(), json!(value));
    }
    line.insert("outcome".to_owned(), outcome);
    add_metrics(&mut line, at.as_millisecond(), name, metrics);
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_metrics_under_the_name_of_the_task() {
        let counted = Mutex::default();
        for (total, want) in [(3, 3.0), (3, 0.0), (10, 7.0)] {
            let metrics = since(&counted, &[("KmsErrors", total)]);
            let line = line("maintenance", "r", &Ok(json!({})), metrics);
            assert_eq!(line["KmsErrors"], want);
            assert_eq!((&line["Agent"], &line["level"]), (&json!("maintenance"), &json!("INFO")));
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Undertone");
        }
    }

    #[test]
    fn an_error_of_any_length_fits() {
        assert_eq!(clipped("short"), "short");
        assert!(clipped(&"ä".repeat(100_000)).len() < 2_100);
        assert_eq!(line("t", "r", &Err("e".to_owned()), BTreeMap::new())["level"], "ERROR");
    }

    #[test]
    fn the_time_left_keeps_a_reserve() {
        assert_eq!(time_left(0), Duration::ZERO);
        let soon = u64::try_from(Timestamp::now().as_millisecond()).unwrap() + 60_000;
        assert!((Duration::from_secs(50)..Duration::from_secs(56)).contains(&time_left(soon)));
    }
}
