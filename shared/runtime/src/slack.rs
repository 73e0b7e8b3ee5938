//! A typed client of Slack's Web API, on top of the egress client.
//!
//! Slack answers most failures with status 200 and `ok: false`; here they are typed errors.
//! Source: Slack's reference of `chat.postMessage`.

use serde::{Deserialize, Serialize};
use undertone_core::Secret;

use crate::egress::{EgressError, FieldValue, Http};

/// The API that Slack serves.
pub const SLACK_API: &str = "https://slack.com/api";

/// A client that acts with one token.
pub struct Slack<'t> {
    http: Http,
    token: &'t Secret,
    api: String,
}

/// Why a message wasn't posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlackError {
    /// The token is no longer, or never was, valid: set another one.
    #[error("Slack refused the token ({0}): set a valid one with `undertone secrets set`")]
    Auth(String),
    /// The token lacks a scope.
    #[error("the Slack app lacks the scope `{0}`: add it to the app and install it again")]
    MissingScope(String),
    /// There is no such channel, or the app can't see it.
    #[error("Slack knows no such channel: check its id, and invite the app to it")]
    ChannelNotFound,
    /// The app isn't in the channel.
    #[error("the Slack app isn't in the channel: invite it")]
    NotInChannel,
    /// The channel is archived.
    #[error("the Slack channel is archived")]
    Archived,
    /// Too many messages.
    #[error("Slack asks to slow down")]
    RateLimited,
    /// The message itself is refused: empty, too long, or its blocks are wrong.
    #[error("Slack refused the message: {0}")]
    Message(String),
    /// Another error that Slack names.
    #[error("Slack answered `{0}`")]
    Other(String),
    /// The request failed.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

/// A posted message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// The channel's id.
    pub channel: String,
    /// The message's timestamp, which is its id in the channel.
    pub ts: String,
}

impl<'t> Slack<'t> {
    /// A client of Slack itself.
    pub fn new(http: Http, token: &'t Secret) -> Self {
        Self { http, token, api: SLACK_API.to_owned() }
    }

    /// A client of something that behaves like Slack, such as a stand-in in tests.
    pub fn at(mut self, api: &str) -> Self {
        api.trim_end_matches('/').clone_into(&mut self.api);
        self
    }

    /// Posts a text to a channel, which is an id or a secret that holds one.
    ///
    /// # Errors
    /// See [`SlackError`].
    pub async fn post_message(
        &self,
        channel: impl Into<FieldValue<'_>>,
        text: &str,
    ) -> Result<Posted, SlackError> {
        #[derive(Serialize)]
        struct Message<'m> {
            #[serde(skip_serializing_if = "Option::is_none")]
            channel: Option<&'m str>,
            text: &'m str,
        }
        let url = format!("{}/chat.postMessage", self.api);
        let request = self.http.post(&url).bearer(self.token);
        let response = match channel.into() {
            FieldValue::Plain(channel) => {
                request.json(&Message { channel: Some(&channel), text }).send().await?
            }
            FieldValue::Secret(channel) => {
                request.json(&Message { channel: None, text }).json_field("channel", channel).send().await?
            }
        };
        if response.status() == 429 {
            return Err(SlackError::RateLimited);
        }
        let response = response.error_for_status()?;
        let answer: Answer = response.json()?;
        match answer {
            Answer { ok: true, posted: Some(posted), .. } => Ok(posted),
            Answer { error, needed, .. } => Err(sort(error.unwrap_or_default(), needed)),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    needed: Option<String>,
    #[serde(flatten)]
    posted: Option<Posted>,
}

/// Slack's codes are short and plain; anything else isn't repeated.
fn code(text: String) -> String {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b':' | b',' | b'.');
    match (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        true => text,
        false => "an error without a code".to_owned(),
    }
}

fn sort(error: String, needed: Option<String>) -> SlackError {
    let error = code(error);
    match error.as_str() {
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            SlackError::Auth(error)
        }
        "missing_scope" => SlackError::MissingScope(code(needed.unwrap_or_default())),
        "channel_not_found" => SlackError::ChannelNotFound,
        "not_in_channel" => SlackError::NotInChannel,
        "is_archived" => SlackError::Archived,
        "ratelimited" | "rate_limited" => SlackError::RateLimited,
        "no_text" | "msg_too_long" | "invalid_blocks" | "invalid_blocks_format" => SlackError::Message(error),
        _ => SlackError::Other(error),
    }
}
