//! Who is at the other end of a TLS stream.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use multiprocess::{Connection, current_call};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;

/// Who is at the other end of a TLS stream: the certificate that it has shown, and whose key it has. One of this side's
/// authorities has signed it, and it had not expired. Two peers are equal if it is the same certificate. Cheap to clone.
///
/// A method asks for the one that calls it by [`of_current_call`](Self::of_current_call), an interceptor by
/// [`of`](Self::of): see [there](Self::of).
///
/// Shown, it is the fingerprint, as `openssl x509 -fingerprint -sha256` has it but for the colons.
#[derive(Clone)]
pub struct Peer {
    /// At least one.
    chain: Arc<[CertificateDer<'static>]>,
}

impl Peer {
    /// None without a certificate, which this side's handshakes do not allow.
    pub(super) fn shown(certificates: Option<&[CertificateDer<'static>]>) -> Option<Peer> {
        let chain: Arc<[_]> = certificates?.into();
        (!chain.is_empty()).then_some(Peer { chain })
    }

    /// The peer of a connection over a [`TlsStream`](super::TlsStream), on either side; none of other connections. For
    /// interceptors, which so decide by who calls what:
    ///
    /// ```
    /// use multiprocess::{Error, IncomingCall, Interceptor, Result};
    /// use multiprocess_tokio::tls;
    ///
    /// /// Only the one that packs may pack. Set by `Serve::intercept`.
    /// struct Rules;
    ///
    /// impl Interceptor for Rules {
    ///     fn before_serve(&self, call: &mut IncomingCall<'_>) -> Result<()> {
    ///         let peer = tls::Peer::of(&call.connection());
    ///         let may = match call.method() {
    ///             "Market.pack" => peer.is_some_and(|peer| peer.has_name("packer.example")),
    ///             _ => true,
    ///         };
    ///         match may {
    ///             true => Ok(()),
    ///             false => Err(Error::failed(format!("you may not call {}", call.method()))),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn of(connection: &Connection) -> Option<Peer> {
        connection.peer_identity::<Peer>().map(|peer| Peer::clone(&peer))
    }

    /// The peer whose call this thread serves: see [`current_call`].
    pub fn of_current_call() -> Option<Peer> {
        Peer::of(current_call()?.connection())
    }

    /// Its certificate (X.509, DER).
    pub fn certificate(&self) -> &[u8] {
        &self.chain[0]
    }

    /// All certificates that it has shown (X.509, DER), its own first. Those behind it are what the peer had to show that
    /// its own is signed by an authority: some of them may have had no part in that.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(|certificate| &**certificate)
    }

    /// The SHA-256 of its certificate: another one after each renewal.
    pub fn fingerprint(&self) -> [u8; 32] {
        let hash = digest(&SHA256, self.certificate());
        hash.as_ref().try_into().unwrap_or_else(|_| unreachable!("a SHA-256 has 32 bytes"))
    }

    /// Whether its certificate is for this name of DNS or IP address (a subject alternative name). The common name of
    /// its subject is not looked at.
    pub fn has_name(&self, name: &str) -> bool {
        let (Ok(name), Ok(certificate)) =
            (ServerName::try_from(name), ParsedCertificate::try_from(&self.chain[0]))
        else {
            return false;
        };
        verify_server_name(&certificate, &name).is_ok()
    }

    /// The names of DNS that its certificate is for (subject alternative names), as they stand there. To decide by a name,
    /// use [`has_name`](Self::has_name), which knows `*.example`, too.
    pub fn names(&self) -> Vec<String> {
        webpki::EndEntityCert::try_from(&self.chain[0])
            .map(|certificate| certificate.valid_dns_names().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// For the log: its first name, or else the beginning of the fingerprint, and the address.
    pub(super) fn at(&self, address: &str) -> String {
        match self.names().into_iter().next() {
            Some(name) => format!("{name}[{address}]"),
            None => format!("{:.16}[{address}]", self.to_string()),
        }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Peer) -> bool {
        self.certificate() == other.certificate()
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificate().hash(state);
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
