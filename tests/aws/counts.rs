//! What a lookup asks of AWS, from rows in Secrets Manager and keys under KMS to a handle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use undertone_aws::{AuditTo, Installation, InstallationSettings, KmsKey, RowsIn, WritableInstallation};
use undertone_core::audit::Actor;
use undertone_core::memory::MemoryAudit;
use undertone_core::resolve::Freshness;
use undertone_core::vault::{SetRequest, Vault};
use undertone_core::{Declaration, Execution, Mode, Resolver, SecretValue};
use undertone_tests::fake_aws::{Call, FakeAws};
use undertone_tests::fault_proxy::{Fault, FaultProxy};
use undertone_tests::world::{MovedClock, scope};

use crate::cloud::connection_by;

const NAMES: [&str; 3] = ["SHARED", "OWN", "ABSENT"];
/// How long each answer takes, where that matters: much longer than what happens between answers.
const DELAY: Duration = Duration::from_millis(400);

/// `dev` has one secret, and so has its Space `red`; `blue` has none.
struct Place {
    aws: FakeAws,
    proxy: FaultProxy,
    settings: InstallationSettings,
    clock: Arc<MovedClock>,
}

impl Place {
    async fn new() -> Self {
        let aws = FakeAws::start().await;
        let proxy = FaultProxy::before(&aws.url()).await;
        let settings = InstallationSettings {
            rows: RowsIn::SecretsManager { prefix: "counts".parse().unwrap() },
            kms_key: KmsKey::new(&aws.kms().create_key("alias/counts")).unwrap(),
            audit: AuditTo::Log,
            idempotency_table: None,
        };
        let place = Self { aws, proxy, settings, clock: Arc::default() };
        WritableInstallation::init(&connection_by(&place.aws.url(), place.clock.clone()), &place.settings)
            .await
            .unwrap();
        let connection = connection_by(&place.aws.url(), place.clock.clone());
        let writable = WritableInstallation::open(&connection, &place.settings, place.clock.clone());
        let writable = writable.await.unwrap();
        let vault = Vault::new(
            writable.store.clone(),
            writable.sealer.clone(),
            writable.installation.opener.clone(),
            Arc::new(MemoryAudit::default()),
            place.clock.clone(),
            actor(),
        );
        vault.create_environment("dev".parse().unwrap(), Mode::Development).await.unwrap();
        for space in ["red", "blue"] {
            vault.create_space("dev".parse().unwrap(), space.parse().unwrap()).await.unwrap();
        }
        for (at, name) in [("dev", "SHARED"), ("dev/red", "OWN")] {
            let value = SecretValue::new(b"value".to_vec()).unwrap();
            vault.set(&scope(at), SetRequest::new(name.parse().unwrap(), value)).await.unwrap();
        }
        place
    }

    async fn open(&self) -> Installation {
        let connection = connection_by(&self.proxy.url(), self.clock.clone());
        Installation::open(&connection, &self.settings, self.clock.clone()).await.unwrap()
    }

    /// A process that was just started: its store is open, and nothing was looked up.
    async fn cold(&self) -> Arc<Execution> {
        let installation = self.open().await;
        let secrets = NAMES.iter().map(|name| (name.parse().unwrap(), None)).collect();
        let declaration = Declaration { agent: "counts".parse().unwrap(), secrets, granted: Vec::new() };
        let (store, opener) = (installation.store.clone(), installation.opener.clone());
        // As `undertone` has it on AWS.
        let freshness = Freshness { unasked: Duration::from_secs(5), ..Freshness::default() };
        let resolver = Arc::new(Resolver::new(store, opener, self.clock.clone(), freshness));
        self.aws.secrets().reset_calls();
        self.aws.kms().reset_calls();
        Execution::new(actor(), Arc::new(declaration), resolver, Arc::new(MemoryAudit::default()))
    }

    /// What was asked since this was last looked at: of Secrets Manager, and for which scopes' keys.
    fn asked(&self) -> (Vec<String>, Vec<String>) {
        let (secrets, kms) = (self.aws.secrets().calls(), self.aws.kms().calls());
        self.aws.secrets().reset_calls();
        self.aws.kms().reset_calls();
        let mut keys: Vec<String> = kms.iter().map(opened).collect();
        keys.sort();
        (secrets.into_iter().map(|call| call.operation).collect(), keys)
    }
}

fn actor() -> Actor {
    Actor::Operator("tester".into())
}

/// Whose key a call of KMS opens: `dev` or `dev/red`; the store's own is `-store-`.
fn opened(call: &Call) -> String {
    assert_eq!(call.operation, "Decrypt");
    let context = &call.request["EncryptionContext"];
    let [environment, space] = ["esr:env", "esr:space"].map(|name| context[name].as_str().unwrap());
    match space {
        "-" | "" => environment.to_owned(),
        _ => format!("{environment}/{space}"),
    }
}

async fn look_up(execution: &Arc<Execution>, at: &str) {
    let snapshot = execution.snapshot(&scope(at).chain()).await.unwrap();
    assert!(execution.handle(&snapshot, "SHARED").is_ok());
    assert_eq!(execution.handle(&snapshot, "OWN").is_ok(), at == "dev/red");
    assert!(execution.handle(&snapshot, "ABSENT").is_err());
}

fn asked(secrets: &[&str], keys: &[&str]) -> (Vec<String>, Vec<String>) {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    (owned(secrets), owned(keys))
}

#[tokio::test]
async fn a_cold_lookup_reads_once_and_opens_each_scopes_key_once() {
    let place = Place::new().await;
    let execution = place.cold().await;
    look_up(&execution, "dev/red").await;
    assert_eq!(place.asked(), asked(&["BatchGetSecretValue"], &["-store-", "dev", "dev/red"]));
    look_up(&execution, "dev/blue").await;
    assert_eq!(place.asked(), asked(&["BatchGetSecretValue"], &[]), "all keys are open already");
    let execution = place.cold().await;
    look_up(&execution, "dev").await;
    assert_eq!(place.asked(), asked(&["GetSecretValue"], &["-store-", "dev"]));
}

#[tokio::test]
async fn a_warm_lookup_asks_nothing_for_five_seconds_and_then_whether_anything_changed() {
    let place = Place::new().await;
    let execution = place.cold().await;
    look_up(&execution, "dev/red").await;
    place.asked();
    for (later, secrets) in [(0, 0), (4, 0), (2, 1), (0, 0), (4, 0), (2, 1)] {
        place.clock.forward(Duration::from_secs(later));
        for _ in 0..10 {
            look_up(&execution, "dev/red").await;
        }
        assert_eq!(place.asked(), asked(&["BatchGetSecretValue"][..secrets], &[]), "{later} s later");
    }
}

#[tokio::test]
async fn what_does_not_depend_on_another_answer_does_not_wait_for_it() {
    let place = Place::new().await;
    let execution = place.cold().await;
    place.proxy.set(Some(Fault::Delay(DELAY)));
    let began = Instant::now();
    look_up(&execution, "dev/red").await;
    let took = began.elapsed();
    let kms = place.aws.kms().calls();
    let at = |key: &str| kms.iter().find(|call| opened(call) == key).unwrap().at - began;
    let read = place.aws.secrets().calls()[0].at - began;
    let apart = |one: Duration, other: Duration| one.abs_diff(other);
    assert!(apart(read, at("-store-")) < DELAY, "rows, and the key of their MACs");
    assert!(apart(at("dev"), at("dev/red")) < DELAY, "the keys of both scopes");
    assert!(took < 3 * DELAY, "two answers after each other: {took:?}");
}

#[tokio::test]
async fn calls_share_a_connection_until_the_process_is_to_be_copied() {
    let place = Place::new().await;
    let installation = place.open().await;
    installation.check_key().await.unwrap();
    // One way to all services here, as one proxy stands for all of them.
    assert_eq!((place.proxy.connections(), place.proxy.requests()), (1, 2));
    installation.forget();
    installation.check_key().await.unwrap();
    assert_eq!((place.proxy.connections(), place.proxy.requests()), (2, 3));
}
