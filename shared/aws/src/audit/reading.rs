//! Audit for people: all segments of a table, whoever wrote them.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use undertone_core::AuditError;
use undertone_core::audit::{AuditRow, Verified};

use super::AuditFault;
use super::dynamo::DynamoAudit;
use super::segment::{Segment, WriterId};
use super::table::Order;

/// How many segments are read at the same time.
const TOGETHER: usize = 8;
/// How many segments [`DynamoAudit::tail`] looks into, those that began last.
const RECENT: usize = 200;

/// A row with where and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailRow {
    /// When, as the row says.
    pub at: Timestamp,
    /// By whom.
    pub writer: WriterId,
    /// The row.
    pub row: AuditRow,
}

impl DynamoAudit {
    /// All segments, oldest first. Their entries are believed only by [`DynamoAudit::verify_all`].
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn segments(&self) -> Result<Vec<Segment>, AuditError> {
        let entries = self.table.segments(Order::Oldest, usize::MAX).await?;
        Ok(entries.into_iter().map(|(segment, _)| segment).collect())
    }

    /// At most `limit` rows of one segment after the one given, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn segment_rows(
        &self,
        writer: WriterId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, AuditError> {
        Ok(self.table.rows(writer, after, limit).await?)
    }

    /// Recomputes the chain of every segment and the seal of its entry in the list.
    ///
    /// A segment that was removed as a whole, its entry included, isn't missed.
    ///
    /// # Errors
    /// If the table or the store key can't be read.
    pub async fn verify_all(&self) -> Result<Vec<(Segment, Verified)>, AuditError> {
        let derived = self.store_key.derived().await.map_err(AuditFault::from)?;
        let entries = self.table.segments(Order::Oldest, usize::MAX).await?;
        let verified = entries.into_iter().map(|(segment, mac)| {
            let listed = segment.is_sealed(&derived.seals, &mac);
            async move {
                let verified = match self.check(segment.writer).await? {
                    Verified::Intact { .. } if !listed => Verified::Broken {
                        sequence: 0,
                        problem: "its entry in the list of segments was edited",
                    },
                    verified => verified,
                };
                Ok::<_, AuditFault>((segment, verified))
            }
        });
        Ok(stream::iter(verified).buffered(TOGETHER).try_collect().await?)
    }

    /// The newest rows of the segments that began last, oldest first, whoever wrote them.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn tail(&self, limit: usize) -> Result<Vec<TailRow>, AuditError> {
        let entries = self.table.segments(Order::Newest, RECENT).await?;
        let rows = entries.into_iter().map(|(segment, _)| async move {
            let rows = self.table.last_rows(segment.writer, limit).await?;
            let placed = rows.into_iter().map(|row| TailRow {
                at: time_of(&row).unwrap_or(segment.started),
                writer: segment.writer,
                row,
            });
            Ok::<Vec<TailRow>, AuditFault>(placed.collect())
        });
        let rows: Vec<Vec<TailRow>> = stream::iter(rows).buffered(TOGETHER).try_collect().await?;
        let mut rows: Vec<TailRow> = rows.into_iter().flatten().collect();
        rows.sort_by_key(|row| (row.at, row.writer, row.row.sequence));
        Ok(rows.split_off(rows.len().saturating_sub(limit)))
    }
}

/// A row's body begins with its time.
fn time_of(row: &AuditRow) -> Option<Timestamp> {
    let (time, _) = row.body.strip_prefix("{\"at\":\"")?.split_once('"')?;
    time.parse().ok()
}
