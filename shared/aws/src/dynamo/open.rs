//! Making a store in a table, and opening it. Opening asks the table once and KMS never.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use undertone_core::keys::WrappedKey;
use undertone_core::{Clock, KeyError, KeyId, KeyScope, Opener, Sealer, StoreError, StoreId};

use super::DynamoStore;
use super::item::{Edited, Fields, Item};
use super::place::Place;
use super::table::{Action, Expect, Patience, Table, Undone, token};
use crate::fault::{Fault, fault};
use crate::store_key::StoreKey;

/// The format that this program writes and reads.
const FORMAT: u64 = 1;

/// Why a table isn't a store that can be used, or can't be made one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The table is there, and no store is in it.
    #[error("the table `{0}` holds no store yet: make one with `undertone init --store aws --table {0}`")]
    NotInitialised(String),
    /// A store is in it already.
    #[error("the table `{0}` holds a store already: use that, or choose another table")]
    Initialised(String),
    /// There is no such table.
    #[error("there is no table `{0}` in this region and account: deploy the template, or correct its name")]
    NoTable(String),
    /// There is such a table.
    #[error("there is a table `{0}` already")]
    TableExists(String),
    /// The table can't be read or written by this caller.
    #[error("the table can't be used: {0}")]
    Denied(String),
    /// Trying again may help.
    #[error("the table can't be reached: {0}")]
    Unavailable(String),
    /// A newer program made the store.
    #[error(
        "the table `{table}` holds a store of format {found}, and this program knows {FORMAT}: update it"
    )]
    Newer {
        /// The table.
        table: String,
        /// Its format.
        found: u64,
    },
    /// What the table says about the store can't be right.
    #[error("the table `{0}` holds a store whose description is damaged: restore the item `store`/`meta`")]
    Damaged(String),
    /// Somebody brought another key than the store's.
    #[error("the table `{table}` holds a store with the key {expected}, not {found}: nothing was changed")]
    OtherKey {
        /// The table.
        table: String,
        /// The store's key.
        expected: KeyId,
        /// The one that was brought.
        found: KeyId,
    },
    /// The store's key couldn't be made.
    #[error("the store's key couldn't be made: {0}")]
    Key(KeyError),
}

impl DynamoStore {
    /// Makes a store in a table that has none. The sealer makes its key.
    pub async fn init(
        client: Client,
        table: impl Into<String>,
        sealer: &dyn Sealer,
    ) -> Result<StoreId, OpenError> {
        let table = Table { client, name: table.into() };
        if read(&table).await?.is_some() {
            return Err(OpenError::Initialised(table.name));
        }
        let id = StoreId::random();
        let (_, wrapped) = sealer.new_key(&KeyScope::store(id), 1).await.map_err(OpenError::Key)?;
        let meta = Action::Put(meta(id, &wrapped), Expect::Nothing);
        let written = table.write_together(&[meta], &id.to_string()).await;
        match written {
            Ok(()) => Ok(id),
            Err(Undone::Met | Undone::TooLarge | Undone::Unknown(_)) => match read(&table).await? {
                Some((stored, _)) if stored == id => Ok(id),
                Some(_) => Err(OpenError::Initialised(table.name)),
                None => Err(OpenError::Unavailable("the store couldn't be made, try again".to_owned())),
            },
            Err(Undone::Failed(error)) => Err(error.into()),
        }
    }

    /// Opens the store that is in a table. Its key is unwrapped when it is first needed.
    pub async fn open(
        client: Client,
        table: impl Into<String>,
        opener: Arc<dyn Opener>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Arc<StoreKey>), OpenError> {
        let table = Table { client, name: table.into() };
        let Some((id, wrapped)) = read(&table).await? else {
            return Err(OpenError::NotInitialised(table.name));
        };
        let key = Arc::new(StoreKey::new(id, wrapped, opener, clock));
        Ok((Self { table, key: key.clone() }, key))
    }
}

impl DynamoStore {
    /// Stores the store's key as another root wrapped it. It stays the same key.
    ///
    /// # Errors
    /// If it is another key, or there is no store.
    pub async fn replace_store_key(
        client: Client,
        table: impl Into<String>,
        wrapped: &WrappedKey,
    ) -> Result<(), OpenError> {
        let table = Table { client, name: table.into() };
        let Some((id, stored)) = read(&table).await? else {
            return Err(OpenError::NotInitialised(table.name));
        };
        if stored.id != wrapped.id {
            return Err(OpenError::OtherKey { table: table.name, expected: stored.id, found: wrapped.id });
        }
        let meta = Action::Put(meta(id, wrapped), Expect::Number("format", FORMAT));
        match table.write_together(&[meta], &token()).await {
            Ok(()) => Ok(()),
            Err(Undone::Met | Undone::TooLarge | Undone::Unknown(_)) => {
                let problem = "whether the store's key was replaced isn't known, try again";
                Err(OpenError::Unavailable(problem.to_owned()))
            }
            Err(Undone::Failed(error)) => Err(error.into()),
        }
    }
}

fn meta(id: StoreId, wrapped: &WrappedKey) -> Item {
    let fields = Fields::default()
        .with_number("format", FORMAT)
        .with_bytes("store_id", &id.0)
        .with_bytes("store_key", &wrapped.encode());
    Item { place: Place::meta(), fields }
}

/// Makes an empty table that is paid for by use, and waits until it is there. The template makes a
/// better one, with recovery of earlier states.
pub async fn create_table(client: &Client, table: &str) -> Result<(), OpenError> {
    let names = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
    let [pk, sk] = names.clone().map(|(name, kind)| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("it has both")
    });
    let text = ScalarAttributeType::S;
    let [pk_is, sk_is] = names.map(|(name, _)| {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(text.clone());
        attribute.build().expect("it has both")
    });
    let call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    let call = call.key_schema(pk).key_schema(sk).attribute_definitions(pk_is).attribute_definitions(sk_is);
    call.send().await.map_err(|error| sorted("CreateTable", fault("CreateTable", &error), table))?;
    let mut patience = Patience::for_tables();
    loop {
        if let Ok(answer) = client.describe_table().table_name(table).send().await {
            let status = answer.table.and_then(|table| table.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
        }
        patience.pause("the table isn't there yet: wait and").await?;
    }
}

/// What a table says about the store that is in it.
async fn read(table: &Table) -> Result<Option<(StoreId, WrappedKey)>, OpenError> {
    let attributes =
        table.attributes(&Place::meta()).await.map_err(|fault| sorted("GetItem", fault, &table.name))?;
    let Some(attributes) = attributes else {
        return Ok(None);
    };
    let damaged = |Edited| OpenError::Damaged(table.name.clone());
    let fields = Item::read(attributes).map_err(damaged)?.fields;
    match fields.number("format").map_err(damaged)? {
        FORMAT => {}
        found if FORMAT < found => return Err(OpenError::Newer { table: table.name.clone(), found }),
        _ => return Err(damaged(Edited)),
    }
    let id = StoreId(fields.array("store_id").map_err(damaged)?);
    let wrapped = WrappedKey::decode(fields.bytes("store_key").map_err(damaged)?);
    Ok(Some((id, wrapped.map_err(|_| damaged(Edited))?)))
}

fn sorted(operation: &str, fault: Fault, table: &str) -> OpenError {
    match fault {
        Fault::Unavailable(problem) | Fault::Garbled(problem) => OpenError::Unavailable(problem),
        Fault::Denied(problem) => OpenError::Denied(problem),
        Fault::Code(code) => match &*code {
            "ResourceNotFoundException" => OpenError::NoTable(table.to_owned()),
            "ResourceInUseException" => OpenError::TableExists(table.to_owned()),
            _ => OpenError::Denied(format!("{operation}: {code}")),
        },
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(problem) => OpenError::Unavailable(problem),
            other => OpenError::Denied(other.to_string()),
        }
    }
}
