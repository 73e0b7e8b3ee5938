//! Scopes, rows and changes that the suites write.

use std::sync::Arc;

use jiff::Timestamp;

use crate::id::SecretId;
use crate::keys::{Provider, WrappedKey};
use crate::name::SecretName;
use crate::record::KeyId;
use crate::row::{Body, Change, Revision, Row, RowHead, Standing, Version, VersionChange};
use crate::rules::{Mode, Rules};
use crate::scope::Scope;
use crate::store::{Batch, Environment, Names, Space, Store, StoreError};

pub(super) fn name(text: &str) -> SecretName {
    text.parse().expect("the suites' names are names")
}

/// `dev`, or `dev/sp_1`.
pub(super) fn scope(text: &str) -> Scope {
    let parse = "the suites' ids are ids";
    match text.split_once('/') {
        None => Scope::Environment(text.parse().expect(parse)),
        Some((environment, space)) => {
            Scope::Space(environment.parse().expect(parse), space.parse().expect(parse))
        }
    }
}

pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::new(seconds, 123_456_789).expect("the suites' times are times")
}

/// Makes the scopes; an Environment called `dev` is a development one.
pub(super) async fn make_scopes(store: &dyn Store, scopes: &[&str]) {
    for text in scopes {
        match scope(text) {
            Scope::Environment(id) => {
                let mode = if id.as_str() == "dev" { Mode::Development } else { Mode::Standard };
                let made = Environment { id, mode, created_at: time(1) };
                store.create_environment(made).await.expect("it is new");
            }
            Scope::Space(..) => {
                store.create_space(space(text)).await.expect("it is new and its Environment is there");
            }
        }
    }
}

/// The Space as the suites make it.
pub(super) fn space(text: &str) -> Space {
    let Scope::Space(environment, id) = scope(text) else { panic!("{text} is no Space") };
    Space { environment, id, created_at: time(2) }
}

pub(super) fn head(current: u64) -> RowHead {
    RowHead {
        id: SecretId([7; 16]),
        standing: Standing::Active,
        current,
        latest: current,
        disabled: false,
        locked: false,
        expires_at: None,
        updated_at: time(3),
        updated_by: "operator".to_owned(),
    }
}

/// A version whose record is `record-<number>`: a store never looks into one.
pub(super) fn version(number: u64) -> Version {
    Version {
        number,
        body: Body::Value(format!("record-{number}").into_bytes().into()),
        rules: Rules::default(),
        revoked: false,
        created_at: time(4),
        created_by: "operator".to_owned(),
    }
}

/// The first version of a name that the scope doesn't have yet.
pub(super) fn new_row(scope_text: &str, name_text: &str) -> Change {
    Change {
        scope: scope(scope_text),
        name: name(name_text),
        expected: None,
        head: head(1),
        versions: VersionChange::Add(version(1)),
    }
}

/// A change of a row as it was read.
pub(super) fn change_of(row: &Row, head: RowHead, versions: VersionChange) -> Change {
    let expected = Some(row.revision);
    Change { scope: row.scope.clone(), name: row.name.clone(), expected, head, versions }
}

/// The next version of a row as it was read.
pub(super) fn next_version(row: &Row) -> Change {
    let number = row.head.latest + 1;
    change_of(row, head(number), VersionChange::Add(version(number)))
}

pub(super) fn changes(changes: Vec<Change>) -> Batch {
    Batch { changes, ..Batch::default() }
}

pub(super) async fn write(store: &dyn Store, change: Change) -> Result<(), StoreError> {
    store.write(changes(vec![change])).await
}

/// The scope's own row.
pub(super) async fn row(store: &dyn Store, scope_text: &str, name_text: &str) -> Option<Row> {
    let names = [name(name_text)];
    let mut chain =
        store.chain(&scope(scope_text).chain(), Names::Only(&names)).await.expect("the chain is readable");
    chain.scopes.pop().expect("a chain has a scope").rows.pop()
}

pub(super) async fn existing(store: &dyn Store, scope_text: &str, name_text: &str) -> Row {
    row(store, scope_text, name_text).await.expect("the row is there")
}

/// The names of the scope's own rows, sorted.
pub(super) async fn names(store: &dyn Store, scope_text: &str) -> Vec<String> {
    let mut chain = store.chain(&scope(scope_text).chain(), Names::All).await.expect("the chain is readable");
    let rows = chain.scopes.pop().expect("a chain has a scope").rows;
    let mut names: Vec<String> = rows.iter().map(|row| row.name.to_string()).collect();
    names.sort();
    names
}

pub(super) fn conflict(scope_text: &str, name_text: &str) -> StoreError {
    StoreError::Conflict { scope: scope(scope_text), name: name(name_text) }
}

/// A wrapped key that nobody can unwrap: a store never tries.
pub(super) fn key(id: u8, generation: u32) -> WrappedKey {
    let blob: Arc<[u8]> = vec![id; 134].into();
    WrappedKey { provider: Provider::Local, id: KeyId([id; 16]), generation, blob }
}

/// A revision that no row has in these suites.
pub(super) const STALE: Revision = Revision(4_711);
