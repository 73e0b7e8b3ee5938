//! Where secrets are kept on AWS, and opening it. The one file that knows `undertone-aws`.

use std::path::Path;
use std::sync::Arc;

use undertone_aws::{
    AuditTo, Connection, InstallationError, InstallationSettings, KmsKey, KmsRewrapper, OpenError, RowsIn,
    SecretsOpenError, SecretsPrefixError, WritableInstallation,
};
use undertone_core::audit::Verified;
use undertone_core::{Clock, Rewrapper, SystemClock};
use undertone_local::{AwsKind, AwsSettings};

use crate::args::{PlaceArgs, StoreArg};
use crate::exit::{Exit, Failure};
use crate::opened::{Health, Opened, Parts, Place, Status};

/// The table of rows unless somebody says otherwise: as the template of `infra/` names it.
const TABLE: &str = "undertone-rows";
/// Likewise of the audit log.
const AUDIT_TABLE: &str = "undertone-audit";
/// What names in Secrets Manager begin with.
const PREFIX: &str = "undertone";

/// An open installation.
pub(crate) struct Aws {
    connection: Arc<Connection>,
    writable: WritableInstallation,
    settings: AwsSettings,
}

/// What the command line asks for, if it asks for AWS.
pub(crate) fn from_arguments(args: &PlaceArgs) -> Result<Option<AwsSettings>, Failure> {
    let kind = match args.store {
        None | Some(StoreArg::Embedded) => return Ok(None),
        Some(StoreArg::Aws | StoreArg::Dynamodb) => AwsKind::DynamoDb,
        Some(StoreArg::SecretsManager) => AwsKind::SecretsManager,
    };
    let Some(kms_key) = args.kms_key.clone() else {
        return Err(Failure::Usage("missing: --kms-key. UNDERTONE_KMS_KEY can stand for it".to_owned()));
    };
    let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    Ok(Some(AwsSettings {
        kind,
        region: args.region.clone(),
        profile: args.aws_profile.clone(),
        table: or(&args.table, TABLE),
        prefix: or(&args.prefix, PREFIX),
        kms_key,
        audit_table: or(&args.audit_table, AUDIT_TABLE),
    }))
}

/// Opens an installation that was made.
pub(crate) async fn open(settings: &AwsSettings) -> Result<Opened, Failure> {
    let connection = connect(settings).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let writable = WritableInstallation::open(&connection, &as_settings(settings)?, clock).await?;
    let (store, sealer) = (writable.store.clone(), writable.sealer.clone());
    let (opener, audit) = (writable.installation.opener.clone(), writable.installation.audit.clone());
    let place = Place::Aws(Box::new(Aws { connection, writable, settings: settings.clone() }));
    Ok(Opened::new(Parts { store, sealer, opener, audit, place }))
}

/// Makes an installation: the store's id and key, and, if asked, the tables. Then a home that points to it.
pub(crate) async fn create(
    directory: &Path,
    settings: &AwsSettings,
    create_tables: bool,
) -> Result<(), Failure> {
    let connection = connect(settings).await;
    let parsed = as_settings(settings)?;
    if create_tables {
        WritableInstallation::create_tables(&connection, &parsed).await?;
    }
    WritableInstallation::init(&connection, &parsed).await?;
    undertone_local::write_aws_settings(directory, settings)?;
    Ok(())
}

impl Aws {
    /// What `undertone doctor` says about the installation.
    pub(crate) async fn health(&self) -> Vec<Health> {
        let (rows, place) = match self.settings.kind {
            AwsKind::DynamoDb => ("DynamoDB", self.settings.table.as_str()),
            AwsKind::SecretsManager => ("Secrets Manager", self.settings.prefix.as_str()),
        };
        let region = self.connection.region().unwrap_or("no region");
        let opened = Health {
            name: "store".to_owned(),
            status: Status::Ok,
            message: format!("{rows} `{place}` in {region} is an Undertone store"),
        };
        let key = match self.writable.installation.check_key().await {
            Ok(()) => (Status::Ok, format!("{} opens the store key", self.settings.kms_key)),
            Err(error) => (Status::Fail, error.to_string()),
        };
        // The rows of others: what this process would append to is new and has none.
        let log = match self.tail(1).await {
            Ok(_) => (Status::Ok, format!("the table `{}` can be read", self.settings.audit_table)),
            Err(error) => (Status::Fail, error.to_string()),
        };
        let health = |name: &str, (status, message)| Health { name: name.to_owned(), status, message };
        vec![opened, health("kms key", key), health("audit log", log)]
    }

    /// The newest rows of every writer's chain, oldest first.
    pub(crate) async fn tail(&self, count: usize) -> Result<Vec<undertone_core::audit::AuditRow>, Failure> {
        let rows = self.writable.installation.trail()?.tail(count).await?;
        Ok(rows.into_iter().map(|row| row.row).collect())
    }

    /// Every writer's chain, checked.
    pub(crate) async fn verify(&self) -> Result<Vec<(String, Verified)>, Failure> {
        let verified = self.writable.installation.trail()?.verify_all().await?;
        Ok(verified.into_iter().map(|(segment, verified)| (segment.writer.to_string(), verified)).collect())
    }

    /// Wraps keys anew under another KMS key.
    pub(crate) fn rewrapper(&self, to: &str) -> Result<Arc<dyn Rewrapper>, Failure> {
        let key = |text: &str| text.parse::<KmsKey>().map_err(|error| Failure::Usage(error.to_string()));
        let (from, to) = (key(&self.settings.kms_key)?, key(to)?);
        Ok(Arc::new(KmsRewrapper::new(self.connection.clone(), from, to)))
    }

    /// The store key, wrapped anew, takes the old one's place.
    pub(crate) async fn rewrap_store_key(&self, root: &dyn Rewrapper) -> Result<(), Failure> {
        Ok(self.writable.rewrap_store_key(root).await?)
    }
}

async fn connect(settings: &AwsSettings) -> Arc<Connection> {
    Arc::new(Connection::load(settings.region.as_deref(), settings.profile.as_deref()).await)
}

fn as_settings(settings: &AwsSettings) -> Result<InstallationSettings, Failure> {
    let rows = match settings.kind {
        AwsKind::DynamoDb => RowsIn::DynamoDb { table: settings.table.clone() },
        AwsKind::SecretsManager => {
            let prefix = settings.prefix.parse();
            let prefix = prefix.map_err(|error: SecretsPrefixError| Failure::Usage(error.to_string()))?;
            RowsIn::SecretsManager { prefix }
        }
    };
    let kms_key = settings.kms_key.parse::<KmsKey>().map_err(|error| Failure::Usage(error.to_string()))?;
    let audit = AuditTo::DynamoDb { table: settings.audit_table.clone() };
    Ok(InstallationSettings { rows, kms_key, audit, idempotency_table: None })
}

/// The exit code and the code in JSON of what goes wrong with an installation.
pub(crate) fn codes(error: &InstallationError) -> (Exit, &'static str) {
    match error {
        InstallationError::DynamoDb(error) => match error {
            OpenError::NotInitialised(_) => (Exit::NotFound, "no_store"),
            OpenError::Initialised(_) => (Exit::Conflict, "store_exists"),
            OpenError::NoTable(_) => (Exit::NotFound, "no_table"),
            OpenError::TableExists(_) => (Exit::Conflict, "table_exists"),
            OpenError::Denied(_) => (Exit::Refused, "store_denied"),
            OpenError::Unavailable(_) => (Exit::Unavailable, "store_unavailable"),
            OpenError::Newer { .. } => (Exit::Unavailable, "newer_store"),
            OpenError::Damaged(_) => (Exit::Damaged, "store_damaged"),
            OpenError::OtherKey { .. } => (Exit::Key, "wrong_key"),
            OpenError::Key(error) => crate::exit::key_codes(error),
        },
        InstallationError::SecretsManager(error) => match error {
            SecretsOpenError::NotInitialised(_) => (Exit::NotFound, "no_store"),
            SecretsOpenError::Initialised(_) => (Exit::Conflict, "store_exists"),
            SecretsOpenError::Denied(_) => (Exit::Refused, "store_denied"),
            SecretsOpenError::Unavailable(_) => (Exit::Unavailable, "store_unavailable"),
            SecretsOpenError::Newer { .. } => (Exit::Unavailable, "newer_store"),
            SecretsOpenError::Damaged(_) => (Exit::Damaged, "store_damaged"),
            SecretsOpenError::Key(error) => crate::exit::key_codes(error),
        },
        InstallationError::Key(error) => crate::exit::key_codes(error),
        InstallationError::AuditInLog => (Exit::Usage, "audit_in_log"),
    }
}
