//! Undertone's core: what a secret is, who wins along a chain, and how a value is sealed.
//!
//! Pure: no I/O, no async runtime, no vendor. The world is reached through four ports
//! ([`Store`], [`Sealer`], [`Opener`], [`AuditLog`]), each with a contract suite that every
//! adapter runs.
//!
//! The path of a secret, one function each: [`Resolver::snapshot`] fetches the chain's rows in
//! one call, [`choose`](resolve::choose) decides, [`KeyCache`](resolve::KeyCache) unwraps the
//! scope key, [`Execution::handle`] hands out a handle, [`disclose`] checks, audits and opens.

pub mod audit;
mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod external;
mod host;
mod id;
pub mod idempotency;
pub mod keys;
pub mod maintenance;
#[cfg(feature = "memory")]
pub mod memory;
mod name;
pub mod pace;
pub mod record;
pub mod redact;
pub mod resolve;
mod row;
mod rules;
mod scope;
pub mod seals;
mod secret;
mod store;
pub mod transfer;
mod value;
pub mod vault;
pub mod wire;

pub use audit::{AuditError, AuditLog};
pub use clock::{Clock, SystemClock};
pub use external::{ExternalError, ExternalRef, ExternalRefError, ExternalSource, ExternalValue};
pub use host::{HostError, HostPort, HostRule};
pub use id::{AgentId, EnvironmentId, IdError, SecretId, SpaceId, StoreId, random_bytes};
pub use idempotency::Idempotency;
pub use keys::{KeyError, Opener, Rewrapper, Sealer};
pub use name::{LONGEST_NAME, NameError, SecretName, escaped, is_hidden};
pub use record::{KeyId, KeyScope, ScopeKey};
pub use resolve::{Declaration, ResolveError, Resolver};
pub use row::{Body, Change, History, Revision, Row, RowHead, Standing, Version, VersionChange};
pub use rules::{
    Destination, EffectiveRules, Method, MethodError, Mode, Refusal, Reveal, Rules, RulesError, Sink,
    SinkError, Transport,
};
pub use scope::{Chain, Scope};
pub use secret::{Execution, Revealed, Secret, UseError, disclose};
pub use store::{
    Batch, ChainRows, Environment, Epoch, Limits, Names, ReadStore, Reseal, ScopeRows, Space, Store,
    StoreError, names_a_key_of,
};
pub use value::{LARGEST_VALUE, SHORTEST_MASKABLE, SecretValue, ValueLint, ValueTooLarge};
