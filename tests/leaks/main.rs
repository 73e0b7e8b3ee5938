//! Where a value could come out again: replies, errors, log lines, panics, what servers echo.
//!
//! Each handler of these tests was allowed to read its secret, and then is careless with it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod echoes;
mod failures;
mod handles;
mod logs;
mod onward;
mod panics;
mod replies;
mod wire;

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use undertone_core::{Reveal, Rules};
use undertone_runtime::Event;
use undertone_tests::encodings::{CANARY, encodings};
use undertone_tests::world::World;

/// A world in which `TOKEN` is the canary of `dev`, and code may read it.
async fn world() -> World {
    let world = World::new().await;
    world.set_with("dev", "TOKEN", CANARY, readable()).await;
    world
}

fn readable() -> Rules {
    Rules { reveal: Reveal::Allowed, ..Rules::default() }
}

/// The value of a secret, as careless code reads it.
async fn read(event: &Event, name: &str) -> String {
    let secret = event.secrets(name).await.expect("the secret is there");
    let value = secret.reveal("a test of what happens then").await.expect("the rules allow it");
    String::from_utf8(value.expose().to_vec()).expect("the canaries are texts")
}

/// The value in every encoding that is a text.
fn texts(value: &str) -> Vec<(&'static str, String)> {
    let text = |encoding: undertone_tests::encodings::Encoding| {
        Some((encoding.name, String::from_utf8(encoding.written).ok()?))
    };
    encodings(value).into_iter().filter_map(text).collect()
}

/// Lines of a log, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no test panics with this lock").clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("a log is a text")
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics with this lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
