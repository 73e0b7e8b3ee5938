//! Undertone's command line, as somebody at a shell sees it: each test runs the program itself,
//! with a home folder of its own.

#![expect(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod canary;
mod damage;
mod files;
mod golden;
mod kills;
mod process;
mod races;
mod terminal;
mod transcript;
