//! Everything on each kind of runtime, inside and outside of a LocalSet.

use futures_util::{SinkExt, StreamExt};
use multiprocess::Connection;
use multiprocess_tokio::{StartStream, callback, guard, sink};
use tokio::runtime::Handle;
use tokio::task::LocalSet;

use crate::market::{ListenerClient, MarketClient, OrderClient};
use crate::stall::{Stall, current_thread, multi_thread, soon};

/// Calls, callbacks and streaming calls over a socket of tokio's, and over a stream that is carried; all in one
/// task.
async fn everything() {
    let sockets = tokio::net::UnixStream::pair().unwrap();
    let (stall, there) = start(sockets.0);
    converse(stall, sockets.1).await;
    drop(there);
    let pipe = tokio::io::duplex(256);
    let (stall, there) = start(pipe.0);
    converse(stall, pipe.1).await;
    drop(there);
}

fn start<S>(stream: S) -> (Stall, Connection)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
{
    let stall = Stall::default();
    let market = stall.client(&Handle::current());
    (stall, Connection::builder().serve(market).start_stream(stream).unwrap())
}

async fn converse<S>(stall: Stall, stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
{
    let calling = Connection::builder().start_stream(stream).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    assert_eq!(market.price("tea").await.unwrap(), 3);
    let (listener, sales) = callback(1, ListenerClient::from_fn);
    market.watch(listener).await.unwrap();
    assert_eq!(sales.collect::<Vec<u32>>().await, [1, 2, 3, 4, 5]);
    let order = market.order().await.unwrap();
    let mut goods = sink(order.clone(), |order: &OrderClient, goods: String| order.add(goods));
    for i in 0..100 {
        goods.send(format!("{i}")).await.unwrap();
    }
    assert_eq!(order.total().await.unwrap(), 100);
    goods.close().await.unwrap();
    let ordered = stall.0.goods.lock().unwrap().clone();
    assert_eq!(ordered, (0..100).map(|i| i.to_string()).collect::<Vec<_>>());
    let bytes = vec![7; 1 << 20];
    assert_eq!(market.pack(bytes.clone()).await.unwrap(), bytes);
}

#[test]
fn on_one_thread() {
    current_thread().block_on(soon(guard(everything())));
}

#[test]
fn on_several_threads() {
    let runtime = multi_thread();
    // Not in block_on's own future, which runs on this thread.
    let task = runtime.spawn(soon(guard(everything())));
    runtime.block_on(task).unwrap();
    runtime.block_on(soon(guard(everything())));
}

#[test]
fn in_a_local_set_of_one_thread() {
    let local = LocalSet::new();
    let task = local.spawn_local(soon(guard(everything())));
    current_thread().block_on(local.run_until(task)).unwrap();
}

#[test]
fn in_a_local_set_beside_several_threads() {
    let local = LocalSet::new();
    let task = local.spawn_local(soon(guard(everything())));
    multi_thread().block_on(local.run_until(task)).unwrap();
}

#[test]
fn a_thread_of_no_runtime_calls_what_a_runtime_serves_and_carries() {
    let runtime = multi_thread();
    let (ours, theirs) = tokio::io::duplex(4096);
    let handle = runtime.handle();
    let market = Stall::default().client(handle);
    let serving = Connection::builder().serve(market).start_stream_on(theirs, handle).unwrap();
    let calling = Connection::builder().start_stream_on(ours, handle).unwrap();
    let market: MarketClient = calling.bootstrap().unwrap();
    assert_eq!(market.price("cake").wait().unwrap(), 4);
    drop(serving);
}
