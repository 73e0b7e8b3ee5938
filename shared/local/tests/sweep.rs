//! One flipped bit anywhere: every answer is right or an error, none is wrong, nothing panics.
//!
//! A sample by default; `UNDERTONE_SWEEP=full` flips a bit of every byte.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use futures_executor::block_on;
use support::{Place, Unread, change, maintenance, make_scopes, name, open, scope, set, text, vault};
use undertone_core::audit::{AuditRow, Verified};
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey};
use undertone_core::vault::Spelling;
use undertone_core::{
    Batch, Body, ChainRows, Change, Environment, Epoch, History, Names, Row, Space, Store, Version,
    VersionChange,
};
use undertone_local::Home;

const VALUES: [(&str, &str, &str); 5] = [
    ("dev", "TOKEN", "of the Environment"),
    ("dev/sp_1", "TOKEN", "of the Space, second"),
    ("dev", "OTHER", "another value"),
    ("dev", "third name", "a third value"),
    ("dev/sp_1", "LOCAL", "only in the Space"),
];

fn filled() -> (Place, Home) {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev/sp_1", "TOKEN", "of the Space, first");
    for (scope, name_text, value) in VALUES {
        match name(name_text).is_canonical() {
            true => set(&home, scope, name_text, value),
            false => support::set_any(&home, scope, name_text, value),
        }
    }
    let vault = vault(&home);
    block_on(vault.lock(&scope("dev"), &name("OTHER"))).unwrap();
    block_on(vault.block(&scope("dev/sp_1"), &name("BLOCKED"), Spelling::Canonical)).unwrap();
    // All of the Space sealed anew, under another key.
    block_on(maintenance(&home).rotate(&scope("dev/sp_1"))).unwrap();
    block_on(maintenance(&home).compact(&scope("dev/sp_1"))).unwrap();
    let VersionChange::Add(version) = change("EXTERNAL", b"").versions else { panic!("it adds one") };
    let external = Version { body: Body::External(vec![7; 200].into()), ..version };
    let external = Change { versions: VersionChange::Add(external), ..change("EXTERNAL", b"") };
    block_on(home.store().write(Batch { changes: vec![external], ..Batch::default() })).unwrap();
    assert_eq!(claim(&home), Ok(Claimed::Yours));
    block_on(home.idempotency().finish(&event(), CLAIM, ANSWER, jiff::Timestamp::MAX)).unwrap();
    (place, home)
}

const CLAIM: ClaimId = ClaimId([1; 16]);
const ANSWER: &str = "{\"answer\":\"to the event\"}";

fn event() -> IdempotencyKey {
    IdempotencyKey { agent: "agent".parse().unwrap(), event: "an event".to_owned(), digest: [7; 32] }
}

fn claim(home: &Home) -> Result<Claimed, IdempotencyError> {
    let (now, later) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
    block_on(home.idempotency().claim(&event(), CLAIM, now, later))
}

/// Everything that can be read without opening a record.
#[derive(Debug, PartialEq)]
struct Contents {
    epoch: Epoch,
    environments: Vec<Environment>,
    spaces: Vec<Space>,
    rows: Vec<Row>,
    histories: Vec<History>,
}

fn rows(chain: ChainRows) -> Vec<Row> {
    chain.scopes.into_iter().flat_map(|scope| scope.rows).collect()
}

/// What each read says, `None` where it is an error.
fn contents(store: &dyn Store) -> Option<Contents> {
    let chain = block_on(store.chain(&scope("dev/sp_1").chain(), Names::All)).ok()?;
    let epoch = block_on(store.epoch(&scope("dev").chain())).ok()?;
    let histories = VALUES.map(|(scope_text, name_text, _)| {
        block_on(store.history(&scope(scope_text), &name(name_text))).ok().flatten()
    });
    Some(Contents {
        epoch,
        environments: block_on(store.environments()).ok()?,
        spaces: block_on(store.spaces(scope("dev").environment(), None, 10)).ok()?,
        rows: rows(chain),
        histories: histories.into_iter().collect::<Option<_>>()?,
    })
}

struct Expected {
    contents: Contents,
    audit: Vec<AuditRow>,
}

impl Expected {
    fn of(home: &Home) -> Self {
        Self {
            contents: contents(&*home.store()).unwrap(),
            audit: block_on(home.audit().read(0, 100)).unwrap(),
        }
    }

    /// Opens the home and reads all of it. Returns whether anything was an error.
    fn check(&self, dir: &Path, flipped: &str) -> bool {
        let Ok(home) = open(dir) else {
            return true;
        };
        let mut errors = false;
        for (scope, name, value) in VALUES {
            match text(&home, scope, name) {
                Ok(read) => assert_eq!(read, value, "{flipped}: {name} in {scope}"),
                Err(Unread::Absent) => panic!("{flipped}: {name} is absent from {scope}"),
                Err(_) => errors = true,
            }
        }
        let store = home.store();
        match contents(&*store) {
            // A record isn't covered by the MACs: it was opened, or failed to, above.
            Some(read) => errors |= !self.is_same_but_for_records(read, flipped),
            None => errors = true,
        }
        let only: BTreeSet<_> = VALUES.iter().map(|(_, name_text, _)| name(name_text)).collect();
        let only: Vec<_> = only.into_iter().collect();
        if let Ok(chain) = block_on(store.chain(&scope("dev/sp_1").chain(), Names::Only(&only))) {
            assert_eq!(rows(chain).len(), VALUES.len(), "{flipped}");
        }
        match claim(&home) {
            Ok(Claimed::Done(answer)) => assert_eq!(answer, ANSWER, "{flipped}"),
            // Under another name it isn't found, and the event is handled again.
            Ok(Claimed::Yours) | Err(_) => errors = true,
            Ok(other) => panic!("{flipped}: {other:?}"),
        }
        match block_on(home.audit().verify()) {
            Ok(Verified::Intact { .. }) => {
                assert_eq!(block_on(home.audit().read(0, 100)).as_ref(), Ok(&self.audit), "{flipped}");
            }
            _ => errors = true,
        }
        errors
    }

    fn is_same_but_for_records(&self, read: Contents, flipped: &str) -> bool {
        let same = read == self.contents;
        if !same {
            let bare = |contents: &Contents| {
                let heads: Vec<_> =
                    contents.rows.iter().map(|row| (row.name.clone(), row.head.clone())).collect();
                (contents.epoch, contents.environments.clone(), contents.spaces.clone(), heads)
            };
            assert_eq!(bare(&read), bare(&self.contents), "{flipped}");
        }
        same
    }
}

fn is_full() -> bool {
    std::env::var("UNDERTONE_SWEEP").is_ok_and(|sweep| sweep == "full")
}

/// Each byte with one of its bits: all of them, or the start of every page and a spread.
fn places(bytes: &[u8], sample: usize) -> BTreeSet<(usize, u8)> {
    let bit = |at: usize| (at, 1 << (at.wrapping_mul(2_654_435_761) >> 7 & 7));
    if is_full() {
        return (0..bytes.len()).map(bit).collect();
    }
    let starts = (0..bytes.len()).filter(|at| at % 4_096 < 12 || *at < 100);
    let filled: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let step = (filled.len() / sample).max(1);
    starts.chain(filled.into_iter().step_by(step)).map(bit).collect()
}

/// Flips one bit of one file of a copy of the home, at each place in turn. Returns how many were noticed.
fn sweep(place: &Place, file: &str, sample: usize, check: impl Fn(&Path, &str) -> bool) -> (usize, usize) {
    let bytes = fs::read(place.home().join(file)).unwrap();
    let copy = place.path().join("copy");
    let (mut noticed, mut flips) = (0, 0);
    for (at, bit) in places(&bytes, sample) {
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).unwrap();
        for other in fs::read_dir(place.home()).unwrap() {
            let other = other.unwrap();
            fs::copy(other.path(), copy.join(other.file_name())).unwrap();
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= bit;
        fs::write(copy.join(file), &flipped).unwrap();
        flips += 1;
        noticed += usize::from(check(&copy, &format!("bit {bit:08b} of byte {at} of {file}")));
    }
    (noticed, flips)
}

#[test]
fn a_flipped_bit_of_the_database_gives_no_wrong_answer() {
    let (place, home) = filled();
    let expected = Expected::of(&home);
    drop(home);
    assert!(!expected.check(&place.home(), "nothing"), "all is well before");
    let (noticed, flips) = sweep(&place, "undertone.db", 600, |dir, flipped| expected.check(dir, flipped));
    println!("{noticed} of {flips} flips noticed");
    assert!(100 < noticed, "{noticed} of {flips}");
}

#[test]
fn a_flipped_bit_of_the_settings_gives_no_wrong_answer() {
    let (place, home) = filled();
    let expected = Expected::of(&home);
    drop(home);
    sweep(&place, "undertone.toml", 120, |dir, flipped| expected.check(dir, flipped));
}

#[test]
fn a_flipped_bit_of_the_key_file_opens_nothing() {
    let (place, home) = filled();
    drop(home);
    let bytes = fs::read(place.key()).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(place.key(), flipped).unwrap();
        assert!(place.open().is_err(), "byte {at}");
    }
    fs::write(place.key(), bytes).unwrap();
    assert!(place.open().is_ok());
}

#[test]
fn a_flipped_bit_of_the_log_gives_an_earlier_state_and_never_a_mixed_one() {
    let (place, home) = filled();
    place.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    set(&home, "dev", "TOKEN", "the newest");
    // As a crash leaves it: the last write is in the log alone.
    let crashed = Place::empty();
    fs::create_dir(crashed.home()).unwrap();
    for file in ["undertone.db", "undertone.db-wal", "undertone.toml"] {
        fs::copy(place.home().join(file), crashed.home().join(file)).unwrap();
    }
    let check = |dir: &Path, flipped: &str| {
        let Ok(home) = open(dir) else {
            return true;
        };
        let value = text(&home, "dev", "TOKEN");
        let history = block_on(home.store().history(&scope("dev"), &name("TOKEN")));
        match (&value, history) {
            (Ok(value), Ok(Some(history))) => {
                let newest = value == "the newest";
                assert!(newest || value == "of the Environment", "{flipped}: {value}");
                assert_eq!(history.versions.len(), if newest { 2 } else { 1 }, "{flipped}");
                !newest
            }
            _ => true,
        }
    };
    assert!(!check(&crashed.home(), "nothing"));
    fs::copy(place.home().join("undertone.db"), crashed.home().join("undertone.db")).unwrap();
    fs::copy(place.home().join("undertone.db-wal"), crashed.home().join("undertone.db-wal")).unwrap();
    let (noticed, _) = sweep(&crashed, "undertone.db-wal", 150, check);
    assert!(0 < noticed);
}

#[test]
fn a_name_that_changes_on_the_disk_is_not_absent() {
    let (place, home) = filled();
    drop(home);
    let bytes = fs::read(place.database()).unwrap();
    let key = b"devsp_1TOKEN";
    let found: Vec<usize> = (0..bytes.len() - key.len()).filter(|at| bytes[*at..].starts_with(key)).collect();
    assert!(3 <= found.len(), "the row and both its versions start with it");
    let mut damaged_rows = 0;
    for at in found {
        for letter in 0..key.len() {
            let mut changed = bytes.clone();
            changed[at + letter] ^= 1;
            fs::write(place.database(), &changed).unwrap();
            let home = place.open().unwrap();
            let history = block_on(home.store().history(&scope("dev/sp_1"), &name("TOKEN")));
            assert!(history.is_err(), "{at} {letter}: a version or the row has another key now");
            match text(&home, "dev/sp_1", "TOKEN") {
                // Another version than the current one has another key now.
                Ok(read) => assert_eq!(read, "of the Space, second"),
                Err(Unread::Absent) => panic!("{at} {letter}: the Space would inherit"),
                Err(_) => damaged_rows += 1,
            }
        }
    }
    assert!(2 * key.len() <= damaged_rows, "the row and its current version: {damaged_rows}");
}
