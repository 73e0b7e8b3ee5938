//! The shapes that others read or compare: a report, and an event as one text.

use serde_json::{Value, json};
use undertone_core::AgentId;
use undertone_core::idempotency::IdempotencyKey;

use crate::dispatch::{FailureKind, Report};
use crate::event::EventData;

impl Report {
    /// `{agent, event, outcomes: [{handler, ok, reply | kind, message}]}`.
    pub fn to_json(&self, agent: &AgentId) -> Value {
        let outcomes = self.outcomes.iter().map(|outcome| match &outcome.result {
            Ok(reply) => json!({ "handler": outcome.handler, "ok": true, "reply": reply }),
            Err(failure) => json!({
                "handler": outcome.handler,
                "ok": false,
                "kind": failure.kind.name(),
                "message": failure.message,
            }),
        });
        json!({ "agent": agent.as_str(), "event": self.event, "outcomes": outcomes.collect::<Value>() })
    }
}

impl FailureKind {
    /// As it is called in reports and log lines.
    pub fn name(&self) -> &'static str {
        match self {
            FailureKind::Error => "error",
            FailureKind::Panic => "panic",
            FailureKind::Deadline => "deadline",
            FailureKind::SecretInOutput { .. } => "secret_in_output",
        }
    }
}

impl EventData {
    /// What names it when it is delivered again. The order of its fields doesn't matter.
    pub fn idempotency_key(&self, agent: &AgentId) -> IdempotencyKey {
        // `Value` writes the fields of objects in the order of their names.
        // Ids are their senders': those of one Space say nothing about those of another.
        let place = self.chain().map(|chain| chain.nearest().to_string()).unwrap_or_default();
        let id = format!("{place}: {}", self.id());
        IdempotencyKey::new(agent.clone(), &id, self.json().to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_the_same_has_the_same_key_however_it_is_written() {
        let key = |text: &str| {
            let event = EventData::parse(text.as_bytes()).expect("an event");
            event.idempotency_key(&"tester".parse().expect("a slug"))
        };
        let first = key(r#"{"id": "1", "topic": "a", "payload": {"x": 1, "y": [2, 3]}}"#);
        let again = r#"{"payload":{"y":[2,3],"x":1},"topic":"a","id":"1"}"#;
        assert_eq!(key(again), first);
        for other in [again.replace('3', "4"), again.replace("\"1\"", "\"2\"")] {
            assert_ne!(key(&other), first, "{other}");
        }
    }
}
