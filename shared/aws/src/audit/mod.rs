//! Audit on AWS: many writers, each with a chain segment of its own.
//!
//! Processes come and go, and nothing orders them; so each has a random writer id and a chain
//! under a key that is derived for that id. Rows of one writer can't be passed off as another's,
//! and no two processes ever wait for each other. What a segment's own chain can't show is that
//! the whole of it was removed: the table's backups and its trail do.

mod dynamo;
mod lines;
mod log;
mod open;
mod reading;
mod segment;
mod table;

pub use dynamo::DynamoAudit;
pub use lines::verify_lines;
pub use log::LogAudit;
pub use reading::TailRow;
pub use segment::{Segment, WriterId, WriterIdError};

use undertone_core::{AuditError, KeyError};

use crate::fault::Fault;

/// Why rows weren't written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum AuditFault {
    #[error("{0}")]
    Call(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a row of {0} bytes is longer than the log takes")]
    TooLong(usize),
    #[error("{0}: run `undertone audit verify`")]
    Damaged(&'static str),
    #[error("the log couldn't be written: {0}")]
    Output(std::io::ErrorKind),
    #[error(
        "its rows are in the program's log: export them and check them with `undertone audit verify --lines`"
    )]
    Elsewhere,
    #[error("this program is ending")]
    Stopped,
}

impl From<Fault> for AuditFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(problem)
            | Fault::Denied(problem)
            | Fault::Garbled(problem)
            | Fault::Code(problem) => AuditFault::Call(problem),
        }
    }
}

impl From<AuditFault> for AuditError {
    fn from(fault: AuditFault) -> Self {
        AuditError(fault.to_string())
    }
}
