//! Emulators of AWS for tests: moto and ministack, each begun once per test process when first asked for.
//!
//! They come from the Python registry into `target/venvs/emulators`. A test that needs one and can't
//! get it fails and says why.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// An emulator that runs, until this is dropped or the process ends.
pub struct Emulator {
    url: String,
    server: Child,
    _folder: TempDir,
}

/// Which one.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Moto,
    Ministack,
}

/// Moto: real encryption with the context bound, checked by its tests against AWS.
pub struct Moto;

/// Ministack: quick, with idempotent transactions.
pub struct Ministack;

impl Moto {
    /// The one of this test process.
    pub fn start() -> &'static Emulator {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        ONE.get_or_init(|| Emulator::start(Kind::Moto))
    }
}

impl Ministack {
    /// The one of this test process.
    pub fn start() -> &'static Emulator {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        ONE.get_or_init(|| Emulator::start(Kind::Ministack))
    }
}

impl Emulator {
    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn start(kind: Kind) -> Self {
        let python = environment().join("bin/python");
        let mut said = String::new();
        // A port that was free may be taken a moment later by somebody else.
        for _ in 0..5 {
            match Self::try_start(kind, &python) {
                Ok(emulator) => return emulator,
                Err(why) => said = why,
            }
        }
        panic!("{kind:?} doesn't run: {said}");
    }

    fn try_start(kind: Kind, python: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let log = folder.path().join("log");
        let output = File::create(&log).expect("a temporary file can be made");
        let (name, path) = match kind {
            Kind::Moto => ("moto", "/moto-api/"),
            Kind::Ministack => ("ministack", "/_ministack/ready"),
        };
        let port = free_port();
        let server = Command::new(python)
            .arg(root().join("tests/python/emulator.py"))
            .args([name, &port.to_string()])
            .arg(folder.path())
            .current_dir(folder.path())
            // Otherwise it would use this machine's credentials and proxies, or call home.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LANG"))
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a file can be shared"))
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let mut emulator = Self { url: format!("http://127.0.0.1:{port}"), server, _folder: folder };
        let answered = emulator.wait(port, path);
        answered.map_err(|why| format!("{why}:\n{}", std::fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(emulator)
    }

    fn wait(&mut self, port: u16, path: &str) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(90);
        let mut answered = false;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("it ended ({status})"));
            }
            // Twice, with a pause: the first answer may be that of whoever took the port.
            if answers(port, path) && std::mem::replace(&mut answered, true) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("it doesn't answer after 90 seconds".to_owned())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The folder with both emulators, made now if it isn't there or is out of date.
fn environment() -> PathBuf {
    let root = root();
    let venvs = root.join("target/venvs");
    std::fs::create_dir_all(&venvs).expect("target can be written");
    let lock = File::create(venvs.join("emulators.lock")).expect("target can be written");
    // Tests in several processes wait here for the first; the lock ends with its file.
    lock.lock().expect("a file can be locked");
    let made = Command::new(root.join("scripts/python-venv.sh"))
        .arg("emulators")
        .stderr(Stdio::piped())
        .output()
        .expect("a script of this repository can be run");
    let problem = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "the emulators can't be installed: {problem}");
    PathBuf::from(String::from_utf8(made.stdout).expect("a folder's name").trim())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the repository").to_owned()
}

/// Below those that the system gives to connections, so that none of these takes it.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut tried = (0..1_000).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(7_919).wrapping_add(step) % 12_000;
        20_000 + u16::try_from(offset).expect("it is below 12,000")
    });
    let free = tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of a thousand ports is free")
}

fn answers(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}
