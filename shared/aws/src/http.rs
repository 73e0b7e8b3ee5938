//! HTTP for the SDK: the client that listeners' requests use as well, HTTP/1.1 over rustls.
//!
//! The SDK would bring a client of its own, with HTTP/2, which none of these services speaks, and
//! half a megabyte more in every function.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;

/// How long a connection waits for its next request. AWS closes it sooner or later, and while a
/// function is frozen nobody notices.
const IDLE: Duration = Duration::from_secs(20);

/// One pool of connections for each set of timeouts; in fact there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Http(Arc<Mutex<HashMap<Timeouts, SharedHttpConnector>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Timeouts {
    connect: Option<Duration>,
    read: Option<Duration>,
}

impl Http {
    /// Requests that follow are sent over new connections.
    pub(crate) fn forget(&self) {
        self.0.lock().expect("no holder of this lock panics").clear();
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let timeouts = Timeouts { connect: settings.connect_timeout(), read: settings.read_timeout() };
        let mut made = self.0.lock().expect("no holder of this lock panics");
        let connector = || SharedHttpConnector::new(Connector(client(timeouts)));
        made.entry(timeouts).or_insert_with(connector).clone()
    }
}

/// Nothing if the machine has no root certificates.
#[derive(Debug)]
struct Connector(Option<reqwest::Client>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(client) = self.0.clone() else {
            let problem = "TLS can't be set up: install the system's root certificates (ca-certificates)";
            return HttpConnectorFuture::ready(Err(ConnectorError::user(problem.into())));
        };
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap));
            let request = request.map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.execute(request).await.map_err(sorted)?;
            let response: ::http::Response<reqwest::Body> = response.into();
            let response = HttpResponse::try_from(response.map(SdkBody::from_body_1_x));
            response.map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn client(timeouts: Timeouts) -> Option<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(undertone_tls::client_config().ok()?)
        // Credentials of a container come over plain HTTP: a proxy would read them.
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(IDLE)
        // The SDK tries again, or whoever keeps to a pace.
        .retry(reqwest::retry::never());
    if let Some(connect) = timeouts.connect {
        builder = builder.connect_timeout(connect);
    }
    if let Some(read) = timeouts.read {
        builder = builder.read_timeout(read);
    }
    builder.build().ok()
}

/// As the SDK sorts the errors of its own client: all may be tried again, except that what can't be
/// sent at all can't be sent later.
fn sorted(error: reqwest::Error) -> ConnectorError {
    if error.is_builder() {
        return ConnectorError::user(error.without_url().into());
    }
    let (timeout, connect) = (error.is_timeout(), error.is_connect());
    let error = error.without_url().into();
    match (timeout, connect) {
        (true, _) => ConnectorError::timeout(error),
        (false, true) => ConnectorError::io(error),
        // The connection ended before there was an answer, or within its head.
        (false, false) => ConnectorError::other(error, Some(ErrorKind::TransientError)),
    }
}
