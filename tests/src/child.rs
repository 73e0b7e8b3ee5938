//! A test that runs itself again in a process of its own, where it may change the process: its environment, its hooks.

use std::process::{Command, Output};

const MARK: &str = "UNDERTONE_TEST_CHILD";

/// Whether this is such a process.
pub fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Whether this process runs this test and no other. If it doesn't, one is begun that does, and in
/// which the test must pass.
pub fn is_alone(test: &str) -> bool {
    if is_child() {
        return true;
    }
    let output = run_again(test, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
    false
}

/// Runs one test of this binary again, with these variables.
pub fn run_again(test: &str, variables: &[(&str, &str)]) -> Output {
    again(test).envs(variables.iter().copied()).output().expect("a test's binary runs")
}

/// The command that runs one test of this binary again.
pub fn again(test: &str) -> Command {
    let program = std::env::current_exe().expect("a test has a binary");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, "1");
    command
}
