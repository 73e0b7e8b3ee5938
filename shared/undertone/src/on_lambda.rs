//! A listener on Lambda, over a store on AWS or, where a developer plays Lambda, over a home.

use std::sync::Arc;

use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use undertone_lambda::{JsonLines, Lines, Options};
use undertone_runtime::{Listener, Runtime};

use crate::error::RunError;
use crate::logging;

/// Whether Lambda, or something that plays it, started this process.
pub(crate) fn is_here() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some_and(|address| !address.is_empty())
}

pub(crate) async fn run(listener: Listener) -> Result<(), RunError> {
    let lines = Lines::to_stdout();
    let subscriber = Registry::default().with(logging::targets()).with(JsonLines(lines.clone()));
    // A second call, as in tests, keeps the first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
    let (runtime, options) = open(listener, Options { lines, ..Options::default() }).await?;
    Ok(undertone_lambda::serve(Arc::new(runtime), options).await?)
}

async fn open(listener: Listener, options: Options) -> Result<(Runtime, Options), RunError> {
    let store = std::env::var("UNDERTONE_STORE").unwrap_or_default();
    if matches!(store.as_str(), "" | "embedded") {
        return over_a_home(listener, options);
    }
    over_aws(listener, options).await
}

#[cfg(feature = "local")]
fn over_a_home(listener: Listener, options: Options) -> Result<(Runtime, Options), RunError> {
    let (home, _) = crate::local::open_home()?;
    let runtime = crate::local::runtime(listener, &home)?;
    Ok((runtime, Options { idempotency: Some(home.idempotency()), ..options }))
}

#[cfg(not(feature = "local"))]
fn over_a_home(_: Listener, _: Options) -> Result<(Runtime, Options), RunError> {
    let problem = "this program was built without the embedded store: set it to dynamodb or secrets-manager";
    Err(RunError::Variable { variable: "UNDERTONE_STORE", problem: problem.to_owned() })
}

#[cfg(feature = "aws")]
async fn over_aws(listener: Listener, options: Options) -> Result<(Runtime, Options), RunError> {
    let crate::aws::OverAws { ports, granted, freshness, installation } = crate::aws::over_aws().await?;
    let runtime = Runtime::new(listener, ports, granted, freshness)?;
    if installation.idempotency.is_none() {
        tracing::warn!("UNDERTONE_IDEMPOTENCY_TABLE isn't set: an event that comes twice is handled twice");
    }
    let installation = Arc::new(installation);
    let (stats, forgetting) = (installation.kms_stats.clone(), installation.clone());
    let counts = move || {
        let counts = stats.counts();
        vec![("KmsCalls", counts.calls), ("KmsErrors", counts.unavailable + counts.denied + counts.wrong)]
    };
    let options = Options {
        idempotency: installation.idempotency.clone(),
        on_forget: vec![Arc::new(move || forgetting.forget())],
        counts: Some(Arc::new(counts)),
        ..options
    };
    Ok((runtime, options))
}

#[cfg(not(feature = "aws"))]
async fn over_aws(_: Listener, _: Options) -> Result<(Runtime, Options), RunError> {
    let problem = "this program was built without the stores on AWS: leave it away for the embedded one";
    Err(RunError::Variable { variable: "UNDERTONE_STORE", problem: problem.to_owned() })
}
