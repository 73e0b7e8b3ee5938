//! Reading: every item is checked by its MAC, and every row against its scope's head.
//!
//! What doesn't agree may be a write that came between two calls. So it is read again, and is
//! damage only if the heads haven't changed since: then nobody wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{try_join, try_join_all};
use undertone_core::seals::{Mac, Seals};
use undertone_core::{
    Chain, ChainRows, Environment, EnvironmentId, Epoch, History, Names, Row, Scope, ScopeRows, SecretName,
    Space, SpaceId, StoreError, Version,
};

use super::DynamoStore;
use super::head::{Head, WriteId, edited, mark, read_list_item};
use super::item::{Edited, Item};
use super::place::{AFTER_ROWS, ENVIRONMENTS, Place, partition, spaces, versions};
use super::row::{Older, StoredRow, read_row, read_version};
use super::table::{Keys, LARGEST_TRANSACTION, Patience, Range, Undone};

/// A row's name with its scope.
pub(super) type RowKey = (Scope, SecretName);

const CHANGED: &str = "what was to be read changed all the time, or the table was at its limit:";

/// Some heads and rows as they were at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) heads: BTreeMap<Scope, Head>,
    pub(super) rows: BTreeMap<RowKey, StoredRow>,
}

impl Snapshot {
    /// Whether this write wrote any of it.
    pub(super) fn bears(&self, write: WriteId) -> bool {
        self.heads.values().any(|head| head.written == write || head.made == write)
            || self.rows.values().any(|stored| stored.written == write)
    }

    pub(super) fn epochs(&self) -> Vec<u64> {
        self.heads.values().map(|head| head.epoch).collect()
    }

    fn into_rows(mut self, scopes: &[Scope]) -> Result<Vec<HeadRows>, StoreError> {
        let mut found: Vec<HeadRows> = Vec::new();
        for scope in scopes {
            found.push((self.heads.remove(scope).ok_or_else(|| unknown(scope))?, Vec::new()));
        }
        for ((scope, _), stored) in self.rows {
            let (_, rows) = found.iter_mut().find(|(head, _)| head.scope == scope).expect("it was asked for");
            rows.push(stored.row);
        }
        Ok(found)
    }
}

type HeadRows = (Head, Vec<Row>);

/// What didn't agree, and the heads' epochs at that time.
#[derive(Default)]
pub(super) struct Doubt(Option<Vec<u64>>);

impl Doubt {
    /// # Errors
    /// With the damage, if it was there at these epochs before.
    pub(super) fn again(&mut self, epochs: Vec<u64>, damage: StoreError) -> Result<(), StoreError> {
        if self.0.as_ref() == Some(&epochs) {
            return Err(damage);
        }
        self.0 = Some(epochs);
        Ok(())
    }
}

impl DynamoStore {
    /// One call for both scopes. Each epoch only rises, so the sum stays the same only if both do.
    pub(super) async fn read_epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        let scopes: Vec<Scope> = chain.scopes().collect();
        let places: Vec<Place> = scopes.iter().map(Place::head).collect();
        let (mut items, derived) = try_join(self.table.batch_get(&places), self.derived()).await?;
        let mut sum = 0;
        for (scope, place) in scopes.iter().zip(&places) {
            let item = items.remove(place).ok_or_else(|| unknown(scope))?;
            sum += Head::read(scope, &item, &derived.seals)?.epoch;
        }
        Ok(Epoch(sum))
    }

    pub(super) async fn read_chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        let scopes: Vec<Scope> = chain.scopes().collect();
        let found = match names {
            Names::All => self.all(chain, &scopes).await?,
            Names::Only(names) => {
                let names: BTreeSet<&SecretName> = names.iter().collect();
                self.only(&scopes, &names).await?
            }
        };
        let (epoch, mode) = (found.iter().map(|(head, _)| head.epoch).sum(), found[0].0.mode);
        let scopes =
            found.into_iter().map(|(head, rows)| ScopeRows { scope: head.scope, rows, keys: head.keys });
        Ok(ChainRows { epoch: Epoch(epoch), mode, scopes: scopes.collect() })
    }

    pub(super) async fn read_history(
        &self,
        scope: &Scope,
        name: &SecretName,
    ) -> Result<Option<History>, StoreError> {
        let key = (scope.clone(), name.clone());
        let (mut patience, mut doubt) = (Patience::for_reading(), Doubt::default());
        loop {
            let snapshot = self.snapshot(std::slice::from_ref(scope), std::slice::from_ref(&key)).await;
            let mut snapshot = snapshot?.ok_or_else(too_large)?;
            let Some(stored) = snapshot.rows.remove(&key) else {
                return Ok(None);
            };
            if let Some(older) = self.older(&stored).await? {
                let mut versions: Vec<Version> = older.into_iter().map(|(version, _)| version).collect();
                versions.extend(stored.row.current.clone());
                versions.sort_by_key(|version| std::cmp::Reverse(version.number));
                return Ok(Some(History { row: stored.row, versions }));
            }
            doubt.again(snapshot.epochs(), edited(format!("the list of versions of `{name}` in {scope}")))?;
            patience.pause(CHANGED).await?;
        }
    }

    pub(super) async fn read_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let list = Range::of(ENVIRONMENTS.to_owned(), Keys::All);
        let (items, derived) = try_join(self.table.query(&list), self.derived()).await?;
        let environment = |item: &Item| {
            let wrong = |Edited| edited("the list of Environments");
            let (mode, created_at) = read_list_item(item, &derived.seals).map_err(wrong)?;
            let id = item.place.sk.parse().map_err(|_| wrong(Edited))?;
            Ok(Environment { id, mode, created_at })
        };
        items.iter().map(environment).collect()
    }

    pub(super) async fn read_spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        let keys = after.map_or(Keys::All, |after| Keys::After(after.as_str().to_owned()));
        let list = Range { partition: spaces(environment), keys, limit };
        let scope = Scope::Environment(environment.clone());
        let entry = Place::environment(environment);
        let found = try_join(self.table.query(&list), self.table.get(&entry));
        let ((items, entry), derived) = try_join(found, self.derived()).await?;
        entry.ok_or_else(|| unknown(&scope))?;
        let space = |item: &Item| {
            let wrong = |Edited| edited(format!("the list of Spaces of the {scope}"));
            let (_, created_at) = read_list_item(item, &derived.seals).map_err(wrong)?;
            let id = item.place.sk.parse().map_err(|_| wrong(Edited))?;
            Ok(Space { environment: environment.clone(), id, created_at })
        };
        items.iter().map(space).collect()
    }

    /// Heads and rows in one transaction. `None` if they are more than fits in one. Scopes that
    /// aren't there are left out.
    pub(super) async fn snapshot(
        &self,
        scopes: &[Scope],
        rows: &[RowKey],
    ) -> Result<Option<Snapshot>, StoreError> {
        let heads = scopes.iter().map(Place::head);
        let places: Vec<Place> =
            heads.chain(rows.iter().map(|(scope, name)| Place::row(scope, name))).collect();
        if LARGEST_TRANSACTION < places.len() {
            return Ok(None);
        }
        let (mut patience, mut doubt) = (Patience::for_reading(), Doubt::default());
        loop {
            let derived = async { self.derived().await.map_err(Undone::Failed) };
            let (mut items, derived) = match try_join(self.table.get_together(&places), derived).await {
                Ok((items, derived)) => (items.into_iter(), derived),
                Err(Undone::Met) => {
                    patience.pause(CHANGED).await?;
                    continue;
                }
                Err(Undone::TooLarge) => return Ok(None),
                Err(Undone::Failed(error) | Undone::Unknown(error)) => return Err(error),
            };
            let mut snapshot = Snapshot::default();
            for (scope, item) in scopes.iter().zip(items.by_ref()) {
                if let Some(item) = item {
                    snapshot.heads.insert(scope.clone(), Head::read(scope, &item, &derived.seals)?);
                }
            }
            let Err(damage) = add_rows(&mut snapshot, rows, items, &derived.seals) else {
                return Ok(Some(snapshot));
            };
            doubt.again(snapshot.epochs(), damage)?;
            patience.pause(CHANGED).await?;
        }
    }

    /// The versions of a row that aren't current, by number. `None` if they aren't those that the
    /// row seals.
    pub(super) async fn older(&self, stored: &StoredRow) -> Result<Option<Vec<(Version, Mac)>>, StoreError> {
        let row = &stored.row;
        if stored.older.count == 0 {
            return Ok(Some(Vec::new()));
        }
        let range = Range::of(partition(&row.scope), Keys::Beginning(versions(&row.name)));
        let (items, derived) = try_join(self.table.query(&range), self.derived()).await?;
        let (mut older, mut found) = (Older::default(), Vec::new());
        for item in items {
            let Ok((version, mac)) = read_version(&item, &derived.seals) else {
                return Ok(None);
            };
            older = older.and(version.number, &mac);
            found.push((version, mac));
        }
        Ok((older == stored.older).then_some(found))
    }

    async fn only(
        &self,
        scopes: &[Scope],
        names: &BTreeSet<&SecretName>,
    ) -> Result<Vec<HeadRows>, StoreError> {
        let keys = |(scope, name): (&Scope, &SecretName)| (scope.clone(), name.clone());
        let pairs = scopes.iter().flat_map(|scope| names.iter().map(move |name| (scope, *name)));
        if scopes.len() * (names.len() + 1) <= LARGEST_TRANSACTION {
            let rows: Vec<RowKey> = pairs.map(keys).collect();
            if let Some(snapshot) = self.snapshot(scopes, &rows).await? {
                return snapshot.into_rows(scopes);
            }
        }
        self.many(scopes, names).await
    }

    /// Heads at one moment, and then the rows that they say are there: marks tell whether those
    /// are still of that moment.
    async fn many(
        &self,
        scopes: &[Scope],
        names: &BTreeSet<&SecretName>,
    ) -> Result<Vec<HeadRows>, StoreError> {
        let (mut patience, mut doubt) = (Patience::for_reading(), Doubt::default());
        loop {
            let mut snapshot = self.snapshot(scopes, &[]).await?.ok_or_else(too_large)?;
            let (mut rows, mut places) = (Vec::new(), Vec::new());
            for head in snapshot.heads.values() {
                for name in names.iter().filter(|name| head.marks.of(name).is_some()) {
                    rows.push((head.scope.clone(), (*name).clone()));
                    places.push(Place::row(&head.scope, name));
                }
            }
            let (mut items, derived) = try_join(self.table.batch_get(&places), self.derived()).await?;
            let items = places.iter().map(|place| items.remove(place));
            let Err(damage) = add_rows(&mut snapshot, &rows, items, &derived.seals) else {
                return snapshot.into_rows(scopes);
            };
            doubt.again(snapshot.epochs(), damage)?;
            patience.pause(CHANGED).await?;
        }
    }

    /// Whole scopes. A scope's rows agree with its head, or are read again; that both heads are of
    /// one moment is asked at the end.
    async fn all(&self, chain: &Chain, scopes: &[Scope]) -> Result<Vec<HeadRows>, StoreError> {
        let (mut patience, mut doubt) = (Patience::for_reading(), Doubt::default());
        loop {
            let ranges = scopes.iter().map(async |scope| {
                let range = Range::of(partition(scope), Keys::Before(AFTER_ROWS.to_owned()));
                self.table.query(&range).await
            });
            let (partitions, derived) = try_join(try_join_all(ranges), self.derived()).await?;
            let (mut found, mut damage) = (Vec::new(), None);
            for (scope, items) in scopes.iter().zip(partitions) {
                let mut items: HashMap<Place, Item> =
                    items.into_iter().map(|item| (item.place.clone(), item)).collect();
                let head = match items.remove(&Place::head(scope)) {
                    Some(head) => Head::read(scope, &head, &derived.seals)?,
                    None if items.is_empty() => return Err(unknown(scope)),
                    None => return Err(edited(scope)),
                };
                match whole(&head, items.values(), &derived.seals) {
                    Ok(rows) => found.push((head, rows)),
                    Err(problem) => {
                        damage = Some(problem);
                        found.push((head, Vec::new()));
                    }
                }
            }
            match damage {
                Some(damage) => {
                    doubt.again(found.iter().map(|(head, _)| head.epoch).collect(), damage)?;
                }
                None if scopes.len() == 1 => return Ok(found),
                None => {
                    let sum = found.iter().map(|(head, _)| head.epoch).sum();
                    if self.read_epoch(chain).await? == Epoch(sum) {
                        return Ok(found);
                    }
                }
            }
            patience.pause(CHANGED).await?;
        }
    }
}

/// The error of a scope that isn't there.
pub(super) fn unknown(scope: &Scope) -> StoreError {
    match scope {
        Scope::Environment(environment) => StoreError::UnknownEnvironment(environment.clone()),
        Scope::Space(environment, space) => StoreError::UnknownSpace(environment.clone(), space.clone()),
    }
}

/// Checks items against the heads: a row is there if and only if its head has its mark. A scope
/// without a head has no rows.
fn add_rows(
    snapshot: &mut Snapshot,
    rows: &[RowKey],
    items: impl Iterator<Item = Option<Item>>,
    seals: &Seals,
) -> Result<(), StoreError> {
    for (key, item) in rows.iter().zip(items) {
        let (scope, name) = key;
        let stored = item.map(|item| read_row(scope, &item, seals)).transpose()?;
        let marked = snapshot.heads.get(scope).and_then(|head| head.marks.of(name));
        if marked != stored.as_ref().map(|stored| mark(&stored.mac)) {
            return Err(edited(format!("the row of `{name}` in {scope}")));
        }
        if let Some(stored) = stored {
            snapshot.rows.insert(key.clone(), stored);
        }
    }
    Ok(())
}

/// All rows of a scope, sorted by name: as many as the head has marks, and each with its mark.
fn whole<'a>(
    head: &Head,
    items: impl Iterator<Item = &'a Item>,
    seals: &Seals,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for item in items {
        let stored = read_row(&head.scope, item, seals)?;
        if head.marks.of(&stored.row.name) != Some(mark(&stored.mac)) {
            return Err(edited(format!("the row of `{}` in {}", stored.row.name, head.scope)));
        }
        rows.push(stored.row);
    }
    if rows.len() != head.marks.count() {
        return Err(edited(format!("the list of names of {}", head.scope)));
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(rows)
}

fn too_large() -> StoreError {
    StoreError::Unavailable("TransactGetItems refused a few items as too large".to_owned())
}
