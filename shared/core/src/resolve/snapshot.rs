//! Snapshots: what a chain says to one agent at one moment, every secret still sealed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use super::error::ResolveError;
use super::key_cache::OpenKey;
use super::resolver::Freshness;
use crate::clock::{Clock, Moment};
use crate::host::HostRule;
use crate::id::SecretId;
use crate::keys::WrappedKey;
use crate::name::SecretName;
use crate::record::{Context, KeyScope, Kind, Plaintext, RecordError, open};
use crate::redact::Guard;
use crate::rules::{Destination, EffectiveRules, Mode, Refusal, Reveal, Sink};
use crate::scope::Scope;
use crate::store::Epoch;

/// The purpose of an ordinary secret's records.
pub(crate) const PURPOSE: &str = "secret";

/// One chain as one agent sees it at one moment: an answer for every declared name.
pub struct Snapshot {
    mode: Mode,
    pub(super) epoch: Epoch,
    loaded: Moment,
    /// When the store last said that nothing has changed; shared with what was resolved here.
    asked: Asked,
    /// The first moment at which a row expires.
    expires_at: Option<Timestamp>,
    answers: HashMap<SecretName, Result<Arc<Resolved>, ResolveError>>,
    /// The scope keys behind the answers, each once.
    keys: Vec<Arc<OpenKey>>,
    guard: OnceLock<Arc<Guard>>,
    sealed_guard: OnceLock<Arc<Guard>>,
}

/// One version of one secret, sealed, with the key that opens it and the rules that bind it.
pub struct Resolved {
    pub(crate) name: SecretName,
    pub(crate) id: SecretId,
    pub(crate) scope: Scope,
    pub(crate) asked_in: Scope,
    pub(crate) version: u64,
    pub(crate) mode: Mode,
    pub(crate) rules: EffectiveRules,
    /// The hosts to which the agent limits itself.
    pub(super) declared: Option<BTreeSet<HostRule>>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) epoch: Epoch,
    pub(super) policy: [u8; 32],
    pub(super) record: Arc<[u8]>,
    pub(super) key_scope: KeyScope,
    pub(super) key: Mutex<Arc<OpenKey>>,
    /// The key as the store has it; `None` for an external secret, which is sealed for this process.
    pub(super) wrapped: Option<WrappedKey>,
    /// The id that another service gave to the version of an external secret.
    pub(crate) source_version: Option<Arc<str>>,
    pub(super) asked: Asked,
}

/// The moment at which the store last said that nothing has changed.
#[derive(Clone)]
pub(super) struct Asked(Arc<Mutex<Moment>>);

impl Asked {
    pub(super) fn at(moment: Moment) -> Self {
        Self(Arc::new(Mutex::new(moment)))
    }

    pub(super) fn again(&self, moment: Moment) {
        *self.0.lock().expect("no holder of this lock panics") = moment;
    }

    pub(super) fn is_within(&self, time: Duration, clock: &dyn Clock) -> bool {
        self.0.lock().expect("no holder of this lock panics").is_within(time, clock)
    }
}

impl Snapshot {
    pub(super) fn new(
        (epoch, mode): (Epoch, Mode),
        expires_at: Option<Timestamp>,
        (loaded, asked): (Moment, Asked),
        answers: HashMap<SecretName, Result<Arc<Resolved>, ResolveError>>,
    ) -> Self {
        let mut keys: Vec<Arc<OpenKey>> = Vec::new();
        for resolved in answers.values().flatten().filter(|resolved| resolved.wrapped.is_some()) {
            let key = resolved.key();
            if !keys.iter().any(|known| Arc::ptr_eq(known, &key)) {
                keys.push(key);
            }
        }
        let (guard, sealed_guard) = (OnceLock::new(), OnceLock::new());
        Self { mode, epoch, loaded, asked, expires_at, answers, keys, guard, sealed_guard }
    }

    /// The answer for a declared name; `None` for any other.
    pub fn get(&self, name: &str) -> Option<&Result<Arc<Resolved>, ResolveError>> {
        self.answers.get(name)
    }

    /// What kind of Environment it is.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The leak guard, loaded with every secret that an execution over this snapshot can use.
    ///
    /// A record that doesn't open is left out: nobody can leak what nobody can read.
    pub fn guard(&self) -> Arc<Guard> {
        self.guard.get_or_init(|| self.load_guard(|_| true)).clone()
    }

    /// The same without the secrets that code may reveal: what of a request may hold no value.
    pub fn sealed_guard(&self) -> Arc<Guard> {
        let sealed = |resolved: &Resolved| resolved.rules.reveal() == Reveal::Refused;
        self.sealed_guard.get_or_init(|| self.load_guard(sealed)).clone()
    }

    fn load_guard(&self, wanted: impl Fn(&Resolved) -> bool) -> Arc<Guard> {
        let mut guard = Guard::builder();
        for resolved in self.answers.values().flatten().filter(|resolved| wanted(resolved)) {
            if let Ok(value) = resolved.open() {
                guard = guard.add(resolved.name.as_str(), &value);
            }
        }
        Arc::new(guard.build())
    }

    pub(super) fn is_fresh(&self, freshness: Freshness, clock: &dyn Clock) -> bool {
        self.asked.is_within(freshness.unasked, clock) && self.is_young(freshness, clock)
    }

    /// The store says that nothing has changed.
    pub(super) fn asked_again(&self, moment: Moment) {
        self.asked.again(moment);
    }

    /// Whether the same rows would be answered the same a moment later: a key service that was
    /// away may be back, though nothing in the store changes.
    pub(super) fn is_settled(&self) -> bool {
        let mut errors = self.answers.values().filter_map(|answer| answer.as_ref().err());
        !errors.any(ResolveError::is_retryable)
    }

    pub(super) fn is_young(&self, freshness: Freshness, clock: &dyn Clock) -> bool {
        self.loaded.is_within(freshness.longest, clock)
            && self.expires_at.is_none_or(|at| clock.now() < at)
            && self.keys.iter().all(|key| key.is_valid(clock))
    }
}

impl Resolved {
    /// The one place where a use in a sink is allowed or refused: by the owners' rules, and then
    /// by what the agent declared.
    pub(crate) fn check(&self, sink: Sink, to: &Destination) -> Result<(), Refusal> {
        self.rules.check(self.mode, sink, to)?;
        match &self.declared {
            Some(hosts) if !hosts.iter().any(|rule| rule.covers(&to.to)) => Err(Refusal::Host),
            Some(_) | None => Ok(()),
        }
    }

    /// Opens the record. Callers are the sink, `reveal` and the leak guard, nobody else.
    pub(crate) fn open(&self) -> Result<Plaintext, RecordError> {
        let context = Context {
            scope: &self.key_scope,
            name: self.name.as_str(),
            version: self.version,
            kind: Kind::Value,
            purpose: PURPOSE,
            policy: self.policy,
        };
        open(self.key().key(), &context, &self.record)
    }

    /// The key that opens it, from its last unwrapping.
    pub(super) fn key(&self) -> Arc<OpenKey> {
        self.key.lock().expect("no holder of this lock panics").clone()
    }

    /// The key was unwrapped anew.
    pub(super) fn renew_key(&self, key: Arc<OpenKey>) {
        *self.key.lock().expect("no holder of this lock panics") = key;
    }

    /// Whether its key is used although it was due to be unwrapped again, since the service is away.
    pub(crate) fn has_stale_key(&self) -> bool {
        self.key().is_stale()
    }
}
