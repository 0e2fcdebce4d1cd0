//! Where a process on another machine listens.

use std::fmt;
use std::str::FromStr;

use multiprocess::{Error, Result};

/// Where a process on another machine listens: always with TLS.
///
/// ```
/// use multiprocess_tokio::tls::Address;
///
/// let address: Address = "tls:[::1]:4000".parse()?;
/// assert_eq!(address, Address::Tls { host: "::1".to_owned(), port: 4000 });
/// assert_eq!(address.to_string(), "tls:[::1]:4000");
///
/// // Everyone on the way could read it, and call.
/// let error = "tcp:market.example:4000".parse::<Address>().unwrap_err();
/// assert!(error.to_string().contains("give tls:HOST:PORT"));
/// # Ok::<_, multiprocess::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `tls:HOST:PORT`: TLS over TCP.
    Tls {
        /// A name, or an address of IPv4 or (in brackets, when written) IPv6. A server's certificate has to be for it.
        host: String,
        /// The port of TCP.
        port: u16,
    },
    /// `vsock:CID:PORT`: TLS over vsock, between a virtual machine and its host. A server's certificate has to be for
    /// the name `vsock-CID`, unless [`connect_to_name`](super::connect_to_name) says another.
    Vsock {
        /// The context: 2 is the host. To listen, 4294967295 is whatever this machine has.
        cid: u32,
        /// The port of vsock.
        port: u32,
    },
}

impl Address {
    /// The name that a server's certificate has to be for.
    pub(super) fn server_name(&self) -> String {
        match self {
            Address::Tls { host, .. } => host.clone(),
            Address::Vsock { cid, .. } => format!("vsock-{cid}"),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        Error::address(self.to_string(), problem)
    }
}

impl FromStr for Address {
    type Err = Error;

    /// # Errors
    /// [`Error::Address`], which says what to give instead.
    fn from_str(text: &str) -> Result<Address> {
        let wrong = |problem: &str| Error::address(text, format!("{text:?} {problem}"));
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let parts = rest.rsplit_once(':');
        match kind {
            "tls" => {
                let form = || {
                    wrong(
                        "is not of the form tls:HOST:PORT, such as tls:node.example:4000 or tls:[::1]:4000",
                    )
                };
                let (host, port) = parts.ok_or_else(form)?;
                let bare = match host.strip_prefix('[') {
                    Some(host) => host.strip_suffix(']').filter(|host| host.contains(':')),
                    None => Some(host).filter(|host| !host.contains([':', ']'])),
                };
                let host = bare.filter(|host| !host.is_empty()).ok_or_else(form)?;
                let port = number(port).ok_or_else(form)?;
                Ok(Address::Tls { host: host.to_owned(), port })
            }
            "vsock" => {
                let form = || wrong("is not of the form vsock:CID:PORT, such as vsock:2:4000");
                let (cid, port) = parts.ok_or_else(form)?;
                let (cid, port) = (number(cid).ok_or_else(form)?, number(port).ok_or_else(form)?);
                Ok(Address::Vsock { cid, port })
            }
            "tcp" => Err(wrong(
                "is refused, as plain TCP authenticates nobody: give tls:HOST:PORT, with a certificate and its key",
            )),
            "unix" => Err(wrong(
                "is on this machine: connect to it with tokio's UnixStream, and listen with Serve::unix",
            )),
            _ => Err(wrong("is no address: give tls:HOST:PORT or vsock:CID:PORT")),
        }
    }
}

/// Of digits only.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tls { host, port } if host.contains(':') => write!(f, "tls:[{host}]:{port}"),
            Address::Tls { host, port } => write!(f, "tls:{host}:{port}"),
            Address::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for text in ["tls:a.example:1", "tls:127.0.0.1:65535", "tls:[::1]:0", "vsock:2:4294967295"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("vsock:3:5".parse::<Address>().unwrap().server_name(), "vsock-3");
        assert_eq!("tls:[::1]:5".parse::<Address>().unwrap().server_name(), "::1");
    }

    #[test]
    fn anything_else_says_what_to_give() {
        for (text, told) in [
            ("tls", "form tls:HOST:PORT"),
            ("tls:host", "form tls:HOST:PORT"),
            ("tls::80", "form tls:HOST:PORT"),
            ("tls:host:", "form tls:HOST:PORT"),
            ("tls:host:65536", "form tls:HOST:PORT"),
            ("tls:host:+80", "form tls:HOST:PORT"),
            ("tls:::1:80", "form tls:HOST:PORT"),
            ("tls:[host]:80", "form tls:HOST:PORT"),
            ("tls:[::1:80", "form tls:HOST:PORT"),
            ("vsock:host:80", "form vsock:CID:PORT"),
            ("vsock:2", "form vsock:CID:PORT"),
            ("tcp:host:80", "plain TCP authenticates nobody: give tls:HOST:PORT"),
            ("unix:/run/x", "is on this machine"),
            ("host:80", "is no address: give tls:HOST:PORT or vsock:CID:PORT"),
            ("", "is no address"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(&error, Error::Address { address, .. } if address == text));
            let told_is = error.to_string();
            assert!(told_is.contains(told) && told_is.lines().count() == 1, "{told_is}");
        }
    }
}
