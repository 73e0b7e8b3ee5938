//! Runs the program in a folder of its own and returns what it said.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with nothing in it, in which every run has its home, its key and its files.
pub struct World {
    pub dir: TempDir,
}

/// What a run said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl World {
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With a home, an Environment `prod`, a development Environment `dev`, and a Space `prod/sp_1`.
    pub fn ready() -> Self {
        let world = Self::empty();
        for line in
            ["init", "env create prod", "env create dev --development", "space create sp_1 --env prod"]
        {
            world.ok(line);
        }
        world
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program, with nothing of the caller's environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_undertone"));
        command.args(words).current_dir(self.path()).env_clear().env("HOME", self.path());
        command
    }

    pub fn spawn(&self, words: &[&str], input: &[u8]) -> Child {
        let mut command = self.command(words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that refuses its arguments never reads.
        let _ = child.stdin.take().unwrap().write_all(input);
        child
    }

    pub fn run_words(&self, words: &[&str], input: &[u8]) -> Said {
        Said::from(self.spawn(words, input).wait_with_output().unwrap())
    }

    pub fn run(&self, line: &str, input: &str) -> Said {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run_words(&words, input.as_bytes())
    }

    /// Runs what must succeed and returns its standard output.
    pub fn ok(&self, line: &str) -> String {
        self.ok_with(line, "")
    }

    pub fn ok_with(&self, line: &str, input: &str) -> String {
        let said = self.run(line, input);
        assert_eq!(said.exit, 0, "{line}: {}", said.err);
        said.out
    }

    pub fn json(&self, line: &str) -> Value {
        let out = self.ok(&format!("--json {line}"));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{line}: {error}: {out}"))
    }

    pub fn file(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    /// The home's folder.
    pub fn home(&self) -> std::path::PathBuf {
        self.path().join(".local/share/undertone")
    }

    /// The key file.
    pub fn key(&self) -> std::path::PathBuf {
        self.path().join(".config/undertone/root.key")
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// The error's code, of a run with `--json`.
    pub fn code(&self) -> String {
        let error: Value = serde_json::from_str(&self.err).unwrap_or_else(|_| panic!("{self:?}"));
        error["error"]["code"].as_str().unwrap().to_owned()
    }
}
