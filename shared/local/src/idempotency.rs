//! The port `Idempotency` over the embedded database: one row for each event of each agent.
//!
//! A row is sealed like those of the store, so that nobody puts an answer in an event's mouth who
//! only writes to the file. That a row was taken out can't be told: the event is handled again.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use undertone_core::Idempotency;
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey};
use undertone_core::seals::{Sealed, Seals};

use crate::database::{Database, Fault};

/// Every claim takes so many rows out whose time is over: more than it adds, so few are left.
const SWEPT: i64 = 16;
/// Such rows stay for a while, in nanoseconds: a handler that was late still finds its claim.
const GRACE: i64 = 3_600_000_000_000;

/// Claims in the embedded database.
pub(crate) struct LocalIdempotency {
    database: Arc<Database>,
    seals: Arc<Seals>,
}

impl LocalIdempotency {
    pub(crate) fn new(database: Arc<Database>, seals: Arc<Seals>) -> Self {
        Self { database, seals }
    }

    /// One transaction over the row of an event.
    async fn change<T: Send + 'static>(
        &self,
        key: &IdempotencyKey,
        change: impl FnOnce(&Claims<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, IdempotencyError> {
        let (key, seals) = (key.clone(), self.seals.clone());
        let work = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = change(&Claims { transaction: &transaction, seals: &seals, key: &key })?;
            transaction.commit()?;
            Ok(answer)
        };
        Ok(self.database.write(work).await?)
    }
}

#[async_trait]
impl Idempotency for LocalIdempotency {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, IdempotencyError> {
        let (now, until) = (nanoseconds(now), nanoseconds(until));
        self.change(key, move |claims| {
            claims.sweep(now)?;
            let known = claims.find()?.filter(|known| now < known.until);
            if let Some(known) = known {
                return Ok(known.says(&claims.key.digest));
            }
            claims.put(&Row { digest: claims.key.digest, claim: claim.0, until, answer: None })?;
            Ok(Claimed::Yours)
        })
        .await
    }

    async fn finish(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        answer: &str,
        keep_until: Timestamp,
    ) -> Result<(), IdempotencyError> {
        let answer = Some(answer.to_owned());
        self.change(key, move |claims| match claims.find()? {
            Some(known) if known.is_held_by(claim) => {
                claims.put(&Row { until: nanoseconds(keep_until), answer, ..known })
            }
            Some(_) | None => Ok(()),
        })
        .await
    }

    async fn give_up(&self, key: &IdempotencyKey, claim: ClaimId) -> Result<(), IdempotencyError> {
        self.change(key, move |claims| match claims.find()? {
            Some(known) if known.is_held_by(claim) => claims.remove(),
            Some(_) | None => Ok(()),
        })
        .await
    }
}

/// What is stored of an event.
struct Row {
    digest: [u8; 32],
    claim: [u8; 16],
    /// Until when the claim holds, or the answer is kept.
    until: i64,
    /// None while the event is being handled.
    answer: Option<String>,
}

impl Row {
    /// What it says to the event with this digest.
    fn says(self, digest: &[u8; 32]) -> Claimed {
        match self.answer {
            _ if self.digest != *digest => Claimed::OtherEvent,
            Some(answer) => Claimed::Done(answer),
            None => Claimed::Taken { until: time(self.until) },
        }
    }

    fn is_held_by(&self, claim: ClaimId) -> bool {
        self.answer.is_none() && self.claim == claim.0
    }

    /// All of a fixed length but the last.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&self.claim);
        bytes.extend_from_slice(&self.until.to_be_bytes());
        bytes.push(u8::from(self.answer.is_some()));
        bytes.extend_from_slice(self.answer.as_deref().unwrap_or_default().as_bytes());
        bytes
    }
}

/// The row of one event at one moment.
struct Claims<'a> {
    transaction: &'a Transaction<'a>,
    seals: &'a Seals,
    key: &'a IdempotencyKey,
}

impl Claims<'_> {
    fn find(&self) -> Result<Option<Row>, Fault> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT digest, claim, until, answer, mac FROM claims WHERE agent = ?1 AND event = ?2",
        )?;
        let found = statement.query_row(self.place(), |columns| {
            let (digest, claim) = (columns.get(0)?, columns.get(1)?);
            let row = Row { digest, claim, until: columns.get(2)?, answer: columns.get(3)? };
            Ok((row, columns.get::<_, Vec<u8>>(4)?))
        });
        match found.optional()? {
            None => Ok(None),
            Some((row, mac)) if self.sealed(&row).is(&mac) => Ok(Some(row)),
            Some(_) => Err(Fault::Damaged(
                "what is kept of it isn't as Undertone wrote it: run `undertone doctor`".to_owned(),
            )),
        }
    }

    fn put(&self, row: &Row) -> Result<(), Fault> {
        let [agent, event] = self.place();
        let mac = self.sealed(row).mac();
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO claims VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![agent, event, row.digest, row.claim, row.until, row.answer, mac])?;
        Ok(())
    }

    fn remove(&self) -> Result<(), Fault> {
        self.transaction
            .prepare_cached("DELETE FROM claims WHERE agent = ?1 AND event = ?2")?
            .execute(self.place())?;
        Ok(())
    }

    /// Takes out rows of any event whose time is long over.
    fn sweep(&self, now: i64) -> Result<(), Fault> {
        self.transaction
            .prepare_cached(
                "DELETE FROM claims WHERE (agent, event) IN
                     (SELECT agent, event FROM claims WHERE until < ?1 ORDER BY until LIMIT ?2)",
            )?
            .execute([now.saturating_sub(GRACE), SWEPT])?;
        Ok(())
    }

    fn place(&self) -> [&str; 2] {
        [self.key.agent.as_str(), &self.key.event]
    }

    fn sealed(&self, row: &Row) -> Sealed<'_> {
        let [agent, event] = self.place();
        self.seals.document(&["claims", agent, event], &row.bytes())
    }
}

/// A time after the year 2262 is that year: whoever asks for it means for ever.
fn nanoseconds(time: Timestamp) -> i64 {
    let nanoseconds = time.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .expect("64 bits of nanoseconds are within jiff's times")
}
