//! Callbacks as streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, poll};
use multiprocess::{Error, Result};
use multiprocess_tokio::{CallbackSender, Callbacks, callback, channel, guard, on};
use tokio::runtime::Handle;

use crate::market::{BellClient, ListenerAsync, ListenerClient, MarketAsync, MarketClient};
use crate::stall::{LONG, Pair, Stall, pair, soon, until};

/// A listener of one place, and how many of its calls have begun.
fn listener() -> (ListenerClient, Callbacks<u32>, Arc<AtomicUsize>) {
    let begun = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&begun);
    let (listener, sales) = callback(1, move |receives| {
        ListenerClient::from_fn(move |total| {
            count.fetch_add(1, Ordering::SeqCst);
            receives(total)
        })
    });
    (listener, sales, begun)
}

/// The same whose methods are futures.
struct Tells(CallbackSender<u32>, Arc<AtomicUsize>);

impl ListenerAsync for Tells {
    async fn sold(&self, total: u32) -> Result<()> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.send_async(total).await
    }
}

fn async_listener() -> (ListenerClient, Callbacks<u32>, Arc<AtomicUsize>) {
    let begun = Arc::<AtomicUsize>::default();
    let (sender, sales) = channel(1);
    let tells = Tells(sender, Arc::clone(&begun));
    (ListenerClient::new_async(tells, on(&Handle::current())), sales, begun)
}

fn market(stall: &Stall) -> Pair {
    pair(stall.client(&Handle::current()))
}

#[tokio::test]
async fn a_call_returns_when_there_is_room() {
    for (listener, mut sales, begun) in [listener(), async_listener()] {
        let stall = Stall::default();
        let Pair { market, .. } = &market(&stall);
        market.watch(listener).await.unwrap();
        // The first has a place; the second waits for one, and its caller with it.
        until("two have begun", || begun.load(Ordering::SeqCst) == 2).await;
        for _ in 0..20 {
            market.price("tea").await.unwrap();
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert_eq!(stall.0.told.load(Ordering::SeqCst), 1);
        assert_eq!(soon(sales.next()).await, Some(1));
        until("three have begun", || begun.load(Ordering::SeqCst) == 3).await;
        assert_eq!(soon(sales.collect::<Vec<_>>()).await, [2, 3, 4, 5]);
        until("all have returned", || stall.0.told.load(Ordering::SeqCst) == 5).await;
    }
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let (listener, mut sales, _) = listener();
    assert!(poll!(Box::pin(sales.next())).is_pending());
    assert!(poll!(Box::pin(sales.recv())).is_pending());
    let stall = Stall::default();
    let Pair { market, .. } = &market(&stall);
    market.watch(listener).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 5 {
        // Dropped before it is ready, most times.
        match sales.next().now_or_never() {
            Some(item) => seen.push(item.unwrap()),
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(soon(sales.next()).await, None);
}

#[tokio::test]
async fn calls_fail_when_the_stream_is_dropped() {
    for (listener, sales, begun) in [listener(), async_listener()] {
        let stall = Stall::default();
        let Pair { market, .. } = &market(&stall);
        market.watch(listener).await.unwrap();
        until("two have begun", || begun.load(Ordering::SeqCst) == 2).await;
        drop(sales);
        let error = || stall.0.last.lock().unwrap().clone();
        until("the caller knows", || error().is_some()).await;
        let error = error().unwrap();
        assert!(error.to_string().contains("nobody listens"), "{error}");
        assert_eq!(stall.0.told.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_stream_that_is_closed_gives_what_it_has_taken() {
    let (listener, mut sales, begun) = listener();
    let stall = Stall::default();
    let Pair { market, .. } = &market(&stall);
    market.watch(listener).await.unwrap();
    until("two have begun", || begun.load(Ordering::SeqCst) == 2).await;
    sales.close();
    assert_eq!(soon(sales.collect::<Vec<_>>()).await, [1]);
}

/// Keeps the listener, for the test to call.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Option<ListenerClient>>>);

impl MarketAsync for Keeps {
    async fn watch(&self, on_sale: ListenerClient) -> Result<()> {
        *self.0.lock().unwrap() = Some(on_sale);
        Ok(())
    }
}

#[tokio::test]
async fn a_cancelled_call_puts_nothing_into_the_stream() {
    for (listener, mut sales, begun) in [listener(), async_listener()] {
        let kept = Keeps::default();
        let Pair { market, calling, .. } =
            &pair(MarketClient::new_async(kept.clone(), on(&Handle::current())));
        market.watch(listener).await.unwrap();
        let listener = kept.0.lock().unwrap().take().unwrap();
        listener.sold(1).await.unwrap();
        let second = listener.sold(2).start();
        until("it waits", || begun.load(Ordering::SeqCst) == 2).await;
        drop(second);
        // Its method returns, although nobody makes room.
        let calling = calling.clone();
        assert!(tokio::task::spawn_blocking(move || calling.drain(LONG)).await.unwrap());
        assert_eq!(soon(sales.next()).await, Some(1));
        soon(listener.sold(3)).await.unwrap();
        assert_eq!(soon(sales.next()).await, Some(3));
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_connection() {
    let (listener, sales, begun) = listener();
    let stall = Stall::default();
    let Pair { market, serving, calling } = market(&stall);
    market.watch(listener).await.unwrap();
    until("two have begun", || begun.load(Ordering::SeqCst) == 2).await;
    serving.disconnect();
    let seen = soon(sales.collect::<Vec<_>>()).await;
    assert_eq!(seen[0], 1);
    drop((market, calling));
}

#[tokio::test]
async fn a_full_stream_does_not_block_a_thread_that_runs_futures() {
    let (sender, mut sales) = channel(1);
    guard(async {
        sender.send(1).unwrap();
        let error = sender.send(2).unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    })
    .await;
    assert_eq!(sales.recv().await, Some(1));
    sender.send_async(3).await.unwrap();
    assert_eq!(sales.recv().await, Some(3));
}

/// Keeps the bell, for the test to ring.
#[derive(Clone, Default)]
struct Tower(Arc<Mutex<Option<BellClient>>>);

impl MarketAsync for Tower {
    async fn hang(&self, bell: BellClient) -> Result<()> {
        *self.0.lock().unwrap() = Some(bell);
        Ok(())
    }
}

/// A bell with one place, as the other side of a connection rings it; how many of its calls have begun.
async fn bell(
    tower: &Tower,
    market: &MarketClient,
) -> (BellClient, Callbacks<u32>, Arc<AtomicUsize>) {
    let begun = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&begun);
    let (bell, times) = callback(1, move |receives| {
        BellClient::from_fn(move |time| {
            count.fetch_add(1, Ordering::SeqCst);
            receives(time)
        })
    });
    market.hang(bell).await.unwrap();
    (tower.0.lock().unwrap().take().unwrap(), times, begun)
}

/// Their calls have no context, so that those of one connection are served one after the other.
#[tokio::test]
async fn a_full_stream_holds_up_no_other_stream_of_its_connection() {
    let tower = Tower::default();
    let Pair { market, .. } = &pair(MarketClient::new_async(tower.clone(), on(&Handle::current())));
    let (first, mut full, begun) = bell(&tower, market).await;
    let (second, mut other, _) = bell(&tower, market).await;
    let rings: Vec<_> = (1..=5).map(|time| first.ring(time).start()).collect();
    until("the second one has no room", || begun.load(Ordering::SeqCst) >= 2).await;
    let later = second.ring(6).start();
    assert_eq!(soon(other.next()).await, Some(6));
    // Those that wait for room are in their order.
    for time in 1..=5 {
        assert_eq!(soon(full.next()).await, Some(time));
    }
    for ring in rings.into_iter().chain([later]) {
        soon(ring).await.unwrap();
    }
}

#[tokio::test]
async fn any_number_of_places_can_be_asked_for() {
    let (sender, mut sales) = channel(usize::MAX);
    sender.send(1).unwrap();
    assert_eq!(sales.recv().await, Some(1));
    let (sender, mut sales) = channel(0);
    sender.send(1).unwrap();
    assert_eq!(sales.recv().await, Some(1));
}
