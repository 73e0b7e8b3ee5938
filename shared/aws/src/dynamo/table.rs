//! The calls on the one table, their answers sorted: here it is, not now, never.
//!
//! What may pass by itself, such as two transactions that met at an item, is tried again after
//! pauses with full jitter, for a bounded time. A cut connection and the SDK's own tries come
//! before that: they are the client's.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Get, KeysAndAttributes, Put, TransactGetItem,
    TransactWriteItem,
};
use tokio::time::Instant;
use undertone_core::{StoreError, random_bytes};

use super::head::edited;
use super::item::{Edited, Item};
use super::place::{AFTER_ROWS, Place};
use crate::fault::{Fault, fault};

/// How many items one transaction has at most.
pub(super) const LARGEST_TRANSACTION: usize = 100;
/// How many items [`Table::batch_get`] asks for at a time.
const LARGEST_BATCH: usize = 100;

/// The client, and which table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
}

/// Why a transaction did nothing.
#[derive(Debug)]
pub(super) enum Undone {
    /// It met another, or what it expected isn't there.
    Met,
    /// It was too large, in a way that can't be known before.
    TooLarge,
    /// Nobody knows whether it was done: a connection broke, or no answer came in time.
    Unknown(StoreError),
    /// It can't be done.
    Failed(StoreError),
}

/// A change of one item.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Stores an item whole, in place of what is there.
    Put(Item, Expect),
    /// Removes an item, of about this size.
    Delete(Place, usize),
}

/// What must be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Anything or nothing.
    Anything,
    /// Nothing.
    Nothing,
    /// An item whose attribute of this name is this number.
    Number(&'static str, u64),
}

impl Action {
    pub(super) fn size(&self) -> usize {
        match self {
            Action::Put(item, _) => item.size(),
            Action::Delete(_, size) => *size,
        }
    }

    /// Whether it removes a version that isn't current.
    pub(super) fn removes_a_version(&self) -> bool {
        match self {
            Action::Put(..) => false,
            Action::Delete(place, _) => place.sk.starts_with(AFTER_ROWS),
        }
    }
}

/// Some of the items of one partition, in the order of their keys or from a key back.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) partition: String,
    pub(super) keys: Keys,
    /// At most so many.
    pub(super) limit: usize,
}

/// Which keys of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    All,
    Beginning(String),
    After(String),
    /// From there back: the last comes first.
    Before(String),
}

impl Table {
    /// One item.
    pub(super) async fn get(&self, place: &Place) -> Result<Option<Item>, StoreError> {
        let attributes = self.attributes(place).await.map_err(|fault| self.error("GetItem", fault))?;
        attributes.map(|attributes| self.item(attributes)).transpose()
    }

    /// The attributes of one item.
    pub(super) async fn attributes(
        &self,
        place: &Place,
    ) -> Result<Option<HashMap<String, AttributeValue>>, Fault> {
        let call = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = call.set_key(Some(key(place))).send().await;
        answer.map(|answer| answer.item).map_err(|error| fault("GetItem", &error))
    }

    /// Up to 100 items as they were at one moment.
    pub(super) async fn get_together(&self, places: &[Place]) -> Result<Vec<Option<Item>>, Undone> {
        let gets = places.iter().map(|place| {
            let get = Get::builder().table_name(&self.name).set_key(Some(key(place))).build();
            TransactGetItem::builder().get(get.expect("it has a table and a key")).build()
        });
        let answer = self.client.transact_get_items().set_transact_items(Some(gets.collect())).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(TransactGetItemsError::TransactionCanceledException(cancelled)) =
                    error.as_service_error()
                {
                    return Err(sorted("TransactGetItems", cancelled.cancellation_reasons()));
                }
                return Err(match fault("TransactGetItems", &error) {
                    Fault::Code(code) if code == "ValidationException" => Undone::TooLarge,
                    fault => Undone::Failed(self.error("TransactGetItems", fault)),
                });
            }
        };
        let items = answer.responses.unwrap_or_default();
        if items.len() != places.len() {
            let problem = "TransactGetItems was answered with another number of items";
            return Err(Undone::Failed(StoreError::Unavailable(problem.to_owned())));
        }
        let item = |attributes| self.item(attributes).map_err(Undone::Failed);
        // An empty map is what some answer for an item that isn't there.
        let there = |attributes: &HashMap<_, _>| !attributes.is_empty();
        items.into_iter().map(|answer| answer.item.filter(there).map(item).transpose()).collect()
    }

    /// Any number of items, each as it is at a moment of its own, those left out that aren't there.
    pub(super) async fn batch_get(&self, places: &[Place]) -> Result<HashMap<Place, Item>, StoreError> {
        let mut found = HashMap::new();
        let mut patience = Patience::for_reading();
        for part in places.chunks(LARGEST_BATCH) {
            let mut asked: Vec<_> = part.iter().map(key).collect();
            while !asked.is_empty() {
                let keys = KeysAndAttributes::builder().set_keys(Some(asked)).consistent_read(true).build();
                let keys = keys.expect("it has keys");
                let answer = self.client.batch_get_item().request_items(&self.name, keys).send().await;
                let answer =
                    answer.map_err(|error| self.error("BatchGetItem", fault("BatchGetItem", &error)))?;
                for item in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                    let item = self.item(item)?;
                    found.insert(item.place.clone(), item);
                }
                let left = answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values);
                asked = left.flat_map(|left| left.keys).collect();
                if !asked.is_empty() {
                    patience.pause("the table is at its limit:").await?;
                }
            }
        }
        Ok(found)
    }

    /// The items of a range, page after page until its end or limit.
    pub(super) async fn query(&self, range: &Range) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let left = range.limit - items.len();
            if left == 0 {
                return Ok(items);
            }
            let answer = range.call(self, left).set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| self.error("Query", fault("Query", &error)))?;
            for item in answer.items.unwrap_or_default() {
                items.push(self.item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// All of these changes or none. The same token twice does them once.
    pub(super) async fn write_together(&self, actions: &[Action], token: &str) -> Result<(), Undone> {
        let items = actions.iter().map(|action| self.transact_item(action)).collect();
        let call = self.client.transact_write_items().client_request_token(token);
        let Err(error) = call.set_transact_items(Some(items)).send().await else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                return Err(sorted("TransactWriteItems", cancelled.cancellation_reasons()));
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                let problem = "TransactWriteItems: the same transaction is under way";
                return Err(Undone::Unknown(StoreError::Unavailable(problem.to_owned())));
            }
            _ => {}
        }
        let fault = fault("TransactWriteItems", &error);
        Err(match &fault {
            Fault::Unavailable(_) | Fault::Garbled(_) => {
                Undone::Unknown(self.error("TransactWriteItems", fault))
            }
            Fault::Code(code) if code == "ValidationException" => Undone::TooLarge,
            Fault::Denied(_) | Fault::Code(_) => Undone::Failed(self.error("TransactWriteItems", fault)),
        })
    }

    pub(super) fn error(&self, operation: &str, fault: Fault) -> StoreError {
        match fault {
            Fault::Unavailable(problem) | Fault::Garbled(problem) => StoreError::Unavailable(problem),
            Fault::Denied(problem) => StoreError::Denied(problem),
            Fault::Code(code) if code == "ResourceNotFoundException" => StoreError::Denied(format!(
                "there is no table `{}` in this region and account: correct its name, or make it with \
                 `undertone init --store aws`",
                self.name
            )),
            Fault::Code(code) => StoreError::Denied(format!("{operation}: {code}")),
        }
    }

    fn item(&self, attributes: HashMap<String, AttributeValue>) -> Result<Item, StoreError> {
        Item::read(attributes).map_err(|Edited| edited(format!("an item of the table `{}`", self.name)))
    }

    fn transact_item(&self, action: &Action) -> TransactWriteItem {
        let builder = TransactWriteItem::builder();
        match action {
            Action::Put(item, expect) => {
                let put = Put::builder().table_name(&self.name).set_item(Some(item.attributes()));
                let put = match expect {
                    Expect::Anything => put,
                    Expect::Nothing => put.condition_expression("attribute_not_exists(pk)"),
                    Expect::Number(name, number) => put
                        .condition_expression("#name = :number")
                        .expression_attribute_names("#name", *name)
                        .expression_attribute_values(":number", AttributeValue::N(number.to_string())),
                };
                builder.put(put.build().expect("it has a table and an item")).build()
            }
            Action::Delete(place, _) => {
                let delete = Delete::builder().table_name(&self.name).set_key(Some(key(place)));
                builder.delete(delete.build().expect("it has a table and a key")).build()
            }
        }
    }
}

impl Range {
    /// Without a limit.
    pub(super) fn of(partition: String, keys: Keys) -> Self {
        Self { partition, keys, limit: usize::MAX }
    }

    fn call(&self, table: &Table, limit: usize) -> QueryFluentBuilder {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let call = table.client.query().table_name(&table.name).consistent_read(true);
        // Without a limit a page is 1 MB.
        let call = call.set_limit(i32::try_from(limit).ok());
        let call = call.expression_attribute_values(":pk", text(&self.partition));
        let (condition, key) = match &self.keys {
            Keys::All => return call.key_condition_expression("pk = :pk"),
            Keys::Beginning(prefix) => ("pk = :pk AND begins_with(sk, :sk)", prefix),
            Keys::After(key) => ("pk = :pk AND sk > :sk", key),
            Keys::Before(key) => ("pk = :pk AND sk < :sk", key),
        };
        let call = call.scan_index_forward(!matches!(self.keys, Keys::Before(_)));
        call.key_condition_expression(condition).expression_attribute_values(":sk", text(key))
    }
}

/// How long something is tried again.
pub(super) struct Patience {
    until: Instant,
    longest: Duration,
}

impl Patience {
    pub(super) fn for_reading() -> Self {
        Self::of(Duration::from_secs(5))
    }

    pub(super) fn for_writing() -> Self {
        Self::of(Duration::from_secs(20))
    }

    /// A table takes a while to be made.
    pub(super) fn for_tables() -> Self {
        Self::of(Duration::from_secs(120))
    }

    fn of(time: Duration) -> Self {
        Self { until: Instant::now() + time, longest: Duration::from_millis(10) }
    }

    /// Waits a moment, each time longer on average.
    ///
    /// # Errors
    /// When the time is over; `problem` says what was in the way.
    pub(super) async fn pause(&mut self, problem: &str) -> Result<(), StoreError> {
        if self.until <= Instant::now() {
            return Err(StoreError::Unavailable(format!("{problem} try again")));
        }
        tokio::time::sleep(self.longest.mul_f64(fastrand::f64())).await;
        self.longest = (self.longest * 2).min(Duration::from_millis(500));
        Ok(())
    }
}

fn key(place: &Place) -> HashMap<String, AttributeValue> {
    let text = |text: &String| AttributeValue::S(text.clone());
    HashMap::from([("pk".to_owned(), text(&place.pk)), ("sk".to_owned(), text(&place.sk))])
}

/// Why a transaction was cancelled: its reasons are those of its items, most of them none.
fn sorted(operation: &str, reasons: &[CancellationReason]) -> Undone {
    let passes = |code: &str| {
        matches!(
            code,
            "ConditionalCheckFailed"
                | "TransactionConflict"
                | "ProvisionedThroughputExceeded"
                | "ThrottlingError"
        )
    };
    let mut codes = reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None");
    match codes.find(|code| !passes(code)) {
        None => Undone::Met,
        Some("ValidationError") => Undone::TooLarge,
        Some("AccessDenied") => Undone::Failed(StoreError::Denied(format!("{operation}: AccessDenied"))),
        Some(_) => {
            Undone::Failed(StoreError::Unavailable(format!("{operation}: cancelled for another reason")))
        }
    }
}

/// Names one transaction.
pub(super) fn token() -> String {
    random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}
