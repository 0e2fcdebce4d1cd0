//! Finds the thread that a call's context names.

use std::sync::Arc;

use super::{Inbox, Lanes, Start, ThreadServer};
use crate::Error;
use crate::connection::{After, Core};
use crate::rpc::Cap;
use crate::rt::CallThreads;
use crate::server::Task;

/// Leaves `task` for the thread that the context names.
pub(crate) fn schedule(core: &mut Core, threads: CallThreads, task: Task) {
    let Some(thread) = threads.thread else {
        match core.threads.pool() {
            Some(lanes) => queue(core, lanes, task),
            None => task.refuse(Error::failed("no thread specified and no pool configured")),
        }
        return;
    };
    schedule_on(core, thread, threads.callback, task);
}

/// The same for a thread that may not be known yet: the caller did not wait for it to be made.
pub(crate) fn schedule_on(core: &mut Core, thread: Cap, callback: Option<Cap>, task: Task) {
    let thread = thread.resolved();
    let task = match post(core, &thread, callback.as_ref(), task) {
        Ok(()) => return,
        Err(task) => task,
    };
    let task = match core.await_thread(&thread, callback, task) {
        Ok(()) => return,
        Err(task) => task,
    };
    match &thread {
        // Its makeThread may have failed: that is the reason.
        Cap::Broken(error) if matches!(**error, Error::Overloaded { .. }) => {
            task.refuse((**error).clone());
        }
        _ => task.refuse(Error::failed("invalid thread handle")),
    }
}

/// Posts `task` to the thread `thread` of this process.
///
/// A call of this side's that comes back to an object of this side's, through a promise of the
/// peer's, names a thread of the peer's; then the thread that waits for it runs it.
fn post(core: &mut Core, thread: &Cap, callback: Option<&Cap>, mut task: Task) -> Result<(), Task> {
    let Some(local) = thread.local().or_else(|| callback?.local()) else { return Err(task) };
    let served = local.served();
    let Some(thread) = served.as_ref().and_then(|served| served.thread()) else {
        return Err(task);
    };
    task.sent_to(Arc::as_ptr(&local) as usize);
    hand_over(core, thread, task);
    Ok(())
}

/// Leaves a call for a thread.
fn hand_over(core: &mut Core, thread: &ThreadServer, task: Task) {
    match thread {
        // Its thread need not even have started.
        _ if task.is_spawned() => core.after.push(After::Spawn(task)),
        ThreadServer::Worker(worker, _) => push(core, worker.inbox(), task),
        ThreadServer::Caller(inbox) => push(core, Arc::clone(inbox), task),
        ThreadServer::Pool => core.after.push(After::Pool(task)),
    }
}

/// Puts a call into a thread's inbox now, so that calls are in the order in which the protocol had
/// them, whichever thread leaves the lock first; the thread is woken outside.
fn push(core: &mut Core, inbox: Arc<Inbox>, task: Task) {
    if inbox.push(task) {
        core.after.push(After::Unpark(inbox));
    }
}

/// The same for lanes. A call that takes no thread takes no lane either.
pub(crate) fn queue(core: &mut Core, lanes: Arc<Lanes>, task: Task) {
    if task.is_spawned() {
        core.after.push(After::Spawn(task));
        return;
    }
    match lanes.push(task) {
        Start::Nobody => {}
        Start::Thread => core.after.push(After::Lane(lanes)),
        Start::Wake(inbox) => core.after.push(After::Unpark(inbox)),
    }
}
