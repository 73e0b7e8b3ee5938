//! Do the adapters for AWS keep the ports' contracts, against emulators and against AWS at its worst?

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod audit;
mod clocks;
mod cloud;
mod counts;
mod credentials;
mod dynamo;
mod external;
mod idempotency;
mod kms;
mod logs;
mod outages;
mod rotation;
mod secrets_manager;
mod tls;
