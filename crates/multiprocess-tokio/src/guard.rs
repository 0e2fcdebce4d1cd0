//! Where a thread may not `.wait()`, because it runs futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use multiprocess::rt::{allow_waits, refuse_waits};
use pin_project_lite::pin_project;

/// The same future, in which a `.wait()` is an error instead of a stop.
///
/// A thread of a runtime that waits for a call runs no other task meanwhile. If the answer depends on one of
/// them (a callback that is served there, a stream that is carried there), it waits for ever. So within this
/// future `.wait()` is [`Error::ApiMisuse`](multiprocess::Error::ApiMisuse), which says what to do instead, and
/// nothing is sent. Methods of objects that are served [`on`](crate::on) a runtime have it so by themselves, and
/// so has what [`serve`](crate::serve) calls. Put it around `main`, and around tasks that are spawned:
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// # use market::MarketClient;
/// # use multiprocess::{Connection, Error, Result};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
/// # let market: MarketClient = Connection::new(ours)?.bootstrap()?;
/// multiprocess_tokio::guard(async {
///     let error = market.price("tea").wait().unwrap_err();
///     assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
/// })
/// .await;
/// # Ok(())
/// # }
/// ```
///
/// It cannot be noticed elsewhere: tokio does not tell whether a thread runs a task. Destructors of what a served
/// method held are not affected, as they cannot await. Nor is a call of an object of this process whose methods
/// block, which runs here; what it waits for itself is.
pub fn guard<F: Future>(future: F) -> Guarded<F> {
    Guarded { future }
}

pin_project! {
    /// A future in which nothing is waited for, from [`guard`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Guarded<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _waits = refuse_waits();
        self.project().future.poll(context)
    }
}

/// As [`tokio::task::block_in_place`], and `.wait()` is allowed within: other threads of the runtime go on with
/// its tasks. On a thread that runs none it just runs `blocking`.
///
/// ```
/// # mod market { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/generated/market.rs")); }
/// # use market::{Market, MarketClient};
/// # use multiprocess::Result;
/// # struct Stall;
/// # impl Market for Stall {
/// #     fn price(&self, goods: String) -> Result<u32> { Ok(goods.len() as u32) }
/// # }
/// # #[tokio::main]
/// # async fn main() -> Result<()> {
/// # let market = MarketClient::new(Stall);
/// let price = multiprocess_tokio::block_in_place(|| market.price("tea").wait())?;
/// assert_eq!(price, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// In a task of a current-thread runtime, which has no other thread, and within a [`LocalSet`](tokio::task::LocalSet) of
/// any runtime, whose tasks have none: use `.await` or [`spawn_blocking`](tokio::task::spawn_blocking).
pub fn block_in_place<R>(blocking: impl FnOnce() -> R) -> R {
    tokio::task::block_in_place(|| {
        let _waits = allow_waits();
        blocking()
    })
}
