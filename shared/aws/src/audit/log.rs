//! The port `AuditLog` over the program's own log: one line per row, with the writer's own chain.
//!
//! A row counts once its line was handed over and flushed; if that fails, so does the operation.
//! What becomes of the log afterwards is the platform's to keep, and
//! [`verify_lines`](super::verify_lines) tells whether it did.

use std::io::Write;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use undertone_core::audit::{AuditEntry, AuditRow, CHAIN_START, ChainKey, Verified};
use undertone_core::{AuditError, AuditLog, wire};

use super::AuditFault;
use super::lines::line;
use super::segment::WriterId;
use crate::StoreKey;

/// CloudWatch Logs cuts a line of more than 256 KiB in two.
const LONGEST_ROW: usize = 250_000;

/// Rows of audit as lines of JSON.
pub struct LogAudit {
    store_key: Arc<StoreKey>,
    output: Mutex<Output>,
}

struct Output {
    to: Box<dyn Write + Send>,
    writer: WriterId,
    sequence: u64,
    last: [u8; 32],
}

impl LogAudit {
    /// Writes to this.
    pub fn new(store_key: Arc<StoreKey>, to: Box<dyn Write + Send>) -> Self {
        let output = Output { to, writer: WriterId::random(), sequence: 0, last: CHAIN_START };
        Self { store_key, output: Mutex::new(output) }
    }

    /// Writes to standard output, which on Lambda is the log.
    pub fn to_stdout(store_key: Arc<StoreKey>) -> Self {
        Self::new(store_key, Box::new(std::io::stdout()))
    }

    /// The next row is the first of another writer. For processes that were copied.
    pub fn begin_anew(&self) {
        self.output.lock().expect("no holder of this lock panics").begin_anew();
    }
}

#[async_trait]
impl AuditLog for LogAudit {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError> {
        let bodies: Vec<String> = entries.iter().map(wire::audit_body).collect();
        if let Some(long) = bodies.iter().map(String::len).find(|length| LONGEST_ROW < *length) {
            Err(AuditFault::TooLong(long))?;
        }
        let derived = self.store_key.derived().await.map_err(AuditFault::from)?;
        let mut output = self.output.lock().expect("no holder of this lock panics");
        Ok(output.write(&derived.chain, &bodies)?)
    }

    async fn read(&self, _: u64, _: usize) -> Result<Vec<AuditRow>, AuditError> {
        Err(AuditFault::Elsewhere.into())
    }

    async fn last(&self) -> Result<u64, AuditError> {
        Err(AuditFault::Elsewhere.into())
    }

    async fn verify(&self) -> Result<Verified, AuditError> {
        Err(AuditFault::Elsewhere.into())
    }
}

impl Output {
    fn write(&mut self, all: &ChainKey, bodies: &[String]) -> Result<(), AuditFault> {
        let chain = self.writer.chain(all);
        let mut lines = String::new();
        for body in bodies {
            self.sequence += 1;
            self.last = chain.link(&self.last, self.sequence, body);
            lines += &line(body, self.writer, self.sequence, &self.last);
        }
        let written = self.to.write_all(lines.as_bytes()).and_then(|()| self.to.flush());
        written.map_err(|error| {
            // Nobody knows how much of it is out: what follows begins a line and a chain of its own.
            self.begin_anew();
            // If this fails as well, so does what follows.
            let _ = self.to.write_all(b"\n");
            AuditFault::Output(error.kind())
        })
    }

    fn begin_anew(&mut self) {
        (self.writer, self.sequence, self.last) = (WriterId::random(), 0, CHAIN_START);
    }
}
