//! An audit row that another program edits, removes or moves is found and numbered.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use futures_executor::block_on;
use futures_util::future::join_all;
use support::{Place, make_scopes, set};
use undertone_core::audit::{Action, Actor, AuditEntry, Outcome, Verified};
use undertone_local::Home;

fn entry(reason: &str) -> AuditEntry {
    AuditEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        actor: Actor::Operator("tester".into()),
        action: Action::Reveal,
        scope: None,
        asked_in: None,
        name: None,
        version: None,
        source_version: None,
        destination: None,
        reason: Some(reason.to_owned()),
        outcome: Outcome::Allowed,
    }
}

fn append(home: &Home, count: u64) {
    let entries = (0..count).map(|number| entry(&format!("row {number}"))).collect();
    block_on(home.audit().append(entries)).unwrap();
}

fn broken_at(home: &Home) -> Option<u64> {
    match block_on(home.audit().verify()).unwrap() {
        Verified::Intact { .. } => None,
        Verified::Broken { sequence, .. } => Some(sequence),
    }
}

#[test]
fn any_change_is_found_at_its_row() {
    for (change, at) in [
        ("UPDATE audit SET body = replace(body, 'row 2', 'row 7') WHERE sequence = 3", 3),
        ("UPDATE audit SET body = '' WHERE sequence = 1", 1),
        ("UPDATE audit SET mac = zeroblob(32) WHERE sequence = 4", 4),
        ("UPDATE audit SET mac = x'00' WHERE sequence = 4", 4),
        ("UPDATE audit SET body = CAST(x'ff' AS TEXT) WHERE sequence = 2", 2),
        ("DELETE FROM audit WHERE sequence = 1", 1),
        ("DELETE FROM audit WHERE sequence = 3", 3),
        ("DELETE FROM audit WHERE sequence = 5", 5),
        ("DELETE FROM audit WHERE 2 < sequence", 3),
        ("DELETE FROM audit", 1),
        ("DELETE FROM audit_tip", 6),
        ("UPDATE audit_tip SET mac = zeroblob(32)", 6),
        ("UPDATE audit_tip SET mac = x'00'", 6),
        ("DELETE FROM audit; DELETE FROM audit_tip", 1),
        ("UPDATE audit SET sequence = sequence + 10 WHERE 2 < sequence", 3),
        ("UPDATE audit SET sequence = -sequence WHERE sequence = 5", 1),
        (
            "UPDATE audit SET sequence = 99 WHERE sequence = 2; UPDATE audit SET sequence = 2 WHERE sequence = 3;
             UPDATE audit SET sequence = 3 WHERE sequence = 99",
            2,
        ),
        ("INSERT INTO audit VALUES (6, '{}', zeroblob(32))", 6),
    ] {
        let (place, home) = Place::with_home();
        append(&home, 5);
        place.sql(change);
        assert_eq!(broken_at(&home), Some(at), "{change}");
    }
}

#[test]
fn nothing_is_appended_to_a_log_that_was_cut() {
    for cut in [
        "DELETE FROM audit WHERE 3 < sequence",
        "DELETE FROM audit",
        "UPDATE audit_tip SET mac = zeroblob(32)",
    ] {
        let (place, home) = Place::with_home();
        append(&home, 5);
        place.sql(cut);
        let error = block_on(home.audit().append(vec![entry("later")])).unwrap_err();
        assert!(error.to_string().contains("audit verify"), "{error}");
        assert!(broken_at(&home).is_some(), "{cut}");
    }
}

#[test]
fn a_log_survives_its_home_being_closed_and_changes_are_in_it() {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    set(&home, "dev", "TOKEN", "hunter2hunter2");
    append(&home, 3);
    drop(home);
    let home = place.open().unwrap();
    append(&home, 2);
    assert_eq!(block_on(home.audit().verify()), Ok(Verified::Intact { rows: 6 }));
    let rows = block_on(home.audit().read(0, 10)).unwrap();
    assert!(rows[0].body.contains("secret.set") && rows[0].body.contains("TOKEN"), "{}", rows[0].body);
    assert!(rows.iter().all(|row| !row.body.contains("hunter2")));
}

#[test]
fn concurrent_appends_share_commits() {
    let (place, home) = Place::with_home();
    append(&home, 1);
    let commits = || {
        // Each commit appends at least one frame to the log, so the log tells how many there were at most.
        std::fs::metadata(place.home().join("undertone.db-wal")).unwrap().len()
    };
    let before = commits();
    let log = home.audit();
    let started = std::time::Instant::now();
    let appends = (0..200).map(|number| log.append(vec![entry(&format!("row {number}"))]));
    assert!(block_on(join_all(appends)).iter().all(Result::is_ok));
    let frames = (commits() - before) / 4_120;
    assert!(frames < 200, "{frames} frames for 200 appends, in {:?}", started.elapsed());
    assert_eq!(block_on(log.verify()), Ok(Verified::Intact { rows: 201 }));
}
