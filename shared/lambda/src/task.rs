//! Work on Lambda that is no listener: begun by an invocation, ended before its time is over.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::error::LambdaError;
use crate::lines::Lines;
use crate::serve::check_environment;

/// What is left to answer with, when the rest of the time was used.
const RESERVE: Duration = Duration::from_secs(5);

/// Serves work: it gets what it was invoked with and how long it may take, and answers with JSON.
/// One line says how each run ended.
///
/// # Errors
/// If this isn't Lambda, or Lambda can't be spoken to any more.
pub async fn serve_task<Task, Running, E>(name: &'static str, task: Task) -> Result<(), LambdaError>
where
    Task: Fn(Value, Duration) -> Running + Send + Sync + 'static,
    Running: Future<Output = Result<Value, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    check_environment()?;
    let (task, lines) = (Arc::new(task), Lines::to_stdout());
    let handle = service_fn(move |invoked: LambdaEvent<Value>| {
        let (task, lines) = (task.clone(), lines.clone());
        async move {
            let result = task(invoked.payload, time_left(invoked.context.deadline)).await;
            let result = result.map_err(|error| error.to_string());
            lines.write(&line(name, &invoked.context.request_id, &result));
            result.map_err(|error_message| Diagnostic { error_type: "TaskFailed".to_owned(), error_message })
        }
    });
    lambda_runtime::run(handle).await.map_err(|_| LambdaError::RuntimeApi)
}

fn time_left(deadline_ms: u64) -> Duration {
    let deadline = i64::try_from(deadline_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let left = deadline.map(|deadline| deadline.duration_since(Timestamp::now()));
    let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or_default();
    left.saturating_sub(RESERVE)
}

fn line(name: &str, request: &str, result: &Result<Value, String>) -> Value {
    let (level, outcome) = match result {
        Ok(done) => ("INFO", json!({ "done": done })),
        Err(error) => ("ERROR", json!({ "failed": error })),
    };
    let at = Timestamp::now().to_string();
    json!({ "level": level, "timestamp": at, "requestId": request, "task": name, "outcome": outcome })
}
