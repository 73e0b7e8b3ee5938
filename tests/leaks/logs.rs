//! Log lines: each form of a value is masked, wherever in the line it stands and whoever wrote it.
//!
//! Behind a line from outside a handler stand the secrets that the process used last: tests of that
//! run in processes of their own.

use std::io::Write;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use undertone_runtime::log::{Guarded, withheld};
use undertone_runtime::{Event, Runtime};
use undertone_tests::child::is_alone;
use undertone_tests::encodings::{CANARY, OTHER_CANARY, assert_clean, find};
use undertone_tests::world::{TOPIC, event, scope};

use super::{Kept, read, readable, texts, world};

/// What was logged, through the guard and beside it.
pub(super) struct Log {
    pub(super) guarded: Kept,
    pub(super) raw: Kept,
    _installed: DefaultGuard,
}

/// Logs of this thread from now on, at every level.
pub(super) fn log() -> Log {
    let (guarded, raw) = (Kept::default(), Kept::default());
    let subscriber = Registry::default()
        .with(fmt::layer().without_time().with_ansi(false).with_writer(Guarded(guarded.clone())))
        .with(fmt::layer().without_time().with_ansi(false).with_writer(raw.clone()));
    Log { guarded, raw, _installed: tracing::subscriber::set_default(subscriber) }
}

impl Log {
    /// Asserts that the value was logged and came through the guard in no form.
    pub(super) fn assert_masked(&self, value: &str, what: &str) {
        assert!(find(&self.raw.bytes(), value).is_some(), "{what}: nothing was logged: {}", self.raw.text());
        assert_clean(&self.guarded.bytes(), value);
    }
}

#[tokio::test]
async fn a_line_of_a_handler_is_masked_in_every_encoding_and_place() {
    let world = world().await;
    world.set("dev", "PLAIN", OTHER_CANARY).await;
    type Write = fn(&str);
    let writes: [(&str, Write); 7] = [
        ("the message", |text| tracing::info!("logged in with {text}, fine")),
        ("a displayed field", |text| tracing::trace!(token = %text, "logged in")),
        ("a span's field", |text| {
            tracing::info_span!("login", token = %text).in_scope(|| tracing::error!("inside"));
        }),
        ("two places of one line", |text| tracing::info!(a = %text, b = %text, "{text}")),
        ("a quoted field", |text| tracing::debug!(token = text, "logged in")),
        ("a quoted field of a debugged value", |text| tracing::warn!(token = ?Some(text), "logged in")),
        ("a span's late and quoted field", |text| {
            let span = tracing::info_span!("login", token = tracing::field::Empty);
            span.record("token", text);
            span.in_scope(|| tracing::info_span!("deeper").in_scope(|| tracing::info!("inside")));
        }),
    ];
    for (name, value) in [("TOKEN", CANARY), ("PLAIN", OTHER_CANARY)] {
        for ((place, write), (encoding, text)) in
            writes.into_iter().flat_map(|write| texts(value).into_iter().map(move |text| (write, text)))
        {
            let log = log();
            world
                .within("dev/red", async move |_| {
                    tokio::task::yield_now().await;
                    write(&text);
                })
                .await;
            // What is encoded and then quoted is encoded twice: out of scope, where quoting changes it.
            let twice = place.contains("quoted")
                && (encoding.starts_with("UTF-16")
                    || value == CANARY && ["HTML", "a JSON string in a JSON string"].contains(&encoding));
            if twice {
                assert_eq!(find(&log.raw.bytes(), value), None, "{place}, {encoding}");
                continue;
            }
            log.assert_masked(value, &format!("{place}, {encoding}"));
            assert!(log.guarded.text().contains(&format!("[secret:{name}]")), "{place}, {encoding}");
        }
    }
    assert_eq!(withheld(), 0);
}

#[tokio::test]
async fn the_rest_of_a_line_stays_as_it_is() {
    let world = world().await;
    let log = log();
    world
        .within("dev/red", async |event| {
            let token = read(&event, "TOKEN").await;
            tracing::info!(count = 3, "before {token} after");
            tracing::info!("a line about nothing");
            tracing::info!(handle = ?event.secrets("TOKEN").await.unwrap());
        })
        .await;
    let lines = ["before [secret:TOKEN] after count=3", "a line about nothing", "handle=Secret(TOKEN v1)"];
    assert_eq!(log.guarded.text(), lines.map(|line| format!(" INFO leaks::logs: {line}\n")).concat());
    assert_eq!(log.guarded.text(), log.raw.text().replace(CANARY, "[secret:TOKEN]"));
}

#[tokio::test]
async fn a_value_of_several_lines_is_masked_as_one() {
    let world = world().await;
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n";
    world.set_with("dev", "KEY", key, readable()).await;
    let log = log();
    world
        .within("dev/red", async |event| {
            let key = read(&event, "KEY").await;
            tracing::info!("{key}");
            tracing::info!("{key:?}");
            tracing::info!("{}", key.lines().nth(1).unwrap());
        })
        .await;
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        log.assert_masked(line, line);
    }
}

#[tokio::test]
async fn a_line_that_is_written_in_pieces_is_masked_as_a_whole() {
    let world = world().await;
    let kept = Kept::default();
    let written = kept.clone();
    world
        .within("dev/red", async move |_| {
            let guarded = Guarded(written);
            let mut line = guarded.make_writer();
            for byte in format!("logged in with {CANARY}\n").bytes() {
                line.write_all(&[byte]).unwrap();
            }
            line.flush().unwrap();
        })
        .await;
    assert_eq!(kept.text(), "logged in with [secret:TOKEN]\n");
}

#[tokio::test]
async fn a_line_of_a_task_that_a_handler_spawned_is_masked() {
    if !is_alone("logs::a_line_of_a_task_that_a_handler_spawned_is_masked") {
        return;
    }
    let world = world().await;
    for (encoding, text) in texts(CANARY) {
        let log = log();
        let mut tasks = world
            .within("dev/red", async move |_| {
                let mut tasks = JoinSet::new();
                tasks.spawn(async move {
                    tokio::task::yield_now().await;
                    let span = tracing::info_span!("background", token = %text);
                    span.in_scope(|| tracing::info!("later: {text}"));
                });
                tokio::task::yield_now().await;
                tasks
            })
            .await;
        tasks.join_next().await.unwrap().unwrap();
        log.assert_masked(CANARY, encoding);
    }
}

#[tokio::test]
async fn a_line_of_a_thread_that_a_handler_began_is_masked() {
    if !is_alone("logs::a_line_of_a_thread_that_a_handler_began_is_masked") {
        return;
    }
    let world = world().await;
    let log = log();
    let thread = world
        .within("dev/red", async |event| {
            let token = read(&event, "TOKEN").await;
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || tracing::info!("from a thread: {token}"));
            })
        })
        .await;
    thread.join().unwrap();
    log.assert_masked(CANARY, "a thread");
}

#[tokio::test]
async fn a_line_with_the_value_of_a_granted_scope_is_masked() {
    if !is_alone("logs::a_line_with_the_value_of_a_granted_scope_is_masked") {
        return;
    }
    let mut world = world().await;
    world.set_with("dev/blue", "OTHER", OTHER_CANARY, readable()).await;
    world.granted.push(scope("dev/blue"));
    let log = log();
    world
        .within("dev/red", async |event| {
            let secret = event.secrets("OTHER").space("blue").await.unwrap();
            let value = secret.reveal("a test of what happens then").await.unwrap();
            let text = String::from_utf8(value.expose().to_vec()).unwrap();
            tracing::info!("{text}");
            tokio::spawn(async move { tracing::info!("{text}") }).await.unwrap();
        })
        .await;
    assert_eq!(log.guarded.text().lines().next(), Some(" INFO leaks::logs: [secret:OTHER]"));
    log.assert_masked(OTHER_CANARY, "a granted scope");
}

#[tokio::test]
async fn a_task_that_outlives_its_event_is_masked_after_a_rotation_and_many_other_events() {
    if !is_alone("logs::a_task_that_outlives_its_event_is_masked_after_a_rotation_and_many_other_events") {
        return;
    }
    let world = Arc::new(world().await);
    let log = log();
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel::<String>();
    let background = tokio::spawn(async move {
        while let Some(text) = receive.recv().await {
            tracing::info!("{text}");
        }
    });
    let keep = send.clone();
    let runtime: Runtime = world.runtime(world.listener().on(TOPIC, move |event: Event| {
        let keep = keep.clone();
        async move {
            if event.space_id().is_none() {
                keep.send(read(&event, "TOKEN").await)?;
            }
            Ok(())
        }
    }));
    runtime.dispatch(&event(TOPIC, "dev"), world.budget).await.unwrap();
    // The value that the task holds is no longer that of any event.
    world.set_with("dev", "TOKEN", OTHER_CANARY, readable()).await;
    for at in ["dev/red", "dev/blue", "dev"] {
        runtime.dispatch(&event(TOPIC, at), world.budget).await.unwrap();
    }
    drop((send, runtime));
    background.await.unwrap();
    assert_eq!(log.raw.text().lines().count(), 2);
    log.assert_masked(CANARY, "the version before");
    log.assert_masked(OTHER_CANARY, "the version after");
}

#[tokio::test]
async fn a_scope_that_is_used_again_is_not_forgotten_for_those_that_were_used_once() {
    if !is_alone("logs::a_scope_that_is_used_again_is_not_forgotten_for_those_that_were_used_once") {
        return;
    }
    let world = world().await;
    // Only `red` has this value.
    world.set("dev/red", "TOKEN", OTHER_CANARY).await;
    let spaces: Vec<String> = (0..300).map(|space| format!("space-{space}")).collect();
    for space in &spaces {
        world.vault.create_space("dev".parse().unwrap(), space.parse().unwrap()).await.unwrap();
    }
    let runtime = world.runtime(world.listener().on(TOPIC, |_: Event| async { Ok(()) }));
    for space in &spaces {
        for used in ["red", space] {
            runtime.dispatch(&event(TOPIC, &format!("dev/{used}")), world.budget).await.unwrap();
        }
        let log = log();
        tracing::info!("from outside: {OTHER_CANARY}");
        assert!(log.raw.text().contains(OTHER_CANARY));
        assert_eq!(log.guarded.text(), " INFO leaks::logs: from outside: [secret:TOKEN]\n", "{space}");
    }
}
