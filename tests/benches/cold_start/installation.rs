//! A store in Secrets Manager under KMS, both played, with what slack-notifier needs in it.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use undertone_aws::{AuditTo, Connection, InstallationSettings, KmsKey, RowsIn, WritableInstallation};
use undertone_core::audit::Actor;
use undertone_core::memory::MemoryAudit;
use undertone_core::vault::{SetRequest, Vault};
use undertone_core::{Mode, SecretValue, SystemClock};
use undertone_tests::fake_aws::{FakeAws, REGION};
use undertone_tests::world::scope;

/// What names in Secrets Manager begin with.
pub const PREFIX: &str = "bench";

/// What was made, as far as programs must be told.
pub struct Made {
    /// The KMS key's ARN.
    pub key: String,
    /// Something that KMS opens under it, in hex.
    pub ciphertext: String,
    /// What the Environment and the store are called in Secrets Manager.
    pub secrets: String,
}

/// Makes the store, its Environment with the secrets, and a Space below it.
pub async fn set_up(aws: &FakeAws) -> Made {
    let key = aws.kms().create_key("alias/bench");
    let credentials = Credentials::new("AKIDBENCH", "bench", None, None, "bench");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(aws.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let clock = Arc::new(SystemClock::default());
    let connection = Arc::new(Connection::new(config, clock.clone()));
    let settings = InstallationSettings {
        rows: RowsIn::SecretsManager { prefix: PREFIX.parse().expect("a prefix") },
        kms_key: KmsKey::new(&key).expect("the name of a key"),
        audit: AuditTo::Log,
        idempotency_table: None,
    };
    WritableInstallation::init(&connection, &settings).await.expect("a new store");
    let writable =
        WritableInstallation::open(&connection, &settings, clock.clone()).await.expect("the store");
    let (sealer, opener) = (writable.sealer.clone(), writable.installation.opener.clone());
    let audit = Arc::new(MemoryAudit::default());
    let actor = Actor::Operator("bench".into());
    let vault = Vault::new(writable.store.clone(), sealer, opener, audit, clock, actor);
    let dev: undertone_core::EnvironmentId = "dev".parse().expect("an id");
    vault.create_environment(dev.clone(), Mode::Development).await.expect("a new Environment");
    vault.create_space(dev, "sp_acme".parse().expect("an id")).await.expect("a new Space");
    for (name, value) in [("SLACK_TOKEN", "xoxb-0123456789"), ("SLACK_CHANNEL", "C0123456789")] {
        let value = SecretValue::new(value.as_bytes().to_vec()).expect("a value");
        let request = SetRequest::new(name.parse().expect("a name"), value);
        vault.set(&scope("dev"), request).await.expect("a secret is set");
    }
    let made = connection.kms().generate_data_key().key_id(&key).number_of_bytes(32).send().await;
    let made = made.expect("KMS makes a key").ciphertext_blob.expect("with its ciphertext").into_inner();
    let ciphertext = made.iter().map(|byte| format!("{byte:02x}")).collect();
    let listed = connection.secrets_manager().list_secrets().send().await.expect("secrets are listed");
    let names: Vec<&str> = listed.secret_list().iter().filter_map(|secret| secret.name()).take(2).collect();
    Made { key, ciphertext, secrets: names.join(",") }
}
