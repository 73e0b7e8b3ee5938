//! A stand-in for Lambda's runtime API on loopback: hands out invocations, records what comes back
//! and when. Strict where Lambda is: an answer to an invocation that isn't under way is refused.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The header of X-Ray that every invocation carries.
pub const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// How long a test waits for the function.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is an API for extensions.
#[derive(Clone, Copy, PartialEq)]
pub enum Extensions {
    /// As on Lambda.
    Served,
    /// As where Lambda is only played: 404.
    Missing,
}

/// See the module. Runs until it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

/// What a function said about an invocation.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it answered, or its error: `{errorType, errorMessage}`.
    pub result: Result<Value, Value>,
    /// When that came.
    pub at: Instant,
}

struct Shared {
    extensions: Extensions,
    state: Mutex<Current>,
    changed: Notify,
}

#[derive(Default)]
struct Current {
    sent: usize,
    waiting: VecDeque<(String, Value, Duration)>,
    under_way: HashSet<String>,
    answers: HashMap<String, Answer>,
    calls: Vec<String>,
    first_next: Option<Instant>,
}

impl RuntimeApi {
    /// Starts one.
    pub async fn start(extensions: Extensions) -> Self {
        let shared = Arc::new(Shared { extensions, state: Mutex::default(), changed: Notify::new() });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .route("/2018-06-01/runtime/restore/next", get(restored))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(extension_next))
            .with_state(shared.clone());
        let listening = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listening.local_addr().expect("a bound socket has an address");
        let running = tokio::spawn(async move {
            axum::serve(listening, app).await.expect("the stand-in serves until it is aborted");
        });
        Self { address, shared, running }
    }

    /// What Lambda sets in the environment of a function's process.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "tester".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ]
    }

    /// Hands out an invocation that may take so long. Its request id.
    pub fn send(&self, payload: Value, time: Duration) -> String {
        let id = {
            let mut state = self.shared.lock();
            state.sent += 1;
            let id = format!("request-{}", state.sent);
            state.waiting.push_back((id.clone(), payload, time));
            id
        };
        self.shared.changed.notify_waiters();
        id
    }

    /// The answer to an invocation, as soon as there is one.
    pub async fn answer(&self, id: &str) -> Answer {
        self.shared.soon(|state| state.answers.get(id).cloned()).await
    }

    /// Sends an invocation and waits for its answer.
    pub async fn invoke(&self, payload: Value, time: Duration) -> Answer {
        let id = self.send(payload, time);
        self.answer(&id).await
    }

    /// When the function first asked for an invocation: its start is over.
    pub async fn first_next(&self) -> Instant {
        self.shared.soon(|state| state.first_next).await
    }

    /// Whether an invocation was answered already.
    pub fn is_answered(&self, id: &str) -> bool {
        self.shared.lock().answers.contains_key(id)
    }

    /// What was called so far, in short: `next`, `register`, `response request-1`.
    pub fn calls(&self) -> Vec<String> {
        self.shared.lock().calls.clone()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.state.lock().expect("no test panics with this lock")
    }

    fn called(&self, call: impl Into<String>) {
        self.lock().calls.push(call.into());
    }

    /// Waits for it, and no longer than any test may.
    async fn soon<T>(&self, found: impl FnMut(&mut Current) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, self.until(found)).await;
        found.unwrap_or_else(|_| panic!("the function doesn't do it: {:?}", self.lock().calls))
    }

    async fn until<T>(&self, mut found: impl FnMut(&mut Current) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = found(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    fn answered(&self, id: String, result: Result<Value, Value>) -> StatusCode {
        let at = Instant::now();
        {
            let mut state = self.lock();
            if !state.under_way.remove(&id) {
                return StatusCode::BAD_REQUEST;
            }
            state.answers.insert(id, Answer { result, at });
        }
        self.changed.notify_waiters();
        StatusCode::ACCEPTED
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    {
        let mut state = shared.lock();
        state.calls.push("next".to_owned());
        state.first_next.get_or_insert_with(Instant::now);
    }
    shared.changed.notify_waiters();
    let handed_out = |state: &mut Current| {
        let invocation = state.waiting.pop_front()?;
        state.under_way.insert(invocation.0.clone());
        Some(invocation)
    };
    let (id, payload, time) = shared.until(handed_out).await;
    shared.changed.notify_waiters();
    let deadline = (SystemTime::now() + time).duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:tester".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (axum::response::AppendHeaders(headers), payload.to_string()).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> StatusCode {
    shared.called(format!("response {id}"));
    let value = serde_json::from_str(&body).expect("an answer is JSON");
    shared.answered(id, Ok(value))
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> StatusCode {
    shared.called(format!("error {id}"));
    let value = serde_json::from_str(&body).expect("an error is JSON");
    shared.answered(id, Err(value))
}

async fn init_error(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    shared.called(format!("init error {body}"));
    StatusCode::ACCEPTED
}

async fn restored(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.called("restore next");
    StatusCode::OK
}

async fn register(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let name = headers.get("lambda-extension-name").and_then(|name| name.to_str().ok()).unwrap_or("?");
    shared.called(format!("register {name} {body}"));
    match shared.extensions {
        Extensions::Served => ([("lambda-extension-identifier", "extension-1")], "{}").into_response(),
        Extensions::Missing => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn extension_next(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    let known = headers.get("lambda-extension-identifier").is_some_and(|id| id == "extension-1");
    shared.called(format!("extension next {known}"));
    match known {
        true => std::future::pending().await,
        false => StatusCode::FORBIDDEN,
    }
}
