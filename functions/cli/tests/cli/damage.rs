//! Keys that are missing or wrong, stores that can't be used, records and rows that were edited.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::process::World;

#[test]
fn a_key_that_is_missing_wrong_or_readable_by_others_ends_with_7() {
    for (break_it, code) in [
        (remove as fn(&World), "missing_key"),
        (show_to_others, "bad_key"),
        (garble, "bad_key"),
        (exchange, "wrong_key"),
    ] {
        let world = World::ready();
        break_it(&world);
        for line in ["--json env list", "--json secrets set T --env prod", "--json doctor"] {
            let said = world.run(line, "0123456789");
            assert_eq!((said.exit, said.code().as_str()), (7, code), "{line}: {said:?}");
            assert_eq!(said.out, "", "{line}");
        }
    }
}

fn remove(world: &World) {
    std::fs::remove_file(world.key()).unwrap();
}

fn show_to_others(world: &World) {
    std::fs::set_permissions(world.key(), std::fs::Permissions::from_mode(0o644)).unwrap();
}

fn garble(world: &World) {
    std::fs::write(world.key(), "esk1_nothing\n").unwrap();
}

fn exchange(world: &World) {
    world.ok("--home other init --key-file other.key");
    std::fs::rename(world.path().join("other.key"), world.key()).unwrap();
}

#[test]
fn a_store_that_cannot_be_used_ends_with_6_and_one_that_is_no_store_with_8() {
    let world = World::ready();
    let database = world.home().join("undertone.db");
    std::fs::remove_file(&database).unwrap();
    assert_eq!(world.run("env list", "").exit, 8, "missing");
    std::fs::create_dir(&database).unwrap();
    let said = world.run("--json env list", "");
    assert_eq!((said.exit, said.code().as_str()), (6, "store_unavailable"), "{said:?}");
    std::fs::remove_dir(&database).unwrap();
    std::fs::write(&database, "This is no database. ".repeat(100)).unwrap();
    let said = world.run("--json env list", "");
    assert_eq!(said.exit, 8, "{said:?}");
}

#[test]
fn doctor_names_an_edited_record_and_ends_with_8() {
    let world = World::ready();
    world.ok_with("secrets set BROKEN --env prod --host slack.com", "0123456789");
    assert_eq!(world.json("doctor")["records"], 1);
    edit_last(&world.home(), b"ESR1\x01\x01", 100);
    world.ok_with("secrets set FINE --env dev", "0123456789");
    let said = world.run("doctor", "");
    assert_eq!(said.exit, 8, "{said:?}");
    assert!(said.out.contains("version 1 of `BROKEN` in Environment prod"), "{said:?}");
    assert!(!said.out.contains("FINE"), "{said:?}");
    let said = world.run("--json doctor", "");
    assert_eq!((said.exit, said.code().as_str()), (8, "damaged"));
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&found["damaged"][0]["name"], &found["records"]), (&"BROKEN".into(), &2.into()));
    // Rules that nobody can vouch for aren't taken over into a new version.
    let said = world.run("--json secrets set BROKEN --env prod --keep-rules", "0123456789");
    assert_eq!((said.exit, said.code().as_str()), (8, "rules_not_trusted"));
}

#[test]
fn an_edited_row_of_audit_is_named_and_ends_with_8() {
    let world = World::ready();
    world.ok_with("secrets set T --env dev", "0123456789");
    world.ok("secrets disable T --env dev");
    world.ok("secrets enable T --env dev");
    assert_eq!(world.json("audit verify")["rows"], 6);
    edit_last(&world.home(), b"secret.disable", 0);
    let said = world.run("audit verify", "");
    assert_eq!(said.exit, 8);
    assert!(said.err.contains("row 5 "), "{said:?}");
    let said = world.run("--json audit verify", "");
    let found: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.exit, found["first_bad_row"].as_u64()), (8, Some(5)));
}

/// Changes one byte, `offset` behind the start of the last place where `what` stands.
fn edit_last(home: &Path, what: &[u8], offset: usize) {
    let path = home.join("undertone.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(what.len()).rposition(|window| window == what).unwrap();
    bytes[place + offset] ^= 1;
    std::fs::write(path, bytes).unwrap();
}
