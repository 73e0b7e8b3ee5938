//! One attempt at one event: the answers it is pinned to, its HTTP client, its deadline, its leak guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use undertone_core::redact::Guard;
use undertone_core::resolve::Snapshot;
use undertone_core::{Chain, Execution, Mode, ResolveError, Secret};

use crate::egress::{Clients, Http};
use crate::log;

/// Shared by all clones of an event.
pub(crate) struct Attempt {
    execution: Arc<Execution>,
    clients: Arc<Clients>,
    deadline: Instant,
    /// The answers of the event's own chain, pinned at the first lookup.
    own: OnceLock<Arc<Snapshot>>,
    /// Those of granted scopes.
    foreign: Mutex<HashMap<Chain, Arc<Snapshot>>>,
    mode: Mode,
}

impl Attempt {
    pub(crate) fn new(
        execution: Arc<Execution>,
        clients: Arc<Clients>,
        deadline: Instant,
        own: Option<Arc<Snapshot>>,
    ) -> Arc<Self> {
        let mode = own.as_ref().map_or(Mode::Standard, |own| own.mode());
        let pinned = OnceLock::new();
        if let Some(own) = own {
            log::remember(&own);
            pinned.get_or_init(|| own);
        }
        Arc::new(Self { execution, clients, deadline, own: pinned, foreign: Mutex::default(), mode })
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn agent(&self) -> String {
        self.execution.declaration().agent.to_string()
    }

    pub(crate) fn http(self: &Arc<Self>) -> Http {
        let attempt = self.clone();
        Http {
            clients: self.clients.clone(),
            mode: self.mode,
            deadline: self.deadline,
            guard: Arc::new(move || attempt.guard()),
        }
    }

    /// The guard of every secret that this attempt can use.
    pub(crate) fn guard(&self) -> Arc<Guard> {
        match self.own.get() {
            Some(own) => own.guard(),
            None => Arc::new(Guard::empty()),
        }
    }

    /// The guards of the granted scopes that were used.
    pub(crate) fn foreign_guards(&self) -> Vec<Arc<Guard>> {
        let foreign = self.foreign.lock().expect("no holder of this lock panics");
        foreign.values().map(|snapshot| snapshot.guard()).collect()
    }

    /// The pinned answer of the event's own chain: no lock, no allocation.
    pub(crate) fn own_handle(&self, name: &str) -> Option<Result<Secret, ResolveError>> {
        let own = self.own.get()?;
        Some(self.execution.handle(own, name))
    }

    /// The handle for a name in a scope that isn't the event's own.
    pub(crate) async fn foreign_handle(&self, chain: &Chain, name: &str) -> Result<Secret, ResolveError> {
        let declaration = self.execution.declaration();
        if !declaration.is_granted(chain) {
            return Err(ResolveError::Forbidden {
                agent: declaration.agent.to_string(),
                scope: chain.nearest(),
            });
        }
        let pinned = self.foreign.lock().expect("no holder of this lock panics").get(chain).cloned();
        let snapshot = match pinned {
            Some(snapshot) => snapshot,
            None => {
                let fetched = self.execution.snapshot(chain).await?;
                log::remember(&fetched);
                let mut foreign = self.foreign.lock().expect("no holder of this lock panics");
                foreign.entry(chain.clone()).or_insert(fetched).clone()
            }
        };
        self.execution.handle(&snapshot, name)
    }

    /// Audits a refused lookup; if that can't be done, the answer is that.
    pub(crate) async fn refused(&self, chain: &Chain, name: &str, error: ResolveError) -> ResolveError {
        match self.execution.record_refusal(chain, name, &error).await {
            Ok(()) => error,
            Err(audit) => {
                ResolveError::Unavailable { name: undertone_core::escaped(name), problem: audit.to_string() }
            }
        }
    }
}
