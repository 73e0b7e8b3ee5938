//! A listener as a service: events in, posts out, changes seen at once, stopped and killed.

use std::time::Duration;

use undertone_tests::encodings::{CANARY, find};
use undertone_tests::programs::{Desk, files, program};

use crate::{slack, tokens};

const ACME: [&str; 4] = ["--env", "dev", "--space", "acme"];

fn furnished(host: &str) -> Desk {
    let desk = Desk::initialised();
    desk.ok(&["env", "create", "dev", "--development"], "");
    desk.ok(&["space", "create", "acme", "--env", "dev"], "");
    desk.ok(&["secrets", "set", "SLACK_TOKEN", "--env", "dev", "--host", host], CANARY);
    desk.ok(&["secrets", "set", "SLACK_CHANNEL", "--env", "dev", "--host", host], "C0TEST12");
    desk
}

fn send(topic: &str) -> Vec<&str> {
    [&["event", "send", "--topic", topic], &ACME[..], &["--payload", r#"{"job":"import"}"#]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_listener_sees_every_change_at_the_next_event() {
    let slack = slack().await;
    let desk = furnished(&slack.host());
    let log = desk.path().join("notifier.log");
    let notifier = desk.start_notifier(&slack.url("/api"), &log);
    desk.ok(&send("job:completed"), "");
    let host = slack.host();
    let override_it = [&["secrets", "set", "SLACK_TOKEN", "--host", &host], &ACME[..]].concat();
    desk.ok(&override_it, "the-space-has-its-own");
    desk.ok(&send("job:completed"), "");
    desk.ok(&[&["secrets", "block", "SLACK_TOKEN"], &ACME[..]].concat(), "");
    let blocked = desk.run(&send("job:completed"), "");
    assert_eq!(blocked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&blocked.stdout).contains("is blocked in Space dev/acme"));
    desk.ok(&[&["secrets", "unset", "SLACK_TOKEN", "--yes"], &ACME[..]].concat(), "");
    desk.ok(&send("job:completed"), "");
    assert_eq!(tokens(&slack), [CANARY, "the-space-has-its-own", CANARY]);
    let unknown = desk.ok(&send("nobody:listens"), "");
    assert!(unknown.contains("no handler takes this event"), "{unknown}");
    notifier.signal("TERM");
    assert!(notifier.end().success(), "it stops in good order");
    desk.ok(&["audit", "verify"], "");
    // Neither the log, which was written at its most talkative, nor any other file.
    for (path, bytes) in files(desk.path()) {
        assert_eq!(find(&bytes, CANARY), None, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_listener_starts_again_and_a_second_one_is_refused() {
    let slack = slack().await;
    let desk = furnished(&slack.host());
    let log = desk.path().join("notifier.log");
    let first = desk.start_notifier(&slack.url("/api"), &log);
    let second =
        std::process::Command::new(program("slack-notifier")).env("UNDERTONE_HOME", desk.home()).output();
    let second = second.expect("it starts");
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("runs already"));
    first.signal("KILL");
    first.end();
    let alone = desk.run(&send("job:completed"), "");
    assert_eq!(alone.status.code(), Some(3), "nobody listens");
    let again = desk.start_notifier(&slack.url("/api"), &log);
    desk.ok(&send("job:completed"), "");
    drop(again);
    assert_eq!(tokens(&slack), [CANARY]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_at_once_are_all_handled_and_audited_one_to_one() {
    let slack = slack().await;
    let desk = furnished(&slack.host());
    let notifier = desk.start_notifier(&slack.url("/api"), &desk.path().join("notifier.log"));
    let children: Vec<_> =
        (0..20).map(|_| desk.command(&send("job:completed")).spawn().expect("it starts")).collect();
    for child in children {
        assert!(child.wait_with_output().expect("it ends").status.success());
    }
    drop(notifier);
    assert_eq!(tokens(&slack).len(), 20);
    let rows = desk.ok(&["audit", "tail", "-n", "1000", "--json"], "");
    let uses = rows.lines().filter(|row| row.contains("secret.use") && row.contains("SLACK_TOKEN")).count();
    assert_eq!(uses, 20);
    desk.ok(&["audit", "verify"], "");
    tokio::time::sleep(Duration::ZERO).await;
}

#[test]
fn a_bad_event_is_refused_before_it_is_sent_and_not_echoed() {
    let desk = furnished("slack.com");
    let large = format!("{{\"topic\":\"a\",\"payload\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    for event in ["{", "{\"topic\":\"*\"}", "canary-text", large.as_str()] {
        let mut child = desk.command(&["event", "send", "-"]).spawn().expect("it starts");
        // It stops reading at its limit, so the rest of the large one finds a closed pipe.
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), event.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(5), "{}", &event[..event.len().min(40)]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
    }
}
