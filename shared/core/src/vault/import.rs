//! Imports: many values at once, planned first, written in batches that are all or nothing.

use std::collections::HashMap;

use super::request::{ImportItem, ImportPart, Makes, Outcome, PlanRow, Replace, Spelling};
use super::verbs::{NewBody, NewVersion, check_expected};
use super::{Vault, VaultError};
use crate::audit::{Action, AuditEntry};
use crate::name::SecretName;
use crate::row::{Row, Standing};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::store::{Batch, Names, Space};

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
        let mut by_look: HashMap<String, Vec<&Row>> = HashMap::new();
        for row in rows.scopes.iter().flat_map(|scope| &scope.rows) {
            if row.head.standing != Standing::Destroyed {
                by_look.entry(row.name.folded()).or_default().push(row);
            }
        }
        let plan = |name: &SecretName| {
            let alike = by_look.get(&name.folded()).map(Vec::as_slice).unwrap_or_default();
            PlanRow { name: name.clone(), outcome: self.plan(alike, scope, name, spelling, replace) }
        };
        Ok(names.iter().map(plan).collect())
    }

    /// `alike` are the chain's rows whose names can't be told from this one, its own included.
    fn plan(
        &self,
        alike: &[&Row],
        scope: &Scope,
        name: &SecretName,
        spelling: Spelling,
        replace: Replace,
    ) -> Outcome {
        if let Err(error) = self.check_name(name, spelling) {
            return Outcome::Conflict(error.to_string());
        }
        if let Some(row) = alike.iter().find(|row| row.name != *name) {
            return Outcome::Conflict(format!("looks like `{}`, which exists in {}", row.name, row.scope));
        }
        let active: Vec<&&Row> = alike.iter().filter(|row| row.head.standing == Standing::Active).collect();
        if active.iter().any(|row| row.scope != *scope && row.head.locked) {
            return Outcome::Conflict("locked in the Environment: it would never win".to_owned());
        }
        let own = active.iter().any(|row| row.scope == *scope);
        match (own, replace) {
            (true, Replace::Keep) => Outcome::Skip,
            (true, Replace::Replace) => Outcome::Replace,
            (false, _) if active.is_empty() => Outcome::Add,
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
        let limit = self.store.limits();
        let mut pending = Pending::default();
        for part in parts {
            let mut makes = part.makes;
            let mut items = part.items.into_iter().peekable();
            // A Space without values is made all the same.
            while items.peek().is_some() || makes == Makes::Space {
                let chunk: Vec<ImportItem> = items.by_ref().take(limit.changes - pending.values).collect();
                self.prepare(&mut pending, &part.scope, makes, &chunk, rules).await?;
                makes = Makes::Nothing;
                if limit.changes <= pending.values {
                    done(self.flush(&mut pending).await?);
                }
            }
            pending.scopes += 1;
            if limit.scopes <= pending.scopes && !pending.entries.is_empty() {
                done(self.flush(&mut pending).await?);
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
        for ImportItem { name, value, expected } in items {
            let row = existing.get(name).copied();
            check_expected(*expected, row, scope, name)?;
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
        let Pending { batch, entries, values, .. } = std::mem::take(pending);
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
    /// How many parts it is from that are done.
    scopes: usize,
}

#[cfg(test)]
#[cfg(feature = "memory")]
mod tests {
    use std::sync::Arc;

    use futures_executor::block_on;

    use super::*;
    use crate::audit::Actor;
    use crate::clock::SystemClock;
    use crate::memory::{MemoryAudit, MemoryKeys, MemoryStore};
    use crate::rules::Mode;
    use crate::store::{ReadStore, Store};
    use crate::value::SecretValue;
    use crate::vault::request::{Expected, SetRequest};

    fn vault() -> (Arc<MemoryStore>, Vault) {
        let (store, keys) = (Arc::new(MemoryStore::default()), Arc::new(MemoryKeys::default()));
        let (audit, clock) = (Arc::new(MemoryAudit::default()), Arc::new(SystemClock::default()));
        let actor = Actor::Operator("tester".into());
        let vault = Vault::new(store.clone(), keys.clone(), keys, audit, clock, actor);
        block_on(vault.create_environment("dev".parse().unwrap(), Mode::Standard)).unwrap();
        (store, vault)
    }

    fn dev() -> Scope {
        Scope::Environment("dev".parse().unwrap())
    }

    fn space(id: &str) -> Scope {
        Scope::Space("dev".parse().unwrap(), id.parse().unwrap())
    }

    fn item(name: &str, expected: Expected) -> ImportItem {
        let value = SecretValue::new(b"a-value-of-it".to_vec()).unwrap();
        ImportItem { name: name.parse().unwrap(), value, expected }
    }

    fn set(vault: &Vault, scope: &Scope, name: &str) {
        let value = SecretValue::new(b"another-value".to_vec()).unwrap();
        block_on(vault.set(scope, SetRequest::new(name.parse().unwrap(), value))).unwrap();
    }

    #[test]
    fn the_plan_says_what_each_name_would_become() {
        let (_, vault) = vault();
        block_on(vault.create_space("dev".parse().unwrap(), "sp".parse().unwrap())).unwrap();
        for (scope, name) in [(dev(), "ABOVE"), (dev(), "LOCKED"), (space("sp"), "OWN")] {
            set(&vault, &scope, name);
        }
        block_on(vault.lock(&dev(), &"LOCKED".parse().unwrap())).unwrap();
        let names = ["NEW", "ABOVE", "LOCKED", "OWN", "Own", "above"].map(|name| name.parse().unwrap());
        for (replace, own) in [(Replace::Keep, "skip"), (Replace::Replace, "replace")] {
            let plan = block_on(vault.plan_import(&space("sp"), &names, Spelling::Any, replace)).unwrap();
            let words: Vec<&str> = plan.iter().map(|row| row.outcome.as_str()).collect();
            assert_eq!(words, ["add", "override", "conflict", own, "conflict", "conflict"]);
        }
    }

    #[test]
    fn a_writer_that_may_not_read_seals_under_a_key_of_its_own_and_an_outage_stops_it() {
        use crate::keys::KeyError;
        let (store, keys) = (Arc::new(MemoryStore::default()), Arc::new(MemoryKeys::default()));
        let (audit, clock) = (Arc::new(MemoryAudit::default()), Arc::new(SystemClock::default()));
        let actor = Actor::Operator("tester".into());
        let writer = || {
            Vault::new(store.clone(), keys.clone(), keys.clone(), audit.clone(), clock.clone(), actor.clone())
        };
        block_on(writer().create_environment("dev".parse().unwrap(), Mode::Standard)).unwrap();
        let count = || block_on(store.chain(&dev().chain(), Names::All)).unwrap().scopes[0].keys.len();
        set(&writer(), &dev(), "A");
        set(&writer(), &dev(), "B");
        assert_eq!(count(), 1);
        keys.set_fault(Some(KeyError::Denied("AccessDeniedException".to_owned())));
        set(&writer(), &dev(), "C");
        assert_eq!(count(), 2);
        keys.set_fault(Some(KeyError::Unavailable("no route".to_owned())));
        let value = SecretValue::new(b"another-value".to_vec()).unwrap();
        let refused = block_on(writer().set(&dev(), SetRequest::new("D".parse().unwrap(), value)));
        assert!(matches!(refused, Err(VaultError::Key(KeyError::Unavailable(_)))));
    }

    #[test]
    fn many_spaces_are_made_and_filled_in_batches_and_a_row_that_came_between_stops_its_batch() {
        let (store, vault) = vault();
        let part = |id: &str, names: usize| ImportPart {
            scope: space(id),
            makes: Makes::Space,
            items: (0..names).map(|n| item(&format!("N{n}"), Expected::Absent)).collect(),
        };
        let limit = store.limits().changes;
        let mut batches = Vec::new();
        let parts = vec![part("a", 3), part("empty", 0), part("b", limit)];
        block_on(vault.import(parts, &Rules::default(), |count| batches.push(count))).unwrap();
        assert_eq!(batches, [limit, 3]);
        let spaces = block_on(store.spaces(&"dev".parse().unwrap(), None, 9)).unwrap();
        assert_eq!(spaces.len(), 3);
        let late = ImportPart {
            scope: space("a"),
            makes: Makes::Nothing,
            items: vec![item("FRESH", Expected::Absent), item("N0", Expected::Absent)],
        };
        let refused = block_on(vault.import(vec![late], &Rules::default(), |_| ()));
        assert!(matches!(refused, Err(VaultError::RowExists { .. })));
        let fresh = block_on(store.history(&space("a"), &"FRESH".parse().unwrap())).unwrap();
        assert!(fresh.is_none(), "nothing of the batch was written");
    }
}
