//! Dispatch: handlers in series, every failure reported, nothing leaves uncleaned.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::Value;
use undertone_core::audit::Actor;
use undertone_core::resolve::{Freshness, ScopeGrant};
use undertone_core::{
    AuditLog, Clock, Declaration, Execution, ExternalSource, Opener, ReadStore, ResolveError, Resolver, Scope,
};
use undertone_tls::CertificateDer;

use crate::attempt::Attempt;
use crate::egress::{Clients, Lookup, SystemLookup};
use crate::error::Error;
use crate::event::{Event, EventData};
use crate::handler::Handler;
use crate::ledger::Ledger;
use crate::listener::{Compiled, Listener, ListenerError};
use crate::log::{self, CURRENT};

/// Runs one listener over one store. One per process.
pub struct Runtime {
    listener: Compiled,
    declaration: Arc<Declaration>,
    resolver: Arc<Resolver>,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    clients: Arc<Clients>,
}

/// Why a runtime can't be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The listener is wrong.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// TLS can't be set up: the machine has no usable root certificates.
    #[error("TLS can't be set up: install the system's root certificates (ca-certificates)")]
    Tls,
}

/// The ports a runtime works over.
pub struct Ports {
    /// Rows and sealed records.
    pub store: Arc<dyn ReadStore>,
    /// Unwraps scope keys.
    pub opener: Arc<dyn Opener>,
    /// Rows of audit.
    pub audit: Arc<dyn AuditLog>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where external secrets come from, if this program has access to such a place.
    pub external: Option<Arc<dyn ExternalSource>>,
}

/// What became of one event.
#[derive(Debug)]
pub struct Report {
    /// The event's id.
    pub event: String,
    /// One per handler that took it, in registration order. Empty if none did.
    pub outcomes: Vec<Outcome>,
}

/// What became of one handler.
#[derive(Debug)]
pub struct Outcome {
    /// The handler's position among all that were registered, from 0.
    pub handler: usize,
    /// Its reply, cleaned, or why there is none.
    pub result: Result<Value, Failure>,
}

/// Why a handler gave no reply. Its `Debug` form leaves the error itself out.
pub struct Failure {
    /// In which way it failed.
    pub kind: FailureKind,
    /// What it said, with every secret masked.
    pub message: String,
    /// The error itself, for sorting; its text is not clean.
    pub error: Option<Error>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, message) = (&self.kind, &self.message);
        f.debug_struct("Failure").field("kind", kind).field("message", message).finish_non_exhaustive()
    }
}

/// In which way a handler failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It returned an error.
    Error,
    /// It panicked.
    Panic,
    /// It took longer than it had.
    Deadline,
    /// Its reply holds a secret.
    SecretInOutput {
        /// Which.
        name: String,
        /// Where in the reply (RFC 6901).
        pointer: String,
    },
}

impl Report {
    /// Whether every handler succeeded.
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The failures, in order.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err())
    }
}

impl Runtime {
    /// A runtime for a listener. `granted` are the foreign scopes that operators granted to it.
    ///
    /// # Errors
    /// If the listener is wrong or TLS can't be set up.
    pub fn new(
        listener: Listener,
        ports: Ports,
        granted: Vec<Scope>,
        freshness: Freshness,
    ) -> Result<Self, RuntimeError> {
        Self::with_network(listener, ports, granted, freshness, Arc::new(SystemLookup), &[])
    }

    /// As [`Runtime::new`], with a name server and root certificates of the caller's: for tests
    /// that play a hostile network.
    ///
    /// # Errors
    /// If the listener is wrong or TLS can't be set up.
    #[cfg(feature = "testing")]
    pub fn with_test_network(
        listener: Listener,
        ports: Ports,
        granted: Vec<Scope>,
        freshness: Freshness,
        lookup: Arc<dyn Lookup>,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, RuntimeError> {
        Self::with_network(listener, ports, granted, freshness, lookup, roots)
    }

    fn with_network(
        listener: Listener,
        ports: Ports,
        granted: Vec<Scope>,
        freshness: Freshness,
        lookup: Arc<dyn Lookup>,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, RuntimeError> {
        let listener = listener.compile()?;
        let declaration = Declaration {
            agent: listener.agent.clone(),
            secrets: listener.secrets.clone(),
            granted: granted.into_iter().map(ScopeGrant).collect(),
        };
        let resolver = Resolver::new(ports.store, ports.opener, ports.clock.clone(), freshness);
        let resolver = match ports.external {
            None => resolver,
            Some(source) => resolver.with_external(source),
        };
        Ok(Self {
            listener,
            declaration: Arc::new(declaration),
            resolver: Arc::new(resolver),
            audit: ports.audit,
            clock: ports.clock,
            clients: Arc::new(Clients::new(lookup, roots).ok_or(RuntimeError::Tls)?),
        })
    }

    /// Which slug the listener has.
    pub fn agent(&self) -> &undertone_core::AgentId {
        &self.declaration.agent
    }

    /// Runs every handler that takes the event, in series. A failing one doesn't stop the next.
    ///
    /// # Errors
    /// If the event's scope is unknown or can't be read: then no handler ran.
    pub async fn dispatch(&self, event: &EventData, budget: Duration) -> Result<Report, ResolveError> {
        let deadline = Instant::now() + budget;
        let mut report = Report { event: event.id().to_owned(), outcomes: Vec::new() };
        let matching = self.listener.matching(event);
        if matching.is_empty() {
            return Ok(report);
        }
        let attempt = self.attempt(event, deadline).await?;
        let _ends = Ends(attempt.clone());
        for (position, handler) in matching {
            let result = match attempt.time_left().is_zero() {
                true => Err(Failure {
                    kind: FailureKind::Deadline,
                    message: "no time was left, so the handler wasn't started".to_owned(),
                    error: None,
                }),
                false => run(handler, event, &attempt, deadline).await,
            };
            report.outcomes.push(Outcome { handler: position, result });
        }
        Ok(report)
    }

    /// Forgets answers and unwrapped keys that are no longer fresh. Call it now and then: a
    /// process that gets no events has no other occasion.
    pub fn forget_stale(&self) {
        self.resolver.forget_stale();
    }

    /// Forgets every answer and every unwrapped key, before the process is frozen, copied or ended.
    pub fn forget_all(&self) {
        self.resolver.forget_all();
        log::forget();
    }

    async fn attempt(&self, event: &EventData, deadline: Instant) -> Result<Arc<Attempt>, ResolveError> {
        let actor = Actor::Agent { agent: self.declaration.agent.as_str().into(), event: event.id().into() };
        let asked_in = event.chain().map(undertone_core::Chain::nearest);
        let ledger = Ledger::new(actor.clone(), asked_in, self.audit.clone(), self.clock.clone());
        let execution =
            Execution::new(actor, self.declaration.clone(), self.resolver.clone(), self.audit.clone());
        let own = match event.chain() {
            None => None,
            Some(chain) => Some(execution.snapshot(chain).await?),
        };
        Ok(Attempt::new(execution, self.clients.clone(), ledger, deadline, own))
    }
}

/// Ends the attempt however dispatch ends, cancelled included.
struct Ends(Arc<Attempt>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn run(
    handler: &Arc<dyn Handler>,
    event: &EventData,
    attempt: &Arc<Attempt>,
    deadline: Instant,
) -> Result<Value, Failure> {
    let event = Event::new(event.clone(), attempt.clone());
    let work = AssertUnwindSafe(async { handler.call(event).await }).catch_unwind();
    let work = CURRENT.scope(attempt.clone(), tokio::time::timeout_at(deadline.into(), work));
    match work.await {
        Ok(Ok(Ok(reply))) => check_reply(reply, attempt),
        Ok(Ok(Err(error))) => Err(Failure {
            kind: FailureKind::Error,
            message: attempt.clean(&error.to_string()),
            error: Some(error),
        }),
        Ok(Err(_)) => {
            Err(Failure { kind: FailureKind::Panic, message: "the handler panicked".to_owned(), error: None })
        }
        Err(_) => Err(Failure {
            kind: FailureKind::Deadline,
            message: "the handler took longer than it had".to_owned(),
            error: None,
        }),
    }
}

fn check_reply(reply: Value, attempt: &Attempt) -> Result<Value, Failure> {
    if reply.is_null() {
        return Ok(reply);
    }
    for guard in attempt.guards() {
        if let Some(found) = guard.find_in_json(&reply) {
            let (name, pointer) = (found.name.to_owned(), attempt.clean(&found.pointer));
            let message =
                format!("the reply holds the secret `{name}` at \"{pointer}\": return something else");
            return Err(Failure {
                kind: FailureKind::SecretInOutput { name, pointer },
                message,
                error: None,
            });
        }
    }
    Ok(reply)
}
