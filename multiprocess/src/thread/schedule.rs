//! Finds the thread that a call's context names.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use capnp::capability::Promise;
use capnp::private::capability::ClientHook;

use super::serve::THREAD;
use super::{Inbox, Lanes, ThreadServer};
use crate::Error;
use crate::connection::{After, Tables, to_engine};
use crate::rt::CallThreads;
use crate::server::Task;

/// What the engine gives as the brand of a capability that stands for an error.
const BROKEN: usize = 0;

/// Leaves `task` for the thread that the context names and returns the promise of the call's end.
pub(crate) fn schedule(
    tables: &Rc<Tables>,
    threads: CallThreads,
    task: Task,
    finished: impl Future<Output = Result<(), capnp::Error>> + 'static,
) -> Promise<(), capnp::Error> {
    let Some(thread) = threads.thread else {
        return match tables.threads.pool() {
            Some(lanes) => {
                queue(tables, lanes, task);
                Promise::from_future(finished)
            }
            None => refuse(task, "no thread specified and no pool configured"),
        };
    };
    let callback = threads.callback;
    // Our own call, come home: the thread that waits for it is here.
    let ours = callback.as_deref().is_some_and(|callback| tables.local(callback).is_some());
    if ours || tables.local(&*thread).is_some() || thread.when_more_resolved().is_none() {
        return match post(tables, &*thread, callback.as_deref(), task) {
            Ok(()) => Promise::from_future(finished),
            Err(task) => refuse_thread(tables, &*thread, task),
        };
    }
    // The caller did not wait for its thread to be made: the capability is still a promise.
    let tables = Rc::downgrade(tables);
    Promise::from_future(async move {
        thread.when_resolved().await?;
        let Some(tables) = tables.upgrade() else {
            return Err(capnp::Error::disconnected("the connection has ended".to_owned()));
        };
        match post(&tables, &*thread, callback.as_deref(), task) {
            Ok(()) => finished.await,
            Err(task) => refuse_thread(&tables, &*thread, task).await,
        }
    })
}

/// Posts `task` to the thread `thread` of this process.
///
/// A call of this side's that comes back to an object of this side's, through a promise of the
/// peer's, names a thread of the peer's; then the thread that waits for it runs it.
fn post(
    tables: &Tables,
    thread: &dyn ClientHook,
    callback: Option<&dyn ClientHook>,
    task: Task,
) -> Result<(), Task> {
    let local = tables.local(thread).or_else(|| tables.local(callback?));
    let Some(local) = local else { return Err(task) };
    let mut task = Some(task);
    local.with_served(|served| match (served.thread(), task.take()) {
        (Some(thread), Some(mut task)) => {
            task.sent_to(Rc::as_ptr(&local) as usize);
            hand_over(tables, thread, task);
        }
        (None, given_back) => task = given_back,
        (_, None) => {}
    });
    match task {
        Some(task) => Err(task),
        None => Ok(()),
    }
}

/// Leaves a call for a thread.
fn hand_over(tables: &Tables, thread: &ThreadServer, task: Task) {
    match thread {
        // Its thread need not even have started.
        _ if task.is_spawned() => tables.after(After::Spawn(task)),
        ThreadServer::Worker(worker, _) => push(tables, worker.inbox(), task),
        ThreadServer::Caller(inbox) => push(tables, Arc::clone(inbox), task),
        ThreadServer::Pool => tables.after(After::Pool(task)),
    }
}

/// Puts a call into a thread's inbox now, so that calls are in the order in which the engine had
/// them, whichever thread leaves the lock first; the thread is woken outside.
fn push(tables: &Tables, inbox: Arc<Inbox>, task: Task) {
    if inbox.push(task) {
        tables.after(After::Unpark(inbox));
    }
}

/// The same for lanes. A call that takes no thread takes no lane either.
pub(crate) fn queue(tables: &Tables, lanes: Arc<Lanes>, task: Task) {
    if task.is_spawned() {
        tables.after(After::Spawn(task));
    } else if lanes.push(task) {
        tables.after(After::Lane(lanes));
    }
}

/// Refuses a call whose thread is none of this process's.
fn refuse_thread(
    tables: &Tables,
    thread: &dyn ClientHook,
    task: Task,
) -> Promise<(), capnp::Error> {
    if thread.get_brand() != BROKEN || tables.local(thread).is_some() {
        return refuse(task, "invalid thread handle");
    }
    // Its makeThread may have failed: a call of it gives the reason, and goes nowhere.
    let name = thread.new_call(THREAD, 0, None).hook.send();
    Promise::from_future(async move {
        match name.promise.await {
            Err(error) if error.kind == capnp::ErrorKind::Overloaded => {
                task.refuse(Error::Overloaded { message: error.extra.clone() });
                Err(error)
            }
            _ => refuse(task, "invalid thread handle").await,
        }
    })
}

fn refuse(task: Task, problem: &str) -> Promise<(), capnp::Error> {
    let error = Error::failed(problem);
    let refused = to_engine(&error);
    task.refuse(error);
    Promise::err(refused)
}
