//! This side's certificate and key, and whose certificates it accepts: read from PEM files.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use multiprocess::{Error, Result};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The most that is read of a file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Who this process is to others, and whom it trusts. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
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
    /// [`Error::Address`] with the file that cannot be read or used, and why.
    pub fn from_pem_files(certificate: &Path, key: &Path, authorities: &Path) -> Result<Identity> {
        let chain = certificates(certificate)?;
        let private = private_key(key)?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities)? {
            roots.add(authority).map_err(|error| {
                wrong(
                    authorities,
                    format!("has a certificate that cannot be an authority: {error}"),
                )
            })?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());
        let does_not_fit = |error| {
            wrong(
                key,
                format!("cannot be used with the certificate {}: {error}", certificate.display()),
            )
        };
        let server = server(&provider, &roots, chain.clone(), private.clone_key());
        let client = client(&provider, &roots, chain, private);
        Ok(Identity {
            server: Arc::new(server.map_err(does_not_fit)?),
            client: Arc::new(client.map_err(does_not_fit)?),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

type TlsError = tokio_rustls::rustls::Error;

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    // Without `allow_unauthenticated`: a client has to have a certificate.
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| TlsError::General(error.to_string()))?;
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
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain, key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(file, |_| Ok(()))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(file, &error))?;
    match all.is_empty() {
        true => Err(wrong(file, "has no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        false => Ok(all),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(file, |mode| match mode & 0o027 {
        0 => Ok(()),
        _ => Err(wrong(
            file,
            "has a key and is open to others: chmod 600 it, and make a new key if others can have seen it",
        )),
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => wrong(
            file,
            "has no private key in PEM without a passphrase (-----BEGIN PRIVATE KEY-----)",
        ),
        error => not_pem(file, &error),
    })
}

/// Reads a file if its mode is allowed: of the file that is open, so that it cannot be another one.
fn read(file: &Path, check: impl FnOnce(u32) -> Result<()>) -> Result<Vec<u8>> {
    let cannot = |error: std::io::Error| wrong(file, format!("cannot be read: {error}"));
    let opened = File::open(file).map_err(cannot)?;
    check(opened.metadata().map_err(cannot)?.permissions().mode())?;
    let mut text = Vec::new();
    opened.take(MAX_FILE + 1).read_to_end(&mut text).map_err(cannot)?;
    match text.len() as u64 > MAX_FILE {
        true => Err(wrong(file, "is longer than a megabyte: it is no PEM file")),
        false => Ok(text),
    }
}

fn not_pem(file: &Path, error: &pem::Error) -> Error {
    wrong(file, format!("is damaged: {error}"))
}

fn wrong(file: &Path, problem: impl fmt::Display) -> Error {
    let file = file.display().to_string();
    let problem = format!("{file} {problem}");
    Error::address(file, problem)
}
