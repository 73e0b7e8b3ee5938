//! Serves a listener on AWS Lambda.
//!
//! What a listener gets here without asking: every kind of trigger, SQS batches that give back
//! exactly what failed, each event handled once though Lambda delivers it again, the deadline as
//! its budget, one JSON line per event with metrics in it, and keys wiped before the process is
//! ended or copied.
//!
//! Nothing secret happens before the first event: a process that Lambda starts, snapshots or
//! copies ahead of time holds no value and no key.

mod account;
mod batch;
mod error;
mod extension;
mod function;
mod http;
mod lines;
mod once;
mod serve;
mod stop;
mod task;
mod time;
mod trigger;
mod wire;

pub use error::LambdaError;
pub use function::{Counts, Forget, Function, Invocation, Options};
pub use lines::{JsonLines, LONGEST_LINE, Lines};
pub use serve::serve;
pub use task::serve_task;
pub use wire::LARGEST_ANSWER;
