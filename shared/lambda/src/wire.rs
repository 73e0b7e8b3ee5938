//! The shapes that Lambda, CloudWatch and callers read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::LambdaError;

/// The largest answer that Lambda takes from a function, in bytes.
pub const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// The largest report that is kept for replays: what is kept with it must fit an item of DynamoDB.
const LARGEST_KEPT: usize = 256 * 1024;

/// How much of one failure is shown in a line or in an error.
const LONGEST_MESSAGE: usize = 2 * 1024;

/// How many outcomes of one event a line shows.
const MOST_OUTCOMES: usize = 32;

/// The messages of a batch that are to be delivered again, in their order.
pub(crate) fn batch(failed: &[&str]) -> Value {
    let items = failed.iter().map(|id| json!({ "itemIdentifier": id }));
    json!({ "batchItemFailures": items.collect::<Value>() })
}

/// The answer, if Lambda takes it whole. It would cut a longer one.
pub(crate) fn fits(answer: Value) -> Result<Value, LambdaError> {
    let bytes = answer.to_string().len();
    match bytes <= LARGEST_ANSWER {
        true => Ok(answer),
        false => Err(LambdaError::AnswerTooLarge(bytes)),
    }
}

/// A report as it is kept: without the replies if they are long.
pub(crate) fn kept(report: &Value) -> String {
    let whole = report.to_string();
    if whole.len() <= LARGEST_KEPT {
        return whole;
    }
    let mut report = report.clone();
    for outcome in report["outcomes"].as_array_mut().into_iter().flatten() {
        outcome["reply"] = json!(null);
        outcome["replyTooLong"] = json!(true);
    }
    report.to_string()
}

/// What failed, in one sentence.
pub(crate) fn failures(report: &Value) -> String {
    let outcomes = report["outcomes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed: Vec<&Value> = outcomes.iter().filter(|outcome| outcome["ok"] != true).collect();
    let said = failed.iter().take(MOST_OUTCOMES).map(|outcome| {
        let message = clipped(outcome["message"].as_str().unwrap_or_default());
        format!("; handler {} ({}): {message}", outcome["handler"], outcome["kind"].as_str().unwrap_or("?"))
    });
    let event = report["event"].as_str().unwrap_or_default();
    let (failed, all) = (failed.len(), outcomes.len());
    format!("event `{event}`: {failed} of {all} handlers failed{}", said.collect::<String>())
}

/// The outcomes as a line shows them: no replies, no long texts.
pub(crate) fn outcomes(report: &Value) -> Value {
    let outcomes = report["outcomes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = outcomes.iter().take(MOST_OUTCOMES).map(|outcome| {
        let mut shown = json!({ "handler": outcome["handler"], "ok": outcome["ok"] });
        if let (Some(kind), Some(message)) = (outcome["kind"].as_str(), outcome["message"].as_str()) {
            shown["kind"] = json!(kind);
            shown["message"] = json!(clipped(message));
        }
        shown
    });
    shown.collect()
}

/// The beginning of a long text, marked as such.
pub(crate) fn clipped(text: &str) -> String {
    match text.len() <= LONGEST_MESSAGE {
        true => text.to_owned(),
        false => format!("{}… [cut: {} bytes]", beginning(text, LONGEST_MESSAGE), text.len()),
    }
}

/// As much of a text as fits so many bytes.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Adds metrics to a line, in CloudWatch's embedded metric format.
pub(crate) fn add_metrics(
    line: &mut Map<String, Value>,
    at_ms: i64,
    agent: &str,
    metrics: BTreeMap<&str, f64>,
) {
    let unit = |name: &str| if name == "Duration" { "Milliseconds" } else { "Count" };
    let named = metrics.keys().map(|name| json!({ "Name": name, "Unit": unit(name) }));
    let directive = json!({
        "Namespace": "Undertone", "Dimensions": [["Agent"]], "Metrics": named.collect::<Value>(),
    });
    line.insert("_aws".to_owned(), json!({ "Timestamp": at_ms, "CloudWatchMetrics": [directive] }));
    line.insert("Agent".to_owned(), json!(agent));
    line.extend(metrics.into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_before_lambda_does() {
        let of = |bytes: usize| json!("x".repeat(bytes - 2));
        assert!(fits(of(LARGEST_ANSWER)).is_ok());
        let error = fits(of(LARGEST_ANSWER + 1)).expect_err("too large");
        assert!(matches!(error, LambdaError::AnswerTooLarge(bytes) if bytes == LARGEST_ANSWER + 1));
    }

    #[test]
    fn a_long_report_is_kept_without_its_replies() {
        let report =
            |reply: &str| json!({"event": "e", "outcomes": [{"handler": 0, "ok": true, "reply": reply}]});
        assert_eq!(kept(&report("short")), report("short").to_string());
        let kept = kept(&report(&"x".repeat(LARGEST_KEPT)));
        assert!(kept.len() < 200 && kept.contains("replyTooLong") && kept.contains("\"ok\":true"), "{kept}");
    }

    #[test]
    fn failures_are_told_without_replies_and_in_bounds() {
        let long = "é".repeat(LONGEST_MESSAGE);
        let report = json!({"event": "e", "outcomes": [
            {"handler": 0, "ok": true, "reply": "private"},
            {"handler": 2, "ok": false, "kind": "error", "message": long},
        ]});
        let told = failures(&report);
        assert!(told.starts_with("event `e`: 1 of 2 handlers failed; handler 2 (error): éé"), "{told:.100}");
        assert!(told.ends_with("… [cut: 4096 bytes]") && told.len() < 2 * LONGEST_MESSAGE);
        let shown = outcomes(&report).to_string();
        assert!(!shown.contains("private") && shown.contains("[cut: 4096 bytes]"), "{shown:.100}");
    }
}
