//! The port `AuditLog` over the embedded database: one chain, whatever program appends.
//!
//! Appends that wait while another is being written share the next commit. Each commit reads the
//! end of the chain under the write lock and must find it as it was sealed: rows cut off at the
//! end are noticed before a new seal could hide that.

use std::sync::{Arc, Mutex};
use std::thread;

use async_trait::async_trait;
use futures_channel::oneshot;
use rusqlite::{Connection, OptionalExtension, Row as Columns, Transaction, TransactionBehavior, params};
use undertone_core::audit::{AuditEntry, AuditRow, CHAIN_START, ChainCheck, ChainKey, Verified};
use undertone_core::{AuditError, AuditLog, wire};

use crate::database::{Database, Fault};

/// Rows of audit in the embedded database.
pub(crate) struct LocalAudit {
    database: Arc<Database>,
    chain: Arc<ChainKey>,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

/// Rows of one append, and whom to tell when they are durable.
struct Waiting {
    bodies: Vec<String>,
    done: oneshot::Sender<Result<(), AuditError>>,
}

impl LocalAudit {
    pub(crate) fn new(database: Arc<Database>, chain: ChainKey) -> Self {
        Self { database, chain: Arc::new(chain), waiting: Arc::default() }
    }
}

#[async_trait]
impl AuditLog for LocalAudit {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError> {
        let bodies: Vec<String> = entries.iter().map(wire::audit_body).collect();
        if bodies.is_empty() {
            return Ok(());
        }
        let (done, answered) = oneshot::channel();
        self.waiting.lock().expect("no holder of this lock panics").push(Waiting { bodies, done });
        let (chain, waiting) = (self.chain.clone(), self.waiting.clone());
        // Whichever of these jobs comes first writes all that wait; the others find nothing to do.
        self.database.hand_in(move |connection| append_waiting(connection, &chain, &waiting))?;
        answered.await.map_err(|_| Fault::stopped())?
    }

    async fn read(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, AuditError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT sequence, body, mac FROM audit WHERE ?1 < sequence ORDER BY sequence LIMIT ?2";
        Ok(self.database.read(|moment| {
            let mut statement = moment.prepare_cached(sql)?;
            let rows = statement.query_map([after, limit], |columns| {
                Ok(AuditRow { sequence: columns.get(0)?, body: columns.get(1)?, mac: columns.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?)
    }

    async fn last(&self) -> Result<u64, AuditError> {
        Ok(self.database.read(|moment| Ok(end(moment)?.sequence))?)
    }

    async fn verify(&self) -> Result<Verified, AuditError> {
        let (database, chain) = (self.database.clone(), self.chain.clone());
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let verified = database.read(|moment| verify(moment, &chain));
            // Whoever closes the home after the answer finds it closed.
            drop(database);
            // Nobody may be waiting any more.
            let _ = answer.send(verified);
        };
        // A long log takes seconds: not on the caller's thread.
        thread::Builder::new()
            .name("undertone-verify".to_owned())
            .spawn(work)
            .map_err(|_| AuditError("this program has too many threads to check it".to_owned()))?;
        Ok(answered.await.map_err(|_| Fault::stopped())??)
    }
}

/// Seals the empty chain, when the database is made.
pub(crate) fn start_chain(transaction: &Transaction<'_>, chain: &ChainKey) -> Result<(), Fault> {
    transaction.execute("INSERT INTO audit_tip VALUES (1, ?1)", [chain.tip(&CHAIN_START, 0)])?;
    Ok(())
}

fn append_waiting(connection: &mut Connection, chain: &ChainKey, waiting: &Mutex<Vec<Waiting>>) {
    let waiting = std::mem::take(&mut *waiting.lock().expect("no holder of this lock panics"));
    if waiting.is_empty() {
        return;
    }
    let bodies = waiting.iter().flat_map(|append| &append.bodies);
    let written = append(connection, chain, bodies).map_err(AuditError::from);
    for append in waiting {
        // The caller may have stopped waiting.
        let _ = append.done.send(written.clone());
    }
}

fn append<'a>(
    connection: &mut Connection,
    chain: &ChainKey,
    bodies: impl Iterator<Item = &'a String>,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut end = end(&transaction)?;
    if !end.is_sealed(chain, tip(&transaction)?) {
        return Err(Fault::Damaged(
            "its end isn't as Undertone wrote it: run `undertone audit verify`".to_owned(),
        ));
    }
    let mut insert = transaction.prepare_cached("INSERT INTO audit VALUES (?1, ?2, ?3)")?;
    for body in bodies {
        end.sequence += 1;
        end.mac = chain.link(&end.mac, end.sequence, body);
        insert.execute(params![end.sequence, body, end.mac])?;
    }
    drop(insert);
    transaction
        .prepare_cached("INSERT OR REPLACE INTO audit_tip VALUES (1, ?1)")?
        .execute([chain.tip(&end.mac, end.sequence)])?;
    transaction.commit()?;
    Ok(())
}

/// The last row of a chain, or what comes before the first.
struct End {
    sequence: u64,
    mac: [u8; 32],
}

impl End {
    fn is_sealed(&self, chain: &ChainKey, tip: Option<[u8; 32]>) -> bool {
        tip == Some(chain.tip(&self.mac, self.sequence))
    }
}

fn end(moment: &Transaction<'_>) -> Result<End, Fault> {
    let end = moment
        .prepare_cached("SELECT sequence, mac FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |columns| Ok(End { sequence: columns.get(0)?, mac: columns.get(1)? }))
        .optional()?;
    Ok(end.unwrap_or(End { sequence: 0, mac: CHAIN_START }))
}

fn tip(moment: &Transaction<'_>) -> Result<Option<[u8; 32]>, Fault> {
    // A seal of another length was edited: in its stead stands one that no chain has.
    let read = |columns: &Columns<'_>| Ok(columns.get(0).unwrap_or(CHAIN_START));
    let tip = moment.prepare_cached("SELECT mac FROM audit_tip")?.query_row([], read);
    Ok(tip.optional()?)
}

fn verify(moment: &Transaction<'_>, chain: &ChainKey) -> Result<Verified, Fault> {
    let mut check = ChainCheck::new(chain);
    let mut statement = moment.prepare("SELECT sequence, body, mac FROM audit ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        // A field that can't be read was edited: in its stead stands one that no MAC fits.
        let row = AuditRow {
            sequence: columns.get(0).unwrap_or(0),
            body: columns.get(1).unwrap_or_default(),
            mac: columns.get(2).unwrap_or(CHAIN_START),
        };
        if let Err(broken) = check.row(&row) {
            return Ok(broken);
        }
    }
    Ok(check.end(tip(moment)?))
}
