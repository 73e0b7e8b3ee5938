//! Events: parsed once within limits, then handed to handlers together with the attempt they are part of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use undertone_core::{Chain, EnvironmentId, SpaceId, escaped};

use crate::attempt::Attempt;
use crate::egress::Http;
use crate::matching::Topic;
use crate::secrets::Lookup;

/// The largest event, in bytes.
pub const LARGEST_EVENT: usize = 1024 * 1024;

/// Why bytes are no event. Never quotes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// More than [`LARGEST_EVENT`] bytes.
    #[error(
        "the event has {0} bytes, more than {LARGEST_EVENT}: put the large part elsewhere and send where it is"
    )]
    TooLarge(usize),
    /// Not JSON.
    #[error("the event isn't JSON: line {line}, column {column} (byte {offset})")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// From 0.
        offset: usize,
    },
    /// JSON, but not an event.
    #[error("the event is refused: `{field}` {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// An event as it came in, checked.
#[derive(Clone)]
pub struct EventData(Arc<Data>);

struct Data {
    id: String,
    topic: Topic,
    chain: Option<Chain>,
    raw: Value,
}

impl EventData {
    /// Parses an event.
    ///
    /// # Errors
    /// If it is too large, not JSON, or one of its known fields is wrong. Unknown fields are kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, EventError> {
        Self::from_json(Self::parse_json(bytes)?)
    }

    /// Parses what may be an event, or an envelope around one.
    ///
    /// # Errors
    /// If it is too large or not JSON.
    pub fn parse_json(bytes: &[u8]) -> Result<Value, EventError> {
        if LARGEST_EVENT < bytes.len() {
            return Err(EventError::TooLarge(bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(|error| not_json(bytes, error.line(), error.column()))
    }

    /// Takes an event that is JSON already.
    ///
    /// # Errors
    /// If one of its known fields is wrong.
    pub fn from_json(raw: Value) -> Result<Self, EventError> {
        Self::checked(raw, None)
    }

    /// As [`EventData::from_json`], with the id that the event came under: it is the event's own
    /// if it names none, so that the same event gets the same id when it comes again.
    ///
    /// # Errors
    /// If one of its known fields is wrong, or its id is in neither place fit to be one.
    pub fn with_fallback_id(raw: Value, id: &str) -> Result<Self, EventError> {
        Self::checked(raw, Some(id))
    }

    fn checked(raw: Value, fallback_id: Option<&str>) -> Result<Self, EventError> {
        let Value::Object(fields) = &raw else {
            return Err(refused("event", "is not a JSON object"));
        };
        let topic = text(fields.get("topic"), "topic")?.ok_or_else(|| refused("topic", "is missing"))?;
        let topic = parse_topic(topic)?;
        let id = match text(fields.get("id"), "id")?.or(fallback_id) {
            Some(id) => check_id(id)?,
            None => format!("evt_{:032x}", u128::from_be_bytes(undertone_core::random_bytes())),
        };
        text(fields.get("domain"), "domain")?;
        check_namespaces(fields.get("namespaces"))?;
        if let Some(at) = text(fields.get("createdAt"), "createdAt")? {
            at.parse::<jiff::Timestamp>().map_err(|_| refused("createdAt", "is no RFC 3339 time"))?;
        }
        let chain = chain(fields.get("context"))?;
        Ok(Self(Arc::new(Data { id, topic, chain, raw })))
    }

    /// The id: the sender's, or one made here.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What the event is about.
    pub fn topic(&self) -> &str {
        self.0.topic.as_str()
    }

    /// Where its secrets come from.
    pub fn chain(&self) -> Option<&Chain> {
        self.0.chain.as_ref()
    }

    /// The whole event.
    pub fn json(&self) -> &Value {
        &self.0.raw
    }

    /// The namespaces it carries.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        let list = self.0.raw.get("namespaces").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }
}

/// An event in a handler's hands. Cheap to clone; all clones are one attempt.
#[derive(Clone)]
pub struct Event {
    data: EventData,
    attempt: Arc<Attempt>,
}

impl Event {
    pub(crate) fn new(data: EventData, attempt: Arc<Attempt>) -> Self {
        Self { data, attempt }
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.data.id()
    }

    /// What the event is about.
    pub fn topic(&self) -> &str {
        self.data.topic()
    }

    /// The domain, or "".
    pub fn domain(&self) -> &str {
        self.field("domain").and_then(Value::as_str).unwrap_or_default()
    }

    /// The context: `environmentId`, `spaceId` and whatever else the sender put there.
    pub fn context(&self) -> &Value {
        self.field("context").unwrap_or(&Value::Null)
    }

    /// The Environment of the context.
    pub fn environment_id(&self) -> Option<&EnvironmentId> {
        self.data.chain().map(|chain| &chain.environment)
    }

    /// The Space of the context.
    pub fn space_id(&self) -> Option<&SpaceId> {
        self.data.chain()?.space.as_ref()
    }

    /// The payload.
    pub fn payload(&self) -> &Value {
        self.field("payload").unwrap_or(&Value::Null)
    }

    /// The namespaces.
    pub fn namespaces(&self) -> Vec<&str> {
        self.data.namespaces().collect()
    }

    /// Where it came from.
    pub fn origin(&self) -> &Value {
        self.field("origin").unwrap_or(&Value::Null)
    }

    /// When it was made, as the sender says.
    pub fn created_at(&self) -> Option<jiff::Timestamp> {
        self.field("createdAt")?.as_str()?.parse().ok()
    }

    /// The whole event.
    pub fn json(&self) -> &Value {
        self.data.json()
    }

    /// How long the handler may still take.
    pub fn time_left(&self) -> Duration {
        self.attempt.time_left()
    }

    /// The handle for a secret, from the event's own Environment and Space.
    pub fn secrets<'e>(&'e self, name: &'e str) -> Lookup<'e> {
        Lookup::new(&self.attempt, self.data.chain(), name)
    }

    /// An HTTP client whose sinks take handles.
    pub fn http(&self) -> Http {
        self.attempt.http()
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.data.json().get(name)
    }
}

fn not_json(bytes: &[u8], line: usize, column: usize) -> EventError {
    let before: usize =
        bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    EventError::NotJson { line, column, offset: before + column.saturating_sub(1) }
}

fn refused(field: &'static str, problem: impl Into<String>) -> EventError {
    EventError::Field { field, problem: problem.into() }
}

fn text<'v>(value: Option<&'v Value>, field: &'static str) -> Result<Option<&'v str>, EventError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refused(field, "is not a text")),
    }
}

/// Wildcards belong in subscriptions only: an event that carries them would be matched by nobody
/// in the way its sender meant.
fn parse_topic(text: &str) -> Result<Topic, EventError> {
    let topic: Topic =
        text.parse().map_err(|error: crate::matching::TopicError| refused("topic", error.to_string()))?;
    if text.contains(['*', '?', '\\']) || text.chars().any(char::is_whitespace) || text.contains("..") {
        return Err(refused(
            "topic",
            "holds a wildcard, a backslash, white space or `..`: write it as job:ready",
        ));
    }
    Ok(topic)
}

fn check_id(id: &str) -> Result<String, EventError> {
    let ok = (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    match ok {
        true => Ok(id.to_owned()),
        false => Err(refused("id", "is not 1 to 255 visible ASCII characters")),
    }
}

fn check_namespaces(value: Option<&Value>) -> Result<(), EventError> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(refused("namespaces", "is not a list of texts")),
    }
}

fn chain(context: Option<&Value>) -> Result<Option<Chain>, EventError> {
    let context = match context {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(context)) => context,
        Some(_) => return Err(refused("context", "is not a JSON object")),
    };
    let environment = text(context.get("environmentId"), "context.environmentId")?;
    let space = text(context.get("spaceId"), "context.spaceId")?;
    let bad = |field, error: undertone_core::IdError| {
        refused(field, format!("is refused: {}", escaped(&error.to_string())))
    };
    let space = space.map(str::parse).transpose().map_err(|error| bad("context.spaceId", error))?;
    match environment {
        None => Ok(None),
        Some(environment) => {
            let environment = environment.parse().map_err(|error| bad("context.environmentId", error))?;
            Ok(Some(Chain { environment, space }))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bad_events_are_refused_without_an_echo() {
        for bytes in [
            &b""[..],
            b"{",
            b"// comment\n{}",
            b"{\"topic\":\"a\",}",
            b"{'topic':'a'}",
            b"\xef\xbb\xbf{\"topic\":\"a\"}",
            b"\xff\xfe{\0",
            b"[]",
            b"\"canary-text\"",
            b"{\"topic\":\"canary-text\"",
        ] {
            let error = EventData::parse(bytes).err().expect("refused").to_string();
            assert!(!error.contains("canary"), "{error}");
        }
        let large = vec![b' '; LARGEST_EVENT * 10];
        assert_eq!(EventData::parse(&large).err(), Some(EventError::TooLarge(large.len())));
        let deep = [b"{\"topic\":\"a\",\"payload\":".as_slice(), &vec![b'['; 100_000]].concat();
        assert!(EventData::parse(&deep).is_err());
    }

    #[test]
    fn the_position_of_bad_json_is_a_byte_offset() {
        let error = EventData::parse(b"{\n  \"topic\": x}").err();
        assert_eq!(error, Some(EventError::NotJson { line: 2, column: 12, offset: 13 }));
    }

    #[test]
    fn an_event_without_an_id_takes_the_one_it_came_under() {
        for (event, fallback, want) in [
            (json!({"topic": "a", "id": "own"}), "other", Some("own")),
            (json!({"topic": "a"}), "other", Some("other")),
            (json!({"topic": "a", "id": null}), "other", Some("other")),
            (json!({"topic": "a"}), "not an id", None),
            (json!({"topic": "a", "id": "not an id"}), "other", None),
        ] {
            let found = EventData::with_fallback_id(event.clone(), fallback).ok();
            assert_eq!(found.as_ref().map(EventData::id), want, "{event}");
        }
    }

    #[test]
    fn known_fields_are_checked_and_wildcards_are_no_topics() {
        for (event, ok) in [
            (json!({"topic": "job:ready"}), true),
            (json!({"topic": "événement:créé"}), true),
            (json!({"topic": "job:ready", "payload": "{{secrets.SLACK_TOKEN}}", "more": 1}), true),
            (json!({"topic": "a", "context": {"environmentId": "dev", "spaceId": "sp_1"}}), true),
            (json!({"topic": ""}), false),
            (json!({"topic": "*"}), false),
            (json!({"topic": "**"}), false),
            (json!({"topic": "job:*"}), false),
            (json!({"topic": "../x"}), false),
            (json!({"topic": "a".repeat(512)}), false),
            (json!({"topic": "a::b"}), false),
            (json!({"topic": "a\u{200b}b"}), false),
            (json!({"topic": 7}), false),
            (json!({}), false),
            (json!({"topic": "a", "id": "x y"}), false),
            (json!({"topic": "a", "context": "dev"}), false),
            (json!({"topic": "a", "context": {"environmentId": "../prod"}}), false),
            (json!({"topic": "a", "context": {"environmentId": "dev", "spaceId": 3}}), false),
            (json!({"topic": "a", "namespaces": "space:red"}), false),
            (json!({"topic": "a", "createdAt": "yesterday"}), false),
        ] {
            assert_eq!(EventData::from_json(event.clone()).is_ok(), ok, "{event}");
        }
    }
}
