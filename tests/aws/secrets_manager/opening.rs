//! Making a store, opening it, and wrapping its key anew.

use std::sync::Arc;

use async_trait::async_trait;
use undertone_aws::{SecretsManagerStore, SecretsOpenError, SecretsPrefix};
use undertone_core::keys::WrappedKey;
use undertone_core::memory::MemoryKeys;
use undertone_core::{KeyError, KeyScope, ReadStore, Rewrapper, SystemClock};
use undertone_tests::fake_aws::{Answer, FakeAws};
use undertone_tests::fault_proxy::{Fault, FaultProxy};

use super::world::{World, new_prefix, scope};
use crate::cloud::connection;

async fn opened(world: &World) -> Result<(), SecretsOpenError> {
    let (prefix, clock) = (world.prefix.clone(), Arc::new(SystemClock::default()));
    SecretsManagerStore::open(world.client.clone(), prefix, world.keys.clone(), clock).await.map(drop)
}

#[tokio::test]
async fn a_store_is_made_once() {
    let aws = FakeAws::start().await;
    let world = World::fresh(&aws.url()).await;
    let (keys, again) = (MemoryKeys::default(), world.prefix.clone());
    aws.secrets().reset_calls();
    let refused = SecretsManagerStore::init(world.client.clone(), again.clone(), &keys, None).await;
    assert_eq!(refused, Err(SecretsOpenError::Initialised(again)));
    assert_eq!(aws.secrets().calls_of("CreateSecret"), 0);
    assert_eq!(world.other().await.id(), world.store.id());
}

#[tokio::test]
async fn opening_is_one_call_and_says_what_is_wrong() {
    let aws = FakeAws::start().await;
    let world = World::fresh(&aws.url()).await;
    aws.secrets().reset_calls();
    assert_eq!(opened(&world).await, Ok(()));
    assert_eq!(aws.secrets().calls().len(), 1);
    assert_eq!(world.keys.unwraps(), 0);

    let prefix = new_prefix();
    let nothing = World {
        prefix: prefix.clone(),
        store: world.store.clone(),
        keys: world.keys.clone(),
        client: world.client.clone(),
    };
    let error = opened(&nothing).await.unwrap_err();
    assert_eq!(error, SecretsOpenError::NotInitialised(prefix.clone()));
    let next = format!("undertone init --store secrets-manager --prefix {prefix}");
    assert!(error.to_string().contains(&next), "{error}");

    let (text, _) = world.stored("-store").await;
    for (stored, want) in [
        (
            text.replace("\"format\":1", "\"format\":2"),
            SecretsOpenError::Newer { prefix: world.prefix.clone(), found: 2 },
        ),
        (
            "{\"format\":9,\"new\":[]}".to_owned(),
            SecretsOpenError::Newer { prefix: world.prefix.clone(), found: 9 },
        ),
        (text.replace("\"format\":1", "\"format\":0"), SecretsOpenError::Damaged(world.prefix.clone())),
        (text.replace("store_id", "store"), SecretsOpenError::Damaged(world.prefix.clone())),
        (text[..text.len() - 5].to_owned(), SecretsOpenError::Damaged(world.prefix.clone())),
        ("somebody's".to_owned(), SecretsOpenError::Damaged(world.prefix.clone())),
    ] {
        world.put("-store", &stored).await;
        assert_eq!(opened(&world).await, Err(want), "{stored}");
    }
    world.put("-store", &text).await;
    assert_eq!(opened(&world).await, Ok(()));

    aws.secrets().deny("GetSecretValue", "");
    assert!(matches!(opened(&world).await, Err(SecretsOpenError::Denied(_))));
    aws.secrets().allow_all();
    // The SDK asks three times.
    for _ in 0..3 {
        let away = Answer::raw(500, "application/x-amz-json-1.1", "{\"__type\":\"InternalServiceError\"}");
        aws.secrets().answer_next("GetSecretValue", away);
    }
    assert!(matches!(opened(&world).await, Err(SecretsOpenError::Unavailable(_))));

    world.client.delete_secret().secret_id(world.secret("-store")).send().await.unwrap();
    let error = opened(&world).await.unwrap_err();
    assert!(matches!(error, SecretsOpenError::Denied(_)), "deleted isn't absent: {error}");
    assert!(error.to_string().contains("restore-secret"), "{error}");
    let made =
        SecretsManagerStore::init(world.client.clone(), world.prefix.clone(), &*world.keys, None).await;
    assert!(matches!(made, Err(SecretsOpenError::Denied(_))), "{made:?}");
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_store() {
    let aws = FakeAws::start().await;
    let proxy = FaultProxy::before(&aws.url()).await;
    proxy.only("CreateSecret");
    for fault in [Fault::CutBeforeResponse, Fault::CutInBody] {
        let (client, keys) = (connection(&proxy.url()).secrets_manager(), Arc::new(MemoryKeys::default()));
        let prefix: SecretsPrefix = new_prefix();
        proxy.set(Some(fault));
        let made = SecretsManagerStore::init(client.clone(), prefix.clone(), &*keys, None).await.unwrap();
        proxy.set(None);
        let clock = Arc::new(SystemClock::default());
        let (store, _) = SecretsManagerStore::open(client, prefix, keys, clock).await.unwrap();
        assert_eq!(store.id(), made, "{fault:?}");
    }
}

/// Wraps a key so that it is told from before.
struct Anew;

#[async_trait]
impl Rewrapper for Anew {
    async fn rewrap(&self, _: &KeyScope, wrapped: &WrappedKey) -> Result<WrappedKey, KeyError> {
        Ok(WrappedKey { blob: [&wrapped.blob[..], b"anew"].concat().into(), ..wrapped.clone() })
    }
}

#[tokio::test]
async fn the_store_key_is_wrapped_anew() {
    let aws = FakeAws::start().await;
    let proxy = FaultProxy::before(&aws.url()).await;
    let world = World::with(&aws.url(), &["dev"]).await;
    let before = world.stored("-store").await.0;
    world.store.rewrap_store_key(&Anew).await.unwrap();
    let after = world.stored("-store").await.0;
    assert!(before.len() < after.len());
    assert!(world.store.epoch(&scope("dev").chain()).await.is_ok(), "who opened it before goes on");
    let id = |text: &str| text.split("\"store_key\"").next().unwrap().to_owned();
    assert_eq!(id(&before), id(&after));
    proxy.only("UpdateSecretVersionStage");
    proxy.set(Some(Fault::CutBeforeResponse));
    world.over(&proxy).await.rewrap_store_key(&Anew).await.unwrap();
    assert!(after.len() < world.stored("-store").await.0.len(), "an answer was lost, and it was done");
    aws.secrets().answer_next("UpdateSecretVersionStage", Answer::refusal("InvalidParameterException"));
    let met = world.store.rewrap_store_key(&Anew).await;
    assert!(matches!(met, Err(SecretsOpenError::Unavailable(_))), "{met:?}");
}
