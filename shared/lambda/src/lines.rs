//! Log lines: one JSON object each, cleaned by the leak guard, and never longer than CloudWatch takes.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use undertone_runtime::log;

use crate::wire::beginning;

/// The longest line, in bytes: what CloudWatch takes, less what it adds to each.
pub const LONGEST_LINE: usize = 256 * 1024 - 26;

tokio::task_local! {
    static CURRENT: Ids;
}

/// What every line says that is written during an invocation.
#[derive(Clone)]
pub(crate) struct Ids {
    pub(crate) request: Arc<str>,
    pub(crate) trace: Option<Arc<str>>,
    pub(crate) event: Option<Arc<str>>,
}

impl Ids {
    /// Lines that are written by this work, and not by tasks that it starts, carry these ids.
    pub(crate) async fn within<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

/// Where lines go. Each is cleaned and cut before that.
#[derive(Clone)]
pub struct Lines(Arc<dyn Fn(&str) + Send + Sync>);

impl Lines {
    /// To a function that is called once for each line, which has no line feed at its end.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// To standard output, from where Lambda takes them.
    pub fn to_stdout() -> Self {
        // A log that can't be written is no reason to fail the event.
        Self::new(|line| drop(std::io::stdout().lock().write_all(format!("{line}\n").as_bytes())))
    }

    pub(crate) fn write(&self, line: &Value) {
        // Each text as it is first: once it is encoded, a value that was encoded before may look like nothing.
        let line = &cleaned(line);
        let text = log::clean(&line.to_string());
        match text.len() <= LONGEST_LINE {
            true => (self.0)(&text),
            false => (self.0)(&cut(line, &text)),
        }
    }
}

/// The same with every text in it cleaned, names of fields included.
fn cleaned(line: &Value) -> Value {
    match line {
        Value::String(text) => Value::String(log::clean(text)),
        Value::Array(items) => items.iter().map(cleaned).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (log::clean(name), cleaned(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => line.clone(),
    }
}

/// The beginning of a line that is too long, as a line of its own that says so.
fn cut(line: &Value, text: &str) -> String {
    // Every quote in it doubles: half of it fits for sure, beside the other fields.
    let message = beginning(text, LONGEST_LINE / 2 - 1024);
    let kept = ["timestamp", "level", "requestId"].map(|name| (name.to_owned(), line[name].clone()));
    let mut short: Map<String, Value> = kept.into_iter().collect();
    short.insert("message".to_owned(), json!(message));
    short.insert("cutFromBytes".to_owned(), json!(text.len()));
    Value::Object(short).to_string()
}

/// A `tracing` layer that writes what handlers and libraries log as such lines, with the ids of the
/// invocation.
pub struct JsonLines(pub Lines);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (target, level) = (event.metadata().target(), event.metadata().level());
        // It logs whole events, and each failure, of which there is a line already.
        if target.starts_with("lambda_runtime") && (Level::WARN < *level || target.ends_with("::panic")) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let mut line = json!({
            "timestamp": time(Timestamp::now()),
            "level": level.as_str(),
            "target": target,
            "message": message,
        });
        if !fields.0.is_empty() {
            line["fields"] = Value::Object(fields.0);
        }
        let _ = CURRENT.try_with(|ids| {
            line["requestId"] = json!(*ids.request);
            if let Some(trace) = &ids.trace {
                line["traceId"] = json!(**trace);
            }
            if let Some(event) = &ids.event {
                line["event"] = json!(**event);
            }
        });
        self.0.write(&line);
    }
}

/// As lines tell the time: to the millisecond.
pub(crate) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, json!(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, json!(value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set(field, json!(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn recorded(work: impl FnOnce(Lines)) -> Vec<Value> {
        let written: Arc<Mutex<Vec<Value>>> = Arc::default();
        let keep = written.clone();
        work(Lines::new(move |line| {
            assert!(line.len() <= LONGEST_LINE && !line.contains('\n'), "{} bytes", line.len());
            keep.lock().unwrap().push(serde_json::from_str(line).expect("a line is JSON"));
        }));
        std::mem::take(&mut *written.lock().unwrap())
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so() {
        let fixed = json!({"level": "INFO", "requestId": "r", "message": ""}).to_string().len();
        let of =
            |bytes: usize| json!({"level": "INFO", "requestId": "r", "message": "x".repeat(bytes - fixed)});
        for (line, cut) in [
            (of(LONGEST_LINE), None),
            (of(LONGEST_LINE + 1), Some(LONGEST_LINE + 1)),
            (json!({"level": "INFO", "requestId": "r", "message": "\"é".repeat(400_000)}), Some(1_600_045)),
        ] {
            let written = recorded(|lines| lines.write(&line)).remove(0);
            assert_eq!(written["cutFromBytes"].as_u64(), cut.map(|bytes| bytes as u64));
            assert_eq!((&written["level"], &written["requestId"]), (&json!("INFO"), &json!("r")));
            assert!(written["message"].as_str().is_some_and(|message| 60_000 < message.len()));
        }
    }

    #[test]
    fn what_handlers_log_carries_the_ids_of_the_invocation() {
        let written = recorded(|lines| {
            let subscriber = Registry::default().with(JsonLines(lines));
            let _installed = tracing::subscriber::set_default(subscriber);
            let ids = Ids { request: "r".into(), trace: Some("t".into()), event: Some("e".into()) };
            CURRENT.sync_scope(ids, || tracing::warn!(count = 3, name = "x", "a\nmessage"));
            tracing::info!(target: "lambda_runtime::layers::api_response", "the whole event");
            tracing::error!(target: "lambda_runtime::layers::panic", "said already");
            tracing::error!("outside");
        });
        assert_eq!(written.len(), 2, "{written:?}");
        let mut first = written[0].clone();
        first.as_object_mut().unwrap().remove("timestamp").expect("a time");
        assert_eq!(
            first,
            json!({"level": "WARN", "target": "undertone_lambda::lines::tests", "message": "a\nmessage",
                   "fields": {"count": 3, "name": "x"}, "requestId": "r", "traceId": "t", "event": "e"})
        );
        assert_eq!(written[1]["message"], "outside");
        assert_eq!(written[1].get("requestId"), None);
    }
}
