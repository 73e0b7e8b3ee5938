//! Certificates made for one test run: right ones, and wrong in one way each.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate authority that the tests trust.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A certificate for `localhost` that is fine.
    Right,
    /// One that ran out in 2021.
    Expired,
    /// One that begins in 2090.
    NotYet,
    /// One for another host.
    OtherHost,
    /// One that nobody signed but itself.
    SelfSigned,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    /// The root to trust.
    pub fn root(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The root to trust, as programs read it from a file.
    pub fn root_pem(&self) -> String {
        use base64::Engine;
        let base64 = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    }

    /// A server's side of TLS.
    pub fn acceptor(&self, shown: Shown) -> TlsAcceptor {
        let host = match shown {
            Shown::OtherHost => "other.example",
            Shown::Right | Shown::Expired | Shown::NotYet | Shown::SelfSigned => "localhost",
        };
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a host is a name");
        match shown {
            Shown::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Shown::NotYet => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }
            Shown::Right | Shown::OtherHost | Shown::SelfSigned => {}
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match shown {
            Shown::SelfSigned => params.self_signed(&key),
            Shown::Right | Shown::Expired | Shown::NotYet | Shown::OtherHost => {
                params.signed_by(&key, &self.issuer)
            }
        };
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key made here");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key is the certificate's");
        TlsAcceptor::from(Arc::new(config))
    }
}
