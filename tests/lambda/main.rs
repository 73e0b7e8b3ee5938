//! A listener on Lambda: what comes in, what goes back, and how its process begins and ends.

mod answers;
mod batch;
mod claims;
mod log;
mod once;
mod process;
mod served;
