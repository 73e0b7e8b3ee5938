//! Undertone: event-driven listeners whose first concern is secrets.
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
//! undertone::wipe_freed_memory!();
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

/// Makes the program wipe every block of memory when it is freed, so that buffers of HTTP and TLS
/// keep nothing of what was sent. Say it once, in the program's `main.rs`.
#[cfg(feature = "local")]
#[macro_export]
macro_rules! wipe_freed_memory {
    () => {
        #[global_allocator]
        static WIPED: $crate::__private::ZeroAlloc<::std::alloc::System> =
            $crate::__private::ZeroAlloc(::std::alloc::System);
    };
}

#[cfg(feature = "local")]
#[doc(hidden)]
pub mod __private {
    pub use zeroizing_alloc::ZeroAlloc;
}

/// Runs a listener until it is told to stop: on this machine, over the home in `$UNDERTONE_HOME`.
///
/// Events arrive on a socket inside the home; `undertone event send` brings one.
///
/// # Errors
/// If the home can't be opened, the listener is wrong, or its socket can't be made.
#[cfg(feature = "local")]
pub async fn run(listener: Listener) -> std::result::Result<(), RunError> {
    undertone_runtime::log::install_panic_hook();
    init_logging();
    harden();
    local::run(listener).await
}
