//! The connection: resolved, vetted and pinned before the first byte, one per request.
//!
//! No connection is kept for another request, so none carries anything over from one Space to
//! the next, and each connects to an address that this request has vetted.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use undertone_tls::CertificateDer;

use super::address::Reach;

const CONNECT: Duration = Duration::from_secs(10);

/// The two clients of a process: one reaches public addresses, the other loopback. The latter is
/// made when it is first needed, which is never outside development.
pub(crate) struct Clients {
    public: reqwest::Client,
    loopback: OnceLock<Option<reqwest::Client>>,
    lookup: Arc<dyn Lookup>,
    extra: Vec<CertificateDer<'static>>,
}

/// Looks a host up. A port of its own, so that tests can answer like a hostile name server.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of the host.
    fn lookup(
        &self,
        host: String,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(
        &self,
        host: String,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
    }
}

impl Clients {
    /// Clients that trust whom the machine trusts, and `extra` certificates in tests. None if it
    /// trusts nobody.
    pub(crate) fn new(lookup: Arc<dyn Lookup>, extra: &[CertificateDer<'static>]) -> Option<Self> {
        Some(Self {
            public: client(Reach::Public, lookup.clone(), extra)?,
            loopback: OnceLock::new(),
            lookup,
            extra: extra.to_vec(),
        })
    }

    /// Nothing if the machine's root certificates have gone since the start.
    pub(crate) fn get(&self, reach: Reach) -> Option<&reqwest::Client> {
        let loopback = || client(Reach::Loopback, self.lookup.clone(), &self.extra);
        match reach {
            Reach::Public => Some(&self.public),
            Reach::Loopback => self.loopback.get_or_init(loopback).as_ref(),
        }
    }
}

fn client(
    reach: Reach,
    lookup: Arc<dyn Lookup>,
    extra: &[CertificateDer<'static>],
) -> Option<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(undertone_tls::client_config_trusting(extra).ok()?)
        .dns_resolver(Arc::new(Vetting { reach, lookup }))
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        // The proxy of the process's environment is not the operator's word.
        .no_proxy()
        // The next hop is judged in `redirect.rs`, not by the client.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("undertone/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .https_only(reach == Reach::Public)
        .retry(reqwest::retry::never());
    builder.build().ok()
}

/// One lookup; every answer must be within reach, or none is used.
struct Vetting {
    reach: Reach,
    lookup: Arc<dyn Lookup>,
}

/// An address was out of reach.
#[derive(Debug, thiserror::Error)]
#[error("an address isn't allowed")]
pub(crate) struct OutOfReach;

impl Resolve for Vetting {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookup) = (self.reach, self.lookup.clone());
        Box::pin(async move {
            let addresses = lookup.lookup(name.as_str().to_owned()).await?;
            if !addresses.iter().all(|address| reach.allows(address.ip())) {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
