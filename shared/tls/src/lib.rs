//! TLS as every client of a process has it: rustls over aws-lc, and whom the machine trusts.
//!
//! The machine's root certificates are some hundred and fifty in a file of text, and reading them
//! takes a function longer than anything else at its start. So they are read once, and what is
//! made of them is shared. Nothing else is: each client remembers its own sessions.

use std::sync::{Arc, OnceLock};

use rustls::client::{ClientConfig, Resumption};
use rustls_platform_verifier::Verifier;

pub use rustls::pki_types::CertificateDer;

/// Sessions that a client remembers, by host.
const SESSIONS: usize = 256;

/// A client's side of TLS. The certificates are those that the machine trusted when this was first
/// asked for.
///
/// # Errors
/// If it trusts none.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    static FIRST: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(first) = FIRST.get() {
        return Ok(with_own_sessions(first.clone()));
    }
    let made = trusting(&[])?;
    // Of two that come here at once one is the first.
    Ok(with_own_sessions(FIRST.get_or_init(|| made).clone()))
}

/// Likewise, trusting these certificates as well.
///
/// # Errors
/// If one of these isn't a certificate.
pub fn client_config_trusting(more: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    match more {
        [] => client_config(),
        more => Ok(with_own_sessions(trusting(more)?)),
    }
}

fn trusting(more: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(more.iter().cloned(), provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // What rustls calls dangerous is a verifier that isn't its own; this one is the machine's.
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_no_client_auth();
    // The one protocol that our clients speak: no server takes their bytes for another's.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn with_own_sessions(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn the_machines_certificates_are_read_once() {
        let (one, other) = (
            client_config().expect("this machine trusts somebody"),
            client_config().expect("this machine trusts somebody"),
        );
        assert!(Arc::ptr_eq(one.crypto_provider(), other.crypto_provider()));
    }

    #[test]
    fn keys_are_agreed_on_so_that_a_quantum_computer_learns_nothing_later() {
        let config = client_config().expect("this machine trusts somebody");
        assert_eq!(config.crypto_provider().kx_groups[0].name(), NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn the_protocol_is_agreed_on_as_well() {
        let config = client_config().expect("this machine trusts somebody");
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(client_config_trusting(&[CertificateDer::from(vec![1, 2, 3])]).is_err());
    }
}
