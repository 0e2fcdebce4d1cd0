//! The handshakes of a listener: tasks, a bounded number at once, each within a time. A client that says nothing holds
//! one of the places until its time is up, and nobody else meanwhile.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::TlsStream;
use super::failure::{Side, of_handshake};
use super::stream::Transport;

/// How long a client that is refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    time: Duration,
    max: usize,
    /// Dropped, they end.
    running: JoinSet<io::Result<TlsStream>>,
}

impl Handshakes {
    pub(super) fn new(acceptor: TlsAcceptor, time: Duration, max: usize) -> Handshakes {
        Handshakes { acceptor, time, max, running: JoinSet::new() }
    }

    pub(super) fn set_time(&mut self, time: Duration) {
        self.time = time;
    }

    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// The next stream after its handshake, or why there is none. `accept` gives the next client.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(Box<dyn Transport>, String)>>,
    ) -> Poll<io::Result<TlsStream>> {
        loop {
            // Those that have ended first, as they make room.
            if let Poll::Ready(Some(ended)) = self.running.poll_join_next(context) {
                // A handshake that panicked is that client's.
                return Poll::Ready(ended.unwrap_or_else(|error| Err(io::Error::other(error))));
            }
            if self.running.len() >= self.max {
                return Poll::Pending;
            }
            match accept(context) {
                Poll::Ready(Ok((transport, from))) => {
                    let one = one(self.acceptor.clone(), transport, from, self.time);
                    self.running.spawn(one);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

async fn one(
    acceptor: TlsAcceptor,
    transport: Box<dyn Transport>,
    from: String,
    time: Duration,
) -> io::Result<TlsStream> {
    let failed = |why: &str| Err(io::Error::other(format!("{from} is refused: {why}")));
    match timeout(time, acceptor.accept(transport).into_fallible()).await {
        Ok(Ok(stream)) => match TlsStream::new(stream, Side::Server) {
            Some(stream) => Ok(stream),
            None => failed("the client has shown no certificate"),
        },
        Ok(Err((error, transport))) => {
            let _ = timeout(LINGER, let_go(transport)).await;
            failed(&of_handshake(Side::Server, &error))
        }
        Err(_) => failed(&format!("the client has not made the handshake of TLS within {time:?}")),
    }
}

/// Lets a client read why it is refused: what it has sent is read, as the system would otherwise reset the connection,
/// with what was sent to the client still in it.
async fn let_go(mut transport: Box<dyn Transport>) {
    if transport.shutdown().await.is_ok() {
        let mut rest = [0; 1024];
        while transport.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }
}
