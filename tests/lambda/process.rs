//! The process on Lambda: how it begins, speaks with the runtime API, and ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use undertone_lambda::{LambdaError, Options, serve};
use undertone_tests::child::{again, is_child};
use undertone_tests::runtime_api::{Extensions, RuntimeApi};
use undertone_tests::world::World;

use crate::served::{CANARY, LONG, event, listener, message, returned, set_token};

/// A listener's process.
struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Process {
    fn start(api: &RuntimeApi, more: &[(&str, &str)]) -> Self {
        let mut command = again("process::a_listener_as_a_process");
        command.envs(api.environment()).envs(more.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let said: Arc<Mutex<String>> = Arc::default();
        let keep = said.clone();
        let reading = std::thread::spawn(move || {
            for line in stdout.lines() {
                *keep.lock().expect("no test panics with this lock") +=
                    &format!("{}\n", line.expect("it writes UTF-8"));
            }
        });
        Self { child, said, reading: Some(reading) }
    }

    /// Waits until it has written this.
    async fn says(&self, text: &str) {
        let began = Instant::now();
        while !self.said.lock().expect("no test panics with this lock").contains(text) {
            assert!(began.elapsed() < Duration::from_secs(60), "it doesn't say {text}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn signal(&self, name: &str) {
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args([format!("-{name}"), self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "the signal arrives");
    }

    /// Stops all its threads, as Lambda does between invocations.
    async fn freeze(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        let is_stopped = |thread: std::fs::DirEntry| {
            let state = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            state.contains(") T ")
        };
        let all_stopped = || std::fs::read_dir(&threads).expect("it has threads").flatten().all(is_stopped);
        while !all_stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits for its end and gives what it wrote. What it asks for is answered meanwhile.
    async fn end(mut self) -> String {
        let ended = loop {
            match self.child.try_wait().expect("it can be asked") {
                Some(ended) => break ended,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        };
        self.reading.take().expect("it ends once").join().expect("all of it was read");
        let said = std::mem::take(&mut *self.said.lock().expect("no test panics with this lock"));
        assert!(ended.success(), "{said}");
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What runs in the process of its own; elsewhere there is no Lambda.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_as_a_process() {
    let world = World::new().await;
    set_token(&world).await;
    let runtime = Arc::new(world.runtime(listener(world.listener(), Arc::default())));
    if !is_child() {
        let error = serve(runtime, Options::default()).await.expect_err("this isn't Lambda");
        assert!(matches!(error, LambdaError::NotOnLambda("AWS_LAMBDA_RUNTIME_API")), "{error:?}");
        return;
    }
    let options = Options { on_forget: vec![Arc::new(|| println!("forgotten"))], ..Options::default() };
    serve(runtime, options).await.expect("Lambda ends it");
    println!("ended in order");
}

fn lines(said: &str) -> Vec<Value> {
    // The harness writes to the same place, and ends no line before the first of ours.
    let json = said.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok());
    json.filter(Value::is_object).collect()
}

#[tokio::test]
async fn invocations_are_answered_with_and_without_an_api_for_extensions() {
    for extensions in [Extensions::Served, Extensions::Missing] {
        let api = RuntimeApi::start(extensions).await;
        let process = Process::start(&api, &[]);
        let answer = api.invoke(event("a", json!({})), LONG).await;
        assert_eq!(answer.result.expect("handled")["outcomes"][0]["reply"], "done");
        let error = api.invoke(event("b", json!({ "do": "leak" })), LONG).await.result.expect_err("it fails");
        assert_eq!(error["errorType"], "Undertone.HandlerFailed");
        assert!(!error.to_string().contains(CANARY) && error.to_string().contains("failed with"), "{error}");
        let error = api.invoke(json!(["no event"]), LONG).await.result.expect_err("no event");
        assert_eq!(error["errorType"], "Undertone.NoEvent");
        process.signal("TERM");
        let said = process.end().await;
        assert!(said.contains("forgotten") && said.contains("ended in order"), "{said}");
        let events: Vec<Value> = lines(&said).iter().map(|line| line["requestId"].clone()).collect();
        assert_eq!(events, ["request-1", "request-2", "request-3"]);
        assert!(!said.contains(CANARY), "{said}");
        let calls = api.calls();
        assert_eq!(calls[0], r#"register undertone-shutdown {"events":[]}"#, "before the first invocation");
        let asked = calls.iter().any(|call| call == "extension next true");
        assert_eq!(asked, extensions == Extensions::Served, "{calls:?}");
        assert!(!calls.iter().any(|call| call.contains("init error")), "{calls:?}");
    }
}

#[tokio::test]
async fn a_process_that_is_told_to_end_does_so_in_time_and_acknowledges_only_what_is_done() {
    for (ms, acknowledged) in [(0, None), (40, Some(true)), (60_000, Some(false))] {
        let api = RuntimeApi::start(Extensions::Served).await;
        let process = Process::start(&api, &[]);
        api.first_next().await;
        let id = acknowledged.map(|_| api.send(event("e", json!({ "do": "wait", "ms": ms })), LONG));
        if id.is_some() {
            process.says("a handler began").await;
        }
        let told = Instant::now();
        process.signal("TERM");
        let said = process.end().await;
        // Lambda grants 500 ms; a machine that runs other tests is slower.
        assert!(told.elapsed() < Duration::from_secs(1), "{ms}: {:?}", told.elapsed());
        assert!(said.contains("forgotten") && said.contains("ended in order"), "{said}");
        if let (Some(id), Some(acknowledged)) = (&id, acknowledged) {
            let done = api.is_answered(id) && api.answer(id).await.result.is_ok();
            assert_eq!(done, acknowledged, "{ms}: {:?}", api.calls());
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_told_to_end_gives_back_what_it_has_not_begun() {
    let api = RuntimeApi::start(Extensions::Served).await;
    let process = Process::start(&api, &[]);
    let wait = json!({ "do": "wait", "ms": 40 });
    let records = ["m1", "m2", "m3"].map(|id| {
        let mut record = message(id, event(id, wait.clone()));
        record["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:123456789012:events.fifo");
        record
    });
    let id = api.send(json!({ "Records": records }), LONG);
    process.says("a handler began").await;
    process.signal("TERM");
    let said = process.end().await;
    assert_eq!(said.matches("a handler began").count(), 1, "{said}");
    assert_eq!(returned(&api.answer(&id).await.result.expect("an answer")), ["m2", "m3"]);
}

#[tokio::test]
async fn keys_are_wiped_before_a_snapshot_and_nothing_is_looked_up_until_an_event_comes() {
    let api = RuntimeApi::start(Extensions::Served).await;
    let process = Process::start(&api, &[("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")]);
    api.first_next().await;
    assert!(api.calls().iter().any(|call| call == "restore next"), "{:?}", api.calls());
    let answer = api.invoke(event("a", json!({ "do": "use" })), LONG).await;
    assert_eq!(answer.result.expect("handled")["outcomes"][0]["reply"]["found"], true);
    process.signal("TERM");
    let said = process.end().await;
    let (before, after) = said.split_once("event handled").expect("a line");
    assert!(before.contains("forgotten") && after.contains("forgotten"), "{said}");
}

#[tokio::test]
async fn on_managed_instances_invocations_run_side_by_side_and_their_deadlines_hold() {
    let api = RuntimeApi::start(Extensions::Served).await;
    let process = Process::start(&api, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
    api.first_next().await;
    let wait = |id: &str, ms: u64| event(id, json!({ "do": "wait", "ms": ms }));
    let slow = api.send(wait("slow", 60_000), Duration::from_millis(1_500));
    let sent = Instant::now();
    let three: Vec<String> = ["a", "b", "c"].iter().map(|id| api.send(wait(id, 700), LONG)).collect();
    for id in &three {
        let answer = api.answer(id).await;
        assert!(answer.result.is_ok() && answer.at - sent < Duration::from_millis(1_300), "{answer:?}");
    }
    let answer = api.answer(&slow).await;
    assert!(answer.at - sent < Duration::from_millis(1_500), "{:?}", answer.at - sent);
    assert_eq!(answer.result.expect_err("cut off")["errorType"], "Undertone.HandlerFailed");
    process.signal("TERM");
    let said = process.end().await;
    assert!(said.contains("ended in order"), "{said}");
}

#[tokio::test]
async fn a_process_that_was_frozen_goes_on_with_the_next_invocation() {
    let api = RuntimeApi::start(Extensions::Served).await;
    let process = Process::start(&api, &[]);
    api.invoke(event("a", json!({ "do": "use" })), LONG).await.result.expect("handled");
    process.freeze().await;
    let id = api.send(event("b", json!({ "do": "use" })), LONG);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!api.is_answered(&id));
    process.signal("CONT");
    api.answer(&id).await.result.expect("handled");
}
