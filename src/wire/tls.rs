//! TLS for `https` and `wss`: one configuration for both.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;

/// Why nothing can be verified.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error(
        "this machine has no certificate authorities by which {address} could be verified ({source}): install them (most systems call \
         the package ca-certificates), name their file in SSL_CERT_FILE, or give --insecure"
    )]
    Authorities { address: String, source: rustls::Error },
}

/// For a target with these addresses. Certificates are verified as the platform does, or, with `--insecure`, not at all.
///
/// # Errors
/// A platform whose certificates can't be read, where an address needs them.
pub fn config(insecure: bool, addresses: &[&Url]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    if insecure {
        let verifier = Arc::new(AcceptAny(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    // A small container has no authorities, and a target without TLS needs none.
    let Some(address) = addresses.iter().find(|address| matches!(address.scheme(), "https" | "wss")) else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    match builder.with_platform_verifier() {
        Ok(builder) => Ok(builder.with_no_client_auth()),
        Err(source) => Err(TlsError::Authorities { address: address.to_string(), source }),
    }
}

/// For test servers with certificates of their own making; the user asked for it.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
