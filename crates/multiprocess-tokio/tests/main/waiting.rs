//! `.wait()` where a thread runs futures: refused where that is known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use multiprocess::{Error, Result};
use multiprocess_tokio::{block_in_place, guard, on};
use tokio::task::spawn_blocking;

use crate::market::{ListenerClient, MarketAsync, MarketClient};
use crate::stall::{LONG, Pair, Stall, current_thread, multi_thread, pair, soon, wait_until};

/// Whether it says what to do, and that nothing was sent.
fn is_refused<T: std::fmt::Debug>(outcome: &Result<T>) -> bool {
    let Err(error) = outcome else { return false };
    matches!(error, Error::ApiMisuse { .. }) && error.to_string().contains("use .await instead")
}

/// A market whose methods wait for another's. What the destructors got, and how many calls hope.
#[derive(Clone)]
struct Waits(MarketClient, Arc<Mutex<Vec<Result<u32>>>>, Arc<AtomicUsize>);

/// Calls when it is dropped.
struct Last(Waits);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.1.lock().unwrap().push(self.0.0.price("in the destructor").wait());
    }
}

impl MarketAsync for Waits {
    async fn price(&self, goods: String) -> Result<u32> {
        let _last = Last(self.clone());
        match goods.as_str() {
            "hope" => {
                self.2.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
            "in place" => block_in_place(|| self.0.price(goods).wait()),
            "on another thread" => {
                let market = self.0.clone();
                spawn_blocking(move || market.price(goods).wait()).await.unwrap()
            }
            _ => self.0.price(goods).wait(),
        }
    }

    async fn watch(&self, on_sale: ListenerClient) -> Result<()> {
        on_sale.sold(1).wait()
    }
}

#[test]
fn in_a_served_method() {
    let runtime = multi_thread();
    let behind = pair(Stall::default().client(runtime.handle()));
    let seen = Arc::<Mutex<Vec<Result<u32>>>>::default();
    let hoping = Arc::<AtomicUsize>::default();
    let waits = Waits(behind.market.clone(), Arc::clone(&seen), Arc::clone(&hoping));
    let Pair { market, serving, .. } = &pair(MarketClient::new_async(waits, on(runtime.handle())));
    for result in
        [market.price("tea").wait(), runtime.block_on(async { market.price("tea").await })]
    {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("use .await instead"), "{error}");
    }
    assert_eq!(market.price("in place").wait().unwrap(), 8);
    assert_eq!(market.price("on another thread").wait().unwrap(), 17);
    // Destructors cannot await: those of a method that ends by itself are within it, and are refused; those of one
    // that is cancelled are not.
    let outcomes = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes.iter().all(is_refused));
    let call = market.price("hope").start();
    wait_until("it runs", || hoping.load(Ordering::SeqCst) == 1);
    drop(call);
    assert!(serving.drain(LONG));
    let outcomes = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [17]);
}

#[test]
fn a_served_method_calls_back() {
    let runtime = current_thread();
    runtime.block_on(soon(async {
        let handle = tokio::runtime::Handle::current();
        let behind = pair(Stall::default().client(&handle));
        let waits = Waits(behind.market.clone(), Arc::default(), Arc::default());
        let Pair { market, .. } = &pair(MarketClient::new_async(waits, on(&handle)));
        let listener = ListenerClient::from_fn(|_| Ok(()));
        // Without the check this would stop the only thread, which is also to make the callback possible.
        let error = market.watch(listener).await.unwrap_err();
        assert!(error.to_string().contains("use .await instead"), "{error}");
        assert!(market.price("tea").await.is_err());
        assert_eq!(behind.market.price("tea").await.unwrap(), 3);
    }));
}

/// On a thread of its own, as a wait that is not refused would never end.
#[test]
fn within_a_guard_and_nowhere_else() {
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || {
        current_thread().block_on(within_a_guard());
        done.send(()).unwrap();
    });
    outcome.recv_timeout(LONG).expect("nothing waits for ever, and no assertion fails");
}

async fn within_a_guard() {
    let Pair { market, .. } = &pair(Stall::default().client(&tokio::runtime::Handle::current()));
    let here = Stall::default().client(&tokio::runtime::Handle::current());
    let mut guarded = Box::pin(guard(async {
        assert!(is_refused(&market.price("tea").wait()));
        assert!(is_refused(&market.price("tea").start().wait()));
        assert!(is_refused(&market.price("tea").timeout(LONG).wait()));
        // Methods of an object of this process that are futures would wait for this thread.
        assert!(is_refused(&here.price("tea").wait()));
        assert!(is_refused(&here.close().wait()));
        assert_eq!(market.price("tea").await.unwrap(), 3);
        tokio::task::yield_now().await;
        let market = market.clone();
        assert_eq!(spawn_blocking(move || market.price("tea").wait()).await.unwrap().unwrap(), 3);
    }));
    // Between its polls the thread may do what it likes.
    assert!(futures_util::poll!(&mut guarded).is_pending());
    assert!(multiprocess::rt::check_may_wait().is_ok());
    soon(guarded).await;
    assert!(multiprocess::rt::check_may_wait().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_within_a_guard() {
    let Pair { market, .. } = &pair(Stall::default().client(&tokio::runtime::Handle::current()));
    soon(guard(async {
        assert_eq!(block_in_place(|| market.price("tea").wait()).unwrap(), 3);
        // It is refused again.
        assert!(is_refused(&market.price("tea").wait()));
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_within_a_local_set_is_a_panic() {
    let panic = tokio::task::LocalSet::new()
        .run_until(async { tokio::task::spawn_local(async { block_in_place(|| ()) }).await })
        .await
        .unwrap_err();
    assert!(panic.is_panic());
}

#[test]
fn in_place_on_a_thread_of_no_runtime() {
    let runtime = multi_thread();
    let Pair { market, .. } = &pair(Stall::default().client(runtime.handle()));
    assert_eq!(block_in_place(|| market.price("tea").wait()).unwrap(), 3);
}

/// Whatever else blocks: for each there is a future.
#[test]
fn for_a_child_and_for_a_connection_that_comes() {
    use std::time::Duration;

    use multiprocess::Reconnect;
    use multiprocess::process::{Backoff, Command};

    let (child, _socket) = Command::new("/bin/sh").arg("-c").arg("sleep 600").spawn().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nobody.sock");
    let reconnecting = Reconnect::to_path(nowhere)
        .backoff(Backoff { first: LONG, ..Backoff::default() })
        .start(|_: &MarketClient| Ok(()))
        .unwrap();
    current_thread().block_on(guard(async {
        assert!(is_refused(&child.wait()));
        assert!(is_refused(&child.wait_timeout(LONG)));
        assert!(is_refused(&child.end()));
        assert!(is_refused(&child.shutdown(LONG)));
        assert!(is_refused(&reconnecting.get(LONG)));
        assert!(is_refused(&reconnecting.wait_connected()));
    }));
    assert!(child.try_wait().unwrap().is_none(), "nothing was done to it");
    child.shutdown(Duration::ZERO).unwrap();
    assert!(!is_refused(&reconnecting.get(Duration::ZERO)));
}
