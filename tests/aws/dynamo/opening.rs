//! Making a store and opening it.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use undertone_aws::{DynamoStore, OpenError, create_table};
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::memory::MemoryKeys;
use undertone_core::{KeyError, Names, ReadStore, StoreError, SystemClock};
use undertone_tests::emulators::Ministack;
use undertone_tests::fault_proxy::FaultProxy;

use super::world::{World, existing, new_row, new_table_name, scope, text, write};
use crate::cloud::connection;

async fn opened(url: &str, table: &str) -> Result<DynamoStore, OpenError> {
    let (keys, clock) = (Arc::new(MemoryKeys::default()), Arc::new(SystemClock::default()));
    Ok(DynamoStore::open(connection(url).dynamodb(), table, keys, clock).await?.0)
}

#[tokio::test]
async fn a_table_is_made_once_and_a_store_in_it_once() {
    let url = Ministack::start().url();
    let (client, table) = (connection(url).dynamodb(), new_table_name());
    let keys = MemoryKeys::default();
    let missing = OpenError::NoTable(table.clone());
    assert_eq!(opened(url, &table).await.err(), Some(missing.clone()));
    assert_eq!(DynamoStore::init(client.clone(), &table, &keys).await.err(), Some(missing));
    assert_eq!(create_table(&client, &table).await, Ok(()));
    assert_eq!(create_table(&client, &table).await, Err(OpenError::TableExists(table.clone())));
    assert_eq!(opened(url, &table).await.err(), Some(OpenError::NotInitialised(table.clone())));
    let id = DynamoStore::init(client.clone(), &table, &keys).await.unwrap();
    let again = DynamoStore::init(client, &table, &keys).await;
    assert_eq!(again, Err(OpenError::Initialised(table.clone())));
    assert_eq!(opened(url, &table).await.unwrap().id(), id);
}

#[tokio::test]
async fn of_eight_that_make_a_store_at_once_one_does() {
    let url = Ministack::start().url();
    let (client, table) = (connection(url).dynamodb(), new_table_name());
    create_table(&client, &table).await.unwrap();
    let keys = MemoryKeys::default();
    let racing = (0..8).map(|_| DynamoStore::init(client.clone(), &table, &keys));
    let made = futures_util::future::join_all(racing).await;
    let (won, lost): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|lost| *lost == Err(OpenError::Initialised(table.clone()))), "{lost:?}");
    assert_eq!(opened(url, &table).await.unwrap().id(), won[0].clone().unwrap());
}

#[tokio::test]
async fn opening_asks_the_table_once_and_no_key_service() {
    let world = World::with_scopes(Ministack::start().url()).await;
    let proxy = FaultProxy::before(Ministack::start().url()).await;
    let before = world.keys.unwraps();
    let other = world.other(&connection(&proxy.url()).dynamodb()).await;
    assert_eq!((proxy.requests(), world.keys.unwraps()), (1, before));
    other.chain(&scope("dev").chain(), Names::Only(&[])).await.unwrap();
    assert_eq!((proxy.requests(), world.keys.unwraps()), (2, before + 1));
}

#[tokio::test]
async fn a_description_that_is_no_more_or_not_yet_understood_is_refused() {
    let url = Ministack::start().url();
    let world = World::fresh(url).await;
    let meta = world.items().await.into_iter().find(|item| text(item, "sk") == "meta").unwrap();
    let (table, number) = (world.table.clone(), |n: &str| AttributeValue::N(n.to_owned()));
    for (name, value, want) in [
        ("format", Some(number("2")), OpenError::Newer { table: table.clone(), found: 2 }),
        ("format", Some(number("0")), OpenError::Damaged(table.clone())),
        ("format", None, OpenError::Damaged(table.clone())),
        ("store_id", Some(number("1")), OpenError::Damaged(table.clone())),
        ("store_key", None, OpenError::Damaged(table.clone())),
    ] {
        let mut changed = meta.clone();
        changed.remove(name);
        changed.extend(value.map(|value| (name.to_owned(), value)));
        world.put(&changed).await;
        assert_eq!(opened(url, &world.table).await.err(), Some(want), "{name}");
    }
}

#[tokio::test]
async fn a_key_service_that_says_no_is_no_outage() {
    let url = Ministack::start().url();
    let world = World::with_scopes(url).await;
    for (fault, away) in [
        (KeyError::Unavailable("gone".to_owned()), true),
        (KeyError::Denied("no".to_owned()), false),
        (KeyError::BadAnswer("other".to_owned()), false),
    ] {
        let other = world.other(&world.client).await;
        world.keys.set_fault(Some(fault));
        let read = other.chain(&scope("dev").chain(), Names::All).await;
        world.keys.set_fault(None);
        match read {
            Err(StoreError::Unavailable(_)) => assert!(away),
            Err(StoreError::Denied(_)) => assert!(!away),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_store_key_is_replaced_by_itself_and_by_no_other() {
    let url = Ministack::start().url();
    let world = World::with_scopes(url).await;
    write(&*world.store, new_row("dev", "TOKEN")).await.unwrap();
    let meta = world.items().await.into_iter().find(|item| text(item, "sk") == "meta").unwrap();
    let wrapped = WrappedKey::decode(meta["store_key"].as_b().unwrap().as_ref()).unwrap();
    let anew = WrappedKey { provider: Provider::Kms, ..wrapped.clone() };
    DynamoStore::replace_store_key(world.client.clone(), &world.table, &anew).await.unwrap();
    let other = WrappedKey { id: undertone_core::KeyId([3; 16]), ..wrapped };
    let refused = DynamoStore::replace_store_key(world.client.clone(), &world.table, &other).await;
    assert!(matches!(refused, Err(OpenError::OtherKey { .. })), "{refused:?}");
    let meta = world.items().await.into_iter().find(|item| text(item, "sk") == "meta").unwrap();
    assert_eq!(WrappedKey::decode(meta["store_key"].as_b().unwrap().as_ref()), Ok(anew));
    existing(&world.other(&world.client).await, "dev", "TOKEN").await;
}
