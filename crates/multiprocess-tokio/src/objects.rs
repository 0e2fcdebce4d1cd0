//! Objects whose methods are futures, as tasks of a runtime.

use multiprocess::rt::Task;
use tokio::runtime::Handle;

use crate::guard;

/// The runtime on which an object's methods run, for the generated `new_async`:
/// `MarketClient::new_async(market, on(&Handle::current()))`.
///
/// Each call is a task of its own, so the calls of an object run beside each other. The task of a call that is
/// cancelled is dropped. If the runtime is shut down, calls that run and later ones fail with an error that says
/// so. Within a method `.wait()` is an error: see [`guard`].
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// use market::{MarketAsync, MarketClient}; // as generated from a schema, with async_traits(true)
/// use multiprocess::Result;
/// use multiprocess_tokio::on;
///
/// struct Stall;
///
/// impl MarketAsync for Stall {
///     async fn price(&self, goods: String) -> Result<u32> {
///         tokio::task::yield_now().await;
///         Ok(goods.len() as u32)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let runtime = tokio::runtime::Runtime::new().expect("a runtime");
/// let market = MarketClient::new_async(Stall, on(runtime.handle()));
/// // A call of an object of this process; this thread is none of the runtime's.
/// assert_eq!(market.price("tea").wait()?, 3);
/// # Ok(())
/// # }
/// ```
pub fn on(handle: &Handle) -> impl Fn(Task) + Send + Sync + Clone + 'static {
    let handle = handle.clone();
    move |task| drop(handle.spawn(guard(task)))
}
