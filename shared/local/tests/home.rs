//! Making and opening homes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use support::{GIVEN_HOME, Place, elsewhere, given_home, make_scopes, open, set, text};
use undertone_local::{
    Argon2Params, AwsKind, AwsSettings, Home, KeyProblem, KeySource, Level, LocalError, NewKey,
    StoreSettings, read_settings, write_aws_settings,
};
use zeroize::Zeroizing;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

fn said(text: &str) -> impl FnMut() -> io::Result<Zeroizing<String>> {
    move || Ok(Zeroizing::new(text.to_owned()))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_home_is_private_and_opens_again() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    for (path, expected) in [
        (place.home(), 0o700),
        (place.database(), 0o600),
        (place.home().join("undertone.db-wal"), 0o600),
        (place.home().join("undertone.db-shm"), 0o600),
        (place.home().join("undertone.toml"), 0o600),
        (place.key(), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{path:?}");
    }
    assert_eq!(home.warnings(), [""; 0]);
    let id = home.store().id();
    drop(home);
    assert_eq!(files(&place.home()), ["undertone.db", "undertone.toml"], "a closed home is two files");
    let home = place.open().unwrap();
    assert_eq!(home.store().id(), id);
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("hunter2hunter2".to_owned()));
    let key = KeySource::File { path: place.key() };
    assert_eq!(home.settings().store, StoreSettings::Embedded { key });
    let unwell: Vec<_> = home.health().into_iter().filter(|check| check.level != Level::Ok).collect();
    assert_eq!(unwell, []);
}

#[test]
fn the_folder_of_the_key_is_made_if_it_is_missing_and_is_private() {
    let place = Place::empty();
    let key = place.path().join("config/undertone/root.key");
    Home::init(&place.home(), NewKey::File(key.clone())).unwrap();
    assert_eq!(mode(key.parent().unwrap()), 0o700);
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn an_existing_home_is_refused_and_kept() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    let again = Home::init(&place.home(), NewKey::File(place.path().join("other.key")));
    assert!(matches!(again, Err(LocalError::HomeExists { .. })), "{again:?}");
    assert!(!place.path().join("other.key").exists());
    drop(home);
    for (gone, left) in [("undertone.toml", "undertone.db"), ("undertone.db", "undertone.toml")] {
        let (from, to) = (place.home().join(gone), place.path().join(gone));
        fs::rename(&from, &to).unwrap();
        let again = Home::init(&place.home(), NewKey::File(place.path().join("other.key")));
        assert!(matches!(again, Err(LocalError::HomeExists { what, .. }) if what == left), "{again:?}");
        assert_eq!(files(&place.home()), [left]);
        fs::rename(&to, &from).unwrap();
    }
    assert!(place.open().is_ok());
}

#[test]
fn an_empty_folder_becomes_a_home_and_others_in_it_stay() {
    let place = Place::empty();
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), Permissions::from_mode(0o755)).unwrap();
    fs::write(place.home().join("notes.txt"), "mine").unwrap();
    let home = Home::init(&place.home(), NewKey::File(place.key())).unwrap();
    assert!(home.warnings()[0].contains("chmod 700"), "{:?}", home.warnings());
    assert_eq!(fs::read(place.home().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_failed_init_leaves_nothing_behind() {
    let place = Place::empty();
    let deep = place.path().join("a/b/home");
    fs::write(place.key(), "something else").unwrap();
    let mut no_terminal = || Err(io::Error::other("no terminal"));
    let mut short = said("short");
    let floor = Argon2Params::FLOOR;
    for (key, expected) in [
        (NewKey::File(place.key()), Some(KeyProblem::Exists)),
        (NewKey::Passphrase { read: &mut no_terminal, params: floor }, None),
        (NewKey::Passphrase { read: &mut short, params: floor }, Some(KeyProblem::ShortPassphrase(5))),
        (NewKey::Credential { name: "key".to_owned() }, Some(KeyProblem::NoCredentials)),
        (NewKey::Credential { name: "../key".to_owned() }, Some(KeyProblem::CredentialName)),
    ] {
        match Home::init(&deep, key) {
            Err(LocalError::BadKey { problem, .. }) => {
                assert!(expected.as_ref().is_none_or(|expected| problem == *expected), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(files(place.path()), ["root.key"]);
    }
    assert_eq!(fs::read(place.key()).unwrap(), b"something else");

    fs::write(place.path().join("file"), "").unwrap();
    let in_a_file = Home::init(&place.path().join("file"), NewKey::File(place.path().join("new.key")));
    assert!(matches!(in_a_file, Err(LocalError::File { .. })), "{in_a_file:?}");
    assert_eq!(files(place.path()), ["file", "root.key"]);
}

#[test]
fn two_inits_at_once_make_one_home() {
    let place = Place::empty();
    let made: Vec<bool> = std::thread::scope(|threads| {
        let start = |number| {
            let (dir, key) = (place.home(), place.path().join(format!("{number}.key")));
            threads.spawn(move || Home::init(&dir, NewKey::File(key)).is_ok())
        };
        let running: Vec<_> = (0..4).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(files(place.path()).len(), 2, "the losers' keys are gone: {:?}", files(place.path()));
    assert!(place.open().is_ok());
}

#[test]
fn a_missing_key_and_a_wrong_key_are_told_apart_and_name_the_right_one() {
    let (place, home) = Place::with_home();
    let (other, other_home) = Place::with_home();
    drop((home, other_home));
    let right = fs::read(place.key()).unwrap();

    fs::remove_file(place.key()).unwrap();
    let Err(LocalError::MissingKey { expected, problem: KeyProblem::Absent, .. }) = place.open() else {
        panic!("{:?}", place.open());
    };
    let message = place.open().unwrap_err().to_string();
    assert!(message.contains(&expected.to_string()) && message.contains("root.key"), "{message}");

    fs::copy(other.key(), place.key()).unwrap();
    match place.open() {
        Err(LocalError::WrongKey { expected: needed, found, .. }) => {
            assert_eq!(needed, expected);
            assert_ne!(found, expected);
        }
        other => panic!("{other:?}"),
    }
    let message = place.open().unwrap_err().to_string();
    assert!(message.contains(&expected.to_string()), "{message}");

    fs::write(place.key(), &right[..30]).unwrap();
    let cut = place.open();
    assert!(matches!(cut, Err(LocalError::BadKey { problem: KeyProblem::Length(30), .. })), "{cut:?}");
    fs::write(place.key(), &right).unwrap();
    fs::set_permissions(place.key(), Permissions::from_mode(0o644)).unwrap();
    let message = place.open().unwrap_err().to_string();
    assert!(message.contains(&format!("chmod 600 {}", place.key().display())), "{message}");
    fs::set_permissions(place.key(), Permissions::from_mode(0o600)).unwrap();
    assert!(place.open().is_ok());
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::empty();
    for dir in [place.path().to_owned(), place.path().join("nowhere"), place.path().join("root.key/below")] {
        assert!(matches!(open(&dir), Err(LocalError::NoHome { .. })), "{dir:?}");
    }
    let (place, home) = Place::with_home();
    drop(home);
    fs::remove_file(place.database()).unwrap();
    assert!(matches!(place.open(), Err(LocalError::NoDatabase { .. })));
    assert!(!place.database().exists(), "no empty database is made in its stead");
}

#[test]
fn a_key_in_the_home_and_an_open_folder_are_warned_of() {
    let place = Place::empty();
    let home = Home::init(&place.home(), NewKey::File(place.home().join("root.key"))).unwrap();
    assert!(home.warnings()[0].contains("inside the home"), "{:?}", home.warnings());
    drop(home);
    fs::set_permissions(place.home(), Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(place.database(), Permissions::from_mode(0o640)).unwrap();
    let home = place.open().unwrap();
    assert_eq!(home.warnings().len(), 2);
    assert!(home.warnings()[1].contains("undertone.db"), "{:?}", home.warnings());
    let warned = home.health().into_iter().filter(|check| check.level == Level::Warn);
    assert_eq!(warned.map(|check| check.name).collect::<Vec<_>>(), ["root key", "file modes"]);
}

#[test]
fn a_passphrase_opens_its_home_and_no_other_does() {
    let place = Place::empty();
    let mut right = said("correct horse battery");
    let new = NewKey::Passphrase { read: &mut right, params: Argon2Params::FLOOR };
    let home = Home::init(&place.home(), new).unwrap();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    drop(home);
    let home = Home::open(&place.home(), &mut said("correct horse battery")).unwrap();
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("hunter2hunter2".to_owned()));
    drop(home);
    let wrong = Home::open(&place.home(), &mut said("correct horse batterY"));
    assert!(matches!(wrong, Err(LocalError::WrongKey { .. })), "{wrong:?}");

    // Whoever lowers the cost gets another key, and below the floor nothing is computed.
    let settings = place.home().join("undertone.toml");
    let written = fs::read_to_string(&settings).unwrap();
    for (from, to) in [("passes = 3", "passes = 4"), ("memory_kib = 65536", "memory_kib = 65537")] {
        fs::write(&settings, written.replace(from, to)).unwrap();
        let changed = Home::open(&place.home(), &mut said("correct horse battery"));
        assert!(matches!(changed, Err(LocalError::WrongKey { .. })), "{to}: {changed:?}");
    }
    fs::write(&settings, written.replace("memory_kib = 65536", "memory_kib = 8")).unwrap();
    let mut never = || panic!("it isn't asked for");
    let refused = Home::open(&place.home(), &mut never);
    assert!(matches!(refused, Err(LocalError::Settings { .. })), "{refused:?}");
}

#[test]
fn a_systemd_credential_opens_its_home() {
    let place = Place::empty();
    fs::write(place.path().join("undertone"), [0xa7; 32]).unwrap();
    let (home, credentials) = (place.home(), place.path().to_owned());
    let variables = [("CREDENTIALS_DIRECTORY", &*credentials), (GIVEN_HOME, &*home)];
    assert!(elsewhere("with_a_credential", &variables).output().unwrap().status.success());
    match place.open() {
        Err(LocalError::MissingKey { place, problem: KeyProblem::NoCredentials, .. }) => {
            assert!(place.contains("`undertone`"), "{place}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "started by another test, with credentials"]
fn with_a_credential() {
    let Some(dir) = given_home() else { return };
    let home = Home::init(&dir, NewKey::Credential { name: "undertone".to_owned() }).unwrap();
    make_scopes(&home);
    drop(home);
    assert!(open(&dir).is_ok());
}

fn aws() -> AwsSettings {
    AwsSettings {
        kind: AwsKind::SecretsManager,
        region: Some("eu-central-1".to_owned()),
        profile: None,
        table: "undertone".to_owned(),
        prefix: "undertone".to_owned(),
        kms_key: "alias/undertone".to_owned(),
        audit_table: "undertone-audit".to_owned(),
    }
}

#[test]
fn a_home_that_points_to_aws_is_private_and_its_settings_are_all_that_is_in_it() {
    let place = Place::empty();
    let dir = place.path().join("deep/home");
    write_aws_settings(&dir, &aws()).unwrap();
    assert_eq!(files(&dir), ["undertone.toml"]);
    assert_eq!((mode(&dir), mode(&dir.join("undertone.toml"))), (0o700, 0o600));
    assert_eq!(read_settings(&dir).unwrap().store, StoreSettings::Aws(aws()));
    assert!(read_settings(&dir).unwrap().agents.is_empty());
    let opened = open(&dir);
    assert!(matches!(&opened, Err(LocalError::NotEmbedded { dir: named }) if *named == dir), "{opened:?}");
    assert!(opened.unwrap_err().to_string().contains("AWS"));
    assert_eq!(files(&dir), ["undertone.toml"], "nothing was made by trying");
}

#[test]
fn settings_for_aws_replace_no_home_and_leave_nothing_behind() {
    let (place, home) = Place::with_home();
    drop(home);
    let refused = write_aws_settings(&place.home(), &aws());
    assert!(matches!(refused, Err(LocalError::HomeExists { .. })), "{refused:?}");
    let there = read_settings(&place.home()).unwrap().store;
    assert_eq!(there, StoreSettings::Embedded { key: KeySource::File { path: place.key() } });
    fs::remove_file(place.home().join("undertone.toml")).unwrap();
    let refused = write_aws_settings(&place.home(), &aws());
    assert!(matches!(refused, Err(LocalError::HomeExists { what: "undertone.db", .. })), "{refused:?}");
    assert_eq!(files(&place.home()), ["undertone.db"]);

    let place = Place::empty();
    write_aws_settings(&place.home(), &aws()).unwrap();
    let other = AwsSettings { kind: AwsKind::DynamoDb, ..aws() };
    let again = write_aws_settings(&place.home(), &other);
    assert!(matches!(again, Err(LocalError::HomeExists { what: "undertone.toml", .. })), "{again:?}");
    let embedded = Home::init(&place.home(), NewKey::File(place.key()));
    assert!(matches!(embedded, Err(LocalError::HomeExists { .. })), "{embedded:?}");
    assert_eq!(files(place.path()), ["home"], "no key was made either");
    assert_eq!(read_settings(&place.home()).unwrap().store, StoreSettings::Aws(aws()));

    for wrong in [
        AwsSettings { kms_key: String::new(), ..aws() },
        AwsSettings { region: Some("eu central".to_owned()), ..aws() },
    ] {
        let refused = write_aws_settings(&place.path().join("deep/new"), &wrong);
        assert!(matches!(refused, Err(LocalError::Settings { .. })), "{refused:?}");
        assert_eq!(files(place.path()), ["home"]);
    }
    fs::write(place.path().join("file"), "").unwrap();
    let in_a_file = write_aws_settings(&place.path().join("file"), &aws());
    assert!(matches!(in_a_file, Err(LocalError::File { .. })), "{in_a_file:?}");
    // Settings that can't be written: the folder that was made for them goes again.
    let long = place.path().join("x".repeat(200)).join("y".repeat(300));
    assert!(matches!(write_aws_settings(&long, &aws()), Err(LocalError::File { .. })));
    assert_eq!(files(place.path()), ["file", "home"]);
}
