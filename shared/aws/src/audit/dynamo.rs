//! The port `AuditLog` over DynamoDB.
//!
//! Appends that wait while another is being written share the next transaction, in the order in
//! which they came.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use tokio::sync::{Mutex as Turn, oneshot};
use undertone_core::audit::{AuditEntry, AuditRow, ChainCheck, Verified};
use undertone_core::{AuditError, AuditLog, wire};

use super::AuditFault;
use super::open::{BYTES, LONGEST_ROW, Open, ROWS};
use super::segment::{Segment, WriterId};
use super::table::Table;
use crate::StoreKey;

/// Rows of audit in a table of DynamoDB whose keys are the texts `pk` and `sk`.
///
/// Each value of this type is one writer with one segment, which begins with its first row.
pub struct DynamoAudit {
    pub(super) table: Table,
    pub(super) store_key: Arc<StoreKey>,
    writing: Arc<Writing>,
}

struct Writing {
    waiting: Mutex<Vec<Waiting>>,
    segment: Turn<Option<Open>>,
}

/// Rows of one append, and whom to tell when they are durable.
struct Waiting {
    started: Timestamp,
    bodies: Vec<String>,
    done: oneshot::Sender<Result<(), AuditFault>>,
}

impl DynamoAudit {
    /// Writes to this table. Asks nobody until the first row.
    pub fn new(client: Client, table: &str, store_key: Arc<StoreKey>) -> Self {
        let table = Table { client, name: table.to_owned() };
        let writing = Writing { waiting: Mutex::default(), segment: Turn::default() };
        Self { table, store_key, writing: Arc::new(writing) }
    }

    /// Ends this writer's segment; the next row begins another. For processes that were copied,
    /// which would otherwise both write the same one.
    pub async fn begin_anew(&self) {
        *self.writing.segment.lock().await = None;
    }

    /// The segment that this process writes, once it has begun.
    pub async fn own_segment(&self) -> Option<Segment> {
        self.writing.segment.lock().await.as_ref().map(|open| open.segment.clone())
    }

    async fn own_end(&self) -> Option<(WriterId, u64)> {
        self.writing.segment.lock().await.as_ref().map(|open| (open.segment.writer, open.last()))
    }

    /// Recomputes a segment's chain from its first row to its last.
    pub(super) async fn check(&self, writer: WriterId) -> Result<Verified, AuditFault> {
        let derived = self.store_key.derived().await?;
        let chain = writer.chain(&derived.chain);
        let mut check = ChainCheck::new(&chain);
        let mut last = 0;
        loop {
            let rows = self.table.rows(writer, last, ROWS).await?;
            let Some(newest) = rows.last() else { break };
            last = newest.sequence;
            for row in &rows {
                if let Err(broken) = check.row(row) {
                    return Ok(broken);
                }
            }
        }
        Ok(check.end(self.table.tip(writer).await?.map(|tip| tip.mac)))
    }
}

#[async_trait]
impl AuditLog for DynamoAudit {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let started = first.at;
        let bodies: Vec<String> = entries.iter().map(wire::audit_body).collect();
        if let Some(long) = bodies.iter().map(String::len).find(|length| LONGEST_ROW < *length) {
            Err(AuditFault::TooLong(long))?;
        }
        let (done, answered) = oneshot::channel();
        let waiting = Waiting { started, bodies, done };
        self.writing.waiting.lock().expect("no holder of this lock panics").push(waiting);
        // A task of its own, so that a caller who stops waiting leaves no transaction half known.
        let (table, store_key, writing) = (self.table.clone(), self.store_key.clone(), self.writing.clone());
        tokio::spawn(async move { write_waiting(&table, &store_key, &writing).await });
        Ok(answered.await.map_err(|_| AuditFault::Stopped)??)
    }

    async fn read(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, AuditError> {
        match self.own_end().await {
            Some((writer, _)) => Ok(self.table.rows(writer, after, limit).await?),
            None => Ok(Vec::new()),
        }
    }

    async fn last(&self) -> Result<u64, AuditError> {
        let Some((writer, _)) = self.own_end().await else { return Ok(0) };
        Ok(self.table.tip(writer).await?.map_or(0, |tip| tip.sequence))
    }

    async fn verify(&self) -> Result<Verified, AuditError> {
        let Some((writer, known)) = self.own_end().await else { return Ok(Verified::Intact { rows: 0 }) };
        if known == 0 && self.table.tip(writer).await?.is_none() {
            return Ok(Verified::Intact { rows: 0 });
        }
        Ok(match self.check(writer).await? {
            // An older end, put back with its own seal.
            Verified::Intact { rows } if rows < known => {
                Verified::Broken { sequence: rows + 1, problem: "rows at the end are missing" }
            }
            verified => verified,
        })
    }
}

/// Whichever task comes first writes all that wait; the others find nothing to do.
async fn write_waiting(table: &Table, store_key: &StoreKey, writing: &Writing) {
    let mut segment = writing.segment.lock().await;
    let waiting = std::mem::take(&mut *writing.waiting.lock().expect("no holder of this lock panics"));
    let mut waiting = waiting.into_iter().peekable();
    while let Some(first) = waiting.peek() {
        let open = segment.get_or_insert_with(|| Open::new(first.started));
        let (mut rows, mut bytes, mut together) = (0, 0, Vec::new());
        // Whole appends, as many as fit; one that doesn't fit by itself is alone.
        while let Some(append) = waiting.next_if(|append| {
            let (more, longer) = append.size();
            together.is_empty() || (rows + more <= ROWS && bytes + longer <= BYTES)
        }) {
            let (more, longer) = append.size();
            (rows, bytes) = (rows + more, bytes + longer);
            together.push(append);
        }
        let bodies = together.iter().flat_map(|append| &append.bodies).map(String::as_str).collect();
        let written = open.write(table, store_key, bodies).await;
        for append in together {
            // The caller may have stopped waiting.
            let _ = append.done.send(written.clone());
        }
    }
}

impl Waiting {
    fn size(&self) -> (usize, usize) {
        (self.bodies.len(), self.bodies.iter().map(String::len).sum())
    }
}
