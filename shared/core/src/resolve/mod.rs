//! From a name to a handle: fetch the chain in one call, choose, unwrap, hand out.
//!
//! A scope that can't be read, and a nearer row that is blocked, disabled, expired or revoked,
//! is an answer of its own and never falls back to a farther row.

mod choose;
mod declaration;
mod error;
mod explain;
pub(crate) mod external;
mod flight;
mod key_cache;
mod lookup;
mod resolver;
mod snapshot;

pub use choose::{Choice, Decision, Layer, Role, State, choose};
pub use declaration::{Declaration, ScopeGrant};
pub use error::ResolveError;
pub use explain::{Explanation, LayerReport, explain};
pub use key_cache::{HARD, KeyCache, OpenKey, SOFT};
pub use resolver::{Freshness, Resolver};
pub(crate) use snapshot::PURPOSE;
pub use snapshot::{Resolved, Snapshot};
