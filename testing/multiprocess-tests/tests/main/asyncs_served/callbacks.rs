//! Callbacks of futures, and futures that call when they are dropped.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_executor::block_on;
use multiprocess::Result;
use multiprocess_tests::generated::waits::{
    ChildClient, Sum, SumAsync, Waits, WaitsAsync, WaitsClient,
};
use multiprocess_tests::wait_until;

use super::{Back, LONG, Served, serve, served, spawn_on_tokio, tokio_runtime};

#[test]
fn callbacks_run_on_the_thread_that_waits() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let back = Back::default();
    assert_eq!(waits.call_back(WaitsClient::new(back.clone()), 5).wait().unwrap(), 6);
    let here = std::thread::current().id();
    // The last is a long wait, and so has a thread of its own.
    let threads = back.0.lock().unwrap();
    assert_eq!(threads[..2], [here, here]);
    assert_ne!(threads[2], here);
}

#[test]
fn callbacks_of_a_future() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let back = Back::default();
    assert_eq!(block_on(waits.call_back(WaitsClient::new(back), 5)).unwrap(), 6);
    // Both sides are futures, back and forth.
    let both = WaitsClient::new_async(AsyncBack(waits.clone()), spawn_on_tokio());
    assert_eq!(waits.call_back(both.clone(), 5).wait().unwrap(), 6);
    assert_eq!(block_on(waits.call_back(both, 5)).unwrap(), 6);
}

/// Calls the lab from its callbacks.
struct AsyncBack(WaitsClient);

impl SumAsync for AsyncBack {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.0.add(a, b).await
    }
}

impl WaitsAsync for AsyncBack {
    async fn thread_name(&self) -> Result<String> {
        Ok("back".to_owned())
    }

    async fn wait(&self, _name: String) -> Result<bool> {
        self.0.add_inline(1, 2).await.map(|sum| sum == 3)
    }
}

/// A callback that closes the object whose method calls it.
struct Closes(ChildClient, bool);

impl Sum for Closes {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        if self.1 {
            self.0.close().wait()?;
        } else {
            block_on(self.0.close())?;
        }
        Ok(a + b)
    }
}

impl Waits for Closes {}

#[test]
fn a_callback_may_close_the_object_that_calls_it() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    for blocking in [true, false] {
        let child = waits.make_child().wait().unwrap();
        let callback = WaitsClient::new(Closes(child.clone(), blocking));
        assert_eq!(child.close_from(callback.clone()).timeout(LONG).wait().unwrap(), 3);
        wait_until("it is dropped", || seen.children.load(Ordering::SeqCst) == 0);
        let child = waits.make_child().wait().unwrap();
        let callback = WaitsClient::new(Closes(child.clone(), blocking));
        assert_eq!(block_on(child.close_from(callback).timeout(LONG)).unwrap(), 3);
        wait_until("it is dropped", || seen.children.load(Ordering::SeqCst) == 0);
    }
}

/// Values in the user's futures may call back into the runtime when they are dropped.
#[test]
fn a_future_that_calls_when_it_is_dropped() {
    struct Calls(WaitsClient, std::sync::mpsc::Sender<Result<i32>>);
    impl Drop for Calls {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.add_inline(1, 2).timeout(LONG).wait());
        }
    }
    struct Object(Arc<Mutex<Option<Calls>>>, Arc<AtomicBool>);
    impl SumAsync for Object {}
    impl WaitsAsync for Object {
        fn wait(&self, _name: String) -> impl Future<Output = Result<bool>> + Send {
            let held = self.0.lock().unwrap().take();
            self.1.store(true, Ordering::SeqCst);
            async move {
                let _held = held;
                pending().await
            }
        }
    }
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let other = served();
    let (sum, dropped) = std::sync::mpsc::channel();
    let (held, runs) = (Arc::new(Mutex::new(None)), Arc::<AtomicBool>::default());
    *held.lock().unwrap() = Some(Calls(other.waits.clone(), sum));
    let object = Object(held, Arc::clone(&runs));
    let Served { waits, .. } = &serve(|_| WaitsClient::new_async(object, spawn_on_tokio()));
    let call = waits.wait("").start();
    wait_until("it runs", || runs.load(Ordering::SeqCst));
    drop(call);
    assert_eq!(dropped.recv_timeout(LONG).unwrap().unwrap(), 3);
}
