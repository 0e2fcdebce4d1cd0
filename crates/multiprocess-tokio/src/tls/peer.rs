//! Who is at the other end of a TLS stream.

use std::fmt;

use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;

/// Who is at the other end of a TLS stream: the certificate that it has shown, and whose key it has. One of this side's
/// authorities has signed it, and it had not expired.
///
/// Shown, it is the fingerprint, as `openssl x509 -fingerprint -sha256` has it but for the colons.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    certificate: CertificateDer<'static>,
}

impl Peer {
    /// None without a certificate, which this side's handshakes do not allow.
    pub(super) fn of(certificates: Option<&[CertificateDer<'static>]>) -> Option<Peer> {
        let certificate = certificates?.first()?.clone();
        Some(Peer { certificate })
    }

    /// Its certificate (X.509, DER).
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The SHA-256 of its certificate: another one after each renewal.
    pub fn fingerprint(&self) -> [u8; 32] {
        let hash = digest(&SHA256, &self.certificate);
        hash.as_ref().try_into().unwrap_or_else(|_| unreachable!("a SHA-256 has 32 bytes"))
    }

    /// Whether its certificate is for this name of DNS or IP address (a subject alternative name). The common name of
    /// its subject is not looked at.
    pub fn has_name(&self, name: &str) -> bool {
        let (Ok(name), Ok(certificate)) =
            (ServerName::try_from(name), ParsedCertificate::try_from(&self.certificate))
        else {
            return false;
        };
        verify_server_name(&certificate, &name).is_ok()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fingerprint().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({self})")
    }
}
