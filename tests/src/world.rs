//! A world in memory: Environments and Spaces, a vault to change them, a network, and a runtime over all of it.
//!
//! `live` is a standard Environment, `dev` a development one; each has the Spaces `red` and `blue`.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::CertificateDer;
use undertone_core::audit::Actor;
use undertone_core::memory::{MemoryAudit, MemoryKeys, MemoryStore};
use undertone_core::resolve::Freshness;
use undertone_core::vault::{EmptyValue, SetRequest, Spelling, Vault};
use undertone_core::{AuditLog, Clock, Mode, Rules, Scope, SecretName, SecretValue};
use undertone_runtime::{Event, EventData, Listener, Ports, Report, Runtime};

use crate::network::Network;

/// What a handler may take when a test says nothing else.
pub const BUDGET: Duration = Duration::from_secs(10);

/// The topic of events that are about nothing else than the test.
pub const TOPIC: &str = "test:run";

/// See the module.
pub struct World {
    /// Where the rows are.
    pub store: Arc<MemoryStore>,
    /// Where the scope keys are.
    pub keys: Arc<MemoryKeys>,
    /// Where the rows of audit go.
    pub audit: Arc<MemoryAudit>,
    /// Time that can be moved.
    pub clock: Arc<MovedClock>,
    /// Changes secrets.
    pub vault: Vault,
    /// Answers lookups.
    pub network: Arc<Network>,
    /// Authorities that runtimes trust beside those of the machine.
    pub roots: Vec<CertificateDer<'static>>,
    /// What operators granted to every listener of this world.
    pub granted: Vec<Scope>,
    /// What one event may take.
    pub budget: Duration,
    names: Mutex<BTreeSet<String>>,
    desk: Mutex<Option<Arc<Desk>>>,
}

/// A runtime whose one handler does what [`World::within`] brings. Making one takes a while.
struct Desk {
    made_for: (BTreeSet<String>, usize, Vec<Scope>),
    runtime: Runtime,
    work: Arc<Mutex<HashMap<String, Task>>>,
}

type Task = Box<dyn FnOnce(Event) -> BoxFuture<'static, ()> + Send>;

impl World {
    /// A world with no secret in it.
    pub async fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let keys = Arc::new(MemoryKeys::default());
        let audit = Arc::new(MemoryAudit::default());
        let clock = Arc::new(MovedClock::default());
        let actor = Actor::Operator("tester".into());
        let vault =
            Vault::new(store.clone(), keys.clone(), keys.clone(), audit.clone(), clock.clone(), actor);
        for (environment, mode) in [("live", Mode::Standard), ("dev", Mode::Development)] {
            let environment: undertone_core::EnvironmentId = environment.parse().expect("an id");
            vault.create_environment(environment.clone(), mode).await.expect("a new Environment");
            for space in ["red", "blue"] {
                let space = space.parse().expect("an id");
                vault.create_space(environment.clone(), space).await.expect("a new Space");
            }
        }
        let network = Arc::new(Network::default());
        network.answer("localhost", &[&["127.0.0.1"]]);
        Self {
            store,
            keys,
            audit,
            clock,
            vault,
            network,
            roots: Vec::new(),
            granted: Vec::new(),
            budget: BUDGET,
            names: Mutex::default(),
            desk: Mutex::default(),
        }
    }

    /// Sets a secret without rules. `at` is `dev` or `dev/red`.
    pub async fn set(&self, at: &str, name: &str, value: impl AsRef<[u8]>) {
        self.set_with(at, name, value, Rules::default()).await;
    }

    /// Sets a secret with rules.
    pub async fn set_with(&self, at: &str, name: &str, value: impl AsRef<[u8]>, rules: Rules) {
        self.declare(name);
        self.vault.set(&scope(at), request(name, value.as_ref(), rules)).await.expect("a secret is set");
    }

    /// Sets a secret that expires so much later.
    pub async fn set_until(&self, at: &str, name: &str, value: impl AsRef<[u8]>, later: Duration) {
        self.declare(name);
        let expires_at = Some(self.clock.now() + later);
        let request = SetRequest { expires_at, ..request(name, value.as_ref(), Rules::default()) };
        self.vault.set(&scope(at), request).await.expect("a secret is set");
    }

    /// Lets [`World::listener`] declare a name that has no value.
    pub fn declare(&self, name: &str) {
        self.names.lock().expect("no test panics with this lock").insert(name.to_owned());
    }

    /// A listener that declares every name that this world knows.
    pub fn listener(&self) -> Listener {
        let names = self.names.lock().expect("no test panics with this lock");
        names.iter().fold(Listener::new("tester"), |listener, name| listener.uses(name.as_str()))
    }

    /// A runtime over this world.
    pub fn runtime(&self, listener: Listener) -> Runtime {
        let ports = Ports {
            store: self.store.clone(),
            opener: self.keys.clone(),
            audit: self.audit.clone(),
            clock: self.clock.clone(),
            external: None,
        };
        let (granted, freshness) = (self.granted.clone(), Freshness::default());
        Runtime::with_test_network(listener, ports, granted, freshness, self.network.clone(), &self.roots)
            .expect("a runtime over a world in memory")
    }

    /// Dispatches one event to a listener.
    pub async fn dispatch(&self, listener: Listener, event: &EventData) -> Report {
        self.runtime(listener).dispatch(event, self.budget).await.expect("the event's scope can be read")
    }

    /// Runs work as the one handler of one event and gives back what it gave.
    pub async fn within<T, Work, Running>(&self, at: &str, work: Work) -> T
    where
        T: Send + 'static,
        Work: FnOnce(Event) -> Running + Send + 'static,
        Running: Future<Output = T> + Send + 'static,
    {
        let given = Arc::new(Mutex::new(None));
        let keep = given.clone();
        let work: Task = Box::new(move |event| {
            Box::pin(async move {
                let value = work(event).await;
                *keep.lock().expect("no test panics with this lock") = Some(value);
            })
        });
        let (desk, event) = (self.desk(), event(TOPIC, at));
        desk.work.lock().expect("no test panics with this lock").insert(event.id().to_owned(), work);
        let report = desk.runtime.dispatch(&event, self.budget).await;
        let given = given.lock().expect("no test panics with this lock").take();
        given.unwrap_or_else(|| panic!("the handler gave nothing: {report:?}"))
    }

    fn desk(&self) -> Arc<Desk> {
        let names = self.names.lock().expect("no test panics with this lock").clone();
        let made_for = (names, self.roots.len(), self.granted.clone());
        let mut desk = self.desk.lock().expect("no test panics with this lock");
        if let Some(desk) = desk.as_ref().filter(|desk| desk.made_for == made_for) {
            return desk.clone();
        }
        let work: Arc<Mutex<HashMap<String, Task>>> = Arc::default();
        let waiting = work.clone();
        let listener = self.listener().on(TOPIC, move |event: Event| {
            let work = waiting.lock().expect("no test panics with this lock").remove(event.id());
            let running = work.expect("work was brought for the event")(event);
            async move {
                running.await;
                Ok(())
            }
        });
        let made = Arc::new(Desk { made_for, runtime: self.runtime(listener), work });
        *desk = Some(made.clone());
        made
    }

    /// The rows of audit that listeners caused, oldest first.
    pub async fn rows(&self) -> Vec<Value> {
        let rows = self.audit.read(0, usize::MAX).await.expect("audit in memory can be read");
        let body = |row: &undertone_core::audit::AuditRow| {
            serde_json::from_str::<Value>(&row.body).expect("a row is JSON")
        };
        rows.iter().map(body).filter(|row| row["actor"]["agent"].is_string()).collect()
    }

    /// Those rows in short: `secret.use TOKEN allowed`, with the reason behind it if there is one.
    pub async fn rows_in_short(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let short = |row: &Value| {
            let fields = [&row["action"], &row["name"], &row["outcome"], &row["detail"]];
            fields.map(text).join(" ").trim_end().to_owned()
        };
        self.rows().await.iter().map(short).collect()
    }
}

/// A handler that can run once, from work that can.
pub fn once<Work, Running, R>(
    work: Work,
) -> impl Fn(Event) -> BoxFuture<'static, undertone_runtime::Result<R>> + Send + Sync + 'static
where
    Work: FnOnce(Event) -> Running + Send + 'static,
    Running: Future<Output = undertone_runtime::Result<R>> + Send + 'static,
    R: 'static,
{
    let work = Mutex::new(Some(work));
    move |event| {
        let work = work.lock().expect("no test panics with this lock").take();
        Box::pin(work.expect("the handler runs once")(event))
    }
}

/// `dev` or `dev/red`.
pub fn scope(at: &str) -> Scope {
    match at.split_once('/') {
        None => Scope::Environment(at.parse().expect("an id")),
        Some((environment, space)) => {
            Scope::Space(environment.parse().expect("an id"), space.parse().expect("an id"))
        }
    }
}

/// A name.
pub fn name(text: &str) -> SecretName {
    text.parse().expect("a name of a test is one")
}

/// An event of a scope.
pub fn event(topic: &str, at: &str) -> EventData {
    event_with(topic, at, Value::Null)
}

/// An event of a scope with a payload.
pub fn event_with(topic: &str, at: &str, payload: Value) -> EventData {
    let scope = scope(at);
    let context = json!({
        "environmentId": scope.environment().as_str(),
        "spaceId": scope.space().map(|space| space.as_str()),
    });
    let event = json!({ "topic": topic, "context": context, "payload": payload });
    EventData::from_json(event).expect("an event of a test is one")
}

/// Rules that name hosts and nothing else.
pub fn hosts(hosts: &[&str]) -> Rules {
    Rules { hosts: set(hosts), ..Rules::default() }
}

/// One rule's values.
pub fn set<T: FromStr + Ord>(texts: &[&str]) -> Option<BTreeSet<T>> {
    let parse = |text: &&str| text.parse().ok().expect("a rule of a test is one");
    Some(texts.iter().map(parse).collect())
}

fn request(name: &str, value: &[u8], rules: Rules) -> SetRequest {
    let value = SecretValue::new(value.to_vec()).expect("a value of a test fits");
    let request = SetRequest::new(self::name(name), value);
    SetRequest { rules, spelling: Spelling::Any, empty: EmptyValue::Allowed, ..request }
}

/// The machine's clock, moved forward by hand.
pub struct MovedClock {
    started: Instant,
    moved: Mutex<Duration>,
}

impl Default for MovedClock {
    fn default() -> Self {
        Self { started: Instant::now(), moved: Mutex::default() }
    }
}

impl MovedClock {
    /// Lets so much time pass at once.
    pub fn forward(&self, by: Duration) {
        *self.moved.lock().expect("no test panics with this lock") += by;
    }

    fn moved(&self) -> Duration {
        *self.moved.lock().expect("no test panics with this lock")
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.moved()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed() + self.moved()
    }
}
