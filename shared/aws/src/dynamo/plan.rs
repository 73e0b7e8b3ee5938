//! What a batch makes of the scopes and rows that it touches, worked out before anything is sent.
//!
//! Changes are applied one after the other to what was read, as if the batch were alone; what
//! comes out is one action for each item that differs. That nobody came between is what the
//! actions expect: each head at the epoch, and each row at the revision, that was read.

use std::collections::BTreeMap;

use undertone_core::keys::WrappedKey;
use undertone_core::seals::{Mac, Seals};
use undertone_core::{
    Batch, Change, Reseal, Revision, Row, Scope, SecretName, Space, Standing, StoreError, Version,
    VersionChange, names_a_key_of,
};

use super::head::{Head, WriteId, list_item, mark};
use super::item::{Fields, Item};
use super::place::Place;
use super::read::{RowKey, Snapshot, unknown};
use super::row::{Older, StoredRow, row_item, version_item};
use super::table::{Action, Expect};

/// The largest item, with room for how the table counts: 400 KB.
const LARGEST_ITEM: usize = (400 << 10) - 2_048;
/// What the table adds to a version's record, about.
const AROUND_A_RECORD: usize = 512;

/// The versions of rows that aren't current, where a batch needs them.
pub(super) type OlderVersions = BTreeMap<RowKey, Vec<(Version, Mac)>>;

/// Scopes and rows as they will be.
pub(super) struct Plan<'a> {
    seals: &'a Seals,
    write: WriteId,
    scopes: BTreeMap<Scope, ScopePlan>,
    rows: BTreeMap<RowKey, RowPlan>,
}

struct ScopePlan {
    head: Head,
    /// The epoch that was read; none for a scope that is made.
    seen: Option<u64>,
    changed: bool,
}

#[derive(Default)]
struct RowPlan {
    /// The revision that was read.
    seen: Option<Revision>,
    was_spelt: bool,
    row: Option<Row>,
    /// Versions that stay as they are and weren't read. All others have higher numbers.
    unread: Older,
    /// Items of versions that aren't current, as they are stored.
    stored: BTreeMap<u64, (Version, Mac)>,
    /// All versions but the unread ones.
    versions: BTreeMap<u64, Version>,
    changed: bool,
}

/// Whether a change of a row can be made without reading its older versions: it leaves them as
/// they are, and what it adds comes after them.
pub(super) fn leaves_older(stored: &StoredRow, change: &Change) -> bool {
    let (older, head) = (stored.older, &stored.row.head);
    let current = stored.row.current.as_ref().map(|version| version.number);
    let keeps_current = change.head.current == head.current;
    let appends = |number: u64| older.last < number;
    match &change.versions {
        VersionChange::Keep => keeps_current,
        VersionChange::Revoke(number) => keeps_current && current == Some(*number),
        VersionChange::Add(version) => {
            let follows = change.head.current == version.number && current.is_none_or(appends);
            appends(version.number) && (keeps_current || follows)
        }
        VersionChange::AddAll(added) => keeps_current && added.iter().all(|version| appends(version.number)),
        VersionChange::DestroyAll => false,
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        seals: &'a Seals,
        write: WriteId,
        snapshot: &Snapshot,
        mut older: OlderVersions,
    ) -> Self {
        let scopes = snapshot.heads.iter().map(|(scope, head)| {
            let (head, seen) = (head.clone(), Some(head.epoch));
            (scope.clone(), ScopePlan { head, seen, changed: false })
        });
        let rows =
            snapshot.rows.iter().map(|(key, stored)| (key.clone(), RowPlan::new(stored, older.remove(key))));
        Self { seals, write, scopes: scopes.collect(), rows: rows.collect() }
    }

    /// Applies the batch. `alike` are the rows, not destroyed, of other spellings of new names.
    pub(super) fn apply(
        &mut self,
        batch: &Batch,
        alike: &BTreeMap<RowKey, Vec<RowKey>>,
    ) -> Result<(), StoreError> {
        for space in &batch.spaces {
            self.make(space)?;
        }
        for (scope, key) in &batch.keys {
            self.add_key(scope, key)?;
        }
        for change in &batch.changes {
            let key = (change.scope.clone(), change.name.clone());
            self.change(&key, change, alike.get(&key).map(Vec::as_slice).unwrap_or_default())?;
        }
        for reseal in &batch.reseals {
            self.reseal(reseal)?;
        }
        for (scope, key) in &batch.rewrapped {
            let known = self.scope(scope)?;
            for stored in known.head.keys.iter_mut().filter(|stored| stored.id == key.id && *stored != key) {
                *stored = key.clone();
                known.changed = true;
            }
        }
        for (scope, id) in &batch.retired {
            let known = self.scope(scope)?;
            let before = known.head.keys.len();
            known.head.keys.retain(|key| key.id != *id);
            known.changed |= known.head.keys.len() != before;
        }
        Ok(())
    }

    /// Destroys the oldest versions of a row and nothing else, those that aren't current.
    pub(super) fn shorten(&mut self, key: &RowKey, by: usize) {
        let Some(known) = self.rows.get_mut(key) else { return };
        for number in known.stored.keys().take(by) {
            known.versions.remove(number);
        }
        known.changed = true;
    }

    fn make(&mut self, space: &Space) -> Result<(), StoreError> {
        self.scope(&Scope::Environment(space.environment.clone()))?;
        let scope = Scope::Space(space.environment.clone(), space.id.clone());
        if self.scopes.contains_key(&scope) {
            return Err(StoreError::Exists(scope));
        }
        let head = Head::of_space(space, self.write);
        self.scopes.insert(scope, ScopePlan { head, seen: None, changed: true });
        Ok(())
    }

    fn scope(&mut self, scope: &Scope) -> Result<&mut ScopePlan, StoreError> {
        let environment = Scope::Environment(scope.environment().clone());
        if !self.scopes.contains_key(&environment) {
            return Err(unknown(&environment));
        }
        self.scopes.get_mut(scope).ok_or_else(|| unknown(scope))
    }

    fn add_key(&mut self, scope: &Scope, key: &WrappedKey) -> Result<(), StoreError> {
        let known = self.scope(scope)?;
        match known.head.keys.iter().find(|stored| stored.id == key.id) {
            Some(stored) if stored == key => {}
            Some(_) => {
                let problem = format!("{scope} holds the key {} in another form", key.id);
                return Err(StoreError::Damaged(problem));
            }
            None => {
                known.head.keys.push(key.clone());
                known.changed = true;
            }
        }
        Ok(())
    }

    fn change(&mut self, key: &RowKey, change: &Change, alike: &[RowKey]) -> Result<(), StoreError> {
        let (scope, name) = key;
        let conflict = || StoreError::Conflict { scope: scope.clone(), name: name.clone() };
        let added = match &change.versions {
            VersionChange::Add(version) => std::slice::from_ref(version),
            VersionChange::AddAll(added) => added,
            VersionChange::Keep | VersionChange::Revoke(_) | VersionChange::DestroyAll => &[],
        };
        let known = self.scope(scope)?;
        let has_keys = |version: &Version| names_a_key_of(&known.head.keys, version.body.record());
        let has_keys = added.iter().all(has_keys);
        known.changed = true;
        let row = self.row(key);
        if row.map(|row| row.revision) != change.expected || !has_keys {
            return Err(conflict());
        }
        if row.is_none_or(|row| row.head.standing == Standing::Destroyed) {
            self.check_look_alike(key, alike)?;
        }
        let known = self.rows.entry(key.clone()).or_default();
        for version in added {
            // Somebody may have given the same number to another version.
            if known.versions.insert(version.number, version.clone()).is_some() {
                return Err(conflict());
            }
        }
        match &change.versions {
            VersionChange::Keep | VersionChange::Add(_) | VersionChange::AddAll(_) => {}
            VersionChange::Revoke(number) => {
                known.versions.get_mut(number).into_iter().for_each(|version| version.revoked = true);
            }
            VersionChange::DestroyAll => known.versions.clear(),
        }
        let revision = Revision(change.expected.map_or(0, |revision| revision.0) + 1);
        let (scope, name, head) = (scope.clone(), name.clone(), change.head.clone());
        known.row = Some(Row { scope, name, revision, head, current: None });
        known.changed = true;
        Ok(())
    }

    fn reseal(&mut self, reseal: &Reseal) -> Result<(), StoreError> {
        let Reseal { scope, name, expected, records } = reseal;
        let conflict = || StoreError::Conflict { scope: scope.clone(), name: name.clone() };
        let scope_plan = self.scope(scope)?;
        let has_keys = records.iter().all(|(_, record)| names_a_key_of(&scope_plan.head.keys, record));
        scope_plan.changed = true;
        let known = self.rows.get_mut(&(scope.clone(), name.clone())).ok_or_else(conflict)?;
        let row = known.row.as_mut().filter(|row| has_keys && row.revision == *expected);
        row.ok_or_else(conflict)?.revision = Revision(expected.0 + 1);
        for (number, record) in records {
            let version = known.versions.get_mut(number).ok_or_else(conflict)?;
            version.body = version.body.resealed(record.clone());
        }
        known.changed = true;
        Ok(())
    }

    fn row(&self, key: &RowKey) -> Option<&Row> {
        self.rows.get(key)?.row.as_ref()
    }

    fn check_look_alike(&self, key: &RowKey, alike: &[RowKey]) -> Result<(), StoreError> {
        let (scope, name) = key;
        let folded = name.folded();
        let in_one_chain = |other: &Scope| {
            other.environment() == scope.environment()
                && (other == scope || other.space().is_none() || scope.space().is_none())
        };
        let stands = |row: &Row| row.head.standing != Standing::Destroyed;
        // The batch itself may have destroyed one of them.
        let stored = alike.iter().find(|other| self.row(other).is_none_or(stands));
        let planned = || {
            let rows = self.rows.iter().filter(|(_, plan)| plan.row.as_ref().is_some_and(stands));
            let mut keys = rows.map(|(key, _)| key);
            keys.find(|(other, known)| known != name && in_one_chain(other) && known.folded() == folded)
        };
        match stored.or_else(planned) {
            None => Ok(()),
            Some((scope, existing)) => {
                let (scope, existing) = (scope.clone(), existing.clone());
                Err(StoreError::LookAlike { name: name.clone(), existing, scope })
            }
        }
    }

    /// What is to be sent; nothing, if nothing differs.
    pub(super) fn into_actions(mut self) -> Result<Vec<Action>, StoreError> {
        let mut actions = Vec::new();
        for ((scope, name), plan) in self.rows.into_iter().filter(|(_, plan)| plan.changed) {
            let known = self.scopes.get_mut(&scope).expect("a row that changed has a known scope");
            known.changed = true;
            plan.finish(self.seals, self.write, &mut known.head, &mut actions, (&scope, &name))?;
        }
        for (scope, plan) in self.scopes.into_iter().filter(|(_, plan)| plan.changed) {
            let ScopePlan { mut head, seen, .. } = plan;
            let expect = seen.map_or(Expect::Nothing, |epoch| Expect::Number("epoch", epoch));
            head.epoch = seen.unwrap_or(0) + 1;
            head.written = self.write;
            let full = "its head can't have more names and keys (400 KB): move some names to other Spaces";
            put(&mut actions, &scope, head.item(self.seals), expect, full)?;
            if let (Scope::Space(environment, id), None) = (&scope, seen) {
                let place = Place::space(environment, id);
                let item = list_item(place, head.mode, head.created_at, self.seals);
                actions.push(Action::Put(item, Expect::Anything));
            }
        }
        Ok(actions)
    }
}

impl RowPlan {
    fn new(stored: &StoredRow, older: Option<Vec<(Version, Mac)>>) -> Self {
        let unread = if older.is_some() { Older::default() } else { stored.older };
        let older = older.unwrap_or_default().into_iter();
        let older: BTreeMap<u64, (Version, Mac)> = older.map(|known| (known.0.number, known)).collect();
        let mut versions: BTreeMap<u64, Version> =
            older.iter().map(|(number, (version, _))| (*number, version.clone())).collect();
        versions.extend(stored.row.current.iter().map(|current| (current.number, current.clone())));
        Self {
            seen: Some(stored.row.revision),
            was_spelt: stored.row.head.standing != Standing::Destroyed,
            row: Some(stored.row.clone()),
            unread,
            stored: older,
            versions,
            changed: false,
        }
    }

    fn finish(
        self,
        seals: &Seals,
        write: WriteId,
        head: &mut Head,
        actions: &mut Vec<Action>,
        (scope, name): (&Scope, &SecretName),
    ) -> Result<(), StoreError> {
        let full = "one version with its rules of use has at most 400 KB here";
        let mut row = self.row.expect("a row that changed is there");
        let mut versions = self.versions;
        row.current = versions.remove(&row.head.current);
        let mut older = self.unread;
        for (number, version) in &versions {
            let known = self.stored.get(number).filter(|(stored, _)| stored == version);
            let mac = match known {
                Some((_, mac)) => *mac,
                None => {
                    let (item, mac) = version_item(scope, name, version, seals);
                    put(actions, scope, item, Expect::Anything, full)?;
                    mac
                }
            };
            older = older.and(*number, &mac);
        }
        for (number, (version, _)) in self.stored.iter().filter(|(number, _)| !versions.contains_key(number))
        {
            let size = version.body.record().len() + version.rules.canonical().len() + AROUND_A_RECORD;
            actions.push(Action::Delete(Place::version(scope, name, *number), size));
        }
        let (item, mac) = row_item(&row, &older, write, seals);
        head.marks.set(name, mark(&mac));
        let expect = self.seen.map_or(Expect::Nothing, |seen| Expect::Number("revision", seen.0));
        put(actions, scope, item, expect, full)?;
        let is_spelt = row.head.standing != Standing::Destroyed;
        if let (Scope::Space(environment, space), true) = (scope, is_spelt != self.was_spelt) {
            let place = Place::spelling(environment, space, name);
            actions.push(match is_spelt {
                true => Action::Put(Item { place, fields: Fields::default() }, Expect::Anything),
                false => Action::Delete(place, AROUND_A_RECORD),
            });
        }
        Ok(())
    }
}

fn put(
    actions: &mut Vec<Action>,
    scope: &Scope,
    item: Item,
    expect: Expect,
    full: &str,
) -> Result<(), StoreError> {
    if LARGEST_ITEM < item.size() {
        return Err(StoreError::Full { scope: scope.clone(), problem: full.to_owned() });
    }
    actions.push(Action::Put(item, expect));
    Ok(())
}
