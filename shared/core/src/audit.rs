//! The port `AuditLog`: one row per change, use, reveal and refusal, durable before it counts.
//!
//! A row never holds a value. Rows form a chain of MACs under a key that hangs under the store
//! key, so that an edited, removed or reordered row is found and named.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use jiff::Timestamp;

use crate::name::SecretName;
use crate::rules::Destination;
use crate::scope::Scope;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person or program at the command line, by operating-system user.
    Operator(Arc<str>),
    /// A listener, handling an event.
    Agent {
        /// The listener's slug.
        agent: Arc<str>,
        /// The event's id.
        event: Arc<str>,
    },
}

/// What was done or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An Environment was made.
    CreateEnvironment,
    /// A Space was made.
    CreateSpace,
    /// A value was set.
    Set,
    /// A row was taken out.
    Unset,
    /// Inheritance was blocked.
    Block,
    /// A row was locked.
    Lock,
    /// A row was unlocked.
    Unlock,
    /// A row was switched off.
    Disable,
    /// A row was switched on.
    Enable,
    /// An old version was made current.
    Restore,
    /// A version was revoked.
    Revoke,
    /// A row was deleted, restorable.
    Delete,
    /// A row's versions were destroyed.
    Destroy,
    /// A value left through a sink.
    Use,
    /// A value was handed to code.
    Reveal,
    /// A lookup was refused.
    Resolve,
    /// The rows of a scope were copied to another store, or from one.
    Copy,
    /// The keys of a scope were tidied or wrapped anew.
    Maintain,
}

impl Action {
    /// The action's name in rows and in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::CreateEnvironment => "environment.create",
            Action::CreateSpace => "space.create",
            Action::Set => "secret.set",
            Action::Unset => "secret.unset",
            Action::Block => "secret.block",
            Action::Lock => "secret.lock",
            Action::Unlock => "secret.unlock",
            Action::Disable => "secret.disable",
            Action::Enable => "secret.enable",
            Action::Restore => "secret.restore",
            Action::Revoke => "secret.revoke",
            Action::Delete => "secret.delete",
            Action::Destroy => "secret.destroy",
            Action::Use => "secret.use",
            Action::Reveal => "secret.reveal",
            Action::Resolve => "secret.resolve",
            Action::Copy => "store.copy",
            Action::Maintain => "store.maintain",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Allowed; for a use, written before the first byte leaves.
    Allowed,
    /// Refused, with the reason.
    Refused(String),
    /// Allowed, and then it failed, with the reason.
    Failed(String),
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Where: the scope that owns what it is about.
    pub scope: Option<Scope>,
    /// For a use, a reveal or a lookup: the scope of the event that asked, which may inherit.
    pub asked_in: Option<Scope>,
    /// To which name.
    pub name: Option<SecretName>,
    /// To which version.
    pub version: Option<u64>,
    /// For an external secret: the id that the service which keeps it gave to the version.
    pub source_version: Option<String>,
    /// Through which sink and where to, for a use.
    pub destination: Option<(crate::rules::Sink, Destination)>,
    /// Why, as the actor said it (for a reveal).
    pub reason: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A row as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// From 1, without gaps.
    pub sequence: u64,
    /// The entry, as the JSON that the MAC covers.
    pub body: String,
    /// Links it to the row before.
    pub mac: [u8; 32],
}

/// The log can't be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log can't be used, so the operation didn't happen: {0}")]
pub struct AuditError(pub String);

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// All rows are as they were written.
    Intact {
        /// How many.
        rows: u64,
    },
    /// A row is not.
    Broken {
        /// The first such row.
        sequence: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Where rows of audit are kept.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes entries in this order, durable when this returns. Concurrent callers may share a commit.
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError>;

    /// At most `limit` rows after the one given, oldest first.
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, AuditError>;

    /// The number of the last row, 0 if there is none.
    async fn last(&self) -> Result<u64, AuditError>;

    /// Recomputes the chain from the first row to the last.
    async fn verify(&self) -> Result<Verified, AuditError>;
}

/// The chain's key: `use_key(.., "audit")`.
pub struct ChainKey(hmac::Key);

/// The MAC that a chain starts from.
pub const CHAIN_START: [u8; 32] = [0; 32];

impl ChainKey {
    /// From the key that hangs under the store key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA-256 over `"row" ‖ previous MAC ‖ sequence(u64) ‖ body`.
    pub fn link(&self, previous: &[u8; 32], sequence: u64, body: &str) -> [u8; 32] {
        self.mac(&[b"row", previous, &sequence.to_be_bytes(), body.as_bytes()])
    }

    /// Seals the end of the chain, so that rows cut off at the end are missed:
    /// HMAC-SHA-256 over `"tip" ‖ last MAC ‖ sequence(u64)`.
    pub fn tip(&self, last: &[u8; 32], sequence: u64) -> [u8; 32] {
        self.mac(&[b"tip", last, &sequence.to_be_bytes()])
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let tag = context.sign();
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

/// Walks a chain row by row; one place for every adapter's `verify`.
pub struct ChainCheck<'a> {
    key: &'a ChainKey,
    last: [u8; 32],
    sequence: u64,
}

impl<'a> ChainCheck<'a> {
    /// Before the first row.
    pub fn new(key: &'a ChainKey) -> Self {
        Self { key, last: CHAIN_START, sequence: 0 }
    }

    /// The next row in stored order.
    pub fn row(&mut self, row: &AuditRow) -> Result<(), Verified> {
        let sequence = self.sequence + 1;
        let broken = |problem| Err(Verified::Broken { sequence, problem });
        if row.sequence != sequence {
            return broken("the row is missing or out of order");
        }
        if self.key.link(&self.last, sequence, &row.body) != row.mac {
            return broken("the row or its place in the chain was edited");
        }
        self.last = row.mac;
        self.sequence = sequence;
        Ok(())
    }

    /// After the last row, with the stored seal of the end.
    pub fn end(self, tip: Option<[u8; 32]>) -> Verified {
        // An empty chain has its seal too, so that removing all of it shows.
        if tip == Some(self.key.tip(&self.last, self.sequence)) {
            return Verified::Intact { rows: self.sequence };
        }
        Verified::Broken { sequence: self.sequence + 1, problem: "rows at the end are missing" }
    }
}
