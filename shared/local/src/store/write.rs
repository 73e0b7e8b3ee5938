//! Writing: compare-and-set changes in one transaction, each of which raises the epoch.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use undertone_core::keys::WrappedKey;
use undertone_core::seals::{Seals, mode_code, standing_code};
use undertone_core::{
    Batch, Change, Environment, Epoch, KeyId, Reseal, Revision, Row, Scope, SecretName, Space, Standing,
    StoreError, VersionChange, names_a_key_of,
};

use super::columns::{Fields, edited};
use super::read::{Counted, Known, Moment, environment, space};
use crate::database::{Fault, owe_scrub, scrub, scrub_if_due};

// Destroyed rows (3) bar no spelling. Left to choose, SQLite goes through the whole Environment.

/// An Environment shares a chain with each of its Spaces.
const LOOK_ALIKE_BELOW_ENVIRONMENT: &str = "SELECT space, name FROM rows INDEXED BY rows_by_folded
    WHERE environment = ?1 AND folded = ?2 AND name <> ?3 AND standing <> 3 AND ?4 = '' LIMIT 1";

/// A Space shares its chain with its Environment only.
const LOOK_ALIKE_ABOVE_SPACE: &str = "SELECT space, name FROM rows INDEXED BY rows_by_folded
    WHERE environment = ?1 AND folded = ?2 AND name <> ?3 AND standing <> 3 AND space IN ('', ?4) LIMIT 1";

/// Applies a batch, all of it or nothing.
pub(super) fn batch(connection: &mut Connection, seals: &Seals, batch: Batch) -> Result<(), Fault> {
    let overwrites = overwrites(&batch);
    commit(connection, seals, |writing| {
        if let Some((chain, epoch)) = &batch.seen
            && writing.epoch()? != *epoch
        {
            return Err(StoreError::Changed(chain.nearest()).into());
        }
        let mut touched = Touched::new();
        for made in &batch.spaces {
            writing.add_space(made)?;
        }
        for (scope, key) in batch.keys {
            let keys = &mut writing.touch(&mut touched, &scope)?.keys;
            writing.add_key(&scope, keys, key)?;
        }
        for change in batch.changes {
            let scope = writing.touch(&mut touched, &change.scope)?;
            scope.added += writing.apply(&scope.keys, change)?;
        }
        for reseal in batch.reseals {
            let scope = writing.touch(&mut touched, &reseal.scope)?;
            writing.reseal(&scope.keys, reseal)?;
        }
        for (scope, key) in batch.rewrapped {
            let keys = &writing.touch(&mut touched, &scope)?.keys;
            writing.rewrap_key(&scope, keys, &key)?;
        }
        for (scope, id) in batch.retired {
            writing.touch(&mut touched, &scope)?;
            writing.retire_key(&scope, id)?;
        }
        for scope in touched.into_values().filter(|scope| 0 < scope.added) {
            writing.count_rows(scope)?;
        }
        match overwrites {
            true => owe_scrub(writing.transaction),
            false => Ok(()),
        }
    })?;
    match overwrites {
        true => scrub(connection),
        false => scrub_if_due(connection),
    }
    Ok(())
}

/// Whether something goes that must not stay readable in the log.
fn overwrites(batch: &Batch) -> bool {
    let destroys = |change: &Change| matches!(change.versions, VersionChange::DestroyAll);
    batch.changes.iter().any(destroys)
        || !batch.reseals.is_empty()
        || !batch.rewrapped.is_empty()
        || !batch.retired.is_empty()
}

/// Makes an Environment.
pub(super) fn create_environment(
    connection: &mut Connection,
    seals: &Seals,
    made: &Environment,
) -> Result<(), Fault> {
    commit(connection, seals, |writing| {
        let mac = seals.environment(made, 0).mac();
        let added = writing
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO environments VALUES (?1, ?2, ?3, 0, ?4)")?
            .execute(params![made.id.as_str(), mode_code(made.mode), made.created_at.to_string(), mac])?;
        match added {
            0 => Err(StoreError::Exists(Scope::Environment(made.id.clone())).into()),
            _ => Ok(()),
        }
    })
}

/// Makes a Space.
pub(super) fn create_space(connection: &mut Connection, seals: &Seals, made: &Space) -> Result<(), Fault> {
    commit(connection, seals, |writing| writing.add_space(made))
}

/// Writes the first epoch, when the store is made.
pub(crate) fn start_epoch(transaction: &Transaction<'_>, seals: &Seals) -> Result<(), Fault> {
    let mac = seals.epoch(Epoch(0)).mac();
    transaction.execute("INSERT INTO epoch VALUES (1, 0, ?1)", params![mac])?;
    Ok(())
}

/// One transaction: what `write` does and the next epoch, or nothing.
fn commit(
    connection: &mut Connection,
    seals: &Seals,
    write: impl FnOnce(Moment<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    // Taking the lock first means that nothing read here can change before it is written.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let writing = Moment { transaction: &transaction, seals };
    write(writing)?;
    writing.raise_epoch()?;
    transaction.commit()?;
    Ok(())
}

type Touched = BTreeMap<Scope, TouchedScope>;

/// A scope that a batch writes to.
struct TouchedScope {
    known: Known,
    /// Its keys, those that the batch brings included.
    keys: Vec<WrappedKey>,
    /// How many names the batch added to it so far.
    added: u64,
}

impl Moment<'_> {
    fn raise_epoch(self) -> Result<(), Fault> {
        let next = Epoch(self.epoch()?.0 + 1);
        let mut statement = self.transaction.prepare_cached("UPDATE epoch SET value = ?1, mac = ?2")?;
        statement.execute(params![next.0, self.seals.epoch(next).mac()])?;
        Ok(())
    }

    fn add_space(self, made: &Space) -> Result<(), Fault> {
        self.environment(&made.environment)?;
        let (environment, id) = (made.environment.as_str(), made.id.as_str());
        let mac = self.seals.space(made, 0).mac();
        let added = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO spaces VALUES (?1, ?2, ?3, 0, ?4)")?
            .execute(params![environment, id, made.created_at.to_string(), mac])?;
        match added {
            0 => Err(StoreError::Exists(Scope::Space(made.environment.clone(), made.id.clone())).into()),
            _ => Ok(()),
        }
    }

    /// The scope, which must be known; read once per batch.
    fn touch<'t>(self, touched: &'t mut Touched, scope: &Scope) -> Result<&'t mut TouchedScope, Fault> {
        if !touched.contains_key(scope) {
            let (known, keys) = (self.known(scope)?, self.keys(scope)?);
            touched.insert(scope.clone(), TouchedScope { known, keys, added: 0 });
        }
        Ok(touched.get_mut(scope).expect("it is there or was just put there"))
    }

    fn count_rows(self, scope: TouchedScope) -> Result<(), Fault> {
        match scope.known {
            Known::Environment(Counted { thing, count }) => {
                let rows = count + scope.added;
                let mac = self.seals.environment(&thing, rows).mac();
                self.transaction
                    .prepare_cached("UPDATE environments SET rows = ?1, mac = ?2 WHERE id = ?3")?
                    .execute(params![rows, mac, thing.id.as_str()])?;
            }
            Known::Space(Counted { thing, count }) => {
                let rows = count + scope.added;
                let mac = self.seals.space(&thing, rows).mac();
                self.transaction
                    .prepare_cached(
                        "UPDATE spaces SET rows = ?1, mac = ?2 WHERE environment = ?3 AND id = ?4",
                    )?
                    .execute(params![rows, mac, thing.environment.as_str(), thing.id.as_str()])?;
            }
        }
        Ok(())
    }

    fn add_key(self, scope: &Scope, keys: &mut Vec<WrappedKey>, key: WrappedKey) -> Result<(), Fault> {
        match keys.iter().find(|known| known.id == key.id) {
            Some(known) if *known == key => return Ok(()),
            Some(_) => return Err(other_form(scope, key.id)),
            None => {}
        }
        let mut statement = self.transaction.prepare_cached("INSERT INTO keys VALUES (?1, ?2, ?3, ?4)")?;
        statement.execute(params![environment(scope), space(scope), key.id.0, key.encode()])?;
        keys.push(key);
        Ok(())
    }

    /// A key that isn't there any more needs no wrapping.
    fn rewrap_key(self, scope: &Scope, keys: &[WrappedKey], key: &WrappedKey) -> Result<(), Fault> {
        let Some(known) = keys.iter().find(|known| known.id == key.id) else {
            return Ok(());
        };
        if known.generation != key.generation {
            return Err(other_form(scope, key.id));
        }
        let mut statement = self.transaction.prepare_cached(
            "UPDATE keys SET wrapped = ?1 WHERE environment = ?2 AND space = ?3 AND id = ?4",
        )?;
        statement.execute(params![key.encode(), environment(scope), space(scope), key.id.0])?;
        Ok(())
    }

    fn retire_key(self, scope: &Scope, id: KeyId) -> Result<(), Fault> {
        let mut statement = self
            .transaction
            .prepare_cached("DELETE FROM keys WHERE environment = ?1 AND space = ?2 AND id = ?3")?;
        statement.execute(params![environment(scope), space(scope), id.0])?;
        Ok(())
    }

    /// Applies one change and returns how many names it added to the scope.
    fn apply(self, keys: &[WrappedKey], change: Change) -> Result<u64, Fault> {
        let Change { scope, name, expected, head, versions } = change;
        let known = self.row(&scope, &name)?;
        let added = match &versions {
            VersionChange::Add(version) => std::slice::from_ref(version),
            VersionChange::AddAll(versions) => versions,
            VersionChange::Keep | VersionChange::Revoke(_) | VersionChange::DestroyAll => &[],
        };
        let has_keys = added.iter().all(|version| names_a_key_of(keys, version.body.record()));
        if !has_keys || known.as_ref().map(|known| known.thing.revision) != expected {
            return Err(StoreError::Conflict { scope, name }.into());
        }
        let is_new = known.as_ref().is_none_or(|known| known.thing.head.standing == Standing::Destroyed);
        if is_new {
            self.check_look_alike(&scope, &name)?;
        }
        let count = known.as_ref().map_or(0, |known| known.count);
        let count = match &versions {
            VersionChange::DestroyAll => 0,
            VersionChange::Keep
            | VersionChange::Revoke(_)
            | VersionChange::Add(_)
            | VersionChange::AddAll(_) => count + added.len() as u64,
        };
        let revision = Revision(expected.map_or(0, |revision| revision.0) + 1);
        let row = Row { scope, name, revision, head, current: None };
        self.put_row(&row, count)?;
        match versions {
            VersionChange::Keep => {}
            VersionChange::Add(version) => self.add_version(&row, &version)?,
            VersionChange::AddAll(versions) => {
                versions.iter().try_for_each(|version| self.add_version(&row, version))?;
            }
            VersionChange::Revoke(number) => self.revoke(&row, number)?,
            VersionChange::DestroyAll => self.destroy(&row)?,
        }
        Ok(u64::from(known.is_none()))
    }

    /// Puts other records in the place of a row's own, if nobody changed the row meanwhile.
    fn reseal(self, keys: &[WrappedKey], reseal: Reseal) -> Result<(), Fault> {
        let Reseal { scope, name, expected, records } = reseal;
        let has_keys = records.iter().all(|(_, record)| names_a_key_of(keys, record));
        let known = self.row(&scope, &name)?.filter(|known| has_keys && known.thing.revision == expected);
        let Some(Counted { thing: row, count }) = known else {
            return Err(StoreError::Conflict { scope, name }.into());
        };
        let row = Row { revision: Revision(expected.0 + 1), ..row };
        self.put_row(&row, count)?;
        self.put_records(&row, records)
    }

    fn check_look_alike(self, scope: &Scope, name: &SecretName) -> Result<(), Fault> {
        let sql = match scope {
            Scope::Environment(_) => LOOK_ALIKE_BELOW_ENVIRONMENT,
            Scope::Space(..) => LOOK_ALIKE_ABOVE_SPACE,
        };
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut found =
            statement.query(params![environment(scope), name.folded(), name.as_str(), space(scope)])?;
        let Some(columns) = found.next()? else {
            return Ok(());
        };
        let mut fields = Fields::of(columns);
        let environment = scope.environment().clone();
        let scope = match fields.next::<String>()? {
            none if none.is_empty() => Scope::Environment(environment),
            space => Scope::Space(environment, space.parse().map_err(|_| edited("the index of names"))?),
        };
        let (name, existing) = (name.clone(), fields.parsed()?);
        Err(StoreError::LookAlike { name, existing, scope }.into())
    }

    fn put_row(self, row: &Row, versions: u64) -> Result<(), Fault> {
        let head = &row.head;
        let (standing, purge_at) = standing_code(head.standing);
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (environment, space, name) DO UPDATE SET folded = ?4, revision = ?5, id = ?6,
                 standing = ?7, purge_at = ?8, current = ?9, latest = ?10, disabled = ?11, locked = ?12,
                 expires_at = ?13, updated_at = ?14, updated_by = ?15, versions = ?16, mac = ?17",
        )?;
        statement.execute(params![
            environment(&row.scope),
            space(&row.scope),
            row.name.as_str(),
            row.name.folded(),
            row.revision.0,
            head.id.0,
            standing,
            purge_at.map(|at| at.to_string()),
            head.current,
            head.latest,
            head.disabled,
            head.locked,
            head.expires_at.map(|at| at.to_string()),
            head.updated_at.to_string(),
            head.updated_by,
            versions,
            self.seals.row(row, versions).mac(),
        ])?;
        Ok(())
    }
}

fn other_form(scope: &Scope, id: KeyId) -> Fault {
    Fault::Damaged(format!("{scope} holds the key {id} in another form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Open};

    #[test]
    fn a_look_alike_is_looked_for_in_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undertone.db");
        std::fs::write(&path, "").unwrap();
        Database::create(&path, |_| Ok(())).unwrap();
        let Open::Ready(database) = Database::open(&path).unwrap() else { panic!("it was just made") };
        for (sql, columns) in [
            (LOOK_ALIKE_BELOW_ENVIRONMENT, "(environment=? AND folded=?)"),
            (LOOK_ALIKE_ABOVE_SPACE, "(environment=? AND folded=? AND space=?)"),
        ] {
            let plan = database.read(|moment| {
                let mut statement = moment.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.query_map(["dev", "a", "A", ""], |step| step.get::<_, String>(3))?;
                Ok(steps.collect::<Result<Vec<_>, _>>()?)
            });
            assert_eq!(plan.unwrap(), [format!("SEARCH rows USING INDEX rows_by_folded {columns}")]);
        }
    }
}
