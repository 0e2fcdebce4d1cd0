//! What the tests serve and call, and waiting for a condition.

use std::future::{Future, pending};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use multiprocess::{Connection, Error, Result};
use multiprocess_tokio::on;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::market::{ListenerClient, MarketAsync, MarketClient, OrderAsync, OrderClient};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What happened at a stall.
#[derive(Default)]
pub(crate) struct Seen {
    /// Calls of `price` that run.
    pub(crate) running: AtomicUsize,
    /// Those that were dropped before their end.
    pub(crate) dropped: AtomicUsize,
    /// Lets the price of "patience" be told.
    pub(crate) go: tokio::sync::Notify,
    /// What was ordered.
    pub(crate) goods: Mutex<Vec<String>>,
    /// An order takes nothing as long as this is set.
    pub(crate) shut: AtomicBool,
    /// Calls of listeners that have returned, and how the last one ended.
    pub(crate) told: AtomicUsize,
    pub(crate) last: Mutex<Option<Error>>,
}

/// A market whose methods are futures.
#[derive(Clone, Default)]
pub(crate) struct Stall(pub(crate) Arc<Seen>);

impl Stall {
    pub(crate) fn client(&self, handle: &Handle) -> MarketClient {
        MarketClient::new_async(self.clone(), on(handle))
    }
}

struct Running<'a>(&'a Seen, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl MarketAsync for Stall {
    async fn price(&self, goods: String) -> Result<u32> {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        let mut running = Running(&self.0, false);
        match goods.as_str() {
            "hope" => pending().await,
            "patience" => self.0.go.notified().await,
            _ => tokio::task::yield_now().await,
        }
        running.1 = true;
        Ok(goods.len() as u32)
    }

    /// Tells of the sales 1 to 5, one after the other.
    async fn watch(&self, on_sale: ListenerClient) -> Result<()> {
        let seen = Arc::clone(&self.0);
        tokio::spawn(async move {
            for total in 1..=5 {
                let told = on_sale.sold(total).await;
                if let Err(error) = told {
                    *seen.last.lock().unwrap() = Some(error);
                    return;
                }
                seen.told.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(())
    }

    async fn order(&self) -> Result<OrderClient> {
        Ok(OrderClient::new_async(self.clone(), on(&Handle::current())))
    }

    async fn pack(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }
}

impl OrderAsync for Stall {
    async fn add(&self, goods: String) -> Result<()> {
        while self.0.shut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if goods == "gold" {
            return Err(Error::failed("there is no gold"));
        }
        self.0.goods.lock().unwrap().push(goods);
        Ok(())
    }

    async fn total(&self) -> Result<u32> {
        Ok(self.0.goods.lock().unwrap().len() as u32)
    }
}

/// A market that is served over a socket pair.
pub(crate) struct Pair {
    pub(crate) market: MarketClient,
    pub(crate) calling: Connection,
    pub(crate) serving: Connection,
}

pub(crate) fn pair(object: MarketClient) -> Pair {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    Pair { market: calling.bootstrap().unwrap(), calling, serving }
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Fails instead of waiting for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("it ends")
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same in a task.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
