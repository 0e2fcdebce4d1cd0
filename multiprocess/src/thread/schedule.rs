//! Finds the thread that a call's context names.

use std::future::Future;
use std::rc::Rc;

use capnp::capability::Promise;
use capnp::private::capability::ClientHook;

use super::ThreadServer;
use crate::Error;
use crate::connection::{After, ArcConn, Tables, to_engine};
use crate::rt::CallThreads;
use crate::server::Task;

/// Leaves `task` for the thread that the context names and returns the promise of the call's end.
pub(crate) fn schedule(
    _conn: &ArcConn,
    tables: &Rc<Tables>,
    threads: CallThreads,
    task: Task,
    finished: impl Future<Output = Result<(), capnp::Error>> + 'static,
) -> Promise<(), capnp::Error> {
    let Some(thread) = threads.thread else {
        return match tables.threads.pool() {
            Some(lanes) => {
                tables.after(After::Lane(lanes, task));
                Promise::from_future(finished)
            }
            None => refuse(task, "no thread specified and no pool configured"),
        };
    };
    if tables.local(&*thread).is_some() || thread.when_more_resolved().is_none() {
        return match post(tables, &*thread, task) {
            Ok(()) => Promise::from_future(finished),
            Err(task) => refuse(task, "invalid thread handle"),
        };
    }
    // The caller did not wait for its thread to be made: the capability is still a promise.
    let tables = Rc::downgrade(tables);
    Promise::from_future(async move {
        thread.when_resolved().await?;
        let Some(tables) = tables.upgrade() else {
            return Err(capnp::Error::disconnected("the connection has ended".to_owned()));
        };
        match post(&tables, &*thread, task) {
            Ok(()) => finished.await,
            Err(task) => refuse(task, "invalid thread handle").await,
        }
    })
}

fn post(tables: &Tables, thread: &dyn ClientHook, task: Task) -> Result<(), Task> {
    let Some(local) = tables.local(thread) else { return Err(task) };
    let mut task = Some(task);
    local.with_served(|served| {
        let after = match (served.thread(), task.take()) {
            (Some(ThreadServer::Worker(worker, _)), Some(task)) => After::Post(worker.inbox(), task),
            (Some(ThreadServer::Caller(inbox)), Some(task)) => After::Post(inbox.clone(), task),
            (Some(ThreadServer::Pool), Some(task)) => After::Pool(task),
            (None, given_back) => {
                task = given_back;
                return;
            }
            (_, None) => return,
        };
        tables.after(after);
    });
    match task {
        Some(task) => Err(task),
        None => Ok(()),
    }
}

fn refuse(task: Task, problem: &str) -> Promise<(), capnp::Error> {
    let error = Error::failed(problem);
    let refused = to_engine(&error);
    task.refuse(error);
    Promise::err(refused)
}
