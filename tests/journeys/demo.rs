//! The README's first command, and the promise that a value that is set in it is found nowhere.

use std::process::Output;

use serde_json::Value;
use undertone_tests::encodings::{CANARY, assert_clean, encodings, find};
use undertone_tests::programs::{Desk, files};

use crate::{slack, tokens};

#[test]
fn the_demo_ends_well_without_questions_and_tells_what_happened() {
    let desk = Desk::default();
    let folder = desk.path().join("demo");
    let story = desk.ok(&["demo", "--json", "--folder", folder.to_str().expect("plain paths")], "");
    let story: Value = serde_json::from_str(&story).expect("the story is JSON");
    let events: Vec<(&str, &str, bool)> = story["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| {
            (event["space"].as_str().unwrap(), event["resolved"].as_str().unwrap(), event["ok"] == true)
        })
        .collect();
    let want = [
        ("acme", "v1 of Environment demo, inherited", true),
        ("globex", "v1 of Space demo/globex, override", true),
        ("initech", "blocked in Space demo/initech", false),
    ];
    assert_eq!(events, want);
    let received = story["received"].as_array().expect("a list");
    let owners: Vec<&str> = received.iter().map(|call| call["token_of"].as_str().unwrap()).collect();
    assert_eq!(owners, ["Environment demo", "Space demo/globex"]);
    assert_eq!(story["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(story["attempts"][0]["reached"], "the other host: 0 connections, 0 bytes");
    assert_eq!(story["audit"]["verified"], true);
}

#[test]
fn the_demo_is_readable() {
    let story = Desk::default().ok(&["demo"], "");
    for line in
        ["1. Three events", "2. What Slack received", "3. A listener that tries", "4. The audit trail"]
    {
        assert!(story.contains(line), "{line} is missing in:\n{story}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_set_in_the_demo_is_found_nowhere() {
    let (desk, slack) = (Desk::default(), slack().await);
    let folder = desk.path().join("demo");
    let folder = folder.to_str().expect("plain paths");
    let api = slack.url("/api");
    let arguments = ["demo", "--folder", folder, "--slack-url", &api, "--channel", "C0TEST"];
    let output = desk.run(&arguments, CANARY);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It was really used: the other side has it, twice.
    assert_eq!(tokens(&slack), [CANARY, CANARY]);
    assert_traceless(&desk, &output);
}

#[test]
fn a_planted_token_would_be_found_in_every_encoding() {
    let desk = Desk::default();
    for (number, encoding) in encodings(CANARY).iter().enumerate() {
        let path = desk.path().join(format!("planted-{number}"));
        std::fs::write(&path, [b"before ", encoding.written.as_slice(), b" after"].concat())
            .expect("it is written");
        let found = files(desk.path()).iter().any(|(_, bytes)| find(bytes, CANARY).is_some());
        assert!(found, "the finder misses {}", encoding.name);
        std::fs::remove_file(path).expect("it was there");
    }
}

fn assert_traceless(desk: &Desk, output: &Output) {
    assert_clean(&output.stdout, CANARY);
    assert_clean(&output.stderr, CANARY);
    let files = files(desk.path());
    assert!(
        files.iter().any(|(path, _)| path.ends_with("undertone.db")),
        "the home is where it is looked for"
    );
    for (path, bytes) in &files {
        assert_eq!(find(bytes, CANARY), None, "{}", path.display());
    }
}
