//! A segment that is being written: each transaction moves its end from where this process knows it to be.
//!
//! A transaction whose answer was lost may have happened, or may yet. Its end is remembered, and the
//! tip is read before anything else is written: it is where it was, or at one of these ends. At any
//! other nothing is written any more.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use jiff::Timestamp;
use undertone_core::audit::{AuditRow, CHAIN_START, ChainKey};
use undertone_core::random_bytes;
use undertone_core::seals::Seals;

use super::AuditFault;
use super::segment::{Segment, WriterId};
use super::table::{Table, Tip};
use crate::StoreKey;
use crate::fault::{Fault, fault};

/// A transaction has at most 100 items; two are the tip and the entry in the list.
pub(super) const ROWS: usize = 98;
/// An item has at most 400 KB, its keys and MAC included.
pub(super) const LONGEST_ROW: usize = 390_000;
/// A transaction has at most 4 MB; what isn't rows is far below the rest.
pub(super) const BYTES: usize = 3_500_000;

/// So many lost answers are remembered. Should an older one come true after all, nothing is written any more.
const DOUBTS: usize = 64;

/// The segment that this process is writing.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) segment: Segment,
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

impl Open {
    pub(super) fn new(started: Timestamp) -> Self {
        let segment = Segment { writer: WriterId::random(), started };
        Self { segment, end: End { sequence: 0, mac: CHAIN_START }, doubted: Vec::new() }
    }

    /// The number of the last row that is known to be there.
    pub(super) fn last(&self) -> u64 {
        self.end.sequence
    }

    /// Writes rows in this order; all of them are durable when this returns.
    pub(super) async fn write(
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
