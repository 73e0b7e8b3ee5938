//! What Lambda brings, told apart by its shape.
//!
//! Parsed by hand, record by record: crates with types for Lambda's events parse a batch as a
//! whole, so that one odd record fails its nine good neighbours.

use serde_json::{Map, Value};
use undertone_runtime::{EventData, EventError, LARGEST_EVENT};

use crate::error::LambdaError;
use crate::http;

/// What was brought.
pub(crate) enum Trigger {
    /// One event.
    One(Delivery),
    /// A request that waits for an answer of its own shape.
    Request(Delivery),
    /// Messages of a queue, each with the fields that SQS puts around it.
    Batch(Vec<Value>),
    /// Nothing that is served.
    Refused(LambdaError),
}

/// One event, or why it is none.
pub(crate) struct Delivery {
    /// Which way it came, as log lines call it.
    pub(crate) way: &'static str,
    /// The id of the message that brought it.
    pub(crate) message_id: Option<String>,
    /// The event.
    pub(crate) event: Result<EventData, LambdaError>,
}

/// Tells what a payload is. `request_id` is the same when Lambda itself tries an invocation again.
pub(crate) fn trigger(payload: Value, request_id: &str) -> Trigger {
    let one = |way, event| Trigger::One(Delivery { way, message_id: None, event });
    let fields = match payload {
        Value::Object(fields) => fields,
        other => return one("invoke", EventData::from_json(other).map_err(LambdaError::Event)),
    };
    if let Some(Value::Array(records)) = fields.get("Records") {
        let from_sqs = |record: &Value| record["eventSource"] == "aws:sqs";
        return match records.iter().all(from_sqs) {
            true => Trigger::Batch(records.clone()),
            false => Trigger::Refused(LambdaError::OtherRecords),
        };
    }
    if http::is_request(&fields) {
        let event = http::event(&fields, request_id);
        return Trigger::Request(Delivery { way: "http", message_id: None, event });
    }
    if is_from_eventbridge(&fields) {
        return one("eventbridge", from_eventbridge(fields, request_id));
    }
    one("invoke", native(Value::Object(fields), request_id))
}

/// The event in a message of a queue: as it is, or as a rule of EventBridge sends it there.
pub(crate) fn from_message(body: &str, message_id: &str) -> Result<EventData, LambdaError> {
    match EventData::parse_json(body.as_bytes())? {
        Value::Object(fields) if is_from_eventbridge(&fields) => from_eventbridge(fields, message_id),
        Value::Object(fields) if fields.contains_key("TopicArn") && fields.contains_key("Message") => {
            Err(LambdaError::WrappedBySns)
        }
        raw => Ok(EventData::with_fallback_id(raw, message_id)?),
    }
}

fn is_from_eventbridge(fields: &Map<String, Value>) -> bool {
    ["detail-type", "source", "detail"].iter().all(|field| fields.contains_key(*field))
}

/// A schedule's tick, too, is an event of ours only if the schedule's input makes it one: without
/// that it says neither what it is about nor whose secrets it may use.
fn from_eventbridge(mut fields: Map<String, Value>, fallback_id: &str) -> Result<EventData, LambdaError> {
    let detail = fields.remove("detail").unwrap_or_default();
    if detail.get("topic").is_none() {
        return Err(LambdaError::NoTopicInDetail);
    }
    let id = fields.get("id").and_then(Value::as_str).unwrap_or(fallback_id);
    native(detail, id)
}

fn native(raw: Value, fallback_id: &str) -> Result<EventData, LambdaError> {
    let bytes = raw.to_string().len();
    match bytes <= LARGEST_EVENT {
        true => Ok(EventData::with_fallback_id(raw, fallback_id)?),
        false => Err(LambdaError::Event(EventError::TooLarge(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_told_by_its_shape_and_gets_the_id_it_came_under() {
        let event = json!({"topic": "a"});
        let named = json!({"topic": "a", "id": "own"});
        let post = |body: &Value| {
            json!({"requestContext": {"http": {"method": "POST"}, "authorizer": {"iam": {}, "jwt": 1}}, "body": body.to_string(),
                   "headers": {"IDEMPOTENCY-key": "key"}})
        };
        let bus = |detail: &Value| json!({"detail-type": "x", "source": "y", "id": "bus", "detail": detail});
        let tick = json!({"detail-type": "Scheduled Event", "source": "aws.events", "id": "t", "detail": {}});
        for (payload, want) in [
            (event.clone(), "invoke request"),
            (named.clone(), "invoke own"),
            (json!({"topic": "a", "detail": 1, "source": "x"}), "invoke request"),
            (bus(&event), "eventbridge bus"),
            (bus(&named), "eventbridge own"),
            (tick, "eventbridge NoTopicInDetail"),
            (bus(&json!("text")), "eventbridge NoTopicInDetail"),
            (post(&event), "http key"),
            (post(&named), "http own"),
            (
                json!({"httpMethod": "POST", "requestContext": {"authorizer": {"principalId": "a"}}, "body": "{\"topic\": \"a\"}"}),
                "http request",
            ),
            (json!({"Records": [{"eventSource": "aws:sqs"}, {"eventSource": "aws:sqs"}]}), "batch of 2"),
            (json!({"Records": []}), "batch of 0"),
            (json!({"Records": [{"eventSource": "aws:s3"}]}), "refused OtherRecords"),
            (
                json!({"Records": [{"eventSource": "aws:sqs"}, {"EventSource": "aws:sns"}]}),
                "refused OtherRecords",
            ),
            (json!([]), "invoke Event"),
            (json!({}), "invoke Event"),
            (json!({"topic": "a", "payload": "x".repeat(LARGEST_EVENT)}), "invoke Event"),
        ] {
            let shown: String = payload.to_string().chars().take(100).collect();
            assert_eq!(told(trigger(payload, "request")), want, "{shown}");
        }
    }

    #[test]
    fn a_message_may_come_through_a_bus_but_not_wrapped_by_sns() {
        let event = json!({"topic": "a"});
        for (body, want) in [
            (event.to_string(), Ok("message")),
            (json!({"topic": "a", "id": "own"}).to_string(), Ok("own")),
            (json!({"detail-type": "", "source": "", "id": "bus", "detail": event}).to_string(), Ok("bus")),
            (json!({"detail-type": "", "source": "", "detail": event}).to_string(), Ok("message")),
            (json!({"TopicArn": "", "Message": event.to_string()}).to_string(), Err("WrappedBySns")),
            ("{".to_owned(), Err("Event")),
            (String::new(), Err("Event")),
        ] {
            let found = from_message(&body, "message");
            let found = found.as_ref().map(EventData::id).map_err(variant);
            assert_eq!(found, want.map_err(str::to_owned), "{body}");
        }
    }

    fn told(trigger: Trigger) -> String {
        match trigger {
            Trigger::One(one) | Trigger::Request(one) => match &one.event {
                Ok(event) => format!("{} {}", one.way, event.id()),
                Err(error) => format!("{} {}", one.way, variant(error)),
            },
            Trigger::Batch(records) => format!("batch of {}", records.len()),
            Trigger::Refused(error) => format!("refused {}", variant(&error)),
        }
    }

    fn variant(error: &LambdaError) -> String {
        let name = match error {
            LambdaError::Event(_) => "Event",
            LambdaError::NoTopicInDetail => "NoTopicInDetail",
            LambdaError::WrappedBySns => "WrappedBySns",
            LambdaError::OtherRecords => "OtherRecords",
            other => other.kind(),
        };
        name.to_owned()
    }
}
