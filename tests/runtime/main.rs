//! From an event to handlers: which run, what they get, and what becomes of them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod building;
mod dispatch;
mod events;
mod freshness;
mod namespaces;
mod scopes;
mod secrets;

use std::sync::{Arc, Mutex};

use undertone_runtime::{Event, Handler, Report};

/// What handlers did, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().expect("no test panics with this lock").push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no test panics with this lock").clone()
    }

    /// A handler that begins, lets others run, ends, and replies with its name.
    fn handler(&self, name: &'static str) -> impl Handler + use<> {
        let diary = self.clone();
        move |_: Event| {
            let diary = diary.clone();
            async move {
                diary.write(format!("{name} begins"));
                tokio::task::yield_now().await;
                diary.write(format!("{name} ends"));
                Ok(name)
            }
        }
    }

    /// The handlers that ended, in order.
    fn ended(&self) -> Vec<String> {
        self.lines().iter().filter_map(|line| line.strip_suffix(" ends")).map(str::to_owned).collect()
    }
}

/// Each outcome in short: the reply, or the kind of failure and what it says.
fn outcomes(report: &Report) -> Vec<String> {
    let short = |outcome: &undertone_runtime::Outcome| match &outcome.result {
        Ok(reply) => reply.as_str().map_or_else(|| reply.to_string(), str::to_owned),
        Err(failure) => format!("{:?}: {}", failure.kind, failure.message),
    };
    report.outcomes.iter().map(short).collect()
}
