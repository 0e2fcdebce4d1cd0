//! Those who have asked to be told of something.
//!
//! Each has a thread, `tell`, which calls the subscriber's object, one call after the other: a slow process holds up
//! nobody but itself. The thread ends with the handler, and when the process is gone.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_ipc_draft::handler::{Handler, HandlerClient};
use multiprocess::{Error, Result};

use crate::tellers;

/// How long `disconnect` waits for a call that is under way: it may be that one's process that disconnects.
const LAST: Duration = Duration::from_secs(1);

/// Tells a process of all that `next` returns, until that is none. `call` waits for the process on the thread. `wake` has
/// a `next` that waits look again whether the subscription has [ended](Telling::has_ended).
pub(super) fn tell<T: 'static>(
    mut next: impl FnMut(&Telling) -> Option<T> + Send + 'static,
    call: impl Fn(T) -> Result<()> + Send + 'static,
    wake: impl Fn() + Send + Sync + 'static,
) -> Result<HandlerClient> {
    let telling = Arc::new(Telling::default());
    let teller = Arc::clone(&telling);
    let follow = move || {
        while let Some(what) = next(&teller) {
            if !teller.begin() {
                return;
            }
            let told = call(what);
            teller.finish();
            if !goes_on(told) {
                // With it the process's object is destroyed, by which it sees that nothing comes any more.
                return;
            }
        }
    };
    tellers::start("tell", follow)?;
    Ok(HandlerClient::new(Subscribed { telling, wake }))
}

/// Of something that never happens here. The callback is kept as long as the handler.
pub(super) fn never(callback: impl Send + Sync + 'static) -> HandlerClient {
    struct Never<T>(Mutex<Option<T>>);
    impl<T: Send + 'static> Handler for Never<T> {
        fn disconnect(&self) -> Result<()> {
            let callback = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(callback);
            Ok(())
        }
    }
    HandlerClient::new(Never(Mutex::new(Some(callback))))
}

/// Whether there is somebody to be told more.
fn goes_on(told: Result<()>) -> bool {
    match told {
        // It leaves that out.
        Ok(()) | Err(Error::Unimplemented { .. }) => true,
        Err(error) if error.is_disconnect() => {
            tracing::info!("a process that was told what happens in the node is gone");
            false
        }
        Err(error @ Error::Timeout(_)) => {
            tracing::warn!(
                "a process that is told what happens in the node takes too long, and is let go: {error}"
            );
            false
        }
        Err(error) => {
            tracing::warn!("a process was told what happens in the node, and failed: {error}");
            true
        }
    }
}

/// Where a subscription is.
#[derive(Default)]
pub(super) struct Telling {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    /// The process is called.
    under_way: bool,
}

impl Telling {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// False: it has ended, and nobody may be called.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        state.under_way = !state.ended;
        state.under_way
    }

    fn finish(&self) {
        self.lock().under_way = false;
        self.finished.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
    }

    /// Waits for a call that is under way, as long as [`LAST`].
    fn wait_finished(&self) {
        let under_way = |state: &mut State| state.under_way;
        let waited = self.finished.wait_timeout_while(self.lock(), LAST, under_way);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What ends a subscription: by its call, or when it is dropped.
struct Subscribed<W: Fn()> {
    telling: Arc<Telling>,
    wake: W,
}

impl<W: Fn() + Send + Sync + 'static> Handler for Subscribed<W> {
    fn disconnect(&self) -> Result<()> {
        self.telling.end();
        (self.wake)();
        self.telling.wait_finished();
        Ok(())
    }
}

impl<W: Fn()> Drop for Subscribed<W> {
    fn drop(&mut self) {
        self.telling.end();
        (self.wake)();
    }
}
