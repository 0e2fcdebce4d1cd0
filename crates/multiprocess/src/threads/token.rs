//! Tells a running method that nobody waits for its answer any more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::carried::Carried;
use crate::cleanup::Cleanup;
use crate::moment::Moment;
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::thread_list;

type Hook = Box<dyn FnOnce() + Send>;

/// Fires when a call that is being served is cancelled: its caller dropped it, its deadline passed,
/// or the connection ended.
#[derive(Clone)]
pub struct CancelToken(Arc<Token>);

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("method", &self.0.about.method)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

impl CancelToken {
    pub(crate) fn new(token: Arc<Token>) -> CancelToken {
        CancelToken(token)
    }

    /// What the call is.
    pub(crate) fn about(&self) -> About {
        self.0.about
    }

    /// What came with the call.
    pub(crate) fn carried(&self) -> Carried {
        self.0.carried.as_deref().copied().unwrap_or_default()
    }

    /// For the runtime's own: see [`Token::on_fire`].
    pub(crate) fn on_fire(&self, wake: impl FnOnce() + Send + 'static) {
        self.0.on_fire(wake);
    }

    /// Whether the call was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_fired()
    }

    /// Runs `hook` on a thread of the runtime when the call is cancelled; here and at once if it was
    /// already. It is dropped unrun when the call ends, and kept until then: a method that waits again and again adds
    /// one hook for all of its waits.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        self.0.add_hook(Box::new(hook));
    }
}

/// Ends when the call is cancelled; never if it ends in another way. Unlike a hook it leaves nothing behind when it is
/// dropped, so a method can wait with it as often as it likes.
pub fn cancelled(token: &CancelToken) -> Cancelled {
    Cancelled { token: Arc::clone(&token.0), number: None }
}

/// A wait for the cancel of a call, from [`cancelled`].
#[must_use = "futures do nothing unless polled"]
pub struct Cancelled {
    token: Arc<Token>,
    /// Of its waker, where one is noted.
    number: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.token.is_fired_or_wakes_too(context.waker(), &mut this.number) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.token.forget(number);
        }
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("method", &self.token.about.method)
            .finish_non_exhaustive()
    }
}

/// A call that is being served, as those see it who neither run nor answer it.
pub(crate) struct Token {
    fired: AtomicBool,
    waiting: Mutex<Waiting>,
    pub(crate) about: About,
    /// What came with the call, if something did.
    pub(crate) carried: Option<Box<Carried>>,
    /// The number of the thread that runs the method; 0 before, [`POLLED`] where it is a future.
    thread: AtomicU64,
    /// How many futures have waited for the cancel.
    futures: AtomicU64,
}

/// What a call is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// `Interface.method`.
    pub(crate) method: &'static str,
    /// The size of its message.
    pub(crate) bytes: usize,
    /// When it arrived.
    pub(crate) since: Moment,
}

const POLLED: u64 = u64::MAX;

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits for its turn.
    Queued,
    /// On the thread with this number.
    Thread(u64),
    /// Its method is a future.
    Future,
}

#[derive(Default)]
struct Waiting {
    hooks: Vec<Hook>,
    /// Those who wait in the runtime.
    wakes: Vec<Hook>,
    /// The waker of the task that serves the call, if the method is a future.
    task: Option<Waker>,
    /// Those of futures that wait for the cancel, each with its number.
    futures: Vec<(u64, Waker)>,
}

impl Token {
    pub(crate) fn new(about: About, carried: Option<Box<Carried>>) -> Token {
        let (fired, waiting) = (AtomicBool::new(false), Mutex::default());
        Token {
            fired,
            waiting,
            about,
            carried,
            thread: AtomicU64::new(0),
            futures: AtomicU64::new(0),
        }
    }

    /// Whether the caller's deadline has passed, as far as it is known: it has given up.
    pub(crate) fn is_late(&self) -> bool {
        self.carried.as_ref().is_some_and(|carried| carried.is_late())
    }

    /// This thread runs the method from now on.
    pub(crate) fn runs_here(&self) {
        self.thread.store(thread_list::number(), Ordering::Relaxed);
    }

    /// The method is a future, which an executor has.
    pub(crate) fn is_polled(&self) {
        self.thread.store(POLLED, Ordering::Relaxed);
    }

    /// Where the call is now.
    pub(crate) fn place(&self) -> Place {
        match self.thread.load(Ordering::Relaxed) {
            0 => Place::Queued,
            POLLED => Place::Future,
            number => Place::Thread(number),
        }
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_hook(&self, hook: Hook) {
        {
            let mut waiting = self.waiting();
            if !self.is_fired() {
                waiting.hooks.push(hook);
                return;
            }
        }
        hook();
    }

    /// Whether the call was cancelled; if not, `task` is woken when it is.
    pub(crate) fn is_fired_or_wakes(&self, task: &Waker) -> bool {
        let mut waiting = self.waiting();
        if self.is_fired() {
            return true;
        }
        let before = match &waiting.task {
            Some(known) if known.will_wake(task) => None,
            _ => waiting.task.replace(task.clone()),
        };
        drop(waiting);
        drop(before);
        false
    }

    /// The same for one of several futures, which has this number; none before it has waited.
    fn is_fired_or_wakes_too(&self, future: &Waker, number: &mut Option<u64>) -> bool {
        let mut waiting = self.waiting();
        if self.is_fired() {
            return true;
        }
        let known = waiting.futures.iter_mut().find(|(known, _)| Some(*known) == *number);
        let before = match known {
            Some((_, known)) if known.will_wake(future) => None,
            Some((_, known)) => Some(std::mem::replace(known, future.clone())),
            None => {
                let next = self.futures.fetch_add(1, Ordering::Relaxed);
                waiting.futures.push((*number.insert(next), future.clone()));
                None
            }
        };
        drop(waiting);
        drop(before);
        false
    }

    /// The future with this number waits no more.
    fn forget(&self, number: u64) {
        let mut waiting = self.waiting();
        let place = waiting.futures.iter().position(|(known, _)| *known == number);
        let forgotten = place.map(|place| waiting.futures.swap_remove(place));
        drop(waiting);
        drop(forgotten);
    }

    /// Runs `wake` when the call is cancelled, on the thread that cancels it; here and at once if it was
    /// already. It must be quick: it is the runtime's own.
    pub(crate) fn on_fire(&self, wake: impl FnOnce() + Send + 'static) {
        {
            let mut waiting = self.waiting();
            if !self.is_fired() {
                waiting.wakes.push(Box::new(wake));
                return;
            }
        }
        wake();
    }

    /// Marks the token, wakes the call's task and who waits, and has the user's hooks run where they delay
    /// nobody.
    pub(crate) fn fire(&self, cleanup: &Arc<Cleanup>) {
        let Waiting { hooks, wakes, task, futures } = {
            let mut waiting = self.waiting();
            self.fired.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        for waker in task.into_iter().chain(futures.into_iter().map(|(_, waker)| waker)) {
            crate::panics::run_hook("a waker", || waker.wake());
        }
        for wake in wakes {
            wake();
        }
        for hook in hooks {
            cleanup.run("a hook for a call that is cancelled", hook);
        }
    }

    /// The call has ended: drops the hooks that were to run on cancel.
    pub(crate) fn retire(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{About, CancelToken, Token, cancelled};
    use crate::cleanup::Cleanup;
    use crate::moment::Moment;

    #[derive(Default)]
    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn token() -> Arc<Token> {
        let about = About { method: "Test.test", bytes: 0, since: Moment::coarse() };
        Arc::new(Token::new(about, None))
    }

    /// A call that tells for days waits very often.
    #[test]
    fn a_wait_that_is_dropped_leaves_nothing_behind() {
        let token = token();
        let cancel = CancelToken::new(Arc::clone(&token));
        for _ in 0..100 {
            let mut wait = pin!(cancelled(&cancel));
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(wait.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let waiting = token.waiting();
        assert!(waiting.futures.is_empty() && waiting.hooks.is_empty() && waiting.wakes.is_empty());
    }

    #[test]
    fn each_wait_is_woken_by_its_latest_waker() {
        let token = token();
        let cancel = CancelToken::new(Arc::clone(&token));
        let counts: Vec<Arc<Counts>> = (0..3).map(|_| Arc::default()).collect();
        let wakers: Vec<Waker> = counts.iter().cloned().map(Waker::from).collect();
        let (mut first, mut second) = (pin!(cancelled(&cancel)), pin!(cancelled(&cancel)));
        let mut context = wakers.iter().map(Context::from_waker);
        assert!(first.as_mut().poll(&mut context.next().unwrap()).is_pending());
        assert!(second.as_mut().poll(&mut context.next().unwrap()).is_pending());
        assert!(first.as_mut().poll(&mut context.next().unwrap()).is_pending());
        token.fire(Cleanup::unconnected());
        let woken: Vec<_> = counts.iter().map(|count| count.0.load(Ordering::SeqCst)).collect();
        assert_eq!(woken, [0, 1, 1]);
        let context = &mut Context::from_waker(Waker::noop());
        assert!(first.poll(context).is_ready() && second.poll(context).is_ready());
        assert!(pin!(cancelled(&cancel)).poll(context).is_ready());
    }
}

#[cfg(all(test, shuttle))]
#[path = "token_schedules.rs"]
mod schedules;
