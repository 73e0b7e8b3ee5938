//! Log lines: to standard error, through the leak guard, without the wire.

use std::io;

use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use undertone_runtime::log::Guarded;

/// Crates that log what they send. They are capped, whatever level is asked for.
const WIRE: [&str; 19] = [
    "aws_config",
    "aws_credential_types",
    "aws_runtime",
    "aws_sdk_dynamodb",
    "aws_sdk_kms",
    "aws_sdk_secretsmanager",
    "aws_sigv4",
    "aws_smithy_http_client",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "h2",
    "hyper",
    "hyper_util",
    "lambda_runtime",
    "lambda_runtime_api_client",
    "reqwest",
    "rustls",
    "tokio",
    "tower",
];

/// Installs the log for this process, once. `$UNDERTONE_LOG` is its level: off, error, warn, info (the
/// default), debug or trace.
pub fn init_logging() {
    let lines = tracing_subscriber::fmt::layer().with_writer(Guarded(io::stderr)).with_ansi(false);
    // A second call, as in tests, keeps the first log.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(targets()).with(lines));
}

/// Which lines are written, as `$UNDERTONE_LOG` says.
pub(crate) fn targets() -> Targets {
    let level = std::env::var("UNDERTONE_LOG").ok().and_then(|level| level.parse().ok());
    let mut targets = Targets::new().with_default(level.unwrap_or(LevelFilter::INFO));
    for wire in WIRE {
        targets = targets.with_target(wire, Level::WARN);
    }
    // After a failure it says as an error that our HTTP client closes no single connection on request.
    targets.with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF)
}
