//! Undertone's runtime: an event comes in, handlers run, a reply goes out.
//!
//! Text crosses the process border at two places only: [`EventData::parse`] on the way in and
//! the leak guard on the way out (results, errors, log lines).

mod attempt;
mod describe;
mod dispatch;
pub mod egress;
mod error;
mod event;
mod handler;
mod ledger;
mod listener;
pub mod log;
pub mod matching;
mod secrets;
pub mod slack;
mod wire;

pub use describe::Description;
pub use dispatch::{Failure, FailureKind, Outcome, Ports, Report, Runtime, RuntimeError};
pub use egress::{EgressError, Http, Request, Response};
pub use error::Error;
pub use event::{Event, EventData, EventError, LARGEST_EVENT};
pub use handler::{Handler, IntoReply, Json};
pub use listener::{Listener, ListenerError, Uses};
pub use secrets::{Lookup, OptionalLookup};

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[doc(hidden)]
pub mod __private {
    pub use serde_json;
}
