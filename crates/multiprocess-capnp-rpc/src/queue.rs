//! What other threads have the bridge's thread do, in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_channel::oneshot;
use multiprocess::Result;
use multiprocess::rt::RawPayload;

use crate::served::gone;

pub(crate) enum Command {
    /// Call a client.
    Call(ServedCall),
    /// Drop a client: nobody can call it any more.
    Release(u64),
}

/// A call of a client.
pub(crate) struct ServedCall {
    pub(crate) key: u64,
    pub(crate) method: (u64, u16),
    pub(crate) params: RawPayload,
    /// Closed when the call is cancelled.
    pub(crate) reply: oneshot::Sender<Result<RawPayload>>,
}

/// The commands that the driver has not taken yet. A call that is cancelled is taken out: its peer may make another
/// one then, so what it held would have no limit while the bridge's thread is busy.
#[derive(Default)]
pub(crate) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    /// By their numbers, which are in the order in which they came.
    commands: BTreeMap<u64, Command>,
    next: u64,
    /// The driver's, while there is nothing for it.
    waker: Option<Waker>,
    /// There is no driver any more.
    ended: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the command. None if there is no driver any more: then the command is dropped.
    fn push(&self, command: Command) -> Option<u64> {
        let mut state = self.state();
        if state.ended {
            // What is in it may have a destructor that comes here.
            drop(state);
            drop(command);
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.commands.insert(number, command);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(number)
    }

    /// Has a client called. The call is cancelled when the result is dropped.
    pub(crate) fn call(
        self: &Arc<Self>,
        key: u64,
        method: (u64, u16),
        params: RawPayload,
    ) -> Waits {
        let (reply, answer) = oneshot::channel();
        let number = self.push(Command::Call(ServedCall { key, method, params, reply }));
        Waits { queue: Arc::clone(self), number, answer }
    }

    pub(crate) fn release(&self, key: u64) {
        self.push(Command::Release(key));
    }

    /// The next command. If there is none, the driver is woken by the next, or by [`wake`](Self::wake).
    pub(crate) fn take(&self, cx: &Context<'_>) -> Option<Command> {
        let mut state = self.state();
        if let Some((_, command)) = state.commands.pop_first() {
            return Some(command);
        }
        let before = match &state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => state.waker.replace(cx.waker().clone()),
        };
        drop(state);
        drop(before);
        None
    }

    /// Wakes the driver.
    pub(crate) fn wake(&self) {
        let waker = self.state().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// There is no driver any more: who waits is told so, and so is who comes later.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let left = (std::mem::take(&mut state.commands), state.waker.take());
        drop(state);
        drop(left);
    }
}

/// The answer of a call of a client.
pub(crate) struct Waits {
    queue: Arc<Queue>,
    /// None when the call has its answer, or there was no driver for it.
    number: Option<u64>,
    answer: oneshot::Receiver<Result<RawPayload>>,
}

impl Future for Waits {
    type Output = Result<RawPayload>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<RawPayload>> {
        let waits = self.get_mut();
        let answer = Pin::new(&mut waits.answer).poll(cx);
        answer.map(|answer| {
            waits.number = None;
            answer.unwrap_or_else(|_| Err(gone()))
        })
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let call = self.queue.state().commands.remove(&number);
            drop(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use multiprocess::rt::RawMessage;

    use super::*;

    fn call(queue: &Arc<Queue>, method: u16) -> Waits {
        let payload = RawPayload { message: RawMessage::new_default(), capabilities: Vec::new() };
        queue.call(7, (0, method), payload)
    }

    /// What the driver is to do: the methods of calls, and the keys of clients that are released.
    fn taken(queue: &Queue) -> Vec<u64> {
        let cx = Context::from_waker(Waker::noop());
        let commands = std::iter::from_fn(|| queue.take(&cx));
        commands
            .map(|command| match command {
                Command::Call(call) => u64::from(call.method.1),
                Command::Release(key) => key,
            })
            .collect()
    }

    #[test]
    fn commands_keep_their_order_and_nothing_is_left_of_calls_that_are_cancelled() {
        let queue = Arc::new(Queue::default());
        let kept = (call(&queue, 1), call(&queue, 2));
        for _ in 0..100 {
            drop(call(&queue, 3));
        }
        queue.release(4);
        let last = call(&queue, 5);
        assert_eq!(queue.state().commands.len(), 4);
        drop(kept.0);
        assert_eq!(taken(&queue), [2, 4, 5]);
        // They are cancelled by the driver now.
        drop((kept.1, last));
        assert_eq!(queue.state().commands.len(), 0);
    }

    #[test]
    fn without_a_driver_nothing_is_kept() {
        let queue = Arc::new(Queue::default());
        let mut before = call(&queue, 1);
        queue.end();
        let mut after = call(&queue, 2);
        queue.release(3);
        assert_eq!(queue.state().commands.len(), 0);
        for call in [&mut before, &mut after] {
            let answer = Pin::new(call).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Err(error)) = answer else { panic!("the driver is gone") };
            assert!(error.is_disconnect(), "{error}");
        }
    }
}
