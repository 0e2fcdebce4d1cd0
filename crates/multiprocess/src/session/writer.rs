//! Writes the capabilities of messages of this side's: objects, and the threads that calls run on.

use std::sync::Arc;

use capnp_engine::{Cap, Draft, cap_hook};

use super::calls::{Complete, How, Written};
use super::held_cap::HeldCap;
use super::object::Object;
use super::room::Level;
use super::thread_map::{ServedThreadMap, THREAD_MAP};
use super::thread_server::ThreadServer;
use super::threads::{ASYNC_THREADS, BusyGuard, PeerPool, ThreadPair};
use crate::carried::{Carried, Told};
use crate::connection::{ArcConn, Core, WeakConn};
use crate::memory::MEMORY;
use crate::panics::catch_panic;
use crate::threads::{Inbox, RunningId, ThreadEnd, at_thread_end};
use crate::wire::context::{Given, Hook, NoCapabilities, WriteCapabilities};
use crate::wire::{AnyBuilder, Builder, Encoder, Size};
use crate::{Error, Result};

/// Who waits for a call. This decides on which of the peer's threads the call runs.
pub(crate) enum Caller {
    /// This thread blocks. If it serves a call of the same peer's, that call.
    Thread(Arc<Inbox>, Option<RunningId>),
    /// A future.
    Future {
        /// The call of the same peer's whose method is the future that awaits this one.
        running: Option<RunningId>,
        /// The method may wait long: it gets a thread that other calls do not share.
        long: bool,
    },
    /// Nobody: it is one of an object's streaming calls, which share a thread.
    Stream {
        /// The object.
        object: usize,
        /// As for a future's call.
        long: bool,
    },
    /// Nobody: it ends an object whose last handle was dropped while this call of the peer was
    /// served. The object's destructor may take long, so it must not delay calls that somebody
    /// waits for.
    Released(Option<RunningId>),
}

/// What serves an object: what [`Given::serve`] returns.
pub(crate) struct NewObject {
    pub(crate) object: Arc<dyn Object>,
    /// Whether it keeps its capability when it is given again. It does not if the peer can end the
    /// object by a call, because that would also end what other calls gave to the peer.
    pub(crate) keeps: bool,
}

/// Writes the capabilities of one message. Under the lock.
pub(crate) struct Writer<'a> {
    core: &'a mut Core,
    conn: &'a ArcConn,
    caller: Option<&'a Caller>,
    /// One reference on each, by their index in the capability table.
    caps: Vec<Option<Cap>>,
    busy: Option<BusyGuard>,
    /// The thread that callbacks of the call run on.
    callback: Option<Cap>,
    level: Level,
    /// What travels with the call.
    carried: Carried,
}

impl<'a> Writer<'a> {
    /// `caller`: none for messages that are not calls of the user's.
    pub(crate) fn new(
        core: &'a mut Core,
        conn: &'a ArcConn,
        caller: Option<&'a Caller>,
    ) -> Writer<'a> {
        Writer {
            core,
            conn,
            caller,
            caps: Vec::new(),
            busy: None,
            callback: None,
            level: Level::default(),
            carried: Carried::default(),
        }
    }

    /// The capabilities that were written, if there was no error.
    pub(crate) fn finish(self, written: Result<()>) -> Result<Vec<Option<Cap>>> {
        if let Err(error) = written {
            self.core.engine.release_all(self.caps);
            return Err(error);
        }
        Ok(self.caps)
    }

    /// The hook that stands for a capability in a message. Takes over the reference.
    fn give(&mut self, cap: Cap) -> Hook {
        self.caps.push(Some(cap));
        cap_hook(self.caps.len() - 1)
    }

    fn give_again(&mut self, cap: Cap) -> Hook {
        self.core.engine.retain(cap);
        self.give(cap)
    }

    fn any_thread(&mut self) -> Cap {
        if let Some(thread) = self.core.state().threads.any_thread() {
            return thread;
        }
        let thread = self.core.export_thread(ThreadServer::Pool);
        self.core.state().threads.set_any_thread(thread);
        thread
    }

    /// Asks the peer for a pool, once.
    fn make_pool(&mut self) {
        let Some(map) = self.core.state().threads.peer_map() else { return };
        self.core.state().threads.set_peer_pool(PeerPool::No);
        let draft = Draft::call(&MEMORY, (THREAD_MAP, 1), |to| {
            let mut none = NoCapabilities;
            let mut cx = Encoder::new(&mut none, 0, 0);
            let count = ASYNC_THREADS as u32;
            Builder::content(to, Size(1, 0)).set::<u32>(&mut cx, 0, "count", &count)?;
            Ok::<_, Error>(Vec::new())
        });
        let Ok(draft) = draft else { return };
        let complete = Complete::once("ThreadMap.makePool", |core, _conn, answer| {
            if answer.is_ok() {
                core.state().threads.set_peer_pool(PeerPool::Yes);
            }
            None
        });
        // Without an answer there is no pool.
        let _ = self.core.call(map, Written::plain(draft), How::default(), complete);
    }

    /// The threads for a call. No references come with them.
    fn threads_for(&mut self, caller: &Caller) -> Option<ThreadPair> {
        let running = match caller {
            Caller::Thread(_, running) | Caller::Released(running) => *running,
            Caller::Future { running, long } => running.filter(|_| !long),
            // Nobody waits for it, there or here.
            Caller::Stream { .. } => None,
        };
        // Within a call of the peer's: its waiting thread runs this, and calls back here.
        if let Some((thread, callback)) = running.and_then(|id| self.core.running_threads(id)) {
            return Some(ThreadPair { thread: callback, callback: thread });
        }
        match caller {
            Caller::Thread(inbox, _) => {
                let id = inbox.id();
                if let Some(pair) = self.core.state().threads.caller(id) {
                    return Some(pair);
                }
                let server = ThreadServer::Caller(Arc::clone(inbox));
                let pair = self.make_thread(inbox.name(), server, move |core, callback| {
                    core.release_caller_with(id, callback);
                })?;
                self.core.state().threads.set_caller(id, pair);
                at_thread_end(CallerEnd(ArcConn::downgrade(self.conn)));
                Some(pair)
            }
            Caller::Future { .. } | Caller::Released(_) => {
                let long = !matches!(caller, Caller::Future { long: false, .. });
                if !long && self.core.state().threads.wants_pool() {
                    self.make_pool();
                }
                let (pair, busy) = self.shared_thread(long)?;
                self.busy = Some(busy);
                Some(pair)
            }
            Caller::Stream { object, long } => {
                if let Some(pair) = self.core.state().threads.stream(*object) {
                    return Some(pair);
                }
                let (pair, busy) = self.shared_thread(*long)?;
                self.core.engine.retain(pair.thread);
                self.core.engine.retain(pair.callback);
                self.core.state().threads.set_stream(*object, pair, busy);
                Some(pair)
            }
        }
    }

    /// One of the threads for calls that no thread of this process waits for.
    fn shared_thread(&mut self, long: bool) -> Option<(ThreadPair, BusyGuard)> {
        if let Some(shared) = self.core.state().threads.shared(long).thread() {
            return Some(shared);
        }
        let id = self.core.state().threads.shared(long).next();
        let name = if long { "wait" } else { "async" };
        let pair = self.make_thread(name, ThreadServer::Pool, move |core, _callback| {
            core.release_shared(long, id);
        })?;
        let busy = self.core.state().threads.shared(long).add(id, pair);
        Some((pair, busy))
    }

    /// Asks the peer for a thread. The call goes out before the one that needs it, and its result is
    /// used before it has arrived. If the peer makes none, `forget` sees to it that the next call asks
    /// again. The references on both go to the table.
    fn make_thread(
        &mut self,
        name: &str,
        callbacks: ThreadServer,
        forget: impl FnOnce(&mut Core, Cap) + Send + 'static,
    ) -> Option<ThreadPair> {
        let map = self.core.state().threads.peer_map()?;
        let draft = Draft::call(&MEMORY, (THREAD_MAP, 0), |to| {
            Builder::content(to, Size(0, 1)).pointer(0).set_text(name.into());
            Ok::<_, Error>(Vec::new())
        });
        let draft = draft.ok()?;
        let callback = self.core.export_thread(callbacks);
        let complete = Complete::once("ThreadMap.makeThread", move |core, _conn, answer| {
            if answer.is_err() {
                forget(core, callback);
            }
            None
        });
        let how = How { pipeline: Some(vec![0]), ..How::default() };
        let made = self.core.call(map, Written::plain(draft), how, complete);
        match made {
            Ok((_, Some(thread))) => Some(ThreadPair { thread, callback }),
            _ => {
                self.core.engine.release(callback);
                None
            }
        }
    }
}

impl WriteCapabilities for Writer<'_> {
    /// For an object of the peer its own capability, for an object of this process an export, and
    /// for one of a third process an export that forwards calls.
    fn object(&mut self, object: &dyn Given) -> Hook {
        let held = object.remote().and_then(|place| place.downcast_ref::<HeldCap>());
        if let Some(held) = held.filter(|held| Arc::ptr_eq(held.conn(), self.conn)) {
            return self.give_again(held.cap());
        }
        if let Some((cap, known)) = self.core.exported(object.address())
            && known.is_home(&mut |home| object.is_served_by(home))
        {
            return self.give_again(cap);
        }
        let Ok(served) = object.serve().downcast::<NewObject>() else {
            unreachable!("what serves an object is of this layer");
        };
        let cap = self.core.export(served.object, served.keeps);
        self.give(cap)
    }

    fn threads(&mut self) -> (Option<Hook>, Option<Hook>) {
        let pair = match self.caller {
            None => None,
            // In the peer's pool: no thread in particular.
            Some(Caller::Future { running: None, long: false })
                if self.core.state().threads.peer_pool() == PeerPool::Yes =>
            {
                let thread = self.any_thread();
                self.callback = Some(thread);
                return (None, Some(self.give_again(thread)));
            }
            Some(caller) => self.threads_for(caller),
        };
        match pair {
            Some(pair) => {
                self.callback = Some(pair.callback);
                (Some(self.give_again(pair.thread)), Some(self.give_again(pair.callback)))
            }
            None => (None, None),
        }
    }

    fn told(&self) -> Told {
        let engine = &self.core.engine;
        let level = if engine.peer_limits().is_some() { self.level.number() } else { 0 };
        match engine.is_peer_other() {
            true => Told { level, ..Told::default() },
            // Also to a peer that has said nothing yet: the first calls go out with the question for its first object.
            false => self.carried.told(level),
        }
    }

    fn thread_map(&mut self) -> Hook {
        let map = match self.core.state().threads.own_map() {
            Some(map) => map,
            None => {
                let map = self.core.export(Arc::new(ServedThreadMap), false);
                self.core.state().threads.set_own_map(map);
                map
            }
        };
        self.give_again(map)
    }
}

/// A thread of this process for which the peer keeps one.
struct CallerEnd(WeakConn);

impl ThreadEnd for CallerEnd {
    fn key(&self) -> usize {
        self.0.as_ptr() as usize
    }

    fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }

    fn thread_ended(&self, inbox: u64) {
        if let Some(conn) = self.0.upgrade() {
            conn.defer(move |core, _conn| core.release_caller(inbox));
        }
    }
}

impl Core {
    /// An object as a capability of this connection, with one reference, without a message.
    pub(crate) fn capability_of(&mut self, conn: &ArcConn, object: &dyn Given) -> Option<Cap> {
        let mut writer = Writer::new(self, conn, None);
        writer.object(object);
        writer.caps.pop().flatten()
    }

    /// Writes a call of the user's. `carried`: what travels with it.
    pub(crate) fn write_call(
        &mut self,
        conn: &ArcConn,
        method: (u64, u16),
        (version, peers): (u8, u32),
        (caller, carried): (Option<&Caller>, &Carried),
        encode: &mut dyn FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()>,
    ) -> Result<Written> {
        let (mut busy, mut callback) = (None, None);
        let level = self.level(conn);
        let draft = Draft::call(&MEMORY, method, |to| {
            let mut writer = Writer::new(self, conn, caller);
            (writer.level, writer.carried) = (level, *carried);
            let written =
                catch_panic(|| encode(&mut Encoder::new(&mut writer, version, peers), to));
            (busy, callback) = (writer.busy.take(), writer.callback);
            writer.finish(written)
        })?;
        Ok(Written { draft, busy, callback, level })
    }
}
