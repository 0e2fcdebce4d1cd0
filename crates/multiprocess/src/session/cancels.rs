//! Calls of the peer's that it cancels before they are answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnp_engine::Cap;

use super::thread_server::ThreadServer;
use crate::Error;
use crate::cleanup::Cleanup;
use crate::connection::{ArcConn, Core, Followup};
use crate::threads::{Place, Queue, Token};

/// The cancels that have come and are not carried out yet. They are carried out together, so that each queue
/// is looked through once for all of them. None: nobody is about to do so.
#[derive(Clone, Default)]
pub(crate) struct Cancels(Arc<Mutex<Option<Vec<Cancel>>>>);

struct Cancel {
    token: Arc<Token>,
    /// Where the call may wait for its thread.
    queues: Vec<Arc<dyn Queue>>,
}

impl Cancels {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Cancel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether it is the first, so that somebody is to carry them out.
    fn add(&self, cancel: Cancel) -> bool {
        let mut cancels = self.lock();
        let first = cancels.is_none();
        cancels.get_or_insert_default().push(cancel);
        first
    }

    /// Fires the tokens, and answers the calls that still wait in a queue.
    fn carry_out(&self, cleanup: &Arc<Cleanup>) {
        let cancels = self.lock().take().unwrap_or_default();
        cancels.iter().for_each(|cancel| cancel.token.fire(cleanup));
        let mut queues: Vec<_> = cancels.into_iter().flat_map(|cancel| cancel.queues).collect();
        let address = |queue: &mut Arc<dyn Queue>| Arc::as_ptr(queue).cast::<()>() as usize;
        queues.sort_unstable_by_key(|queue| Arc::as_ptr(queue).cast::<()>() as usize);
        queues.dedup_by_key(address);
        // Those that have begun meanwhile are in none.
        for task in queues.iter().flat_map(|queue| queue.take_cancelled()) {
            task.refuse(Error::Cancelled);
        }
    }
}

impl Core {
    /// The answer of a call is not wanted any more: fires its token. If it waits for its thread it is
    /// answered now, and leaves the queue.
    pub(super) fn cancelled(&mut self, conn: &ArcConn, tag: u64) {
        let Some((token, thread)) = self.running_token(tag) else { return };
        let queues = match token.place() {
            Place::Queued => self.queues(conn, thread),
            Place::Thread(_) | Place::Future => Vec::new(),
        };
        let cancels = &self.state().cancels;
        if cancels.add(Cancel { token, queues }) {
            let (cancels, cleanup) = (cancels.clone(), Arc::clone(&self.cleanup));
            let carry_out = move || cancels.carry_out(&cleanup);
            self.followups.push(Followup::Run(Box::new(carry_out)));
        }
    }

    /// Where a call may wait for a thread: one that names this, or none.
    fn queues(&mut self, conn: &ArcConn, thread: Option<Cap>) -> Vec<Arc<dyn Queue>> {
        let shared = conn.session();
        let Some(thread) = thread else {
            let pool = self.state().threads.pool().map(|pool| pool as Arc<dyn Queue>);
            let inline = Arc::clone(&shared.inline) as Arc<dyn Queue>;
            return pool.into_iter().chain([inline]).collect();
        };
        let object = self.object_of(thread);
        let queue = object.as_ref().and_then(|object| object.thread()).map(|thread| match thread {
            ThreadServer::Worker(worker) => Arc::clone(worker.queue()) as Arc<dyn Queue>,
            ThreadServer::Caller(inbox) => Arc::clone(inbox) as Arc<dyn Queue>,
            ThreadServer::Pool => Arc::clone(&shared.callbacks) as Arc<dyn Queue>,
        });
        queue.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::moment::Moment;
    use crate::threads::{About, Task};

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Queue for Counted {
        fn take_cancelled(&self) -> Vec<Task> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        }
    }

    #[test]
    fn a_queue_is_looked_through_once_for_all_that_are_cancelled_together() {
        let (cancels, cleanup) = (Cancels::default(), Cleanup::new());
        let queues = [Arc::new(Counted::default()), Arc::new(Counted::default())];
        let about = About { method: "Test.test", bytes: 0, since: Moment::coarse() };
        let tokens: Vec<_> = (0..100).map(|_| Arc::new(Token::new(about, None))).collect();
        for (number, token) in tokens.iter().enumerate() {
            let queues: Vec<_> =
                queues.iter().map(|queue| Arc::clone(queue) as Arc<dyn Queue>).collect();
            assert_eq!(cancels.add(Cancel { token: Arc::clone(token), queues }), number == 0);
        }
        cancels.carry_out(&cleanup);
        assert!(tokens.iter().all(|token| token.is_fired()));
        assert!(queues.iter().all(|queue| queue.0.load(Ordering::Relaxed) == 1));
        // Later ones are carried out by somebody else.
        assert!(cancels.add(Cancel { token: Arc::clone(&tokens[0]), queues: Vec::new() }));
    }
}
