//! Where secrets are kept on this machine, and opening it. The one file that knows `undertone-local`.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use undertone_core::{Sealer, StoreError};
use undertone_local::{Argon2Params, Check, Home, KeyProblem, Level, LocalError, NewKey, Settings};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::init::KeyPlace;
use crate::opened::{Health, Opened, Parts, Place, Status};
use crate::prompt;
use crate::screen::Screen;

/// What `undertone doctor` says about the files and the key.
pub(crate) fn health(home: &Home) -> Vec<Health> {
    let status = |level| match level {
        Level::Ok => Status::Ok,
        Level::Warn => Status::Warn,
        Level::Fail => Status::Fail,
    };
    let checks = home.health().into_iter();
    checks
        .map(|Check { name, level, sentence }| Health {
            name: name.to_string(),
            status: status(level),
            message: sentence,
        })
        .collect()
}

/// What the home's `undertone.toml` says.
pub(crate) fn settings(directory: &Path) -> Result<Settings, LocalError> {
    undertone_local::read_settings(directory)
}

/// The home's folder: what was asked for, else by the environment.
pub(crate) fn directory(asked: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let chosen = asked.or_else(|| variable("UNDERTONE_HOME").map(PathBuf::from));
    let place = chosen.or_else(|| base("XDG_DATA_HOME", ".local/share").map(|base| base.join("undertone")));
    let place = place.ok_or(Failure::NoHome)?;
    std::path::absolute(&place).map_err(|_| Failure::NoHome)
}

/// Where the key file is kept unless somebody says otherwise, in a folder that exists then.
pub(crate) fn default_key_file() -> Result<PathBuf, Failure> {
    let base = base("XDG_CONFIG_HOME", ".config").ok_or(Failure::NoKeyPlace)?;
    let folder = base.join("undertone");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| LocalError::File { doing: "create", path: folder.clone(), source })?;
    Ok(folder.join("root.key"))
}

/// Opens the home; asks for its passphrase if it has one.
pub(crate) fn open(directory: &Path, screen: &Screen) -> Result<Opened, Failure> {
    let home = asking(prompt::passphrase, |read| Home::open(directory, read))?;
    for warning in home.warnings() {
        screen.warn(warning);
    }
    let (store, keys, audit) = (home.store(), home.keys(), home.audit());
    let sealer: Arc<dyn Sealer> = keys.clone();
    let place = Place::Home(Box::new(home));
    Ok(Opened::new(Parts { store, sealer, opener: keys, audit, place }))
}

/// Makes a home and its root key.
pub(crate) fn create(directory: &Path, key: &KeyPlace) -> Result<(), Failure> {
    let made = match key {
        KeyPlace::File(path) => Home::init(directory, NewKey::File(path.clone())).map_err(Failure::from),
        KeyPlace::Credential(name) => {
            Home::init(directory, NewKey::Credential { name: name.clone() }).map_err(Failure::from)
        }
        KeyPlace::Passphrase => asking(prompt::new_passphrase, |read| {
            Home::init(directory, NewKey::Passphrase { read, params: Argon2Params::default() })
        }),
    };
    made.map(drop)
}

/// Runs `work` with a way to ask; why the asking failed beats what `work` makes of it.
fn asking(
    ask: fn() -> Result<Zeroizing<String>, Failure>,
    work: impl FnOnce(&mut dyn FnMut() -> io::Result<Zeroizing<String>>) -> Result<Home, LocalError>,
) -> Result<Home, Failure> {
    let mut problem = None;
    let done = work(&mut || {
        ask().map_err(|failure| {
            problem = Some(failure);
            io::Error::other("no passphrase was entered")
        })
    });
    done.map_err(|error| problem.unwrap_or(Failure::Local(error)))
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A base folder of the XDG rules, under which a relative one counts as not set.
fn base(xdg: &str, under_home: &str) -> Option<PathBuf> {
    let given = variable(xdg).map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(under_home)))
}

/// The exit code and the code in JSON of what goes wrong with a home.
pub(crate) fn codes(error: &LocalError) -> (Exit, &'static str) {
    match error {
        LocalError::HomeExists { .. } => (Exit::Conflict, "home_exists"),
        LocalError::NoHome { .. } => (Exit::NotFound, "no_home"),
        LocalError::NotEmbedded { .. } => (Exit::Usage, "not_embedded"),
        LocalError::NoDatabase { .. } => (Exit::Damaged, "no_database"),
        LocalError::File { .. } => (Exit::Unavailable, "home_unusable"),
        LocalError::Settings { .. } => (Exit::Failed, "bad_settings"),
        LocalError::MissingKey { .. } => (Exit::Key, "missing_key"),
        LocalError::WrongKey { .. } => (Exit::Key, "wrong_key"),
        LocalError::BadKey { problem: KeyProblem::Exists, .. } => (Exit::Conflict, "key_file_exists"),
        LocalError::BadKey { .. } => (Exit::Key, "bad_key"),
        LocalError::NewerDatabase { .. } => (Exit::Unavailable, "newer_database"),
        LocalError::ForeignDatabase { .. } => (Exit::Damaged, "foreign_database"),
        LocalError::Store(StoreError::Damaged(_)) => (Exit::Damaged, "store_damaged"),
        LocalError::Store(_) => (Exit::Unavailable, "store_unavailable"),
    }
}

/// The command that helps, where there is one.
pub(crate) fn next(error: &LocalError) -> Option<String> {
    match error {
        LocalError::NoHome { .. } => Some("undertone init".to_owned()),
        LocalError::BadKey { problem: KeyProblem::Exists, .. } => {
            Some("undertone init --key-file PATH".to_owned())
        }
        _ => None,
    }
}
