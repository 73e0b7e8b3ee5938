//! What goes wrong with a home as a whole. Messages name files, lines and key ids, never a value.

use std::io;
use std::path::PathBuf;

use undertone_core::{KeyId, StoreError};

use crate::database::Fault;
use crate::root::KeyProblem;

/// Why a home can't be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The folder is in use as a home.
    #[error("{} holds {what} already: use that home, or choose another folder{}", dir.display(), unfinished(what))]
    HomeExists {
        /// The folder.
        dir: PathBuf,
        /// The file that is there.
        what: &'static str,
    },
    /// The folder is no home.
    #[error("there is no home in {}: make one with `undertone init`", dir.display())]
    NoHome {
        /// The folder.
        dir: PathBuf,
    },
    /// The home's secrets are in AWS.
    #[error("the home {} points to a store in AWS ([store] in its undertone.toml), and this works on an embedded store only: choose a home that has one", dir.display())]
    NotEmbedded {
        /// The folder.
        dir: PathBuf,
    },
    /// The settings are there and the database isn't.
    #[error("{} is missing: restore it from a backup", path.display())]
    NoDatabase {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file or folder can't be used as it must be.
    #[error("can't {doing} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb: `read`, `create`.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The settings can't be understood.
    #[error("{}, line {line}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong there and what would be right.
        problem: String,
    },
    /// The root key isn't where the settings say.
    #[error("{place} gives no key, and this home needs the root key {expected}: {problem}")]
    MissingKey {
        /// Where the key should be.
        place: String,
        /// Why there is none, and the fix.
        problem: KeyProblem,
        /// Its id.
        expected: KeyId,
    },
    /// There is a key and it isn't this home's.
    #[error(
        "{place} gives the key {found}, and this home needs the root key {expected}: put the right key there, or correct [key] in undertone.toml"
    )]
    WrongKey {
        /// Where the key came from.
        place: String,
        /// Its id.
        found: KeyId,
        /// The id of the home's key.
        expected: KeyId,
    },
    /// What is there can't be used as a root key.
    #[error("{place} can't be used as root key: {problem}")]
    BadKey {
        /// Where the key should be.
        place: String,
        /// Why it can't be used, and the fix.
        problem: KeyProblem,
    },
    /// The database was written by a newer program.
    #[error(
        "{} has format {found} and this program knows formats up to {known}: use a newer `undertone`; nothing was changed",
        path.display()
    )]
    NewerDatabase {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The database belongs to another program.
    #[error("{} is no Undertone database: nothing was changed", path.display())]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LocalError {
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| LocalError::File { doing, path, source }
    }
}

impl From<Fault> for LocalError {
    fn from(fault: Fault) -> Self {
        LocalError::Store(fault.into())
    }
}

/// The settings are written last: a database without them is what an interrupted init leaves.
fn unfinished(what: &str) -> &'static str {
    match what {
        crate::home::DATABASE => ". If `undertone init` was interrupted there, remove that file first",
        _ => "",
    }
}
