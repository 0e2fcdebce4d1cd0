//! Files in PEM: certificates, keys.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use multiprocess::{Error, Result};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The most that is read of a file with certificates or a key, in bytes.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(file, MAX_FILE, |_| Ok(()))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(file, &error))?;
    match all.is_empty() {
        true => Err(wrong(file, "has no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        false => Ok(all),
    }
}

pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(file, MAX_FILE, |mode| match mode & 0o027 {
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
pub(super) fn read(
    file: &Path,
    max: u64,
    check: impl FnOnce(u32) -> Result<()>,
) -> Result<Vec<u8>> {
    let cannot = |error: std::io::Error| wrong(file, format!("cannot be read: {error}"));
    let opened = File::open(file).map_err(cannot)?;
    check(opened.metadata().map_err(cannot)?.permissions().mode())?;
    let mut text = Vec::new();
    opened.take(max + 1).read_to_end(&mut text).map_err(cannot)?;
    match text.len() as u64 > max {
        true => Err(wrong(file, format!("is longer than {} MiB: it is no such file", max >> 20))),
        false => Ok(text),
    }
}

pub(super) fn not_pem(file: &Path, error: &pem::Error) -> Error {
    wrong(file, format!("is damaged: {error}"))
}

pub(super) fn wrong(file: &Path, problem: impl fmt::Display) -> Error {
    let file = file.display().to_string();
    let problem = format!("{file} {problem}");
    Error::address(file, problem)
}
