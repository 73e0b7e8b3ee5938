//! Handles: what code gets instead of a value, and the one way through a sink.
//!
//! A handle holds a sealed record and a reference to an unwrapped key, no text. The order in
//! [`disclose`] is the invariant: still valid, allowed by the rules, audited durably, and only
//! then opened.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::audit::{Action, Actor, AuditEntry, AuditError, AuditLog, Outcome};
use crate::host::HostPort;
use crate::name::SecretName;
use crate::record::Plaintext;
use crate::resolve::{Declaration, ResolveError, Resolved, Resolver, Snapshot};
use crate::rules::{Destination, Method, Refusal, Reveal, Sink};
use crate::scope::{Chain, Scope};

/// One attempt at one event by one agent: who acts, and with what it resolves.
pub struct Execution {
    actor: Actor,
    declaration: Arc<Declaration>,
    resolver: Arc<Resolver>,
    audit: Arc<dyn AuditLog>,
    /// What was handed out so far, for cleaning what the actor says.
    snapshots: Mutex<Vec<Arc<Snapshot>>>,
    ended: AtomicBool,
}

impl Execution {
    /// An attempt of the declared agent.
    pub fn new(
        actor: Actor,
        declaration: Arc<Declaration>,
        resolver: Arc<Resolver>,
        audit: Arc<dyn AuditLog>,
    ) -> Arc<Self> {
        Arc::new(Self {
            actor,
            declaration,
            resolver,
            audit,
            snapshots: Mutex::default(),
            ended: AtomicBool::new(false),
        })
    }

    /// Whose attempt it is.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// The answers along a chain for every declared name, pinned for this attempt by whoever keeps them.
    pub async fn snapshot(&self, chain: &Chain) -> Result<Arc<Snapshot>, ResolveError> {
        let snapshot = self.resolver.snapshot(&self.declaration, chain).await?;
        let mut snapshots = self.snapshots.lock().expect("no holder of this lock panics");
        if !snapshots.iter().any(|known| Arc::ptr_eq(known, &snapshot)) {
            snapshots.push(snapshot.clone());
        }
        Ok(snapshot)
    }

    /// Ends the attempt: from now on its handles are refused, wherever they were kept.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// A text of the actor's, fit for a row of audit: masked first, then escaped.
    fn said(&self, text: &str) -> String {
        let snapshots = self.snapshots.lock().expect("no holder of this lock panics").clone();
        let clean = |text: String, snapshot: &Arc<Snapshot>| snapshot.guard().clean(&text).into_owned();
        crate::name::escaped(&snapshots.iter().fold(text.to_owned(), clean))
    }

    /// The handle for a name. Nothing is allocated: a handle is two counted references.
    ///
    /// # Errors
    /// As the snapshot says, or `NotDeclared`. Refusals are audited, by the caller, with
    /// [`Execution::record_refusal`].
    pub fn handle(self: &Arc<Self>, snapshot: &Snapshot, name: &str) -> Result<Secret, ResolveError> {
        match snapshot.get(name) {
            Some(Ok(resolved)) => Ok(Secret { resolved: resolved.clone(), execution: self.clone() }),
            Some(Err(error)) => Err(error.clone()),
            None => Err(ResolveError::NotDeclared {
                name: crate::name::escaped(name),
                agent: self.declaration.agent.to_string(),
            }),
        }
    }

    /// Writes the row of a refused lookup. An absent secret and a broken store are no refusals.
    pub async fn record_refusal(
        &self,
        chain: &Chain,
        name: &str,
        error: &ResolveError,
    ) -> Result<(), AuditError> {
        let reason = match error {
            ResolveError::NotDeclared { .. } => "not_declared",
            ResolveError::Blocked { .. } => "blocked",
            ResolveError::Disabled { .. } => "disabled",
            ResolveError::Expired { .. } => "expired",
            ResolveError::Revoked { .. } => "revoked",
            ResolveError::Forbidden { .. } => "forbidden",
            ResolveError::Denied { .. } => "denied",
            ResolveError::Unreadable { .. } => "unreadable",
            ResolveError::NotFound { .. }
            | ResolveError::NoEnvironment { .. }
            | ResolveError::UnknownScope(_)
            | ResolveError::Unavailable { .. } => return Ok(()),
        };
        // What isn't a declared name may be any text that code got hold of.
        let said = self.said(name);
        let entry = AuditEntry {
            at: self.resolver.clock().now(),
            actor: self.actor.clone(),
            action: Action::Resolve,
            scope: None,
            asked_in: Some(chain.nearest()),
            name: name.parse().ok().filter(|_| said == name),
            version: None,
            destination: None,
            source_version: None,
            reason: (said != name).then_some(said),
            outcome: Outcome::Refused(reason.to_owned()),
        };
        self.audit.append(vec![entry]).await
    }
}

/// A handle: one version of one secret, usable in sinks, unreadable.
///
/// It can't be displayed, serialised, cloned, compared or hashed, so neither can anything that
/// derives these and holds one:
/// ```compile_fail,E0277
/// fn show(token: &undertone_core::Secret) { println!("{token}"); }
/// ```
/// ```compile_fail,E0277
/// fn store(token: &undertone_core::Secret) -> String { serde_json::to_string(token).expect("no") }
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone)]
/// struct Config { token: undertone_core::Secret }
/// ```
/// ```compile_fail,E0369
/// #[derive(PartialEq)]
/// struct Config { token: undertone_core::Secret }
/// ```
/// ```compile_fail,E0277
/// #[derive(Hash)]
/// struct Config { token: undertone_core::Secret }
/// ```
/// Its `Debug` form names it and nothing more: `Secret(SLACK_TOKEN v7)`.
#[must_use]
pub struct Secret {
    resolved: Arc<Resolved>,
    execution: Arc<Execution>,
}

impl Secret {
    /// The name that was asked for.
    pub fn name(&self) -> &SecretName {
        &self.resolved.name
    }

    /// The version to which the handle is pinned.
    pub fn version(&self) -> u64 {
        self.resolved.version
    }

    /// For an external secret: the id that the service which keeps it gave to the version.
    pub fn source_version(&self) -> Option<&str> {
        self.resolved.source_version.as_deref()
    }

    /// The scope whose row won.
    pub fn scope(&self) -> &Scope {
        &self.resolved.scope
    }

    /// The scope of the event that asked.
    pub fn asked_in(&self) -> &Scope {
        &self.resolved.asked_in
    }

    /// Hands the value to code. Every row of the chain must allow it, and it is audited with the reason.
    ///
    /// # Errors
    /// If the rules refuse, the handle is no longer valid, or the audit row can't be written.
    pub async fn reveal(&self, reason: &str) -> Result<Revealed, UseError> {
        self.confirm().await?;
        let mut entry = self.entry(Action::Reveal);
        entry.reason = Some(self.execution.said(reason));
        if self.resolved.rules.reveal() == Reveal::Refused {
            entry.outcome = Outcome::Refused("reveal".to_owned());
            self.execution.audit.append(vec![entry]).await?;
            return Err(UseError::RevealNotAllowed { name: self.resolved.name.clone() });
        }
        self.execution.audit.append(vec![entry]).await?;
        self.open(Action::Reveal).await.map(Revealed)
    }

    /// Whether the handle is of this attempt.
    pub fn is_of(&self, execution: &Arc<Execution>) -> bool {
        Arc::ptr_eq(&self.execution, execution)
    }

    async fn confirm(&self) -> Result<(), UseError> {
        if self.execution.ended.load(Ordering::Acquire) {
            return Err(UseError::NotOfThisEvent { name: self.resolved.name.clone() });
        }
        let confirmed = self.execution.resolver.confirm(&self.resolved).await;
        if let Err(error) = &confirmed {
            let (execution, name) = (&self.execution, self.resolved.name.as_str());
            execution.record_refusal(&self.resolved.asked_in.chain(), name, error).await?;
        }
        Ok(confirmed?)
    }

    async fn open(&self, action: Action) -> Result<Plaintext, UseError> {
        match self.resolved.open() {
            Ok(value) => Ok(value),
            Err(reason) => {
                let mut entry = self.entry(action);
                entry.outcome = Outcome::Failed(reason.to_string());
                self.execution.audit.append(vec![entry]).await?;
                Err(UseError::Resolve(ResolveError::Unreadable {
                    name: self.resolved.name.clone(),
                    scope: self.resolved.scope.clone(),
                }))
            }
        }
    }

    fn entry(&self, action: Action) -> AuditEntry {
        // Each use of a key that outlasts an outage of the key service is on record as one.
        let stale = self.resolved.has_stale_key();
        AuditEntry {
            at: self.execution.resolver.clock().now(),
            actor: self.execution.actor.clone(),
            action,
            scope: Some(self.resolved.scope.clone()),
            asked_in: Some(self.resolved.asked_in.clone()),
            name: Some(self.resolved.name.clone()),
            version: Some(self.resolved.version),
            destination: None,
            source_version: self.resolved.source_version.as_deref().map(str::to_owned),
            reason: stale.then(|| "stale_key".to_owned()),
            outcome: Outcome::Allowed,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} v{})", self.resolved.name, self.resolved.version)
    }
}

/// A value in the open, inside a sink or after `reveal`. Wiped when dropped.
///
/// ```compile_fail,E0277
/// fn print(value: &undertone_core::Revealed) { println!("{value:?}"); }
/// ```
pub struct Revealed(Plaintext);

impl Revealed {
    /// The value's bytes. Grep for this in review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Why a value didn't leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UseError {
    /// The handle was kept from another event.
    #[error(
        "the handle of `{name}` is from another event: look it up with `event.secrets` in the one that uses it"
    )]
    NotOfThisEvent {
        /// The secret.
        name: SecretName,
    },
    /// The rules allow other hosts.
    #[error("secret `{name}` may not be sent to {host}: set it again with `--host {host}` to allow that")]
    HostNotAllowed {
        /// The secret.
        name: SecretName,
        /// Where it was to go.
        host: HostPort,
    },
    /// The rules name no host at all.
    #[error(
        "secret `{name}` names no host: set it again with `--host {host}`, or mark the Environment as development"
    )]
    NoHostRule {
        /// The secret.
        name: SecretName,
        /// Where it was to go.
        host: HostPort,
    },
    /// The rules allow other methods.
    #[error(
        "secret `{name}` may not be sent with {method}: set it again with `--method {method}` to allow that"
    )]
    MethodNotAllowed {
        /// The secret.
        name: SecretName,
        /// The method.
        method: Method,
    },
    /// The rules allow other sinks.
    #[error("secret `{name}` may not leave through {sink}: set it again with `--sink {sink}` to allow that")]
    SinkNotAllowed {
        /// The secret.
        name: SecretName,
        /// The sink.
        sink: Sink,
    },
    /// Plain HTTP outside a development Environment.
    #[error("secret `{name}` leaves over TLS only: use https")]
    PlainNotAllowed {
        /// The secret.
        name: SecretName,
    },
    /// The rules don't allow code to read the value.
    #[error("secret `{name}` may not be revealed: use it in a sink, or set it again with `--reveal`")]
    RevealNotAllowed {
        /// The secret.
        name: SecretName,
    },
    /// The handle is no longer valid.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The row of audit can't be written, so the use didn't happen.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Opens values for one request. All uses are allowed and audited before any value is opened.
///
/// The rows are durable when this returns, which is before the request's first byte leaves.
///
/// # Errors
/// The first use that isn't allowed; then no value is opened.
pub async fn disclose(uses: &[(&Secret, Sink)], to: &Destination) -> Result<Vec<Revealed>, UseError> {
    let Some((first, _)) = uses.first() else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::with_capacity(uses.len());
    for (secret, sink) in uses {
        secret.confirm().await?;
        let mut entry = secret.entry(Action::Use);
        entry.destination = Some((*sink, to.clone()));
        let resolved = &secret.resolved;
        if let Err(refusal) = resolved.check(*sink, to) {
            entry.outcome = Outcome::Refused(reason(refusal).to_owned());
            secret.execution.audit.append(vec![entry]).await?;
            return Err(refused(&resolved.name, refusal, *sink, to));
        }
        entries.push(entry);
    }
    first.execution.audit.append(entries).await?;
    let mut values = Vec::with_capacity(uses.len());
    for (secret, _) in uses {
        values.push(Revealed(secret.open(Action::Use).await?));
    }
    Ok(values)
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoHostRule => "no_host_rule",
        Refusal::Host => "host_not_allowed",
        Refusal::Method => "method_not_allowed",
        Refusal::Sink => "sink_not_allowed",
        Refusal::Plain => "plain_http",
    }
}

fn refused(name: &SecretName, refusal: Refusal, sink: Sink, to: &Destination) -> UseError {
    let name = name.clone();
    match refusal {
        Refusal::NoHostRule => UseError::NoHostRule { name, host: to.to.clone() },
        Refusal::Host => UseError::HostNotAllowed { name, host: to.to.clone() },
        Refusal::Method => UseError::MethodNotAllowed { name, method: to.method.clone() },
        Refusal::Sink => UseError::SinkNotAllowed { name, sink },
        Refusal::Plain => UseError::PlainNotAllowed { name },
    }
}
