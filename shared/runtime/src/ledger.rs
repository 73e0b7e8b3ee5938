//! Rows of audit that the runtime itself writes: uses that the network guard refused.
//!
//! Rules of use are checked and audited in core, which knows nothing of addresses.

use std::sync::Arc;

use undertone_core::audit::{Action, Actor, AuditEntry, Outcome};
use undertone_core::{AuditError, AuditLog, Clock, Destination, Scope, Secret, Sink};

/// Where the rows of one attempt go, and in whose name.
pub(crate) struct Ledger {
    actor: Actor,
    asked_in: Option<Scope>,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
}

impl Ledger {
    pub(crate) fn new(
        actor: Actor,
        asked_in: Option<Scope>,
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { actor, asked_in, audit, clock }
    }

    /// A request that held a secret where no sink is.
    pub(crate) async fn leak(&self, name: &str, place: &str, to: &Destination) -> Result<(), AuditError> {
        let entry = AuditEntry {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action: Action::Use,
            scope: None,
            asked_in: self.asked_in.clone(),
            name: name.parse().ok(),
            version: None,
            source_version: None,
            destination: None,
            reason: Some(format!("in the {place} of {} {}", to.method, to.to)),
            outcome: Outcome::Refused("secret_in_request".to_owned()),
        };
        self.audit.append(vec![entry]).await
    }

    /// One row per use of a request that didn't leave. A request without secrets has none.
    pub(crate) async fn record(
        &self,
        uses: &[(&Secret, Sink)],
        to: &Destination,
        outcome: Outcome,
    ) -> Result<(), AuditError> {
        if uses.is_empty() {
            return Ok(());
        }
        let entry = |(secret, sink): &(&Secret, Sink)| AuditEntry {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action: Action::Use,
            scope: Some(secret.scope().clone()),
            asked_in: Some(secret.asked_in().clone()),
            name: Some(secret.name().clone()),
            version: Some(secret.version()),
            source_version: secret.source_version().map(str::to_owned),
            destination: Some((*sink, to.clone())),
            reason: None,
            outcome: outcome.clone(),
        };
        self.audit.append(uses.iter().map(entry).collect()).await
    }
}
