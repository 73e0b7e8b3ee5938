//! The port `Idempotency` over DynamoDB: one item per event, one call per claim.
//!
//! An item lies at `claim#<agent>` under the SHA-256 of the event's id, which may be any text. Who
//! may claim is decided by the time that the caller gives. The table's own expiry only tidies up,
//! an hour later than need be, so that no clock that is wrong ends a claim. A claim that was given up
//! stays until then as one that lapsed.

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use undertone_core::Idempotency;
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey};

use crate::fault::{Fault, fault};

/// What a replay is answered with when the answer was longer than an item can hold: the event was
/// handled, and isn't handled again.
pub const ANSWER_TOO_LONG: &str = "{\"handled\":true,\"answer\":\"it was too long to be kept\"}";

/// An item has at most 400 KB, its keys and other attributes included.
const LONGEST_ANSWER: usize = 350_000;
/// How much later than need be the table may delete an item, in seconds.
const MARGIN: i64 = 3_600;

type Attributes = std::collections::HashMap<String, AttributeValue>;

/// Claims in a table of DynamoDB whose keys are the texts `pk` and `sk` and whose items expire by
/// the attribute `expires`.
pub struct DynamoIdempotency {
    client: Client,
    table: String,
}

/// Why a claim wasn't read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ClaimFault {
    #[error("{0}")]
    Call(String),
    #[error("the claim that is stored can't be read")]
    Damaged,
}

impl From<Fault> for ClaimFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(problem)
            | Fault::Denied(problem)
            | Fault::Garbled(problem)
            | Fault::Code(problem) => ClaimFault::Call(problem),
        }
    }
}

impl From<ClaimFault> for IdempotencyError {
    fn from(fault: ClaimFault) -> Self {
        IdempotencyError(fault.to_string())
    }
}

impl DynamoIdempotency {
    /// Keeps claims in this table.
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.to_owned() }
    }

    /// The one call that all of this takes, and the one right.
    fn update(&self, key: &IdempotencyKey) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.table);
        update.key("pk", partition(key)).key("sk", place(key))
    }
}

#[async_trait]
impl Idempotency for DynamoIdempotency {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, IdempotencyError> {
        let update = self
            .update(key)
            .update_expression(
                "SET #digest = :digest, #claim = :claim, #until = :until, #expires = :expires REMOVE #answer",
            )
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#digest", "digest")
            .expression_attribute_names("#claim", "claim")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#expires", "expires")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_values(":digest", bytes(&key.digest))
            .expression_attribute_values(":claim", bytes(&claim.0))
            .expression_attribute_values(":until", nanoseconds(until))
            .expression_attribute_values(":expires", seconds(until))
            .expression_attribute_values(":now", nanoseconds(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match update {
            Ok(_) => Ok(Claimed::Yours),
            Err(error) => match kept(error)? {
                // The SDK's first try got no answer, and its next one met it.
                Kept { holder, .. } if holder == claim.0 => Ok(Claimed::Yours),
                Kept { digest, .. } if digest != key.digest => Ok(Claimed::OtherEvent),
                Kept { answer: Some(answer), .. } => Ok(Claimed::Done(answer)),
                Kept { until, .. } => Ok(Claimed::Taken { until }),
            },
        }
    }

    async fn finish(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        answer: &str,
        keep_until: Timestamp,
    ) -> Result<(), IdempotencyError> {
        let answer = if LONGEST_ANSWER < answer.len() { ANSWER_TOO_LONG } else { answer };
        let update = self
            .update(key)
            .update_expression("SET #answer = :answer, #until = :until, #expires = :expires")
            .condition_expression("#claim = :claim AND attribute_not_exists(#answer)")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#expires", "expires")
            .expression_attribute_names("#claim", "claim")
            .expression_attribute_values(":answer", AttributeValue::S(answer.to_owned()))
            .expression_attribute_values(":until", nanoseconds(keep_until))
            .expression_attribute_values(":expires", seconds(keep_until))
            .expression_attribute_values(":claim", bytes(&claim.0))
            .send()
            .await;
        Ok(unless_lost(update)?)
    }

    async fn give_up(&self, key: &IdempotencyKey, claim: ClaimId) -> Result<(), IdempotencyError> {
        let update = self
            .update(key)
            .update_expression("SET #until = :past REMOVE #claim")
            .condition_expression("#claim = :claim AND attribute_not_exists(#answer)")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#claim", "claim")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_values(":past", nanoseconds(Timestamp::UNIX_EPOCH))
            .expression_attribute_values(":claim", bytes(&claim.0))
            .send()
            .await;
        Ok(unless_lost(update)?)
    }
}

/// What stands where a claim was to be put.
struct Kept {
    digest: Vec<u8>,
    holder: Vec<u8>,
    until: Timestamp,
    answer: Option<String>,
}

fn kept(error: SdkError<UpdateItemError>) -> Result<Kept, ClaimFault> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            failed.item().and_then(read).ok_or(ClaimFault::Damaged)
        }
        Some(_) | None => Err(fault("UpdateItem", &error).into()),
    }
}

fn read(item: &Attributes) -> Option<Kept> {
    let blob = |name| item.get(name)?.as_b().ok().map(|blob: &Blob| blob.as_ref().to_vec());
    let until: i128 = item.get("until")?.as_n().ok()?.parse().ok()?;
    let answer = match item.get("answer") {
        None => None,
        Some(answer) => Some(answer.as_s().ok()?.clone()),
    };
    Some(Kept {
        digest: blob("digest")?,
        holder: blob("claim")?,
        until: Timestamp::from_nanosecond(until).ok()?,
        answer,
    })
}

/// A claim that lapsed is its next holder's.
fn unless_lost(answer: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<(), ClaimFault> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) => match fault("UpdateItem", &error) {
            Fault::Code(code) if code == "ConditionalCheckFailedException" => Ok(()),
            fault => Err(fault.into()),
        },
    }
}

fn partition(key: &IdempotencyKey) -> AttributeValue {
    AttributeValue::S(format!("claim#{}", key.agent))
}

fn place(key: &IdempotencyKey) -> AttributeValue {
    let digest = digest(&SHA256, key.event.as_bytes());
    AttributeValue::S(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn nanoseconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_nanosecond().to_string())
}

fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N((time.as_second() + MARGIN).to_string())
}
