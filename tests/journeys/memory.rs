//! The memory of a listener that has just used a token: no core file, and nothing to find in it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use undertone_tests::encodings::{OTHER_CANARY, encodings};
use undertone_tests::programs::{Desk, program};

use crate::{slack, tokens};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_use_the_token_is_nowhere_in_the_listeners_memory() {
    let slack = slack().await;
    let host = slack.host();
    let desk = Desk::initialised();
    desk.ok(&["env", "create", "dev", "--development"], "");
    desk.ok(&["secrets", "set", "SLACK_TOKEN", "--env", "dev", "--host", &host], OTHER_CANARY);
    desk.ok(&["secrets", "set", "SLACK_CHANNEL", "--env", "dev", "--host", &host], "C0TEST12");
    let notifier = desk.start_notifier(&slack.url("/api"), &desk.path().join("notifier.log"));
    for _ in 0..3 {
        desk.ok(&["event", "send", "--topic", "job:completed", "--env", "dev"], "");
    }
    assert_eq!(tokens(&slack), [OTHER_CANARY; 3]);
    // The finder finds what is there: this process holds the token, as its stand-in received it.
    assert!(
        hits(std::process::id()).is_some_and(|hits| hits != 0),
        "the finder misses a token in its own memory"
    );
    match hits(notifier.id()) {
        Some(hits) => assert_eq!(hits, 0, "the token stayed in memory"),
        // Another user's processes aren't even readable, and this one shut itself off from its own.
        None => assert!(!rustix::process::getuid().is_root(), "root can read any memory"),
    }
}

/// How often the token stands in the process's memory in any encoding; `None` if it can't be read.
fn hits(process: u32) -> Option<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let needles: Vec<Vec<u8>> = encodings(OTHER_CANARY).into_iter().map(|encoding| encoding.needle).collect();
    let mut hits = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        hits += needles.iter().filter(|needle| contains(&bytes, needle)).count();
    }
    Some(hits)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        at += next;
        if bytes[at..].starts_with(needle) {
            return true;
        }
        at += 1;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_core_file() {
    let desk = Desk::initialised();
    let log = desk.path().join("notifier.log");
    let log_file = File::create(&log).expect("a log file");
    // Even where the shell would allow core files of any size.
    let script = format!("ulimit -c unlimited; exec '{}'", program("slack-notifier").display());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(desk.path())
        .env("UNDERTONE_HOME", desk.home())
        .stdout(log_file.try_clone().expect("a second handle"))
        .stderr(log_file)
        .spawn()
        .expect("sh starts");
    let socket = desk.home().join("listeners/slack-notifier.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended too early");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-ABRT".to_owned(), child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(6), "it was aborted");
    assert!(!status.core_dumped(), "a core file was written");
    let names = std::fs::read_dir(desk.path()).expect("the folder is there");
    let core = names.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("core"));
    assert!(core.is_none(), "{core:?}");
}
