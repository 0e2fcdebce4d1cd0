//! The life of an object of this process: open, closing, closed. All handles on the object share it,
//! those of peers as well.

use std::any::Any;
use std::sync::{Arc, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::Result;
use crate::cleanup::{self, Cleanup};
use crate::driver::driver;
use crate::panics::run_hook;
use crate::session::closed;
use crate::sync::{Mutex, MutexGuard};

type Hook = Box<dyn FnOnce() + Send>;

/// How long the end of an object waits for its running calls if it is requested within a served call.
/// One of the running calls may depend on that served call, in a way that the runtime does not see, and
/// so be waiting for the end itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// One object's life. It holds the object until the life is dropped or the object is closed.
pub(crate) struct ObjectLife(Mutex<State>);

struct State {
    stage: Stage,
    /// The object, until it is closed.
    owner: Option<Box<dyn Any + Send + Sync>>,
    /// What is to follow the end. None where nothing is: there are many objects.
    at_end: Option<Box<AtEnd>>,
    /// The number of running calls for each thread, if the thread is known.
    running: Vec<(Option<ThreadId>, usize)>,
    /// The thread that requested the end: its own calls of the object wait for the end.
    closer: Option<ThreadId>,
}

#[derive(Default)]
struct AtEnd {
    /// Hooks for the end of the object, in the order in which they were added.
    hooks: Vec<Hook>,
    /// Run when it has ended, after the hooks.
    waiting: Vec<Hook>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// New calls are refused, and running calls have not ended.
    Closing,
    Closed,
}

impl ObjectLife {
    pub(crate) fn new(owner: Box<dyn Any + Send + Sync>) -> Arc<ObjectLife> {
        let (owner, running) = (Some(owner), Vec::new());
        Arc::new(ObjectLife(Mutex::new(State {
            stage: Stage::Open,
            owner,
            at_end: None,
            running,
            closer: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `hook` when the object has ended, or at once if it has ended already.
    pub(crate) fn add_hook(&self, hook: Hook) {
        let mut state = self.state();
        if state.stage == Stage::Closed {
            drop(state);
            return run_hook("a cleanup hook", hook);
        }
        state.at_end().hooks.push(hook);
    }

    /// Begins a call, on the current thread or on one that is not known yet.
    pub(crate) fn begin(self: &Arc<Self>, thread: Option<ThreadId>) -> Result<InUse> {
        let mut state = self.state();
        if state.stage != Stage::Open {
            return Err(closed());
        }
        state.count(thread);
        drop(state);
        Ok(InUse { life: Arc::clone(self), thread })
    }

    /// Takes no more calls, and ends the object when those that run have ended: its destructor and its
    /// hooks run then, and after them `done`. A call that runs on this same thread is not waited for,
    /// because it waits for the close. `within`: the close is made within a served call, so other calls
    /// are waited for only a second.
    pub(crate) fn close(self: &Arc<Self>, done: Hook, within: bool) {
        let mut state = self.state();
        match state.stage {
            Stage::Closed => {
                drop(state);
                return done();
            }
            Stage::Closing => return state.at_end().waiting.push(done),
            Stage::Open => {}
        }
        state.at_end().waiting.push(done);
        state.stage = Stage::Closing;
        state.closer = Some(std::thread::current().id());
        if state.is_idle() {
            return self.end(state);
        }
        drop(state);
        if within && let Ok(driver) = driver() {
            let life = Arc::downgrade(self);
            let end = move || {
                if let Some(life) = life.upgrade() {
                    let end = move || life.end_now();
                    // A queue of its own: other objects' ends do not wait for this one.
                    Cleanup::new().run("the end of an object", end);
                }
            };
            driver.add_timer(Instant::now() + PATIENCE, Box::new(end));
        }
    }

    /// Ends the object without waiting for running calls any longer.
    fn end_now(&self) {
        let state = self.state();
        if state.stage == Stage::Closing {
            self.end(state);
        }
    }

    fn end(&self, mut state: MutexGuard<'_, State>) {
        state.stage = Stage::Closed;
        let owner = state.owner.take();
        let AtEnd { hooks, waiting } = state.at_end.take().map(|end| *end).unwrap_or_default();
        drop(state);
        end_object(owner, hooks, waiting);
    }
}

/// The object's destructor, then its hooks in the reverse of their order, then what waits for the end. Here,
/// or later where this thread must not be held up.
fn end_object(owner: Option<Box<dyn Any + Send + Sync>>, hooks: Vec<Hook>, waiting: Vec<Hook>) {
    cleanup::end_here_or_later(move || {
        run_hook("an object's destructor", || drop(owner));
        for hook in hooks.into_iter().rev() {
            run_hook("a cleanup hook", hook);
        }
        waiting.into_iter().for_each(|done| done());
    });
}

impl State {
    fn at_end(&mut self) -> &mut AtEnd {
        self.at_end.get_or_insert_default()
    }

    /// Whether all running calls are ones that wait for the end.
    fn is_idle(&self) -> bool {
        self.running.iter().all(|(thread, _)| *thread == self.closer)
    }

    fn count(&mut self, thread: Option<ThreadId>) {
        match self.running.iter_mut().find(|(known, _)| *known == thread) {
            Some((_, count)) => *count += 1,
            None => self.running.push((thread, 1)),
        }
    }

    fn uncount(&mut self, thread: Option<ThreadId>) {
        if let Some(place) = self.running.iter().position(|(known, _)| *known == thread) {
            self.running[place].1 -= 1;
            if self.running[place].1 == 0 {
                self.running.swap_remove(place);
            }
        }
    }
}

impl Drop for ObjectLife {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.stage != Stage::Closed {
            let hooks = state.at_end.take().map(|end| end.hooks).unwrap_or_default();
            end_object(state.owner.take(), hooks, Vec::new());
        }
    }
}

/// A running call of the object: the object is kept until this is dropped.
pub(crate) struct InUse {
    life: Arc<ObjectLife>,
    thread: Option<ThreadId>,
}

/// What a running call holds so that its object waits for its end: nothing where that is elsewhere.
pub(crate) type Kept = Option<InUse>;

impl InUse {
    /// It runs on the current thread.
    pub(crate) fn on_this_thread(&mut self) {
        let thread = Some(std::thread::current().id());
        let mut state = self.life.state();
        state.uncount(self.thread);
        state.count(thread);
        self.thread = thread;
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = self.life.state();
        state.uncount(self.thread);
        if state.stage == Stage::Closing && state.is_idle() {
            self.life.end(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread::ThreadId;
    use std::time::Duration;

    use super::ObjectLife;
    use crate::cleanup::Cleanup;

    /// Such a call waits for the end itself. Calls of other threads are waited for.
    #[test]
    fn a_call_of_the_thread_that_closes_is_not_waited_for() {
        let life = ObjectLife::new(Box::new(()));
        let own = life.begin(Some(std::thread::current().id())).unwrap();
        let other = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        let other = life.begin(Some(other)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&ended);
        life.close(Box::new(move || done.store(true, Ordering::SeqCst)), false);
        assert!(life.begin(None).is_err(), "no calls are taken any more");
        assert!(!ended.load(Ordering::SeqCst));
        drop(other);
        assert!(ended.load(Ordering::SeqCst));
        drop(own);
    }

    /// A destructor that tells on which thread it runs.
    struct Ends(mpsc::Sender<ThreadId>);

    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.send(std::thread::current().id()).unwrap();
        }
    }

    /// As the result of a call may be, which the peer has let go already when it is dropped.
    #[test]
    fn the_last_handle_among_dropped_values_ends_its_object_elsewhere() {
        let (ends, ended) = mpsc::channel();
        let life = || ObjectLife::new(Box::new(Ends(ends.clone())));
        let (cleanup, this) = (Cleanup::new(), std::thread::current().id());
        cleanup.drop_values("values", (1, life()));
        let thread = ended.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_ne!(thread, this);
        // Afterwards it is as ever.
        drop(life());
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)).unwrap(), this);
    }
}

#[cfg(all(test, shuttle))]
#[path = "life_schedules.rs"]
mod schedules;
