//! A store under a prefix of its own, with keys in memory; and what tests write into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use jiff::Timestamp;
use undertone_aws::{Connection, SecretsManagerStore, SecretsPrefix};
use undertone_core::memory::MemoryKeys;
use undertone_core::{
    Batch, Body, Change, Environment, Mode, Names, Revision, Row, RowHead, Rules, Scope, SecretId,
    SecretName, Space, Standing, Store, StoreError, SystemClock, Version, VersionChange,
};
use undertone_tests::fake_aws::FakeAws;
use undertone_tests::fault_proxy::FaultProxy;

use crate::cloud::{config, connection};

/// How long these tests wait for one answer, at the proxy.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);

pub(super) struct World {
    pub(super) client: Client,
    pub(super) prefix: SecretsPrefix,
    pub(super) keys: Arc<MemoryKeys>,
    pub(super) store: Arc<SecretsManagerStore>,
}

impl World {
    /// A new store at the endpoint of this URL.
    pub(super) async fn fresh(url: &str) -> Self {
        let (client, prefix) = (connection(url).secrets_manager(), new_prefix());
        let keys = Arc::new(MemoryKeys::default());
        SecretsManagerStore::init(client.clone(), prefix.clone(), &*keys, None).await.unwrap();
        let store = Arc::new(open(&client, &prefix, &keys).await);
        Self { client, prefix, keys, store }
    }

    /// With these scopes, made by another process.
    pub(super) async fn with(url: &str, scopes: &[&str]) -> Self {
        let world = Self::fresh(url).await;
        make(&world.other().await, scopes).await;
        world
    }

    /// The same store as another process has it.
    pub(super) async fn other(&self) -> SecretsManagerStore {
        open(&self.client, &self.prefix, &self.keys).await
    }

    /// The same store, reached over a proxy and with little patience.
    pub(super) async fn over(&self, proxy: &FaultProxy) -> SecretsManagerStore {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(PATIENCE).operation_attempt_timeout(PATIENCE).build();
        let config = config(&proxy.url(), None).into_builder().timeout_config(timeouts).build();
        let connection = Connection::new(config, Arc::new(SystemClock::default()));
        let quick = RetryConfig::standard().with_initial_backoff(Duration::from_millis(10));
        let config = connection.secrets_manager().config().to_builder().retry_config(quick);
        open(&Client::from_conf(config.build()), &self.prefix, &self.keys).await
    }

    /// The name of a scope's secret.
    pub(super) fn secret(&self, scope_text: &str) -> String {
        format!("{}/{scope_text}", self.prefix)
    }

    /// The text in a scope's secret, and which version it is.
    pub(super) async fn stored(&self, scope_text: &str) -> (String, String) {
        let call = self.client.get_secret_value().secret_id(self.secret(scope_text));
        let found = call.version_stage("AWSCURRENT").send().await.unwrap();
        (found.secret_string.unwrap(), found.version_id.unwrap())
    }

    /// Puts a text in the place of the scope's, past the store.
    pub(super) async fn put(&self, scope_text: &str, text: &str) {
        let call = self.client.put_secret_value().secret_id(self.secret(scope_text));
        call.secret_string(text).send().await.unwrap();
    }
}

pub(super) async fn open(
    client: &Client,
    prefix: &SecretsPrefix,
    keys: &Arc<MemoryKeys>,
) -> SecretsManagerStore {
    let clock = Arc::new(SystemClock::default());
    SecretsManagerStore::open(client.clone(), prefix.clone(), keys.clone(), clock).await.unwrap().0
}

pub(super) fn new_prefix() -> SecretsPrefix {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("undertone-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// How often each operation was asked for since the last reset, by its name.
pub(super) fn calls(aws: &FakeAws) -> Vec<(String, usize)> {
    let mut operations: Vec<String> = aws.secrets().calls().into_iter().map(|call| call.operation).collect();
    operations.sort();
    operations.chunk_by(|one, next| one == next).map(|same| (same[0].clone(), same.len())).collect()
}

pub(super) fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// `dev`, or `dev/sp_1`.
pub(super) fn scope(text: &str) -> Scope {
    match text.split_once('/') {
        None => Scope::Environment(text.parse().unwrap()),
        Some((environment, space)) => Scope::Space(environment.parse().unwrap(), space.parse().unwrap()),
    }
}

pub(super) fn environment(text: &str) -> Environment {
    let id = text.parse().unwrap();
    Environment { id, mode: Mode::Standard, created_at: Timestamp::UNIX_EPOCH }
}

pub(super) fn space(text: &str) -> Space {
    let (environment, id) = text.split_once('/').unwrap();
    let (environment, id) = (environment.parse().unwrap(), id.parse().unwrap());
    Space { environment, id, created_at: Timestamp::UNIX_EPOCH }
}

pub(super) async fn make(store: &dyn Store, scopes: &[&str]) {
    for text in scopes {
        let made = match scope(text) {
            Scope::Environment(_) => store.create_environment(environment(text)).await,
            Scope::Space(..) => store.create_space(space(text)).await,
        };
        made.unwrap();
    }
}

pub(super) fn version(number: u64, record: &[u8]) -> Version {
    Version {
        number,
        body: Body::Value(record.into()),
        rules: Rules::default(),
        revoked: false,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "tester".to_owned(),
    }
}

pub(super) fn head(number: u64) -> RowHead {
    RowHead {
        id: SecretId([1; 16]),
        standing: Standing::Active,
        current: number,
        latest: number,
        disabled: false,
        locked: false,
        expires_at: None,
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "tester".to_owned(),
    }
}

/// Version `number` of a name whose row had this revision, if it was there.
pub(super) fn change(scope_text: &str, name_text: &str, expected: Option<u64>, number: u64) -> Change {
    Change {
        scope: scope(scope_text),
        name: name(name_text),
        expected: expected.map(Revision),
        head: head(number),
        versions: VersionChange::Add(version(number, b"record")),
    }
}

pub(super) fn new_row(scope_text: &str, name_text: &str) -> Change {
    change(scope_text, name_text, None, 1)
}

pub(super) fn batch(changes: Vec<Change>) -> Batch {
    Batch { changes, ..Batch::default() }
}

pub(super) async fn write(store: &dyn Store, change: Change) -> Result<(), StoreError> {
    store.write(batch(vec![change])).await
}

/// The names of a scope's own rows.
pub(super) async fn names(store: &dyn Store, scope_text: &str) -> Result<Vec<String>, StoreError> {
    let chain = store.chain(&scope(scope_text).chain(), Names::All).await?;
    let rows = chain.scopes.into_iter().next_back().unwrap().rows;
    Ok(rows.into_iter().map(|row| row.name.as_str().to_owned()).collect())
}

pub(super) async fn row(store: &dyn Store, scope_text: &str, name_text: &str) -> Option<Row> {
    store.history(&scope(scope_text), &name(name_text)).await.unwrap().map(|history| history.row)
}

/// Waits for it, in a function that can't.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}
