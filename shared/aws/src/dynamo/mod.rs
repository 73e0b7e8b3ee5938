//! The port `Store` on one table of DynamoDB.
//!
//! Every item that says something carries a MAC over all its attributes and its key, and a scope's
//! head has a mark for each of the scope's rows. So what somebody with a right on the table changes
//! past Undertone is found when it is read: an edited, moved or removed item, and a row or version
//! that was put back as it was earlier. A row that was removed from a Space is damage, never a
//! reason to take the Environment's. Not found is a whole scope put back as it was, head and rows
//! together. The lists of Environments and Spaces are no proof that there are no others.
//!
//! | pk | sk | what |
//! | --- | --- | --- |
//! | `store` | `meta` | the store's id, and its key, wrapped |
//! | `S#<env>`, `S#<env>#<space>` | `head` | a scope: mode, epoch, keys, marks of its rows |
//! | likewise | `row#<digest of the folded name>#<digest>` | a row with its current version |
//! | likewise | `ver#<digest>#<number>` | a version that isn't current |
//! | `environments` | `<env>` | an entry of a list |
//! | `spaces#<env>` | `<space>` | an entry of a list |
//! | `names#<env>#<digest of the folded name>` | `<digest>#<space>` | a spelling in a Space |
//!
//! What it costs, in units of 4 KB read (RU) or 1 KB written (WU), with scopes and rows that fit in
//! one unit. A head grows by 16 bytes for each name and about 220 for each key under KMS.
//!
//! | operation | calls | units |
//! | --- | --- | --- |
//! | `epoch` of a Space | 1 | 2 RU |
//! | `chain` of a Space, up to 49 names | 1 | 4 RU, and 4 for each name |
//! | `chain` of a Space, more names | 1, and 1 for each 100 rows that are there | 4 RU, and 1 for each row |
//! | `chain` of a Space, all names | 1 per scope and MB, and 1 | 2 RU, and 1 for each 4 KB of the scopes |
//! | `history` | 1, and 1 per MB of older versions | 4 RU, and 1 for each 4 KB of versions |
//! | a new name in a Space | 4 | 8 RU, 6 WU |
//! | a new name in an Environment | 5 | 7 RU, 4 WU |
//! | a new version in a Space | 2 | 6 RU, 6 WU: its predecessor is put aside |
//! | lock, disable, revoke the current version | 2 | 6 RU, 4 WU |
//! | a new Space | 2 | 4 RU, 4 WU |
//! | `spaces`, a page of 500 | 2 | about 20 RU |

mod head;
mod item;
mod look_alike;
mod open;
mod place;
mod plan;
mod read;
mod row;
mod table;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use undertone_core::{
    Batch, Chain, ChainRows, Environment, EnvironmentId, Epoch, History, KeyError, Limits, Names, ReadStore,
    Scope, SecretName, Space, SpaceId, Store, StoreError, StoreId,
};

use crate::store_key::{Derived, StoreKey};
pub use open::{OpenError, create_table};
use table::Table;

/// A change of one row has at most four items: the row, a version that it puts aside, another that
/// it takes back, and a spelling. A scope has at most two: its head, and its entry in a list.
const LIMITS: Limits = Limits { changes: 20, scopes: 10, scope_bytes: None };

/// Rows and sealed records in a table of DynamoDB.
pub struct DynamoStore {
    table: Table,
    key: Arc<StoreKey>,
}

impl DynamoStore {
    async fn derived(&self) -> Result<Arc<Derived>, StoreError> {
        self.key.derived().await.map_err(|error| match error {
            KeyError::Unavailable(_) => StoreError::Unavailable(format!("its key: {error}")),
            KeyError::Denied(_) | KeyError::BadAnswer(_) => StoreError::Denied(format!("its key: {error}")),
        })
    }
}

#[async_trait]
impl ReadStore for DynamoStore {
    fn id(&self) -> StoreId {
        self.key.id()
    }

    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        self.read_epoch(chain).await
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        self.read_chain(chain, names).await
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.read_history(scope, name).await
    }
}

#[async_trait]
impl Store for DynamoStore {
    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.write_batch(&batch).await
    }

    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        self.make_environment(&environment).await
    }

    async fn create_space(&self, space: Space) -> Result<(), StoreError> {
        self.write_batch(&Batch { spaces: vec![space], ..Batch::default() }).await
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.read_environments().await
    }

    async fn spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        self.read_spaces(environment, after, limit).await
    }
}
