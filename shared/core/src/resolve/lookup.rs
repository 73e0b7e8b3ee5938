//! The answer for one name: chosen among its rows, its key unwrapped, nothing opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::choose::{Decision, choose};
use super::declaration::Declaration;
use super::error::ResolveError;
use super::external::{self, External, Fetch, Sealed};
use super::key_cache::KeyCache;
use super::snapshot::{Asked, Resolved};
use crate::clock::Clock;
use crate::id::StoreId;
use crate::keys::WrappedKey;
use crate::name::SecretName;
use crate::record::KeyScope;
use crate::row::{Body, Row, Standing, Version};
use crate::rules::Mode;
use crate::scope::Chain;
use crate::store::{ChainRows, Epoch};

/// A chain's rows by name, so that a chain of many names is not searched once per name.
pub(super) struct ByName {
    pub(super) epoch: Epoch,
    pub(super) mode: Mode,
    shape: ChainRows,
    rows: HashMap<SecretName, Vec<(usize, Row)>>,
}

impl ByName {
    pub(super) fn new(mut chain: ChainRows) -> Self {
        let mut rows: HashMap<SecretName, Vec<(usize, Row)>> = HashMap::new();
        for (depth, scope) in chain.scopes.iter_mut().enumerate() {
            for row in std::mem::take(&mut scope.rows) {
                rows.entry(row.name.clone()).or_default().push((depth, row));
            }
        }
        Self { epoch: chain.epoch, mode: chain.mode, shape: chain, rows }
    }

    /// The chain with the rows of one name only.
    fn of(&self, name: &SecretName) -> ChainRows {
        let mut chain = self.shape.clone();
        for (depth, row) in self.rows.get(name).into_iter().flatten() {
            chain.scopes[*depth].rows.push(row.clone());
        }
        chain
    }

    pub(super) fn first_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let rows = self.rows.values().flatten();
        rows.filter_map(|(_, row)| row.head.expires_at).filter(|at| now < *at).min()
    }
}

/// All that a lookup needs beside the rows.
pub(super) struct Lookup<'a> {
    pub(super) declaration: &'a Declaration,
    pub(super) store: StoreId,
    pub(super) keys: &'a KeyCache,
    pub(super) external: Option<&'a External>,
    pub(super) clock: &'a dyn Clock,
    pub(super) asked_in: &'a Chain,
    pub(super) asked: &'a Asked,
}

/// The answer for one name.
pub(super) async fn resolve(
    rows: &ByName,
    name: &SecretName,
    now: Timestamp,
    lookup: &Lookup<'_>,
) -> Result<Arc<Resolved>, ResolveError> {
    let chain = rows.of(name);
    let at = |row: &Row| (name.clone(), row.scope.clone());
    let (row, version, rules) = match choose(&chain, name, now).decision {
        Decision::Value { row, version, rules } => (row, version, rules),
        Decision::Blocked(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Blocked { name, scope });
        }
        Decision::Disabled(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Disabled { name, scope });
        }
        Decision::Expired(row) => {
            let (name, scope) = at(row);
            return Err(ResolveError::Expired { name, scope });
        }
        Decision::Revoked(row) => {
            let (name, scope) = at(row);
            let version = row.head.current;
            return Err(ResolveError::Revoked { name, scope, version });
        }
        Decision::NotFound => {
            let (name, scope, close) = (name.clone(), lookup.asked_in.nearest(), close_names(rows, name));
            return Err(ResolveError::NotFound { name, scope, close });
        }
    };
    let key_scope = KeyScope::of(lookup.store, &row.scope);
    let wrapped = wrapped_key(&chain, row, version)?;
    let key = lookup.keys.key(&key_scope, wrapped).await;
    let key = key.map_err(|error| ResolveError::from_key(&row.name, &row.scope, error))?;
    let wrapped = matches!(version.body, Body::Value(_)).then(|| wrapped.clone());
    let policy = version.rules.digest();
    let sealed = Sealed { record: version.body.record().clone(), key, source_version: None };
    let sealed = match &version.body {
        Body::Value(_) | Body::Blocked(_) => sealed,
        Body::External(_) => {
            let context = external::context(&key_scope, name, version.number, policy);
            external::fetch(lookup.external, sealed, &context, lookup.clock).await.map_err(|error| {
                match error {
                    Fetch::Refused(error) => ResolveError::from_external(name, &row.scope, &error),
                    Fetch::Unreadable => {
                        ResolveError::Unreadable { name: name.clone(), scope: row.scope.clone() }
                    }
                }
            })?
        }
    };
    Ok(Arc::new(Resolved {
        name: name.clone(),
        id: row.head.id,
        scope: row.scope.clone(),
        asked_in: lookup.asked_in.nearest(),
        version: version.number,
        mode: rows.mode,
        rules,
        declared: lookup.declaration.hosts(name).cloned(),
        expires_at: row.head.expires_at,
        epoch: rows.epoch,
        policy,
        record: sealed.record,
        key_scope,
        key: Mutex::new(sealed.key),
        wrapped,
        source_version: sealed.source_version,
        asked: lookup.asked.clone(),
    }))
}

/// The wrapped key under which the version is sealed, of the very scope of its row.
fn wrapped_key<'a>(
    chain: &'a ChainRows,
    row: &Row,
    version: &Version,
) -> Result<&'a WrappedKey, ResolveError> {
    let unreadable = || ResolveError::Unreadable { name: row.name.clone(), scope: row.scope.clone() };
    let id = crate::record::key_id(version.body.record()).ok_or_else(unreadable)?;
    let mut wrapped =
        chain.scopes.iter().filter(|scope| scope.scope == row.scope).flat_map(|scope| &scope.keys);
    wrapped.find(|key| key.id == id).ok_or_else(unreadable)
}

/// Declared names that have a row and are spelt nearly the same.
fn close_names(rows: &ByName, name: &SecretName) -> Vec<SecretName> {
    let mut close: Vec<SecretName> = rows
        .rows
        .iter()
        .filter(|(_, rows)| rows.iter().any(|(_, row)| row.head.standing == Standing::Active))
        .map(|(other, _)| other)
        .filter(|other| *other != name && 0.8 <= strsim::jaro_winkler(other.as_str(), name.as_str()))
        .cloned()
        .collect();
    close.sort();
    close.truncate(3);
    close
}
