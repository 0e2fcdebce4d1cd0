//! Calls of an object of this process whose methods are futures: tasks of its executor, which end where the call does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Error, Result, current_call};
use multiprocess_tests::generated::waits::{SumAsync, SumClient};
use multiprocess_tests::{pair, wait_until, within_time};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

const SOON: Duration = Duration::from_millis(20);

/// Its sums are made one for each permit, and some never.
struct Waits {
    gate: Semaphore,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { gate: Semaphore::new(0), begun: AtomicUsize::new(0), ended: AtomicUsize::new(0) }
    }
}

struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Adds where it is `NEVER`, and never comes to an end.
const NEVER: i32 = -1;

struct Served(Arc<Waits>);

impl SumAsync for Served {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let _ends = Ends(&self.0.ended);
        if a == NEVER {
            std::future::pending::<()>().await;
        }
        self.0.gate.acquire().await.expect("it is open").forget();
        Ok(a + b)
    }
}

/// An object on a runtime of its own.
fn here() -> (Runtime, Arc<Waits>, SumClient) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let waits = Arc::new(Waits::default());
    let handle = runtime.handle().clone();
    let spawn = move |task| drop(handle.spawn(task));
    let sum = SumClient::new_async(Served(Arc::clone(&waits)), spawn);
    (runtime, waits, sum)
}

impl Waits {
    #[track_caller]
    fn has_begun(&self, count: usize) {
        wait_until("the methods have begun", || self.begun.load(Ordering::SeqCst) == count);
    }

    #[track_caller]
    fn has_ended(&self, count: usize) {
        wait_until("the methods have ended", || self.ended.load(Ordering::SeqCst) == count);
    }
}

#[test]
fn a_call_that_is_dropped_drops_the_method() {
    let (_runtime, waits, sum) = here();
    for round in 1..=3 {
        let call = sum.add(NEVER, 1).start();
        waits.has_begun(round);
        assert_eq!(waits.ended.load(Ordering::SeqCst), round - 1);
        drop(call);
        waits.has_ended(round);
    }
    let polled = async {
        let call = sum.add(NEVER, 1);
        assert!(futures_util::poll!(call).is_pending());
    };
    block_on(polled);
    // Dropped before its executor has polled it, its method has not begun.
    waits.gate.add_permits(1);
    assert_eq!(block_on(sum.add(1, 2)).unwrap(), 3);
}

#[test]
fn a_call_that_has_waited_too_long_drops_the_method() {
    let (_runtime, waits, sum) = here();
    type Form = fn(multiprocess::Call<i32>) -> Result<i32>;
    let forms: [Form; 3] = [
        |call| within_time(|| call.timeout(SOON).wait()),
        |call| block_on(call.timeout(SOON)),
        |call| within_time(|| call.start().timeout(SOON).wait()),
    ];
    for form in forms {
        let error = form(sum.add(NEVER, 1)).unwrap_err();
        assert!(matches!(&error, Error::Timeout(late) if late.after() <= SOON), "{error}");
        assert_eq!(waits.gate.available_permits(), 0);
    }
    wait_until("no method runs", || {
        waits.begun.load(Ordering::SeqCst) == waits.ended.load(Ordering::SeqCst)
    });
}

/// A thread for each would be more than there may be.
#[test]
fn a_thousand_calls_wait_without_threads() {
    const MANY: usize = 1000;
    let (_runtime, waits, sum) = here();
    let calls: Vec<_> = (0..MANY).map(|number| sum.add(number as i32, 1).start()).collect();
    waits.has_begun(MANY);
    waits.gate.add_permits(MANY);
    for (number, call) in (1..).zip(calls) {
        assert_eq!(call.wait().unwrap(), number);
    }
}

#[test]
fn a_close_waits_for_the_methods() {
    let (_runtime, waits, sum) = here();
    let call = sum.add(1, 2).start();
    waits.has_begun(1);
    let close = sum.close().start();
    wait_until("no more calls are taken", || {
        sum.add(NEVER, 1)
            .start()
            .timeout(SOON)
            .wait()
            .is_err_and(|error| !matches!(error, Error::Timeout(_)))
    });
    let still = close.timeout(SOON).wait();
    assert!(matches!(still, Err(Error::Timeout(_))), "{still:?}");
    waits.gate.add_permits(1);
    assert_eq!(call.wait().unwrap(), 3);
}

#[test]
fn a_runtime_that_is_shut_down_ends_the_calls() {
    let (runtime, waits, sum) = here();
    let call = sum.add(NEVER, 1).start();
    waits.has_begun(1);
    runtime.shutdown_background();
    let error = within_time(|| call.wait()).unwrap_err();
    assert!(error.to_string().contains("was shut down"), "{error}");
    let error = within_time(move || sum.add(1, 1).wait()).unwrap_err();
    assert!(error.to_string().contains("was shut down"), "{error}");
}

#[test]
fn a_panic_is_the_calls_error() {
    struct Panics;
    impl SumAsync for Panics {
        async fn add(&self, a: i32, _b: i32) -> Result<i32> {
            panic!("{a} is too much")
        }
    }
    let (runtime, _waits, _sum) = here();
    let handle = runtime.handle().clone();
    let sum = SumClient::new_async(Panics, move |task| drop(handle.spawn(task)));
    let error = block_on(sum.add(7, 1)).unwrap_err();
    assert!(error.to_string().contains("7 is too much"), "{error}");
}

/// What the method calls has it as well.
#[test]
fn the_method_and_what_it_calls_have_the_deadline() {
    struct Asks(SumClient);
    impl SumAsync for Asks {
        async fn add(&self, a: i32, b: i32) -> Result<i32> {
            assert!(current_call().is_none());
            self.0.add(a, b).await
        }
    }
    let (runtime, waits, inner) = here();
    let handle = runtime.handle().clone();
    let outer = SumClient::new_async(Asks(inner), move |task| drop(handle.spawn(task)));
    let error = within_time(move || outer.add(NEVER, 1).start().timeout(SOON).wait()).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    wait_until("the inner method has ended with it", || {
        waits.begun.load(Ordering::SeqCst) == waits.ended.load(Ordering::SeqCst)
    });
}

/// As one of a call of a peer's does.
#[test]
fn an_object_of_this_process_that_a_peers_call_uses_is_given_up_with_it() {
    use multiprocess_tests::Relay;
    let (_runtime, waits, sum) = here();
    let pair = pair();
    let callback = Relay::client(move |_, _| sum.add(NEVER, 1).start().wait());
    let error = pair.lab.call_back(callback, 1).timeout(Duration::from_millis(200)).wait();
    assert!(matches!(error, Err(Error::Timeout(_))), "{error:?}");
    wait_until("no method runs", || {
        waits.begun.load(Ordering::SeqCst) == waits.ended.load(Ordering::SeqCst)
    });
}
