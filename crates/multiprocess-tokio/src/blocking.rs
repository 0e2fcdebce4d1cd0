//! Objects whose methods block, on a runtime's pool for that.

use std::sync::Arc;

use multiprocess::Interface;
use multiprocess::rt::{Handle as ObjectHandle, PoolTask};
use tokio::runtime::Handle;

/// A handle on an object whose methods block, which run on the runtime's pool for blocking tasks
/// ([`spawn_blocking`](tokio::task::spawn_blocking)) when peers call them, instead of on threads of the
/// connection.
///
/// Use it where a program wants one pool, with one bound (`max_blocking_threads`), for all that blocks, or where
/// methods need the runtime's context ([`Handle::current`]). The usual threads are a little faster, and keep the
/// calls in order that have no context or are made by one thread of the peer; here only those are in order that
/// their caller waits for, and those that stream. Calls of this process run on the calling thread, as always.
///
/// If the runtime is shut down, later calls fail, and those that wait for a thread of the pool may.
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// # use market::{Market, MarketClient};
/// # use multiprocess::{Connection, Result};
/// use std::sync::Arc;
/// use tokio::runtime::Handle;
///
/// struct Stall;
///
/// impl Market for Stall {
///     fn price(&self, _goods: String) -> Result<u32> {
///         Ok(Handle::current().metrics().num_workers() as u32)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let handle = Handle::current();
/// let market = multiprocess_tokio::on_blocking_pool::<MarketClient>(Arc::new(Stall), &handle);
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// # let serving = Connection::builder().serve(market).start(theirs)?;
/// # let calling = Connection::new(ours)?;
/// # let market: MarketClient = calling.bootstrap()?;
/// // As a peer calls it.
/// assert_eq!(market.price("tea").await?, 1);
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
pub fn on_blocking_pool<I: Interface>(object: Arc<I::Object>, handle: &Handle) -> I {
    let handle = handle.clone();
    let pool: Arc<dyn Fn(PoolTask) + Send + Sync> =
        Arc::new(move |task| drop(handle.spawn_blocking(task)));
    let served = Arc::clone(&object);
    I::from_handle(ObjectHandle::local_async(object, move |call| {
        Ok(I::dispatch(call, Arc::clone(&served))?.on_pool(Arc::clone(&pool)))
    }))
}
