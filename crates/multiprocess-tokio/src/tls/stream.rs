//! A TLS stream after its handshake.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream as Inner;

use super::Peer;
use super::failure::{Side, explained};

/// What TLS runs over.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A TLS stream after its handshake: for [`start_stream`](crate::StartStream::start_stream), which tells the connection
/// who the peer is ([`Peer::of`]) and calls it by the first name of its certificate and its address, such as
/// `market.example[tls:192.0.2.1:4000]`, unless it has a [name](multiprocess::ConnectionBuilder::name_peer). (Within a
/// stream of another type it is not recognized: there
/// [`peer_identity`](multiprocess::ConnectionBuilder::peer_identity) is to be given its [`peer`](Self::peer).)
///
/// A server that refuses the client's certificate says so after the handshake: then the first call on the connection
/// fails, with an error that says what is wrong with the certificate.
pub struct TlsStream {
    inner: Inner<Box<dyn Transport>>,
    side: Side,
    peer: Peer,
    /// Of the other end.
    address: String,
}

impl TlsStream {
    /// None if the peer has shown no certificate.
    pub(super) fn new(
        inner: impl Into<Inner<Box<dyn Transport>>>,
        side: Side,
        address: String,
    ) -> Option<TlsStream> {
        let inner = inner.into();
        let peer = Peer::shown(inner.get_ref().1.peer_certificates())?;
        Some(TlsStream { inner, side, peer, address })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// How the peer is called in the log: by its certificate and its address.
    pub(crate) fn peer_name(&self) -> String {
        self.peer.at(&self.address)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let side = self.side;
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        Poll::Ready(read.map_err(|error| explained(side, error)))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("peer", &self.peer)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
