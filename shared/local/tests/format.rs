//! Files of other programs and other times, and copies of a home.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use futures_executor::block_on;
use rusqlite::Connection;
use support::{Place, make_scopes, name, open, row, scope, set, text};
use undertone_core::Standing;
use undertone_core::audit::Verified;
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyKey};
use undertone_local::{Home, LocalError};

/// A home that a program which knew format 1 has made, with its key.
fn of_format_1() -> Place {
    let place = Place::empty();
    fs::create_dir(place.home()).unwrap();
    fs::write(place.home().join("undertone.toml"), "[key]\nprovider = 'file'\npath = '../root.key'\n")
        .unwrap();
    fs::write(place.key(), include_str!("homes/format_1.key")).unwrap();
    fs::set_permissions(place.key(), Permissions::from_mode(0o600)).unwrap();
    let database = Connection::open(place.database()).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    database.execute_batch(include_str!("homes/format_1.sql")).unwrap();
    place
}

#[test]
fn a_home_of_format_1_opens_and_has_what_it_had() {
    let place = of_format_1();
    let format = |home: &Home| home.health().into_iter().find(|check| check.name == "format").unwrap();
    for _ in 0..2 {
        let home = place.open().unwrap();
        assert_eq!(text(&home, "dev", "TOKEN"), Ok("of the Environment".to_owned()));
        assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Ok("of the Space, second".to_owned()));
        assert_eq!(row(&home, "dev", "GONE").unwrap().unwrap().head.standing, Standing::Destroyed);
        let history = block_on(home.store().history(&scope("dev/sp_1"), &name("TOKEN"))).unwrap().unwrap();
        assert_eq!(history.versions.len(), 2);
        assert_eq!(block_on(home.audit().verify()), Ok(Verified::Intact { rows: 6 }));
        assert!(format(&home).sentence.contains("format 2, the newest"), "{}", format(&home).sentence);
    }
    let home = place.open().unwrap();
    let key = IdempotencyKey { agent: "agent".parse().unwrap(), event: "ev".to_owned(), digest: [7; 32] };
    let (now, later) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
    let claims = home.idempotency();
    assert_eq!(block_on(claims.claim(&key, ClaimId::random(), now, later)), Ok(Claimed::Yours));
    set(&home, "dev", "TOKEN", "and it goes on");
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("and it goes on".to_owned()));
}

#[test]
fn a_newer_file_is_refused_and_unchanged() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    drop(home);
    place.sql("PRAGMA user_version = 3");
    let before = fs::read(place.database()).unwrap();
    for _ in 0..2 {
        let refused = place.open();
        assert!(matches!(refused, Err(LocalError::NewerDatabase { found: 3, known: 2, .. })), "{refused:?}");
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
    newer.execute_batch("PRAGMA user_version = 3").unwrap();
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
