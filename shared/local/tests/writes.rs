//! What the embedded store refuses beyond the contract, and how much it takes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use futures_executor::block_on;
use support::{Place, change, change_of, make_scopes, name, reseal, row, scope};
use undertone_core::keys::{Sealer, WrappedKey};
use undertone_core::{Batch, Change, KeyScope, Names, Row, SecretName, StoreError, Version, VersionChange};

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
fn a_row_does_not_move_in_over_versions_that_it_has() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let write = |change| block_on(home.store().write(Batch { changes: vec![change], ..Batch::default() }));
    write(change("TOKEN", b"first")).unwrap();
    let before = row(&home, "dev", "TOKEN").unwrap().unwrap();
    let VersionChange::Add(version) = change("TOKEN", b"other").versions else { panic!("it adds one") };
    let second = Version { number: 2, ..version.clone() };
    let all = change_of(&before, VersionChange::AddAll(vec![second, version]));
    let conflict = StoreError::Conflict { scope: scope("dev"), name: name("TOKEN") };
    assert_eq!(write(all), Err(conflict));
    assert_eq!(row(&home, "dev", "TOKEN"), Ok(Some(before.clone())));
    let history = block_on(home.store().history(&scope("dev"), &name("TOKEN"))).unwrap().unwrap();
    assert_eq!(history.versions.len(), 1);
}

#[test]
fn records_of_any_length_take_the_place_of_others_or_none_does() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let write = |batch| block_on(home.store().write(batch));
    let changes = ["TOKEN", "OTHER"].map(|name| change(name, b"first of all")).into();
    write(Batch { changes, ..Batch::default() }).unwrap();
    let current = || row(&home, "dev", "TOKEN").unwrap().unwrap();
    let VersionChange::Add(version) = change("TOKEN", b"second").versions else { panic!("it adds one") };
    let second = VersionChange::Add(Version { number: 2, ..version });
    write(Batch { changes: vec![change_of(&current(), second)], ..Batch::default() }).unwrap();
    let records = || {
        let history = block_on(home.store().history(&scope("dev"), &name("TOKEN"))).unwrap().unwrap();
        history.versions.iter().rev().map(|version| version.body.record().to_vec()).collect::<Vec<_>>()
    };
    let large = vec![7; 9_000];
    for (anew, expected) in [
        ([(1, &b"FIRST OF ALL"[..]), (2, b"SECOND")], [&b"FIRST OF ALL"[..], b"SECOND"]),
        ([(2, b"a longer one"), (1, b"short")], [b"short", b"a longer one"]),
        ([(1, &large), (2, b"")], [&large, b""]),
        ([(1, b"again"), (1, b"and again")], [b"and again", b""]),
    ] {
        let before = current();
        write(reseal(&before, &anew)).unwrap();
        assert_eq!(records(), expected);
        assert_eq!(current().revision.0, before.revision.0 + 1);
        assert_eq!(current().head, before.head);
    }
    let (before, kept) = (current(), records());
    let conflict = StoreError::Conflict { scope: scope("dev"), name: name("TOKEN") };
    for none in [[(1, &b"x"[..]), (3, b"x")], [(2, b"x"), (0, b"x")]] {
        assert_eq!(write(reseal(&before, &none)), Err(conflict.clone()), "it has no such version");
        assert_eq!((current(), records()), (before.clone(), kept.clone()));
    }
    let absent = Row { name: name("ABSENT"), ..before };
    let conflict = StoreError::Conflict { scope: scope("dev"), name: name("ABSENT") };
    assert_eq!(write(reseal(&absent, &[])), Err(conflict));
    let other = row(&home, "dev", "OTHER").unwrap().unwrap();
    assert_eq!(&**other.current.unwrap().body.record(), b"first of all", "that is another row");
}

#[test]
fn a_key_is_wrapped_anew_as_the_key_that_it_is() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let store = home.store();
    let made = |generation| {
        let scope = KeyScope::of(store.id(), &scope("dev"));
        block_on(home.keys().new_key(&scope, generation)).unwrap().1
    };
    let (first, other) = (made(1), made(2));
    let keys = || block_on(store.chain(&scope("dev").chain(), Names::All)).unwrap().scopes[0].keys.clone();
    let rewrap = |key: &WrappedKey| {
        let rewrapped = vec![(scope("dev"), key.clone())];
        block_on(store.write(Batch { rewrapped, ..Batch::default() }))
    };
    block_on(store.write(Batch { keys: vec![(scope("dev"), first.clone())], ..Batch::default() })).unwrap();
    assert_eq!(rewrap(&other), Ok(()), "what isn't there any more needs no wrapping");
    assert_eq!(keys(), std::slice::from_ref(&first));
    let wrong = WrappedKey { generation: 2, ..first.clone() };
    assert!(matches!(rewrap(&wrong), Err(StoreError::Damaged(_))));
    assert_eq!(keys(), std::slice::from_ref(&first));
    let anew = WrappedKey { blob: other.blob, ..first };
    rewrap(&anew).unwrap();
    assert_eq!(keys(), [anew]);
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
