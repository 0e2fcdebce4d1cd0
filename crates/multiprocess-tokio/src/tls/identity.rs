//! This side's certificate and key, and whose certificates it accepts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use multiprocess::Result;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::files::{certificates, private_key, wrong};
use super::revocation;

/// Who this process is to others, and whom it trusts. Clones are the same identity.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    files: Files,
    configs: Mutex<Configs>,
}

/// Where it comes from.
#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authorities: PathBuf,
    revoked: Option<PathBuf>,
}

/// What the files said when they were read last.
#[derive(Clone)]
struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Identity {
    /// Reads three PEM files:
    ///
    /// - `certificate`: this side's, followed by those of intermediate authorities, if there are any;
    /// - `key`: its private key (PKCS #8, PKCS #1 or SEC 1). Others must not be able to read the file, nor its group to
    ///   write it: `chmod 600`. (Its group may read it, as with systemd's `LoadCredential=`.)
    /// - `authorities`: the certificates of those who sign for peers. Peers whose certificates they have not signed are
    ///   refused, on both sides. A certificate that signs itself can be its own authority.
    ///
    /// # Errors
    /// [`Error::Address`](multiprocess::Error::Address) with the file that cannot be read or used, and why.
    pub fn from_pem_files(certificate: &Path, key: &Path, authorities: &Path) -> Result<Identity> {
        Identity::read(Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authorities: authorities.to_owned(),
            revoked: None,
        })
    }

    /// The same identity, with which peers are also refused whose certificates their authority has revoked. `file` has
    /// revocation lists in PEM (`-----BEGIN X509 CRL-----`): one of *each* authority that signs for peers, intermediate ones
    /// included. All files are read again.
    ///
    /// Nobody is let in by doubt: a peer of an authority without a list is refused, and so is, from the time on for which a
    /// list announces the next one, every peer of its authority. So the file has to be renewed in time, and
    /// [`reload`](Self::reload)ed. Connections that are there go on.
    ///
    /// ```no_run
    /// use multiprocess_tokio::tls::Identity;
    ///
    /// let [certificate, key, authorities, revoked] = ["own.pem", "own.key", "ca.pem", "ca.crl"];
    /// let identity = Identity::from_pem_files(certificate.as_ref(), key.as_ref(), authorities.as_ref())?
    ///     .revocation_lists(revoked.as_ref())?;
    /// # Ok::<_, multiprocess::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Address`](multiprocess::Error::Address) with the file and why: it cannot be read, has no list or something that
    /// is none, or one that has expired.
    pub fn revocation_lists(&self, file: &Path) -> Result<Identity> {
        Identity::read(Files { revoked: Some(file.to_owned()), ..self.0.files.clone() })
    }

    /// Reads the files again: for a certificate that was renewed, an authority that was added, a newer revocation list.
    /// Handshakes that begin from now on, of listeners and connections with this identity or a clone of it, are made with
    /// what they say; connections that are there go on. It blocks for as long as reading takes.
    ///
    /// # Errors
    /// As when they were read first. Then the identity stays as it was.
    pub fn reload(&self) -> Result<()> {
        let configs = Configs::read(&self.0.files)?;
        *self.0.configs.lock().unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }

    fn read(files: Files) -> Result<Identity> {
        let configs = Mutex::new(Configs::read(&files)?);
        Ok(Identity(Arc::new(Inner { files, configs })))
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.configs().server
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.configs().client
    }

    fn configs(&self) -> Configs {
        self.0.configs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.0.files.certificate)
            .finish_non_exhaustive()
    }
}

impl Configs {
    fn read(files: &Files) -> Result<Configs> {
        let chain = certificates(&files.certificate)?;
        let private = private_key(&files.key)?;
        let provider = Arc::new(ring::default_provider());
        let (clients, servers) = verifiers(files, &provider)?;
        let does_not_fit = |error| {
            let certificate = files.certificate.display();
            let problem = match error {
                tokio_rustls::rustls::Error::InconsistentKeys(_) => format!(
                    "is not the key of the certificate {certificate}: give the one that it was made with"
                ),
                error => format!("cannot be used with the certificate {certificate}: {error}"),
            };
            wrong(&files.key, problem)
        };
        let server = server(&provider, clients, chain.clone(), private.clone_key());
        let client = client(&provider, servers, chain, private);
        Ok(Configs {
            server: Arc::new(server.map_err(does_not_fit)?),
            client: Arc::new(client.map_err(does_not_fit)?),
        })
    }
}

/// Whose certificates are accepted: of clients, and of servers.
type Verifiers = (Arc<dyn ClientCertVerifier>, Arc<WebPkiServerVerifier>);

fn verifiers(files: &Files, provider: &Arc<CryptoProvider>) -> Result<Verifiers> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.authorities)? {
        roots.add(authority).map_err(|error| {
            wrong(
                &files.authorities,
                format!("has a certificate that cannot be an authority: {error}"),
            )
        })?;
    }
    let roots = Arc::new(roots);
    let lists = files.revoked.as_deref().map_or(Ok(Vec::new()), revocation::lists)?;
    let unusable = |error| match &files.revoked {
        Some(file) => wrong(file, format!("has something that is no revocation list: {error}")),
        None => wrong(&files.authorities, format!("cannot be used: {error}")),
    };
    // Without `allow_unauthenticated`: a client has to have a certificate. Without
    // `allow_unknown_revocation_status`: with lists, there has to be one of each authority.
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .with_crls(lists.iter().cloned())
        .enforce_revocation_expiration()
        .build()
        .map_err(unusable)?;
    let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .with_crls(lists.iter().cloned())
        .enforce_revocation_expiration()
        .build()
        .map_err(unusable)?;
    if let Some(file) = &files.revoked {
        revocation::check(file, &lists)?;
    }
    Ok((clients, servers))
}

type TlsError = tokio_rustls::rustls::Error;

fn server(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    // Each connection shows its certificate.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}
