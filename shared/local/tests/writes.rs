//! What the embedded store refuses beyond the contract, and how much it takes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use futures_executor::block_on;
use support::{Place, change, make_scopes, name, row, scope};
use undertone_core::keys::Sealer;
use undertone_core::{Batch, Change, KeyScope, Names, SecretName, StoreError, VersionChange};

#[test]
fn a_version_number_is_given_once() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let store = home.store();
    let write = |change| block_on(store.write(Batch { changes: vec![change], ..Batch::default() }));
    write(change("TOKEN", b"first")).unwrap();
    let before = row(&home, "dev", "TOKEN").unwrap().unwrap();
    let again = Change { expected: Some(before.revision), ..change("TOKEN", b"second") };
    let conflict = StoreError::Conflict { scope: scope("dev"), name: name("TOKEN") };
    assert_eq!(write(again), Err(conflict));
    assert_eq!(row(&home, "dev", "TOKEN"), Ok(Some(before)));
}

#[test]
fn a_key_is_not_replaced_by_another_form_of_it() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let store = home.store();
    let (_, wrapped) = block_on(home.keys().new_key(&KeyScope::of(store.id(), &scope("dev")), 1)).unwrap();
    let write = |key| block_on(store.write(Batch { keys: vec![(scope("dev"), key)], ..Batch::default() }));
    write(wrapped.clone()).unwrap();
    let mut other = wrapped.clone();
    other.generation = 2;
    assert!(matches!(write(other), Err(StoreError::Damaged(_))));
    let chain = block_on(store.chain(&scope("dev").chain(), Names::All)).unwrap();
    assert_eq!(chain.scopes[0].keys, [wrapped]);
}

#[test]
fn a_scope_of_ten_thousand_names_is_written_and_read_at_once() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let store = home.store();
    let names: Vec<SecretName> = (0..10_000).map(|number| name(&format!("NAME_{number:05}"))).collect();
    assert_eq!(store.limits().changes, names.len());
    let changes = names.iter().map(|name| change(name.as_str(), b"a record")).collect();
    block_on(store.write(Batch { changes, ..Batch::default() })).unwrap();
    for asked in [Names::All, Names::Only(&names)] {
        let chain = block_on(store.chain(&scope("dev/sp_1").chain(), asked)).unwrap();
        let found: Vec<_> = chain.scopes[0].rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!(found, names);
    }
    let keep = Change {
        expected: row(&home, "dev", "NAME_00000").unwrap().map(|row| row.revision),
        versions: VersionChange::Keep,
        ..change("NAME_00000", b"")
    };
    block_on(store.write(Batch { changes: vec![keep], ..Batch::default() })).unwrap();
}
