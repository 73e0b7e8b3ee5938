//! Speaks with Lambda: takes invocations, several at once on managed instances, and wipes keys
//! before the process is copied or ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::tower::Service;
use lambda_runtime::{BoxFuture, LambdaEvent, LambdaInvocation, SnapStartResource};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use undertone_runtime::Runtime;

use crate::error::LambdaError;
use crate::extension;
use crate::function::{Function, Invocation, Options};
use crate::time::deadline;

/// What an invocation that is under way may still take when the process is told to end. Lambda
/// kills it after 300 ms if there are other extensions.
const GRACE: Duration = Duration::from_millis(160);

/// Serves a listener until Lambda ends the process.
///
/// # Errors
/// If this isn't Lambda, or Lambda can't be spoken to any more.
pub async fn serve(runtime: Arc<Runtime>, options: Options) -> Result<(), LambdaError> {
    check_environment()?;
    let mut terminate = signal(SignalKind::terminate()).map_err(LambdaError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(LambdaError::Signals)?;
    let function = Arc::new(Function::new(runtime, options));
    extension::register().await;
    let handling = function.clone();
    let handle = lambda_runtime::service_fn(move |event: LambdaEvent<Value>| {
        let function = handling.clone();
        async move { function.handle(event.payload, &Invocation::from(&event.context)).await }
    });
    let lambda = lambda_runtime::Runtime::new(handle)
        .layer(CountUnderWay(function.clone()))
        .register_snapstart_resource(Arc::new(BeforeSnapshot(function.clone())));
    // A task of its own: a handler that blocks its thread doesn't keep the signal from being seen.
    let mut running = tokio::spawn(lambda.run_concurrent());
    tokio::select! {
        ended = &mut running => {
            if let Ok(Err(error)) = &ended {
                tracing::error!(%error, "the runtime API can't be used any more");
            }
            function.forget_all();
            Err(LambdaError::RuntimeApi)
        }
        _ = terminate.recv() => end(&function, running).await,
        _ = interrupt.recv() => end(&function, running).await,
    }
}

async fn end<T>(function: &Function, running: tokio::task::JoinHandle<T>) -> Result<(), LambdaError> {
    function.stop.stop(GRACE).await;
    running.abort();
    function.forget_all();
    Ok(())
}

/// lambda_runtime panics where one of these is missing.
pub(crate) fn check_environment() -> Result<(), LambdaError> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    for name in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"] {
        set(name).ok_or(LambdaError::NotOnLambda(name))?;
    }
    let memory = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    let number = set(memory).and_then(|value| value.parse::<i32>().ok());
    number.map(|_| ()).ok_or(LambdaError::NotOnLambda(memory))
}

impl From<&lambda_runtime::Context> for Invocation {
    fn from(context: &lambda_runtime::Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            deadline: deadline(context.deadline, Timestamp::now()),
            trace: context.xray_trace_id.clone(),
        }
    }
}

/// Nothing secret gets into a snapshot, of which Lambda makes many processes. What they need is
/// looked up again by each, when it has an event.
struct BeforeSnapshot(Arc<Function>);

impl SnapStartResource for BeforeSnapshot {
    fn before_snapshot(&self) -> BoxFuture<'_, Result<(), lambda_runtime::Error>> {
        Box::pin(async {
            self.0.forget_all();
            Ok(())
        })
    }
}

/// Counts an invocation as under way until its answer was sent.
struct CountUnderWay(Arc<Function>);

impl<S> lambda_runtime::tower::Layer<S> for CountUnderWay {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, function: self.0.clone() }
    }
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    function: Arc<Function>,
}

impl<S> Service<LambdaInvocation> for Counted<S>
where
    S: Service<LambdaInvocation>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let under_way = self.function.stop.begin();
        let answered = self.inner.call(invocation);
        Box::pin(async move {
            let _under_way = under_way;
            answered.await
        })
    }
}
