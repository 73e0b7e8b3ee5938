//! What another program changes in the database is found when it is read, and named.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use futures_executor::block_on;
use support::{
    Attacker, Place, Unread, damage, maintenance, make_scopes, name, reseal, row, scope, set, text, vault,
};
use undertone_core::record::RecordError;
use undertone_core::{Names, StoreError};
use undertone_local::Home;

fn filled() -> (Place, Home, Attacker) {
    let (place, home) = Place::with_home();
    make_scopes(&home);
    for (scope, name) in [("dev", "TOKEN"), ("dev/sp_1", "TOKEN"), ("dev", "OTHER"), ("dev/sp_1", "OTHER")] {
        set(&home, scope, name, &format!("value of {name} in {scope}"));
    }
    set(&home, "dev/sp_1", "TOKEN", "the second value");
    let attacker = Attacker::of(&place);
    (place, home, attacker)
}

/// Reads everything of a chain.
fn all(home: &Home, scope_text: &str) -> Result<usize, StoreError> {
    let chain = block_on(home.store().chain(&scope(scope_text).chain(), Names::All))?;
    Ok(chain.scopes.iter().map(|scope| scope.rows.len()).sum())
}

fn history(home: &Home) -> Result<usize, StoreError> {
    let history = block_on(home.store().history(&scope("dev/sp_1"), &name("TOKEN")))?;
    Ok(history.map_or(0, |history| history.versions.len()))
}

fn others_still_work(home: &Home) {
    for scope in ["dev", "dev/sp_1"] {
        assert_eq!(text(home, scope, "OTHER"), Ok(format!("value of OTHER in {scope}")));
    }
}

#[test]
fn an_edited_row_is_found_and_named_and_others_still_work() {
    let (_place, home, attacker) = filled();
    for edit in [
        "revision = revision + 1",
        "id = x'00112233445566778899aabbccddeeff'",
        "id = x'00'",
        "standing = 1",
        "standing = 2, purge_at = '2030-01-01T00:00:00Z'",
        "standing = 3",
        "standing = 9",
        "current = 1",
        "current = 0",
        "current = 7",
        "current = -1",
        "latest = 1",
        "disabled = 1",
        "disabled = 2",
        "locked = 1",
        "expires_at = '2030-01-01T00:00:00Z'",
        "expires_at = 'hunter2'",
        "updated_at = '2030-01-01T00:00:00Z'",
        "updated_by = 'somebody else'",
        "versions = 1",
        "mac = x''",
        "mac = zeroblob(32)",
        "mac = (SELECT mac FROM rows WHERE space = '' AND name = 'TOKEN')",
    ] {
        attacker.edit(&format!("UPDATE rows SET {edit} WHERE space = 'sp_1' AND name = 'TOKEN'"));
        let problem = damage(row(&home, "dev/sp_1", "TOKEN"));
        assert!(problem.contains("`TOKEN` in Space dev/sp_1"), "{edit}: {problem}");
        assert!(!problem.contains("hunter2"), "{edit}: {problem}");
        damage(all(&home, "dev/sp_1"));
        damage(history(&home));
        // A change that would seal the edit is refused as well.
        assert!(block_on(vault(&home).disable(&scope("dev/sp_1"), &name("TOKEN"))).is_err(), "{edit}");
        others_still_work(&home);
        attacker.undo();
    }
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Ok("the second value".to_owned()));
}

#[test]
fn the_time_at_which_a_deleted_row_ends_is_sealed() {
    let (place, home, _) = filled();
    block_on(vault(&home).delete(&scope("dev/sp_1"), &name("TOKEN"))).unwrap();
    let attacker = Attacker::of(&place);
    attacker
        .edit("UPDATE rows SET purge_at = '2030-01-01T00:00:00Z' WHERE space = 'sp_1' AND name = 'TOKEN'");
    assert!(damage(row(&home, "dev/sp_1", "TOKEN")).contains("`TOKEN` in Space dev/sp_1"));
}

#[test]
fn an_edited_version_is_found_and_named() {
    let (_place, home, attacker) = filled();
    for edit in [
        "kind = 2",
        "kind = 3",
        "kind = 7",
        "rules = 'hosts=evil.example' || char(10)",
        "rules = 'hunter2'",
        "revoked = 1",
        "created_at = '2030-01-01T00:00:00Z'",
        "created_by = 'somebody else'",
        "record = (SELECT record FROM versions WHERE space = '' AND name = 'TOKEN')",
        "record = 4711",
        "mac = zeroblob(32)",
    ] {
        attacker.edit(&format!(
            "UPDATE versions SET {edit} WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 2"
        ));
        for problem in [damage(row(&home, "dev/sp_1", "TOKEN")), damage(history(&home))] {
            assert!(problem.contains("version 2 of `TOKEN` in Space dev/sp_1"), "{edit}: {problem}");
            assert!(!problem.contains("hunter2"), "{edit}: {problem}");
        }
        others_still_work(&home);
        attacker.undo();
    }
    // The first version isn't current: the row is well, its history isn't.
    for edit in [
        "UPDATE versions SET revoked = 1 WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 1",
        "UPDATE versions SET number = 3 WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 1",
        "DELETE FROM versions WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 1",
        "UPDATE versions SET name = 'TOKEO' WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 1",
    ] {
        attacker.edit(edit);
        damage(history(&home));
        assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Ok("the second value".to_owned()), "{edit}");
        attacker.undo();
    }
    assert_eq!(history(&home), Ok(2));
}

#[test]
fn what_was_sealed_anew_is_sealed_like_all_else() {
    let (place, home, _) = filled();
    let upkeep = maintenance(&home);
    // In its own place, and then, longer, in another.
    assert_eq!(block_on(upkeep.rotate(&scope("dev/sp_1"))).unwrap().resealed, 3);
    let resealed = row(&home, "dev/sp_1", "TOKEN").unwrap().unwrap();
    for longer in [false, true] {
        if longer {
            let record = [&**resealed.current.as_ref().unwrap().body.record(), b"and more"].concat();
            block_on(home.store().write(reseal(&resealed, &[(2, &record)]))).unwrap();
        }
        let attacker = Attacker::of(&place);
        for edit in [
            "UPDATE rows SET revision = revision - 1 WHERE space = 'sp_1' AND name = 'TOKEN'",
            "UPDATE versions SET record = record - 1 WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 2",
            "UPDATE versions SET record = 5 - (record = 5) WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 2",
            "UPDATE versions SET kind = 3 WHERE space = 'sp_1' AND name = 'TOKEN' AND number = 2",
            "UPDATE epoch SET value = value - 1",
        ] {
            attacker.edit(edit);
            damage(row(&home, "dev/sp_1", "TOKEN"));
            attacker.undo();
        }
        assert!(row(&home, "dev/sp_1", "TOKEN").is_ok());
    }
}

#[test]
fn a_record_under_a_key_that_was_retired_does_not_open_when_it_is_put_back() {
    let (place, home, attacker) = filled();
    let upkeep = maintenance(&home);
    block_on(upkeep.rotate(&scope("dev/sp_1"))).unwrap();
    assert_eq!(block_on(upkeep.compact(&scope("dev/sp_1"))).unwrap().retired, 1);
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Ok("the second value".to_owned()));
    // From a copy of the file as it was.
    let records =
        attacker.kept("SELECT record FROM kept_records WHERE id = (SELECT max(id) FROM kept_records)");
    let attacker = Attacker::of(&place);
    attacker
        .edit(&format!("UPDATE records SET record = x'{records}' WHERE id = (SELECT max(id) FROM records)"));
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Err(Unread::Key));
}

#[test]
fn an_edited_environment_or_space_is_found_and_named() {
    let (_place, home, attacker) = filled();
    for (edit, named) in [
        ("UPDATE environments SET mode = 0", "the Environment `dev`"),
        ("UPDATE environments SET mode = 5", "the Environment `dev`"),
        ("UPDATE environments SET created_at = '2030-01-01T00:00:00Z'", "the Environment `dev`"),
        ("UPDATE environments SET rows = 1", "the Environment `dev`"),
        ("UPDATE environments SET mac = zeroblob(32)", "the Environment `dev`"),
        ("UPDATE spaces SET created_at = '2030-01-01T00:00:00Z'", "the Space `dev/sp_1`"),
        ("UPDATE spaces SET rows = 1", "the Space `dev/sp_1`"),
        ("UPDATE spaces SET mac = zeroblob(32)", "the Space `dev/sp_1`"),
        ("UPDATE epoch SET value = value + 1", "the store's epoch"),
    ] {
        attacker.edit(edit);
        assert!(damage(row(&home, "dev/sp_1", "TOKEN")).contains(named), "{edit}");
        assert!(block_on(vault(&home).disable(&scope("dev/sp_1"), &name("TOKEN"))).is_err(), "{edit}");
        attacker.undo();
    }
    attacker.edit("UPDATE environments SET id = 'prod'");
    assert!(damage(block_on(home.store().environments())).contains("the Environment `prod`"));
    attacker.undo();
    attacker.edit("UPDATE spaces SET id = 'sp_2'");
    let spaces = block_on(home.store().spaces(scope("dev").environment(), None, 10));
    assert!(damage(spaces).contains("the Space `dev/sp_2`"));
}

#[test]
fn a_forged_row_is_found_and_named() {
    let (place, home, _) = filled();
    set(&home, "dev/sp_1", "GONE", "destroyed destroyed");
    block_on(vault(&home).destroy(&scope("dev/sp_1"), &name("GONE"))).unwrap();
    let attacker = Attacker::of(&place);
    for (forgery, scope_text, name_text) in [
        // A copy of a row in another scope, or under another name, with its own MAC.
        (
            "INSERT INTO rows SELECT environment, space, 'FORGED', 'forged', revision, id, standing, purge_at,
             current, latest, disabled, locked, expires_at, updated_at, updated_by, versions, mac
             FROM rows WHERE space = 'sp_1' AND name = 'TOKEN'",
            "dev/sp_1",
            "FORGED",
        ),
        // A destroyed row has no version whose MAC could tell.
        ("UPDATE rows SET name = 'FORGED' WHERE space = 'sp_1' AND name = 'GONE'", "dev/sp_1", "FORGED"),
        (
            "UPDATE rows SET name = 'FORGED' WHERE space = 'sp_1' AND name = 'OTHER'",
            "dev/sp_1",
            "FORGED",
        ),
        (
            "INSERT INTO rows VALUES ('dev', '', 'FORGED', 'forged', 1, zeroblob(16), 0, NULL, 0, 0, 0, 1,
             NULL, '2030-01-01T00:00:00Z', 'me', 0, zeroblob(32))",
            "dev",
            "FORGED",
        ),
    ] {
        attacker.edit(forgery);
        let problem = damage(row(&home, scope_text, name_text));
        let expected = format!("`{name_text}` in {}", scope(scope_text));
        assert!(problem.contains(&expected), "{problem}");
        damage(all(&home, "dev/sp_1"));
        attacker.undo();
    }
    assert_eq!(all(&home, "dev/sp_1"), Ok(5));
}

#[test]
fn a_removed_or_renamed_row_does_not_make_a_space_inherit() {
    let (_place, home, attacker) = filled();
    // The table alone, past the index: what a damaged page looks like.
    attacker.edit("UPDATE rows SET space = 'sp_9' WHERE space = 'sp_1' AND name = 'TOKEN'");
    damage(all(&home, "dev/sp_1"));
    attacker.undo();
    attacker.edit("DELETE FROM rows WHERE space = 'sp_1' AND name = 'TOKEN'");
    damage(all(&home, "dev/sp_1"));
    attacker.undo();
    attacker.edit("DELETE FROM versions WHERE space = 'sp_1' AND name = 'TOKEN'");
    damage(row(&home, "dev/sp_1", "TOKEN"));
    attacker.undo();
    attacker.edit("DELETE FROM records WHERE id = (SELECT max(id) FROM records)");
    damage(row(&home, "dev/sp_1", "TOKEN"));
    others_still_work(&home);
}

#[test]
fn swapped_records_open_for_neither_name_and_others_still_work() {
    let (_place, home, attacker) = filled();
    set(&home, "dev", "THIRD", "the third value");
    let at = |name: &str| format!("(SELECT record FROM versions WHERE space = '' AND name = '{name}')");
    let (one, other) = (at("TOKEN"), at("OTHER"));
    attacker.edit(&format!(
        "CREATE TEMP TABLE swap AS SELECT id, record FROM records WHERE id IN ({one}, {other});
         UPDATE records SET record = (SELECT record FROM swap WHERE swap.id <> records.id)
         WHERE id IN ({one}, {other})"
    ));
    for name in ["TOKEN", "OTHER"] {
        assert_eq!(text(&home, "dev", name), Err(Unread::Record(RecordError::Commitment)), "{name}");
    }
    assert_eq!(text(&home, "dev", "THIRD"), Ok("the third value".to_owned()));
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Ok("the second value".to_owned()));
}

#[test]
fn an_older_record_or_another_scopes_key_does_not_open() {
    let (_place, home, attacker) = filled();
    attacker.edit(
        "UPDATE records SET record = (SELECT record FROM records WHERE id = 2) WHERE id = (SELECT max(id) FROM records)",
    );
    let older = text(&home, "dev/sp_1", "TOKEN");
    assert_eq!(older, Err(Unread::Record(RecordError::Commitment)));
    attacker.undo();
    attacker
        .edit("UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE space = '') WHERE space = 'sp_1'");
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Err(Unread::Key));
    attacker.undo();
    attacker.edit("DELETE FROM keys WHERE space = 'sp_1'");
    assert_eq!(text(&home, "dev/sp_1", "TOKEN"), Err(Unread::Key));
    attacker.undo();
    attacker.edit("UPDATE keys SET wrapped = x'00' WHERE space = 'sp_1'");
    damage(row(&home, "dev/sp_1", "TOKEN"));
    assert_eq!(text(&home, "dev", "TOKEN"), Ok("value of TOKEN in dev".to_owned()));
}

#[test]
fn a_store_key_of_another_store_is_refused() {
    let (place, home, attacker) = filled();
    let (other, other_home) = Place::with_home();
    drop((home, other_home));
    for edit in [
        format!(
            "ATTACH '{}' AS o; UPDATE meta SET value = (SELECT value FROM o.meta WHERE key = 'store_key') WHERE key = 'store_key'; DETACH o",
            other.database().display()
        ),
        "UPDATE meta SET value = zeroblob(16) WHERE key = 'store_id'".to_owned(),
        "UPDATE meta SET value = x'00' WHERE key = 'store_id'".to_owned(),
        "UPDATE meta SET value = x'00' WHERE key = 'store_key'".to_owned(),
        "DELETE FROM meta WHERE key = 'store_key'".to_owned(),
    ] {
        attacker.edit(&edit);
        assert!(place.open().is_err(), "{edit}");
        attacker.undo();
    }
    assert!(place.open().is_ok());
}
