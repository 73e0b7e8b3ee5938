//! Why a name gives no handle. Distinct variants: a broken store never looks like a missing secret.

use crate::external::ExternalError;
use crate::keys::KeyError;
use crate::name::SecretName;
use crate::scope::{Chain, Scope};
use crate::store::StoreError;

/// Why a name gives no handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The listener doesn't declare the name.
    #[error("`{name}` isn't declared by the listener `{agent}`: add `.uses(\"{name}\")` to it")]
    NotDeclared {
        /// The name asked for, escaped.
        name: String,
        /// Who asked.
        agent: String,
    },
    /// No scope of the chain has the name.
    #[error("no secret `{name}` in {scope} or what it inherits{}: add it with `undertone secrets set {name}`", did_you_mean(.close))]
    NotFound {
        /// The name.
        name: SecretName,
        /// The most specific scope that was asked.
        scope: Scope,
        /// Declared names with a value that are spelt nearly the same.
        close: Vec<SecretName>,
    },
    /// The deciding row blocks the name.
    #[error(
        "`{name}` is blocked in {scope}: undo that with `undertone secrets unset {name}` there, or set a value"
    )]
    Blocked {
        /// The name.
        name: SecretName,
        /// Where it is blocked.
        scope: Scope,
    },
    /// The deciding row is switched off.
    #[error("`{name}` is disabled in {scope}: switch it on with `undertone secrets enable {name}`")]
    Disabled {
        /// The name.
        name: SecretName,
        /// Where it is disabled.
        scope: Scope,
    },
    /// The deciding row's time is over.
    #[error("`{name}` has expired in {scope}: set a new value with `undertone secrets set {name}`")]
    Expired {
        /// The name.
        name: SecretName,
        /// Where it has expired.
        scope: Scope,
    },
    /// The version was revoked.
    #[error(
        "version {version} of `{name}` in {scope} was revoked: set a new value with `undertone secrets set {name}`"
    )]
    Revoked {
        /// The name.
        name: SecretName,
        /// Where it was revoked.
        scope: Scope,
        /// Which version.
        version: u64,
    },
    /// The agent has no right to that scope. Says nothing about whether the secret exists.
    #[error(
        "the listener `{agent}` was not granted {scope}: an operator grants it under `[agents.{agent}]` in undertone.toml"
    )]
    Forbidden {
        /// Who asked.
        agent: String,
        /// For which scope.
        scope: Scope,
    },
    /// The event names no Environment.
    #[error("`{name}` can't be resolved: the event's context names no environmentId")]
    NoEnvironment {
        /// The name asked for, escaped.
        name: String,
    },
    /// The event names an Environment or Space that doesn't exist.
    #[error("{0}")]
    UnknownScope(StoreError),
    /// The store or the key service can't be used now. Trying again may help.
    #[error("`{name}` can't be resolved now: {problem}")]
    Unavailable {
        /// The name asked for, escaped.
        name: String,
        /// What can't be used.
        problem: String,
    },
    /// The key service, the store or the service that keeps an external secret answered, and the
    /// answer is no. Not an outage: nothing that was known before is used in its stead.
    #[error("`{name}` in {scope} can't be read: {problem}")]
    Denied {
        /// The name asked for, escaped.
        name: String,
        /// Where the value is, or the most specific scope that was asked.
        scope: Scope,
        /// Who refuses, and what.
        problem: String,
    },
    /// The sealed record or its key is damaged or was moved.
    #[error("`{name}` in {scope} can't be read: run `undertone doctor`, then set it again")]
    Unreadable {
        /// The name.
        name: SecretName,
        /// Where.
        scope: Scope,
    },
}

impl ResolveError {
    pub(super) fn from_store(name: &str, asked: &Chain, error: StoreError) -> Self {
        match error {
            StoreError::Denied(_) => ResolveError::Denied {
                name: crate::name::escaped(name),
                scope: asked.nearest(),
                problem: error.to_string(),
            },
            StoreError::UnknownEnvironment(_) | StoreError::UnknownSpace(..) => {
                ResolveError::UnknownScope(error)
            }
            StoreError::Unavailable(_)
            | StoreError::Damaged(_)
            | StoreError::Conflict { .. }
            | StoreError::LookAlike { .. }
            | StoreError::Full { .. }
            | StoreError::Changed(_)
            | StoreError::Exists(_) => {
                ResolveError::Unavailable { name: crate::name::escaped(name), problem: error.to_string() }
            }
        }
    }

    pub(super) fn from_key(name: &SecretName, scope: &Scope, error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(_) => {
                ResolveError::Unavailable { name: name.to_string(), problem: error.to_string() }
            }
            KeyError::Denied(_) => ResolveError::Denied {
                name: name.to_string(),
                scope: scope.clone(),
                problem: error.to_string(),
            },
            KeyError::BadAnswer(_) => ResolveError::Unreadable { name: name.clone(), scope: scope.clone() },
        }
    }

    pub(super) fn from_external(name: &SecretName, scope: &Scope, error: &ExternalError) -> Self {
        match error {
            ExternalError::Unavailable(_) => {
                ResolveError::Unavailable { name: name.to_string(), problem: error.to_string() }
            }
            ExternalError::Denied(_) | ExternalError::Unfit(_) => ResolveError::Denied {
                name: name.to_string(),
                scope: scope.clone(),
                problem: error.to_string(),
            },
        }
    }

    /// Whether the same lookup may succeed a moment later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, ResolveError::Unavailable { .. })
    }

    /// Whether nothing was found: what an optional lookup turns into `None`.
    pub fn is_not_found(&self) -> bool {
        matches!(self, ResolveError::NotFound { .. })
    }
}

fn did_you_mean(close: &[SecretName]) -> String {
    match close {
        [] => String::new(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!(" (close: {})", names.join(", "))
        }
    }
}
