//! Objects whose methods are futures: on which executor they run, what they can do there, and how
//! they end.

mod callbacks;
mod calls;
mod executors;
mod objects;

use std::future::pending;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiprocess::{Connection, Result, current_call, rt};
use multiprocess_tests::generated::waits::{
    ChildAsync, ChildClient, Sum, SumAsync, SumClient, Waits, WaitsAsync, WaitsClient,
};

const LONG: Duration = Duration::from_secs(20);

/// What the object's methods did, and how they ended.
#[derive(Default)]
struct Seen {
    /// Calls of `wait` that run.
    waiting: AtomicUsize,
    most: AtomicUsize,
    /// Those that were dropped before their end.
    dropped: AtomicUsize,
    /// Lets all waits end; notified by `interrupt`.
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
