//! What an agent may ask for: the names it declares, and the scopes that an operator granted it.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::HostRule;
use crate::id::AgentId;
use crate::name::SecretName;
use crate::scope::{Chain, Scope};

/// An agent's declaration. A name that isn't in it is refused whatever the store holds.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The agent.
    pub agent: AgentId,
    /// The names, each with the hosts to which the agent itself limits it.
    pub secrets: BTreeMap<SecretName, Option<BTreeSet<HostRule>>>,
    /// Scopes beyond the event's own that an operator granted.
    pub granted: Vec<ScopeGrant>,
}

/// A scope from which an agent may resolve although the event isn't of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeGrant(pub Scope);

impl Declaration {
    /// The names, sorted.
    pub fn names(&self) -> Vec<SecretName> {
        self.secrets.keys().cloned().collect()
    }

    /// The hosts to which the agent limits itself. They narrow what the owners' rules allow and
    /// stand in for none of them.
    pub fn hosts(&self, name: &SecretName) -> Option<&BTreeSet<HostRule>> {
        self.secrets.get(name)?.as_ref()
    }

    /// Whether an operator granted the scope in which the chain ends.
    pub fn is_granted(&self, chain: &Chain) -> bool {
        self.granted.contains(&ScopeGrant(chain.nearest()))
    }
}
