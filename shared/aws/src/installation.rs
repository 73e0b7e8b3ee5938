//! An installation on AWS: the ports of one store, opened together from one set of settings.
//!
//! For listeners without the power to write, for those who change it with both.

use std::sync::Arc;

use futures_util::FutureExt;
use undertone_core::{
    AuditLog, Clock, ExternalSource, Idempotency, KeyError, Opener, ReadStore, Rewrapper, Sealer, Store,
};

use crate::audit::{DynamoAudit, LogAudit};
use crate::connect::Connection;
use crate::dynamo::{DynamoStore, OpenError, create_table};
use crate::external::SecretsManagerSource;
use crate::idempotency::DynamoIdempotency;
use crate::kms::{KmsKey, KmsOpener, KmsSealer, KmsStats};
use crate::secrets_manager::{SecretsManagerStore, SecretsOpenError, SecretsPrefix};
use crate::store_key::StoreKey;

/// Where an installation keeps what.
#[derive(Clone, Debug)]
pub struct InstallationSettings {
    /// Rows and sealed records.
    pub rows: RowsIn,
    /// The root key.
    pub kms_key: KmsKey,
    /// Rows of audit.
    pub audit: AuditTo,
    /// Which events were handled, if anybody asks.
    pub idempotency_table: Option<String>,
}

/// Where rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsIn {
    /// In a table of DynamoDB.
    DynamoDb {
        /// Its name.
        table: String,
    },
    /// In Secrets Manager, one secret per scope.
    SecretsManager {
        /// What their names begin with.
        prefix: SecretsPrefix,
    },
}

/// Where rows of audit go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTo {
    /// Into a table of DynamoDB.
    DynamoDb {
        /// Its name.
        table: String,
    },
    /// Into the program's log, one line each: chosen explicitly, since whoever drops lines drops rows.
    Log,
}

/// Why an installation can't be made or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallationError {
    /// The table of rows.
    #[error(transparent)]
    DynamoDb(#[from] OpenError),
    /// The secrets with rows.
    #[error(transparent)]
    SecretsManager(#[from] SecretsOpenError),
    /// The KMS key.
    #[error("the KMS key can't be used: {0}")]
    Key(#[from] KeyError),
    /// The rows of audit are in a log.
    #[error("the rows of audit are in the program's log: look for them there")]
    AuditInLog,
}

/// What listeners need of a store, over one connection. It holds nothing that makes a key or writes a
/// row, and a program that has only this links none of that code. Nothing secret was read yet when it
/// is opened.
pub struct Installation {
    /// Rows and sealed records, to read.
    pub store: Arc<dyn ReadStore>,
    /// The power to unwrap keys.
    pub opener: Arc<dyn Opener>,
    /// Rows of audit.
    pub audit: Arc<dyn AuditLog>,
    /// Secrets that Secrets Manager keeps and rotates.
    pub external: Arc<dyn ExternalSource>,
    /// Which events were handled, if a table is named.
    pub idempotency: Option<Arc<dyn Idempotency>>,
    /// How the calls of KMS went.
    pub kms_stats: Arc<KmsStats>,
    store_key: Arc<StoreKey>,
    trail: Trail,
    connection: Arc<Connection>,
}

/// An installation for those who change it: the command line and maintenance.
pub struct WritableInstallation {
    /// What listeners need as well.
    pub installation: Installation,
    /// Rows and sealed records.
    pub store: Arc<dyn Store>,
    /// The power to make keys.
    pub sealer: Arc<dyn Sealer>,
    kept: Kept,
}

/// The store as what it is.
enum Kept {
    Table(Arc<DynamoStore>, String),
    Secrets(Arc<SecretsManagerStore>),
}

/// The audit log as what it is.
enum Trail {
    Table(Arc<DynamoAudit>),
    Log(Arc<LogAudit>),
}

impl Installation {
    /// Opens a store that was made: one call of its service, none of KMS.
    ///
    /// # Errors
    /// If it isn't there or can't be read.
    pub async fn open(
        connection: &Arc<Connection>,
        settings: &InstallationSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InstallationError> {
        let (kept, opener, store_key) = opened(connection, settings, clock.clone()).await?;
        let store: Arc<dyn ReadStore> = match kept {
            Kept::Table(store, _) => store,
            Kept::Secrets(store) => store,
        };
        Ok(Self::over(store, opener, store_key, connection, settings, clock))
    }

    fn over(
        store: Arc<dyn ReadStore>,
        opener: Arc<dyn Opener>,
        store_key: Arc<StoreKey>,
        connection: &Arc<Connection>,
        settings: &InstallationSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let trail = match &settings.audit {
            AuditTo::DynamoDb { table } => {
                Trail::Table(Arc::new(DynamoAudit::new(connection.dynamodb(), table, store_key.clone())))
            }
            AuditTo::Log => Trail::Log(Arc::new(LogAudit::to_stdout(store_key.clone()))),
        };
        let audit: Arc<dyn AuditLog> = match &trail {
            Trail::Table(table) => table.clone(),
            Trail::Log(log) => log.clone(),
        };
        let idempotency = settings.idempotency_table.as_deref().map(|table| -> Arc<dyn Idempotency> {
            Arc::new(DynamoIdempotency::new(connection.dynamodb(), table))
        });
        Self {
            store,
            opener,
            audit,
            external: Arc::new(SecretsManagerSource::new(connection.secrets_manager(), clock)),
            idempotency,
            kms_stats: connection.kms_stats().clone(),
            store_key,
            trail,
            connection: connection.clone(),
        }
    }

    /// Whether the store key opens.
    ///
    /// # Errors
    /// What KMS says.
    pub async fn check_key(&self) -> Result<(), InstallationError> {
        Ok(self.store_key.derived().await.map(drop)?)
    }

    /// The audit log's table, for people: the chains of all writers.
    ///
    /// # Errors
    /// If the rows are in a log.
    pub fn trail(&self) -> Result<&DynamoAudit, InstallationError> {
        match &self.trail {
            Trail::Table(table) => Ok(table),
            Trail::Log(_) => Err(InstallationError::AuditInLog),
        }
    }

    /// Forgets the store key and the connections, and lets the next row of audit begin a chain: before
    /// the process is ended, frozen or copied. Two copies of one process must not go on in one chain,
    /// nor in one connection.
    pub fn forget(&self) {
        self.store_key.forget();
        self.connection.forget_connections();
        match &self.trail {
            // Held only while a row is written, and whoever copies a process waits for that.
            Trail::Table(table) => drop(table.begin_anew().now_or_never()),
            Trail::Log(log) => log.begin_anew(),
        }
    }
}

impl WritableInstallation {
    /// Opens a store that was made: one call of its service, none of KMS.
    ///
    /// # Errors
    /// If it isn't there or can't be read.
    pub async fn open(
        connection: &Arc<Connection>,
        settings: &InstallationSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InstallationError> {
        let (kept, opener, store_key) = opened(connection, settings, clock.clone()).await?;
        let store: Arc<dyn Store> = match &kept {
            Kept::Table(store, _) => store.clone(),
            Kept::Secrets(store) => store.clone(),
        };
        let sealer = Arc::new(KmsSealer::new(connection.clone(), settings.kms_key.clone()));
        let installation = Installation::over(store.clone(), opener, store_key, connection, settings, clock);
        Ok(Self { installation, store, sealer, kept })
    }

    /// Makes a store: an id and a key of its own.
    ///
    /// # Errors
    /// If there is one already, or something refuses.
    pub async fn init(
        connection: &Arc<Connection>,
        settings: &InstallationSettings,
    ) -> Result<(), InstallationError> {
        let sealer = KmsSealer::new(connection.clone(), settings.kms_key.clone());
        match &settings.rows {
            RowsIn::DynamoDb { table } => {
                DynamoStore::init(connection.dynamodb(), table, &sealer).await?;
            }
            RowsIn::SecretsManager { prefix } => {
                let client = connection.secrets_manager();
                SecretsManagerStore::init(client, prefix.clone(), &sealer, None).await?;
            }
        }
        Ok(())
    }

    /// Makes the tables that the settings name and that aren't there.
    ///
    /// # Errors
    /// If one can't be made.
    pub async fn create_tables(
        connection: &Connection,
        settings: &InstallationSettings,
    ) -> Result<(), InstallationError> {
        let rows = match &settings.rows {
            RowsIn::DynamoDb { table } => Some(table),
            RowsIn::SecretsManager { .. } => None,
        };
        let audit = match &settings.audit {
            AuditTo::DynamoDb { table } => Some(table),
            AuditTo::Log => None,
        };
        let client = connection.dynamodb();
        for table in [rows, audit, settings.idempotency_table.as_ref()].into_iter().flatten() {
            match create_table(&client, table).await {
                Ok(()) | Err(OpenError::TableExists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Wraps the store key anew, under another root.
    ///
    /// # Errors
    /// If KMS refuses, or the store can't be written.
    pub async fn rewrap_store_key(&self, root: &dyn Rewrapper) -> Result<(), InstallationError> {
        match &self.kept {
            Kept::Table(_, table) => {
                let wrapped = self.installation.store_key.rewrapped(root).await?;
                Ok(DynamoStore::replace_store_key(self.installation.connection.dynamodb(), table, &wrapped)
                    .await?)
            }
            Kept::Secrets(store) => Ok(store.rewrap_store_key(root).await?),
        }
    }
}

async fn opened(
    connection: &Arc<Connection>,
    settings: &InstallationSettings,
    clock: Arc<dyn Clock>,
) -> Result<(Kept, Arc<KmsOpener>, Arc<StoreKey>), InstallationError> {
    let opener = Arc::new(KmsOpener::new(connection.clone(), settings.kms_key.clone()));
    let (kept, store_key) = match &settings.rows {
        RowsIn::DynamoDb { table } => {
            let (store, key) = DynamoStore::open(connection.dynamodb(), table, opener.clone(), clock).await?;
            (Kept::Table(Arc::new(store), table.clone()), key)
        }
        RowsIn::SecretsManager { prefix } => {
            let (client, prefix) = (connection.secrets_manager(), prefix.clone());
            let (store, key) = SecretsManagerStore::open(client, prefix, opener.clone(), clock).await?;
            (Kept::Secrets(Arc::new(store)), key)
        }
    };
    Ok((kept, opener, store_key))
}
