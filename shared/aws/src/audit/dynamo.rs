//! The port `AuditLog` over DynamoDB.
//!
//! Appends that wait while another is being written share the next transaction. A transaction
//! moves the tip from where this process knows it to be, or does nothing: so a segment can't fork,
//! whatever became of an earlier transaction whose answer was lost.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use jiff::Timestamp;
use tokio::sync::{Mutex as Turn, oneshot};
use undertone_core::audit::{AuditEntry, AuditRow, CHAIN_START, ChainCheck, ChainKey, Verified};
use undertone_core::seals::Seals;
use undertone_core::{AuditError, AuditLog, random_bytes, wire};

use super::AuditFault;
use super::segment::{Segment, WriterId};
use super::table::{Table, Tip};
use crate::StoreKey;
use crate::fault::{Fault, fault};

/// A transaction has at most 100 items; two are the tip and the entry in the list.
const ROWS: usize = 98;
/// An item has at most 400 KB, its keys and MAC included.
const LONGEST_ROW: usize = 390_000;
/// A transaction has at most 4 MB; what isn't rows is far below the rest.
const BYTES: usize = 3_500_000;

/// So many lost answers are remembered. Should an older one come true after all, nothing is written any more.
const DOUBTS: usize = 64;

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

/// The segment that this process is writing.
#[derive(Clone, Debug)]
struct Open {
    segment: Segment,
    end: End,
    /// Ends of transactions whose answers were lost. Any of them may have happened, or none.
    doubted: Vec<End>,
}

/// The last row of a segment, or what comes before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    sequence: u64,
    mac: [u8; 32],
}

/// What became of a transaction.
enum Sent {
    Done,
    /// The tip or a row wasn't as expected: nothing was written.
    Moved,
    /// It may have happened.
    Unknown(AuditFault),
    /// It didn't happen.
    Refused(AuditFault),
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
        self.writing.segment.lock().await.as_ref().map(|open| (open.segment.writer, open.end.sequence))
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

impl Open {
    fn new(started: Timestamp) -> Self {
        let segment = Segment { writer: WriterId::random(), started };
        Self { segment, end: End { sequence: 0, mac: CHAIN_START }, doubted: Vec::new() }
    }

    async fn write(
        &mut self,
        table: &Table,
        store_key: &StoreKey,
        bodies: Vec<&str>,
    ) -> Result<(), AuditFault> {
        let derived = store_key.derived().await?;
        let chain = self.segment.writer.chain(&derived.chain);
        let mut rest = &bodies[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest));
            self.write_together(table, &chain, &derived.seals, now).await?;
            rest = later;
        }
        Ok(())
    }

    async fn write_together(
        &mut self,
        table: &Table,
        chain: &ChainKey,
        seals: &Seals,
        bodies: &[&str],
    ) -> Result<(), AuditFault> {
        if !self.doubted.is_empty() {
            self.settle(table, chain).await?;
        }
        // Twice, since a transaction whose answer was lost may come in between. Each such end
        // moves the tip, so it can be only one of them.
        for _ in 0..2 {
            let (rows, end) = self.end.followed_by(chain, bodies);
            match self.send(table, chain, seals, &rows, end).await {
                Sent::Done => {
                    self.is_at(end);
                    return Ok(());
                }
                Sent::Refused(fault) => {
                    self.doubt(end);
                    return Err(fault);
                }
                Sent::Moved => {
                    let before = self.end;
                    self.doubt(end);
                    self.settle(table, chain).await?;
                    if self.end == end {
                        return Ok(());
                    }
                    if self.end == before {
                        return Err(AuditFault::Damaged("rows were put where this program writes"));
                    }
                }
                Sent::Unknown(fault) => {
                    self.doubt(end);
                    return match self.settle(table, chain).await {
                        Ok(()) if self.end == end => Ok(()),
                        Ok(()) | Err(_) => Err(fault),
                    };
                }
            }
        }
        Err(AuditFault::Damaged("its end moves by itself"))
    }

    async fn send(
        &self,
        table: &Table,
        chain: &ChainKey,
        seals: &Seals,
        rows: &[AuditRow],
        end: End,
    ) -> Sent {
        let writer = self.segment.writer;
        let seen = (0 < self.end.sequence).then(|| self.end.tip(chain));
        let mut items: Vec<_> = rows.iter().map(|row| table.put_row(writer, row)).collect();
        items.push(table.put_tip(writer, seen, end.tip(chain)));
        if seen.is_none() {
            items.push(table.put_segment(&self.segment, seals));
        }
        let token: [u8; 16] = random_bytes();
        let sent = table
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            // The SDK's own tries are one transaction.
            .client_request_token(token.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .send()
            .await;
        match sent {
            Ok(_) => Sent::Done,
            Err(error) => outcome(&error),
        }
    }

    /// Reads where the segment ends and forgets all doubts but those that may still come true.
    async fn settle(&mut self, table: &Table, chain: &ChainKey) -> Result<(), AuditFault> {
        let tip = table.tip(self.segment.writer).await?;
        let is = |end: &End| match tip {
            None => end.sequence == 0,
            Some(tip) => tip == end.tip(chain),
        };
        if let Some(came_true) = self.doubted.iter().copied().find(|end| is(end)) {
            // All others began at the same end as this one, which is left behind.
            self.is_at(came_true);
            return Ok(());
        }
        if is(&self.end) {
            return Ok(());
        }
        Err(AuditFault::Damaged("its end isn't as this program wrote it"))
    }

    /// A refusal counts as well: it answers the SDK's last try, and an earlier one got no answer.
    fn doubt(&mut self, end: End) {
        if self.doubted.len() == DOUBTS {
            self.doubted.remove(0);
        }
        self.doubted.push(end);
    }

    fn is_at(&mut self, end: End) {
        self.end = end;
        self.doubted.clear();
    }
}

impl End {
    fn tip(&self, chain: &ChainKey) -> Tip {
        Tip { sequence: self.sequence, mac: chain.tip(&self.mac, self.sequence) }
    }

    fn followed_by(mut self, chain: &ChainKey, bodies: &[&str]) -> (Vec<AuditRow>, End) {
        let rows = bodies.iter().map(|body| {
            self.sequence += 1;
            self.mac = chain.link(&self.mac, self.sequence, body);
            AuditRow { sequence: self.sequence, body: (*body).to_owned(), mac: self.mac }
        });
        (rows.collect(), self)
    }
}

/// How many of these fit in one transaction; at least one.
fn fitting(bodies: &[&str]) -> usize {
    let mut bytes = 0;
    let fit = bodies.iter().take(ROWS).take_while(|body| {
        bytes += body.len();
        bytes <= BYTES
    });
    fit.count().max(1)
}

fn outcome(error: &SdkError<TransactWriteItemsError>) -> Sent {
    if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() {
        let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
        let mut codes = codes.filter(|code| *code != "None").peekable();
        let only_moved =
            codes.peek().is_some() && codes.by_ref().all(|code| code == "ConditionalCheckFailed");
        return if only_moved {
            Sent::Moved
        } else {
            Sent::Refused(AuditFault::Call("TransactWriteItems: TransactionCanceledException".to_owned()))
        };
    }
    match fault("TransactWriteItems", error) {
        Fault::Unavailable(problem) | Fault::Garbled(problem) => Sent::Unknown(AuditFault::Call(problem)),
        // Another try with the same token is still under way.
        Fault::Code(code) if code == "TransactionInProgressException" => {
            Sent::Unknown(AuditFault::Call(code))
        }
        refused @ (Fault::Denied(_) | Fault::Code(_)) => Sent::Refused(refused.into()),
    }
}
