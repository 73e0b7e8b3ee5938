//! The programs themselves, built once and run as people run them.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The path of a program of this workspace: `undertone` or `slack-notifier`.
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(build);
    built.get(name).unwrap_or_else(|| panic!("the workspace builds no program {name}")).clone()
}

fn build() -> HashMap<String, PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "undertone-cli",
            "--package",
            "slack-notifier",
            "--message-format=json",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the programs don't build");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    };
    messages.lines().filter_map(executable).collect()
}

/// A home on this machine with its key beside it, driven through the command line.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Default for Desk {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
}

impl Desk {
    /// A new home.
    pub fn initialised() -> Self {
        let desk = Self::default();
        let key = desk.path().join("root.key");
        desk.ok(&["init", "--key-file", key.to_str().expect("plain paths")], "");
        desk
    }

    /// The folder that holds home and key.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The home.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// A command of `undertone` with nothing of the caller's environment that matters to it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("undertone"));
        command.arg("--home").arg(self.home()).args(arguments).env("HOME", self.path());
        for variable in
            ["UNDERTONE_HOME", "UNDERTONE_ENV", "UNDERTONE_SPACE", "XDG_DATA_HOME", "XDG_CONFIG_HOME"]
        {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command with this standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().expect("undertone starts");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("undertone reads");
        child.wait_with_output().expect("undertone ends")
    }

    /// As [`Desk::run`]; it must succeed. Its standard output.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("undertone writes UTF-8")
    }

    /// Starts slack-notifier over this home, against that API, and waits until it listens.
    pub fn start_notifier(&self, api: &str, log: &Path) -> Notifier {
        let lines = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let child = Command::new(program("slack-notifier"))
            .env("UNDERTONE_HOME", self.home())
            .env("UNDERTONE_LOG", "trace")
            .env("SLACK_API_URL", api)
            .stdin(Stdio::null())
            .stdout(lines.try_clone().expect("a second handle"))
            .stderr(lines)
            .spawn()
            .expect("slack-notifier starts");
        let notifier = Notifier { child };
        let socket = self.home().join("listeners/slack-notifier.sock");
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(20), "slack-notifier doesn't listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        notifier
    }
}

/// A running slack-notifier; killed when dropped.
pub struct Notifier {
    child: Child,
}

impl Notifier {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "the signal arrives");
    }

    /// Waits for its end.
    pub fn end(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below a folder, with its bytes. Sockets and the like have none.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let kind = std::fs::symlink_metadata(&path).expect("the file is there").file_type();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).expect("the file can be read");
            found.push((path, bytes));
        }
    }
    found
}
