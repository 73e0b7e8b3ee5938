//! Folders that can't be written, files that can't be opened, disks that fail: typed errors, and
//! the state is that before or that after.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use futures_executor::block_on;
use support::{
    GIVEN_HOME, Place, elsewhere, given_home, make_scopes, name, open, row, scope, set, text, vault,
};
use undertone_core::StoreError;
use undertone_core::vault::{SetRequest, VaultError};
use undertone_core::{SecretValue, audit::Verified};
use undertone_local::{Home, LocalError, NewKey};

/// Not root, whom modes don't hold up.
const NOBODY: u32 = 65_534;

fn filled() -> Place {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    place
}

fn try_to_set(home: &Home, value: &str) -> Result<(), VaultError> {
    let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
    block_on(vault(home).set(&scope("dev"), SetRequest::new(name("TOKEN"), value))).map(|_| ())
}

fn succeeded(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a test as somebody whom modes hold up, with everything of the place being theirs.
fn as_nobody(place: &Place, test: &str, change: impl Fn()) {
    let home = place.home();
    let program = place.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = elsewhere(test, &[(GIVEN_HOME, &home)]);
    if rustix_is_root() {
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(&program);
        command.args(arguments).env(GIVEN_HOME, &home).current_dir("/").uid(NOBODY);
        let inside = fs::read_dir(&home).unwrap().map(|file| file.unwrap().path());
        let all = inside.chain([place.path().to_owned(), home.clone(), place.key(), program]);
        all.for_each(|path| chown(path, Some(NOBODY), None).unwrap());
    }
    change();
    let output = command.output().unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
    succeeded(output);
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn a_home_that_cannot_be_written_is_refused_with_the_reason() {
    let place = filled();
    as_nobody(&place, "in_a_folder_that_cannot_be_written", || {
        fs::set_permissions(place.home(), Permissions::from_mode(0o500)).unwrap();
    });
    let place = filled();
    as_nobody(&place, "in_a_folder_that_cannot_be_written", || {
        fs::set_permissions(place.database(), Permissions::from_mode(0o400)).unwrap();
    });
}

#[test]
#[ignore = "started by another test, not as root"]
fn in_a_folder_that_cannot_be_written() {
    let Some(dir) = given_home() else { return };
    let problem = match open(&dir) {
        Err(LocalError::Store(StoreError::Unavailable(problem))) => problem,
        Err(other) => panic!("{other}"),
        // SQLite opens a file that it can only read; then every write says why it can't be.
        Ok(home) => {
            assert_eq!(text(&home, "dev", "TOKEN"), Ok("hunter2hunter2".to_owned()));
            match try_to_set(&home, "hunter3hunter3").unwrap_err() {
                VaultError::Audit(error) => error.to_string(),
                other => panic!("{other:?}"),
            }
        }
    };
    assert!(problem.contains("check") && problem.contains("home folder"), "{problem}");
    let made = Home::init(&dir.join("new"), NewKey::File(dir.join("new.key")));
    let writable = fs::write(dir.join("probe"), "").is_ok();
    assert_eq!(made.is_ok(), writable, "{made:?}");
    assert_eq!(dir.join("new").exists(), writable);
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_the_reason() {
    let place = filled();
    as_nobody(&place, "with_settings_that_cannot_be_read", || {
        fs::set_permissions(place.home().join("undertone.toml"), Permissions::from_mode(0o000)).unwrap();
    });
}

#[test]
#[ignore = "started by another test, not as root"]
fn with_settings_that_cannot_be_read() {
    let Some(dir) = given_home() else { return };
    match open(&dir) {
        Err(LocalError::File { doing: "read", path, .. }) => assert!(path.ends_with("undertone.toml")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_many_open_files_are_an_error_until_some_are_closed() {
    let place = filled();
    let home = place.home();
    let limited = "ulimit -n 40; exec \"$0\" \"$@\"";
    succeeded(through_shell(limited, "with_too_many_open_files", &home));
}

/// Runs a test below a shell that sets limits first.
fn through_shell(script: &str, test: &str, home: &std::path::Path) -> Output {
    let direct = elsewhere(test, &[]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(direct.get_program()).args(direct.get_args()).env(GIVEN_HOME, home);
    command.output().unwrap()
}

#[test]
#[ignore = "started by another test, with few files"]
fn with_too_many_open_files() {
    let Some(dir) = given_home() else { return };
    let use_up = || std::iter::from_fn(|| File::open("/dev/null").ok()).collect::<Vec<_>>();
    let home = open(&dir).unwrap();
    let files = use_up();
    match row(&home, "dev", "TOKEN") {
        // A reader was open already.
        Ok(Some(_)) => {}
        Err(StoreError::Unavailable(problem)) => assert!(problem.contains("open"), "{problem}"),
        other => panic!("{other:?}"),
    }
    let mut files = files;
    let mut answers = Vec::new();
    for _ in 0..4 {
        match open(&dir) {
            Ok(_) => break,
            Err(LocalError::File { source, .. }) => {
                assert!(source.to_string().contains("open files"), "{source}")
            }
            Err(LocalError::Store(StoreError::Unavailable(problem))) => answers.push(problem),
            Err(other) => panic!("{other:?}"),
        }
        files.pop();
    }
    assert!(answers.iter().any(|problem| problem.contains("how many files")), "{answers:?}");
    files.extend(use_up());
    // The writer has all its files open: it works, or it says that it doesn't.
    let written = try_to_set(&home, "hunter3hunter3").is_ok();
    drop(files);
    let expected = if written { "hunter3hunter3" } else { "hunter2hunter2" };
    assert_eq!(text(&home, "dev", "TOKEN"), Ok(expected.to_owned()));
    try_to_set(&home, "hunter4hunter4").unwrap();
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("hunter4hunter4".to_owned()));
    assert!(matches!(block_on(home.audit().verify()), Ok(Verified::Intact { .. })));
}

#[test]
fn a_disk_that_fails_is_an_error_and_leaves_the_state_before() {
    let place = filled();
    // Files end here for this process: a write beyond fails as on a failing disk.
    let limited = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    succeeded(through_shell(limited, "on_a_disk_that_fails", &place.home()));
    let home = place.open().unwrap();
    assert!(text(&home, "dev", "TOKEN").is_ok());
    set(&home, "dev", "TOKEN", "and it goes on");
    assert!(matches!(block_on(home.audit().verify()), Ok(Verified::Intact { .. })));
}

#[test]
#[ignore = "started by another test, with small files"]
fn on_a_disk_that_fails() {
    let Some(dir) = given_home() else { return };
    let home = open(&dir).unwrap();
    let mut last = "hunter2hunter2".to_owned();
    for round in 0..200 {
        let value = format!("{round} {}", "x".repeat(20_000));
        match try_to_set(&home, &value) {
            Ok(()) => last = value,
            Err(VaultError::Store(StoreError::Unavailable(problem))) => {
                assert!(problem.contains("disk"), "{problem}");
                assert_eq!(text(&home, "dev", "TOKEN"), Ok(last));
                return;
            }
            Err(VaultError::Audit(error)) => {
                assert!(error.to_string().contains("disk"), "{error}");
                assert_eq!(text(&home, "dev", "TOKEN"), Ok(last));
                return;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the disk never failed");
}
