//! The story as text for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Story;

/// The story for people. Its lines hold names, scopes and versions; there is no value to print.
pub(crate) fn text(story: &Story) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    line("1. Three events, one listener, one name: SLACK_TOKEN".to_owned());
    for event in &story.events {
        line(format!("   {:<8} {:<14} -> {}", event.space, event.topic, event.resolved));
        line(match &event.outcome {
            Ok(outcome) => format!("            {outcome}"),
            Err(error) => format!("            refused: {error}"),
        });
    }
    line(String::new());
    line("2. What Slack received".to_owned());
    match &story.received {
        None => line("   see the channel".to_owned()),
        Some(received) => received.iter().for_each(|call| {
            line(format!("   {:<10} \"{}\" with the token of {}", call.channel, call.text, call.token_of));
        }),
    }
    line(String::new());
    line("3. A listener that tries to get the token out".to_owned());
    for attempt in &story.attempts {
        line(format!("   {}", attempt.what));
        line(format!("            stopped: {}", attempt.stopped_by));
        line(format!("            reached {}", attempt.seen));
    }
    line(String::new());
    line(format!("4. The audit trail: {} rows, chain verified. Uses and refusals:", story.verified));
    for row in story.trail.iter().filter(|row| row["actor"]["agent"].is_string()) {
        line(trail_line(row));
    }
    line(String::new());
    let home = story.folder.join("home");
    line("Look around:".to_owned());
    line(format!(
        "   undertone --home {} secrets explain SLACK_TOKEN --env demo --space globex",
        home.display()
    ));
    line(format!("   undertone --home {} audit tail", home.display()));
    line(format!("Done with it: rm -r {}", story.folder.display()));
    out
}

fn trail_line(row: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let space = match row["asked_in"]["space"].as_str() {
        Some(space) => format!("demo/{space}"),
        None => "demo".to_owned(),
    };
    let version = row["version"].as_u64().map(|version| format!(" v{version}")).unwrap_or_default();
    let to = match row["host"].as_str() {
        Some(host) => format!(" {} {host} ({})", text(&row["method"]), text(&row["sink"])),
        None => String::new(),
    };
    let why = row["detail"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "   {:<15} {:<14} {:<12} {}{version}{to} {}{why}",
        text(&row["actor"]["agent"]),
        text(&row["action"]),
        space,
        text(&row["name"]),
        text(&row["outcome"]),
    )
}

/// The story for programs.
pub(crate) fn json(story: &Story) -> Value {
    json!({
        "folder": story.folder.display().to_string(),
        "events": story.events.iter().map(|event| json!({
            "space": event.space,
            "topic": event.topic,
            "resolved": event.resolved,
            "ok": event.outcome.is_ok(),
            "outcome": event.outcome.as_ref().unwrap_or_else(|error| error),
        })).collect::<Value>(),
        "received": story.received.as_ref().map(|received| received.iter().map(|call| json!({
            "channel": call.channel,
            "text": call.text,
            "token_of": call.token_of,
        })).collect::<Value>()),
        "attempts": story.attempts.iter().map(|attempt| json!({
            "what": attempt.what,
            "stopped_by": attempt.stopped_by,
            "reached": attempt.seen,
        })).collect::<Value>(),
        "audit": { "rows": story.verified, "verified": true, "trail": story.trail },
    })
}
