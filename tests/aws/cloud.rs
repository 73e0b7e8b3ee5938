//! The way to an emulator, and what a test finds there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;
use undertone_aws::{Connection, KmsKey, KmsOpener, KmsSealer, StoreKey};
use undertone_core::memory::MemoryKeys;
use undertone_core::{Clock, KeyScope, Sealer, StoreId, SystemClock};
use undertone_tests::fake_aws::REGION;

pub const STORE: StoreId = StoreId([0xa5; 16]);

/// Settings for an endpoint, with these credentials.
pub fn config(url: &str, token: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new("AKIDTEST", "test", token.map(str::to_owned), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A connection to an endpoint.
pub fn connection(url: &str) -> Arc<Connection> {
    connection_by(url, Arc::new(SystemClock::default()))
}

/// A connection whose pace is of this clock.
pub fn connection_by(url: &str, clock: Arc<dyn Clock>) -> Arc<Connection> {
    Arc::new(Connection::new(config(url, None), clock))
}

/// Both powers under one key.
pub fn keys(connection: &Arc<Connection>, key: &str) -> (KmsSealer, KmsOpener) {
    let key = KmsKey::new(key).unwrap();
    (KmsSealer::new(connection.clone(), key.clone()), KmsOpener::new(connection.clone(), key))
}

/// A new key of an emulator: its ARN.
pub async fn new_key(connection: &Connection) -> String {
    let made = connection.kms().create_key().send().await.unwrap();
    made.key_metadata().unwrap().arn().unwrap().to_owned()
}

/// A new table whose keys are the texts `pk` and `sk`.
pub async fn new_table(connection: &Connection) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("table-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut table =
        connection.dynamodb().create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute =
            AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder().attribute_name(key).key_type(kind);
        table = table.attribute_definitions(attribute.build().unwrap()).key_schema(schema.build().unwrap());
    }
    table.send().await.unwrap();
    name
}

/// A store key in memory; equal each time that it is asked for with the same keys.
pub async fn store_key(keys: &Arc<MemoryKeys>) -> Arc<StoreKey> {
    let (_, wrapped) = keys.new_key(&KeyScope::store(STORE), 1).await.unwrap();
    Arc::new(StoreKey::new(STORE, wrapped, keys.clone(), Arc::new(SystemClock::default())))
}

/// A clock on which a second passes whenever it is looked at: nothing is ever held back.
#[derive(Default)]
pub struct RushedClock(Mutex<Duration>);

impl Clock for RushedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        let mut passed = self.0.lock().unwrap();
        *passed += Duration::from_secs(1);
        *passed
    }
}
