//! Imports: many values at once, planned first, written in batches that are all or nothing.

use std::collections::HashMap;

use super::request::{ImportItem, ImportPart, Makes, Outcome, PlanRow, Replace, Spelling};
use super::verbs::{NewBody, NewVersion};
use super::{Vault, VaultError};
use crate::audit::{Action, AuditEntry};
use crate::name::SecretName;
use crate::resolve::{State, explain};
use crate::row::{Row, Standing};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::store::{Batch, ChainRows, Names, Space};

impl Vault {
    /// What an import would do. Writes nothing.
    pub async fn plan_import(
        &self,
        scope: &Scope,
        names: &[SecretName],
        spelling: Spelling,
        replace: Replace,
    ) -> Result<Vec<PlanRow>, VaultError> {
        let rows = self.rows(scope, Names::All).await?;
        Ok(names
            .iter()
            .map(|name| PlanRow {
                name: name.clone(),
                outcome: self.plan(&rows, scope, name, spelling, replace),
            })
            .collect())
    }

    fn plan(
        &self,
        rows: &ChainRows,
        scope: &Scope,
        name: &SecretName,
        spelling: Spelling,
        replace: Replace,
    ) -> Outcome {
        if let Err(error) = self.check_name(name, spelling) {
            return Outcome::Conflict(error.to_string());
        }
        let kept = |row: &&Row| row.head.standing != Standing::Destroyed;
        let present = rows.scopes.iter().flat_map(|scope| &scope.rows).filter(kept);
        if let Some(row) = present.clone().find(|row| row.name != *name && row.name.folded() == name.folded())
        {
            return Outcome::Conflict(format!("looks like `{}`, which exists in {}", row.name, row.scope));
        }
        let active = |row: &&Row| row.name == *name && row.head.standing == Standing::Active;
        let locked_above = present.clone().filter(active).any(|row| row.scope != *scope && row.head.locked);
        if locked_above {
            return Outcome::Conflict("locked in the Environment: it would never win".to_owned());
        }
        let own = present.clone().filter(active).any(|row| row.scope == *scope);
        match (own, replace) {
            (true, Replace::Keep) => Outcome::Skip,
            (true, Replace::Replace) => Outcome::Replace,
            (false, _) if explain(rows, &scope.chain(), name, self.clock.now()).result == State::Absent => {
                Outcome::Add
            }
            (false, _) => Outcome::Override,
        }
    }

    /// Sets many values under the same rules, making the Spaces that are to be made. Values are
    /// written in batches as large as the store takes, each all or nothing; `done` hears how many
    /// each held.
    pub async fn import(
        &self,
        parts: Vec<ImportPart>,
        rules: &Rules,
        mut done: impl FnMut(usize),
    ) -> Result<(), VaultError> {
        let limit = self.store.batch_limit();
        let mut pending = Pending::default();
        for part in parts {
            let mut makes = part.makes;
            let mut items = part.items.into_iter().peekable();
            // A Space without values is made all the same.
            while items.peek().is_some() || makes == Makes::Space {
                let chunk: Vec<ImportItem> = items.by_ref().take(limit - pending.values).collect();
                self.prepare(&mut pending, &part.scope, makes, &chunk, rules).await?;
                makes = Makes::Nothing;
                if limit <= pending.values {
                    done(self.flush(&mut pending).await?);
                }
            }
        }
        done(self.flush(&mut pending).await?);
        Ok(())
    }

    async fn prepare(
        &self,
        pending: &mut Pending,
        scope: &Scope,
        makes: Makes,
        items: &[ImportItem],
        rules: &Rules,
    ) -> Result<(), VaultError> {
        let names: Vec<SecretName> = items.iter().map(|item| item.name.clone()).collect();
        let (rows, stored) = match (makes, scope) {
            (Makes::Space, Scope::Space(environment, id)) => {
                let space =
                    Space { environment: environment.clone(), id: id.clone(), created_at: self.clock.now() };
                pending.batch.spaces.push(space);
                pending.entries.push(self.entry(Action::CreateSpace, scope));
                (Vec::new(), Vec::new())
            }
            (Makes::Nothing | Makes::Space, _) => {
                let rows = self.rows(scope, Names::Only(&names)).await?;
                let own = rows.scopes.into_iter().find(|rows| rows.scope == *scope);
                let own = own.expect("a chain ends at its own scope");
                (own.rows, own.keys)
            }
        };
        if items.is_empty() {
            return Ok(());
        }
        let sealing = self.sealing(scope, &stored).await?;
        pending.batch.keys.extend(sealing.new.clone().map(|key| (scope.clone(), key)));
        let existing: HashMap<&SecretName, &Row> = rows.iter().map(|row| (&row.name, row)).collect();
        for ImportItem { name, value } in items {
            let row = existing.get(name).copied();
            // A value that replaces another doesn't live longer than that one was to.
            let expires_at = row.and_then(|row| row.head.expires_at).filter(|at| self.clock.now() < *at);
            let body = NewBody::Value(value);
            let new = NewVersion { name, body, rules: rules.clone(), expires_at };
            let change = self.new_version(scope, row, new, &sealing);
            pending.entries.push(self.about(Action::Set, scope, name, Some(change.head.current)));
            pending.batch.changes.push(change);
            pending.values += 1;
        }
        Ok(())
    }

    /// Writes what is pending. How many values that were.
    async fn flush(&self, pending: &mut Pending) -> Result<usize, VaultError> {
        let Pending { batch, entries, values } = std::mem::take(pending);
        if !entries.is_empty() {
            self.commit(batch, entries).await?;
        }
        Ok(values)
    }
}

/// A batch under construction, with its rows of audit.
#[derive(Default)]
struct Pending {
    batch: Batch,
    entries: Vec<AuditEntry>,
    values: usize,
}
