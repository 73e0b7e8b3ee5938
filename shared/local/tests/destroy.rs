//! What is destroyed is gone from the files, not only from the answers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use futures_executor::block_on;
use rusqlite::Connection;
use support::{Place, change, maintenance, make_scopes, name, reseal, row, scope, set, text, vault};
use undertone_core::keys::{Sealer, WrappedKey};
use undertone_core::{Batch, Change, KeyScope, Row, RowHead, Standing, VersionChange, random_bytes};
use undertone_local::{Home, Level};

/// Sixteen bytes from the middle of every record of a row: salt and ciphertext, found nowhere else.
fn marks(home: &Home, name_text: &str) -> BTreeSet<[u8; 16]> {
    let history = block_on(home.store().history(&scope("dev"), &name(name_text))).unwrap().unwrap();
    let mark = |record: &[u8]| record[40..56].try_into().unwrap();
    history.versions.iter().map(|version| mark(version.body.record())).collect()
}

/// In which files of the home, also in those of SQLite's, one of the marks is found.
fn found(home: &Path, marks: &BTreeSet<[u8; 16]>) -> Vec<String> {
    let mut files = Vec::new();
    for file in fs::read_dir(home).unwrap() {
        let file = file.unwrap();
        let bytes = fs::read(file.path()).unwrap();
        if bytes.windows(16).any(|window| marks.contains(window)) {
            files.push(file.file_name().into_string().unwrap());
        }
    }
    files.sort();
    files
}

fn destroy(home: &Home, name_text: &str) {
    block_on(vault(home).destroy(&scope("dev"), &name(name_text))).unwrap();
}

fn scrub_check(home: &Home) -> Level {
    home.health().into_iter().find(|check| check.name == "destroyed values").unwrap().level
}

fn destroying(row: &Row) -> Change {
    let head = RowHead { standing: Standing::Destroyed, current: 0, ..row.head.clone() };
    let (scope, name, expected) = (row.scope.clone(), row.name.clone(), Some(row.revision));
    Change { scope, name, expected, head, versions: VersionChange::DestroyAll }
}

#[test]
fn of_thousands_of_destroyed_records_nothing_is_left_in_any_file() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    let store = home.store();
    // Names in no order and sizes up to several pages, so that pages split, merge and overflow.
    let records: Vec<(String, Vec<u8>)> = (0..3_000_u32)
        .map(|number| {
            let size = [166, 166, 230, 600, 1_400, 166, 9_000][number as usize % 7];
            let bytes = (0..size / 16 + 1).flat_map(|_| random_bytes::<16>()).take(size).collect();
            (format!("NAME_{}", number.wrapping_mul(2_654_435_761) % 1_000_003), bytes)
        })
        .collect();
    for part in records.chunks(500) {
        let changes = part.iter().map(|(name, record)| change(name, record)).collect();
        block_on(store.write(Batch { changes, ..Batch::default() })).unwrap();
    }
    let doomed: Vec<&(String, Vec<u8>)> =
        (0..3_000).map(|number| number * 1_009 % 3_000).filter(|n| n % 5 != 0).map(|n| &records[n]).collect();
    for part in doomed.chunks(100) {
        let destroyed = part.iter().map(|(name, _)| destroying(&row(&home, "dev", name).unwrap().unwrap()));
        let changes = destroyed.collect();
        block_on(store.write(Batch { changes, ..Batch::default() })).unwrap();
    }
    // The start, a middle and the end of each record.
    let marks = |record: &[u8]| [0, 60, record.len() - 16].map(|at| record[at..at + 16].try_into().unwrap());
    let gone: BTreeSet<[u8; 16]> = doomed.iter().flat_map(|(_, record)| marks(record)).collect();
    assert_eq!(found(&place.home(), &gone), [""; 0]);
    let kept: BTreeSet<[u8; 16]> = marks(&records[0].1).into();
    assert_eq!(found(&place.home(), &kept), ["undertone.db"], "the others are still there");
}

#[test]
fn destroyed_values_are_in_no_file_any_more() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    for round in 0..3 {
        for name in ["GONE", "KEPT"] {
            set(&home, "dev", name, &format!("{name} {round}"));
        }
    }
    let (gone, kept) = (marks(&home, "GONE"), marks(&home, "KEPT"));
    assert_eq!((gone.len(), kept.len()), (3, 3));
    assert!(!found(&place.home(), &gone).is_empty(), "they are there before");
    destroy(&home, "GONE");
    assert_eq!(found(&place.home(), &gone), [""; 0]);
    assert!(!found(&place.home(), &kept).is_empty(), "and the others still are");
    assert_eq!(scrub_check(&home), Level::Ok);
    drop(home);
    assert_eq!(found(&place.home(), &gone), [""; 0], "closing the home brings nothing back");
}

#[test]
fn records_that_were_sealed_anew_are_in_no_file_any_more() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    for round in 0..3 {
        set(&home, "dev", "TOKEN", &format!("round {round}"));
    }
    let old = marks(&home, "TOKEN");
    assert!(!found(&place.home(), &old).is_empty(), "they are there before");
    let rotated = block_on(maintenance(&home).rotate(&scope("dev"))).unwrap();
    assert_eq!(rotated.resealed, 3);
    assert_eq!(found(&place.home(), &old), [""; 0]);
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("round 2".to_owned()));
    let new = marks(&home, "TOKEN");
    assert!(!found(&place.home(), &new).is_empty(), "and the new ones are there");
    drop(home);
    assert_eq!(found(&place.home(), &old), [""; 0], "closing the home brings nothing back");
    assert_eq!(found(&place.home(), &new), ["undertone.db"]);
}

#[test]
fn records_of_another_length_leave_nothing_either() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    let mut gone = BTreeSet::new();
    let mut records = Vec::new();
    for size in [166, 9_000, 166, 230, 1_400, 166, 60_000, 16] {
        let record: Vec<u8> = (0..size / 16 + 1).flat_map(|_| random_bytes::<16>()).take(size).collect();
        match row(&home, "dev", "TOKEN").unwrap() {
            None => {
                let changes = vec![change("TOKEN", &record)];
                block_on(home.store().write(Batch { changes, ..Batch::default() })).unwrap();
            }
            Some(row) => block_on(home.store().write(reseal(&row, &[(1, &record)]))).unwrap(),
        }
        assert_eq!(found(&place.home(), &gone), [""; 0], "after one of {size} bytes");
        let marks = [0, size / 2 - 8, size - 16].map(|at| record[at..at + 16].try_into().unwrap());
        assert!(!found(&place.home(), &marks.into()).is_empty(), "that of {size} bytes is there");
        gone.extend(marks);
        records.push(record);
    }
    assert_eq!(&**row(&home, "dev", "TOKEN").unwrap().unwrap().current.unwrap().body.record(), records[7]);
}

#[test]
fn keys_that_were_retired_or_wrapped_anew_are_in_no_file_any_more() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    let (store, dev) = (home.store(), scope("dev"));
    // In the order of their ids, which is none, so that pages split and merge.
    let made: Vec<WrappedKey> = (0..1_000)
        .map(|_| block_on(home.keys().new_key(&KeyScope::of(store.id(), &dev), 1)).unwrap().1)
        .collect();
    for part in made.chunks(10) {
        let keys = part.iter().map(|key| (dev.clone(), key.clone())).collect();
        block_on(store.write(Batch { keys, ..Batch::default() })).unwrap();
    }
    let mark = |key: &WrappedKey| key.blob[60..76].try_into().unwrap();
    let is_kept = |at: usize| at.is_multiple_of(50);
    let mut gone: BTreeSet<[u8; 16]> = BTreeSet::new();
    for (part, keys) in made.chunks(50).enumerate() {
        let anew = |key: &WrappedKey| WrappedKey { blob: random_bytes::<134>().into(), ..key.clone() };
        let batch = match part % 4 {
            0..3 => Batch {
                retired: keys.iter().skip(1).map(|key| (dev.clone(), key.id)).collect(),
                ..Batch::default()
            },
            _ => Batch {
                rewrapped: keys.iter().skip(1).map(|key| (dev.clone(), anew(key))).collect(),
                ..Batch::default()
            },
        };
        block_on(store.write(batch)).unwrap();
        gone.extend(keys.iter().skip(1).map(mark));
        assert_eq!(found(&place.home(), &gone), [""; 0], "part {part}");
    }
    let kept: BTreeSet<_> =
        made.iter().enumerate().filter(|(at, _)| is_kept(*at)).map(|(_, key)| mark(key)).collect();
    assert_eq!(found(&place.home(), &kept), ["undertone.db"], "the others are still there");
}

#[test]
fn a_reader_delays_the_end_of_destroyed_records_and_nobody_forgets_it() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    let gone = marks(&home, "TOKEN");
    let reader = Connection::open(place.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM rows;").unwrap();
    destroy(&home, "TOKEN");
    assert!(!found(&place.home(), &gone).is_empty(), "the reader may still need the old page");
    assert_eq!(scrub_check(&home), Level::Warn);
    drop(reader);
    set(&home, "dev", "OTHER", "hunter3hunter3");
    assert_eq!(found(&place.home(), &gone), [""; 0], "the next write pays the debt");
    assert_eq!(scrub_check(&home), Level::Ok);
}

#[test]
fn what_was_still_owed_when_a_program_ended_is_paid_when_the_home_is_opened() {
    let (place, home) = Place::with_home();
    assert_eq!(scrub_check(&home), Level::Ok);
    drop(home);
    place.sql("INSERT INTO meta VALUES ('scrub', x'01')");
    assert_eq!(scrub_check(&place.open().unwrap()), Level::Ok);
}
