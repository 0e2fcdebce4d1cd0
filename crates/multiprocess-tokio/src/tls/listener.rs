//! Accepts TLS streams, and gives those whose clients have a certificate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use multiprocess::Result;
use tokio::net::{TcpListener, TcpStream};

use super::alive::prepare;
use super::handshakes::{Client, Handshakes, Origin};
use super::{Address, Identity, Peer, TlsStream};

/// Who may connect.
pub(crate) type Accept = Box<dyn FnMut(&Peer) -> bool + Send>;

/// Listens for TLS streams: a [`Stream`] of those whose clients have shown a certificate that one of the authorities has
/// signed, after their handshakes. For [`Serve::tls`](crate::Serve::tls).
///
/// A failed handshake is an error in one line, with the client's address; the next stream comes after it.
///
/// Polled within a tokio runtime, it makes the handshakes as tasks: a bounded number at once and of each address, each
/// within a time.
pub struct Listener {
    socket: Socket,
    handshakes: Handshakes,
    accept: Accept,
}

enum Socket {
    Tcp(TcpListener),
    #[cfg(feature = "vsock")]
    Vsock(tokio_vsock::VsockListener),
}

impl Listener {
    /// How long a handshake may take unless told otherwise.
    pub const HANDSHAKE: Duration = Duration::from_secs(10);
    /// How many handshakes are made at once unless told otherwise.
    pub const MAX_HANDSHAKES: usize = 64;
    /// How many handshakes of one address are made at once unless told otherwise.
    pub const MAX_HANDSHAKES_OF_ADDRESS: usize = 16;

    /// Listens at an address: `tls:0.0.0.0:PORT` is any of this machine's, and port 0 is a free one.
    ///
    /// # Errors
    /// [`Error::Address`](multiprocess::Error::Address): it cannot be listened there.
    pub async fn bind(address: &Address, identity: &Identity) -> Result<Listener> {
        let failed =
            |error: io::Error| address.error(format!("cannot listen at {address}: {error}"));
        let socket = match address {
            Address::Tls { host, port } => {
                Socket::Tcp(TcpListener::bind((host.as_str(), *port)).await.map_err(failed)?)
            }
            #[cfg(feature = "vsock")]
            Address::Vsock { cid, port } => {
                let at = tokio_vsock::VsockAddr::new(*cid, *port);
                Socket::Vsock(tokio_vsock::VsockListener::bind(at).map_err(failed)?)
            }
            #[cfg(not(feature = "vsock"))]
            Address::Vsock { .. } => return Err(no_vsock(address)),
        };
        let max = [Self::MAX_HANDSHAKES, Self::MAX_HANDSHAKES_OF_ADDRESS];
        let handshakes = Handshakes::new(identity.clone(), Self::HANDSHAKE, max);
        Ok(Listener { socket, handshakes, accept: Box::new(|_| true) })
    }

    /// Who may connect, of those who have a certificate that one of the authorities has signed. Others are told that they
    /// may not. All of them unless set.
    pub fn accept_if(mut self, accept: impl FnMut(&Peer) -> bool + Send + 'static) -> Listener {
        self.accept = Box::new(accept);
        self
    }

    /// How long a client may take from connecting to the end of its handshake. [`HANDSHAKE`](Self::HANDSHAKE) unless set.
    pub fn handshake(mut self, time: Duration) -> Listener {
        self.handshakes.time = time;
        self
    }

    /// How many handshakes are made at once, at least one. Clients beyond that wait in the queue of the system.
    /// [`MAX_HANDSHAKES`](Self::MAX_HANDSHAKES) unless set.
    pub fn max_handshakes(mut self, max: usize) -> Listener {
        self.handshakes.max = max.max(1);
        self
    }

    /// How many handshakes of one address are made at once, at least one, so that it does not take all the places.
    /// Clients beyond that wait for their turn, as many as there can be [handshakes](Self::max_handshakes); more are
    /// let go at once. Of IPv6 the addresses of one network (/64) count as one, of vsock the machine (the CID) does.
    /// [`MAX_HANDSHAKES_OF_ADDRESS`](Self::MAX_HANDSHAKES_OF_ADDRESS) unless set.
    pub fn max_handshakes_of_address(mut self, max: usize) -> Listener {
        self.handshakes.max_of_address = max.max(1);
        self
    }

    /// The address of TCP at which it listens; none of vsock.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(feature = "vsock")]
            Socket::Vsock(_) => None,
        }
    }

    /// Takes out who may connect, of which the stream knows nothing.
    pub(crate) fn take_accept(&mut self) -> Accept {
        std::mem::replace(&mut self.accept, Box::new(|_| true))
    }
}

impl Stream for Listener {
    type Item = io::Result<TlsStream>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Listener { socket, handshakes, .. } = self.get_mut();
        handshakes.poll_next(context, |context| socket.poll_accept(context)).map(Some)
    }
}

impl Socket {
    /// The next client.
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Client>> {
        match self {
            Socket::Tcp(listener) => listener.poll_accept(context).map(|accepted| {
                let (stream, from): (TcpStream, _) = accepted?;
                if let Err(error) = prepare(&stream) {
                    tracing::warn!("tls:{from}: cannot set the options of its socket: {error}");
                }
                let origin = Origin::of(from.ip());
                Ok(Client::new(Box::new(stream), format!("tls:{from}"), origin))
            }),
            #[cfg(feature = "vsock")]
            Socket::Vsock(listener) => listener.poll_accept(context).map(|accepted| {
                let (stream, from) = accepted?;
                let address = format!("vsock:{}:{}", from.cid(), from.port());
                Ok(Client::new(Box::new(stream), address, Origin::Cid(from.cid())))
            }),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.local_addr()).finish_non_exhaustive()
    }
}

#[cfg(not(feature = "vsock"))]
pub(super) fn no_vsock(address: &Address) -> multiprocess::Error {
    address.error(format!("{address} needs the feature `vsock` of multiprocess-tokio, which this program was built without"))
}
