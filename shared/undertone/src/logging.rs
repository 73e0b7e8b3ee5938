//! Log lines: to standard error, through the leak guard, without the wire.

use std::io;

use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use undertone_runtime::log::Guarded;

/// Crates that log what they send. They are capped, whatever level is asked for.
const WIRE: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tokio"];

/// Installs the log for this process, once. `$UNDERTONE_LOG` is its level: off, error, warn, info (the
/// default), debug or trace.
pub fn init_logging() {
    let level = std::env::var("UNDERTONE_LOG").ok().and_then(|level| level.parse().ok());
    let mut targets = Targets::new().with_default(level.unwrap_or(LevelFilter::INFO));
    for wire in WIRE {
        targets = targets.with_target(wire, Level::WARN);
    }
    let lines = tracing_subscriber::fmt::layer().with_writer(Guarded(io::stderr)).with_ansi(false);
    // A second call, as in tests, keeps the first log.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(targets).with(lines));
}
