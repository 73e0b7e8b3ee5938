//! Claims of events in the file: shared by programs, sealed, and few.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use futures_executor::block_on;
use rusqlite::Connection;
use support::{Attacker, Place, make_scopes, scope};
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey};
use undertone_local::Home;

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::new(2_000_000_000 + seconds, 123_456_789).unwrap()
}

fn key(event: &str) -> IdempotencyKey {
    IdempotencyKey { agent: "agent".parse().unwrap(), event: event.to_owned(), digest: [7; 32] }
}

const CLAIM: ClaimId = ClaimId([1; 16]);

/// Claims for half a minute.
fn claim(home: &Home, event: &str, now: i64) -> Result<Claimed, IdempotencyError> {
    block_on(home.idempotency().claim(&key(event), CLAIM, at(now), at(now + 30)))
}

fn finish(home: &Home, event: &str, answer: &str, keep_until: i64) -> Result<(), IdempotencyError> {
    block_on(home.idempotency().finish(&key(event), CLAIM, answer, at(keep_until)))
}

fn count(place: &Place) -> i64 {
    let connection = Connection::open(place.database()).unwrap();
    connection.query_row("SELECT count(*) FROM claims", [], |columns| columns.get(0)).unwrap()
}

#[test]
fn programs_share_claims_and_answers_survive_them() {
    let (place, home) = Place::with_home();
    let other = place.open().unwrap();
    assert_eq!(claim(&home, "ev", 0), Ok(Claimed::Yours));
    assert_eq!(claim(&other, "ev", 1), Ok(Claimed::Taken { until: at(30) }));
    finish(&other, "ev", "{\"ok\":\"ä\"}", 1_000).unwrap();
    drop((home, other));
    let home = place.open().unwrap();
    assert_eq!(claim(&home, "ev", 999), Ok(Claimed::Done("{\"ok\":\"ä\"}".to_owned())));
}

#[test]
fn a_claim_changes_no_row() {
    let (_place, home) = Place::with_home();
    make_scopes(&home);
    let epoch = || block_on(home.store().epoch(&scope("dev").chain()));
    let before = epoch().unwrap();
    claim(&home, "ev", 0).unwrap();
    finish(&home, "ev", "done", 1_000).unwrap();
    assert_eq!(epoch(), Ok(before));
}

#[test]
fn a_claim_without_end_is_kept() {
    let (_place, home) = Place::with_home();
    let claims = home.idempotency();
    let forever = jiff::Timestamp::MAX;
    assert_eq!(block_on(claims.claim(&key("ev"), CLAIM, at(0), forever)), Ok(Claimed::Yours));
    assert!(matches!(claim(&home, "ev", 1_000_000_000), Ok(Claimed::Taken { .. })));
}

#[test]
fn rows_whose_time_is_long_over_are_taken_out_and_others_stay() {
    let (place, home) = Place::with_home();
    for number in 0..40 {
        claim(&home, &format!("old {number}"), 0).unwrap();
    }
    claim(&home, "kept", 0).unwrap();
    finish(&home, "kept", "answer", 100_000).unwrap();
    claim(&home, "late", 3_000).unwrap();
    assert_eq!(count(&place), 42);
    for (event, left) in [("a", 27), ("b", 12), ("c", 5), ("d", 6)] {
        claim(&home, event, 3_031 + 600).unwrap();
        assert_eq!(count(&place), left, "after {event}");
    }
    assert_eq!(claim(&home, "kept", 4_000), Ok(Claimed::Done("answer".to_owned())));
    finish(&home, "late", "it was late", 100_000).unwrap();
    assert_eq!(claim(&home, "late", 4_000), Ok(Claimed::Done("it was late".to_owned())));
}

#[test]
fn an_edited_claim_answers_nothing() {
    let (place, home) = Place::with_home();
    for event in ["done", "other"] {
        claim(&home, event, 0).unwrap();
        finish(&home, event, &format!("the answer of {event}"), 1_000).unwrap();
    }
    claim(&home, "taken", 0).unwrap();
    let attacker = Attacker::of(&place);
    for edit in [
        "UPDATE claims SET answer = 'hunter2' WHERE event = 'done'",
        "UPDATE claims SET answer = '' WHERE event = 'done'",
        "UPDATE claims SET answer = NULL WHERE event = 'done'",
        "UPDATE claims SET until = until + 1 WHERE event = 'done'",
        "UPDATE claims SET digest = zeroblob(32) WHERE event = 'done'",
        "UPDATE claims SET digest = x'' WHERE event = 'done'",
        "UPDATE claims SET claim = zeroblob(16) WHERE event = 'done'",
        "UPDATE claims SET mac = zeroblob(32) WHERE event = 'done'",
        "DELETE FROM claims WHERE event = 'done'; UPDATE claims SET event = 'done' WHERE event = 'other'",
        "UPDATE claims SET (answer, until, mac) = (SELECT answer, until, mac FROM claims WHERE event = 'other')
         WHERE event = 'done'",
    ] {
        attacker.edit(edit);
        let error = claim(&home, "done", 1).unwrap_err().to_string();
        assert!(error.contains("can't be looked up") && !error.contains("hunter2"), "{edit}: {error}");
        attacker.undo();
    }
    // A claim that is held is neither finished nor given up as somebody else would have it.
    attacker.edit("UPDATE claims SET answer = '' WHERE event = 'taken'");
    assert!(finish(&home, "taken", "answer", 1_000).is_err());
    assert!(block_on(home.idempotency().give_up(&key("taken"), CLAIM)).is_err());
    attacker.undo();
    assert_eq!(claim(&home, "done", 1), Ok(Claimed::Done("the answer of done".to_owned())));
    assert_eq!(claim(&home, "taken", 1), Ok(Claimed::Taken { until: at(30) }));
}
