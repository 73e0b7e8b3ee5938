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

#[cfg(feature = "aws")]
pub mod aws;
mod error;
mod harden;
#[cfg(feature = "local")]
pub mod local;
mod logging;
#[cfg(feature = "lambda")]
mod on_lambda;

pub use error::RunError;
pub use harden::harden;
pub use logging::init_logging;
pub use undertone_core::{Mode, ResolveError, Secret, SecretName, UseError};
pub use undertone_runtime::matching;
pub use undertone_runtime::{
    Description, EgressError, Error, Event, EventData, EventError, Failure, FailureKind, Handler, Http,
    IntoReply, Json, LARGEST_EVENT, Listener, ListenerError, Outcome, Ports, Report, Request, Response,
    Result, Runtime, RuntimeError, Uses, filter, slack,
};

/// Makes the program wipe every block of memory when it is freed, so that buffers of HTTP and TLS
/// keep nothing of what was sent. Say it once, in the program's `main.rs`.
#[macro_export]
macro_rules! wipe_freed_memory {
    () => {
        #[global_allocator]
        static WIPED: $crate::__private::ZeroAlloc<::std::alloc::System> =
            $crate::__private::ZeroAlloc(::std::alloc::System);
    };
}

#[doc(hidden)]
pub mod __private {
    pub use zeroizing_alloc::ZeroAlloc;
}

/// Runs a listener until it is told to stop.
///
/// On AWS Lambda it answers invocations. Elsewhere it runs on this machine: events arrive on a
/// socket inside the home in `$UNDERTONE_HOME`, and `undertone event send` brings one. Its secrets
/// come from the store that `$UNDERTONE_STORE` names, else from the one that the home names.
///
/// With `$UNDERTONE_DESCRIBE` set it prints what it declares, as JSON, and ends.
///
/// # Errors
/// If the store can't be opened, the listener is wrong, or events can't be received.
pub async fn run(listener: Listener) -> std::result::Result<(), RunError> {
    undertone_runtime::log::install_panic_hook();
    if std::env::var_os("UNDERTONE_DESCRIBE").is_some_and(|wanted| !wanted.is_empty()) {
        return describe(listener);
    }
    harden();
    #[cfg(feature = "lambda")]
    if on_lambda::is_here() {
        return on_lambda::run(listener).await;
    }
    init_logging();
    #[cfg(feature = "local")]
    return local::run(listener).await;
    #[cfg(not(feature = "local"))]
    Err(RunError::Variable {
        variable: "AWS_LAMBDA_RUNTIME_API",
        problem: "it isn't set, and this program was built for Lambda only".to_owned(),
    })
}

/// Prints what the listener declares.
fn describe(listener: Listener) -> std::result::Result<(), RunError> {
    use std::io::Write;
    let described = listener.describe()?.to_json();
    writeln!(std::io::stdout(), "{described}").map_err(|error| RunError::Output(error.kind()))
}
