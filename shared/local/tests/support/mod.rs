//! Homes for tests: fast to make, removed afterwards.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_executor::block_on;
use rusqlite::Connection;
use tempfile::TempDir;
use undertone_core::audit::Actor;
use undertone_core::keys::unwrap_checked;
use undertone_core::maintenance::Maintenance;
use undertone_core::record::{self, Context, Kind, RecordError};
use undertone_core::vault::{SetRequest, Spelling, Vault};
use undertone_core::{
    Batch, Body, Change, Environment, KeyScope, Mode, Names, Reseal, Row, RowHead, Rules, Scope, SecretId,
    SecretName, SecretValue, Space, Standing, StoreError, SystemClock, Version, VersionChange,
};
use undertone_local::{Home, LocalError, NewKey};
use zeroize::Zeroizing;

/// A folder with a home in `home` and its key in `root.key`.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with a new home.
    pub fn with_home() -> (Self, Home) {
        let place = Self::empty();
        let home = Home::init(&place.home(), NewKey::File(place.key())).unwrap();
        (place, home)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub fn key(&self) -> PathBuf {
        self.path().join("root.key")
    }

    pub fn database(&self) -> PathBuf {
        self.home().join("undertone.db")
    }

    pub fn open(&self) -> Result<Home, LocalError> {
        open(&self.home())
    }

    /// The database as a program other than Undertone sees it.
    pub fn sql(&self, sql: &str) {
        let connection = Connection::open(self.database()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// Opens a home whose key needs no passphrase.
pub fn open(dir: &Path) -> Result<Home, LocalError> {
    Home::open(dir, &mut || Err(io::Error::other("nobody to ask")))
}

pub fn scope(text: &str) -> Scope {
    match text.split_once('/') {
        None => Scope::Environment(text.parse().unwrap()),
        Some((environment, space)) => Scope::Space(environment.parse().unwrap(), space.parse().unwrap()),
    }
}

pub fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// Makes the Environment `dev` and its Space `sp_1`.
pub fn make_scopes(home: &Home) {
    let (store, at) = (home.store(), jiff::Timestamp::UNIX_EPOCH);
    let dev = scope("dev").environment().clone();
    let environment = Environment { id: dev.clone(), mode: Mode::Development, created_at: at };
    block_on(store.create_environment(environment)).unwrap();
    block_on(store.create_space(Space { environment: dev, id: "sp_1".parse().unwrap(), created_at: at }))
        .unwrap();
}

pub fn vault(home: &Home) -> Vault {
    let actor = Actor::Operator("tester".into());
    Vault::new(home.store(), home.keys(), home.keys(), home.audit(), Arc::new(SystemClock::default()), actor)
}

/// Sets a value through the vault: sealed, audited, stored.
pub fn set(home: &Home, scope_text: &str, name_text: &str, value: &str) {
    let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
    block_on(vault(home).set(&scope(scope_text), SetRequest::new(name(name_text), value))).unwrap();
}

/// Sets a value under a name that isn't canonical.
pub fn set_any(home: &Home, scope_text: &str, name_text: &str, value: &str) {
    let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
    let request = SetRequest { spelling: Spelling::Any, ..SetRequest::new(name(name_text), value) };
    block_on(vault(home).set(&scope(scope_text), request)).unwrap();
}

/// The first version of a name in `dev`, with bytes that stand for a sealed record.
pub fn change(name_text: &str, record: &[u8]) -> Change {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Change {
        scope: scope("dev"),
        name: name(name_text),
        expected: None,
        head: RowHead {
            id: SecretId::random(),
            standing: Standing::Active,
            current: 1,
            latest: 1,
            disabled: false,
            locked: false,
            expires_at: None,
            updated_at: at,
            updated_by: "tester".to_owned(),
        },
        versions: VersionChange::Add(Version {
            number: 1,
            body: Body::Value(record.into()),
            rules: Rules::default(),
            revoked: false,
            created_at: at,
            created_by: "tester".to_owned(),
        }),
    }
}

/// A change of a row as it is now.
pub fn change_of(row: &Row, versions: VersionChange) -> Change {
    let (scope, name, head) = (row.scope.clone(), row.name.clone(), row.head.clone());
    Change { scope, name, expected: Some(row.revision), head, versions }
}

/// Other records for versions of a row as it is now.
pub fn reseal(row: &Row, records: &[(u64, &[u8])]) -> Batch {
    let records = records.iter().map(|(number, record)| (*number, (*record).into())).collect();
    let (scope, name) = (row.scope.clone(), row.name.clone());
    let reseal = Reseal { scope, name, expected: row.revision, records };
    Batch { reseals: vec![reseal], ..Batch::default() }
}

/// Upkeep with both powers.
pub fn maintenance(home: &Home) -> Maintenance {
    let actor = Actor::Operator("tester".into());
    let clock = Arc::new(SystemClock::default());
    Maintenance::new(home.store(), home.keys(), home.keys(), home.audit(), clock, actor)
}

/// The scope's own row.
pub fn row(home: &Home, scope_text: &str, name_text: &str) -> Result<Option<Row>, StoreError> {
    let names = [name(name_text)];
    let mut chain = block_on(home.store().chain(&scope(scope_text).chain(), Names::Only(&names)))?;
    Ok(chain.scopes.pop().unwrap().rows.pop())
}

/// Why a value can't be read.
#[derive(Debug, PartialEq)]
pub enum Unread {
    Absent,
    Store(StoreError),
    Key,
    Record(RecordError),
}

/// The current value of the scope's own row, opened.
pub fn value(home: &Home, scope_text: &str, name_text: &str) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let names = [name(name_text)];
    let mut chain = block_on(home.store().chain(&scope(scope_text).chain(), Names::Only(&names)))
        .map_err(Unread::Store)?;
    let mut own = chain.scopes.pop().unwrap();
    let row = own.rows.pop().ok_or(Unread::Absent)?;
    let version = row.current.ok_or(Unread::Absent)?;
    let Body::Value(sealed) = &version.body else {
        return Err(Unread::Absent);
    };
    let key_scope = KeyScope::of(home.store().id(), &row.scope);
    let id = record::key_id(sealed).ok_or(Unread::Key)?;
    let wrapped = own.keys.iter().find(|key| key.id == id).ok_or(Unread::Key)?;
    let key = block_on(unwrap_checked(&*home.keys(), &key_scope, wrapped)).map_err(|_| Unread::Key)?;
    let context = Context {
        scope: &key_scope,
        name: row.name.as_str(),
        version: version.number,
        kind: Kind::Value,
        purpose: "secret",
        policy: version.rules.digest(),
    };
    let opened = record::open(&key, &context, sealed).map_err(Unread::Record)?;
    Ok(Zeroizing::new(opened.to_vec()))
}

/// The current value as text.
pub fn text(home: &Home, scope_text: &str, name_text: &str) -> Result<String, Unread> {
    value(home, scope_text, name_text).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// The problem of a damaged store.
pub fn damage<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Damaged(problem)) => problem,
        other => panic!("expected damage: {other:?}"),
    }
}

/// Another program with the database open, which can take back what it changed.
pub struct Attacker {
    connection: Connection,
}

const TABLES: [&str; 9] =
    ["meta", "epoch", "environments", "spaces", "keys", "rows", "versions", "records", "claims"];

impl Attacker {
    pub fn of(place: &Place) -> Self {
        let connection = Connection::open(place.database()).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for table in TABLES {
            connection
                .execute_batch(&format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}"))
                .unwrap();
        }
        Self { connection }
    }

    /// Changes what must be there to be changed.
    pub fn edit(&self, sql: &str) {
        let before = self.connection.total_changes();
        self.connection.execute_batch(sql).unwrap();
        assert!(before < self.connection.total_changes(), "nothing was edited: {sql}");
    }

    /// One field of what was there, in hex.
    pub fn kept(&self, sql: &str) -> String {
        let bytes: Vec<u8> = self.connection.query_row(sql, [], |columns| columns.get(0)).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Puts everything back as it was.
    pub fn undo(&self) {
        for table in TABLES {
            let sql = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
            self.connection.execute_batch(&sql).unwrap();
        }
    }
}

/// Runs an ignored test of the calling file in a process of its own.
pub fn elsewhere(test: &str, variables: &[(&str, &Path)]) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--test-threads=1", "--nocapture"]);
    command.envs(variables.iter().copied());
    command
}

/// The home that [`elsewhere`]'s process works with; none if nobody started it so.
pub fn given_home() -> Option<PathBuf> {
    std::env::var_os(GIVEN_HOME).map(PathBuf::from)
}

pub const GIVEN_HOME: &str = "UNDERTONE_TEST_HOME";
