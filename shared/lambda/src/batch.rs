//! A batch of SQS: exactly the messages that weren't handled are given back.
//!
//! Messages of an ordinary queue are handled a few at a time. In a FIFO queue each group is
//! handled in order, and from its first failure on all of it is given back, so that no message
//! overtakes another.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use serde_json::Value;

use crate::error::LambdaError;
use crate::function::{Call, Function};
use crate::trigger::{Delivery, from_message};
use crate::wire;

/// How many messages, or groups, are handled at once: a whole batch, unless it was gathered over a
/// window. One that waits for another's slow handler might not be begun in time, and SQS would count it
/// as tried all the same. Handlers mostly wait for others.
const AT_ONCE: usize = 10;

/// A message, as far as it matters here.
struct Message {
    id: String,
    body: String,
}

/// Handles a batch. Nothing of it is begun unless each record can be named in the answer: an
/// empty name would give back all of it, those that were handled too.
pub(crate) async fn handle(
    function: &Function,
    records: Vec<Value>,
    call: &Call<'_>,
) -> Result<Value, LambdaError> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    let mut groups = BTreeMap::new();
    let mut lanes: Vec<Vec<Message>> = Vec::new();
    for record in &records {
        let id = record["messageId"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or(LambdaError::NoMessageId)?;
        if !seen.insert(id) {
            continue;
        }
        order.push(id);
        let body = record["body"].as_str().unwrap_or_default().to_owned();
        let message = Message { id: id.to_owned(), body };
        let lane = match group(record) {
            None => lanes.len(),
            Some(group) => *groups.entry(group).or_insert(lanes.len()),
        };
        match lanes.get_mut(lane) {
            Some(lane) => lane.push(message),
            None => lanes.push(vec![message]),
        }
    }
    let failed = futures_util::stream::iter(lanes)
        .map(|lane| in_order(function, lane, call))
        .buffer_unordered(AT_ONCE)
        .fold(BTreeSet::new(), |mut all, failed| async {
            all.extend(failed);
            all
        })
        .await;
    order.retain(|id| failed.contains(*id));
    Ok(wire::batch(&order))
}

/// Within what a message must keep its place. An ordinary queue, too, may have groups: they share
/// it fairly, and promise no order.
fn group(record: &Value) -> Option<&str> {
    let is_fifo = record["eventSourceARN"].as_str().is_some_and(|queue| queue.ends_with(".fifo"));
    is_fifo.then(|| record["attributes"]["MessageGroupId"].as_str().unwrap_or_default())
}

/// The ids of those to give back: the first failure and all after it.
async fn in_order(function: &Function, lane: Vec<Message>, call: &Call<'_>) -> Vec<String> {
    let mut lane = lane.into_iter();
    let mut failed = Vec::new();
    for message in lane.by_ref() {
        let event = from_message(&message.body, &message.id);
        let delivery = Delivery { way: "sqs", message_id: Some(message.id.clone()), event };
        if function.one(delivery, call).await.is_err() {
            failed.push(message.id);
            break;
        }
    }
    failed.extend(lane.map(|message| message.id));
    failed
}
