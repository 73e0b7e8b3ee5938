//! One start of a program: from the beginning of its process to its first answer, and what it took.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use undertone_tests::runtime_api::{Extensions, RuntimeApi};

/// What one start took.
#[derive(Clone, Copy)]
pub struct Start {
    /// From before the process was made to the answer.
    pub whole: Duration,
    /// Until it asked for an event.
    pub init: Duration,
    /// What it computed, all threads together, the kernel's work for it included.
    pub cpu: Duration,
    /// What is in memory after the answer.
    pub resident: u64,
    /// The most that was.
    pub peak: u64,
}

/// Starts a program as Lambda does, with an event that waits already.
pub async fn start(program: &Path, variables: &[(&str, &str)], event: &Value) -> Start {
    let api = RuntimeApi::start(Extensions::Served).await;
    let id = api.send(event.clone(), Duration::from_secs(30));
    let mut command = Command::new(program);
    command.env_clear().envs(api.environment()).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let began = Instant::now();
    let child = Running(command.spawn().expect("the program starts"));
    let answer = tokio::time::timeout(Duration::from_secs(30), api.answer(&id)).await.expect("it answers");
    let cpu = cpu(child.0.id());
    let [resident, peak] = memory(child.0.id(), ["VmRSS:", "VmHWM:"]);
    let told = answer.result.expect("the event is handled");
    assert!(told["failures"].as_array().is_none_or(Vec::is_empty), "{told}");
    let init = api.first_next().await - began;
    Start { whole: answer.at - began, init, cpu, resident, peak }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What all threads of a process have computed. The times in `stat` are in units of 10 ms.
fn cpu(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let nanoseconds = threads.map(|thread| {
        let path = thread.expect("it runs").path().join("schedstat");
        let text = fs::read_to_string(&path).expect("Linux accounts for what threads compute");
        text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).expect("a number comes first")
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Lines of `status` that are in kB, in bytes.
fn memory<const N: usize>(process: u32, lines: [&str; N]) -> [u64; N] {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    lines.map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
        let number = line.trim().strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok());
        number.expect("a number of kB") * 1024
    })
}
