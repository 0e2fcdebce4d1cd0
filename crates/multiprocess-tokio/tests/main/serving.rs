//! Accept loops: who is served, and how they end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use multiprocess::{Connection, Error, Result};
use multiprocess_tokio::{Serve, StartStream, serve};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::market::MarketClient;
use crate::stall::{LONG, Stall, soon, until};

struct Serving {
    stall: Stall,
    shutdown: CancellationToken,
    task: JoinHandle<Result<()>>,
    directory: TempDir,
}

impl Serving {
    /// Serves a stall at a path.
    fn start(serve: Serve) -> Serving {
        Serving::start_with(serve, |object, _| Ok(object))
    }

    /// The same where `make` gives each peer its object, by how many there were before.
    fn start_with(
        serve: Serve,
        mut make: impl FnMut(MarketClient, usize) -> Result<MarketClient> + Send + 'static,
    ) -> Serving {
        let mut count = 0;
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("market.sock")).unwrap();
        let (stall, shutdown) = (Stall::default(), CancellationToken::new());
        let (object, token) = (stall.client(&Handle::current()), shutdown.clone());
        let make = move |_: &UnixStream| {
            count += 1;
            make(object.clone(), count - 1)
        };
        let task = tokio::spawn(async move { serve.unix(listener, make, token).await });
        Serving { stall, shutdown, task, directory }
    }

    async fn connect(&self) -> (MarketClient, Connection) {
        let stream = UnixStream::connect(self.directory.path().join("market.sock")).await.unwrap();
        let calling = Connection::builder().start_stream(stream).unwrap();
        (calling.bootstrap().unwrap(), calling)
    }
}

#[tokio::test]
async fn what_runs_at_shutdown_ends_first() {
    let serving = Serving::start(Serve::new().grace(LONG));
    let ((busy, busy_connection), (idle, idle_connection)) =
        (serving.connect().await, serving.connect().await);
    assert_eq!(idle.price("tea").await.unwrap(), 3);
    let call = busy.price("patience").start();
    let running = || serving.stall.0.running.load(Ordering::SeqCst);
    until("it runs", || running() == 1).await;
    serving.shutdown.cancel();
    // Who has nothing under way is let go at once.
    let reason = soon(idle_connection.disconnected()).await;
    assert!(reason.to_string().contains("disconnected"), "{reason}");
    assert!(busy_connection.is_connected() && !serving.task.is_finished());
    serving.stall.0.go.notify_one();
    assert_eq!(soon(call).await.unwrap(), 8);
    soon(serving.task).await.unwrap().unwrap();
    soon(busy_connection.disconnected()).await;
    // Nobody listens there any more.
    let path = serving.directory.path().join("market.sock");
    assert_eq!(
        UnixStream::connect(path).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_time_is_cancelled() {
    let serving = Serving::start(Serve::new().grace(Duration::from_millis(20)));
    let (market, _connection) = serving.connect().await;
    let call = market.price("hope").start();
    until("it runs", || serving.stall.0.running.load(Ordering::SeqCst) == 1).await;
    serving.shutdown.cancel();
    soon(serving.task).await.unwrap().unwrap();
    assert_eq!(serving.stall.0.dropped.load(Ordering::SeqCst), 1);
    assert!(soon(call).await.unwrap_err().is_disconnect());
}

#[tokio::test]
async fn a_loop_that_is_dropped_ends_its_connections() {
    let serving = Serving::start(Serve::new());
    let (market, connection) = serving.connect().await;
    let call = market.price("hope").start();
    until("it runs", || serving.stall.0.running.load(Ordering::SeqCst) == 1).await;
    serving.task.abort();
    assert!(soon(serving.task).await.unwrap_err().is_cancelled());
    assert!(soon(call).await.unwrap_err().is_disconnect());
    soon(connection.disconnected()).await;
    until("it is dropped", || serving.stall.0.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_token_that_is_cancelled_before_serves_nobody() {
    let serving = Serving::start(Serve::new());
    serving.shutdown.cancel();
    soon(serving.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_more_than_the_maximum_is_told_so_and_places_become_free() {
    let serving = Serving::start(Serve::new().max_connections(1));
    let (first, connection) = serving.connect().await;
    assert_eq!(first.price("tea").await.unwrap(), 3);
    let (second, _) = serving.connect().await;
    let error = soon(second.price("tea")).await.unwrap_err();
    assert!(error.to_string().contains("this server has 1 connection, its maximum"), "{error}");
    drop((first, connection));
    soon(async {
        loop {
            let (third, _connection) = serving.connect().await;
            if third.price("tea").await.is_ok() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_connect_is_told_so() {
    let asked = Arc::<Mutex<Vec<u32>>>::default();
    let seen = Arc::clone(&asked);
    let accept = move |peer: &multiprocess::process::PeerCredentials| {
        seen.lock().unwrap().push(peer.uid);
        false
    };
    let serving = Serving::start(Serve::new().accept_if(accept));
    let (market, _connection) = serving.connect().await;
    let error = soon(market.price("tea")).await.unwrap_err();
    assert!(error.to_string().contains("this server does not serve your user"), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_peer_that_says_nothing_loses_its_place() {
    let serving = Serving::start(Serve::new().first_message(Duration::from_millis(20)));
    let stream = UnixStream::connect(serving.directory.path().join("market.sock")).await.unwrap();
    soon(stream.readable()).await.unwrap();
    let mut byte = [0; 1024];
    // It is told why, or only sees the end.
    soon(async {
        while stream.try_read(&mut byte).is_ok_and(|count| count > 0) {
            stream.readable().await.unwrap();
        }
    })
    .await;
    // Who says something in time is served; on a busy machine not the first who tries.
    soon(async {
        loop {
            let (market, _connection) = serving.connect().await;
            if market.price("tea").await.is_ok_and(|price| price == 3) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn peers_whose_first_message_comes_at_once_keep_their_places() {
    let serving = Serving::start(Serve::new().first_message(Duration::from_secs(2)));
    let mut peers = Vec::new();
    for _ in 0..100 {
        // Nothing is called after the first message but this.
        let (market, connection) = serving.connect().await;
        let call = market.price("patience").start();
        peers.push((market, connection, call));
    }
    // This one has its place until the time of all of them has passed.
    let silent = UnixStream::connect(serving.directory.path().join("market.sock")).await.unwrap();
    soon(silent.readable()).await.unwrap();
    for (_, connection, _) in &peers {
        assert!(connection.is_connected(), "{:?}", connection.end_reason());
    }
    serving.stall.0.go.notify_waiters();
    for (_, _, call) in peers {
        assert_eq!(soon(call).await.unwrap(), 8);
    }
}

/// Pipes, one after the other, and the other ends of them.
fn pipes(count: usize) -> (Vec<DuplexStream>, Vec<DuplexStream>) {
    (0..count).map(|_| tokio::io::duplex(64)).unzip()
}

#[tokio::test]
async fn streams_of_any_kind_and_errors_between_them() {
    let (ours, theirs) = pipes(3);
    let mut incoming: Vec<io::Result<DuplexStream>> = theirs.into_iter().map(Ok).collect();
    incoming.insert(1, Err(io::Error::other("a handshake failed")));
    let stall = Stall::default();
    let object = stall.client(&Handle::current());
    let made = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&made);
    // The second stream gets no object.
    let make = move |_: &DuplexStream| match count.fetch_add(1, Ordering::SeqCst) {
        1 => Err(Error::failed("you have no certificate")),
        _ => Ok(object.clone()),
    };
    let shutdown = CancellationToken::new();
    let serving = Serve::new().incoming(stream::iter(incoming), make, shutdown.clone());
    let task = tokio::spawn(serving);
    let mut prices = Vec::new();
    let mut connections = Vec::new();
    for stream in ours {
        let calling = Connection::builder().start_stream(stream).unwrap();
        let market: MarketClient = calling.bootstrap().unwrap();
        prices.push(soon(market.price("tea")).await.map_err(|error| error.to_string()));
        connections.push((calling, market));
    }
    assert_eq!(prices[0], Ok(3));
    let refused = prices[1].as_ref().unwrap_err();
    assert!(refused.contains("you have no certificate"), "{refused}");
    assert_eq!(prices[2], Ok(3));
    // No stream comes any more, but those that are there are served until the end.
    let call = connections[2].1.price("patience").start();
    until("it runs", || stall.0.running.load(Ordering::SeqCst) == 1).await;
    assert!(!task.is_finished());
    shutdown.cancel();
    stall.0.go.notify_one();
    assert_eq!(soon(call).await.unwrap(), 8);
    soon(task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_in_making_an_object_is_that_peers_alone() {
    let serving = Serving::start_with(Serve::new(), |object, count| {
        if count == 1 {
            panic!("at the second peer");
        }
        Ok(object)
    });
    let (first, _first) = serving.connect().await;
    assert_eq!(first.price("tea").await.unwrap(), 3);
    let (second, _second) = serving.connect().await;
    let error = soon(second.price("tea")).await.unwrap_err();
    assert!(error.to_string().contains("this server panicked"), "{error}");
    let (third, _third) = serving.connect().await;
    assert_eq!(soon(third.price("tea")).await.unwrap(), 3);
    assert_eq!(first.price("tea").await.unwrap(), 3);
}

#[tokio::test]
async fn so_is_one_in_admitting_it() {
    let asked = AtomicUsize::new(0);
    let accept = move |_: &multiprocess::process::PeerCredentials| {
        assert!(asked.fetch_add(1, Ordering::SeqCst) != 0, "at the first peer");
        true
    };
    let serving = Serving::start(Serve::new().accept_if(accept));
    let (first, _first) = serving.connect().await;
    let error = soon(first.price("tea")).await.unwrap_err();
    assert!(error.to_string().contains("this server panicked"), "{error}");
    let (second, _second) = serving.connect().await;
    assert_eq!(soon(second.price("tea")).await.unwrap(), 3);
}

#[tokio::test]
async fn unix_sockets_from_elsewhere_are_admitted_as_those_of_a_listener() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let object = Stall::default().client(&Handle::current());
    let serving = Serve::new().accept_if(|_| false).incoming(
        stream::iter([Ok(theirs)]),
        move |_: &UnixStream| Ok(object.clone()),
        CancellationToken::new(),
    );
    let task = tokio::spawn(serving);
    let calling = Connection::builder().start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let error = soon(market.price("tea")).await.unwrap_err();
    assert!(error.to_string().contains("this server does not serve your user"), "{error}");
    soon(task).await.unwrap().unwrap();
}

/// A stream, and how many of its kind there are.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl Counted {
    fn new(stream: DuplexStream, count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(stream, Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Peers that go on after they were refused could otherwise have this process hold as many streams as they like.
// The clock of this runtime goes to the next timer when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn those_who_are_refused_are_bounded_and_gone_at_the_end() {
    // None of these is served; `refused` keeps their ends of the streams.
    let (count, refused) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
    let (most, done) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
    let (alive, ends, high) = (Arc::clone(&count), Arc::clone(&refused), Arc::clone(&most));
    let came = done.clone();
    let incoming = stream::iter(0..100).map(move |_| {
        let (ours, theirs) = tokio::io::duplex(1 << 10);
        ends.lock().unwrap().push(ours);
        let stream = Counted::new(theirs, &alive);
        high.fetch_max(alive.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(stream)
    });
    let incoming = incoming.chain(stream::once(async move {
        came.cancel();
        std::future::pending().await
    }));
    let make = |_: &Counted| Err::<MarketClient, _>(Error::failed("you have no certificate"));
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(Serve::new().incoming(incoming, make, shutdown.clone()));
    soon(done.cancelled()).await;
    // The one that has just come, and those that are being told.
    assert!(most.load(Ordering::SeqCst) <= 17, "{most:?}");
    let (mut told, mut last) = (0, None);
    let refused = std::mem::take(&mut *refused.lock().unwrap());
    for mut end in refused {
        let mut words = Vec::new();
        soon(end.read_to_end(&mut words)).await.unwrap();
        let why = b"you have no certificate";
        if words.windows(why.len()).any(|window| window == why) {
            told += 1;
            last = Some(end);
        }
    }
    assert!(told >= 16, "{told} were told why");
    // One of them stays.
    shutdown.cancel();
    soon(task).await.unwrap().unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 0);
    drop(last);
}

#[tokio::test]
async fn plain_tcp_is_refused() {
    let incoming = stream::pending::<io::Result<TcpStream>>();
    let make = |_: &TcpStream| Ok(Stall::default().client(&Handle::current()));
    let serving = Serve::new().incoming(incoming, make, CancellationToken::new());
    let error = soon(serving).await.unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    assert!(error.to_string().contains("plain TCP is not served"), "{error}");
}

#[test]
fn outside_of_a_runtime_it_is_an_error() {
    let make = |_: &DuplexStream| Err::<MarketClient, _>(Error::failed("nobody comes"));
    let serving = Serve::new().incoming(
        stream::pending::<io::Result<DuplexStream>>(),
        make,
        CancellationToken::new(),
    );
    let mut serving = Box::pin(serving);
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    let std::task::Poll::Ready(Err(error)) = serving.as_mut().poll(&mut context) else {
        panic!("it does not end")
    };
    assert!(error.to_string().contains("within a tokio runtime"), "{error}");
}

#[tokio::test]
async fn the_short_form_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.sock");
    let shutdown = CancellationToken::new();
    let object = Stall::default().client(&Handle::current());
    let make = move |_: &UnixStream| Ok(object.clone());
    let task = tokio::spawn(serve(UnixListener::bind(&path).unwrap(), make, shutdown.clone()));
    let stream = UnixStream::connect(&path).await.unwrap();
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    assert_eq!(market.price("tea").await.unwrap(), 3);
    shutdown.cancel();
    soon(task).await.unwrap().unwrap();
    soon(calling.disconnected()).await;
}
