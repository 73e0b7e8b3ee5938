//! The port `Store` on Secrets Manager: one secret for each scope, holding all its rows, sealed.
//!
//! For installations of up to about 1,000 Spaces that are written seldom. A secret has 64 KiB: some
//! 100 names with one version each. Secrets Manager asks for no more than one new version of a
//! secret in ten minutes, sustained, and keeps about a hundred that have no label; a scope that is
//! written more often belongs into DynamoDB, and `undertone store copy` moves it there.
//!
//! | secret | holds |
//! | --- | --- |
//! | `<prefix>/-store` | the store's id, and its key, wrapped |
//! | `<prefix>/<environment>` | the Environment: mode, epoch, keys, rows with their versions |
//! | `<prefix>/<environment>/<space>` | likewise a Space |
//!
//! # Writing
//!
//! A writer puts the whole new document as a version labelled `UNDERTONE_PENDING`, and then moves
//! `AWSCURRENT` to it, naming the version that it had read. Secrets Manager refuses that if the
//! label has moved since. Then the writer reads again: a change of a row that somebody else changed
//! is a conflict, any other is tried anew. So one call of `write` changes one scope; a batch over
//! more is refused before anything is written.
//!
//! Of a row the current version and the newest others are kept, 20 together.
//!
//! # What is found, and what isn't
//!
//! Each document carries a MAC over its whole text and its scope, checked at every read: an edit, a
//! document of another scope or store in its place, a row or version taken out or put back. Not
//! found is a whole document that was put back as it once was, since a right to move `AWSCURRENT`
//! is all that takes, and neither are scopes that lists don't show: lists find a scope by its tags.
//!
//! **What is destroyed here stays in the secret's older versions**, sealed, together with the
//! wrapped keys of then, until Secrets Manager drops them: it can't be told to. It keeps the newest
//! 100 versions, and all that are less than a day old. So whoever may read old versions and
//! use the KMS key can still read a destroyed value; where that matters, use DynamoDB.
//!
//! Secrets Manager isn't consistent at once. A read may be a moment late, which costs a writer one
//! more try and a reader nothing. A list may be five minutes late, except for what this process made.
//! A new name in an Environment is compared with the names of all listed Spaces, so of two that look
//! alike both can come in if they are written at the same moment, or the Space is that new.
//!
//! # What it costs
//!
//! | operation | calls |
//! | --- | --- |
//! | `open` | 1 `GetSecretValue` |
//! | `chain`, `epoch` of a Space | 1 `BatchGetSecretValue` |
//! | `chain`, `epoch` of an Environment; `history` | 1 `GetSecretValue` |
//! | a change in a Space | 1 `BatchGetSecretValue`, 1 `PutSecretValue`, 1 `UpdateSecretVersionStage` |
//! | a change in an Environment | 1 `GetSecretValue`, 1 `PutSecretValue`, 1 `UpdateSecretVersionStage` |
//! | a new name in an Environment | and for each 100 Spaces 1 `ListSecrets`, for each 20 1 `BatchGetSecretValue` |
//! | a new Environment | 1 `CreateSecret` |
//! | a new Space, with or without rows | 1 `GetSecretValue`, 1 `CreateSecret` |
//! | `environments` | for each 100 1 `ListSecrets`, for each 20 1 `BatchGetSecretValue` |
//! | `spaces` | for each 100 that there are 1 `ListSecrets`, for each 20 that are wanted 1 `BatchGetSecretValue` |
//!
//! The first use of the store key is one call of KMS besides, while the secrets are being read.
//!
//! A reader needs the rights `GetSecretValue` and `BatchGetSecretValue`; a writer `CreateSecret`,
//! `TagResource` (secrets are tagged as they are made), `PutSecretValue`,
//! `UpdateSecretVersionStage` and `ListSecrets` as well.

mod calls;
mod document;
mod names;
mod open;
mod pauses;
mod read;
mod recent;
mod turns;
mod wire;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use undertone_core::{
    Batch, Chain, ChainRows, Environment, EnvironmentId, Epoch, History, Limits, Names, ReadStore, Scope,
    SecretName, Space, SpaceId, Store, StoreError, StoreId,
};

use crate::store_key::StoreKey;
use calls::Secrets;
pub use names::{SecretsPrefix, SecretsPrefixError};
pub use open::SecretsOpenError;
use recent::Recent;
use turns::Turns;

/// How many bytes the value of a secret has at most.
const LARGEST_SECRET: usize = 65_536;

const LIMITS: Limits = Limits { changes: 100, scopes: 1, scope_bytes: Some(LARGEST_SECRET) };

/// Rows and sealed records in Secrets Manager.
pub struct SecretsManagerStore {
    secrets: Secrets,
    envelope_key: Option<String>,
    key: Arc<StoreKey>,
    recent: Recent,
    turns: Turns,
}

#[async_trait]
impl ReadStore for SecretsManagerStore {
    fn id(&self) -> StoreId {
        self.key.id()
    }

    async fn epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        self.read_epoch(chain).await
    }

    async fn chain(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        self.read_rows(chain, names).await
    }

    async fn history(&self, scope: &Scope, name: &SecretName) -> Result<Option<History>, StoreError> {
        self.read_history(scope, name).await
    }
}

#[async_trait]
impl Store for SecretsManagerStore {
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
