//! An answer, read within limits of size and time.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::error::EgressError;
use undertone_core::redact::Guard;

use crate::attempt::Attempt;

/// A complete answer.
pub struct Response {
    method: String,
    host: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    attempt: Arc<Attempt>,
}

impl Response {
    pub(super) async fn read(
        mut answer: reqwest::Response,
        method: &str,
        host: &str,
        largest: usize,
        deadline: Instant,
        attempt: Arc<Attempt>,
    ) -> Result<Self, EgressError> {
        let bad =
            |problem| EgressError::BadAnswer { method: method.to_owned(), host: host.to_owned(), problem };
        let status = answer.status();
        let headers = answer.headers().clone();
        let mut body = Vec::new();
        loop {
            let chunk = tokio::time::timeout_at(deadline.into(), answer.chunk()).await;
            let chunk = chunk.map_err(|_| bad("the answer wasn't complete before the deadline"))?;
            let Some(chunk) = chunk.map_err(|_| bad("the answer broke off"))? else {
                break;
            };
            if largest < body.len() + chunk.len() {
                return Err(bad("the answer is larger than allowed"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { method: method.to_owned(), host: host.to_owned(), status, headers, body, attempt })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text, with every secret of this execution masked: fit for a log.
    pub fn masked_text(&self) -> String {
        // Masked before it is made a text: bytes that are none would be lost to the guard.
        let masked = |bytes: Vec<u8>, guard: &Arc<Guard>| guard.clean_bytes(&bytes).into_owned();
        let masked = self.attempt.guards().iter().fold(self.body.clone(), masked);
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// The body, parsed.
    ///
    /// # Errors
    /// If it isn't JSON of that shape. The error doesn't quote it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, EgressError> {
        serde_json::from_slice(&self.body).map_err(|_| EgressError::BadAnswer {
            method: self.method.clone(),
            host: self.host.clone(),
            problem: "the answer isn't the JSON that was expected",
        })
    }

    /// The answer itself if its status is 2xx.
    ///
    /// # Errors
    /// Any other status.
    pub fn error_for_status(self) -> Result<Self, EgressError> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(EgressError::Status { status: self.status(), method: self.method, host: self.host }),
        }
    }
}
