//! The capability behind which an object of this process is served.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use capnp_engine::{Content, Delivery, Incoming, Serving};

use super::answer::Answer;
use super::call::{ServedCall, Work};
use super::ending::RunningCalls;
use super::intercepted;
use super::job::{Kind, destroyed};
use super::logged;
use super::streams::Streams;
use super::{CallContent, Served};
use crate::connection::{ArcConn, Core, Followup};
use crate::count::Count;
use crate::limits_met::Limit;
use crate::moment::Moment;
use crate::notes;
use crate::session::{CallThreads, Decoded, EncodeFn, Object, decode};
use crate::threads::{About, Token};
use crate::wire::Decoder;
use crate::wire::helpers::malformed;
use crate::{Error, Result};

/// An exported object of one connection.
pub(crate) struct Local {
    /// None once it was destroyed.
    served: Mutex<Option<Arc<dyn Served>>>,
    name: &'static str,
    /// The interface's destroy method: the one call that a destroyed object still accepts.
    destroy: Option<(u64, u16)>,
    /// Identifies the user's object.
    address: usize,
    drops_in_order: bool,
    /// The object's running calls.
    running: Arc<RunningCalls>,
    /// The object's streaming calls over this connection, from the first one on: most objects have none.
    streams: OnceLock<Arc<Streams>>,
}

impl Local {
    pub(crate) fn new(served: Arc<dyn Served>) -> Arc<Local> {
        Arc::new(Local {
            name: served.name(),
            destroy: served.destroy_method(),
            address: served.address(),
            drops_in_order: served.drops_in_order(),
            served: Mutex::new(Some(served)),
            running: Arc::default(),
            streams: OnceLock::new(),
        })
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<dyn Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes a call, and queues it for its thread or answers it.
    fn take_in(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        method: (u64, u16),
        content: &Content<'_>,
        serving: Serving,
    ) -> Result<()> {
        let ends = self.destroy == Some(method);
        if let Some(message) = beyond_limits(core, conn, content.message.len(), ends) {
            let error = Error::Overloaded { message };
            Object::refused(self, &error);
            return Err(error);
        }
        let served = self.place().clone();
        let Some(served) = served else {
            return self.call_destroyed(core, conn, method, serving);
        };
        // This comes first: before it the object may end, and the decoded call may become its last
        // holder.
        let object = match ends {
            true => None,
            false => served.begin()?,
        };
        let relayed = served.is_relay();
        let decoded = {
            let read = |cx: &mut Decoder<'_>| {
                let (reader, message) = (content.reader, content.message);
                served.dispatch(
                    method,
                    cx,
                    CallContent { reader, message, caps: content.caps.len() },
                )
            };
            decode(core, conn, content.caps, (content.message.len(), 0), read)
        };
        let Decoded { value: job, mut context, descriptors } = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                core.followups.push(Followup::Drop(self.name, Box::new(object)));
                return Err(error);
            }
        };
        if descriptors > 0 {
            core.engine.hold_descriptors(&serving, descriptors);
        }
        let (streaming, method, pool) = (job.streaming, job.method, job.pool);
        let intercepted = !conn.session().interceptors().is_empty();
        let work = match job.kind {
            Kind::Immediate(mut encode) => {
                core.followups.push(Followup::Drop(self.name, Box::new(object)));
                if let Some(CallThreads { thread, callback, .. }) = context {
                    core.engine.release_all([thread, callback]);
                }
                core.answer_now(conn, serving, Ok(&mut encode));
                return Ok(());
            }
            Kind::Run(method) => {
                let method = if intercepted { intercepted::run(method) } else { method };
                let method = match self.streams(streaming) {
                    Some(streams) => streams.run(conn, streaming, method),
                    None => method,
                };
                Work::Call(method, object, pool)
            }
            Kind::Spawn(method) => {
                let method = if intercepted { intercepted::spawn(method) } else { method };
                let method = match self.streams(streaming) {
                    Some(streams) => streams.spawn(conn, streaming, method),
                    None => method,
                };
                Work::Spawn(method, object)
            }
            Kind::Destroy => Work::Destroy(self.place().take().map(remains)),
        };
        // Dropped here because it is not the last reference: the call's own is dropped outside the
        // lock.
        drop(served);
        // The end of an object may run on any thread.
        let carried = context.as_mut().and_then(|context| context.carried.take());
        let context = match context {
            Some(CallThreads { thread: None, callback, .. })
                if matches!(work, Work::Destroy(_)) =>
            {
                core.engine.release_all([callback]);
                None
            }
            context => context,
        };
        let since = if intercepted { Moment::exact() } else { notes::moment() };
        let about = About { method, bytes: content.message.len(), since };
        let token = Arc::new(Token::new(about, carried));
        let (thread, callback, level) = context
            .as_ref()
            .map_or((None, None, 0), |threads| (threads.thread, threads.callback, threads.level));
        // The call that runs has references of its own.
        [thread, callback].into_iter().flatten().for_each(|cap| core.engine.retain(cap));
        let id = core.begin_running(conn, serving, &token, (thread, callback, level));
        let answer = Answer::new(ArcConn::downgrade(conn), id, token);
        let call = ServedCall::new(answer, work, &self.running, relayed);
        match self.streams.get() {
            Some(streams) => streams.arrive(core, conn, streaming, context, call),
            None => core.schedule(conn, context, call),
        }
        Ok(())
    }

    /// The object's streaming calls: made for the first one. None where there was none yet.
    fn streams(&self, streaming: bool) -> Option<&Arc<Streams>> {
        if streaming { Some(self.streams.get_or_init(Arc::default)) } else { self.streams.get() }
    }

    /// Calls on a destroyed object: a second destroy does nothing, anything else is an error.
    fn call_destroyed(
        &self,
        core: &mut Core,
        conn: &ArcConn,
        method: (u64, u16),
        serving: Serving,
    ) -> Result<()> {
        if self.destroy != Some(method) {
            return Err(destroyed(self.name));
        }
        let mut encode: EncodeFn = Box::new(|_, _| Ok(()));
        core.answer_now(conn, serving, Ok(&mut encode));
        Ok(())
    }
}

impl Object for Local {
    fn deliver(
        self: Arc<Self>,
        core: &mut Core,
        conn: &ArcConn,
        call: Delivery,
        message: Option<&Incoming<'_>>,
    ) {
        let Delivery { call: serving, interface, method, params, .. } = call;
        let taken = params.with(message, |content| {
            self.take_in(core, conn, (interface, method), &content.map_err(malformed)?, serving)
        });
        core.engine.release_all(params.caps);
        if let Err(error) = taken {
            if notes::are_on() {
                core.followups.push(logged::refused(conn, self.name, &error));
            }
            core.answer_now(conn, serving, Err(error));
        }
    }

    fn address(&self) -> Option<usize> {
        Some(self.address)
    }

    fn is_home(&self, home: &mut dyn FnMut(&dyn Any) -> bool) -> bool {
        let served = self.place().clone();
        served.is_some_and(|served| home(served.handle()) || home(&*served.untyped()))
    }

    fn name(&self) -> &'static str {
        self.name
    }

    /// It may have been a streaming call: none after it must run, or the object would get a stream with a
    /// gap.
    fn refused(&self, error: &Error) {
        if let Some(streams) = self.streams.get() {
            streams.refused(error);
        }
    }

    fn released(&self) -> Option<Box<dyn Any + Send>> {
        self.place().take().map(remains)
    }

    fn drops_in_order(&self) -> bool {
        self.drops_in_order
    }
}

/// Why a call with a message of this size is refused, if it is. `ends`: it ends its object.
fn beyond_limits(core: &mut Core, conn: &ArcConn, bytes: usize, ends: bool) -> Option<String> {
    let limits = conn.limits();
    let (limit, message) = if core.running_calls() >= limits.calls {
        let calls = Count(limits.calls, "call");
        (Limit::Calls, format!("more than {calls} at once on one connection (Limits::calls)"))
    } else if core.engine.exceeds_bytes(bytes) {
        (Limit::CallBytes, core.bytes_reached())
    } else if core.cleanup.waiting() > limits.objects && !ends {
        let objects = limits.objects;
        let message = format!(
            "the destructors of more than {objects} objects and arguments of one connection wait for their \
             turn (Limits::objects)"
        );
        (Limit::Objects, message)
    } else {
        return None;
    };
    limit.met(|| format!("a call was refused: {message}"));
    Some(message)
}

/// The rest of an object, to be dropped outside the lock, where that may block.
fn remains(served: Arc<dyn Served>) -> Box<dyn Any + Send> {
    Box::new(served)
}
