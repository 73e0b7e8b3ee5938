//! Posts to Slack when a job completes, and when somebody presses "Notify" in a Space.
//!
//! The token and the channel are secrets: set once for an Environment, overridden by the Spaces
//! that want their own. This code sees neither.

use std::sync::Arc;

use undertone::slack::Slack;
use undertone::{Event, Listener, Result, filter};

/// The listener, over Slack's API or anything that behaves like it.
pub fn listener_at(slack_api: &str) -> Listener {
    let api: Arc<str> = slack_api.into();
    let notify_api = api.clone();
    Listener::new("slack-notifier")
        .uses("SLACK_TOKEN")
        .uses("SLACK_CHANNEL")
        .on("job:completed", move |event| job_completed(event, api.clone()))
        .on_where("job:ready", filter! { "payload.job": "space:notify" }, move |event| {
            notify(event, notify_api.clone())
        })
}

/// A job is done: says which, and how it ended.
async fn job_completed(event: Event, api: Arc<str>) -> Result<()> {
    let job = event.payload()["job"].as_str().unwrap_or("a job");
    let status = event.payload()["status"].as_str().unwrap_or("done");
    post(&event, &api, &format!("`{job}` is {status}")).await
}

/// The custom action `space:notify`: posts what the person wrote.
async fn notify(event: Event, api: Arc<str>) -> Result<()> {
    let text = event.payload()["input"]["text"].as_str().unwrap_or("Somebody asks for your attention");
    post(&event, &api, text).await
}

async fn post(event: &Event, api: &str, text: &str) -> Result<()> {
    let token = event.secrets("SLACK_TOKEN").await?;
    let channel = event.secrets("SLACK_CHANNEL").await?;
    Slack::new(event.http(), &token).at(api).post_message(&channel, text).await?;
    Ok(())
}
