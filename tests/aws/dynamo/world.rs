//! A store in a fresh table of an emulator, with keys in memory, and what is written into it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use undertone_aws::{DynamoStore, create_table};
use undertone_core::memory::MemoryKeys;
use undertone_core::{
    Batch, Body, Change, Environment, History, Mode, Names, Row, RowHead, Rules, Scope, SecretId, SecretName,
    Space, Standing, Store, StoreError, SystemClock, Version, VersionChange,
};

use crate::cloud::connection;

pub type Attributes = HashMap<String, AttributeValue>;

pub struct World {
    pub client: Client,
    pub table: String,
    pub keys: Arc<MemoryKeys>,
    pub store: Arc<DynamoStore>,
}

impl World {
    /// A new table at the emulator of this URL, and a new store in it.
    pub async fn fresh(url: &str) -> Self {
        let client = connection(url).dynamodb();
        let table = new_table_name();
        create_table(&client, &table).await.unwrap();
        let keys = Arc::new(MemoryKeys::default());
        DynamoStore::init(client.clone(), &table, &*keys).await.unwrap();
        let store = Arc::new(open(&client, &table, &keys).await);
        Self { client, table, keys, store }
    }

    /// With an Environment `dev` and a Space `sp_1` in it.
    pub async fn with_scopes(url: &str) -> Self {
        let world = Self::fresh(url).await;
        make_scopes(&*world.store, &["dev", "dev/sp_1"]).await;
        world
    }

    /// The same store in another process, which reaches the table through this client.
    pub async fn other(&self, client: &Client) -> DynamoStore {
        open(client, &self.table, &self.keys).await
    }

    /// Every item of the table.
    pub async fn items(&self) -> Vec<Attributes> {
        let pages = self.client.scan().table_name(&self.table).consistent_read(true).into_paginator();
        pages.items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Writes an item past the store.
    pub async fn put(&self, item: &Attributes) {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
        put.send().await.unwrap();
    }

    /// Removes an item past the store.
    pub async fn remove(&self, item: &Attributes) {
        let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key.into()));
        delete.send().await.unwrap();
    }
}

async fn open(client: &Client, table: &str, keys: &Arc<MemoryKeys>) -> DynamoStore {
    let clock = Arc::new(SystemClock::default());
    DynamoStore::open(client.clone(), table, keys.clone(), clock).await.unwrap().0
}

pub fn new_table_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("undertone-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits for it, in a function that can't.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

/// The text of a key.
pub fn text<'a>(item: &'a Attributes, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

/// `dev`, or `dev/sp_1`.
pub fn scope(text: &str) -> Scope {
    match text.split_once('/') {
        None => Scope::Environment(text.parse().unwrap()),
        Some((environment, space)) => Scope::Space(environment.parse().unwrap(), space.parse().unwrap()),
    }
}

pub fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

pub async fn make_scopes(store: &dyn Store, scopes: &[&str]) {
    for text in scopes {
        let created_at = Timestamp::UNIX_EPOCH;
        match scope(text) {
            Scope::Environment(id) => {
                let made = Environment { id, mode: Mode::Standard, created_at };
                store.create_environment(made).await.unwrap();
            }
            Scope::Space(environment, id) => {
                store.create_space(Space { environment, id, created_at }).await.unwrap();
            }
        }
    }
}

pub fn version(number: u64) -> Version {
    Version {
        number,
        body: Body::Value(format!("record {number}").into_bytes().into()),
        rules: Rules::default(),
        revoked: false,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "operator".to_owned(),
    }
}

/// A version whose record has so many bytes.
pub fn large_version(number: u64, bytes: usize) -> Version {
    Version { body: Body::Value(vec![7; bytes].into()), ..version(number) }
}

fn head(current: u64) -> RowHead {
    RowHead {
        id: SecretId([7; 16]),
        standing: Standing::Active,
        current,
        latest: current,
        disabled: false,
        locked: false,
        expires_at: None,
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "operator".to_owned(),
    }
}

/// The first version of a name.
pub fn new_row(scope_text: &str, name_text: &str) -> Change {
    let (scope, name) = (scope(scope_text), name(name_text));
    Change { scope, name, expected: None, head: head(1), versions: VersionChange::Add(version(1)) }
}

/// A change of the row as it is now.
pub async fn change(store: &dyn Store, scope: &str, name: &str, versions: VersionChange) -> Change {
    change_of(&existing(store, scope, name).await, versions)
}

pub fn change_of(row: &Row, versions: VersionChange) -> Change {
    let (scope, name, expected) = (row.scope.clone(), row.name.clone(), Some(row.revision));
    let head = match &versions {
        VersionChange::Add(version) => head(version.number),
        VersionChange::DestroyAll => {
            RowHead { standing: Standing::Destroyed, current: 0, ..row.head.clone() }
        }
        VersionChange::Keep | VersionChange::AddAll(_) | VersionChange::Revoke(_) => row.head.clone(),
    };
    Change { scope, name, expected, head, versions }
}

/// The next version of the row as it is now.
pub async fn next_version(store: &dyn Store, scope: &str, name: &str) -> Change {
    let row = existing(store, scope, name).await;
    change_of(&row, VersionChange::Add(version(row.head.latest + 1)))
}

pub fn changes(changes: Vec<Change>) -> Batch {
    Batch { changes, ..Batch::default() }
}

pub async fn write(store: &dyn Store, change: Change) -> Result<(), StoreError> {
    store.write(changes(vec![change])).await
}

/// The scope's own row.
pub async fn read(store: &dyn Store, scope_text: &str, name_text: &str) -> Result<Option<Row>, StoreError> {
    let names = [name(name_text)];
    let mut chain = store.chain(&scope(scope_text).chain(), Names::Only(&names)).await?;
    Ok(chain.scopes.pop().unwrap().rows.pop())
}

pub async fn existing(store: &dyn Store, scope_text: &str, name_text: &str) -> Row {
    read(store, scope_text, name_text).await.unwrap().unwrap()
}

pub async fn history(store: &dyn Store, scope_text: &str, name_text: &str) -> History {
    store.history(&scope(scope_text), &name(name_text)).await.unwrap().unwrap()
}
