//! Egress: requests whose sinks take handles.
//!
//! In this order, for every attempt and every hop: parse the URL, vet the address, check the
//! rules, write the audit rows, open the values, build the request, send it, wipe. A secret
//! leaves only over TLS (plain HTTP reaches loopback in a development Environment), only to a
//! host, with a method and through a sink that every row of its chain allows.

mod address;
mod body;
mod error;
mod field;
mod request;
mod response;
mod retry;
mod send;
mod target;
mod transport;

use std::sync::Arc;

use crate::attempt::Attempt;

pub use error::EgressError;
pub use field::FieldValue;
pub use request::Request;
pub use response::Response;
#[cfg(feature = "testing")]
pub use transport::Lookup;
#[cfg(not(feature = "testing"))]
pub(crate) use transport::Lookup;
pub(crate) use transport::{Clients, SystemLookup};

/// An HTTP client for one event: it knows the Environment's mode and the deadline.
#[derive(Clone)]
pub struct Http {
    pub(crate) attempt: Arc<Attempt>,
}

impl Http {
    /// A GET request.
    pub fn get(&self, url: &str) -> Request<'static> {
        self.request("GET", url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> Request<'static> {
        self.request("POST", url)
    }

    /// A PUT request.
    pub fn put(&self, url: &str) -> Request<'static> {
        self.request("PUT", url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: &str) -> Request<'static> {
        self.request("PATCH", url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: &str) -> Request<'static> {
        self.request("DELETE", url)
    }

    /// A request with any method. What is wrong with it is said by `send`.
    pub fn request(&self, method: &str, url: &str) -> Request<'static> {
        Request::new(self.clone(), method, url)
    }
}
