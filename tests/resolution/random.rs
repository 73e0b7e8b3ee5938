//! Random verbs and lookups, each compared with the [model](crate::model): no difference, ever.
//!
//! The seed is fixed, so that a run can be repeated. `UNDERTONE_OPS=1000000 UNDERTONE_SEED=7` does
//! more of it, and other.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use undertone_core::audit::Verified;
use undertone_core::vault::{EmptyValue, SetRequest, Spelling, VaultError, Written};
use undertone_core::{AuditLog, Clock, Rules, Secret, SecretValue, wire};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, send};
use crate::model::{Model, Name, Pinned, Place, Refused};

const PLACES: [Place; 5] = ["live", "live/red", "live/blue", "dev", "dev/red"];
const NAMES: [Name; 3] = ["ALPHA", "BRAVO", "CHARLIE"];
const HOSTS: [&str; 2] = ["slack.com", "api.example.com"];
const RULES: [Option<&[&str]>; 4] =
    [None, Some(&["slack.com"]), Some(&["slack.com", "api.example.com"]), Some(&["api.example.com"])];

/// A world is left after so many operations: a store in memory clones itself at each write, and
/// beginnings are where the interesting states are.
const OPERATIONS_PER_WORLD: usize = 250;

#[tokio::test]
async fn no_operation_makes_the_product_differ_from_the_model() {
    let number = |name: &str, otherwise: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => otherwise,
    };
    let operations = usize::try_from(number("UNDERTONE_OPS", 100_000)).expect("it fits");
    let seed = number("UNDERTONE_SEED", 20_260_731);
    println!("UNDERTONE_OPS={operations} UNDERTONE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (mut done, mut tally) = (0, Tally::default());
    while done < operations {
        let mut run =
            Run::new(rng.fork(), format!("UNDERTONE_SEED={seed}, world from operation {done}")).await;
        let count = OPERATIONS_PER_WORLD.min(operations - done);
        for _ in 0..count {
            run.step(&mut tally).await;
        }
        run.finish().await;
        done += count;
    }
    println!("{done} operations, {tally:?}");
    assert!(tally.values * 10 > done && tally.refusals * 10 > done, "the mix is a mix: {tally:?}");
}

/// What was seen, so that a run that saw nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    values: usize,
    refusals: usize,
    opened: usize,
    pinned: usize,
    pinned_refused: usize,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Set { rules: usize, expires_in: Option<u64>, empty: bool },
    Block,
    Unset,
    Delete,
    Restore(u64),
    Revoke(u64),
    Disable,
    Enable,
    Lock,
    Unlock,
    Destroy,
    Wait(u64),
    Purge,
    Resolve,
    UseHandle,
}

struct Run {
    rng: Rng,
    world: World,
    asker: Asker,
    model: Model,
    handles: VecDeque<(Secret, Pinned)>,
    values: u64,
    log: Vec<String>,
    origin: String,
}

impl Run {
    async fn new(rng: Rng, origin: String) -> Self {
        let world = World::new().await;
        let asker = Asker::new(&world, &NAMES);
        let (model, handles, log) = (Model::default(), VecDeque::new(), Vec::new());
        Self { rng, world, asker, model, handles, values: 0, log, origin }
    }

    async fn step(&mut self, tally: &mut Tally) {
        let place = PLACES[self.rng.usize(..PLACES.len())];
        let name = NAMES[self.rng.usize(..NAMES.len())];
        let operation = self.choose(place, name);
        self.log.push(format!("{operation:?} {name} in {place}"));
        self.apply(operation, place, name, tally).await;
        if !matches!(operation, Operation::Resolve | Operation::UseHandle) {
            self.compare_environment(place, tally).await;
        }
        self.compare_name(place, name, tally).await;
    }

    fn choose(&mut self, place: Place, name: Name) -> Operation {
        let version = self.rng.u64(1..=self.model.latest(place, name) + 1);
        match self.rng.u8(..100) {
            0..22 => Operation::Set {
                rules: self.rng.usize(..RULES.len()),
                expires_in: [None, None, None, Some(30), Some(90)][self.rng.usize(..5)],
                empty: self.rng.u8(..8) == 0,
            },
            22..28 => Operation::Block,
            28..33 => Operation::Unset,
            33..37 => Operation::Delete,
            37..43 => Operation::Restore(version),
            43..47 => Operation::Revoke(version),
            47..50 => Operation::Disable,
            50..54 => Operation::Enable,
            54..58 => Operation::Lock,
            58..63 => Operation::Unlock,
            63..66 => Operation::Destroy,
            // Never near the moment at which something expires, whatever the machine's own time does.
            66..69 => Operation::Wait(20),
            69 if self.rng.bool() => Operation::Wait(31 * 24 * 60 * 60),
            69 => Operation::Purge,
            70..85 => Operation::Resolve,
            _ => Operation::UseHandle,
        }
    }

    async fn apply(&mut self, operation: Operation, place: Place, name: Name, tally: &mut Tally) {
        let (at, secret, vault) = (scope(place), self::name(name), &self.world.vault);
        let model = &mut self.model;
        let unchanged = |done: Result<(), Refused>| done.map(|()| None);
        let (done, want) = match operation {
            Operation::Set { rules, expires_in, empty } => {
                self.values += 1;
                let value = if empty { Vec::new() } else { format!("value-{}", self.values).into_bytes() };
                let request = SetRequest {
                    rules: RULES[rules].map_or_else(Rules::default, hosts),
                    expires_at: expires_in
                        .map(|seconds| self.world.clock.now() + Duration::from_secs(seconds)),
                    empty: EmptyValue::Allowed,
                    ..SetRequest::new(secret, SecretValue::new(value.clone()).expect("it is short"))
                };
                let version = model.set(place, name, value, RULES[rules], expires_in);
                (vault.set(&at, request).await, Ok(Some(version)))
            }
            Operation::Block => {
                let version = model.block(place, name);
                (vault.block(&at, &secret, Spelling::Canonical).await, Ok(Some(version)))
            }
            Operation::Unset => {
                let foreseen = vault.preview_without(&at, &secret).await;
                let done = vault.unset(&at, &secret).await;
                self.check_foreseen(foreseen.map(|after| wire::explanation(&after)), &done);
                (done, unchanged(self.model.unset(place, name)))
            }
            Operation::Delete => {
                let foreseen = vault.preview_without(&at, &secret).await;
                let done = vault.delete(&at, &secret).await;
                // A row that was unset can be deleted too, and then nothing changes for anybody.
                if foreseen.is_ok() {
                    self.check_foreseen(foreseen.map(|after| wire::explanation(&after)), &done);
                }
                (done, unchanged(self.model.delete(place, name)))
            }
            Operation::Restore(version) => {
                let want = model.restore(place, name, version).map(|()| Some(version));
                (vault.restore(&at, &secret, version).await, want)
            }
            Operation::Revoke(version) => {
                let want = model.revoke(place, name, version).map(|()| Some(version));
                (vault.revoke(&at, &secret, version).await, want)
            }
            Operation::Disable => {
                (vault.disable(&at, &secret).await, unchanged(model.set_disabled(place, name, true)))
            }
            Operation::Enable => {
                (vault.enable(&at, &secret).await, unchanged(model.set_disabled(place, name, false)))
            }
            Operation::Lock => {
                (vault.lock(&at, &secret).await, unchanged(model.set_locked(place, name, true)))
            }
            Operation::Unlock => {
                (vault.unlock(&at, &secret).await, unchanged(model.set_locked(place, name, false)))
            }
            Operation::Destroy => (vault.destroy(&at, &secret).await, unchanged(model.destroy(place, name))),
            Operation::Wait(seconds) => {
                self.world.clock.forward(Duration::from_secs(seconds));
                return model.wait(seconds);
            }
            Operation::Purge => {
                let purged = vault.purge(&at).await.expect("the store is well");
                let purged: Vec<String> = purged.iter().map(ToString::to_string).collect();
                assert_eq!(purged, model.purge(place), "{}", self.story());
                return;
            }
            // Looked up below, like everything; here a handle is kept.
            Operation::Resolve => return self.keep_handle(place, name).await,
            Operation::UseHandle => return self.use_handle(tally).await,
        };
        let after = match &done {
            Ok(written) => Some(wire::explanation(&written.after)),
            Err(_) => None,
        };
        let done = done.map(|written| written.version).map_err(refused);
        assert_eq!(done, want, "{}", self.story());
        if let Some(after) = after {
            let explained =
                self.world.vault.explain(&at, &self::name(name)).await.expect("the store is well");
            assert_eq!(after, wire::explanation(&explained), "what the verb says it did\n{}", self.story());
        }
    }

    /// A verb that takes a row out says beforehand what will win.
    fn check_foreseen(
        &self,
        foreseen: Result<serde_json::Value, VaultError>,
        done: &Result<Written, VaultError>,
    ) {
        let done = done.as_ref().map(|written| wire::explanation(&written.after)).map_err(Clone::clone);
        assert_eq!(foreseen, done, "{}", self.story());
    }

    async fn keep_handle(&mut self, place: Place, name: Name) {
        if let (Ok(handle), Some(pinned)) =
            (self.asker.handle(place, name).await, self.model.pin(place, name))
        {
            self.handles.push_back((handle, pinned));
            if 8 < self.handles.len() {
                self.handles.pop_front();
            }
        }
    }

    async fn use_handle(&mut self, tally: &mut Tally) {
        if self.handles.is_empty() {
            return;
        }
        let (handle, pinned) = &self.handles[self.rng.usize(..self.handles.len())];
        let host = HOSTS[self.rng.usize(..HOSTS.len())];
        let want = self.model.send(pinned, host);
        tally.pinned += usize::from(matches!(want, Answer::Value { .. }));
        tally.pinned_refused += usize::from(!matches!(want, Answer::Value { .. }));
        assert_eq!(send(handle, host).await, want, "{handle:?} to {host}\n{}", self.story());
    }

    /// Every name along every chain of the Environment.
    async fn compare_environment(&self, touched: Place, tally: &mut Tally) {
        let environment = scope(touched).environment().clone();
        for place in PLACES.into_iter().filter(|place| *scope(place).environment() == environment) {
            let attempt = self.asker.attempt();
            let snapshot = attempt.snapshot(&scope(place).chain()).await.expect("the store is well");
            for name in NAMES {
                let want = without_value(self.model.answer(place, name));
                let got = match attempt.handle(&snapshot, name) {
                    Ok(handle) => {
                        let (scope, version) = (handle.scope().clone(), handle.version());
                        Answer::Value { value: Vec::new(), scope, version }
                    }
                    Err(error) => Answer::from(error),
                };
                tally.values += usize::from(matches!(got, Answer::Value { .. }));
                tally.refusals += usize::from(!matches!(got, Answer::Value { .. }));
                assert_eq!(got, want, "{name} in {place}\n{}", self.story());
            }
        }
    }

    /// The name that was touched: its value as it leaves, its rules, its explanation.
    async fn compare_name(&mut self, place: Place, name: Name, tally: &mut Tally) {
        let host = HOSTS[self.rng.usize(..HOSTS.len())];
        if let Some(pinned) = self.model.pin(place, name) {
            let handle = self.asker.handle(place, name).await.expect("the model has a value");
            let (got, want) = (send(&handle, host).await, self.model.send(&pinned, host));
            assert_eq!(got, want, "{name} in {place} to {host}\n{}", self.story());
            tally.opened += 1;
        }
        let explained = self.world.vault.explain(&scope(place), &self::name(name)).await;
        let explained = explained.expect("the store is well");
        let layers = explained.layers.iter();
        let layers = layers.map(|layer| (layer.state.as_str(), layer.role.as_str(), layer.locked));
        assert_eq!(layers.collect::<Vec<_>>(), self.model.layers(place, name), "{}", self.story());
        let (result, winner) = in_words(&self.model.answer(place, name));
        let explained = (explained.result.as_str(), explained.winner.map(|(at, _)| at));
        assert_eq!(explained, (result, winner), "{name} in {place}\n{}", self.story());
    }

    async fn finish(self) {
        let rows = self.world.audit.last().await.expect("audit in memory works");
        let verified = self.world.audit.verify().await.expect("audit in memory works");
        assert_eq!(verified, Verified::Intact { rows }, "{}", self.origin);
    }

    fn story(&self) -> String {
        let from = self.log.len().saturating_sub(40);
        format!("{}, its operation {}:\n{}", self.origin, self.log.len(), self.log[from..].join("\n"))
    }
}

fn refused(error: VaultError) -> Refused {
    match error {
        VaultError::NoRow { .. } => Refused::NoRow,
        VaultError::NoVersion { .. } => Refused::NoVersion,
        VaultError::VersionRevoked { .. } => Refused::VersionRevoked,
        VaultError::NotLockable(_) => Refused::NotLockable,
        error => panic!("no operation means this: {error}"),
    }
}

fn without_value(answer: Answer) -> Answer {
    match answer {
        Answer::Value { scope, version, .. } => Answer::Value { value: Vec::new(), scope, version },
        other => other,
    }
}

fn in_words(answer: &Answer) -> (&'static str, Option<undertone_core::Scope>) {
    match answer {
        Answer::Value { scope, .. } => ("value", Some(scope.clone())),
        Answer::Blocked(at) => ("blocked", Some(at.clone())),
        Answer::Disabled(at) => ("disabled", Some(at.clone())),
        Answer::Expired(at) => ("expired", Some(at.clone())),
        Answer::Revoked(at, _) => ("revoked", Some(at.clone())),
        Answer::NotFound => ("absent", None),
        other => panic!("the model never says {other:?}"),
    }
}
