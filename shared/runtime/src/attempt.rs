//! One attempt at one event: the answers it is pinned to, its HTTP client, its deadline, its leak guard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use undertone_core::redact::Guard;
use undertone_core::resolve::Snapshot;
use undertone_core::{Chain, Execution, Mode, ResolveError, Secret};

use crate::egress::{Clients, Http};
use crate::ledger::Ledger;
use crate::log;

/// Shared by all clones of an event.
pub(crate) struct Attempt {
    pub(crate) clients: Arc<Clients>,
    pub(crate) deadline: Instant,
    pub(crate) mode: Mode,
    pub(crate) ledger: Ledger,
    execution: Arc<Execution>,
    /// The answers of the event's own chain, pinned at the first lookup.
    own: OnceLock<Arc<Snapshot>>,
    /// Those of granted scopes.
    foreign: Mutex<HashMap<Chain, Arc<Snapshot>>>,
}

impl Attempt {
    pub(crate) fn new(
        execution: Arc<Execution>,
        clients: Arc<Clients>,
        ledger: Ledger,
        deadline: Instant,
        own: Option<Arc<Snapshot>>,
    ) -> Arc<Self> {
        let mode = own.as_ref().map_or(Mode::Standard, |own| own.mode());
        let pinned = OnceLock::new();
        if let Some(own) = own {
            log::remember(&own);
            pinned.get_or_init(|| own);
        }
        Arc::new(Self { clients, deadline, mode, ledger, execution, own: pinned, foreign: Mutex::default() })
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn agent(&self) -> String {
        self.execution.declaration().agent.to_string()
    }

    pub(crate) fn http(self: &Arc<Self>) -> Http {
        Http { attempt: self.clone() }
    }

    /// The guards of every secret that this attempt can use: of its own chain, and of the granted
    /// scopes that it has asked so far.
    pub(crate) fn guards(&self) -> Vec<Arc<Guard>> {
        self.snapshots().iter().map(|snapshot| snapshot.guard()).collect()
    }

    fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let foreign = self.foreign.lock().expect("no holder of this lock panics");
        self.own.get().into_iter().chain(foreign.values()).cloned().collect()
    }

    /// The same without the secrets that code may reveal.
    pub(crate) fn sealed_guards(&self) -> Vec<Arc<Guard>> {
        self.snapshots().iter().map(|snapshot| snapshot.sealed_guard()).collect()
    }

    /// Whether the handle is of this attempt.
    pub(crate) fn owns(&self, secret: &Secret) -> bool {
        secret.is_of(&self.execution)
    }

    /// Ends it: its handles are refused from now on.
    pub(crate) fn end(&self) {
        self.execution.end();
    }

    /// The text with every secret masked that this attempt can use.
    pub(crate) fn clean(&self, text: &str) -> String {
        clean(&self.guards(), text)
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

/// The text with every secret masked that one of the guards knows.
pub(crate) fn clean(guards: &[Arc<Guard>], text: &str) -> String {
    guards.iter().fold(text.to_owned(), |text, guard| guard.clean(&text).into_owned())
}
