//! The account of one event: a log line that is also its metrics. It shows no payload and no reply.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use undertone_runtime::EventData;

use crate::error::LambdaError;
use crate::function::Invocation;
use crate::lines::time;
use crate::once::Handled;
use crate::wire;

/// See the module.
pub(crate) struct Account<'a> {
    pub(crate) at: Timestamp,
    pub(crate) agent: &'a str,
    pub(crate) invocation: &'a Invocation,
    pub(crate) way: &'static str,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) event: Option<&'a EventData>,
    pub(crate) result: &'a Result<Handled, LambdaError>,
    pub(crate) took: Duration,
    /// Whether it is the first of this process.
    pub(crate) cold_start: bool,
    /// What else happened since the last account, and how often.
    pub(crate) counts: Vec<(&'static str, u64)>,
}

impl Account<'_> {
    pub(crate) fn to_json(&self) -> Value {
        let mut line = Map::new();
        let mut set = |name: &str, value: Value| line.insert(name.to_owned(), value);
        let (level, message) = match self.result {
            Ok(Handled { replayed: true, .. }) => ("INFO", "event answered as before"),
            Ok(_) => ("INFO", "event handled"),
            Err(error) if error.is_retryable() => ("WARN", "event to be delivered again"),
            Err(_) => ("ERROR", "event failed"),
        };
        set("timestamp", json!(time(self.at)));
        set("level", json!(level));
        set("message", json!(message));
        set("requestId", json!(self.invocation.request_id));
        if let Some(trace) = self.invocation.trace_id() {
            set("traceId", json!(trace));
        }
        set("agent", json!(self.agent));
        set("way", json!(self.way));
        if let Some(id) = self.message_id {
            set("messageId", json!(id));
        }
        if let Some(event) = self.event {
            set("event", json!(event.id()));
            set("topic", json!(event.topic()));
            if let Some(chain) = event.chain() {
                set("environment", json!(chain.environment.as_str()));
                set("space", json!(chain.space.as_ref().map(|space| space.as_str())));
            }
        }
        match self.result {
            Ok(Handled { report, .. }) | Err(LambdaError::Handlers { report }) => {
                set("outcomes", wire::outcomes(report));
            }
            Err(error) => {
                set("error", json!(wire::clipped(&error.to_string())));
                set("errorType", json!(error.kind()));
            }
        }
        let ms = (self.took.as_secs_f64() * 1e4).round() / 10.0;
        let replayed = matches!(self.result, Ok(Handled { replayed: true, .. }));
        set("coldStart", json!(self.cold_start));
        set("replayed", json!(replayed));
        let one_if = |is: bool| f64::from(u8::from(is));
        let mut metrics = BTreeMap::from([
            ("Events", 1.0),
            ("Failures", one_if(self.result.is_err())),
            ("Replays", one_if(replayed)),
            ("Duration", ms),
            ("ColdStart", one_if(self.cold_start)),
        ]);
        // A count that is too large for a float to be exact is none that anybody reads.
        metrics.extend(self.counts.iter().map(|(name, count)| (*name, *count as f64)));
        wire::add_metrics(&mut line, self.at.as_millisecond(), self.agent, metrics);
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Option<&EventData>, result: &Result<Handled, LambdaError>, counts: u64) -> Value {
        let invocation = Invocation {
            request_id: "req".to_owned(),
            deadline: Timestamp::MAX,
            trace: Some(
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".to_owned(),
            ),
        };
        let account = Account {
            at: "2026-01-31T12:00:00.1234Z".parse().expect("a time"),
            agent: "tester",
            invocation: &invocation,
            way: "sqs",
            message_id: Some("m"),
            event,
            result,
            took: Duration::from_micros(12_340),
            cold_start: true,
            counts: vec![("KmsErrors", counts)].into_iter().filter(|(_, count)| 0 < *count).collect(),
        };
        account.to_json()
    }

    #[test]
    fn a_line_tells_what_became_of_the_event_and_nothing_of_what_was_in_it() {
        let context = json!({"environmentId": "dev", "spaceId": "red"});
        let event = json!({"id": "e", "topic": "a:b", "context": context, "payload": "private"});
        let event = EventData::from_json(event).expect("an event");
        let report = json!({"event": "e", "outcomes": [{"handler": 1, "ok": true, "reply": "private"}]});
        assert_eq!(
            line(Some(&event), &Ok(Handled { report, replayed: false }), 3),
            json!({
                "timestamp": "2026-01-31T12:00:00.123Z", "level": "INFO", "message": "event handled",
                "requestId": "req", "traceId": "1-5759e988-bd862e3fe1be46a994272793", "agent": "tester",
                "way": "sqs", "messageId": "m", "event": "e", "topic": "a:b", "environment": "dev",
                "space": "red", "outcomes": [{"handler": 1, "ok": true}], "coldStart": true, "replayed": false,
                "_aws": {"Timestamp": 1_769_860_800_123_i64, "CloudWatchMetrics": [{
                    "Namespace": "Undertone", "Dimensions": [["Agent"]], "Metrics": [
                        {"Name": "ColdStart", "Unit": "Count"}, {"Name": "Duration", "Unit": "Milliseconds"},
                        {"Name": "Events", "Unit": "Count"}, {"Name": "Failures", "Unit": "Count"},
                        {"Name": "KmsErrors", "Unit": "Count"}, {"Name": "Replays", "Unit": "Count"}]}]},
                "Agent": "tester", "Events": 1.0, "Failures": 0.0, "Replays": 0.0, "Duration": 12.3,
                "ColdStart": 1.0, "KmsErrors": 3.0,
            })
        );
    }

    #[test]
    fn levels_tell_what_needs_somebody_from_what_comes_again() {
        for (result, level, failures, replays) in [
            (Ok(Handled { report: json!({}), replayed: true }), "INFO", 0.0, 1.0),
            (Err(LambdaError::Stopping), "WARN", 1.0, 0.0),
            (Err(LambdaError::Handlers { report: json!({}) }), "ERROR", 1.0, 0.0),
            (Err(LambdaError::NoTopicInDetail), "ERROR", 1.0, 0.0),
        ] {
            let line = line(None, &result, 0);
            assert_eq!(line["level"], level);
            assert_eq!((&line["Failures"], &line["Replays"]), (&json!(failures), &json!(replays)));
            assert_eq!(line.get("KmsErrors"), None);
        }
    }
}
