//! A home: one folder that holds everything of one store but the root key.

#[cfg(test)]
mod disk_full;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::OptionalExtension;
use undertone_core::audit::ChainKey;
use undertone_core::keys::{WrappedKey, use_key};
use undertone_core::record::key_id;
use undertone_core::seals::Seals;
use undertone_core::{
    AgentId, AuditLog, Idempotency, KeyError, KeyId, KeyScope, Scope, ScopeKey, Store, StoreError, StoreId,
};
use zeroize::Zeroizing;

use crate::audit::LocalAudit;
use crate::database::{Database, Fault, Format, NEWEST, Open};
use crate::error::LocalError;
use crate::health::{self, Check};
use crate::idempotency::LocalIdempotency;
use crate::init::{self, NewKey};
use crate::keys::LocalKeys;
use crate::root;
use crate::settings::{KeySource, Settings, StoreSettings};
use crate::store::LocalStore;

/// The database's file in a home.
pub(crate) const DATABASE: &str = "undertone.db";
/// The settings' file in a home.
pub(crate) const SETTINGS: &str = "undertone.toml";
/// More than any settings file has.
const LARGEST_SETTINGS: u64 = 1 << 20;

/// An opened home.
pub struct Home {
    dir: PathBuf,
    settings: Settings,
    source: KeySource,
    warnings: Vec<String>,
    root_id: KeyId,
    database: Arc<Database>,
    store: Arc<LocalStore>,
    keys: Arc<LocalKeys>,
    audit: Arc<LocalAudit>,
    idempotency: Arc<LocalIdempotency>,
}

impl Home {
    /// Makes a home.
    ///
    /// # Errors
    /// If the folder is a home already, or something can't be made; nothing is left behind then.
    pub fn init(dir: &Path, key: NewKey<'_>) -> Result<Home, LocalError> {
        let dir = std::path::absolute(dir).map_err(LocalError::file("find", dir))?;
        init::init(&dir, key)
    }

    /// Opens a home with the root key that its settings name.
    ///
    /// # Errors
    /// If there is no home, its files can't be used, or the key is missing, unfit or another one.
    pub fn open(
        dir: &Path,
        passphrase: &mut dyn FnMut() -> io::Result<Zeroizing<String>>,
    ) -> Result<Home, LocalError> {
        let dir = std::path::absolute(dir).map_err(LocalError::file("find", dir))?;
        let settings = read_settings(&dir)?;
        let source = match settings.store {
            StoreSettings::Embedded { key } => key,
            StoreSettings::Aws(_) => return Err(LocalError::NotEmbedded { dir }),
        };
        let (database, meta) = open_database(&dir.join(DATABASE))?;
        let place = source.place();
        let key = match root::load(&source, &dir, passphrase) {
            Ok(key) => LocalKeys::new(key),
            Err(problem) if problem.is_absence() => {
                return Err(LocalError::MissingKey { place, problem, expected: meta.root_id });
            }
            Err(problem) => return Err(LocalError::BadKey { place, problem }),
        };
        assemble(dir, source, settings.agents, database, meta, key)
    }

    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The root key's powers: sealing and opening.
    pub fn keys(&self) -> Arc<LocalKeys> {
        self.keys.clone()
    }

    /// The audit log.
    pub fn audit(&self) -> Arc<dyn AuditLog> {
        self.audit.clone()
    }

    /// Which events were handled.
    pub fn idempotency(&self) -> Arc<dyn Idempotency> {
        self.idempotency.clone()
    }

    /// What `undertone.toml` says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is allowed and unwise, as sentences for a person.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What `undertone doctor` says about the files and the key.
    pub fn health(&self) -> Vec<Check> {
        health::checks(&self.dir, &self.source, &self.database, self.root_id)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({})", self.dir.display())
    }
}

/// What the database says about itself.
pub(crate) struct Meta {
    pub(crate) store: StoreId,
    pub(crate) store_key: WrappedKey,
    /// The id of the root key that the store key is wrapped under.
    pub(crate) root_id: KeyId,
}

fn open_database(path: &Path) -> Result<(Database, Meta), LocalError> {
    if !path.exists() {
        return Err(LocalError::NoDatabase { path: path.to_owned() });
    }
    let path = path.to_owned();
    let database = match Database::open(&path)? {
        Open::Ready(database) => database,
        Open::Refused(Format::Newer(found)) => {
            return Err(LocalError::NewerDatabase { path, found, known: NEWEST });
        }
        Open::Refused(Format::Foreign | Format::Known) => {
            return Err(LocalError::ForeignDatabase { path });
        }
    };
    let meta = database.read(|moment| {
        let mut statement = moment.prepare("SELECT value FROM meta WHERE key = ?1")?;
        let mut field = |key| statement.query_row([key], |columns| columns.get::<_, Vec<u8>>(0)).optional();
        let store = field("store_id")?.and_then(|bytes| bytes.try_into().ok()).map(StoreId);
        let store_key = field("store_key")?.and_then(|bytes| WrappedKey::decode(&bytes).ok());
        let root_id = store_key.as_ref().and_then(|key| key_id(&key.blob));
        match (store, store_key, root_id) {
            (Some(store), Some(store_key), Some(root_id)) => Ok(Meta { store, store_key, root_id }),
            _ => Err(Fault::Damaged("its id or its key is missing: restore a backup".to_owned())),
        }
    })?;
    Ok((database, meta))
}

/// A home from its opened parts, if the key is the right one.
pub(crate) fn assemble(
    dir: PathBuf,
    source: KeySource,
    agents: BTreeMap<AgentId, Vec<Scope>>,
    database: Database,
    meta: Meta,
    keys: LocalKeys,
) -> Result<Home, LocalError> {
    let found = keys.root_id(meta.store).map_err(unusable)?;
    if found != meta.root_id {
        let place = source.place();
        return Err(LocalError::WrongKey { place, found, expected: meta.root_id });
    }
    let scope = KeyScope::store(meta.store);
    let bytes = keys.open_key(&scope, &meta.store_key).map_err(unusable)?;
    let key = ScopeKey::from_bytes(&bytes, &scope).map_err(|error| unusable(error.into()))?;
    if key.id() != meta.store_key.id {
        return Err(unusable(KeyError::BadAnswer("it is another key".to_owned())));
    }
    let database = Arc::new(database);
    let seals = Arc::new(Seals::new(&use_key(meta.store, &key, "rows")));
    let chain = ChainKey::new(&use_key(meta.store, &key, "audit"));
    Ok(Home {
        warnings: health::warnings(&dir, &source),
        settings: Settings { store: StoreSettings::Embedded { key: source.clone() }, agents },
        dir,
        source,
        root_id: found,
        store: Arc::new(LocalStore::new(meta.store, database.clone(), seals.clone())),
        audit: Arc::new(LocalAudit::new(database.clone(), chain)),
        idempotency: Arc::new(LocalIdempotency::new(database.clone(), seals)),
        keys: Arc::new(keys),
        database,
    })
}

pub(crate) fn unusable(error: KeyError) -> LocalError {
    StoreError::Damaged(format!("its store key can't be used ({error}): restore a backup")).into()
}

/// What a home's `undertone.toml` says, whatever store it points to.
///
/// # Errors
/// If there is no home, or its settings can't be read or understood.
pub fn read_settings(dir: &Path) -> Result<Settings, LocalError> {
    let dir = std::path::absolute(dir).map_err(LocalError::file("find", dir))?;
    let path = dir.join(SETTINGS);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(LocalError::NoHome { dir });
        }
        Err(error) => return Err(LocalError::file("read", path)(error)),
    };
    let mut text = String::new();
    file.take(LARGEST_SETTINGS).read_to_string(&mut text).map_err(LocalError::file("read", &path))?;
    Settings::parse(&path, &text)
}
