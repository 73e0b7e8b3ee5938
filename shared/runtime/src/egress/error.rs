//! Why a request didn't do what it should. Carries method, host and status; never a query, header or body.

use std::time::Duration;

use undertone_core::{AuditError, ResolveError, UseError};

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The URL can't be requested.
    #[error("the URL is refused: {0}. Write it as https://host/path")]
    BadUrl(&'static str),
    /// Plain HTTP, where it isn't allowed.
    #[error(
        "{host} is refused: requests leave over https only (plain http reaches loopback in a development Environment)"
    )]
    PlainHttp {
        /// The host.
        host: String,
    },
    /// The host is an address that isn't public, or resolves to one.
    #[error("{host} is refused: it is, or resolves to, an address that isn't public")]
    AddressNotAllowed {
        /// The host.
        host: String,
    },
    /// A header's name or value isn't one.
    #[error("the header `{0}` is refused: its name or value can't be a header")]
    BadHeader(String),
    /// The body can't be built.
    #[error("the request's body can't be built: {0}")]
    BadBody(&'static str),
    /// A header template has not exactly one `{{}}`.
    #[error("a header template has exactly one {{}} where the secret goes")]
    BadTemplate,
    /// A secret may not be used like this.
    #[error(transparent)]
    Secret(#[from] UseError),
    /// No time is left before the invocation's deadline.
    #[error("{method} {host}: no time is left before the deadline")]
    Deadline {
        /// The method.
        method: String,
        /// The host.
        host: String,
    },
    /// The server can't be reached; nothing was sent.
    #[error("{method} {host}: can't connect ({problem})")]
    Connect {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// What failed: name, tcp, tls.
        problem: &'static str,
    },
    /// The request was sent and no answer came that could be read: it may have been carried out.
    #[error(
        "{method} {host}: no answer that can be read; it may have been carried out, so it isn't repeated"
    )]
    Ambiguous {
        /// The method.
        method: String,
        /// The host.
        host: String,
    },
    /// The server asks to come back after the deadline.
    #[error("{method} {host}: answered {status} and asks to come back in {} s, which is after the deadline", after.as_secs())]
    RetryLater {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// When to come back.
        after: Duration,
    },
    /// The answer isn't HTTP, is too large or broke off.
    #[error("{method} {host}: {problem}")]
    BadAnswer {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The status isn't 2xx. Only from [`super::Response::error_for_status`].
    #[error("{method} {host}: answered {status}")]
    Status {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// A part of the request that is no sink holds a value.
    #[error(
        "{method} {host}: the {place} holds the secret `{name}` as plain text, so nothing was sent: use a sink"
    )]
    SecretInRequest {
        /// The method.
        method: String,
        /// The host.
        host: String,
        /// The secret.
        name: String,
        /// Which part: address, headers, body.
        place: &'static str,
    },
    /// A redirect would carry a secret away.
    #[error("{method} {host}: a redirect that holds a secret in its address isn't followed")]
    SecretInRedirect {
        /// The method.
        method: String,
        /// The host.
        host: String,
    },
}

impl From<ResolveError> for EgressError {
    fn from(error: ResolveError) -> Self {
        EgressError::Secret(error.into())
    }
}

impl From<AuditError> for EgressError {
    fn from(error: AuditError) -> Self {
        EgressError::Secret(error.into())
    }
}
