//! The verbs on one row, and the import of many.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::request::{EmptyValue, Expected, ExternalRequest, SetRequest, Spelling};
use super::{Vault, VaultError};
use crate::audit::{Action, AuditEntry};
use crate::external::ExternalRef;
use crate::id::SecretId;
use crate::keys::WrappedKey;
use crate::name::SecretName;
use crate::record::{Context, KeyScope, Kind, Padding, ScopeKey, seal};
use crate::resolve::{Explanation, explain, external};
use crate::row::{Body, Change, History, Row, RowHead, Standing, Version, VersionChange};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::store::{Batch, ChainRows, Names, ScopeRows};
use crate::value::SecretValue;

/// How long a deleted row can be restored.
pub const RESTORABLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a verb did.
#[derive(Clone, Debug)]
pub struct Written {
    /// The version that the verb made, restored or revoked, if it was about one.
    pub version: Option<u64>,
    /// What wins in the scope from now on.
    pub after: Explanation,
}

impl Vault {
    /// Sets a value: a new version becomes current. A blocked, unset or deleted row is active again.
    pub async fn set(&self, scope: &Scope, request: SetRequest) -> Result<Written, VaultError> {
        let SetRequest { name, value, rules, expires_at, spelling, empty, expected } = request;
        self.check_name(&name, spelling)?;
        if value.is_empty() && empty == EmptyValue::Refused {
            return Err(VaultError::Empty(name));
        }
        let new = NewVersion { name: &name, body: NewBody::Value(&value), rules, expires_at };
        self.set_version(scope, new, expected).await
    }

    /// Sets a reference to a secret that another service keeps: a new version becomes current.
    pub async fn refer(&self, scope: &Scope, request: ExternalRequest) -> Result<Written, VaultError> {
        let ExternalRequest { name, reference, rules, expires_at, spelling, expected } = request;
        self.check_name(&name, spelling)?;
        let new = NewVersion { name: &name, body: NewBody::External(&reference), rules, expires_at };
        self.set_version(scope, new, expected).await
    }

    async fn set_version(
        &self,
        scope: &Scope,
        new: NewVersion<'_>,
        expected: Expected,
    ) -> Result<Written, VaultError> {
        if new.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(VaultError::ExpiresInThePast(new.name.clone()));
        }
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(new.name))).await?;
        let own = rows.scopes.iter().flat_map(|rows| &rows.rows).find(|row| row.scope == *scope);
        check_expected(expected, own, scope, new.name)?;
        self.add_version(scope, rows, new, Action::Set).await
    }

    /// Blocks the name: nothing is inherited in this scope, and nothing resolves.
    pub async fn block(
        &self,
        scope: &Scope,
        name: &SecretName,
        spelling: Spelling,
    ) -> Result<Written, VaultError> {
        self.check_name(name, spelling)?;
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let new = NewVersion { name, body: NewBody::Blocked, rules: Rules::default(), expires_at: None };
        self.add_version(scope, rows, new, Action::Block).await
    }

    /// What would win in the scope if its row were taken out.
    pub async fn preview_without(&self, scope: &Scope, name: &SecretName) -> Result<Explanation, VaultError> {
        let mut rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        active_row(&rows, scope, name)?;
        own(&mut rows, scope).rows.clear();
        Ok(explain(&rows, &scope.chain(), name, self.clock.now()))
    }

    /// Takes the row out, so that the scope inherits again. Its versions stay and can be restored.
    pub async fn unset(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        self.change_active(scope, name, Action::Unset, |head| {
            head.standing = Standing::Unset;
            head.locked = false;
        })
        .await
    }

    /// Takes the row out; its versions can be restored for 30 days.
    pub async fn delete(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        let purge_at = self.clock.now() + RESTORABLE;
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let row = existing_row(&rows, scope, name)?;
        let mut head = row.head.clone();
        head.standing = Standing::Deleted { purge_at };
        head.locked = false;
        self.change(scope, rows, name, head, VersionChange::Keep, Action::Delete, None).await
    }

    /// Locks an Environment's row: no Space overrides it.
    pub async fn lock(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        if scope.space().is_some() {
            return Err(VaultError::NotLockable(scope.clone()));
        }
        self.change_active(scope, name, Action::Lock, |head| head.locked = true).await
    }

    /// Unlocks an Environment's row.
    pub async fn unlock(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        self.change_active(scope, name, Action::Unlock, |head| head.locked = false).await
    }

    /// Switches a row off: resolution answers `Disabled` and doesn't fall back.
    pub async fn disable(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        self.change_active(scope, name, Action::Disable, |head| head.disabled = true).await
    }

    /// Switches a row on again.
    pub async fn enable(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        self.change_active(scope, name, Action::Enable, |head| head.disabled = false).await
    }

    /// Makes an old version current, also of a row that was unset or deleted.
    pub async fn restore(
        &self,
        scope: &Scope,
        name: &SecretName,
        version: u64,
    ) -> Result<Written, VaultError> {
        let history = self.history(scope, name).await?;
        let found = find_version(&history, version)?;
        if found.revoked {
            return Err(VaultError::VersionRevoked { name: name.clone(), version });
        }
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let mut head = existing_row(&rows, scope, name)?.head.clone();
        let over =
            |standing| matches!(standing, Standing::Deleted { purge_at } if purge_at <= self.clock.now());
        if over(head.standing) {
            return Err(VaultError::NoRow { scope: scope.clone(), name: name.clone() });
        }
        head.standing = Standing::Active;
        head.current = version;
        self.change(scope, rows, name, head, VersionChange::Keep, Action::Restore, Some(version)).await
    }

    /// Revokes a version for good; handles that are pinned to it stop working too.
    pub async fn revoke(
        &self,
        scope: &Scope,
        name: &SecretName,
        version: u64,
    ) -> Result<Written, VaultError> {
        let history = self.history(scope, name).await?;
        find_version(&history, version)?;
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let head = existing_row(&rows, scope, name)?.head.clone();
        self.change(scope, rows, name, head, VersionChange::Revoke(version), Action::Revoke, Some(version))
            .await
    }

    /// Destroys all versions now. Only the name and its last version number remain.
    pub async fn destroy(&self, scope: &Scope, name: &SecretName) -> Result<Written, VaultError> {
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let mut head = existing_row(&rows, scope, name)?.head.clone();
        head.standing = Standing::Destroyed;
        head.current = 0;
        head.disabled = false;
        head.locked = false;
        head.expires_at = None;
        self.change(scope, rows, name, head, VersionChange::DestroyAll, Action::Destroy, None).await
    }

    /// Destroys rows of the scope whose 30 days are over. Returns their names.
    pub async fn purge(&self, scope: &Scope) -> Result<Vec<SecretName>, VaultError> {
        let now = self.clock.now();
        let mut rows = self.rows(scope, Names::All).await?;
        let due = std::mem::take(&mut own(&mut rows, scope).rows)
            .into_iter()
            .filter(|row| matches!(row.head.standing, Standing::Deleted { purge_at } if purge_at <= now));
        let mut purged = Vec::new();
        for row in due {
            self.destroy(scope, &row.name).await?;
            purged.push(row.name);
        }
        Ok(purged)
    }

    /// A row with all its versions.
    pub async fn history(&self, scope: &Scope, name: &SecretName) -> Result<History, VaultError> {
        // The chain is read for its error: an unknown scope isn't an absent row.
        self.rows(scope, Names::Only(&[])).await?;
        let history = self.store.history(scope, name).await?;
        history.ok_or_else(|| VaultError::NoRow { scope: scope.clone(), name: name.clone() })
    }

    pub(super) fn check_name(&self, name: &SecretName, spelling: Spelling) -> Result<(), VaultError> {
        match spelling {
            Spelling::Canonical if !name.is_canonical() => Err(VaultError::Noncanonical(name.clone())),
            Spelling::Canonical | Spelling::Any => Ok(()),
        }
    }

    async fn add_version(
        &self,
        scope: &Scope,
        mut rows: ChainRows,
        new: NewVersion<'_>,
        action: Action,
    ) -> Result<Written, VaultError> {
        let stored = own(&mut rows, scope).keys.clone();
        let sealing = self.sealing(scope, &stored).await?;
        let name = new.name.clone();
        let row = own(&mut rows, scope).rows.first();
        let change = self.new_version(scope, row, new, &sealing);
        let version = change.head.current;
        let VersionChange::Add(added) = change.versions.clone() else {
            unreachable!("new_version adds a version");
        };
        let head = change.head.clone();
        let keys = sealing.new.map(|key| (scope.clone(), key)).into_iter().collect();
        let batch = Batch { keys, changes: vec![change], ..Batch::default() };
        self.commit(batch, vec![self.about(action, scope, &name, Some(version))]).await?;
        Ok(Written { version: Some(version), after: self.after(scope, rows, &name, head, Some(added)) })
    }

    pub(super) async fn sealing(&self, scope: &Scope, stored: &[WrappedKey]) -> Result<Sealing, VaultError> {
        let key_scope = KeyScope::of(self.store.id(), scope);
        let writer = self.keys.for_sealing(&key_scope, stored).await?;
        Ok(Sealing { key_scope, key: writer.key, new: writer.new })
    }

    pub(super) fn new_version(
        &self,
        scope: &Scope,
        row: Option<&Row>,
        new: NewVersion<'_>,
        sealing: &Sealing,
    ) -> Change {
        let now = self.clock.now();
        let number = row.map_or(0, |row| row.head.latest) + 1;
        let policy = new.rules.digest();
        let context = Context {
            scope: &sealing.key_scope,
            name: new.name.as_str(),
            version: number,
            kind: Kind::Value,
            purpose: crate::resolve::PURPOSE,
            policy,
        };
        let sealed = |context: &Context<'_>, value: &[u8]| -> Arc<[u8]> {
            seal(&sealing.key, context, value, Padding::Blocks).into()
        };
        let body = match new.body {
            NewBody::Value(value) => Body::Value(sealed(&context, value.expose())),
            NewBody::Blocked => Body::Blocked(sealed(&Context { kind: Kind::Tombstone, ..context }, &[])),
            NewBody::External(reference) => {
                let context = external::context(&sealing.key_scope, new.name, number, policy);
                Body::External(sealed(&context, reference.encode().as_bytes()))
            }
        };
        let by = self.actor_name();
        let gone = |row: &&Row| row.head.standing == Standing::Destroyed;
        let kept_id = row.filter(|row| !gone(row)).map(|row| row.head.id);
        let head = RowHead {
            id: kept_id.unwrap_or_else(SecretId::random),
            standing: Standing::Active,
            current: number,
            latest: number,
            disabled: row.is_some_and(|row| row.head.disabled),
            locked: row.is_some_and(|row| row.head.locked),
            expires_at: new.expires_at,
            updated_at: now,
            updated_by: by.clone(),
        };
        Change {
            scope: scope.clone(),
            name: new.name.clone(),
            expected: row.map(|row| row.revision),
            head,
            versions: VersionChange::Add(Version {
                number,
                body,
                rules: new.rules,
                revoked: false,
                created_at: now,
                created_by: by,
            }),
        }
    }

    async fn change_active(
        &self,
        scope: &Scope,
        name: &SecretName,
        action: Action,
        edit: impl FnOnce(&mut RowHead),
    ) -> Result<Written, VaultError> {
        let rows = self.rows(scope, Names::Only(std::slice::from_ref(name))).await?;
        let mut head = active_row(&rows, scope, name)?.head.clone();
        edit(&mut head);
        self.change(scope, rows, name, head, VersionChange::Keep, action, None).await
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where a head is written")]
    async fn change(
        &self,
        scope: &Scope,
        rows: ChainRows,
        name: &SecretName,
        mut head: RowHead,
        versions: VersionChange,
        action: Action,
        version: Option<u64>,
    ) -> Result<Written, VaultError> {
        let row = existing_row(&rows, scope, name)?;
        head.updated_at = self.clock.now();
        head.updated_by = self.actor_name();
        let change =
            Change { scope: scope.clone(), name: name.clone(), expected: Some(row.revision), head, versions };
        let batch = Batch { changes: vec![change], ..Batch::default() };
        let about = version.or(Some(row.head.current).filter(|current| 0 < *current));
        self.commit(batch, vec![self.about(action, scope, name, about)]).await?;
        Ok(Written { version, after: self.explain(scope, name).await? })
    }

    /// What wins after a new version, from the rows already read.
    fn after(
        &self,
        scope: &Scope,
        mut rows: ChainRows,
        name: &SecretName,
        head: RowHead,
        added: Option<Version>,
    ) -> Explanation {
        let own = own(&mut rows, scope);
        let revision = own.rows.first().map_or(crate::row::Revision(1), |row| row.revision);
        own.rows = vec![Row { scope: scope.clone(), name: name.clone(), revision, head, current: added }];
        explain(&rows, &scope.chain(), name, self.clock.now())
    }

    pub(super) fn about(
        &self,
        action: Action,
        scope: &Scope,
        name: &SecretName,
        version: Option<u64>,
    ) -> AuditEntry {
        AuditEntry { name: Some(name.clone()), version, ..self.entry(action, scope) }
    }

    fn actor_name(&self) -> String {
        match &self.actor {
            crate::audit::Actor::Operator(name) => name.to_string(),
            crate::audit::Actor::Agent { agent, .. } => agent.to_string(),
        }
    }
}

pub(super) struct NewVersion<'a> {
    pub(super) name: &'a SecretName,
    pub(super) body: NewBody<'a>,
    pub(super) rules: Rules,
    pub(super) expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy)]
pub(super) enum NewBody<'a> {
    Value(&'a SecretValue),
    External(&'a ExternalRef),
    Blocked,
}

pub(super) struct Sealing {
    key_scope: KeyScope,
    key: Arc<ScopeKey>,
    pub(super) new: Option<WrappedKey>,
}

fn own<'a>(rows: &'a mut ChainRows, scope: &Scope) -> &'a mut ScopeRows {
    let own = rows.scopes.iter_mut().find(|rows| rows.scope == *scope);
    own.expect("a chain ends at its own scope")
}

fn existing_row<'a>(rows: &'a ChainRows, scope: &Scope, name: &SecretName) -> Result<&'a Row, VaultError> {
    let mut all = rows.scopes.iter().flat_map(|rows| &rows.rows);
    let row = all.find(|row| row.scope == *scope && row.name == *name);
    row.filter(|row| row.head.standing != Standing::Destroyed)
        .ok_or_else(|| VaultError::NoRow { scope: scope.clone(), name: name.clone() })
}

fn active_row<'a>(rows: &'a ChainRows, scope: &Scope, name: &SecretName) -> Result<&'a Row, VaultError> {
    existing_row(rows, scope, name).and_then(|row| match row.head.standing {
        Standing::Active => Ok(row),
        Standing::Unset | Standing::Deleted { .. } | Standing::Destroyed => {
            Err(VaultError::NoRow { scope: scope.clone(), name: name.clone() })
        }
    })
}

fn find_version(history: &History, version: u64) -> Result<&Version, VaultError> {
    let mut versions = history.versions.iter();
    versions.find(|known| known.number == version).ok_or_else(|| VaultError::NoVersion {
        scope: history.row.scope.clone(),
        name: history.row.name.clone(),
        version,
    })
}

pub(super) fn check_expected(
    expected: Expected,
    row: Option<&Row>,
    scope: &Scope,
    name: &SecretName,
) -> Result<(), VaultError> {
    match expected {
        Expected::Any => Ok(()),
        Expected::Absent if row.is_some_and(|row| row.head.standing == Standing::Active) => {
            Err(VaultError::RowExists { scope: scope.clone(), name: name.clone() })
        }
        Expected::Absent => Ok(()),
        Expected::At(revision) if row.map(|row| row.revision) == Some(revision) => Ok(()),
        Expected::At(_) => {
            Err(crate::store::StoreError::Conflict { scope: scope.clone(), name: name.clone() }.into())
        }
    }
}
