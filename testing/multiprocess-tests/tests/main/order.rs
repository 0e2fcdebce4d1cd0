//! The order of calls of one object whose methods are futures: they begin in the order in which they
//! were made, also while the reader role passes from the thread that dispatched them so far to another
//! one that makes calls.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use multiprocess::{Connection, Error, Result, rt};
use multiprocess_tests::generated::waits::{Sum, SumAsync, Waits, WaitsAsync, WaitsClient};
use multiprocess_tests::{LONG, Watchdog};

const PAIRS: i32 = 10_000;
const READERS: usize = 3;

/// Notes the number of each call before it does anything else, and calls the object that it was given
/// by `call_back`.
#[derive(Clone, Default)]
struct Object {
    numbers: Arc<Mutex<Vec<i32>>>,
    back: Arc<Mutex<Option<WaitsClient>>>,
}

impl SumAsync for Object {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.numbers.lock().unwrap().push(a);
        Ok(a + b)
    }
}

impl WaitsAsync for Object {
    async fn add_inline(&self, a: i32, b: i32) -> Result<i32> {
        self.numbers.lock().unwrap().push(a);
        Ok(a + b)
    }

    async fn call_back(&self, callback: WaitsClient, _value: i32) -> Result<i32> {
        *self.back.lock().unwrap() = Some(callback);
        Ok(0)
    }
}

impl Object {
    /// A handle on the object. One thread runs its calls, in the order in which the runtime hands them
    /// out.
    fn client(&self) -> WaitsClient {
        let (spawn, tasks) = mpsc::channel::<rt::Task>();
        std::thread::spawn(move || tasks.into_iter().for_each(futures_executor::block_on));
        WaitsClient::new_async(self.clone(), move |task| {
            // Here another thread could overtake the one that passes a call to the executor.
            (0..3).for_each(|_| std::thread::yield_now());
            drop(spawn.send(task));
        })
    }
}

/// The object that the other side calls meanwhile.
struct Busy;

impl Sum for Busy {}

impl Waits for Busy {
    fn add_inline(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }
}

/// Calls `from_here` until dropped, so that its thread waits for answers and reads the connection
/// meanwhile.
struct Reads(Arc<AtomicBool>, Option<std::thread::JoinHandle<Result<()>>>);

impl Reads {
    fn new(from_here: WaitsClient) -> Reads {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                from_here.add_inline(1, 2).wait()?;
                // Sometimes nobody waits, so that another thread takes over the reading.
                std::thread::yield_now();
            }
            Ok(())
        });
        Reads(stop, Some(thread))
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

/// Makes pairs of calls, each from this thread, and asserts that they began in that order.
#[track_caller]
fn assert_in_order(object: &Object, run: &str, call: impl Fn(i32) -> rt::Call<i32>) {
    let watchdog = Watchdog::new(run.to_owned(), 1);
    for pair in 0..PAIRS {
        watchdog.progress();
        let calls = [call(2 * pair).start(), call(2 * pair + 1).start()];
        for (number, call) in (2 * pair..).zip(calls) {
            assert_eq!(call.timeout(LONG).wait().unwrap(), number);
        }
    }
    let numbers = std::mem::take(&mut *object.numbers.lock().unwrap());
    let swapped: Vec<_> = (0..).zip(&numbers).filter(|(place, number)| place != *number).collect();
    assert!(swapped.is_empty(), "{} out of order: {:?}", swapped.len(), &swapped[..2]);
}

fn connected(object: WaitsClient) -> (Connection, Connection, WaitsClient) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let waits = calling.bootstrap().unwrap();
    (serving, calling, waits)
}

/// An object that is served, while its side makes calls.
fn served(run: &str, call: impl Fn(&WaitsClient, i32) -> rt::Call<i32>) {
    let object = Object::default();
    let (_serving, _calling, waits) = connected(object.client());
    waits.call_back(WaitsClient::new(Busy), 0).wait().unwrap();
    let back = object.back.lock().unwrap().take();
    let back = back.ok_or_else(|| Error::failed("no callback")).unwrap();
    let _reads = [(); READERS].map(|()| Reads::new(back.clone()));
    assert_in_order(&object, run, |number| call(&waits, number));
}

#[test]
fn calls_without_a_context() {
    served("without a context", |waits, number| waits.add_inline(number, 0));
}

#[test]
fn calls_with_a_context() {
    served("with a context", |waits, number| waits.add(number, 0));
}

#[test]
fn both_kinds_of_calls() {
    served("both", |waits, number| match number % 2 {
        0 => waits.add(number, 0),
        _ => waits.add_inline(number, 0),
    });
}

/// The same of a callback: the object is the caller's, whose threads wait for other calls meanwhile.
#[test]
fn calls_of_a_callback() {
    let keeper = Object::default();
    let (_serving, _calling, waits) = connected(keeper.client());
    let object = Object::default();
    waits.call_back(object.client(), 0).wait().unwrap();
    let callback = keeper.back.lock().unwrap().take().unwrap();
    let _reads = [(); READERS].map(|()| Reads::new(waits.clone()));
    assert_in_order(&object, "a callback", |number| callback.add_inline(number, 0));
}
