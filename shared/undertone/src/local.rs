//! A listener on one machine: opens the home, listens on a socket inside it, answers each event
//! with a report.
//!
//! The socket lies in a folder that only its owner may enter: whoever reaches it may send events
//! of any scope, as whoever may read the home may. One connection carries one event, as JSON up
//! to the end of the stream, and gets one report, as JSON.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use undertone_core::resolve::Freshness;
use undertone_core::{AgentId, SystemClock};
use undertone_local::Home;
use undertone_runtime::{EventData, LARGEST_EVENT, Listener, Ports, Runtime, RuntimeError};

use crate::error::RunError;

/// How long the handlers of one event may take together.
pub const BUDGET: Duration = Duration::from_secs(30);

/// How long a sender may take to bring its event.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How often keys and answers that are no longer fresh are dropped.
const TIDY: Duration = Duration::from_secs(60);

/// The home that a program uses when it isn't told another: `$UNDERTONE_HOME`, else
/// `$XDG_DATA_HOME/undertone`, else `~/.local/share/undertone`.
pub fn default_home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("UNDERTONE_HOME")
        .or_else(|| set("XDG_DATA_HOME").map(|data| data.join("undertone")))
        .or_else(|| set("HOME").map(|home| home.join(".local/share/undertone")))
}

/// A runtime for a listener over an opened home, with what its operator granted to it.
///
/// # Errors
/// If the listener is wrong, or TLS can't be set up.
pub fn runtime(listener: Listener, home: &Home) -> Result<Runtime, RuntimeError> {
    let ports = Ports {
        store: home.store(),
        opener: home.keys(),
        audit: home.audit(),
        clock: Arc::new(SystemClock::default()),
        external: None,
    };
    let mut agents = home.settings().agents.iter();
    let granted = agents.find(|(agent, _)| agent.as_str() == listener.slug());
    let granted = granted.map(|(_, scopes)| scopes.clone()).unwrap_or_default();
    Runtime::new(listener, ports, granted, Freshness::default())
}

pub(crate) async fn run(listener: Listener) -> Result<(), RunError> {
    #[cfg(feature = "aws")]
    if let Some(over) = crate::aws::if_asked_for(&listener).await? {
        let folder = default_home().ok_or(RunError::NoHome)?;
        let runtime = Runtime::new(listener, over.ports, over.granted, over.freshness)?;
        return serve(Arc::new(runtime), &folder).await;
    }
    let (home, folder) = open_home()?;
    serve(Arc::new(runtime(listener, &home)?), &folder).await
}

/// The home that this process is to use, opened, and where it is.
pub(crate) fn open_home() -> Result<(Home, PathBuf), RunError> {
    let folder = default_home().ok_or(RunError::NoHome)?;
    let home = Home::open(&folder, &mut no_passphrase)?;
    for warning in home.warnings() {
        tracing::warn!("{warning}");
    }
    Ok((home, folder))
}

/// A service has nobody to ask.
fn no_passphrase() -> io::Result<zeroize::Zeroizing<String>> {
    Err(io::Error::other(
        "a listener has nobody to ask for a passphrase: use a key file or a systemd credential",
    ))
}

/// Where the sockets of running listeners are.
pub fn sockets(home: &Path) -> PathBuf {
    home.join("listeners")
}

async fn serve(runtime: Arc<Runtime>, home: &Path) -> Result<(), RunError> {
    let path = sockets(home).join(format!("{}.sock", runtime.agent()));
    let socket = |source| RunError::Socket { path: path.clone(), source };
    let (listening, lock) = bind(&path, runtime.agent())?;
    let mut tidy = tokio::time::interval(TIDY);
    let mut stop = signal(SignalKind::terminate()).map_err(socket)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(socket)?;
    tracing::info!(agent = %runtime.agent(), "listening");
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupt.recv() => break,
            Some(_) = under_way.join_next() => {}
            _ = tidy.tick() => runtime.forget_stale(),
            accepted = listening.accept() => match accepted {
                Ok((stream, _)) => {
                    under_way.spawn(answer(runtime.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection can't be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // Whoever holds the lock owns the socket: removing it can't hit a successor's.
    drop(listening);
    let _ = std::fs::remove_file(&path);
    tracing::info!(agent = %runtime.agent(), under_way = under_way.len(), "stopping");
    // Events that were begun are finished, within the time that they have anyway.
    let drained = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(BUDGET + ARRIVAL, drained).await.is_err() {
        tracing::warn!("stopped before every event was answered");
    }
    drop(lock);
    Ok(())
}

/// The socket and the lock that goes with it. The lock tells a socket that is in use from one that
/// a killed process left behind, and of two that start at once lets one go on.
fn bind(path: &Path, agent: &AgentId) -> Result<(UnixListener, File), RunError> {
    let socket = |source| RunError::Socket { path: path.to_owned(), source };
    let folder = path.parent().expect("a socket lies in a folder");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(socket)?;
    check_private(folder).map_err(socket)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.with_extension("lock"));
    let lock = lock.map_err(socket)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RunError::Running(agent.clone())),
        Err(TryLockError::Error(error)) => return Err(socket(error)),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(socket(error)),
        _ => {}
    }
    let listening = UnixListener::bind(path).map_err(socket)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(socket)?;
    Ok((listening, lock))
}

/// Whoever may enter the folder may send events of any scope.
fn check_private(folder: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(folder)?;
    let mine = found.uid() == rustix::process::geteuid().as_raw();
    match found.is_dir() && mine && found.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(io::Error::other("its folder isn't yours alone: make it mode 0700")),
    }
}

async fn answer(runtime: Arc<Runtime>, mut stream: UnixStream) {
    let answer = match read(&mut stream).await {
        Ok(bytes) => handle(&runtime, &bytes).await,
        Err(problem) => json!({ "error": problem }),
    };
    let told = async {
        stream.write_all(answer.to_string().as_bytes()).await?;
        stream.shutdown().await
    };
    // A sender that has gone away or doesn't listen misses the report; the event was handled all the same.
    let _ = tokio::time::timeout(ARRIVAL, told).await;
}

async fn read(stream: &mut UnixStream) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    let limit = LARGEST_EVENT as u64 + 1;
    let mut limited = stream.take(limit);
    match tokio::time::timeout(ARRIVAL, limited.read_to_end(&mut bytes)).await {
        Ok(Ok(_)) => Ok(bytes),
        Ok(Err(_)) => Err("the connection broke off"),
        Err(_) => Err("the event didn't arrive in time"),
    }
}

async fn handle(runtime: &Runtime, bytes: &[u8]) -> Value {
    let event = match EventData::parse(bytes) {
        Ok(event) => event,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    match runtime.dispatch(&event, BUDGET).await {
        Ok(report) => report.to_json(runtime.agent()),
        Err(error) => {
            json!({ "agent": runtime.agent().as_str(), "event": event.id(), "error": error.to_string(), "retry": error.is_retryable() })
        }
    }
}
