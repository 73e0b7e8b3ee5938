//! Why a listener doesn't run.

use std::io;
use std::path::PathBuf;

use undertone_core::AgentId;
use undertone_runtime::{ListenerError, RuntimeError};

/// Why a listener doesn't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no folder for the home.
    #[error("no home: set UNDERTONE_HOME, or make one with `undertone init`")]
    NoHome,
    /// A variable says something that this program doesn't know.
    #[error("{variable} is refused: {problem}")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What is wrong with it, without its text.
        problem: String,
    },
    /// The home can't be opened.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Home(#[from] undertone_local::LocalError),
    /// The store on AWS can't be opened.
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Aws(#[from] undertone_aws::InstallationError),
    /// Lambda can't be served.
    #[cfg(feature = "lambda")]
    #[error(transparent)]
    Lambda(#[from] undertone_lambda::LambdaError),
    /// The listener is wrong, or TLS can't be set up.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Another process runs the same listener.
    #[error("the listener `{0}` runs already: stop it first")]
    Running(AgentId),
    /// The socket can't be made or reached.
    #[error("the socket {path} can't be used: {source}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output can't be written.
    #[error("standard output can't be written: {0}")]
    Output(io::ErrorKind),
}

impl From<ListenerError> for RunError {
    fn from(error: ListenerError) -> Self {
        RunError::Runtime(error.into())
    }
}
