//! How many calls each operation makes, and of which kind.

use undertone_core::{Batch, Names, ReadStore, Store};
use undertone_tests::fake_aws::FakeAws;

use super::world::{World, batch, calls, change, environment, name, new_row, scope, space, write};

const GET: &str = "GetSecretValue";
const BATCH: &str = "BatchGetSecretValue";
const CREATE: &str = "CreateSecret";
const PUT: &str = "PutSecretValue";
const MOVE: &str = "UpdateSecretVersionStage";
const LIST: &str = "ListSecrets";

async fn assert_calls(aws: &FakeAws, what: &str, done: impl Future<Output = ()>, want: &[(&str, usize)]) {
    aws.secrets().reset_calls();
    done.await;
    let want: Vec<(String, usize)> =
        want.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect();
    assert_eq!(calls(aws), want, "{what}");
}

#[tokio::test]
async fn a_cold_chain_of_environment_and_space_is_one_call_and_one_key() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    let before = world.keys.unwraps();
    assert_calls(
        &aws,
        "open and chain",
        async {
            let store = world.other().await;
            assert_eq!(world.keys.unwraps(), before, "opening needs no key");
            aws.secrets().reset_calls();
            store.chain(&scope("dev/sp_1").chain(), Names::All).await.unwrap();
            store.chain(&scope("dev/sp_1").chain(), Names::All).await.unwrap();
        },
        &[(BATCH, 2)],
    )
    .await;
    assert_eq!(world.keys.unwraps() - before, 1);
}

#[tokio::test]
async fn every_operation_makes_as_few_calls_as_its_documentation_says() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1", "dev/sp_2"]).await;
    let store = &*world.store;
    let (dev, sp_1) = (scope("dev").chain(), scope("dev/sp_1").chain());
    let a_change = |scope_text, expected, number| async move {
        write(store, change(scope_text, "TOKEN", expected, number)).await.unwrap();
    };
    let epoch = |chain| async move { assert!(store.epoch(chain).await.is_ok()) };
    let changes = [(BATCH, 1), (PUT, 1), (MOVE, 1)];
    assert_calls(&aws, "epoch of a Space", epoch(&sp_1), &[(BATCH, 1)]).await;
    assert_calls(&aws, "epoch of an Environment", epoch(&dev), &[(GET, 1)]).await;
    let history = async { drop(store.history(&scope("dev/sp_1"), &name("TOKEN")).await.unwrap()) };
    assert_calls(&aws, "history", history, &[(GET, 1)]).await;
    assert_calls(&aws, "a new name in a Space", a_change("dev/sp_1", None, 1), &changes).await;
    assert_calls(&aws, "a change in a Space", a_change("dev/sp_1", Some(1), 2), &changes).await;
    let new_above = [(BATCH, 1), (GET, 1), (LIST, 1), (PUT, 1), (MOVE, 1)];
    assert_calls(&aws, "a new name in an Environment", a_change("dev", None, 1), &new_above).await;
    let change_above = [(GET, 1), (PUT, 1), (MOVE, 1)];
    assert_calls(&aws, "a change in an Environment", a_change("dev", Some(1), 2), &change_above).await;
    let made = async { store.create_environment(environment("prod")).await.unwrap() };
    assert_calls(&aws, "a new Environment", made, &[(CREATE, 1)]).await;
    let changes = vec![new_row("dev/sp_3", "TOKEN"), new_row("dev/sp_3", "OTHER")];
    let made =
        async { store.write(Batch { spaces: vec![space("dev/sp_3")], ..batch(changes) }).await.unwrap() };
    assert_calls(&aws, "a new Space with rows", made, &[(CREATE, 1), (GET, 1)]).await;
    let listed = async { drop(store.environments().await.unwrap()) };
    assert_calls(&aws, "environments", listed, &[(BATCH, 1), (LIST, 1)]).await;
    let listed = async { drop(store.spaces(scope("dev").environment(), None, 19).await.unwrap()) };
    assert_calls(&aws, "spaces", listed, &[(BATCH, 1), (LIST, 1)]).await;
}

#[tokio::test]
async fn a_value_is_never_asked_for_without_its_label() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let asked: Vec<_> = aws.secrets().calls().into_iter().filter(|call| call.operation == GET).collect();
    assert!(!asked.is_empty());
    for call in asked {
        assert_eq!(call.request["VersionStage"], "AWSCURRENT");
    }
}

#[tokio::test]
async fn what_changes_nothing_writes_nothing() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev"]).await;
    let store = &*world.store;
    let retired = vec![(scope("dev"), undertone_core::KeyId([9; 16]))];
    let nothing = async { store.write(Batch { retired, ..Batch::default() }).await.unwrap() };
    assert_calls(&aws, "a key that isn't there is retired", nothing, &[(GET, 1)]).await;
    let nothing = async { store.write(Batch::default()).await.unwrap() };
    assert_calls(&aws, "an empty batch", nothing, &[]).await;
}

#[tokio::test]
async fn a_batch_over_two_scopes_is_refused_before_anything_is_asked() {
    let aws = FakeAws::start().await;
    let world = World::with(&aws.url(), &["dev", "dev/sp_1"]).await;
    let refused = async {
        let changes = vec![new_row("dev", "TOKEN"), new_row("dev/sp_1", "TOKEN")];
        let refused = world.store.write(batch(changes)).await.unwrap_err();
        assert!(refused.to_string().contains("one scope at a time"), "{refused}");
    };
    assert_calls(&aws, "two scopes", refused, &[]).await;
}

#[tokio::test]
async fn secrets_are_named_tagged_and_kept_under_the_key_that_was_chosen() {
    use std::sync::Arc;
    use undertone_aws::SecretsManagerStore;
    use undertone_core::memory::MemoryKeys;

    let aws = FakeAws::start().await;
    let key = aws.kms().create_key("alias/envelope");
    let (client, prefix) =
        (crate::cloud::connection(&aws.url()).secrets_manager(), super::world::new_prefix());
    let keys = Arc::new(MemoryKeys::default());
    SecretsManagerStore::init(client.clone(), prefix.clone(), &*keys, Some(&key)).await.unwrap();
    let store = super::world::open(&client, &prefix, &keys).await;
    super::world::make(&store, &["dev", "dev/sp_1"]).await;
    let made = aws.secrets().calls().into_iter().filter(|call| call.operation == CREATE);
    let made: Vec<_> = made.map(|call| call.request).collect();
    for (request, (place, kind)) in
        made.iter().zip([("-store", "store"), ("dev", "environment"), ("dev/sp_1", "space")])
    {
        assert_eq!(request["Name"], format!("{prefix}/{place}"));
        assert_eq!(request["KmsKeyId"], key, "{place}");
        let tags = request["Tags"].as_array().unwrap();
        for (tag, value) in [("undertone:prefix", prefix.as_str()), ("undertone:kind", kind)] {
            assert!(
                tags.iter().any(|found| found["Key"] == tag && found["Value"] == value),
                "{place}: {tags:?}"
            );
        }
    }
    assert_eq!(made.len(), 3);
    aws.kms().disable("alias/envelope");
    let refused = store.epoch(&scope("dev").chain()).await.unwrap_err();
    assert!(matches!(refused, undertone_core::StoreError::Denied(_)), "{refused}");
}
