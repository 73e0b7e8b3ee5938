//! Where a secret lives and in which order scopes are consulted.

use std::fmt;

use crate::id::{EnvironmentId, SpaceId};

/// A place that can own secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All Spaces of the Environment inherit from here.
    Environment(EnvironmentId),
    /// One Space; its rows override or block those of the Environment.
    Space(EnvironmentId, SpaceId),
}

impl Scope {
    /// The Environment that the scope is, or is in.
    pub fn environment(&self) -> &EnvironmentId {
        match self {
            Scope::Environment(environment) | Scope::Space(environment, _) => environment,
        }
    }

    /// The Space, if the scope is one.
    pub fn space(&self) -> Option<&SpaceId> {
        match self {
            Scope::Environment(_) => None,
            Scope::Space(_, space) => Some(space),
        }
    }

    /// The chain that ends at this scope.
    pub fn chain(&self) -> Chain {
        Chain { environment: self.environment().clone(), space: self.space().cloned() }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Environment(environment) => write!(f, "Environment {environment}"),
            Scope::Space(environment, space) => write!(f, "Space {environment}/{space}"),
        }
    }
}

/// The scopes that are consulted for one event: Environment, then Space.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The Environment, consulted first for locks and last for values.
    pub environment: EnvironmentId,
    /// The Space, if the event has one.
    pub space: Option<SpaceId>,
}

impl Chain {
    /// The scopes from the Environment down.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        let environment = Scope::Environment(self.environment.clone());
        let space = self.space.iter().map(|space| Scope::Space(self.environment.clone(), space.clone()));
        std::iter::once(environment).chain(space)
    }

    /// The most specific scope.
    pub fn nearest(&self) -> Scope {
        match &self.space {
            None => Scope::Environment(self.environment.clone()),
            Some(space) => Scope::Space(self.environment.clone(), space.clone()),
        }
    }
}
