//! Log lines and panics: the leak guard stands before both.
//!
//! A line is cleaned with the guards of the attempt that writes it, if one does, and with those of
//! the snapshots that were used last, since code may have kept a text from another event. If the
//! guard fails, the line is withheld and counted. A panic's message is never shown.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use undertone_core::resolve::Snapshot;

use crate::attempt::{self, Attempt};

tokio::task_local! {
    pub(crate) static CURRENT: Arc<Attempt>;
}

/// How many snapshots stand behind every line.
const REMEMBERED: usize = 32;

/// In the order of their last use. They are held, so that a task that outlives its event, and so
/// may hold a version that no other event will get, is cleaned after all the same.
static USED: Mutex<Vec<Arc<Snapshot>>> = Mutex::new(Vec::new());
static WITHHELD: AtomicU64 = AtomicU64::new(0);

/// How many lines were withheld because the guard failed.
pub fn withheld() -> u64 {
    WITHHELD.load(Ordering::Relaxed)
}

/// Remembers a snapshot whose secrets code may hold from now on.
pub(crate) fn remember(snapshot: &Arc<Snapshot>) {
    let mut used = USED.lock().expect("no holder of this lock panics");
    if let Some(known) = used.iter().rposition(|other| Arc::ptr_eq(other, snapshot)) {
        used[known..].rotate_left(1);
        return;
    }
    if used.len() == REMEMBERED {
        used.remove(0);
    }
    used.push(snapshot.clone());
}

/// Forgets the snapshots that were used, and so the keys that they hold.
pub(crate) fn forget() {
    USED.lock().expect("no holder of this lock panics").clear();
}

/// A text with every secret masked that the current attempt or a recent one can use.
pub fn clean(text: &str) -> String {
    let cleaned = catch_unwind(AssertUnwindSafe(|| {
        let guards = CURRENT.try_with(|attempt| attempt.guards()).unwrap_or_default();
        let guards = [guards, recent()].concat();
        attempt::clean(&guards, text)
    }));
    cleaned.unwrap_or_else(|_| {
        WITHHELD.fetch_add(1, Ordering::Relaxed);
        "[a line was withheld: the leak guard failed]\n".to_owned()
    })
}

fn recent() -> Vec<Arc<undertone_core::redact::Guard>> {
    let used = USED.lock().expect("no holder of this lock panics").clone();
    used.iter().map(|snapshot| snapshot.guard()).collect()
}

/// Where `tracing` writes its lines: cleaned, then to `W`.
pub struct Guarded<W>(pub W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Guarded<W> {
    type Writer = GuardedLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        GuardedLine { line: Vec::new(), inner: self.0.make_writer() }
    }
}

/// One line under construction; it is cleaned as a whole and written when it is dropped.
pub struct GuardedLine<W: Write> {
    line: Vec<u8>,
    inner: W,
}

impl<W: Write> Write for GuardedLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for GuardedLine<W> {
    fn drop(&mut self) {
        let line = clean(&String::from_utf8_lossy(&self.line));
        // A log that can't be written is no reason to fail the event.
        let _ = self.inner.write_all(line.as_bytes());
    }
}

/// From now on a panic shows where it happened, and nothing of what it says.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let _ = writeln!(io::stderr(), "panicked at {place} (the message is withheld: it may hold a value)");
    }));
}
