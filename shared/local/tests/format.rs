//! Files of other programs and other times, and copies of a home.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::fs;

use rusqlite::Connection;
use support::{Place, make_scopes, open, set, text};
use undertone_local::LocalError;

#[test]
fn a_newer_file_is_refused_and_unchanged() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    drop(home);
    place.sql("PRAGMA user_version = 2");
    let before = fs::read(place.database()).unwrap();
    for _ in 0..2 {
        let refused = place.open();
        assert!(matches!(refused, Err(LocalError::NewerDatabase { found: 2, known: 1, .. })), "{refused:?}");
        assert!(fs::read(place.database()).unwrap() == before);
    }
    let message = place.open().unwrap_err().to_string();
    assert!(message.contains("newer `undertone`") && message.contains("nothing was changed"), "{message}");
}

#[test]
fn a_newer_file_whose_log_was_not_emptied_is_unchanged_too() {
    let (place, home) = Place::with_home();
    drop(home);
    let newer = Connection::open(place.database()).unwrap();
    newer.execute_batch("PRAGMA user_version = 2").unwrap();
    let copy = Place::empty();
    fs::create_dir(copy.home()).unwrap();
    for name in ["undertone.db", "undertone.db-wal", "undertone.toml"] {
        fs::copy(place.home().join(name), copy.home().join(name)).unwrap();
    }
    let bytes = || ["undertone.db", "undertone.db-wal"].map(|name| fs::read(copy.home().join(name)).unwrap());
    let before = bytes();
    let refused = copy.open();
    assert!(matches!(refused, Err(LocalError::NewerDatabase { .. })), "{refused:?}");
    assert!(bytes() == before);
}

#[test]
fn a_file_of_another_program_is_refused_and_unchanged() {
    let (place, home) = Place::with_home();
    drop(home);
    let ours = fs::read(place.database()).unwrap();
    let foreign = |make: &dyn Fn()| {
        make();
        let before = fs::read(place.database()).unwrap();
        let refused = place.open();
        assert!(fs::read(place.database()).unwrap() == before);
        refused.unwrap_err()
    };
    let error = foreign(&|| place.sql("PRAGMA application_id = 7"));
    assert!(matches!(error, LocalError::ForeignDatabase { .. }), "{error}");
    let error = foreign(&|| fs::write(place.database(), "").unwrap());
    assert!(matches!(error, LocalError::ForeignDatabase { .. }), "{error}");
    let error = foreign(&|| fs::write(place.database(), "hunter2 ".repeat(1_000)).unwrap());
    assert!(matches!(error, LocalError::Store(_)) && !error.to_string().contains("hunter2"), "{error}");
    let error = foreign(&|| fs::write(place.database(), &ours[..4_096]).unwrap());
    assert!(matches!(error, LocalError::Store(_)), "{error}");
    fs::write(place.database(), ours).unwrap();
    assert!(place.open().is_ok());
}

#[test]
fn a_copy_opens_with_the_key_and_not_without() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    for (folder, copy) in [("vacuum", true), ("copy", false)] {
        let folder = place.path().join(folder);
        fs::create_dir(&folder).unwrap();
        let database = folder.join("undertone.db");
        match copy {
            // While the home is in use.
            true => place.sql(&format!("VACUUM INTO '{}'", database.display())),
            false => {
                place.sql("PRAGMA wal_checkpoint(TRUNCATE)");
                fs::copy(place.database(), &database).unwrap();
            }
        }
        fs::copy(place.home().join("undertone.toml"), folder.join("undertone.toml")).unwrap();
        let opened = open(&folder).unwrap();
        assert_eq!(text(&opened, "dev", "TOKEN"), Ok("hunter2hunter2".to_owned()));
        set(&opened, "dev", "OTHER", "hunter3hunter3");
        drop(opened);
        fs::rename(place.key(), place.path().join("away")).unwrap();
        assert!(matches!(open(&folder), Err(LocalError::MissingKey { .. })));
        fs::rename(place.path().join("away"), place.key()).unwrap();
        let bytes = fs::read(&database).unwrap();
        assert!(!bytes.windows(14).any(|window| window == b"hunter2hunter2"));
    }
}
