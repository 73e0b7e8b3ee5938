//! The function: an invocation comes in, its events are handled, an answer goes out. Knows nothing
//! of how Lambda is spoken to.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument;
use undertone_core::{Clock, Idempotency, SystemClock};
use undertone_runtime::{EventData, Runtime};

use crate::account::Account;
use crate::error::LambdaError;
use crate::lines::{Ids, Lines};
use crate::once::{Handled, once};
use crate::stop::Stop;
use crate::time::Time;
use crate::trigger::{Delivery, Trigger, trigger};
use crate::{batch, http, wire};

/// Wipes keys that somebody else than the runtime holds.
pub type Forget = Arc<dyn Fn() + Send + Sync>;

/// How often things happened since the process began, by the name of their metric, such as `KmsErrors`.
pub type Counts = Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

/// How a listener is served.
pub struct Options {
    /// Where it is remembered which events were handled. Without it, an event that comes twice is
    /// handled twice.
    pub idempotency: Option<Arc<dyn Idempotency>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Called whenever keys are to be wiped: before the process is copied or ended.
    pub on_forget: Vec<Forget>,
    /// Counters that become metrics.
    pub counts: Option<Counts>,
    /// Where log lines go.
    pub lines: Lines,
}

impl Default for Options {
    /// Nothing is remembered; lines go to standard output.
    fn default() -> Self {
        Self {
            idempotency: None,
            clock: Arc::new(SystemClock::default()),
            on_forget: Vec::new(),
            counts: None,
            lines: Lines::to_stdout(),
        }
    }
}

/// What Lambda says about an invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id. It stays the same when Lambda tries an asynchronous invocation again.
    pub request_id: String,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// X-Ray's header: `Root=..;Parent=..;Sampled=..`.
    pub trace: Option<String>,
}

impl Invocation {
    /// The id of the trace, if the header has one of the form that X-Ray uses.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        let root = self.trace.as_deref()?.split(';').find_map(|part| part.strip_prefix("Root="))?;
        let ok = root.len() <= 64 && root.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        ok.then_some(root)
    }
}

/// A listener that answers invocations. One per process.
pub struct Function {
    runtime: Arc<Runtime>,
    options: Options,
    pub(crate) stop: Stop,
    /// Whether no event was accounted for yet.
    cold: AtomicBool,
    counted: Mutex<BTreeMap<&'static str, u64>>,
}

/// One invocation under way.
pub(crate) struct Call<'a> {
    invocation: &'a Invocation,
    time: Time,
}

impl Function {
    /// Looks nothing up and unwraps no key.
    pub fn new(runtime: Arc<Runtime>, options: Options) -> Self {
        let (cold, counted) = (AtomicBool::new(true), Mutex::default());
        Self { runtime, options, stop: Stop::default(), cold, counted }
    }

    /// Answers an invocation.
    ///
    /// # Errors
    /// If an event that came alone isn't handled, or a batch isn't one: Lambda is to try again,
    /// and in the end to set it aside.
    pub async fn handle(&self, payload: Value, invocation: &Invocation) -> Result<Value, LambdaError> {
        // The process may have been frozen since the last one.
        self.runtime.forget_stale();
        let ids = Ids {
            request: invocation.request_id.as_str().into(),
            trace: invocation.trace_id().map(Into::into),
            event: None,
        };
        let span =
            tracing::info_span!("invocation", requestId = %ids.request, traceId = ids.trace.as_deref());
        let call = Call { invocation, time: Time::until(invocation.deadline, &*self.options.clock) };
        // lambda_runtime would put a panic's message into the answer.
        let answer = AssertUnwindSafe(self.answer(payload, &call)).catch_unwind();
        let answer = ids.within(answer).instrument(span);
        tokio::select! {
            answer = answer => answer.unwrap_or(Err(LambdaError::Panicked)),
            () = self.stop.cut_off() => Err(LambdaError::Stopping),
        }
    }

    /// Wipes every key and every answer of the store.
    pub fn forget_all(&self) {
        self.runtime.forget_all();
        self.options.on_forget.iter().for_each(|forget| forget());
    }

    async fn answer(&self, payload: Value, call: &Call<'_>) -> Result<Value, LambdaError> {
        let refuse = |way, error| self.one(Delivery { way, message_id: None, event: Err(error) }, call);
        match trigger(payload, &call.invocation.request_id) {
            Trigger::One(delivery) => wire::fits(self.one(delivery, call).await?.report),
            Trigger::Request(delivery) => Ok(http::answer(self.one(delivery, call).await)),
            Trigger::Batch(records) => match batch::handle(self, records, call).await {
                Ok(answer) => Ok(answer),
                Err(error) => refuse("sqs", error).await.map(|handled| handled.report),
            },
            Trigger::Refused(error) => refuse("unknown", error).await.map(|handled| handled.report),
        }
    }

    /// Handles one event and accounts for it.
    pub(crate) async fn one(&self, delivery: Delivery, call: &Call<'_>) -> Result<Handled, LambdaError> {
        let began = Instant::now();
        let Delivery { way, message_id, event } = delivery;
        let (event, result) = match event {
            Err(error) => (None, Err(error)),
            Ok(event) => {
                let result = self.event(&event, call).await;
                (Some(event), result)
            }
        };
        let account = Account {
            at: self.options.clock.now(),
            agent: self.runtime.agent().as_str(),
            invocation: call.invocation,
            way,
            message_id: message_id.as_deref(),
            event: event.as_ref(),
            result: &result,
            took: began.elapsed(),
            cold_start: self.cold.swap(false, Ordering::Relaxed),
            counts: self.counts(),
        };
        self.options.lines.write(&account.to_json());
        result
    }

    async fn event(&self, event: &EventData, call: &Call<'_>) -> Result<Handled, LambdaError> {
        if self.stop.is_stopping() {
            return Err(LambdaError::Stopping);
        }
        if !call.time.is_enough() {
            return Err(LambdaError::NoTime { event: event.id().to_owned() });
        }
        let ids = Ids {
            request: call.invocation.request_id.as_str().into(),
            trace: call.invocation.trace_id().map(Into::into),
            event: Some(event.id().into()),
        };
        let span = tracing::info_span!("event", event = event.id(), topic = event.topic());
        let (claims, clock) = (self.options.idempotency.as_deref(), &self.options.clock);
        let work = once(&self.runtime, claims, || clock.now(), event, &call.time);
        ids.within(work).instrument(span).await
    }

    /// What was counted since the last account.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let Some(counts) = &self.options.counts else { return Vec::new() };
        let totals = counts();
        let mut counted = self.counted.lock().expect("no holder of this lock panics");
        let since = totals.into_iter().map(|(name, total)| {
            let before = counted.insert(name, total).unwrap_or(0);
            (name, total.saturating_sub(before))
        });
        since.filter(|(_, count)| 0 < *count).collect()
    }
}
