//! What a call of AWS failed with, sorted once for all adapters: away, no, or not understood.
//!
//! Only the error's code is kept. A service's message may quote what it was sent.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use http_body_util::LengthLimitError;

/// Why a call gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Timeouts, broken connections, throttling, 5xx: trying again may help.
    Unavailable(String),
    /// No right, no valid credentials: trying again doesn't help.
    Denied(String),
    /// An answer came that isn't one of this service, or is too long.
    Garbled(String),
    /// Any other code of the service, for the caller to sort.
    Code(String),
}

/// Codes that mean "not so fast" or "not now".
const AWAY: [&str; 16] = [
    "BandwidthLimitExceeded",
    "DependencyTimeoutException",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "InternalServiceErrorException",
    "KMSInternalException",
    "KeyUnavailableException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes that mean that the caller isn't allowed, or isn't who it says.
const REFUSED: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotAuthorizedException",
];

/// Codes of a request whose signature or token isn't of now: the clock is wrong, or the
/// credentials have just been replaced. Refusals, and worth one try more.
const OUTDATED: [&str; 7] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Codes of a role or identity that doesn't pass.
const NO_ROLE: [&str; 4] =
    ["IDPRejectedClaim", "InvalidIdentityToken", "RegionDisabledException", "ValidationError"];

/// Sorts an SDK error of any service.
pub(crate) fn fault<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let service = match error {
        SdkError::ServiceError(service) => service,
        SdkError::TimeoutError(_) => return Fault::Unavailable(format!("{operation} took too long")),
        SdkError::DispatchFailure(failure) => {
            return match cause::<CredentialsError>(error) {
                Some(credentials) => without_credentials(operation, credentials),
                None if failure.is_user() => Fault::Denied(format!(
                    "{operation} can't be sent: check the endpoint, and that this machine has root certificates (ca-certificates)"
                )),
                None if failure.is_timeout() => Fault::Unavailable(format!("{operation} took too long")),
                None if failure.is_io() => Fault::Unavailable(format!("{operation}: the connection failed")),
                None => Fault::Unavailable(format!("{operation} couldn't be sent or its connection broke")),
            };
        }
        SdkError::ResponseError(_) => return unreadable(operation, error),
        _ => return Fault::Denied(format!("{operation} couldn't be sent: check region and endpoint")),
    };
    let status = service.raw().status().as_u16();
    if let Some(fault) = service.err().code().and_then(|code| known(operation, code)) {
        return fault;
    }
    match service.err().code() {
        Some(code) if status < 500 && is_code(code) => Fault::Code(code.to_owned()),
        None | Some(_) => match status {
            401 | 403 => Fault::Denied(format!("{operation}: status {status}")),
            408 | 429 | 500.. => Fault::Unavailable(format!("{operation}: status {status}")),
            _ => Fault::Garbled(format!("{operation} was answered with something that is no answer")),
        },
    }
}

/// Sorts a code from the body of an answer: a call for several things at once has one for each that it
/// didn't get.
pub(crate) fn fault_of_part(operation: &'static str, code: &str) -> Fault {
    match known(operation, code) {
        Some(fault) => fault,
        None if is_code(code) => Fault::Code(code.to_owned()),
        None => Fault::Garbled(format!("{operation} was answered with something that is no answer")),
    }
}

fn known(operation: &'static str, code: &str) -> Option<Fault> {
    if REFUSED.contains(&code) || OUTDATED.contains(&code) {
        return Some(Fault::Denied(format!("{operation}: {code}")));
    }
    AWAY.contains(&code).then(|| Fault::Unavailable(format!("{operation}: {code}")))
}

/// Whether the refusal may be due to a clock or to credentials that have changed since.
pub(crate) fn is_outdated<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::ServiceError(service)
        if service.err().code().is_some_and(|code| OUTDATED.contains(&code)))
}

/// Whether the refusal is due to the token, not to the clock.
pub(crate) fn is_expired<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::ServiceError(service)
        if service.err().code().is_some_and(|code| code.starts_with("ExpiredToken")))
}

fn without_credentials(operation: &'static str, error: &CredentialsError) -> Fault {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Fault::Denied(format!(
            "{operation} needs credentials of AWS and there are none: set AWS_PROFILE, or give the program a role"
        )),
        CredentialsError::InvalidConfiguration(_) => Fault::Denied(format!(
            "{operation} needs credentials of AWS and the profile's are wrongly set up"
        )),
        // Whoever hands out credentials is a service too, and may say no or be away.
        _ if is_refused(error) => {
            Fault::Denied(format!("{operation}: the role that the profile names was refused"))
        }
        _ => Fault::Unavailable(format!("{operation}: credentials of AWS couldn't be fetched")),
    }
}

/// Whether a service that hands out credentials has answered, and refused.
fn is_refused(error: &CredentialsError) -> bool {
    let code = cause::<AssumeRoleError>(error).and_then(AssumeRoleError::code);
    let by_token =
        || cause::<AssumeRoleWithWebIdentityError>(error).and_then(AssumeRoleWithWebIdentityError::code);
    let code = code.or_else(by_token);
    code.is_some_and(|code| [&REFUSED[..], &OUTDATED, &NO_ROLE].iter().any(|codes| codes.contains(&code)))
}

/// An answer that ended early is a broken connection; any other can't be from this service.
fn unreadable(operation: &'static str, error: &(dyn Error + 'static)) -> Fault {
    if cause::<LengthLimitError>(error).is_some() {
        return Fault::Garbled(format!("{operation} was answered at too great length"));
    }
    if cause::<io::Error>(error).is_some() {
        return Fault::Unavailable(format!("{operation}: the connection broke"));
    }
    Fault::Garbled(format!("{operation} was answered with something that is no answer"))
}

fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What is printed of a service's answer is at most a short word.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}
