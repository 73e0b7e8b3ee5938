//! Versions, lints and the unsafe keyword are settled in the root manifest and nowhere else.

use std::fs;

use toml::{Table, Value};

use crate::{place, root, workspace};

#[test]
fn every_member_inherits_its_lints_and_nothing_of_ours_is_unsafe() {
    let root = manifest("");
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for (place, manifest) in members() {
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{place}: [lints] workspace = true");
        assert_eq!(manifest["lints"].as_table().map(Table::len), Some(1), "{place}: no lints of its own");
    }
}

#[test]
fn a_version_is_written_in_the_root_manifest_only() {
    for (place, manifest) in members() {
        let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables = targets.filter_map(Value::as_table).chain([&manifest]);
        for table in tables {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let used = table.get(kind).and_then(Value::as_table).into_iter().flatten();
                for (name, entry) in used {
                    let inherits = entry.get("workspace").and_then(Value::as_bool) == Some(true);
                    let own =
                        ["version", "path", "git", "registry"].iter().any(|key| entry.get(key).is_some());
                    assert!(inherits && !own, "{place}: write `{name}.workspace = true`");
                }
            }
        }
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            let inherits = manifest["package"][field].get("workspace").and_then(Value::as_bool);
            assert_eq!(inherits, Some(true), "{place}: write `{field}.workspace = true`");
        }
    }
}

#[test]
fn what_the_root_manifest_offers_is_used() {
    let root = manifest("");
    let members = members();
    let offered = root["workspace"]["dependencies"].as_table().expect("the root offers dependencies");
    for name in offered.keys() {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let uses = |table: &Table| {
            kinds.iter().any(|kind| table.get(*kind).is_some_and(|used| used.get(name).is_some()))
        };
        let used = members.iter().any(|(_, manifest)| {
            let targets =
                manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
            uses(manifest) || targets.filter_map(Value::as_table).any(&uses)
        });
        assert!(used, "nobody uses `{name}`: take it out of the root manifest");
    }
}

fn members() -> Vec<(String, Table)> {
    let metadata = workspace();
    let places = metadata.workspace_packages().into_iter().map(|package| place(&metadata, package));
    places.map(|place| (place.clone(), manifest(&place))).collect()
}

fn manifest(place: &str) -> Table {
    let path = root().join(place).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
