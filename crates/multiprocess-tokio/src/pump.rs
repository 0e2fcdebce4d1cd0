//! Carries a connection's bytes between a stream and the socket that stands for it: a task.
//!
//! ```text
//!   Connection <──> socket pair <──> Pump <──> stream <──> peer
//!                     incoming: stream -> socket
//!                     outgoing: socket -> stream
//! ```
//!
//! What each side has written before its end is delivered to the other. Neither side is left waiting for the
//! other: once one has ended, the rest gets [`LINGER`].

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::Duration;

use multiprocess::{Connection, Disconnected, Error, Result, WeakConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long the rest may take when one side has ended: to write what the connection had written before its end,
/// and to see the end of the peer.
const LINGER: Duration = Duration::from_secs(5);
/// What is copied at once, each way: a record of TLS.
const CHUNK: usize = 16 << 10;

pub(crate) struct Pump<S> {
    // First, so that it is dropped first: before the socket, whose end the connection would see.
    explains: Explains,
    ended: Option<Disconnected>,
    socket: UnixStream,
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Pump<S> {
    /// The socket for the connection, and what carries its bytes.
    pub(crate) fn new(stream: S, handle: &Handle) -> Result<(OwnedFd, Pump<S>)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()
            .map_err(|error| Error::io("make a socket pair", error))?;
        ours.set_nonblocking(true).map_err(|error| Error::io("use a socket pair", error))?;
        let _entered = handle.enter();
        // Panics here, not in the task, where the runtime has no time.
        drop(tokio::time::sleep(Duration::ZERO));
        let socket =
            UnixStream::from_std(ours).map_err(|error| Error::io("watch a socket pair", error))?;
        let explains = Explains(WeakConnection::default());
        Ok((theirs.into(), Pump { explains, ended: None, socket, stream }))
    }

    /// For this connection, which it does not keep; none if it has ended already.
    pub(crate) fn carrying(mut self, connection: Option<&Connection>) -> Pump<S> {
        if let Some(connection) = connection {
            self.explains = Explains(connection.downgrade());
            self.ended = Some(connection.disconnected());
        }
        self
    }

    pub(crate) async fn run(self) {
        let Pump { explains, ended, socket, stream } = self;
        let (mut from_peer, mut to_peer) = split(stream);
        let (mut from_here, mut to_here) = socket.into_split();
        // They only borrow the halves: a half of the socket that is dropped is an end that the connection sees.
        let mut incoming = pin!(incoming(&mut from_peer, &mut to_here));
        let mut outgoing = pin!(outgoing(&mut from_here, &mut to_peer));
        let ended = async {
            match ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        // The last, so that it is dropped before the halves of the socket if the runtime drops the task.
        let explains = explains;
        let rest = tokio::select! {
            // Data that has come is taken in before anything else is looked at.
            biased;
            end = &mut incoming => match end {
                Ok(()) => Rest::Outgoing,
                Err(error) => return explains.because(&error),
            },
            end = &mut outgoing => match end {
                Ok(()) => Rest::Incoming,
                // The peer may have said why it took no more.
                Err(error) => {
                    explains.set(&error);
                    Rest::Incoming
                }
            },
            () = ended => Rest::Both,
        };
        // Nobody is told whether the rest succeeds: the connection has ended.
        let _ = timeout(LINGER, async {
            match rest {
                Rest::Incoming => drop(incoming.await),
                Rest::Outgoing => drop(outgoing.await),
                Rest::Both => drop(tokio::join!(incoming, outgoing)),
            }
        })
        .await;
        explains.end();
    }
}

/// The directions that have not ended.
enum Rest {
    Incoming,
    Outgoing,
    Both,
}

/// To the end of the stream, which becomes the end of the socket. What the connection does not take any more is
/// read all the same: a TCP peer that still sends when this side closes may lose what it was sent.
async fn incoming(
    stream: &mut (impl AsyncRead + Unpin),
    socket: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut taken = true;
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            let _ = socket.shutdown().await;
            return Ok(());
        }
        taken = taken && socket.write_all(&chunk[..count]).await.is_ok();
    }
}

/// To the end of the socket, which becomes the end of the stream. An error is the stream's.
async fn outgoing(
    socket: &mut (impl AsyncRead + Unpin),
    stream: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        // An error is the connection's end, in another way.
        let count = socket.read(&mut chunk).await.unwrap_or(0);
        if count == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&chunk[..count]).await?;
        // Streams with a buffer of their own, such as TLS, would keep it.
        stream.flush().await?;
    }
}

/// Tells the connection why it ends. Dropped before its [end](Self::end): the runtime has dropped the task.
struct Explains(WeakConnection);

impl Explains {
    /// The stream has failed.
    fn set(&self, error: &io::Error) {
        self.0.explain_end(format!("the stream to the other side failed: {error}"));
    }

    fn because(self, error: &io::Error) {
        self.set(error);
        self.end();
    }

    fn end(mut self) {
        self.0 = WeakConnection::default();
    }
}

impl Drop for Explains {
    fn drop(&mut self) {
        self.0.explain_end("the tokio runtime that carried its bytes was shut down");
    }
}
