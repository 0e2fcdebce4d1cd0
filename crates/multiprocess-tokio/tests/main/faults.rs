//! Streams that fail, peers that say nothing, and runtimes that are shut down in the middle of a call.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiprocess::{Connection, Error};
use multiprocess_tokio::StartStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::market::MarketClient;
use crate::stall::{LONG, Stall, multi_thread, pair, soon, until, wait_until};

/// What breaks a stream.
#[derive(Clone, Default)]
struct Breaks(Arc<Mutex<Broken>>);

#[derive(Default)]
struct Broken {
    reading: Option<fn() -> io::Error>,
    writing: bool,
    /// Who reads.
    waker: Option<Waker>,
}

impl Breaks {
    fn reading(&self) {
        self.reading_by(|| io::Error::other("a record that is no record"));
    }

    fn reading_by(&self, fault: fn() -> io::Error) {
        let mut broken = self.0.lock().unwrap();
        broken.reading = Some(fault);
        broken.waker.take().unwrap().wake();
    }

    fn writing(&self) {
        self.0.lock().unwrap().writing = true;
    }

    async fn is_read(&self) {
        until("the stream is read", || self.0.lock().unwrap().waker.is_some()).await;
    }
}

struct Fragile(DuplexStream, Breaks);

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let fault = {
            let mut broken = self.1.0.lock().unwrap();
            broken.waker = Some(context.waker().clone());
            broken.reading
        };
        match fault {
            Some(fault) => Poll::Ready(Err(fault())),
            None => Pin::new(&mut self.0).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.1.0.lock().unwrap().writing {
            return Poll::Ready(Err(io::Error::other("the wire is cut")));
        }
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A market behind a stream that can break, on this runtime.
fn fragile(stall: &Stall) -> (MarketClient, Connection, Connection, Breaks) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let market = stall.client(&tokio::runtime::Handle::current());
    let serving = Connection::builder().serve(market).start_stream(theirs).unwrap();
    let breaks = Breaks::default();
    let calling = Connection::builder().start_stream(Fragile(ours, breaks.clone())).unwrap();
    (calling.bootstrap().unwrap(), calling, serving, breaks)
}

#[tokio::test]
async fn an_error_of_the_stream_is_the_end_and_its_reason() {
    let stall = Stall::default();
    let (market, calling, serving, breaks) = fragile(&stall);
    let call = market.price("hope").start();
    until("it runs", || stall.0.running.load(Ordering::SeqCst) == 1).await;
    breaks.reading();
    let error = soon(call).await.unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    assert!(error.to_string().contains("the stream to the other side failed"), "{error}");
    assert!(error.to_string().contains("a record that is no record"), "{error}");
    let reason = soon(calling.disconnected()).await;
    assert_eq!(reason.to_string(), error.to_string());
    // The stream was dropped: the other side sees the end, and what it serves is cancelled.
    soon(serving.disconnected()).await;
    until("it is dropped", || stall.0.dropped.load(Ordering::SeqCst) == 1).await;
}

#[test]
fn so_is_an_error_in_writing() {
    // Its clock goes to the next timer when nothing else is to be done, so there is no timer but of what carries the
    // calling side.
    let carries = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let serves = multi_thread();
    let (ours, theirs) = tokio::io::duplex(4096);
    let market = Stall::default().client(serves.handle());
    let serving = Connection::builder().serve(market);
    let _serving = serving.start_stream_on(theirs, serves.handle()).unwrap();
    carries.block_on(async {
        let breaks = Breaks::default();
        let calling = Connection::builder().start_stream(Fragile(ours, breaks.clone())).unwrap();
        let market: MarketClient = calling.bootstrap().unwrap();
        assert_eq!(market.price("tea").await.unwrap(), 3);
        breaks.writing();
        // The other side does not know, and says nothing: this one does not wait for that for long.
        let before = Instant::now();
        let error = market.price("cake").await.unwrap_err();
        assert!(error.to_string().contains("the wire is cut"), "{error}");
        assert!(before.elapsed() < Duration::from_secs(1), "it takes {:?}", before.elapsed());
        assert!(!calling.is_connected());
    });
}

#[tokio::test]
async fn what_was_written_before_an_error_in_reading_is_delivered() {
    // As of a TCP peer that ends its direction without the end of TLS, and goes on reading.
    let (ours, mut theirs) = tokio::io::duplex(16);
    let breaks = Breaks::default();
    let calling = Connection::builder().start_stream(Fragile(ours, breaks.clone())).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    breaks.is_read().await;
    let call = market.price("the last words").start();
    breaks.reading();
    let mut bytes = Vec::new();
    soon(theirs.read_to_end(&mut bytes)).await.unwrap();
    let words = b"the last words";
    assert!(bytes.windows(words.len()).any(|window| window == words), "{} bytes", bytes.len());
    let error = soon(call).await.unwrap_err();
    assert!(error.to_string().contains("a record that is no record"), "{error}");
}

#[tokio::test]
async fn a_stream_that_panics_is_the_end_and_its_reason() {
    let stall = Stall::default();
    let (market, calling, serving, breaks) = fragile(&stall);
    let call = market.price("hope").start();
    until("it runs", || stall.0.running.load(Ordering::SeqCst) == 1).await;
    breaks.reading_by(|| panic!("as it was asked to"));
    let error = soon(call).await.unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    assert!(error.to_string().contains("the stream to the other side panicked"), "{error}");
    soon(calling.disconnected()).await;
    soon(serving.disconnected()).await;
}

#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_a_timeout() {
    // Half-open: nothing comes, and no end.
    let (ours, theirs) = tokio::io::duplex(4096);
    let calling = Connection::builder().start_stream(ours).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let error = soon(market.price("tea").timeout(Duration::from_millis(50))).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    drop((market, calling));
    let mut theirs = theirs;
    let mut rest = Vec::new();
    soon(theirs.read_to_end(&mut rest)).await.unwrap();
}

#[test]
fn a_runtime_that_carries_a_connection_is_shut_down_in_a_call() {
    let (carries, serves) = (multi_thread(), multi_thread());
    let (ours, theirs) = tokio::io::duplex(4096);
    let stall = Stall::default();
    let market = stall.client(serves.handle());
    let serving =
        Connection::builder().serve(market).start_stream_on(theirs, serves.handle()).unwrap();
    let calling = Connection::builder().start_stream_on(ours, carries.handle()).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    let call = market.price("hope").start();
    wait_until("it runs", || stall.0.running.load(Ordering::SeqCst) == 1);
    drop(carries);
    let error = call.timeout(LONG).wait().unwrap_err();
    assert!(error.is_disconnect(), "{error}");
    assert!(error.to_string().contains("runtime that carried its bytes was shut down"), "{error}");
    wait_until("the other side ends, too", || !serving.is_connected());
    wait_until("the call is dropped", || stall.0.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_runtime_that_is_shut_down_carries_nothing() {
    let runtime = multi_thread();
    let handle = runtime.handle().clone();
    let (ours, _theirs) = tokio::io::duplex(4096);
    // Its I/O goes with it, so that this may fail here already.
    drop(runtime);
    let calling =
        std::panic::catch_unwind(|| Connection::builder().start_stream_on(ours, &handle).unwrap());
    if let Ok(calling) = calling {
        let market = calling.bootstrap::<MarketClient>();
        let error = market.and_then(|market| market.price("tea").timeout(LONG).wait()).unwrap_err();
        assert!(error.is_disconnect(), "{error}");
    }
}

#[test]
fn a_runtime_that_serves_an_object_is_shut_down_in_a_call() {
    let runtime = multi_thread();
    let stall = Stall::default();
    let pair = pair(stall.client(runtime.handle()));
    let call = pair.market.price("hope").start();
    wait_until("it runs", || stall.0.running.load(Ordering::SeqCst) == 1);
    drop(runtime);
    let dropped =
        "the runtime that serves the object was shut down, or has dropped the call's task";
    let error = call.timeout(LONG).wait().unwrap_err();
    assert!(error.to_string().contains(dropped), "{error}");
    let error = pair.market.price("tea").timeout(LONG).wait().unwrap_err();
    assert!(error.to_string().contains(dropped), "{error}");
    // The connection is not the runtime's.
    assert!(pair.calling.is_connected() && pair.serving.is_connected());
}

#[test]
fn outside_of_a_runtime_it_is_an_error() {
    let (ours, _theirs) = tokio::io::duplex(4096);
    let error = Connection::builder().start_stream(ours).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    assert!(error.to_string().contains("start_stream_on"), "{error}");
}
