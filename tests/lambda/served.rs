//! A listener whose events say what is to happen, served without Lambda.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use undertone_core::memory::MemoryIdempotency;
use undertone_core::{Idempotency, Reveal, Rules};
use undertone_lambda::{Function, Invocation, LambdaError, Lines, Options};
use undertone_runtime::{Error, Event, Listener};
use undertone_tests::runtime_api::TRACE;
use undertone_tests::world::World;

/// Time enough for everything.
pub const LONG: Duration = Duration::from_secs(20);

/// The secret that no answer and no line may show.
pub const CANARY: &str = "canary-6f1d2c9a-never-shown";

/// See the module.
pub struct Served {
    pub world: World,
    pub function: Function,
    /// The ids of events that a handler began with, in order.
    pub began: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Served {
    /// With claims in memory.
    pub async fn new() -> Self {
        Self::with(Some(Arc::new(MemoryIdempotency::default()))).await
    }

    /// With these claims.
    pub async fn with(idempotency: Option<Arc<dyn Idempotency>>) -> Self {
        Self::with_options(|options| Options { idempotency, ..options }).await
    }

    /// With options made from those for tests.
    pub async fn with_options(change: impl FnOnce(Options) -> Options) -> Self {
        let world = World::new().await;
        set_token(&world).await;
        let began: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let written = lines.clone();
        let write = move |line: &str| {
            written
                .lock()
                .expect("no test panics with this lock")
                .push(serde_json::from_str(line).expect("a line is JSON"));
        };
        let clock = world.clock.clone();
        let options = change(Options { clock, lines: Lines::new(write), ..Options::default() });
        let runtime = Arc::new(world.runtime(listener(world.listener(), began.clone())));
        Self { function: Function::new(runtime, options), world, began, lines }
    }

    /// Answers an invocation that may take so long.
    pub async fn invoke(&self, payload: Value, time: Duration) -> Result<Value, LambdaError> {
        self.function.handle(payload, &self.invocation("request-1", time)).await
    }

    /// An invocation that must be answered so much later.
    pub fn invocation(&self, request_id: &str, time: Duration) -> Invocation {
        let deadline = undertone_core::Clock::now(&*self.world.clock) + time;
        Invocation { request_id: request_id.to_owned(), deadline, trace: Some(TRACE.to_owned()) }
    }

    /// The ids of events that a handler began with since the last call.
    pub fn began(&self) -> Vec<String> {
        std::mem::take(&mut *self.began.lock().expect("no test panics with this lock"))
    }

    /// The lines since the last call.
    pub fn lines(&self) -> Vec<Value> {
        std::mem::take(&mut *self.lines.lock().expect("no test panics with this lock"))
    }
}

/// Gives the world the secret. Code may reveal it, so that it can be careless with it.
pub async fn set_token(world: &World) {
    let rules = Rules { reveal: Reveal::Allowed, ..Rules::default() };
    world.set_with("dev", "TOKEN", CANARY, rules).await;
}

/// A listener that does what the payload says: `{"do": ..}`.
pub fn listener(listener: Listener, began: Arc<Mutex<Vec<String>>>) -> Listener {
    listener.on("test:*", move |event: Event| {
        began.lock().expect("no test panics with this lock").push(event.id().to_owned());
        println!("a handler began");
        run(event)
    })
}

async fn run(event: Event) -> Result<Value, Error> {
    let number = |name: &str| event.payload()[name].as_u64().unwrap_or_default();
    match event.payload()["do"].as_str() {
        Some("fail") => Err(Error::msg("as told")),
        Some("panic") => panic!("{CANARY}"),
        Some("wait") => {
            tokio::time::sleep(Duration::from_millis(number("ms"))).await;
            Ok(json!("waited"))
        }
        Some("reply") => Ok(json!("x".repeat(number("bytes") as usize))),
        Some("leak") => {
            let value = event.secrets("TOKEN").await?.reveal("a test of what happens then").await?;
            let value = String::from_utf8(value.expose().to_vec()).expect("it is a text");
            tracing::error!(token = value, "logged {value}");
            Err(Error::msg(format!("failed with {value}")))
        }
        Some("use") => Ok(json!({ "found": event.secrets("TOKEN").await.is_ok() })),
        _ => Ok(json!("done")),
    }
}

/// An event for that listener.
pub fn event(id: &str, payload: Value) -> Value {
    let context = json!({ "environmentId": "dev", "spaceId": "red" });
    json!({ "id": id, "topic": "test:run", "context": context, "payload": payload })
}

/// A message of SQS.
pub fn message(id: &str, body: impl ToString) -> Value {
    json!({
        "messageId": id, "receiptHandle": "handle", "body": body.to_string(), "attributes": {},
        "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:events",
    })
}

/// The ids that a batch's answer gives back.
pub fn returned(answer: &Value) -> Vec<String> {
    let items = answer["batchItemFailures"].as_array().expect("an answer to a batch");
    let ids =
        items.iter().map(|item| item["itemIdentifier"].as_str().expect("an item has a name").to_owned());
    let ids: Vec<String> = ids.collect();
    assert!(ids.iter().all(|id| !id.is_empty()), "an empty name gives back all");
    ids
}
