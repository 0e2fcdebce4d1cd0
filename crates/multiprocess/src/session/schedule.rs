//! Finds the thread that a call's context names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use capnp_engine::{Cap, ExceptionKind, Failure, State as CapState};

use super::errors::from_failure;
use super::reader::CallThreads;
use super::thread_server::ThreadServer;
use crate::Error;
use crate::connection::{ArcConn, Core, Followup};
use crate::driver::{TimerId, driver};
use crate::limits_met::Limit;
use crate::threads::{Inbox, RunCall, SerialExecutor, Start, Task};

/// Identifies a thread of this process that a peer names.
pub(crate) type ThreadAddress = usize;

/// A call that is to be brought to its thread.
pub(crate) trait Schedule: Send {
    /// Notes the thread that the call goes to.
    fn sent_to(&mut self, thread: ThreadAddress);
    /// Whether it takes no thread to run: it is given to its object's executor.
    fn takes_no_thread(&self) -> bool;
    /// Answers with an error without running the method.
    fn refuse(self: Box<Self>, error: Error);
    /// The call, for a thread. Until then it does not keep its connection.
    fn into_task(self: Box<Self>, conn: &ArcConn) -> Box<dyn RunCall>;
}

/// A call that waits until the thread that it names is known, with a reference on each.
pub(crate) struct Waiting {
    thread: Cap,
    callback: Option<Cap>,
    call: Box<dyn Schedule>,
    /// Refuses it if the thread does not become known.
    timer: Option<TimerId>,
}

impl Core {
    /// Queues a call for the thread that its context names, or for the connection's serial executor if
    /// it has no context. Takes over the references on the threads.
    pub(crate) fn schedule(
        &mut self,
        conn: &ArcConn,
        threads: Option<CallThreads>,
        call: Box<dyn Schedule>,
    ) {
        let Some(CallThreads { thread, callback, .. }) = threads else {
            let inline = Arc::clone(&conn.session().inline);
            return self.queue(conn, inline, call);
        };
        let Some(thread) = thread else {
            self.engine.release_all([callback]);
            return match self.state().threads.pool() {
                Some(pool) => self.queue(conn, pool, call),
                None => call.refuse(Error::failed("no thread specified and no pool configured")),
            };
        };
        self.schedule_on(conn, Waiting { thread, callback, call, timer: None });
    }

    /// The thread that a call waited for is known.
    pub(super) fn thread_resolved(&mut self, conn: &ArcConn, tag: u64) {
        if let Some(waiting) = self.take_waiting(tag as usize) {
            self.schedule_on(conn, waiting);
        }
    }

    /// A call that waits no longer, without its timer.
    fn take_waiting(&mut self, tag: usize) -> Option<Waiting> {
        let mut waiting = self.state().waiting.try_remove(tag)?;
        if let (Some(timer), Ok(driver)) = (waiting.timer.take(), driver()) {
            driver.remove_timer(timer);
        }
        Some(waiting)
    }

    /// Refuses a call if its thread is not known in time.
    fn limit_waiting(&mut self, conn: &ArcConn, tag: usize) {
        let time = conn.limits().unknown_thread;
        let (Some(deadline), Ok(driver)) = (Instant::now().checked_add(time), driver()) else {
            return;
        };
        let conn = ArcConn::downgrade(conn);
        let late = move || {
            let Some(conn) = conn.upgrade() else { return };
            conn.enter(|core| core.thread_late(tag, deadline, time));
        };
        let timer = driver.add_timer(deadline, Box::new(late));
        if let Some(waiting) = self.state().waiting.get_mut(tag) {
            waiting.timer = Some(timer);
        }
    }

    fn thread_late(&mut self, tag: usize, deadline: Instant, time: Duration) {
        // It may have gone to its thread just now, and another have its place.
        let waiting = self.state().waiting.get(tag);
        let timer = waiting.and_then(|waiting| waiting.timer);
        if timer.is_none_or(|(at, _)| at != deadline) {
            return;
        }
        let waiting = self.state().waiting.remove(tag);
        // Or else a peer could make the promise remember as many as it likes, one after the other.
        self.engine.unwatch(waiting.thread, tag as u64);
        self.engine.release_all([Some(waiting.thread), waiting.callback]);
        let problem = format!("the thread that the call names was not known within {time:?}");
        Limit::UnknownThread
            .met(|| format!("a call was refused: {problem} (Limits::unknown_thread)"));
        waiting.call.refuse(Error::failed(problem));
    }

    /// The same for a thread that may not be known yet: the caller did not wait for it to be made.
    fn schedule_on(&mut self, conn: &ArcConn, waiting: Waiting) {
        let Waiting { thread, callback, call, .. } = waiting;
        // A call of this side's that comes back to an object of this side's, through a promise of the
        // peer's, names a thread of the peer's; then the thread that waits for it runs it.
        let object = match self.object_of(thread) {
            None => callback.and_then(|callback| self.object_of(callback)),
            object => object,
        };
        if let Some(object) = object.filter(|object| object.thread().is_some()) {
            self.engine.release_all([Some(thread), callback]);
            let address = Arc::as_ptr(&object).cast::<()>() as usize;
            let mut call = call;
            call.sent_to(address);
            if let Some(server) = object.thread() {
                self.hand_over(conn, server, call);
            }
            return;
        }
        match self.engine.state(thread) {
            CapState::Waiting | CapState::Peer => {
                let waiting = Waiting { thread, callback, call, timer: None };
                let tag = self.state().waiting.insert(waiting);
                if self.engine.watch(thread, tag as u64) {
                    self.limit_waiting(conn, tag);
                } else if let Some(waiting) = self.take_waiting(tag) {
                    self.refuse(waiting, None);
                }
            }
            // Its makeThread may have failed: that is the reason.
            CapState::Broken(failure) => {
                self.refuse(Waiting { thread, callback, call, timer: None }, Some(failure));
            }
            CapState::Object(_) => {
                self.refuse(Waiting { thread, callback, call, timer: None }, None);
            }
        }
    }

    fn refuse(&mut self, waiting: Waiting, failure: Option<Failure>) {
        self.engine.release_all([Some(waiting.thread), waiting.callback]);
        waiting.call.refuse(match failure {
            Some(failure @ Failure::Exception(_)) if is_overloaded(&failure) => {
                from_failure(failure)
            }
            // The words of C++ come first, by which programs may know it.
            _ => Error::failed(
                "invalid thread handle: what the caller named is no thread here (were ThreadMaps exchanged, \
                 by construct or a method such as initThreadMap, and did that call succeed?)",
            ),
        });
    }

    /// Queues a call for a thread.
    fn hand_over(&mut self, conn: &ArcConn, thread: &ThreadServer, call: Box<dyn Schedule>) {
        if call.takes_no_thread() {
            return self.start_in_order(conn, call);
        }
        let task = Task::new(call.into_task(conn));
        match thread {
            ThreadServer::Worker(worker) => match worker.inbox() {
                Ok(inbox) => self.push(inbox, task),
                Err(error) => task.refuse(error),
            },
            ThreadServer::Caller(inbox) => self.push(Arc::clone(inbox), task),
            ThreadServer::Pool => self.push_to(Arc::clone(&conn.session().callbacks), task),
        }
    }

    /// Gives a call to its object's executor, outside the lock and in the order in which calls came.
    fn start_in_order(&mut self, conn: &ArcConn, call: Box<dyn Schedule>) {
        let task = Task::new(call.into_task(conn));
        self.in_order.push(Box::new(|| task.run()));
    }

    /// Puts a call into a thread's inbox under the lock, so that calls keep the order of the protocol;
    /// the thread is woken outside the lock.
    fn push(&mut self, inbox: Arc<Inbox>, task: Task) {
        if inbox.push(task) {
            self.followups.push(Followup::Unpark(Arc::clone(inbox.parker())));
        }
    }

    /// The same for a serial executor. Calls of objects with an executor of their own use none of
    /// its threads.
    fn queue(&mut self, conn: &ArcConn, executor: Arc<SerialExecutor>, call: Box<dyn Schedule>) {
        if call.takes_no_thread() {
            return self.start_in_order(conn, call);
        }
        self.push_to(executor, Task::new(call.into_task(conn)));
    }

    fn push_to(&mut self, executor: Arc<SerialExecutor>, task: Task) {
        match executor.push(task) {
            Start::Nobody => {}
            Start::Thread => self.followups.push(Followup::Run(Box::new(|| executor.start()))),
            Start::Wake(inbox) => {
                self.followups.push(Followup::Unpark(Arc::clone(inbox.parker())));
            }
        }
    }
}

fn is_overloaded(failure: &Failure) -> bool {
    matches!(failure, Failure::Exception(exception) if exception.kind == ExceptionKind::Overloaded)
}
