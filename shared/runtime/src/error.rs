//! What a handler fails with: any error, kept as it is, so that the caller of dispatch can sort it.

use std::error::Error as StdError;
use std::fmt;

/// A handler's failure. Made from any error by `?`, or from a message.
pub struct Error(Box<dyn StdError + Send + Sync>);

impl Error {
    /// A failure in the author's words. The leak guard looks at it like at every error.
    pub fn msg(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// The error inside, if it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({})", self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
