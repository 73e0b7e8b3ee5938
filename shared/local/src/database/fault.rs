//! What SQLite answers, told apart by what can be done about it. Its own words are left out:
//! they may quote the statement.

use rusqlite::{Error, ErrorCode};
use undertone_core::idempotency::IdempotencyError;
use undertone_core::{AuditError, StoreError};

/// Why a use of the database failed.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Trying again may help.
    Unavailable(String),
    /// What is stored can't be right.
    Damaged(String),
    /// The store's own answer: a conflict, an unknown scope.
    Refused(StoreError),
}

impl Fault {
    /// The thread that writes is gone.
    pub(crate) fn stopped() -> Self {
        Fault::Unavailable("its writer has stopped: start the program again".to_owned())
    }

    fn problem(self) -> String {
        match self {
            Fault::Unavailable(problem) | Fault::Damaged(problem) => problem,
            Fault::Refused(error) => error.to_string(),
        }
    }

    /// Says of what the damaged part speaks, where SQLite only said that a column is unreadable.
    pub(crate) fn about(self, what: impl FnOnce() -> String) -> Self {
        match self {
            Fault::Damaged(problem) => Fault::Damaged(format!("{}: {problem}", what())),
            Fault::Unavailable(_) | Fault::Refused(_) => self,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Some(answer) = error.sqlite_error() else {
            return Fault::Damaged("a stored field has the wrong form".to_owned());
        };
        let unavailable = |text: &str| Fault::Unavailable(text.to_owned());
        match answer.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                unavailable("another program kept it busy: try again in a moment")
            }
            ErrorCode::DiskFull => unavailable("the disk is full: free some space, then try again"),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => unavailable(
                "its files can't be written: check the owner and mode of the home folder and its files",
            ),
            ErrorCode::CannotOpen => unavailable(
                "its files can't be opened: check the mode of the home folder and how many files this program has open",
            ),
            ErrorCode::OutOfMemory => unavailable("there is not enough memory: free some, then try again"),
            ErrorCode::SystemIoFailure => Fault::Unavailable(format!(
                "the disk answered with an error (SQLite {}): check the disk, then try again",
                answer.extended_code
            )),
            _ => Fault::Damaged(format!(
                "the database file isn't as it was written (SQLite {}): run `undertone doctor`, then restore a backup",
                answer.extended_code
            )),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Refused(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(problem) => StoreError::Unavailable(problem),
            Fault::Damaged(problem) => StoreError::Damaged(problem),
            Fault::Refused(error) => error,
        }
    }
}

impl From<Fault> for AuditError {
    fn from(fault: Fault) -> Self {
        AuditError(fault.problem())
    }
}

impl From<Fault> for IdempotencyError {
    fn from(fault: Fault) -> Self {
        IdempotencyError(fault.problem())
    }
}
