//! Objects whose methods are futures: on which executor they run, what they can do there, and how
//! they end.

use std::future::{Future, pending};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;
use multiprocess::{Connection, Error, Result, current_call, rt};
use multiprocess_tests::generated::waits::{
    ChildAsync, ChildClient, Sum, SumAsync, SumClient, Waits, WaitsAsync, WaitsClient,
};
use multiprocess_tests::wait_until;

const LONG: Duration = Duration::from_secs(20);

/// What its methods, and their ends, leave behind.
#[derive(Default)]
struct Seen {
    /// Calls of `wait` that run.
    waiting: AtomicUsize,
    most: AtomicUsize,
    /// Those that were dropped before their end.
    dropped: AtomicUsize,
    /// Lets go of all that wait; by `interrupt`.
    go: tokio::sync::Notify,
    calls: Mutex<Vec<bool>>,
    children: AtomicUsize,
    ended: AtomicBool,
}

struct Server(Arc<Seen>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

/// Counts a wait that runs.
struct Waiting<'a>(&'a Seen, bool);

impl<'a> Waiting<'a> {
    fn new(seen: &'a Seen) -> Waiting<'a> {
        let now = seen.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        Waiting(seen, false)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl SumAsync for Server {
    async fn add(&self, a: i32, b: i32) -> Result<i32> {
        tokio::task::yield_now().await;
        self.0.calls.lock().unwrap().push(current_call().is_some());
        Ok(a + b)
    }
}

impl WaitsAsync for Server {
    async fn wait(&self, name: String) -> Result<bool> {
        let mut waiting = Waiting::new(&self.0);
        if name == "for ever" {
            pending::<()>().await;
        }
        self.0.go.notified().await;
        waiting.1 = true;
        Ok(true)
    }

    async fn interrupt(&self) -> Result<()> {
        self.0.go.notify_waiters();
        Ok(())
    }

    async fn add_inline(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }

    async fn call_back(&self, callback: WaitsClient, value: i32) -> Result<i32> {
        tokio::task::yield_now().await;
        let there = callback.add(value, 1).await?;
        let name = callback.thread_name().await?;
        assert!(current_call().is_some());
        callback.wait(name).await?;
        Ok(there)
    }

    async fn panics(&self) -> Result<()> {
        tokio::task::yield_now().await;
        panic!("as it was asked to")
    }

    async fn as_sum(&self) -> Result<SumClient> {
        let whole = WaitsClient::new_async(Server(Arc::clone(&self.0)), spawn_on_tokio());
        Ok(SumClient::from(whole))
    }

    async fn make_child(&self) -> Result<ChildClient> {
        self.0.children.fetch_add(1, Ordering::SeqCst);
        let child = Child(Arc::clone(&self.0));
        Ok(ChildClient::new_async(child, spawn_on_tokio()))
    }
}

struct Child(Arc<Seen>);

impl Drop for Child {
    fn drop(&mut self) {
        self.0.children.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ChildAsync for Child {
    async fn hold(&self, _name: String) -> Result<bool> {
        let mut waiting = Waiting::new(&self.0);
        self.0.go.notified().await;
        waiting.1 = true;
        Ok(true)
    }

    async fn close_from(&self, callback: WaitsClient) -> Result<i32> {
        callback.add(1, 2).await
    }
}

fn spawn_on_tokio() -> impl Fn(rt::Task) + Send + Sync + 'static {
    let handle = tokio::runtime::Handle::current();
    move |task| drop(handle.spawn(task))
}

struct Served {
    seen: Arc<Seen>,
    serving: Connection,
    calling: Connection,
    waits: WaitsClient,
}

fn serve(object: impl FnOnce(Server) -> WaitsClient) -> Served {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let seen = Arc::<Seen>::default();
    let object = object(Server(Arc::clone(&seen)));
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let waits = calling.bootstrap().unwrap();
    Served { seen, serving, calling, waits }
}

fn served() -> Served {
    serve(|server| WaitsClient::new_async(server, spawn_on_tokio()))
}

/// A tokio program of two threads: tests block on one of them.
fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A callback that notes the thread it ran on.
#[derive(Clone, Default)]
struct Back(Arc<Mutex<Vec<std::thread::ThreadId>>>);

impl Back {
    fn note(&self) {
        self.0.lock().unwrap().push(std::thread::current().id());
    }
}

impl Sum for Back {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        self.note();
        Ok(a + b)
    }
}

impl Waits for Back {
    fn thread_name(&self) -> Result<String> {
        self.note();
        Ok("back".to_owned())
    }

    fn wait(&self, _name: String) -> Result<bool> {
        self.note();
        Ok(true)
    }
}

#[test]
fn calls_with_and_without_a_context() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
    assert_eq!(waits.add_inline(3, 4).wait().unwrap(), 7);
    assert_eq!(block_on(waits.add(5, 6)).unwrap(), 11);
    assert_eq!(block_on(waits.add_inline(5, 6)).unwrap(), 11);
    assert_eq!(*seen.calls.lock().unwrap(), [true, true], "current_call()");
    let error = waits.thread_name().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[tokio::test]
async fn one_thread_is_enough_for_a_program() {
    let Served { waits, .. } = &served();
    assert_eq!(waits.add(1, 2).await.unwrap(), 3);
    let sums = join_all((0..100).map(|i| waits.add(i, 1))).await;
    for (i, sum) in (1..).zip(sums) {
        assert_eq!(sum.unwrap(), i);
    }
}

#[test]
fn calls_of_one_thread_run_beside_each_other() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    // More than the peer makes threads for.
    let calls: Vec<_> = (0..1000).map(|_| waits.wait("").start()).collect();
    wait_until("all run", || seen.waiting.load(Ordering::SeqCst) == 1000);
    assert_eq!(waits.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    assert_eq!(block_on(waits.add(1, 2).timeout(LONG)).unwrap(), 3);
    waits.interrupt().wait().unwrap();
    for call in calls {
        assert!(call.wait().unwrap());
    }
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 0);
}

#[test]
fn a_cancelled_call_is_dropped() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, serving, .. } = &served();
    let gone = |count| {
        wait_until("it is dropped", || {
            seen.waiting.load(Ordering::SeqCst) == 0 && seen.dropped.load(Ordering::SeqCst) == count
        });
    };
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    drop(call);
    gone(1);
    let call = waits.wait("for ever").start().timeout(Duration::from_millis(200));
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    assert!(matches!(call.wait(), Err(Error::Timeout(_))));
    gone(2);
    assert!(serving.drain(LONG));
    for _ in 0..1000 {
        drop(waits.wait("for ever").start());
    }
    assert!(serving.drain(LONG));
    wait_until("all are gone", || seen.waiting.load(Ordering::SeqCst) == 0);
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn the_end_of_the_connection_drops_what_runs() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, serving, calling } = served();
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    calling.disconnect();
    assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    assert!(serving.drain(LONG));
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 1);
    drop((waits, serving, calling));
    wait_until("the object is dropped", || seen.ended.load(Ordering::SeqCst));
}

#[test]
fn a_panic_fails_only_its_call() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let error = waits.panics().wait().unwrap_err();
    let Error::Remote { message } = &error else { panic!("{error}") };
    assert!(message.contains("panicked: as it was asked to"), "{message}");
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn an_executor_that_drops_its_tasks_answers_with_an_error() {
    let Served { waits, serving, .. } = &serve(|server| WaitsClient::new_async(server, drop));
    for error in [
        waits.add(1, 2).timeout(LONG).wait().unwrap_err(),
        waits.add_inline(1, 2).timeout(LONG).wait().unwrap_err(),
        block_on(waits.add(1, 2).timeout(LONG)).unwrap_err(),
    ] {
        let Error::Remote { message } = &error else { panic!("{error}") };
        assert!(message.contains("dropped"), "{message}");
    }
    assert!(serving.drain(LONG));
    let here = WaitsClient::new_async(Server(Arc::default()), drop);
    assert!(here.add(1, 2).wait().unwrap_err().to_string().contains("dropped"));
}

#[test]
fn an_executor_that_panics_answers_with_an_error() {
    let panics = |_task| panic!("as it was asked to");
    let Served { waits, serving, .. } = &serve(|server| WaitsClient::new_async(server, panics));
    assert!(waits.add(1, 2).timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(serving.drain(LONG));
}

#[test]
fn a_runtime_that_ends_answers_what_runs() {
    let runtime = tokio_runtime();
    let entered = runtime.enter();
    let Served { seen, waits, serving, .. } = &served();
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    drop(entered);
    drop(runtime);
    assert!(call.timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(waits.add(1, 2).timeout(LONG).wait().unwrap_err().to_string().contains("dropped"));
    assert!(serving.drain(LONG));
}

#[test]
fn a_local_object_blocks_the_caller_until_the_future_has_ended() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let seen = Arc::<Seen>::default();
    let here = WaitsClient::new_async(Server(Arc::clone(&seen)), spawn_on_tokio());
    assert_eq!(here.add(1, 2).wait().unwrap(), 3);
    assert_eq!(block_on(here.add(1, 2)).unwrap(), 3);
    let error = here.panics().wait().unwrap_err();
    assert!(error.to_string().contains("as it was asked to"), "{error}");
    drop(here);
    wait_until("the object is dropped", || seen.ended.load(Ordering::SeqCst));
}

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

/// A method of an interface that `Sum` does not have, called on it.
fn interrupt_of_a_sum(sum: &SumClient) -> rt::Call<()> {
    use rt::Interface;
    let method: rt::Method<dyn Sum, (), ()> = rt::Method {
        id: rt::MethodId::new(WaitsClient::ID, 2, "Waits.interrupt"),
        params: rt::fields::<()>(rt::Size(0, 0), &[]),
        call: |_, ()| Ok(()),
        results: rt::fields::<()>(rt::Size(0, 0), &[]),
    };
    rt::call(sum.handle(), method, ())
}

/// Served as what it extends, an object is a future's still, and has no more methods than that.
#[test]
fn an_object_served_as_a_lesser_interface() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    let sum = waits.as_sum().wait().unwrap();
    assert_eq!(sum.add(1, 2).wait().unwrap(), 3);
    assert_eq!(*seen.calls.lock().unwrap(), [true], "it is served, not called");
    let error = interrupt_of_a_sum(&sum).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[test]
fn hooks_run_after_the_object_has_gone() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let seen = Arc::<Seen>::default();
    let here = WaitsClient::new_async(Server(Arc::clone(&seen)), spawn_on_tokio());
    let (noted, ran) = std::sync::mpsc::channel();
    let looks = Arc::clone(&seen);
    here.add_cleanup(move || noted.send(looks.ended.load(Ordering::SeqCst)).unwrap());
    let base = SumClient::from(here.clone());
    drop(here);
    assert!(!seen.ended.load(Ordering::SeqCst));
    drop(base);
    assert!(ran.recv_timeout(LONG).unwrap());
}

#[test]
fn close_lets_cancelled_calls_end_first() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    for _ in 0..50 {
        let child = waits.make_child().wait().unwrap();
        let call = child.hold("").start();
        wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
        drop(call);
        child.close().wait().unwrap();
        assert_eq!(seen.children.load(Ordering::SeqCst), 0, "the destructor has run");
        assert_eq!(seen.waiting.load(Ordering::SeqCst), 0);
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

/// Drops of what the user's futures hold may call back into the runtime.
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

#[test]
fn results_are_adjusted_before_they_are_handed_out() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let here = WaitsClient::new_async(Server(Arc::default()), spawn_on_tokio());
    for handle in [waits, &here] {
        let call = || handle.add(1, 2).adjust(|sum| *sum *= 10).adjust(|sum| *sum += 1);
        assert_eq!(call().wait().unwrap(), 31);
        assert_eq!(block_on(call()).unwrap(), 31);
        assert_eq!(call().start().wait().unwrap(), 31);
    }
    assert!(waits.thread_name().adjust(|_| panic!("there is none")).wait().is_err());
}
