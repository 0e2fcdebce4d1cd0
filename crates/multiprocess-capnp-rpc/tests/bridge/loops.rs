//! Threads that capnp-rpc's objects live on.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use multiprocess_capnp_rpc::Bridge;
use tokio::task::LocalSet;

/// How long a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test with a bridge on this thread. At the end nothing may be left of the bridge: no client, no served
/// object, no call.
pub(crate) fn with_bridge<R, F: Future<Output = R>>(test: impl FnOnce(Bridge) -> F) -> R {
    on_loop(async {
        let (bridge, driver) = Bridge::new();
        let driver = tokio::task::spawn_local(driver);
        let result = soon(test(bridge)).await;
        soon(driver).await.expect("the driver has ended");
        result
    })
}

/// The same on a thread of its own.
pub(crate) fn bridge_thread<R, F>(test: impl FnOnce(Bridge) -> F + Send + 'static) -> Running<R>
where
    R: Send + 'static,
    F: Future<Output = R>,
{
    Running(std::thread::spawn(move || with_bridge(test)))
}

pub(crate) struct Running<R>(std::thread::JoinHandle<R>);

impl<R> Running<R> {
    pub(crate) fn join(self) -> R {
        self.0.join().expect("the other thread's test")
    }
}

pub(crate) fn on_loop<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// What has to end soon.
pub(crate) async fn soon<R>(future: impl Future<Output = R>) -> R {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Runs what blocks on a thread of its own, while this thread's loop goes on.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    soon(tokio::task::spawn_blocking(work)).await.expect("the thread that blocks")
}

pub(crate) fn sockets() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a socket pair")
}
