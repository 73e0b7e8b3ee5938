//! The port `Idempotency`: an event that is delivered twice is handled once, and answered the same.
//!
//! Whoever handles an event claims its key first. A claim holds until its lease ends, so that a
//! handler that died doesn't bar the event for ever. What is kept is the answer, which the leak
//! guard has cleaned, never the event.

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use crate::id::{AgentId, random_bytes};

/// For how long an answer is replayed.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Names one event for one agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// The agent.
    pub agent: AgentId,
    /// The event's id, as its sender gave it.
    pub event: String,
    /// SHA-256 of the event, so that another event under the same id isn't answered with this one's answer.
    pub digest: [u8; 32],
}

impl IdempotencyKey {
    /// The key of an event, given its bytes in a form that doesn't depend on how it was sent.
    pub fn new(agent: AgentId, event: &str, bytes: &[u8]) -> Self {
        let digest = digest(&SHA256, bytes);
        let digest = digest.as_ref().try_into().expect("SHA-256 gives 32 bytes");
        Self { agent, event: event.to_owned(), digest }
    }
}

/// Who holds a claim; only the holder finishes or gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(pub [u8; 16]);

impl ClaimId {
    /// A new one.
    pub fn random() -> Self {
        Self(random_bytes())
    }
}

/// What became of the wish to handle an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the caller's to handle.
    Yours,
    /// It was handled; this is the answer, as it was given to [`Idempotency::finish`].
    Done(String),
    /// Somebody is handling it, at most until then.
    Taken {
        /// When the claim lapses.
        until: Timestamp,
    },
    /// Another event was handled under the same id.
    OtherEvent,
}

/// The claims can't be read or written now. The event is to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("whether the event was handled before can't be looked up: {0}")]
pub struct IdempotencyError(pub String);

/// Where claims and answers are kept.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Claims the event until `until`, unless it was handled or is being handled.
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, IdempotencyError>;

    /// Keeps the answer until `keep_until`. A claim that lapsed and was taken by another is left to that one.
    async fn finish(
        &self,
        key: &IdempotencyKey,
        claim: ClaimId,
        answer: &str,
        keep_until: Timestamp,
    ) -> Result<(), IdempotencyError>;

    /// Gives the claim up, so that the next delivery is handled at once.
    async fn give_up(&self, key: &IdempotencyKey, claim: ClaimId) -> Result<(), IdempotencyError>;
}
