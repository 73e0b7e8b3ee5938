//! Writing: a batch is one transaction, planned on what was read and tried again if others came
//! between.
//!
//! A transaction whose answer got lost is looked for: rows and heads name the write that wrote
//! them. If others wrote over it since, it is sent once more with its own token, and the service
//! says whether it was done. So nobody is told of a conflict with his own work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use undertone_core::{Batch, Environment, Scope, Standing, StoreError, VersionChange};

use super::DynamoStore;
use super::head::{Head, WriteId, edited, list_item};
use super::place::Place;
use super::plan::{OlderVersions, Plan, leaves_older};
use super::read::{Doubt, RowKey, Snapshot};
use super::table::{Action, Expect, LARGEST_TRANSACTION, Patience, Undone, token};
use crate::store_key::Derived;

/// The largest transaction: 4 MB, with room for how it is counted.
const LARGEST_WRITE: usize = 4_000_000;
/// How much of a transaction is used to destroy older versions beforehand.
const ROOM_FOR_OLDER: (usize, usize) = (LARGEST_TRANSACTION - 10, LARGEST_WRITE - 600_000);

const OTHERS: &str = "others changed the same scope all the time, or the table was at its limit:";
const AWAY: &str = "whether the change was made isn't known: look at it before you";

/// What a batch needs to know.
struct Known {
    snapshot: Snapshot,
    older: OlderVersions,
    alike: BTreeMap<RowKey, Vec<RowKey>>,
    derived: Arc<Derived>,
}

/// A transaction of which nobody knows whether it was done.
struct Unsure {
    actions: Vec<Action>,
    token: String,
}

impl DynamoStore {
    pub(super) async fn write_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let write = WriteId::random();
        let (mut patience, mut doubt) = (Patience::for_writing(), Doubt::default());
        let mut unsure: Vec<Unsure> = Vec::new();
        loop {
            let known = match self.read_for(batch, &mut doubt).await {
                Ok(Some(known)) => known,
                Ok(None) => {
                    patience.pause(OTHERS).await?;
                    continue;
                }
                Err(error) if unsure.is_empty() => return Err(error),
                Err(_) => return Err(unknown_outcome()),
            };
            if known.snapshot.bears(write) {
                return Ok(());
            }
            if let Err(error) = has_seen(batch, &known.snapshot) {
                return self.refused(error, &unsure).await;
            }
            let actions = match self.plan(batch, write, &known) {
                Ok(actions) => actions,
                Err(error) => return self.refused(error, &unsure).await,
            };
            if actions.is_empty() {
                return Ok(());
            }
            let (actions, is_all) = match fits(&actions) {
                true => (actions, true),
                false => (fewer_versions(batch, &known, actions)?, false),
            };
            let token = token();
            match self.table.write_together(&actions, &token).await {
                Ok(()) if is_all => return Ok(()),
                Ok(()) => patience = Patience::for_writing(),
                Err(Undone::Met) => patience.pause(OTHERS).await?,
                Err(Undone::TooLarge) => return Err(too_much(batch)),
                Err(Undone::Unknown(_)) => {
                    if is_all {
                        unsure.push(Unsure { actions, token });
                    }
                    patience.pause(AWAY).await?;
                }
                Err(Undone::Failed(error)) => return Err(error),
            }
        }
    }

    /// Makes an Environment and its entry in the list.
    pub(super) async fn make_environment(&self, made: &Environment) -> Result<(), StoreError> {
        let scope = Scope::Environment(made.id.clone());
        let (write, derived) = (WriteId::random(), self.derived().await?);
        let entry = list_item(Place::environment(&made.id), made.mode, made.created_at, &derived.seals);
        let head = Head::of_environment(made, write).item(&derived.seals);
        let actions = [Action::Put(head, Expect::Nothing), Action::Put(entry, Expect::Anything)];
        let (mut patience, mut unsure) = (Patience::for_writing(), None);
        loop {
            match self.table.write_together(&actions, &token()).await {
                Ok(()) => return Ok(()),
                Err(Undone::Met) => {}
                Err(Undone::Unknown(error)) => unsure = Some(error),
                Err(Undone::TooLarge) => {
                    return Err(StoreError::Denied("an Environment is too large".to_owned()));
                }
                Err(Undone::Failed(error)) => return Err(error),
            }
            let head = match self.table.get(&Place::head(&scope)).await {
                Ok(head) => head,
                Err(error) => return Err(unsure.unwrap_or(error)),
            };
            match head.map(|item| Head::read(&scope, &item, &derived.seals)).transpose()? {
                Some(head) if head.made == write => return Ok(()),
                Some(_) => return Err(StoreError::Exists(scope)),
                None => patience.pause(OTHERS).await?,
            }
        }
    }

    /// What the batch needs to know. `None` if it changed while it was read.
    async fn read_for(&self, batch: &Batch, doubt: &mut Doubt) -> Result<Option<Known>, StoreError> {
        let (scopes, rows) = (scopes_of(batch), rows_of(batch));
        let snapshot = self.snapshot(&scopes, &rows).await?.ok_or_else(|| too_much(batch))?;
        let mut older = OlderVersions::new();
        for (key, stored) in snapshot.rows.iter().filter(|(key, _)| needs_older(batch, key, &snapshot)) {
            match self.older(stored).await? {
                Some(versions) => _ = older.insert(key.clone(), versions),
                None => {
                    let (scope, name) = key;
                    let damage = edited(format!("the list of versions of `{name}` in {scope}"));
                    doubt.again(snapshot.epochs(), damage)?;
                    return Ok(None);
                }
            }
        }
        let derived = self.derived().await?;
        let new = rows.into_iter().filter(|key| is_new(batch, key, &snapshot));
        let alike = try_join_all(new.map(async |key| {
            let found = self.look_alikes(&key, &snapshot, &derived.seals).await?;
            Ok::<_, StoreError>((key, found))
        }));
        let alike = alike.await?.into_iter().collect();
        Ok(Some(Known { snapshot, older, alike, derived }))
    }

    fn plan(&self, batch: &Batch, write: WriteId, known: &Known) -> Result<Vec<Action>, StoreError> {
        let mut plan = Plan::new(&known.derived.seals, write, &known.snapshot, known.older.clone());
        plan.apply(batch, &known.alike)?;
        plan.into_actions()
    }

    /// The batch can't be applied to what is there now: perhaps because it was applied already.
    async fn refused(&self, error: StoreError, unsure: &[Unsure]) -> Result<(), StoreError> {
        for Unsure { actions, token } in unsure {
            match self.table.write_together(actions, token).await {
                Ok(()) => return Ok(()),
                Err(Undone::Met) => {}
                Err(Undone::TooLarge | Undone::Unknown(_) | Undone::Failed(_)) => {
                    return Err(unknown_outcome());
                }
            }
        }
        Err(error)
    }
}

/// A step that destroys the oldest versions of the row that has most to destroy. The row stays as
/// it is otherwise, its revision too: whoever is stopped here can begin again.
fn fewer_versions(batch: &Batch, known: &Known, mut all: Vec<Action>) -> Result<Vec<Action>, StoreError> {
    all.retain(|action| !action.removes_a_version());
    if !fits(&all) {
        return Err(too_much(batch));
    }
    let destroyed =
        batch.changes.iter().filter(|change| matches!(change.versions, VersionChange::DestroyAll));
    let destroyed = destroyed.map(|change| (change.scope.clone(), change.name.clone()));
    let older = destroyed.filter_map(|key| known.older.get(&key).map(|versions| (key, versions)));
    let (key, versions) = older.max_by_key(|(_, versions)| versions.len()).ok_or_else(|| too_much(batch))?;
    let sizes = versions.iter().scan(0, |sum, (version, _)| {
        *sum += version.body.record().len() + 1_024;
        Some(*sum)
    });
    let (most, room) = ROOM_FOR_OLDER;
    let count = sizes.take(most).take_while(|sum| *sum <= room).count();
    let mut plan = Plan::new(&known.derived.seals, WriteId::random(), &known.snapshot, known.older.clone());
    plan.shorten(&key, count);
    plan.into_actions()
}

fn unknown_outcome() -> StoreError {
    StoreError::Unavailable(format!("{AWAY} try again"))
}

fn fits(actions: &[Action]) -> bool {
    actions.len() <= LARGEST_TRANSACTION && actions.iter().map(Action::size).sum::<usize>() <= LARGEST_WRITE
}

fn too_much(batch: &Batch) -> StoreError {
    match scopes_of(batch).pop() {
        Some(scope) => StoreError::Full {
            scope,
            problem: "one write has at most 100 items and 4 MB here: write fewer changes at once".to_owned(),
        },
        None => StoreError::Denied("TransactWriteItems refused an empty write as too large".to_owned()),
    }
}

/// The scopes that a batch touches, and their Environments.
/// Whether the chain is as the writer saw it. A write changes heads only as they were read here.
fn has_seen(batch: &Batch, snapshot: &Snapshot) -> Result<(), StoreError> {
    let Some((chain, seen)) = &batch.seen else { return Ok(()) };
    let heads = chain.scopes().filter_map(|scope| snapshot.heads.get(&scope).map(|head| head.epoch));
    match heads.sum::<u64>() == seen.0 {
        true => Ok(()),
        false => Err(StoreError::Changed(chain.nearest())),
    }
}

fn scopes_of(batch: &Batch) -> Vec<Scope> {
    let made = batch.spaces.iter().map(|space| Scope::Space(space.environment.clone(), space.id.clone()));
    let keys = batch.keys.iter().chain(&batch.rewrapped).map(|(scope, _)| scope);
    let retired = batch.retired.iter().map(|(scope, _)| scope);
    let changes = batch.changes.iter().map(|change| &change.scope);
    let reseals = batch.reseals.iter().map(|reseal| &reseal.scope);
    let touched = made.chain(keys.chain(retired).chain(changes).chain(reseals).cloned());
    let scopes: BTreeSet<Scope> =
        touched.flat_map(|scope| [Scope::Environment(scope.environment().clone()), scope]).collect();
    scopes.into_iter().collect()
}

fn rows_of(batch: &Batch) -> Vec<RowKey> {
    let changes = batch.changes.iter().map(|change| (change.scope.clone(), change.name.clone()));
    let reseals = batch.reseals.iter().map(|reseal| (reseal.scope.clone(), reseal.name.clone()));
    let rows: BTreeSet<RowKey> = changes.chain(reseals).collect();
    rows.into_iter().collect()
}

/// Whether the batch can't be applied to the row without its older versions.
fn needs_older(batch: &Batch, (scope, name): &RowKey, snapshot: &Snapshot) -> bool {
    let Some(stored) = snapshot.rows.get(&(scope.clone(), name.clone())) else { return false };
    let mut changes = batch.changes.iter().filter(|change| change.scope == *scope && change.name == *name);
    let mut reseals = batch.reseals.iter().filter(|reseal| reseal.scope == *scope && reseal.name == *name);
    let current = stored.row.head.current;
    let leaves = match (changes.next(), reseals.next()) {
        (Some(change), None) => leaves_older(stored, change),
        (None, Some(reseal)) => reseal.records.iter().all(|(number, _)| *number == current),
        (None, None) | (Some(_), Some(_)) => false,
    };
    let is_one = changes.next().is_none() && reseals.next().is_none();
    0 < stored.older.count && !(leaves && is_one)
}

/// Whether the batch adds the name: there is no row, or a destroyed one, and the writer knows it.
fn is_new(batch: &Batch, key: &RowKey, snapshot: &Snapshot) -> bool {
    let stored = snapshot.rows.get(key).map(|stored| &stored.row);
    let mut changes = batch.changes.iter().filter(|change| (&change.scope, &change.name) == (&key.0, &key.1));
    stored.is_none_or(|row| row.head.standing == Standing::Destroyed)
        && changes.any(|change| change.expected == stored.map(|row| row.revision))
}
