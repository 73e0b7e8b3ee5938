//! What a call of AWS failed with, sorted once for all adapters: away, or no.
//!
//! Only the error's code is kept. A service's message may quote what it was sent.

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// Why a call gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Timeouts, broken connections, throttling, 5xx: trying again may help.
    Unavailable(String),
    /// No right, no valid credentials: trying again doesn't help.
    Denied(String),
    /// Any other code of the service, for the caller to sort.
    Code(String),
}

/// Codes that mean "not so fast" or "not now".
const AWAY: [&str; 14] = [
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "InternalServiceErrorException",
    "KMSInternalException",
    "DependencyTimeoutException",
    "KeyUnavailableException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes that mean that the caller isn't allowed, or isn't who it says.
const REFUSED: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "UnrecognizedClientException",
];

/// Sorts an SDK error of any service.
pub(crate) fn fault<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata,
{
    let service = match error {
        SdkError::ServiceError(service) => service,
        SdkError::TimeoutError(_) => return Fault::Unavailable(format!("{operation} took too long")),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            return Fault::Unavailable(format!("{operation} took too long"));
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            return Fault::Unavailable(format!("{operation}: the connection failed"));
        }
        SdkError::DispatchFailure(_) => {
            return Fault::Unavailable(format!("{operation} couldn't be sent: check region and credentials"));
        }
        SdkError::ResponseError(_) => {
            return Fault::Unavailable(format!("{operation} was answered with something that is no answer"));
        }
        _ => return Fault::Unavailable(format!("{operation} couldn't be sent")),
    };
    let status = service.raw().status().as_u16();
    match service.err().code() {
        Some(code) if REFUSED.contains(&code) => Fault::Denied(format!("{operation}: {code}")),
        Some(code) if AWAY.contains(&code) => Fault::Unavailable(format!("{operation}: {code}")),
        Some(code) if status < 500 => Fault::Code(code.to_owned()),
        None if status == 403 => Fault::Denied(format!("{operation}: status 403")),
        None | Some(_) => Fault::Unavailable(format!("{operation}: status {status}")),
    }
}
