//! Requests of function URLs and API Gateways (REST, HTTP), and their answers.
//!
//! An event names its own Environment and Space, so whoever may send one may have any secret of
//! the store used. A URL that lets everybody in is refused here, whatever the event says.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use undertone_runtime::{EventData, EventError};

use crate::error::LambdaError;
use crate::once::Handled;
use crate::wire;

/// Whether a payload is a request.
pub(crate) fn is_request(fields: &Map<String, Value>) -> bool {
    let context = fields.get("requestContext");
    context.is_some_and(|context| {
        context["http"].is_object() || context["elb"].is_object() || fields.contains_key("httpMethod")
    })
}

/// The event that a request sends.
pub(crate) fn event(fields: &Map<String, Value>, request_id: &str) -> Result<EventData, LambdaError> {
    let context = fields.get("requestContext").unwrap_or(&Value::Null);
    if context["elb"].is_object() {
        return Err(LambdaError::LoadBalancer);
    }
    if !is_authorised(context) {
        return Err(LambdaError::Anonymous);
    }
    let method = context["http"].get("method").or_else(|| fields.get("httpMethod"));
    if method.and_then(Value::as_str) != Some("POST") {
        return Err(LambdaError::Method);
    }
    let body = fields.get("body").and_then(Value::as_str).unwrap_or_default();
    let raw = match fields.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => {
            EventData::parse_json(&BASE64_STANDARD.decode(body).map_err(|_| LambdaError::NotBase64)?)?
        }
        Some(false) | None => EventData::parse_json(body.as_bytes())?,
    };
    let id = header(fields, "idempotency-key").unwrap_or(request_id);
    Ok(EventData::with_fallback_id(raw, id)?)
}

/// Whether somebody has checked who sends this: IAM or an authorizer, before a function URL (which says
/// so) or an API. An API without an authorizer, which is how they are made, lets everybody in; an API
/// key only counts them.
fn is_authorised(context: &Value) -> bool {
    let has_fields = |value: &Value| value.as_object().is_some_and(|fields| !fields.is_empty());
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let identity = &context["identity"];
    context["accountId"] != "anonymous"
        && (has_fields(&context["authorizer"])
            || is_text(&identity["userArn"])
            || is_text(&identity["cognitoIdentityId"]))
}

fn header<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    let headers = fields.get("headers")?.as_object()?;
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?.1.as_str()
}

/// The answer, or its stand-in if it is larger than Lambda takes.
pub(crate) fn answer(result: Result<Handled, LambdaError>) -> Value {
    let answer = match result {
        Ok(handled) => shaped(200, &handled.report, handled.replayed),
        Err(error) => refusal(&error),
    };
    match wire::fits(answer) {
        Ok(answer) => answer,
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &LambdaError) -> Value {
    let body = match error {
        LambdaError::Handlers { report } => report,
        other => &json!({ "error": other.clean(), "retry": other.is_retryable() }),
    };
    shaped(status(error), body, false)
}

fn shaped(status: u16, body: &Value, replayed: bool) -> Value {
    let mut headers = json!({ "content-type": "application/json", "cache-control": "no-store" });
    if status == 405 {
        headers["allow"] = json!("POST");
    }
    if replayed {
        headers["idempotency-replayed"] = json!("true");
    }
    json!({ "statusCode": status, "headers": headers, "body": body.to_string() })
}

fn status(error: &LambdaError) -> u16 {
    match error {
        LambdaError::Event(EventError::TooLarge(_)) => 413,
        LambdaError::Event(_)
        | LambdaError::NotBase64
        | LambdaError::NoTopicInDetail
        | LambdaError::WrappedBySns
        | LambdaError::OtherRecords
        | LambdaError::NoMessageId => 400,
        LambdaError::Anonymous | LambdaError::LoadBalancer => 403,
        LambdaError::Method => 405,
        LambdaError::OtherEvent { .. } => 409,
        LambdaError::BeingHandled { .. }
        | LambdaError::Claims { .. }
        | LambdaError::NoTime { .. }
        | LambdaError::Stopping => 503,
        LambdaError::Scope { error, .. } if error.is_retryable() => 503,
        LambdaError::Scope { error: undertone_core::ResolveError::UnknownScope(_), .. } => 400,
        LambdaError::Scope { .. }
        | LambdaError::Handlers { .. }
        | LambdaError::AnswerTooLarge(_)
        | LambdaError::Panicked
        | LambdaError::NotOnLambda(_)
        | LambdaError::Signals(_)
        | LambdaError::RuntimeApi => 500,
    }
}

#[cfg(test)]
mod tests {
    use undertone_core::idempotency::IdempotencyError;

    use super::*;

    fn variant(error: &LambdaError) -> u16 {
        status(error)
    }

    #[test]
    fn only_a_post_that_somebody_has_authorised_brings_an_event() {
        let url = |method: &str, body: &str, base64: bool, account: &str| {
            json!({"requestContext": {"accountId": account, "http": {"method": method},
                                      "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/a"}}},
                   "body": body, "isBase64Encoded": base64})
        };
        let event = r#"{"topic": "a"}"#;
        let encoded = BASE64_STANDARD.encode(event);
        let rest = |method: &str, context: &Value| json!({"httpMethod": method, "requestContext": context, "body": event});
        let large = format!("\"{}\"", "x".repeat(undertone_runtime::LARGEST_EVENT));
        for (request, want) in [
            (url("POST", event, false, "123456789012"), Ok("request")),
            (url("POST", &encoded, true, "123456789012"), Ok("request")),
            (url("POST", event, true, "123456789012"), Err(400)),
            (url("POST", &encoded, false, "123456789012"), Err(400)),
            (url("POST", "", false, "123456789012"), Err(400)),
            (url("POST", "{}", false, "123456789012"), Err(400)),
            (url("POST", &large, false, "123456789012"), Err(413)),
            (url("GET", event, false, "123456789012"), Err(405)),
            (url("post", event, false, "123456789012"), Err(405)),
            (url("POST", event, false, "anonymous"), Err(403)),
            (rest("POST", &json!({"identity": {"userArn": "arn:aws:iam::1:user/a"}})), Ok("request")),
            (rest("POST", &json!({"authorizer": {"principalId": "a"}})), Ok("request")),
            (rest("PUT", &json!({"authorizer": {"principalId": "a"}})), Err(405)),
            (rest("POST", &json!({})), Err(403)),
            (rest("POST", &json!({"authorizer": {}, "accountId": "123456789012"})), Err(403)),
            (rest("POST", &json!({"authorizer": null, "identity": {"userArn": null}})), Err(403)),
            (rest("POST", &json!({"identity": {"apiKey": "a", "apiKeyId": "b", "sourceIp": "c"}})), Err(403)),
            (
                json!({"requestContext": {"accountId": "123456789012", "http": {"method": "POST"}}, "body": event}),
                Err(403),
            ),
            (rest("POST", &json!({"elb": {}, "authorizer": {"principalId": "a"}})), Err(403)),
        ] {
            let fields = request.as_object().expect("an object");
            assert!(is_request(fields));
            let found = super::event(fields, "request");
            let found = found.as_ref().map(EventData::id).map_err(variant);
            assert_eq!(found, want, "{request:.120}");
        }
    }

    #[test]
    fn an_answer_says_what_became_of_the_event_and_whether_to_try_again() {
        let event = || "evt_1".to_owned();
        let report = json!({"event": "evt_1", "outcomes": []});
        for (result, status, body) in [
            (Ok(Handled { report: report.clone(), replayed: false }), 200, report.clone()),
            (Err(LambdaError::Handlers { report: report.clone() }), 500, report.clone()),
            (
                Err(LambdaError::Stopping),
                503,
                json!({"error": "the process is ending: deliver the event again", "retry": true}),
            ),
        ] {
            let answer = answer(result);
            assert_eq!(answer["statusCode"], status);
            assert_eq!(answer["headers"]["content-type"], "application/json");
            assert_eq!(answer["body"], body.to_string());
        }
        let claims = LambdaError::Claims { event: event(), error: IdempotencyError("throttled".to_owned()) };
        for (error, want) in
            [(claims, 503), (LambdaError::OtherEvent { event: event() }, 409), (LambdaError::Method, 405)]
        {
            assert_eq!(answer(Err(error))["statusCode"], want);
        }
        assert_eq!(answer(Err(LambdaError::Method))["headers"]["allow"], "POST");
        let replayed = answer(Ok(Handled { report, replayed: true }));
        assert_eq!(replayed["headers"]["idempotency-replayed"], "true");
    }

    #[test]
    fn an_answer_that_lambda_would_cut_is_replaced_by_an_error() {
        // Quotes double when the body becomes a text inside the answer.
        let report = json!({ "reply": "\"".repeat(wire::LARGEST_ANSWER / 4) });
        let answer = answer(Ok(Handled { report, replayed: false }));
        assert_eq!(answer["statusCode"], 500);
        assert!(
            answer["body"].as_str().is_some_and(|body| body.contains("reply with less")),
            "{answer:.200}"
        );
    }
}
