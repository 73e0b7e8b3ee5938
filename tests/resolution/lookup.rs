//! One lookup, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_core::audit::Actor;
use undertone_core::memory::MemoryAudit;
use undertone_core::resolve::{Freshness, Snapshot};
use undertone_core::{
    Declaration, Destination, Execution, ExternalSource, HostPort, HostRule, Opener, ReadStore, ResolveError,
    Resolver, Scope, Secret, Sink, Transport, UseError, disclose,
};
use undertone_tests::world::{World, name, scope};

/// Where a lookup sends what it found, to see it.
pub const HOST: &str = "slack.com";

/// What came of a lookup, and of a use of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Value { value: Vec<u8>, scope: Scope, version: u64 },
    NotFound,
    NotDeclared,
    Blocked(Scope),
    Disabled(Scope),
    Expired(Scope),
    Revoked(Scope, u64),
    Unreadable(Scope),
    Unavailable,
    Denied(Scope),
    HostRefused,
}

/// An agent that asks. Every lookup is an attempt of its own, over one resolver.
pub struct Asker {
    resolver: Arc<Resolver>,
    declaration: Arc<Declaration>,
    audit: Arc<MemoryAudit>,
    store: Arc<dyn ReadStore>,
    opener: Arc<dyn Opener>,
}

impl Asker {
    /// An agent of the world that declares these names and limits none of them.
    pub fn new(world: &World, names: &[&str]) -> Self {
        Self::over(world, world.store.clone(), world.keys.clone(), names)
    }

    /// The same over another store or key service.
    pub fn over(world: &World, store: Arc<dyn ReadStore>, opener: Arc<dyn Opener>, names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name, None)).collect();
        Self::limited(world, store, opener, &names)
    }

    /// The same with the hosts to which the agent limits itself.
    pub fn limited(
        world: &World,
        store: Arc<dyn ReadStore>,
        opener: Arc<dyn Opener>,
        names: &[(&str, Option<&[&str]>)],
    ) -> Self {
        let host = |host: &&str| host.parse::<HostRule>().expect("a host of a test is one");
        let hosts = |hosts: &[&str]| hosts.iter().map(host).collect();
        let secrets: BTreeMap<_, _> =
            names.iter().map(|(text, limit)| (name(text), limit.map(hosts))).collect();
        let agent = "tester".parse().expect("a slug");
        let declaration = Arc::new(Declaration { agent, secrets, granted: Vec::new() });
        let clock = world.clock.clone();
        let resolver = Resolver::new(store.clone(), opener.clone(), clock, Freshness::default());
        Self { resolver: Arc::new(resolver), declaration, audit: world.audit.clone(), store, opener }
    }

    /// The same, able to fetch external secrets.
    pub fn with_external(self, world: &World, source: Arc<dyn ExternalSource>) -> Self {
        let (store, opener) = (self.store.clone(), self.opener.clone());
        let resolver = Resolver::new(store, opener, world.clock.clone(), Freshness::default());
        let resolver = resolver.with_external(source);
        Self { resolver: Arc::new(resolver), ..self }
    }

    pub fn attempt(&self) -> Arc<Execution> {
        let actor = Actor::Agent { agent: "tester".into(), event: "evt_1".into() };
        Execution::new(actor, self.declaration.clone(), self.resolver.clone(), self.audit.clone())
    }

    pub async fn snapshot(&self, at: &str) -> Result<Arc<Snapshot>, ResolveError> {
        self.attempt().snapshot(&scope(at).chain()).await
    }

    pub async fn handle(&self, at: &str, name: &str) -> Result<Secret, ResolveError> {
        let attempt = self.attempt();
        let snapshot = attempt.snapshot(&scope(at).chain()).await?;
        attempt.handle(&snapshot, name)
    }

    /// Looks the name up and sends what was found to [`HOST`].
    pub async fn ask(&self, at: &str, name: &str) -> Answer {
        match self.handle(at, name).await {
            Ok(secret) => send(&secret, HOST).await,
            Err(error) => Answer::from(error),
        }
    }
}

/// Sends a secret to a host as a listener's request would.
pub async fn send(secret: &Secret, host: &str) -> Answer {
    let to = Destination {
        method: "POST".parse().expect("a method"),
        to: HostPort { host: host.to_owned(), port: 443 },
        transport: Transport::Tls,
    };
    match disclose(&[(secret, Sink::Bearer)], &to).await {
        Ok(values) => Answer::Value {
            value: values[0].expose().to_vec(),
            scope: secret.scope().clone(),
            version: secret.version(),
        },
        Err(UseError::Resolve(error)) => Answer::from(error),
        Err(UseError::HostNotAllowed { .. } | UseError::NoHostRule { .. }) => Answer::HostRefused,
        Err(error) => panic!("no test means this: {error}"),
    }
}

impl From<ResolveError> for Answer {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotDeclared { .. } => Answer::NotDeclared,
            ResolveError::NotFound { .. } => Answer::NotFound,
            ResolveError::Blocked { scope, .. } => Answer::Blocked(scope),
            ResolveError::Disabled { scope, .. } => Answer::Disabled(scope),
            ResolveError::Expired { scope, .. } => Answer::Expired(scope),
            ResolveError::Revoked { scope, version, .. } => Answer::Revoked(scope, version),
            ResolveError::Unreadable { scope, .. } => Answer::Unreadable(scope),
            ResolveError::Unavailable { .. } => Answer::Unavailable,
            ResolveError::Denied { scope, .. } => Answer::Denied(scope),
            ResolveError::Forbidden { .. }
            | ResolveError::NoEnvironment { .. }
            | ResolveError::UnknownScope(_) => panic!("no test means this: {error}"),
        }
    }
}

/// A value of version 1.
pub fn value(value: &str, at: &str) -> Answer {
    version(value, at, 1)
}

/// A value of a version.
pub fn version(value: &str, at: &str, version: u64) -> Answer {
    Answer::Value { value: value.as_bytes().to_vec(), scope: scope(at), version }
}
