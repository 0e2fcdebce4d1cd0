//! The handshakes of a listener: tasks, a bounded number at once and of each address, each within a time. A client that
//! says nothing holds one of the places until its time is up, and one address does not get the places of others.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::failure::{Side, of_handshake};
use super::stream::Transport;
use super::{Identity, TlsStream};

/// How long a client that is refused may take to read why.
const LINGER: Duration = Duration::from_secs(1);

pub(super) struct Handshakes {
    identity: Identity,
    pub(super) time: Duration,
    pub(super) max: usize,
    pub(super) max_of_address: usize,
    /// Dropped, they end.
    running: JoinSet<io::Result<TlsStream>>,
    /// Of each that runs.
    origins: HashMap<Id, Origin>,
    /// Of addresses that have all their places; as many as can run.
    waiting: VecDeque<Client>,
}

/// A client that has connected.
pub(super) struct Client {
    transport: Box<dyn Transport>,
    from: String,
    origin: Origin,
    since: Instant,
}

/// What counts as one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Ip(IpAddr),
    /// A virtual machine.
    #[cfg(feature = "vsock")]
    Cid(u32),
}

impl Origin {
    /// Of IPv6 the network: one machine can have all the addresses in it.
    pub(super) fn of(address: IpAddr) -> Origin {
        Origin::Ip(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

impl Client {
    pub(super) fn new(transport: Box<dyn Transport>, from: String, origin: Origin) -> Client {
        Client { transport, from, origin, since: Instant::now() }
    }
}

impl Handshakes {
    pub(super) fn new(identity: Identity, time: Duration, max: [usize; 2]) -> Handshakes {
        let [max, max_of_address] = max;
        let (running, origins, waiting) = Default::default();
        Handshakes { identity, time, max, max_of_address, running, origins, waiting }
    }

    /// The next stream after its handshake, or why there is none. `accept` gives the next client.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<Client>>,
    ) -> Poll<io::Result<TlsStream>> {
        loop {
            // Those that have ended first, as they make room.
            if let Poll::Ready(Some(ended)) = self.running.poll_join_next_with_id(context) {
                let (id, outcome) = match ended {
                    Ok(ended) => ended,
                    // A handshake that panicked is that client's.
                    Err(error) => (error.id(), Err(io::Error::other(error))),
                };
                if let Some(origin) = self.origins.remove(&id) {
                    self.begin_next_of(origin);
                }
                return Poll::Ready(outcome);
            }
            if self.running.len() >= self.max {
                return Poll::Pending;
            }
            match accept(context) {
                Poll::Ready(Ok(client)) if self.has_place(client.origin) => self.begin(client),
                Poll::Ready(Ok(client)) if self.waiting.len() < self.max => {
                    self.waiting.push_back(client);
                }
                Poll::Ready(Ok(client)) => {
                    return Poll::Ready(refused(
                        &client.from,
                        "its address has too many handshakes under way (Listener::max_handshakes_of_address)",
                    ));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn has_place(&self, origin: Origin) -> bool {
        self.origins.values().filter(|other| **other == origin).count() < self.max_of_address
    }

    /// One of this address has ended: the one of the same that has waited longest has its place.
    fn begin_next_of(&mut self, origin: Origin) {
        let next = self.waiting.iter().position(|client| client.origin == origin);
        if let Some(client) = next.and_then(|next| self.waiting.remove(next)) {
            self.begin(client);
        }
    }

    fn begin(&mut self, client: Client) {
        let origin = client.origin;
        let acceptor = TlsAcceptor::from(self.identity.server());
        let task = self.running.spawn(one(acceptor, client, self.time));
        self.origins.insert(task.id(), origin);
    }
}

fn refused(from: &str, why: &str) -> io::Result<TlsStream> {
    Err(io::Error::other(format!("{from} is refused: {why}")))
}

async fn one(acceptor: TlsAcceptor, client: Client, time: Duration) -> io::Result<TlsStream> {
    let Client { transport, from, since, .. } = client;
    // It may have waited for its turn.
    let left = time.saturating_sub(since.elapsed());
    match timeout(left, acceptor.accept(transport).into_fallible()).await {
        Ok(Ok(stream)) => match TlsStream::new(stream, Side::Server, from.clone()) {
            Some(stream) => Ok(stream),
            None => refused(&from, "the client has shown no certificate"),
        },
        Ok(Err((error, transport))) => {
            let _ = timeout(LINGER, let_go(transport)).await;
            refused(&from, &of_handshake(Side::Server, &error))
        }
        Err(_) => {
            let why = format!("the client has not made the handshake of TLS within {time:?}");
            refused(&from, &why)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let of = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
