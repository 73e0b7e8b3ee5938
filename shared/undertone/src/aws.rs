//! A listener over a store on AWS, as its variables say.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `UNDERTONE_STORE` | `dynamodb` or `secrets-manager` |
//! | `UNDERTONE_TABLE` | the table of rows |
//! | `UNDERTONE_PREFIX` | what names in Secrets Manager begin with |
//! | `UNDERTONE_KMS_KEY` | the KMS key, best by its ARN; after commas its replicas in other regions |
//! | `UNDERTONE_AUDIT` | `dynamodb`, or, chosen explicitly, `log` |
//! | `UNDERTONE_AUDIT_TABLE` | the table of the audit log |
//! | `UNDERTONE_IDEMPOTENCY_TABLE` | the table of events that were handled; without it none are remembered |
//! | `UNDERTONE_GRANTED_SCOPES` | scopes beyond the event's own, such as `dev,dev/sp_2` |

use std::sync::Arc;
use std::time::Duration;

use undertone_aws::{
    AuditTo, Connection, Installation, InstallationSettings, KmsKey, RowsIn, SecretsPrefix,
    SecretsPrefixError, WritableInstallation,
};
use undertone_core::resolve::Freshness;
use undertone_core::{Clock, Scope, SystemClock};
use undertone_runtime::Ports;

use crate::error::RunError;

/// How late a rotation or a revocation is seen: so long a store isn't asked whether anything changed.
pub const UNASKED: Duration = Duration::from_secs(5);

/// What a runtime over AWS is made of.
pub struct OverAws {
    /// The ports.
    pub ports: Ports,
    /// Scopes beyond the event's own.
    pub granted: Vec<Scope>,
    /// How long answers are shared.
    pub freshness: Freshness,
    /// The adapters themselves.
    pub installation: Installation,
}

/// Opens the store that the variables name. Nothing is unwrapped yet.
///
/// # Errors
/// If a variable is wrong, or the store can't be opened.
pub async fn over_aws() -> Result<OverAws, RunError> {
    let settings = settings(&variable)?;
    let granted = granted(&variable("UNDERTONE_GRANTED_SCOPES").unwrap_or_default())?;
    open(settings, None, None, granted).await
}

/// The store on AWS that the variables name, or the settings of the home.
#[cfg(feature = "local")]
pub(crate) async fn if_asked_for(
    listener: &undertone_runtime::Listener,
) -> Result<Option<OverAws>, RunError> {
    match variable("UNDERTONE_STORE").as_deref() {
        Some("embedded") => return Ok(None),
        Some(_) => return over_aws().await.map(Some),
        None => {}
    }
    let home = crate::local::default_home().ok_or(RunError::NoHome)?;
    // A home that can't be read says best itself what is wrong with it.
    let Ok(settings) = undertone_local::read_settings(&home) else { return Ok(None) };
    let undertone_local::StoreSettings::Aws(aws) = settings.store else { return Ok(None) };
    let agent = settings.agents.iter().find(|(agent, _)| agent.as_str() == listener.slug());
    let granted = agent.map(|(_, scopes)| scopes.clone()).unwrap_or_default();
    let refused = |variable, problem: String| RunError::Variable { variable, problem };
    let rows = match aws.kind {
        undertone_local::AwsKind::DynamoDb => RowsIn::DynamoDb { table: aws.table },
        undertone_local::AwsKind::SecretsManager => {
            RowsIn::SecretsManager { prefix: parsed("prefix in undertone.toml", &aws.prefix)? }
        }
    };
    let kms_key = aws.kms_key.parse::<KmsKey>();
    let kms_key = kms_key.map_err(|error| refused("kms_key in undertone.toml", error.to_string()))?;
    let audit = AuditTo::DynamoDb { table: aws.audit_table };
    let settings = InstallationSettings { rows, kms_key, audit, idempotency_table: None };
    open(settings, aws.region.as_deref(), aws.profile.as_deref(), granted).await.map(Some)
}

/// Opens the store that the variables name for somebody who changes it, without a listener over it.
///
/// # Errors
/// If a variable is wrong, or the store can't be opened.
pub async fn writable() -> Result<WritableInstallation, RunError> {
    let settings = settings(&variable)?;
    let connection = connection(None, None).await;
    Ok(WritableInstallation::open(&connection, &settings, Arc::new(SystemClock::default())).await?)
}

async fn open(
    settings: InstallationSettings,
    region: Option<&str>,
    profile: Option<&str>,
    granted: Vec<Scope>,
) -> Result<OverAws, RunError> {
    let connection = connection(region, profile).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let installation = Installation::open(&connection, &settings, clock.clone()).await?;
    let ports = Ports {
        store: installation.store.clone(),
        opener: installation.opener.clone(),
        audit: installation.audit.clone(),
        clock,
        external: Some(installation.external.clone()),
    };
    let freshness = Freshness { unasked: UNASKED, ..Freshness::default() };
    Ok(OverAws { ports, granted, freshness, installation })
}

/// Settings and credentials as AWS's own programs find them.
#[cfg(feature = "local")]
async fn connection(region: Option<&str>, profile: Option<&str>) -> Arc<Connection> {
    Arc::new(Connection::load(region, profile).await)
}

/// A program that was built for Lambda only finds all of it in its environment.
#[cfg(not(feature = "local"))]
async fn connection(_: Option<&str>, _: Option<&str>) -> Arc<Connection> {
    Arc::new(Connection::from_environment())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn settings(variable: &dyn Fn(&str) -> Option<String>) -> Result<InstallationSettings, RunError> {
    let refused = |variable, problem: String| RunError::Variable { variable, problem };
    let needed = |name: &'static str| {
        variable(name).ok_or_else(|| refused(name, "it isn't set, and a store on AWS needs it".to_owned()))
    };
    let rows = match needed("UNDERTONE_STORE")?.as_str() {
        "dynamodb" => RowsIn::DynamoDb { table: needed("UNDERTONE_TABLE")? },
        "secrets-manager" => {
            let prefix = needed("UNDERTONE_PREFIX")?;
            RowsIn::SecretsManager { prefix: parsed("UNDERTONE_PREFIX", &prefix)? }
        }
        _ => {
            let problem = "it is embedded, dynamodb or secrets-manager".to_owned();
            return Err(refused("UNDERTONE_STORE", problem));
        }
    };
    let audit = match variable("UNDERTONE_AUDIT").as_deref() {
        None | Some("dynamodb") => AuditTo::DynamoDb { table: needed("UNDERTONE_AUDIT_TABLE")? },
        Some("log") => AuditTo::Log,
        Some(_) => return Err(refused("UNDERTONE_AUDIT", "it is dynamodb or log".to_owned())),
    };
    let kms_key = needed("UNDERTONE_KMS_KEY")?.parse::<KmsKey>();
    let kms_key = kms_key.map_err(|error| refused("UNDERTONE_KMS_KEY", error.to_string()))?;
    let idempotency_table = variable("UNDERTONE_IDEMPOTENCY_TABLE");
    Ok(InstallationSettings { rows, kms_key, audit, idempotency_table })
}

fn parsed(variable: &'static str, prefix: &str) -> Result<SecretsPrefix, RunError> {
    prefix
        .parse()
        .map_err(|error: SecretsPrefixError| RunError::Variable { variable, problem: error.to_string() })
}

fn granted(text: &str) -> Result<Vec<Scope>, RunError> {
    let refused = || RunError::Variable {
        variable: "UNDERTONE_GRANTED_SCOPES",
        problem: "it is a list such as dev,dev/sp_2".to_owned(),
    };
    let scope = |text: &str| match text.trim().split_once('/') {
        None => Some(Scope::Environment(text.trim().parse().ok()?)),
        Some((environment, space)) => Some(Scope::Space(environment.parse().ok()?, space.parse().ok()?)),
    };
    let texts = text.split(',').filter(|text| !text.trim().is_empty());
    texts.map(|text| scope(text).ok_or_else(refused)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_is_needed_is_asked_for_by_name() {
        let all = [
            ("UNDERTONE_STORE", "dynamodb"),
            ("UNDERTONE_TABLE", "rows"),
            ("UNDERTONE_KMS_KEY", "alias/undertone"),
            ("UNDERTONE_AUDIT_TABLE", "audit"),
        ];
        let known = |without: &str| {
            let without = without.to_owned();
            move |name: &str| {
                let mut known = all.iter().filter(|(known, _)| *known != without);
                known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
        };
        assert!(settings(&known("")).is_ok());
        for (name, _) in all {
            match settings(&known(name)) {
                Err(RunError::Variable { variable, .. }) => assert_eq!(variable, name),
                _ => panic!("{name} is needed"),
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_repeated() {
        for name in ["UNDERTONE_STORE", "UNDERTONE_AUDIT", "UNDERTONE_KMS_KEY"] {
            let odd = |asked: &str| match asked {
                asked if asked == name => Some("hunter2 hunter2".to_owned()),
                "UNDERTONE_STORE" => Some("dynamodb".to_owned()),
                "UNDERTONE_KMS_KEY" => Some("alias/undertone".to_owned()),
                "UNDERTONE_AUDIT" => None,
                _ => Some("name".to_owned()),
            };
            let Err(error) = settings(&odd) else { panic!("{name} is wrong") };
            assert!(error.to_string().starts_with(name) && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn granted_scopes_are_a_list() {
        let dev: undertone_core::EnvironmentId = "dev".parse().unwrap();
        let want = vec![Scope::Environment(dev.clone()), Scope::Space(dev, "sp_2".parse().unwrap())];
        assert_eq!(granted("dev, dev/sp_2,").unwrap(), want);
        assert!(granted("").unwrap().is_empty());
        assert!(granted("dev/").is_err() && granted("a b").is_err());
    }
}
