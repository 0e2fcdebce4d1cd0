//! Runs tasks on the threads that wake them: for tasks that only pass something on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use crate::serving::{Spawn, Task};

/// Gives tasks to no executor: each is polled at once, and then by whoever wakes it.
pub(super) fn inline() -> Spawn {
    Arc::new(|task| {
        let state = State { task: Some(task), polled: false, woken: false };
        Arc::new(Inline(Mutex::new(state))).poll();
    })
}

struct Inline(Mutex<State>);

struct State {
    /// None while it is polled, and when it has ended.
    task: Option<Task>,
    polled: bool,
    /// It was woken while it was polled.
    woken: bool,
}

impl Inline {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        loop {
            let mut task = {
                let mut state = self.state();
                if state.polled {
                    state.woken = true;
                    return;
                }
                let Some(task) = state.task.take() else { return };
                (state.polled, state.woken) = (true, false);
                task
            };
            let over = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            if over {
                // Wakes that come later find it as one that is polled.
                return;
            }
            let mut state = self.state();
            state.polled = false;
            state.task = Some(task);
            if !state.woken {
                return;
            }
        }
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.poll();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.poll();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_task_runs_at_once_and_again_for_each_wake_also_one_of_its_own() {
        let polls = Arc::new(AtomicUsize::new(0));
        let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
        let (counted, keeps) = (Arc::clone(&polls), Arc::clone(&kept));
        inline()(Box::pin(poll_fn(move |cx| {
            match counted.fetch_add(1, Ordering::Relaxed) {
                // It wakes itself while it is polled.
                0 => cx.waker().wake_by_ref(),
                1 => *keeps.lock().unwrap() = Some(cx.waker().clone()),
                _ => return Poll::Ready(()),
            }
            Poll::Pending
        })));
        assert_eq!(polls.load(Ordering::Relaxed), 2);
        let waker = kept.lock().unwrap().take().unwrap();
        waker.wake_by_ref();
        assert_eq!(polls.load(Ordering::Relaxed), 3);
        waker.wake();
        assert_eq!(polls.load(Ordering::Relaxed), 3, "it has ended");
    }
}
