//! Why a handshake failed, in one line that says what to do.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Which side this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    fn other(self) -> &'static str {
        match self {
            Side::Client => "server",
            Side::Server => "client",
        }
    }
}

/// The same error with its explanation, where it is one of TLS.
pub(super) fn explained(side: Side, error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(tls) => io::Error::new(error.kind(), why(side, tls)),
        None => error,
    }
}

/// Of an error in the handshake.
pub(super) fn of_handshake(side: Side, error: &io::Error) -> String {
    let other = side.other();
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return why(side, tls);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("the {other} closed the connection in the handshake: does it speak TLS 1.3?")
        }
        _ => format!("the connection to the {other} failed in the handshake: {error}"),
    }
}

fn why(side: Side, error: &Error) -> String {
    let other = side.other();
    match error {
        Error::NoCertificatesPresented => {
            format!(
                "the {other} has no certificate: give it one that this side's authorities have signed"
            )
        }
        Error::InvalidCertificate(error) => of_certificate(other, error),
        Error::AlertReceived(alert) => of_alert(other, *alert),
        Error::InvalidMessage(_) => format!("the {other} does not speak TLS ({error})"),
        Error::PeerIncompatible(_) => {
            format!("the {other} does not speak TLS 1.3 as this side does ({error})")
        }
        _ => format!("TLS with the {other} failed: {error}"),
    }
}

/// What this side found in the other's certificate.
fn of_certificate(other: &str, error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => format!(
            "the {other}'s certificate is not signed by any of this side's authorities: add its authority to them, or \
             it is not the {other} that is meant"
        ),
        E::Expired | E::ExpiredContext { .. } => {
            format!(
                "the {other}'s certificate has expired: renew it (or this machine's clock is wrong)"
            )
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("the {other}'s certificate is not valid yet: is this machine's clock right?")
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => format!(
            "the {other}'s certificate is for another name ({error}): connect by a name that it has, or it is not the \
             {other} that is meant"
        ),
        E::BadSignature => format!(
            "the {other}'s certificate is signed by another authority that has the name of one of this side's: it is not the \
             {other} that is meant, or the authority has a new key, to be added"
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            format!("the {other}'s certificate is not for a {other} (extended key usage)")
        }
        E::Revoked => format!("the {other}'s certificate was revoked by its authority"),
        E::UnknownRevocationStatus => format!(
            "whether the {other}'s certificate was revoked is not known: this side has no revocation list of the authority \
             that signed it (or of one above), to be added to the others"
        ),
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => format!(
            "whether the {other}'s certificate was revoked is not known: the revocation list of its authority has expired, \
             get the newest and reload it (or this machine's clock is wrong)"
        ),
        error => format!("the {other}'s certificate cannot be used: {error}"),
    }
}

/// What the other side says about this one.
fn of_alert(other: &str, alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::UnknownCA => format!(
            "the {other} refuses this side's certificate: none of its authorities has signed it, or it does not know \
             whether it was revoked (UnknownCA)"
        ),
        A::CertificateExpired => {
            format!(
                "the {other} refuses this side's certificate: it has expired, renew it (CertificateExpired)"
            )
        }
        A::CertificateRevoked => {
            format!(
                "the {other} refuses this side's certificate: it was revoked (CertificateRevoked)"
            )
        }
        A::CertificateRequired => {
            format!("the {other} wants a certificate of this side (CertificateRequired)")
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateUnknown
        | A::AccessDenied
        | A::DecryptError => {
            format!("the {other} refuses this side's certificate ({alert:?}): its log says why")
        }
        A::ProtocolVersion | A::HandshakeFailure => {
            format!("the {other} does not speak TLS 1.3 as this side does ({alert:?})")
        }
        alert => format!("the {other} ended TLS ({alert:?}): its log says why"),
    }
}
