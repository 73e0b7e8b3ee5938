//! After a session of every command, a value is nowhere: in no output and in no file.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::process::World;

/// Holds characters that every encoding writes differently.
const CANARY: &str = "xoxb-canary/+ %&\"ö?>0123456789";

#[test]
fn a_value_is_in_no_output_and_in_no_file() {
    let world = World::ready();
    let mut said = String::new();
    world.file("a.json", &serde_json::json!({ "FROM_JSON": CANARY }).to_string());
    world.file("b.json", &serde_json::json!({ "sp_2": { "FROM_SPACE": CANARY } }).to_string());
    world.file("c.yaml", &format!("FROM_YAML: '{CANARY}'\n"));
    world.file("d.env", &format!("FROM_ENV='{CANARY}'\n"));
    world.file("bad.json", &format!("{{\"A\": \"{}\" {CANARY}", CANARY.replace('"', "")));
    world.file("bad.yaml", &format!("A: \"{}\n{CANARY}: [", CANARY.replace('"', "")));
    world.file("bad.env", &format!("A=\"{CANARY}\n{CANARY}"));
    world.file("nested.json", &serde_json::json!({ "A": { "B": CANARY } }).to_string());
    for form in ["", "--json "] {
        for line in SESSION {
            let words: Vec<&str> = form.split_whitespace().chain(line.split_whitespace()).collect();
            let outcome = world.run_words(&words, CANARY.as_bytes());
            said.push_str(&outcome.out);
            said.push_str(&outcome.err);
        }
        for wrong in [
            &["secrets", "set", "A", CANARY, "--env", "prod"][..],
            &["secrets", "set", CANARY, "--env", "prod"],
            &["secrets", "set", &format!("A={CANARY}"), "--env", "prod"],
            &["secrets", "set", "A", "--env", "prod", "--value", CANARY],
            &["secrets", "set", "A", "--env", "prod", &format!("--value={CANARY}")],
            &["secrets", "set", "A", "--env", "prod", "--expires", CANARY],
            &["secrets", "block", "A", CANARY, "--env", "prod"],
            &["secrets", CANARY],
            &[CANARY],
        ] {
            let words: Vec<&str> = form.split_whitespace().chain(wrong.iter().copied()).collect();
            let outcome = world.run_words(&words, CANARY.as_bytes());
            assert!([2, 5].contains(&outcome.exit), "{wrong:?}: {outcome:?}");
            said.push_str(&outcome.out);
            said.push_str(&outcome.err);
        }
    }
    assert_eq!(found_in(said.as_bytes()), None, "in what was said");
    let mut files = 0;
    for folder in [world.home(), world.key().parent().unwrap().to_owned()] {
        files += check_files(&folder);
    }
    assert!(3 <= files, "{files} files were looked at");
}

const SESSION: &[&str] = &[
    "secrets set T --env prod --host slack.com",
    "secrets set T --env prod --space sp_1 --host slack.com --reveal --expires 30d",
    "secrets set T --env prod --keep-rules",
    "secrets set OTHER --env dev --raw",
    "secrets set OTHER --env dev --if-absent",
    "secrets set other --env dev --allow-noncanonical",
    "secrets import a.json --env prod --yes",
    "secrets import b.json --env prod --per-space --create-spaces --yes",
    "secrets import c.yaml --env prod --yes",
    "secrets import d.env --env prod --yes",
    "secrets import d.env --env prod",
    "secrets import d.env --env prod --yes --replace",
    "secrets import bad.json --env prod --yes",
    "secrets import bad.yaml --env prod --yes",
    "secrets import bad.env --env prod --yes",
    "secrets import nested.json --env prod --yes",
    "secrets import - --format env --env prod --yes",
    "secrets list --env prod --space sp_1",
    "secrets explain T --env prod --space sp_1",
    "secrets history T --env prod",
    "secrets export --env prod",
    "secrets export --env prod --format yaml",
    "secrets export --env prod --format env",
    "secrets lock T --env prod",
    "secrets unlock T --env prod",
    "secrets disable T --env prod",
    "secrets enable T --env prod",
    "secrets block T --env prod --space sp_1",
    "secrets restore T 1 --env prod --space sp_1",
    "secrets revoke T 1 --env prod --space sp_1",
    "secrets unset T --env prod --space sp_1 --yes",
    "secrets delete T --env prod --yes",
    "secrets restore T 1 --env prod",
    "secrets destroy OTHER --env dev --yes",
    "audit tail -n 1000",
    "audit verify",
    "doctor --purge",
    "env list",
    "space list --env prod",
    "completions bash",
];

/// Every form in which the canary could be somewhere; which one was found.
fn found_in(bytes: &[u8]) -> Option<String> {
    forms().into_iter().find(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

fn forms() -> Vec<String> {
    let bytes = CANARY.as_bytes();
    let hex = |upper| -> String {
        bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
    };
    let percent: String = bytes
        .iter()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(*b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let json = serde_json::Value::from(CANARY).to_string();
    let mut forms = vec![CANARY.to_owned(), "xoxb-canary".to_owned(), hex(false), hex(true), percent, json];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let shifted = [&vec![b'-'; shift][..], bytes].concat();
            let text = engine.encode(shifted);
            // The first and the last group also hold bits of the neighbours.
            forms.push(text[4..text.len() - 4].to_owned());
        }
    }
    forms
}

fn check_files(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += check_files(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(found_in(&bytes), None, "in {}", path.display());
        files += 1;
    }
    files
}

#[test]
fn the_canary_would_be_found() {
    let bytes = CANARY.as_bytes();
    for text in [
        format!("a{CANARY}b"),
        STANDARD_NO_PAD.encode([b"a", bytes, b"b"].concat()),
        URL_SAFE_NO_PAD.encode([b"aa", bytes].concat()),
        bytes.iter().map(|b| format!("{b:02x}")).collect(),
    ] {
        assert!(found_in(text.as_bytes()).is_some(), "{text}");
    }
}
