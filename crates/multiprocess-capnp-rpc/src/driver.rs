//! The driver: brings calls to capnp-rpc's servers, on the bridge's thread.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use capnp::private::capability::ClientHook;
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::StreamExt;
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::FuturesUnordered;
use multiprocess::rt::RawPayload;
use multiprocess::{Error, Result};

use crate::bridge::{Bridge, Shared};
use crate::error::from_capnp;
use crate::message::Message;
use crate::results::results;
use crate::served::{Command, ServedCall};

/// Runs what the bridge serves: a future for the bridge's thread. See [`Bridge::new`].
#[must_use = "spawn it on this thread: without it nothing is served"]
pub struct Driver {
    shared: Rc<Shared>,
    commands: UnboundedReceiver<Command>,
    /// Calls, each of which is polled first in the order in which they came.
    running: FuturesUnordered<LocalBoxFuture<'static, ()>>,
    readers: FuturesUnordered<LocalBoxFuture<'static, ()>>,
}

impl Driver {
    pub(crate) fn new(shared: Rc<Shared>, commands: UnboundedReceiver<Command>) -> Driver {
        let (running, readers) = (FuturesUnordered::new(), FuturesUnordered::new());
        Driver { shared, commands, running, readers }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Release(key) => {
                let hook = self.shared.objects.borrow_mut().release(key);
                drop(hook);
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
        let before = driver.shared.driver.replace(Some(cx.waker().clone()));
        drop(before);
        let readers = std::mem::take(&mut *driver.shared.readers.borrow_mut());
        driver.readers.extend(readers);
        // First: it brings the calls, and the answers.
        while let Poll::Ready(Some(())) = driver.readers.poll_next_unpin(cx) {}
        loop {
            if let Poll::Ready(Some(command)) = driver.commands.poll_next_unpin(cx) {
                driver.take(command);
                continue;
            }
            let tasks = std::mem::take(&mut *driver.shared.tasks.borrow_mut());
            driver.running.extend(tasks);
            match driver.running.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if driver.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("running", &self.running.len()).finish()
    }
}

/// Calls a client, and answers. The call is dropped when it is cancelled.
async fn serve(bridge: Bridge, hook: Box<dyn ClientHook>, call: ServedCall) {
    let ServedCall { method, params, mut reply, .. } = call;
    let outcome = {
        let cancelled = reply.cancellation();
        let answer = pin!(answer(&bridge, &*hook, method, params));
        match select(answer, cancelled).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(((), _)) => None,
        }
    };
    if let Some(outcome) = outcome {
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
