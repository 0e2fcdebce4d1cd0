//! The capability behind which an object of this process is served.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::job::{Kind, destroyed};
use super::streams::Streams;
use super::task::Work;
use super::uses::Uses;
use super::{Served, Task, Token};
use crate::codec::CallThreads;
use crate::connection::{ArcConn, Core, RunningCall};
use crate::guard::catch_panic;
use crate::rpc::{Content, Destination, Garbage, Outcome, Waste};
use crate::rt::Decoder;
use crate::{Error, Result};

/// In the place of an export's number: the peer was not given the object.
pub(crate) const NOT_EXPORTED: u32 = u32::MAX;

/// An exported object of one connection.
pub(crate) struct Local {
    garbage: Arc<Garbage>,
    /// None once it was destroyed.
    served: Mutex<Option<Arc<dyn Served>>>,
    name: &'static str,
    /// The interface's destroy method: the one call that a destroyed object still accepts.
    destroy: Option<(u64, u16)>,
    /// The address of the user's object.
    object: Option<usize>,
    /// The number under which the peer knows it.
    export: AtomicU32,
    /// The object's running calls.
    uses: Arc<Uses>,
    /// The object's streaming calls over this connection.
    streams: Arc<Streams>,
}

impl Local {
    pub(crate) fn new(core: &mut Core, served: Arc<dyn Served>) -> Arc<Local> {
        let local = Arc::new(Local {
            garbage: Arc::clone(core.rpc.garbage()),
            name: served.name(),
            destroy: served.destroy_method(),
            object: served.object(),
            export: AtomicU32::new(NOT_EXPORTED),
            served: Mutex::new(Some(served)),
            uses: Arc::default(),
            streams: Arc::default(),
        });
        if let Some(object) = local.object {
            core.add_local(object, &local);
        }
        local
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<dyn Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served; none once it was destroyed.
    pub(crate) fn served(&self) -> Option<Arc<dyn Served>> {
        self.place().clone()
    }

    pub(crate) fn export(&self) -> u32 {
        self.export.load(Ordering::Relaxed)
    }

    pub(crate) fn set_export(&self, id: u32) {
        self.export.store(id, Ordering::Relaxed);
    }

    /// Decodes a call, and leaves it for its thread or answers it.
    pub(crate) fn call(
        self: &Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        (interface, method): (u64, u16),
        content: &Content<'_>,
        destination: Destination,
    ) -> Result<()> {
        if core.running_calls() >= conn.limits().calls {
            let limit = conn.limits().calls;
            let error = Error::Overloaded {
                message: format!("more than {limit} calls at once on one connection"),
            };
            self.streams.refused(&error);
            return Err(error);
        }
        let Some(served) = self.served() else {
            return self.call_destroyed(core, conn, (interface, method), destination);
        };
        let mut cx = Decoder::new(conn, core, content);
        let job = catch_panic(|| served.dispatch(interface, method, &mut cx, content.reader))?;
        let context = cx.take_context();
        let streaming = job.streaming;
        let work = match job.kind {
            Kind::Immediate(mut encode) => {
                core.answer(conn, destination, Outcome::Encode(&mut encode));
                return Ok(());
            }
            Kind::Run(method) => {
                Work::Call(self.streams.run(conn, streaming, method), served.keep())
            }
            Kind::Spawn(method) => {
                Work::Spawn(self.streams.spawn(conn, streaming, method), served.keep())
            }
            Kind::Destroy => {
                let remains = self.place().take().map(remains);
                Work::Destroy(remains)
            }
        };
        let task = self.task(core, conn, &context, destination, work);
        self.streams.arrive(core, conn, streaming, context, task);
        Ok(())
    }

    /// Calls on a destroyed object: a second destroy does nothing, anything else is an error.
    fn call_destroyed(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        method: (u64, u16),
        destination: Destination,
    ) -> Result<()> {
        if self.destroy != Some(method) {
            return Err(destroyed(self.name));
        }
        let mut encode: crate::codec::EncodeFn = Box::new(|_, _| Ok(()));
        core.answer(conn, destination, Outcome::Encode(&mut encode));
        Ok(())
    }

    fn task(
        self: &Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        context: &Option<CallThreads>,
        destination: Destination,
        work: Work,
    ) -> Task {
        let token = Arc::new(Token::default());
        core.set_token(destination, &token);
        let (thread, callback) = match context {
            Some(threads) => (threads.thread.clone(), threads.callback.clone()),
            None => (None, None),
        };
        conn.count_running();
        let running = RunningCall { destination, token: Arc::clone(&token), thread, callback };
        let id = core.add_running(running);
        Task::new(conn.clone(), id, token, work, &self.uses)
    }
}

/// Leaves the call for its thread.
pub(super) fn deliver(core: &mut Core, conn: &ArcConn, context: Option<CallThreads>, task: Task) {
    match context {
        None => crate::thread::queue(core, conn.inline_lane(), task),
        Some(threads) => crate::thread::schedule(core, threads, task),
    }
}

/// What is left of an object, to be dropped where that may block.
fn remains(served: Arc<dyn Served>) -> Box<dyn Any + Send> {
    Box::new(served)
}

impl Drop for Local {
    fn drop(&mut self) {
        let served = self.place().take();
        let remains = served.filter(|served| served.is_users()).map(remains);
        self.garbage.add(Waste::Local(self.object, remains));
    }
}
