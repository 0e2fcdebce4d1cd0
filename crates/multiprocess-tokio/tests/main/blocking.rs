//! Objects whose methods block, in a runtime's pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};

use multiprocess::{Error, Result, current_call};
use multiprocess_tokio::on_blocking_pool;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::market::{ListenerClient, Market, MarketClient, Order, OrderClient};
use crate::stall::{LONG, Pair, current_thread, pair, wait_until};

/// A market whose methods block.
#[derive(Default)]
struct Stall {
    running: AtomicUsize,
    most: AtomicUsize,
    cancelled: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
    ordered: Mutex<Vec<String>>,
}

impl Stall {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

struct Served(Arc<Stall>, Handle);

impl Market for Served {
    fn price(&self, goods: String) -> Result<u32> {
        // Whose context this is: that of the runtime of this test.
        assert_eq!(Handle::current().id(), self.1.id());
        assert!(current_call().is_some());
        let stall = &self.0;
        let now = stall.running.fetch_add(1, Ordering::SeqCst) + 1;
        stall.most.fetch_max(now, Ordering::SeqCst);
        match goods.as_str() {
            "gold" => panic!("there is no gold"),
            "patience" => {
                let open = stall.open.lock().unwrap();
                drop(stall.opened.wait_while(open, |open| !*open).unwrap());
            }
            "hope" => {
                let call = current_call().unwrap();
                wait_until("it is cancelled", || call.is_cancelled());
                stall.cancelled.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        stall.running.fetch_sub(1, Ordering::SeqCst);
        Ok(goods.len() as u32)
    }

    fn watch(&self, on_sale: ListenerClient) -> Result<()> {
        on_sale.sold(1).wait()?;
        on_sale.sold(2).wait()
    }

    fn order(&self) -> Result<OrderClient> {
        Ok(on_blocking_pool::<OrderClient>(Arc::new(Cart(Arc::clone(&self.0))), &self.1))
    }
}

struct Cart(Arc<Stall>);

impl Order for Cart {
    fn add(&self, goods: String) -> Result<()> {
        // Earlier ones take longer.
        if goods.len() < 2 {
            thread::yield_now();
        }
        self.0.ordered.lock().unwrap().push(goods);
        Ok(())
    }

    fn total(&self) -> Result<u32> {
        Ok(self.0.ordered.lock().unwrap().len() as u32)
    }
}

fn served(runtime: &Runtime) -> (Arc<Stall>, Pair) {
    let stall = Arc::<Stall>::default();
    let object = Arc::new(Served(Arc::clone(&stall), runtime.handle().clone()));
    (stall, pair(on_blocking_pool::<MarketClient>(object, runtime.handle())))
}

#[test]
fn calls_of_threads_and_futures_run_in_the_pool_with_their_callbacks_on_the_thread_that_waits() {
    // Its pool needs nobody who runs the runtime.
    let runtime = current_thread();
    let (_stall, Pair { market, .. }) = &served(&runtime);
    assert_eq!(market.price("tea").wait().unwrap(), 3);
    assert_eq!(runtime.block_on(async { market.price("cake").await }).unwrap(), 4);
    let threads = Arc::<Mutex<Vec<(ThreadId, u32)>>>::default();
    let seen = Arc::clone(&threads);
    let listener = ListenerClient::from_fn(move |total| {
        seen.lock().unwrap().push((thread::current().id(), total));
        Ok(())
    });
    market.watch(listener).wait().unwrap();
    let here = thread::current().id();
    assert_eq!(*threads.lock().unwrap(), [(here, 1), (here, 2)]);
    let error = market.price("gold").wait().unwrap_err();
    assert!(error.to_string().contains("panicked: there is no gold"), "{error}");
    let error = market.pack([1]).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[test]
fn the_pool_has_its_own_bound() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(2).build().unwrap();
    let (stall, Pair { market, .. }) = &served(&runtime);
    let calls: Vec<_> = (0..8).map(|_| market.price("patience").start()).collect();
    wait_until("two run", || stall.running.load(Ordering::SeqCst) == 2);
    stall.open();
    for call in calls {
        assert_eq!(call.timeout(LONG).wait().unwrap(), 8);
    }
    assert_eq!(stall.most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_cancelled_call_is_told_so_and_one_that_has_not_begun_does_not_begin() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(1).build().unwrap();
    let (stall, Pair { market, serving, .. }) = &served(&runtime);
    let first = market.price("hope").start();
    wait_until("it runs", || stall.running.load(Ordering::SeqCst) == 1);
    drop(market.price("hope").start());
    drop(first);
    assert!(serving.drain(LONG));
    assert_eq!(stall.cancelled.load(Ordering::SeqCst), 1);
    assert_eq!(market.price("tea").wait().unwrap(), 3);
}

#[test]
fn streaming_calls_are_in_order() {
    let runtime = current_thread();
    let (stall, Pair { market, .. }) = &served(&runtime);
    let order = market.order().wait().unwrap();
    let all: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    for goods in &all {
        order.add(goods).wait().unwrap();
    }
    assert_eq!(order.total().wait().unwrap(), 500);
    assert_eq!(*stall.ordered.lock().unwrap(), all);
}

#[test]
fn a_runtime_that_is_shut_down_fails_later_calls() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(1).build().unwrap();
    let (stall, Pair { market, calling, .. }) = &served(&runtime);
    let runs = market.price("patience").start();
    wait_until("it runs", || stall.running.load(Ordering::SeqCst) == 1);
    let waits = market.price("tea").start();
    runtime.shutdown_background();
    for _ in 0..3 {
        let error = market.price("tea").timeout(LONG).wait().unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
    }
    stall.open();
    // What had begun ends, and what waited for a thread ends in one way or the other.
    assert_eq!(runs.timeout(LONG).wait().unwrap(), 8);
    match waits.timeout(LONG).wait() {
        Ok(price) => assert_eq!(price, 3),
        Err(error) => assert!(error.to_string().contains("has ended"), "{error}"),
    }
    assert!(calling.is_connected());
}

#[test]
fn the_object_ends_with_its_last_handle() {
    struct Watched(Arc<AtomicUsize>);
    impl Drop for Watched {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    impl Market for Watched {}
    let runtime = current_thread();
    let dropped = Arc::<AtomicUsize>::default();
    let object = Arc::new(Watched(Arc::clone(&dropped)));
    let Pair { market, calling, serving } =
        pair(on_blocking_pool::<MarketClient>(object, runtime.handle()));
    assert!(market.price("tea").wait().is_err());
    drop((market, calling, serving));
    wait_until("it is dropped", || dropped.load(Ordering::SeqCst) == 1);
}
