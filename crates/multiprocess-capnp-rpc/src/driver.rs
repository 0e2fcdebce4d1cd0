//! The driver: brings calls to capnp-rpc's servers, on the bridge's thread.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use capnp::private::capability::ClientHook;
use futures_util::StreamExt;
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::FuturesUnordered;
use multiprocess::rt::{RawPayload, catch_panics, refuse_waits, run_hook};
use multiprocess::{Error, Result};

use crate::bridge::{Bridge, Shared};
use crate::error::from_capnp;
use crate::message::Message;
use crate::queue::{Command, ServedCall};
use crate::results::results;

/// How many calls are begun or ended before the other tasks of this thread have their turn.
const TURNS: usize = 64;

/// Which panic is logged.
const DESTRUCTOR: &str = "a destructor of a capnp-rpc server or call";

type Running = FuturesUnordered<LocalBoxFuture<'static, ()>>;

/// Runs what the bridge serves: a future for the bridge's thread. See [`Bridge::new`].
#[must_use = "spawn it on this thread: without it nothing is served"]
pub struct Driver {
    shared: Rc<Shared>,
    /// Calls, each of which is polled first in the order in which they came.
    running: Running,
    readers: Running,
}

impl Driver {
    pub(crate) fn new(shared: Rc<Shared>) -> Driver {
        Driver { shared, running: Running::new(), readers: Running::new() }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Release(key) => {
                let hook = self.shared.objects.borrow_mut().release(key);
                run_hook(DESTRUCTOR, || drop(hook));
            }
            Command::Call(call) => {
                let hook = self.shared.objects.borrow().get(call.key);
                // None: it was released, so that nobody waits.
                if let Some(hook) = hook {
                    let bridge = Bridge(Rc::clone(&self.shared));
                    self.running.push(Box::pin(serve(bridge, hook, call)));
                }
            }
        }
    }

    /// Whether there is nothing left that could be called, or that could call.
    fn is_over(&self) -> bool {
        self.running.is_empty()
            && self.shared.objects.borrow().len() == 0
            && self.shared.tasks.borrow().is_empty()
            && Rc::strong_count(&self.shared) == 1
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        // What is served has this thread only.
        let _waits = refuse_waits();
        let readers = std::mem::take(&mut *driver.shared.readers.borrow_mut());
        driver.readers.extend(readers);
        // First: it brings the calls, and the answers.
        while let Poll::Ready(Some(())) = poll_next(&mut driver.readers, cx) {}
        for _ in 0..TURNS {
            let tasks = std::mem::take(&mut *driver.shared.tasks.borrow_mut());
            driver.running.extend(tasks);
            // Before others begin, so that there are never more than a peer may have at once.
            if poll_next(&mut driver.running, cx) == Poll::Ready(Some(())) {
                continue;
            }
            if let Some(command) = driver.shared.queue.take(cx) {
                driver.take(command);
                continue;
            }
            // From here on the queue wakes this.
            if driver.is_over() {
                return Poll::Ready(());
            }
            if driver.shared.tasks.borrow().is_empty() && driver.shared.readers.borrow().is_empty()
            {
                return Poll::Pending;
            }
            break;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls those that were woken until one of them has ended. One that panics has: nobody else does with it.
fn poll_next(running: &mut Running, cx: &mut Context<'_>) -> Poll<Option<()>> {
    let mut polled = Poll::Ready(Some(()));
    run_hook("a task of the bridge to capnp-rpc", || polled = running.poll_next_unpin(cx));
    polled
}

/// Lets go of the servers, which may hold clients of this bridge and so the bridge itself; and of the calls, whoever
/// waits for them.
impl Drop for Driver {
    fn drop(&mut self) {
        // First, so that what the destructors do leaves nothing here.
        self.shared.ended.set(true);
        self.shared.queue.end();
        self.shared.serves.take();
        let Driver { shared, running, readers } = self;
        // Each when nothing is borrowed.
        let tasks = std::mem::take(&mut *shared.tasks.borrow_mut());
        let waiting = std::mem::take(&mut *shared.readers.borrow_mut());
        let running = [std::mem::take(running), std::mem::take(readers)].into_iter().flatten();
        for task in running.chain(tasks).chain(waiting) {
            run_hook(DESTRUCTOR, || drop(task));
        }
        let servers = shared.objects.borrow_mut().take_all();
        for server in servers {
            run_hook(DESTRUCTOR, || drop(server));
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("running", &self.running.len()).finish()
    }
}

/// Calls a client, and answers. The call is dropped when it is cancelled. A panic in it is its error.
async fn serve(bridge: Bridge, hook: Box<dyn ClientHook>, call: ServedCall) {
    let ServedCall { method, params, mut reply, .. } = call;
    let cancelled = reply.cancellation();
    let served = async move {
        let answer = pin!(answer(&bridge, &*hook, method, params));
        match select(answer, cancelled).await {
            Either::Left((outcome, _)) => outcome.map(Some),
            Either::Right(((), _)) => Ok(None),
        }
    };
    // With all that it drops, which may be the server.
    if let Some(outcome) = catch_panics(served).await.transpose() {
        // Nobody waits if it was cancelled just now.
        let _ = reply.send(outcome);
    }
}

async fn answer(
    bridge: &Bridge,
    hook: &dyn ClientHook,
    (interface, method): (u64, u16),
    params: RawPayload,
) -> Result<RawPayload> {
    let params = Box::new(Message::arrived(bridge, params));
    let (results, written) = results();
    hook.call(interface, method, params, results).await.map_err(from_capnp)?;
    let results = written.await.map_err(|_| Error::failed("the server lost the results"))?;
    Ok(results.into_payload(bridge))
}
