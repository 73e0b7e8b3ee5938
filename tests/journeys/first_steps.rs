//! The README's first five minutes, with nothing but a home directory of one's own.

use std::process::{Command, Output, Stdio};

use undertone_tests::programs::program;

#[test]
fn the_readmes_commands_work_in_an_empty_home_directory() {
    let own = tempfile::tempdir().expect("a temporary folder");
    let undertone = |arguments: &[&str], input: &str| -> Output {
        let mut command = Command::new(program("undertone"));
        command.args(arguments).env_clear().env("HOME", own.path()).env("PATH", "/usr/bin:/bin");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("undertone starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes())
            .expect("it reads");
        child.wait_with_output().expect("undertone ends")
    };
    for (arguments, input) in [
        (&["init"][..], ""),
        (&["env", "create", "dev"], ""),
        (&["space", "create", "acme", "--env", "dev"], ""),
        (&["secrets", "set", "SLACK_TOKEN", "--env", "dev", "--host", "slack.com"], "a-token-of-slack"),
        (&["secrets", "set", "SLACK_CHANNEL", "--env", "dev", "--host", "slack.com"], "C0123456789"),
        (&["secrets", "explain", "SLACK_TOKEN", "--env", "dev", "--space", "acme"], ""),
        (&["audit", "tail"], ""),
        (&["doctor"], ""),
    ] {
        let output = undertone(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
