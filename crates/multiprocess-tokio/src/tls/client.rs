//! Connects to a server on another machine.

use std::time::Duration;

use multiprocess::Result;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::alive::prepare;
use super::failure::{Side, of_handshake};
use super::stream::Transport;
use super::{Address, Identity, TlsStream};

/// How long connecting and the handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to a server and makes the handshake. Its certificate has to be signed by one of the identity's
/// authorities, and be for the host of the address. Within ten seconds; dropped, it gives up.
///
/// Whether the server accepts this side's certificate is known by the first call (see [`TlsStream`]).
///
/// # Errors
/// [`Error::Address`](multiprocess::Error::Address), in one line that says what to do: nobody listens there, or it is
/// not the server that is meant, or no server that speaks TLS.
pub async fn connect(address: &Address, identity: &Identity) -> Result<TlsStream> {
    connect_to_name(address, identity, &address.server_name()).await
}

/// The same where the server's certificate is for another name (of DNS, or an IP address) than the host of the address.
///
/// # Errors
/// As [`connect`].
pub async fn connect_to_name(
    address: &Address,
    identity: &Identity,
    server_name: &str,
) -> Result<TlsStream> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(|_| {
        address.error(format!("{server_name:?} is no name that a server's certificate can have"))
    })?;
    let connecting = async {
        let transport = transport(address).await?;
        let connected = TlsConnector::from(identity.client()).connect(name, transport).await;
        let stream = connected.map_err(|error| {
            address.error(format!(
                "cannot connect to {address}: {}",
                of_handshake(Side::Client, &error)
            ))
        })?;
        TlsStream::new(stream, Side::Client, address.to_string()).ok_or_else(|| {
            address.error(format!("the server at {address} has shown no certificate"))
        })
    };
    match timeout(PATIENCE, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(address.error(format!(
            "cannot connect to {address}: no answer within {} s; is it a server with TLS?",
            PATIENCE.as_secs()
        ))),
    }
}

async fn transport(address: &Address) -> Result<Box<dyn Transport>> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => address.error(format!(
            "cannot connect to {address}: nobody listens there: is the server running? ({error})"
        )),
        _ => address.error(format!("cannot connect to {address}: {error}")),
    };
    match address {
        Address::Tls { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
            prepare(&stream).map_err(failed)?;
            Ok(Box::new(stream))
        }
        #[cfg(feature = "vsock")]
        Address::Vsock { cid, port } => {
            let to = tokio_vsock::VsockAddr::new(*cid, *port);
            let stream = tokio_vsock::VsockStream::connect(to).await.map_err(|error| {
                // What the system says where TCP has "connection refused".
                match error.kind() {
                    std::io::ErrorKind::ConnectionReset => {
                        address.error(format!("cannot connect to {address}: nobody listens there"))
                    }
                    _ => failed(error),
                }
            })?;
            Ok(Box::new(stream))
        }
        #[cfg(not(feature = "vsock"))]
        Address::Vsock { .. } => Err(super::listener::no_vsock(address)),
    }
}
