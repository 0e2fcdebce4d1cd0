//! Calls of objects of this process that nobody waits for on the calling thread: they were started, or a
//! future awaits them. They run on threads for that, of which there is a bounded number.

use std::sync::{Arc, OnceLock};

use super::slot::Slot;
use crate::connection::WeakConn;
use crate::forked::check_forked;
use crate::panics::catch_panic;
use crate::threads::{RunCall, SerialExecutor, Start, Task, ThreadBudget};
use crate::{Error, Result};

/// How many of them run at once, without those that wait for an answer.
const AT_ONCE: usize = 64;
/// How many there are with those.
const THREADS: usize = 256;
/// How many threads there can always be, whatever peers take.
const RESERVED: usize = 8;

/// A method of a local object, with the place for its answer.
struct LocalCall<T: 'static> {
    slot: Arc<Slot<T>>,
    run: Box<dyn FnOnce() -> Result<T> + Send>,
}

impl<T: Send + 'static> RunCall for LocalCall<T> {
    fn run(self: Box<Self>) {
        let LocalCall { slot, run } = *self;
        slot.fill_and_wake(catch_panic(run));
    }

    fn refuse(self: Box<Self>, error: Error) {
        self.slot.fill_and_wake(Err(error));
    }

    fn connection(&self) -> WeakConn {
        WeakConn::new()
    }
}

/// Runs a method on a thread for that, which fills the slot.
pub(super) fn start_local<T: Send + 'static>(
    slot: &Arc<Slot<T>>,
    run: Box<dyn FnOnce() -> Result<T> + Send>,
) {
    if let Err(forked) = check_forked() {
        // The threads are the parent's.
        slot.fill_and_wake(Err(forked));
        return;
    }
    static EXECUTOR: OnceLock<Arc<SerialExecutor>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| {
        SerialExecutor::new(AT_ONCE, RESERVED, &ThreadBudget::new(THREADS - RESERVED))
    });
    match executor.push(Task::new(Box::new(LocalCall { slot: Arc::clone(slot), run }))) {
        Start::Nobody => {}
        Start::Thread => Arc::clone(executor).start(),
        Start::Wake(inbox) => inbox.parker().wake(),
    }
}
