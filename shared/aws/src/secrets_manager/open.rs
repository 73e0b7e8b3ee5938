//! Making a store under a prefix, and opening it. Opening asks Secrets Manager once and KMS never.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use undertone_core::{Clock, KeyError, KeyScope, Opener, Rewrapper, Sealer, StoreError, StoreId};

use super::SecretsManagerStore;
use super::calls::{Current, Kind, Secrets, Undone, unusable};
use super::names::SecretsPrefix;
use super::recent::Recent;
use super::turns::Turns;
use super::wire::{StoreDocument, Unreadable, read_store, write_store};
use super::write::token;
use crate::store_key::StoreKey;

/// Why a prefix isn't a store that can be used, or can't be made one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsOpenError {
    /// There is no store under the prefix.
    #[error(
        "there is no store under `{0}/` in Secrets Manager in this region and account: make one with \
         `undertone init --store secrets-manager --prefix {0}`, or correct the prefix"
    )]
    NotInitialised(SecretsPrefix),
    /// There is one already.
    #[error("there is a store under `{0}/` in Secrets Manager already: use that, or choose another prefix")]
    Initialised(SecretsPrefix),
    /// The caller may not read or write it, or it is marked for deletion.
    #[error("the store can't be used: {0}")]
    Denied(String),
    /// Trying again may help.
    #[error("the store can't be reached: {0}")]
    Unavailable(String),
    /// A newer program made the store.
    #[error("the store under `{prefix}/` has the format {found}: update this program")]
    Newer {
        /// Which store.
        prefix: SecretsPrefix,
        /// Its format.
        found: u64,
    },
    /// What is stored about the store can't be right.
    #[error("the secret `{0}/-store` isn't as Undertone wrote it: make an earlier version of it current")]
    Damaged(SecretsPrefix),
    /// The store's key couldn't be made or wrapped anew.
    #[error("the store's key: {0}")]
    Key(KeyError),
}

impl SecretsManagerStore {
    /// Makes a store under a prefix that has none. The sealer makes its key.
    ///
    /// `envelope_key` is the KMS key under which Secrets Manager keeps the store's secrets, those that
    /// are made later too; without one it takes its own, `aws/secretsmanager`. They are sealed before
    /// either way. Whoever reads or writes them needs the right to use that key.
    ///
    /// # Errors
    /// [`SecretsOpenError::Initialised`] if there is one, and what calls fail with.
    pub async fn init(
        client: Client,
        prefix: SecretsPrefix,
        sealer: &dyn Sealer,
        envelope_key: Option<&str>,
    ) -> Result<StoreId, SecretsOpenError> {
        let secrets = Secrets { client, prefix };
        match read(&secrets).await {
            Err(SecretsOpenError::NotInitialised(_)) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(SecretsOpenError::Initialised(secrets.prefix)),
        }
        let id = StoreId::random();
        let (_, key) = sealer.new_key(&KeyScope::store(id), 1).await.map_err(SecretsOpenError::Key)?;
        let document = StoreDocument { id, key, envelope_key: envelope_key.map(str::to_owned) };
        let (name, text) = (secrets.prefix.store(), write_store(&document));
        match secrets.create(&name, Kind::Store, text, &token(), envelope_key).await {
            Ok(()) => Ok(id),
            // It may have been made by a try whose answer was lost.
            Err(undone @ (Undone::Exists | Undone::Unknown(_))) => match read(&secrets).await {
                Ok((stored, _)) if stored.id == id => Ok(id),
                Ok(_) => Err(SecretsOpenError::Initialised(secrets.prefix)),
                Err(SecretsOpenError::NotInitialised(_)) => {
                    Err(about_store(undone, &secrets, "CreateSecret"))
                }
                Err(error) => Err(error),
            },
            Err(undone) => Err(about_store(undone, &secrets, "CreateSecret")),
        }
    }

    /// Opens the store under a prefix. Its key is unwrapped when it is first needed.
    ///
    /// # Errors
    /// See [`SecretsOpenError`].
    pub async fn open(
        client: Client,
        prefix: SecretsPrefix,
        opener: Arc<dyn Opener>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Arc<StoreKey>), SecretsOpenError> {
        let secrets = Secrets { client, prefix };
        let (StoreDocument { id, key, envelope_key }, _) = read(&secrets).await?;
        let key = Arc::new(StoreKey::new(id, key, opener, clock.clone()));
        let (recent, turns) = (Recent::new(clock), Turns::default());
        Ok((Self { secrets, envelope_key, key: key.clone(), recent, turns }, key))
    }

    /// Wraps the store's key anew, under another root, and stores it so. Whoever opened the store
    /// before goes on with the key as it was wrapped then.
    ///
    /// # Errors
    /// See [`SecretsOpenError`]; [`SecretsOpenError::Unavailable`] also if somebody else did the same.
    pub async fn rewrap_store_key(&self, root: &dyn Rewrapper) -> Result<(), SecretsOpenError> {
        let secrets = &self.secrets;
        let name = secrets.prefix.store();
        let (stored, current) = read(secrets).await?;
        let wrapped = root.rewrap(&KeyScope::store(stored.id), &stored.key).await;
        let next = StoreDocument { key: wrapped.map_err(SecretsOpenError::Key)?, ..stored };
        let put = secrets.put_pending(&name, write_store(&next), &token()).await;
        let put = put.map_err(|undone| about_store(undone, secrets, "PutSecretValue"))?;
        let Err(undone) = secrets.make_current(&name, &current.version, &put).await else {
            return Ok(());
        };
        match (read(secrets).await, undone) {
            // The answer to a try that did it was lost.
            (Ok((stored, _)), _) if stored == next => Ok(()),
            (_, Undone::Refused) => Err(SecretsOpenError::Unavailable(
                "somebody else replaced it meanwhile, try again".to_owned(),
            )),
            (_, undone) => Err(about_store(undone, secrets, "UpdateSecretVersionStage")),
        }
    }
}

/// What is stored about the store.
async fn read(secrets: &Secrets) -> Result<(StoreDocument, Current), SecretsOpenError> {
    let prefix = || secrets.prefix.clone();
    let current = match secrets.get(&secrets.prefix.store()).await {
        Ok(current) => current,
        Err(Undone::NotFound) => return Err(SecretsOpenError::NotInitialised(prefix())),
        Err(undone) => return Err(about_store(undone, secrets, "GetSecretValue")),
    };
    let document = read_store(&current.text).map_err(|unreadable| match unreadable {
        Unreadable::Newer(found) => SecretsOpenError::Newer { prefix: prefix(), found },
        Unreadable::Edited => SecretsOpenError::Damaged(prefix()),
    })?;
    Ok((document, current))
}

fn about_store(undone: Undone, secrets: &Secrets, operation: &str) -> SecretsOpenError {
    match undone {
        Undone::Unusable => SecretsOpenError::Denied(unusable(&secrets.prefix.store())),
        other => match other.into_error(operation) {
            StoreError::Unavailable(problem) => SecretsOpenError::Unavailable(problem),
            StoreError::Denied(problem) => SecretsOpenError::Denied(problem),
            error => SecretsOpenError::Denied(error.to_string()),
        },
    }
}
