//! Rows, tips and the list of segments as items of a DynamoDB table.
//!
//! A row lies at `audit#<writer>` under its number with 20 digits, the tip beside it, a segment's
//! entry at `segments` under the time of its first row.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use undertone_core::audit::{AuditRow, CHAIN_START};
use undertone_core::seals::Seals;

use super::AuditFault;
use super::segment::{LIST, Segment, WriterId};
use crate::fault::fault;

pub(super) type Attributes = HashMap<String, AttributeValue>;

const TIP: &str = "tip";
/// What a page holds at most, so that no answer is long.
const PAGE: usize = 500;

/// The table with the way to it.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
}

/// The end of a segment, as its tip says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) sequence: u64,
    pub(super) mac: [u8; 32],
}

impl Table {
    /// The stored tip, read consistently.
    pub(super) async fn tip(&self, writer: WriterId) -> Result<Option<Tip>, AuditFault> {
        let item = self
            .client
            .get_item()
            .table_name(&self.name)
            .consistent_read(true)
            .key("pk", text(writer.partition()))
            .key("sk", text(TIP))
            .send()
            .await
            .map_err(|error| fault("GetItem", &error))?;
        // Fields that can't be read were edited: in their stead stand some that no tip has.
        let read = |item: Attributes| Tip {
            sequence: item.get("sequence").and_then(number).unwrap_or(u64::MAX),
            mac: item.get("mac").and_then(mac).unwrap_or(CHAIN_START),
        };
        Ok(item.item.map(read))
    }

    /// At most `limit` rows after the one given, oldest first.
    pub(super) async fn rows(
        &self,
        writer: WriterId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, AuditFault> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        self.query(&writer.partition(), &place(first), &place(u64::MAX), Order::Oldest, limit, row).await
    }

    /// The last rows, newest first.
    pub(super) async fn last_rows(
        &self,
        writer: WriterId,
        limit: usize,
    ) -> Result<Vec<AuditRow>, AuditFault> {
        self.query(&writer.partition(), &place(0), &place(u64::MAX), Order::Newest, limit, row).await
    }

    /// The entries of the list with their MACs.
    pub(super) async fn segments(
        &self,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Segment, [u8; 32])>, AuditFault> {
        let entry = |item: &Attributes| {
            let segment = item.get("sk").and_then(|place| Segment::at(place.as_s().ok()?));
            let mac = item.get("mac").and_then(mac).unwrap_or(CHAIN_START);
            segment.map(|segment| (segment, mac))
        };
        let entries = self.query(LIST, "0", "9~", order, limit, entry).await?;
        entries
            .into_iter()
            .collect::<Option<_>>()
            .ok_or(AuditFault::Damaged("an entry in its list of segments was edited"))
    }

    async fn query<T>(
        &self,
        partition: &str,
        from: &str,
        to: &str,
        order: Order,
        limit: usize,
        read: impl Fn(&Attributes) -> T,
    ) -> Result<Vec<T>, AuditFault> {
        let mut found = Vec::new();
        let mut next: Option<Attributes> = None;
        while found.len() < limit {
            let wanted = (limit - found.len()).min(PAGE);
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(partition))
                .expression_attribute_values(":from", text(from))
                .expression_attribute_values(":to", text(to))
                .scan_index_forward(order == Order::Oldest)
                .limit(i32::try_from(wanted).expect("a page is short"))
                .set_exclusive_start_key(next.take())
                .send()
                .await
                .map_err(|error| fault("Query", &error))?;
            found.extend(page.items.unwrap_or_default().iter().map(&read));
            next = page.last_evaluated_key;
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Puts a row where none is.
    pub(super) fn put_row(&self, writer: WriterId, row: &AuditRow) -> TransactWriteItem {
        let item = Attributes::from([
            ("pk".to_owned(), text(writer.partition())),
            ("sk".to_owned(), text(place(row.sequence))),
            ("body".to_owned(), text(&row.body)),
            ("mac".to_owned(), blob(&row.mac)),
        ]);
        self.put(item, |put| put.condition_expression("attribute_not_exists(pk)"))
    }

    /// Moves the tip from where it was seen; a segment that begins has none.
    pub(super) fn put_tip(&self, writer: WriterId, seen: Option<Tip>, tip: Tip) -> TransactWriteItem {
        let item = Attributes::from([
            ("pk".to_owned(), text(writer.partition())),
            ("sk".to_owned(), text(TIP)),
            ("sequence".to_owned(), AttributeValue::N(tip.sequence.to_string())),
            ("mac".to_owned(), blob(&tip.mac)),
        ]);
        self.put(item, |put| match seen {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => put
                .condition_expression("#sequence = :sequence AND #mac = :mac")
                .expression_attribute_names("#sequence", "sequence")
                .expression_attribute_names("#mac", "mac")
                .expression_attribute_values(":sequence", AttributeValue::N(seen.sequence.to_string()))
                .expression_attribute_values(":mac", blob(&seen.mac)),
        })
    }

    /// Enters a segment in the list.
    pub(super) fn put_segment(&self, segment: &Segment, seals: &Seals) -> TransactWriteItem {
        let item = Attributes::from([
            ("pk".to_owned(), text(LIST)),
            ("sk".to_owned(), text(segment.place())),
            ("mac".to_owned(), blob(&segment.mac(seals))),
        ]);
        self.put(item, |put| put.condition_expression("attribute_not_exists(pk)"))
    }

    fn put(
        &self,
        item: Attributes,
        condition: impl FnOnce(
            aws_sdk_dynamodb::types::builders::PutBuilder,
        ) -> aws_sdk_dynamodb::types::builders::PutBuilder,
    ) -> TransactWriteItem {
        let put = condition(Put::builder().table_name(&self.name).set_item(Some(item)));
        let put = put.build().expect("a put has a table and an item");
        TransactWriteItem::builder().put(put).build()
    }
}

/// Which end of a partition comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Oldest,
    Newest,
}

fn row(item: &Attributes) -> AuditRow {
    // A field that can't be read was edited: in its stead stands one that no MAC fits.
    let sequence = item.get("sk").and_then(|place| place.as_s().ok()?.parse().ok());
    let body = item.get("body").and_then(|body| body.as_s().ok()).cloned();
    AuditRow {
        sequence: sequence.unwrap_or(0),
        body: body.unwrap_or_default(),
        mac: item.get("mac").and_then(mac).unwrap_or(CHAIN_START),
    }
}

fn place(sequence: u64) -> String {
    format!("{sequence:020}")
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn blob(mac: &[u8; 32]) -> AttributeValue {
    AttributeValue::B(Blob::new(*mac))
}

fn number(value: &AttributeValue) -> Option<u64> {
    value.as_n().ok()?.parse().ok()
}

fn mac(value: &AttributeValue) -> Option<[u8; 32]> {
    value.as_b().ok()?.as_ref().try_into().ok()
}
