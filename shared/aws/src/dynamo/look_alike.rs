//! Other spellings of a name in the same chain.
//!
//! A scope's own spellings lie together. Those in an Environment's Spaces, of which there may be a
//! million, are listed in a partition of their own: whatever a listed spelling is, it counts only
//! if its row is there, so the list needs no seal.
//!
//! Two writers that add differently spelt names in one instant, one to the Environment and one to
//! a Space of it, don't see each other: to close that, every new name in any Space would have to
//! touch its Environment's head. Within one scope it can't happen.

use futures_util::future::try_join_all;
use undertone_core::seals::Seals;
use undertone_core::{EnvironmentId, Scope, SecretName, Standing, StoreError};

use super::DynamoStore;
use super::place::{Place, looks, partition, spelling_bounds, spellings};
use super::read::{RowKey, Snapshot};
use super::row::read_row;
use super::table::{Keys, Range};

/// How many listed spellings are looked at in one call.
const PAGE: usize = 5;

impl DynamoStore {
    /// The rows, not destroyed, that a new name can't be told from: one of each place at most.
    pub(super) async fn look_alikes(
        &self,
        key: &RowKey,
        snapshot: &Snapshot,
        seals: &Seals,
    ) -> Result<Vec<RowKey>, StoreError> {
        let (scope, name) = key;
        let own = scope.chain();
        let places = own.scopes().filter(|scope| {
            // A scope without any name needs no question.
            snapshot.heads.get(scope).is_some_and(|head| 0 < head.marks.count())
        });
        let places: Vec<Scope> = places.collect();
        let beside = try_join_all(places.iter().map(|scope| self.spelt_in(scope, name, seals))).await?;
        let mut found: Vec<RowKey> = beside.into_iter().flatten().collect();
        if let Scope::Environment(environment) = scope {
            let (from, to) = spelling_bounds(name);
            for keys in [Keys::Before(from), Keys::After(to)] {
                found.extend(self.spelt_below(environment, name, keys, seals).await?);
            }
        }
        Ok(found)
    }

    async fn spelt_in(
        &self,
        scope: &Scope,
        name: &SecretName,
        seals: &Seals,
    ) -> Result<Option<RowKey>, StoreError> {
        let range = Range::of(partition(scope), Keys::Beginning(spellings(name)));
        for item in self.table.query(&range).await? {
            let row = read_row(scope, &item, seals)?.row;
            if row.name != *name && row.head.standing != Standing::Destroyed {
                return Ok(Some((scope.clone(), row.name)));
            }
        }
        Ok(None)
    }

    async fn spelt_below(
        &self,
        environment: &EnvironmentId,
        name: &SecretName,
        mut keys: Keys,
        seals: &Seals,
    ) -> Result<Option<RowKey>, StoreError> {
        loop {
            let range = Range { partition: looks(environment, name), keys: keys.clone(), limit: PAGE };
            let entries = self.table.query(&range).await?;
            for place in entries.iter().map(|entry| &entry.place) {
                let Some((scope, place)) = Place::row_of_spelling(environment, name, &place.sk) else {
                    continue;
                };
                let Some(item) = self.table.get(&place).await? else { continue };
                let row = read_row(&scope, &item, seals)?.row;
                if row.head.standing != Standing::Destroyed {
                    return Ok(Some((scope, row.name)));
                }
            }
            let Some(last) = entries.last().filter(|_| entries.len() == PAGE) else {
                return Ok(None);
            };
            keys = match keys {
                Keys::Before(_) => Keys::Before(last.place.sk.clone()),
                Keys::After(_) | Keys::All | Keys::Beginning(_) => Keys::After(last.place.sk.clone()),
            };
        }
    }
}
