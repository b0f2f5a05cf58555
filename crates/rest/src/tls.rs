//! TLS: rustls with ring and the system's certificates.

use std::sync::Arc;

use fleetwright_core::{Error, Kind, Result};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// What connections are made with. The crypto provider is named here and not installed for the
/// process: that is a program's choice, and other libraries of the same process bring their own.
pub(crate) fn config() -> Result<ClientConfig> {
    let wrong = |error: rustls::Error| {
        Error::new(
            Kind::Config,
            "no TLS connection can be made on this machine",
        )
        .with_hint("certificates are taken from the system: is `ca-certificates` installed?")
        .with_source(error)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_platform_verifier()
        .map_err(wrong)?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
