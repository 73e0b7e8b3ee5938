//! Undertone: event-driven listeners whose secrets can't leak.
//!
//! The one crate that a listener's author depends on:
//! ```no_run
//! use undertone::{Event, Listener, Result, filter};
//!
//! async fn notify(event: Event) -> Result<()> {
//!     let token = event.secrets("API_TOKEN").await?; // Space over Environment, from the event's context
//!     let call = event.http().post("https://api.example.com/notes").bearer(&token);
//!     call.json(event.payload()).await?.error_for_status()?;
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let listener = Listener::new("notes")
//!         .uses("API_TOKEN")
//!         .on_where("job:ready", filter! { "payload.job": "space:notify" }, notify);
//!     Ok(undertone::run(listener).await?)
//! }
//! ```
//! A handle can't be printed, displayed, stored or returned; the value is decrypted in the sink
//! that uses it, sent only to hosts that its rules allow, and wiped.

#[cfg(feature = "local")]
mod harden;
#[cfg(feature = "local")]
pub mod local;
mod logging;

#[cfg(feature = "local")]
pub use harden::harden;
#[cfg(feature = "local")]
pub use local::RunError;
pub use logging::init_logging;
pub use undertone_core::{Mode, ResolveError, Secret, SecretName, UseError};
pub use undertone_runtime::matching;
pub use undertone_runtime::{
    EgressError, Error, Event, EventData, EventError, Failure, FailureKind, Handler, Http, IntoReply, Json,
    LARGEST_EVENT, Listener, ListenerError, Outcome, Ports, Report, Request, Response, Result, Runtime,
    RuntimeError, Uses, filter, slack,
};

/// Runs a listener until it is told to stop: on this machine, over the home in `$UNDERTONE_HOME`.
///
/// Events arrive on a socket inside the home; `undertone event send` brings one.
///
/// # Errors
/// If the home can't be opened, the listener is wrong, or its socket can't be made.
#[cfg(feature = "local")]
pub async fn run(listener: Listener) -> std::result::Result<(), RunError> {
    harden();
    undertone_runtime::log::install_panic_hook();
    init_logging();
    local::run(listener).await
}
