//! The port `Store` over the embedded database.
//!
//! What a program other than Undertone changes in the file is found when it is read: by MACs, by
//! sealed counts, or because a record doesn't open. Not found is what Undertone itself once wrote
//! and somebody put back: an older state of one row, of one version (before it was revoked, say)
//! or of the whole file. That takes the heads and the anchor that the record format reserves.

mod columns;
mod read;
mod versions;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Transaction;
use undertone_core::seals::Seals;
use undertone_core::{
    Batch, Chain, ChainRows, Environment, EnvironmentId, Epoch, History, Limits, Names, ReadStore, Scope,
    SecretName, Space, SpaceId, Store, StoreError, StoreId,
};

use crate::database::{Database, Fault};
use read::Moment;
pub(crate) use write::start_epoch;

/// Rows that one batch changes at most: a second or so of work.
const BATCH_LIMIT: usize = 10_000;

/// Rows and sealed records in the embedded database.
pub(crate) struct LocalStore {
    id: StoreId,
    database: Arc<Database>,
    seals: Arc<Seals>,
}

impl LocalStore {
    pub(crate) fn new(id: StoreId, database: Arc<Database>, seals: Arc<Seals>) -> Self {
        Self { id, database, seals }
    }

    fn read<T>(&self, read: impl FnOnce(Moment<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        let read = |transaction: &Transaction<'_>| read(Moment { transaction, seals: &self.seals });
        Ok(self.database.read(read)?)
    }
}

#[async_trait]
impl ReadStore for LocalStore {
    fn id(&self) -> StoreId {
        self.id
    }

    /// One for the whole store.
    async fn epoch(&self, _chain: &Chain) -> Result<Epoch, StoreError> {
        self.read(|moment| moment.epoch())
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        self.read(|moment| moment.chain(chain, names))
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.read(|moment| moment.history(scope, name))
    }
}

#[async_trait]
impl Store for LocalStore {
    fn limits(&self) -> Limits {
        Limits { changes: BATCH_LIMIT, scopes: usize::MAX, scope_bytes: None }
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let seals = self.seals.clone();
        Ok(self.database.write(move |connection| write::batch(connection, &seals, batch)).await?)
    }

    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        let seals = self.seals.clone();
        let create = move |connection: &mut _| write::create_environment(connection, &seals, &environment);
        Ok(self.database.write(create).await?)
    }

    async fn create_space(&self, space: Space) -> Result<(), StoreError> {
        let seals = self.seals.clone();
        let create = move |connection: &mut _| write::create_space(connection, &seals, &space);
        Ok(self.database.write(create).await?)
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.read(|moment| moment.environments())
    }

    async fn spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        self.read(|moment| moment.spaces(environment, after, limit))
    }
}
