//! Streams that are carried by a task: what is delivered, back pressure, and the end of either side.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use multiprocess::{Connection, Limits};
use multiprocess_tokio::StartStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::market::MarketClient;
use crate::stall::{Stall, current_thread, multi_thread, soon, until, wait_until};

#[tokio::test]
async fn what_was_written_before_the_end_is_delivered() {
    let (ours, mut theirs) = tokio::io::duplex(16);
    let calling = Connection::builder().start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let call = market.price("the last words").start();
    calling.disconnect();
    assert!(call.await.unwrap_err().is_disconnect());
    let mut bytes = Vec::new();
    soon(theirs.read_to_end(&mut bytes)).await.unwrap();
    let words = b"the last words";
    assert!(bytes.windows(words.len()).any(|window| window == words), "{} bytes", bytes.len());
}

#[tokio::test]
async fn what_came_before_the_end_of_the_stream_is_taken_in() {
    // A server that has no place says so and closes at once.
    let (ours, theirs) = tokio::io::duplex(16);
    let calling = Connection::builder().start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let (refused, other) = std::os::unix::net::UnixStream::pair().unwrap();
    multiprocess::rt::refuse(refused.into(), "not today");
    other.set_nonblocking(true).unwrap();
    let mut other = tokio::net::UnixStream::from_std(other).unwrap();
    let mut words = Vec::new();
    other.read_to_end(&mut words).await.unwrap();
    let (mut reads, mut writes) = tokio::io::split(theirs);
    let reading = tokio::spawn(async move {
        // As the peer's system would, while its program is gone.
        let mut rest = Vec::new();
        reads.read_to_end(&mut rest).await
    });
    writes.write_all(&words).await.unwrap();
    writes.shutdown().await.unwrap();
    let reason = soon(calling.disconnected()).await;
    assert!(reason.to_string().contains("not today"), "{reason}");
    assert!(market.price("tea").await.unwrap_err().to_string().contains("not today"));
    // The end goes the other way, too.
    soon(reading).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_of_the_stream_in_the_middle_of_a_message_ends_the_connection() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let calling = Connection::builder().start_stream(ours).unwrap();
    theirs.write_all(&[0, 0, 0, 0, 9, 0]).await.unwrap();
    drop(theirs);
    let reason = soon(calling.disconnected()).await;
    assert!(reason.to_string().contains("in the middle of a message"), "{reason}");
}

#[tokio::test]
async fn a_peer_that_reads_nothing_stops_the_connection() {
    let (ours, _theirs) = tokio::io::duplex(1024);
    let limits = Limits::default().stalled(Duration::from_millis(100));
    let calling = Connection::builder().limits(limits).start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let error = soon(market.pack(vec![0; 4 << 20])).await.unwrap_err();
    assert!(error.to_string().contains("has read nothing for 100ms"), "{error}");
}

#[tokio::test]
async fn a_stream_carries_no_file_descriptors() {
    // Both sides would take some.
    let limits = || Limits::default().descriptors(2);
    let (ours, theirs) = tokio::io::duplex(1024);
    let market = Stall::default().client(&tokio::runtime::Handle::current());
    let serving = Connection::builder().limits(limits()).serve(market).start_stream(theirs);
    let calling = Connection::builder().limits(limits()).start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    assert_eq!(soon(market.price("tea")).await.unwrap(), 3);
    let error = soon(market.sign(tempfile::tempfile().unwrap().into())).await.unwrap_err();
    assert!(error.to_string().contains("only a unix socket carries descriptors"), "{error}");
    drop(serving);
}

/// Notes that it was dropped.
struct Watched {
    pipe: DuplexStream,
    dropped: Arc<AtomicBool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(context, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

// The clock of this runtime goes to the next timer when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_after_the_end_is_let_go() {
    let (pipe, theirs) = tokio::io::duplex(16);
    let dropped = Arc::<AtomicBool>::default();
    let stream = Watched { pipe, dropped: Arc::clone(&dropped) };
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let call = market.pack(vec![0; 100 << 10]).start();
    calling.disconnect();
    drop(call);
    until("the stream is dropped", || dropped.load(Ordering::SeqCst)).await;
    drop(theirs);
}

#[tokio::test]
async fn a_connection_that_is_dropped_ends_its_stream() {
    let (pipe, mut theirs) = tokio::io::duplex(16);
    let dropped = Arc::<AtomicBool>::default();
    let stream = Watched { pipe, dropped: Arc::clone(&dropped) };
    drop(Connection::builder().start_stream(stream).unwrap());
    let mut rest = Vec::new();
    soon(theirs.read_to_end(&mut rest)).await.unwrap();
    drop(theirs);
    until("the stream is dropped", || dropped.load(Ordering::SeqCst)).await;
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (ours, listener.accept().await.unwrap().0)
}

/// The runtime of these streams is gone when they are used.
fn outlives<S: AsyncRead + AsyncWrite + Send + 'static>(pair: impl Future<Output = (S, S)>) {
    let (runtime, other) = (current_thread(), multi_thread());
    let market = Stall::default().client(other.handle());
    let (calling, serving) = runtime.block_on(async {
        let (ours, theirs) = pair.await;
        let serving = Connection::builder().serve(market).start_stream(theirs).unwrap();
        (Connection::builder().start_stream(ours).unwrap(), serving)
    });
    drop(runtime);
    let market: MarketClient = calling.bootstrap().unwrap();
    assert_eq!(market.price("tea").wait().unwrap(), 3);
    drop((market, calling));
    wait_until("the server sees the end", || !serving.is_connected());
}

#[test]
fn a_socket_of_tokios_outlives_the_runtime() {
    outlives(async { tokio::net::UnixStream::pair().unwrap() });
    outlives(tcp_pair());
}
