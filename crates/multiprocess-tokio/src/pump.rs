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
/// How long the peer's last words may take when the stream takes nothing any more: what it said has come by then.
/// Calls wait for as long to fail.
const LAST_WORDS: Duration = Duration::from_millis(100);
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
        let Pump { explains, ended, mut socket, stream } = self;
        // Behind the socket, so that it is dropped before that if the runtime drops the task, or the stream panics.
        let explains = explains;
        Pump::carry(&mut socket, stream, ended, &explains).await;
        explains.end();
    }

    async fn carry(
        socket: &mut UnixStream,
        stream: S,
        ended: Option<Disconnected>,
        explains: &Explains,
    ) {
        let (mut from_peer, mut to_peer) = split(stream);
        let (mut from_here, mut to_here) = socket.split();
        let mut incoming = pin!(incoming(&mut from_peer, &mut to_here, explains));
        let mut outgoing = pin!(outgoing(&mut from_here, &mut to_peer));
        let ended = async {
            match ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        let (rest, time) = tokio::select! {
            // Data that has come is taken in before anything else is looked at.
            biased;
            () = &mut incoming => (Rest::Outgoing, LINGER),
            end = &mut outgoing => match end {
                Ok(()) => (Rest::Incoming, LINGER),
                // The peer may have said why it took no more.
                Err(error) => {
                    explains.because(&error);
                    (Rest::Incoming, LAST_WORDS)
                }
            },
            () = ended => (Rest::Both, LINGER),
        };
        // Nobody is told whether the rest succeeds: the connection has ended, or ends now.
        let _ = timeout(time, async {
            match rest {
                Rest::Incoming => incoming.await,
                Rest::Outgoing => drop(outgoing.await),
                Rest::Both => drop(tokio::join!(incoming, outgoing)),
            }
        })
        .await;
    }
}

/// The directions that have not ended.
enum Rest {
    Incoming,
    Outgoing,
    Both,
}

/// To the end of the stream, which becomes the end of the socket; so does an error, of which the connection is told.
/// What that does not take any more is read all the same: a TCP peer that still sends when this side closes may lose
/// what it was sent.
async fn incoming(
    stream: &mut (impl AsyncRead + Unpin),
    socket: &mut (impl AsyncWrite + Unpin),
    explains: &Explains,
) {
    let mut chunk = vec![0; CHUNK];
    let mut taken = true;
    loop {
        let count = stream.read(&mut chunk).await.unwrap_or_else(|error| {
            explains.because(&error);
            0
        });
        if count == 0 {
            let _ = socket.shutdown().await;
            return;
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

/// Tells the connection why it ends. Dropped before its [end](Self::end): the stream has panicked, or the runtime has
/// dropped the task.
struct Explains(WeakConnection);

impl Explains {
    /// The stream has failed.
    fn because(&self, error: &io::Error) {
        self.0.explain_end(format!("the stream to the other side failed: {error}"));
    }

    fn end(mut self) {
        self.0 = WeakConnection::default();
    }
}

impl Drop for Explains {
    fn drop(&mut self) {
        self.0.explain_end(if std::thread::panicking() {
            "the stream to the other side panicked"
        } else {
            "the tokio runtime that carried its bytes was shut down"
        });
    }
}
