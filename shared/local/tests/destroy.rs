//! What is destroyed is gone from the files, not only from the answers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::fs;
use std::path::Path;

use futures_executor::block_on;
use rusqlite::Connection;
use support::{Place, make_scopes, name, scope, set, vault};
use undertone_local::{Home, Level};

/// Sixteen bytes from the middle of every record of a row: salt and ciphertext, found nowhere else.
fn marks(home: &Home, name_text: &str) -> Vec<[u8; 16]> {
    let history = block_on(home.store().history(&scope("dev"), &name(name_text))).unwrap().unwrap();
    let mark = |record: &[u8]| record[40..56].try_into().unwrap();
    history.versions.iter().map(|version| mark(version.body.record())).collect()
}

/// In which files of the home, also in those of SQLite's, one of the marks is found.
fn found(home: &Path, marks: &[[u8; 16]]) -> Vec<String> {
    let mut files = Vec::new();
    for file in fs::read_dir(home).unwrap() {
        let file = file.unwrap();
        let bytes = fs::read(file.path()).unwrap();
        if bytes.windows(16).any(|window| marks.iter().any(|mark| mark == window)) {
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

#[test]
fn destroyed_records_are_in_no_file_any_more() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    // Many rows in a mixed order and sizes up to overflow pages, so that pages split.
    let sizes = [10, 3_000, 200, 9_000, 30];
    for (round, size) in sizes.into_iter().enumerate() {
        for number in 0..24 {
            let value = format!("{round} {number} {}", "x".repeat(size));
            set(&home, "dev", &format!("NAME_{}", (number * 7) % 24), &value);
        }
    }
    let doomed: Vec<String> = (0..24).filter(|number| number % 3 != 1).map(|n| format!("NAME_{n}")).collect();
    let gone: Vec<[u8; 16]> = doomed.iter().flat_map(|name| marks(&home, name)).collect();
    let kept: Vec<[u8; 16]> = marks(&home, "NAME_1");
    assert_eq!((gone.len(), kept.len()), (80, 5));
    assert!(!found(&place.home(), &gone).is_empty(), "they are there before");
    for name in &doomed {
        destroy(&home, name);
    }
    assert_eq!(found(&place.home(), &gone), [""; 0]);
    assert!(!found(&place.home(), &kept).is_empty(), "and the others still are");
    assert_eq!(scrub_check(&home), Level::Ok);
    drop(home);
    assert_eq!(found(&place.home(), &gone), [""; 0], "closing the home brings nothing back");
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
