//! The vault: every verb that changes secrets, written by compare-and-set and audited first.
//!
//! A vault can seal and, unless it was given an [`Opener`], can't read a value. No verb returns
//! one. The row of audit is durable before the change; if the change then fails, a second row
//! says so.

mod import;
mod request;
pub(crate) mod seal;
mod verbs;

use std::sync::Arc;

pub use request::{
    EmptyValue, Expected, ExternalRequest, ImportItem, ImportPart, Makes, Outcome as PlanOutcome, PlanRow,
    Replace, SetRequest, Spelling,
};
pub use verbs::Written;

use crate::audit::{Action, Actor, AuditEntry, AuditError, AuditLog, Outcome};
use crate::clock::Clock;
use crate::keys::{KeyError, Opener, Sealer};
use crate::name::SecretName;
use crate::resolve::{Explanation, explain};
use crate::scope::Scope;
use crate::store::{Batch, ChainRows, Environment, Names, Space, Store, StoreError};

/// Changes secrets on behalf of one actor.
pub struct Vault {
    store: Arc<dyn Store>,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    keys: seal::WriterKeys,
    actor: Actor,
}

/// Why a change didn't happen. Then nothing changed, with one exception: a verb other than `set`,
/// `block` and `import` reads afterwards what wins now, and a store that fails just then fails the verb
/// although its change is in place. The audit trail tells: such a change has no failed row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key service refused or failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The change couldn't be audited.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The name isn't canonical and the caller didn't allow that.
    #[error(
        "`{0}` isn't a canonical name ([A-Z][A-Z0-9_]*, at most 128): add --allow-noncanonical if that is what the listener asks for"
    )]
    Noncanonical(SecretName),
    /// The value is empty and the caller didn't allow that.
    #[error(
        "the value for `{0}` is empty: add --allow-empty if that is meant, or use `block` so that nothing is inherited"
    )]
    Empty(SecretName),
    /// There is no such row.
    #[error("{scope} has no `{name}`: see `undertone secrets list`")]
    NoRow {
        /// Where.
        scope: Scope,
        /// Which name.
        name: SecretName,
    },
    /// The row was to be new and isn't.
    #[error("{scope} already has `{name}`: leave --if-absent away to set a new version")]
    RowExists {
        /// Where.
        scope: Scope,
        /// Which name.
        name: SecretName,
    },
    /// There is no such version.
    #[error("`{name}` in {scope} has no version {version}: see `undertone secrets history {name}`")]
    NoVersion {
        /// Where.
        scope: Scope,
        /// Which name.
        name: SecretName,
        /// Which version.
        version: u64,
    },
    /// Revoked versions stay revoked.
    #[error("version {version} of `{name}` was revoked and can't come back: set a new value")]
    VersionRevoked {
        /// Which name.
        name: SecretName,
        /// Which version.
        version: u64,
    },
    /// Only an Environment's rows can be locked.
    #[error("only an Environment's row can be locked, {0} has nothing below it")]
    NotLockable(Scope),
    /// The time at which it was to expire is over.
    #[error("`{0}` would expire in the past: give a later time")]
    ExpiresInThePast(SecretName),
}

impl Vault {
    /// A vault that seals and never reads: it makes scope keys of its own.
    pub fn sealing_only(
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        actor: Actor,
    ) -> Self {
        let keys = seal::WriterKeys::new(sealer, None, clock.clone());
        Self { store, audit, clock, keys, actor }
    }

    /// A vault that may also unwrap, and so goes on under the scope's newest key.
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        opener: Arc<dyn Opener>,
        audit: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        actor: Actor,
    ) -> Self {
        let keys = seal::WriterKeys::new(sealer, Some(opener), clock.clone());
        Self { store, audit, clock, keys, actor }
    }

    /// Forgets the keys that are open for sealing.
    pub fn forget_all(&self) {
        self.keys.forget_all();
    }

    /// Makes an Environment.
    pub async fn create_environment(
        &self,
        id: crate::EnvironmentId,
        mode: crate::Mode,
    ) -> Result<(), VaultError> {
        let scope = Scope::Environment(id.clone());
        self.audit.append(vec![self.entry(Action::CreateEnvironment, &scope)]).await?;
        let created =
            self.store.create_environment(Environment { id, mode, created_at: self.clock.now() }).await;
        self.settle(created, vec![self.entry(Action::CreateEnvironment, &scope)]).await
    }

    /// Makes a Space.
    pub async fn create_space(
        &self,
        environment: crate::EnvironmentId,
        id: crate::SpaceId,
    ) -> Result<(), VaultError> {
        let scope = Scope::Space(environment.clone(), id.clone());
        self.audit.append(vec![self.entry(Action::CreateSpace, &scope)]).await?;
        let created = self.store.create_space(Space { environment, id, created_at: self.clock.now() }).await;
        self.settle(created, vec![self.entry(Action::CreateSpace, &scope)]).await
    }

    /// Why which value wins for the name in the scope.
    pub async fn explain(&self, scope: &Scope, name: &SecretName) -> Result<Explanation, VaultError> {
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        Ok(explain(&rows, &scope.chain(), name, self.clock.now()))
    }

    /// Explanations of every name that the chain of the scope knows, by name.
    pub async fn list(&self, scope: &Scope) -> Result<Vec<Explanation>, VaultError> {
        let rows = self.rows(scope, Names::All).await?;
        let mut names: Vec<&SecretName> = rows
            .scopes
            .iter()
            .flat_map(|scope| &scope.rows)
            .filter(|row| row.head.standing == crate::row::Standing::Active)
            .map(|row| &row.name)
            .collect();
        names.sort();
        names.dedup();
        let now = self.clock.now();
        Ok(names.into_iter().map(|name| explain(&rows, &scope.chain(), name, now)).collect())
    }

    async fn rows(&self, scope: &Scope, names: Names<'_>) -> Result<ChainRows, VaultError> {
        Ok(self.store.chain(&scope.chain(), names).await?)
    }

    /// Audits, then writes, then, if that failed, audits the failure.
    async fn commit(&self, batch: Batch, entries: Vec<AuditEntry>) -> Result<(), VaultError> {
        self.audit.append(entries.clone()).await?;
        let written = self.store.write(batch).await;
        self.settle(written, entries).await
    }

    async fn settle(&self, done: Result<(), StoreError>, entries: Vec<AuditEntry>) -> Result<(), VaultError> {
        let Err(error) = done else {
            return Ok(());
        };
        let failed = Outcome::Failed(failure(&error).to_owned());
        let entries = entries.into_iter().map(|entry| AuditEntry { outcome: failed.clone(), ..entry });
        // The change didn't happen and the caller learns that, whether or not this row gets written.
        let _ = self.audit.append(entries.collect()).await;
        Err(error.into())
    }

    fn entry(&self, action: Action, scope: &Scope) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            actor: self.actor.clone(),
            action,
            scope: Some(scope.clone()),
            asked_in: None,
            name: None,
            version: None,
            source_version: None,
            destination: None,
            reason: None,
            outcome: Outcome::Allowed,
        }
    }
}

fn failure(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "store_unavailable",
        StoreError::Denied(_) => "store_denied",
        StoreError::Full { .. } => "store_full",
        StoreError::Damaged(_) => "store_damaged",
        StoreError::Conflict { .. } | StoreError::Changed(_) => "conflict",
        StoreError::LookAlike { .. } => "look_alike",
        StoreError::UnknownEnvironment(_) | StoreError::UnknownSpace(..) => "unknown_scope",
        StoreError::Exists(_) => "exists",
    }
}
