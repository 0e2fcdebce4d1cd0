//! What generated code reads and writes messages with: values, capabilities, and the parts of a
//! message that belong to the runtime.

use std::sync::Arc;

use capnp::private::capability::ClientHook;
use capnp::private::layout::{PointerReader, StructSize};

use crate::connection::{
    ASYNC_THREADS, ArcConn, BusyGuard, Caller, Core, PeerPool, ThreadPair, Threads,
};
use crate::handle::{Handle, RemoteObject};
use crate::rpc::{Cap, Content, Outline, Waiter, Whole, find, hook};
use crate::rt::{AnyBuilder, Interface, MethodId};
use crate::server::{Lent, Local, ServedObject, ServedThread};
use crate::thread::{ServedThreadMap, THREAD_MAP, ThreadServer};
use crate::wire::{Builder, Reader, Size};
use crate::{Error, Result};

/// The slots of proxy.capnp's struct Context.
const THREAD_SLOT: usize = 0;
const CALLBACK_THREAD_SLOT: usize = 1;

/// Writes the content of one message.
///
/// It runs under the connection's lock and owns what the user passed, so it is called by reference
/// and dropped elsewhere: a user's value must not be dropped under the lock.
pub(crate) type EncodeFn = Box<dyn FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send>;

/// Writes a message: turns handles into capabilities, and fills in threads.
pub struct Encoder<'a> {
    conn: &'a ArcConn,
    core: &'a mut Core,
    caller: Option<&'a Caller>,
    /// The capabilities of the message, by the numbers of their hooks.
    caps: Vec<Option<Cap>>,
    busy: Option<BusyGuard>,
    version: u8,
}

impl<'a> Encoder<'a> {
    /// `caller`: none for messages that are not calls of the user's.
    pub(crate) fn new(
        conn: &'a ArcConn,
        core: &'a mut Core,
        caller: Option<&'a Caller>,
    ) -> Encoder<'a> {
        Encoder { conn, core, caller, caps: Vec::new(), busy: None, version: 0 }
    }

    pub(crate) fn conn(&self) -> &ArcConn {
        self.conn
    }

    pub(crate) fn core(&mut self) -> &mut Core {
        self.core
    }

    /// The capabilities that were written, and what keeps the call's thread busy.
    pub(crate) fn finish(self) -> (Vec<Option<Cap>>, Option<BusyGuard>) {
        (self.caps, self.busy)
    }

    /// What stands for a capability in the message.
    pub(crate) fn give(&mut self, cap: Cap) -> Box<dyn ClientHook> {
        self.caps.push(Some(cap));
        hook(self.caps.len() - 1)
    }

    /// For parameters in the form of this version.
    pub(crate) fn of_version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The version of the schema in whose form the message is to be; 0 is the newest.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Names the threads on which this call and its callbacks run, in the Context in this slot.
    ///
    /// Where the peer has given no ThreadMap the context stays empty.
    pub fn context(&mut self, to: &mut Builder<'_>, slot: u32) {
        let mut context = to.pointer(slot).init_struct(StructSize { data: 0, pointers: 2 });
        let Some(caller) = self.caller else { return };
        let callback = match caller {
            // In the peer's pool: no thread in particular.
            Caller::Future { running: None, long: false }
                if self.core.threads.peer_pool() == PeerPool::Yes =>
            {
                self.any_thread()
            }
            caller => {
                let Some(pair) = self.threads_for(caller) else { return };
                let thread = self.give(pair.thread);
                context.reborrow().get_pointer_field(THREAD_SLOT).set_capability(thread);
                pair.callback
            }
        };
        let callback = self.give(callback);
        context.get_pointer_field(CALLBACK_THREAD_SLOT).set_capability(callback);
    }

    fn any_thread(&mut self) -> Cap {
        if let Some(thread) = self.core.threads.any_thread() {
            return thread.clone();
        }
        let thread = self.export_thread(ThreadServer::Pool);
        self.core.threads.set_any_thread(thread.clone());
        thread
    }

    /// Asks the peer for a pool, once.
    fn make_pool(&mut self) {
        const MAKE_POOL: MethodId = MethodId::new(THREAD_MAP, 1, "ThreadMap.makePool");
        let Some(map) = self.core.threads.peer_map().cloned() else { return };
        self.core.threads.set_peer_pool(PeerPool::No);
        let answered = Waiter::Complete(Box::new(|core, _conn, answer| {
            if answer.is_ok() {
                core.threads.set_peer_pool(PeerPool::Yes);
            }
            None
        }));
        let mut fill = |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            let count = ASYNC_THREADS as u32;
            Builder::content(to, Size(1, 0)).set::<u32>(cx, 0, "count", &count)
        };
        let outline = Outline::new(MAKE_POOL);
        // Without an answer there is no pool.
        let _ = self.core.call(self.conn, &map, &outline, &mut fill, answered, None);
    }

    fn threads_for(&mut self, caller: &Caller) -> Option<ThreadPair> {
        let running = match caller {
            Caller::Thread(_, running) => *running,
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
                if let Some(pair) = self.core.threads.caller(id) {
                    return Some(pair);
                }
                let forget = move |threads: &mut Threads| threads.release_caller(id);
                let pair = self.make_thread(
                    inbox.name(),
                    ThreadServer::Caller(Arc::clone(inbox)),
                    forget,
                )?;
                self.core.threads.set_caller(id, &pair);
                crate::thread::use_connection(self.conn);
                Some(pair)
            }
            Caller::Future { long, .. } => {
                if !long && self.core.threads.wants_pool() {
                    self.make_pool();
                }
                let (pair, busy) = self.shared_thread(*long)?;
                self.busy = Some(busy);
                Some(pair)
            }
            Caller::Stream { object, long } => {
                if let Some(pair) = self.core.threads.stream(*object) {
                    return Some(pair);
                }
                let (pair, busy) = self.shared_thread(*long)?;
                self.core.threads.set_stream(*object, &pair, busy);
                Some(pair)
            }
        }
    }

    /// One of the threads for calls that no thread of this process waits for.
    fn shared_thread(&mut self, long: bool) -> Option<(ThreadPair, BusyGuard)> {
        if let Some(shared) = self.core.threads.shared(long).thread() {
            return Some(shared);
        }
        let id = self.core.threads.shared(long).next();
        let forget = move |threads: &mut Threads| threads.shared(long).release(id);
        let name = if long { "wait" } else { "async" };
        let pair = self.make_thread(name, ThreadServer::Pool, forget)?;
        let busy = self.core.threads.shared(long).add(id, &pair);
        Some((pair, busy))
    }

    /// Asks the peer for a thread. The call goes out with the one that needs it: its result is used
    /// before it has arrived. If the peer makes none, `forget` sees to it that the next call asks again.
    fn make_thread(
        &mut self,
        name: &str,
        callbacks: ThreadServer,
        forget: impl FnOnce(&mut Threads) + Send + 'static,
    ) -> Option<ThreadPair> {
        const MAKE_THREAD: MethodId = MethodId::new(THREAD_MAP, 0, "ThreadMap.makeThread");
        let map = self.core.threads.peer_map()?.clone();
        let answered = Waiter::Complete(Box::new(move |core, _conn, answer| {
            if answer.is_err() {
                forget(&mut core.threads);
            }
            None
        }));
        let mut fill = |_: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            Builder::content(to, Size(0, 1)).pointer(0).set_text(name.into());
            Ok(())
        };
        let outline = Outline::new(MAKE_THREAD);
        let made = self.core.call(self.conn, &map, &outline, &mut fill, answered, Some(vec![0]));
        let (_, thread) = made.ok()?;
        let callback = self.export_thread(callbacks);
        Some(ThreadPair { thread: thread?, callback })
    }

    /// Gives this side's ThreadMap, in this slot.
    pub fn thread_map(&mut self, to: &mut Builder<'_>, slot: u32) {
        let map = match self.core.threads.own_map() {
            Some(map) => map.clone(),
            None => {
                let map = Cap::Local(Local::new(self.core, Arc::new(ServedThreadMap)));
                self.core.threads.set_own_map(map.clone());
                map
            }
        };
        let map = self.give(map);
        to.pointer(slot).set_capability(map);
    }

    pub(crate) fn export_thread(&mut self, server: ThreadServer) -> Cap {
        Cap::Local(Local::new(self.core, Arc::new(ServedThread(server))))
    }

    /// A capability for the object behind a handle: the peer's own where it came from there, the
    /// user's object where it is here, and where it is with a third process an object that hands
    /// calls on.
    pub(crate) fn export_hook<I: Interface>(&mut self, handle: &I) -> Box<dyn ClientHook> {
        let remote = handle.handle().remote();
        if let Some(cap) = remote.and_then(|remote| remote.cap_on(self.conn, self.core)) {
            return self.give(cap);
        }
        let known = self.core.exported(handle.handle().address()).filter(|local| {
            let served = local.served();
            served.is_some_and(|served| served.handle().is_some_and(|handle| handle.is::<I>()))
        });
        let local =
            known.unwrap_or_else(|| Local::new(self.core, Arc::new(ServedObject(handle.clone()))));
        self.give(Cap::Local(local))
    }
}

/// The threads that a call's context names.
pub(crate) struct CallThreads {
    pub(crate) thread: Option<Cap>,
    pub(crate) callback: Option<Cap>,
}

/// Reads a message: turns capabilities into handles, and takes out what belongs to the runtime.
pub struct Decoder<'a> {
    /// None where a message without capabilities is read outside the lock.
    place: Option<(&'a ArcConn, &'a mut Core)>,
    /// The capabilities of the message, by the numbers of their hooks.
    caps: &'a [Option<Cap>],
    whole: Whole<'a>,
    context: Option<CallThreads>,
    version: u8,
    /// Bytes of memory that lists have taken.
    taken: usize,
}

/// What a message's lists may take without being looked at.
const FREE: usize = 1 << 20;
/// How many bytes of memory lists may take for each byte of a message. A struct that a peer writes
/// with an older schema is small there and has all its fields here.
const GROWTH: usize = 32;

impl<'a> Decoder<'a> {
    pub(crate) fn new(conn: &'a ArcConn, core: &'a mut Core, content: &Content<'a>) -> Self {
        let (caps, whole) = (content.caps, content.whole);
        let place = Some((conn, core));
        Decoder { place, caps, whole, context: None, version: 0, taken: 0 }
    }

    /// For a message without capabilities, outside the lock.
    pub(crate) fn outside(whole: Whole<'a>) -> Self {
        Decoder { place: None, caps: &[], whole, context: None, version: 0, taken: 0 }
    }

    /// Counts the memory that a list will take. A list of bytes is a list of structs as well, and one
    /// of nothing takes no bytes at all.
    pub(crate) fn take_memory(&mut self, items: u32, size: usize) -> Result<()> {
        self.taken = self.taken.saturating_add((items as usize).saturating_mul(size));
        if self.taken > FREE && self.taken > FREE + self.whole.len().saturating_mul(GROWTH) {
            return Err(Error::decode("", "the list is longer than its message is good for"));
        }
        Ok(())
    }

    /// Results are in the form of this version.
    pub(crate) fn set_version(&mut self, version: u8) {
        self.version = version;
    }

    /// The version of the schema in whose form the message is; 0 is the newest.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The parameters of the call, to be looked at outside the lock.
    pub(crate) fn lend(&self) -> Lent {
        Lent::new(self.whole.keep())
    }

    /// The same, where the message is long and has no capabilities but those of its context.
    pub(crate) fn lend_long(&self) -> Option<Lent> {
        let context = self.context.as_ref();
        let of_context = context.map_or(0, |context| {
            usize::from(context.thread.is_some()) + usize::from(context.callback.is_some())
        });
        (self.caps.len() == of_context).then(|| self.whole.shared().map(Lent::new)).flatten()
    }

    pub(crate) fn place(&mut self) -> Result<(&ArcConn, &mut Core)> {
        match &mut self.place {
            Some((conn, core)) => Ok((conn, core)),
            None => Err(Error::decode("", "a capability in a message that was said to have none")),
        }
    }

    pub(crate) fn take_context(&mut self) -> Option<CallThreads> {
        self.context.take()
    }

    /// Takes in the threads that the caller names, in the Context in this slot.
    ///
    /// # Errors
    /// [`Error::Decode`] where that is no Context.
    pub fn context(&mut self, from: Reader<'_>, slot: u32) -> Result<()> {
        let context = from.pointer(slot).get_struct(None).map_err(malformed)?;
        self.context = Some(CallThreads {
            thread: self.capability(context.get_pointer_field(THREAD_SLOT))?,
            callback: self.capability(context.get_pointer_field(CALLBACK_THREAD_SLOT))?,
        });
        Ok(())
    }

    /// Keeps the ThreadMap that the peer gives, in this slot.
    ///
    /// # Errors
    /// [`Error::Decode`] where that is no ThreadMap.
    pub fn thread_map(&mut self, from: Reader<'_>, slot: u32) -> Result<()> {
        if let Some(map) = self.capability(from.pointer(slot))? {
            self.place()?.1.threads.set_peer_map(map);
        }
        Ok(())
    }

    /// A handle on the object behind a pointer; none for a null pointer.
    pub(crate) fn import_pointer<I: Interface>(
        &mut self,
        from: PointerReader<'_>,
    ) -> Result<Option<I>> {
        let Some(cap) = self.capability(from)? else { return Ok(None) };
        let home = cap.local().and_then(|local| local.served());
        let known = home.as_ref().and_then(|served| served.handle()?.downcast_ref::<I>().cloned());
        if known.is_some() {
            return Ok(known);
        }
        let (conn, core) = self.place()?;
        let cap = core.keep_cap(cap);
        Ok(Some(I::from_handle(Handle::remote_object(RemoteObject::new(Arc::clone(conn), cap)))))
    }

    /// The capability behind a pointer; none for a null pointer.
    fn capability(&self, from: PointerReader<'_>) -> Result<Option<Cap>> {
        if from.is_null() {
            return Ok(None);
        }
        Ok(find(&*from.get_capability().map_err(malformed)?, self.caps))
    }
}

/// A text of a message.
pub(crate) fn text(text: capnp::Result<capnp::text::Reader<'_>>) -> Result<String> {
    let text = text.map_err(malformed)?;
    text.to_string().map_err(|error| Error::decode("", format!("the text is not UTF-8: {error}")))
}

/// Data of a message.
pub(crate) fn data(data: capnp::Result<capnp::data::Reader<'_>>) -> Result<Vec<u8>> {
    Ok(data.map_err(malformed)?.to_vec())
}

/// Says in which item of a list an error is.
pub(crate) fn indexed<T>(result: Result<T>, index: u32) -> Result<T> {
    result.map_err(|error| within(error, &format!("[{index}]")))
}

/// The length of a list for a message, which has room for 2^29 - 1 items.
pub(crate) fn length(length: usize) -> Result<u32> {
    u32::try_from(length).ok().filter(|length| *length < 1 << 29).ok_or_else(|| {
        Error::misuse(format!(
            "a list of {length} items does not fit in a message; 536870911 is the most"
        ))
    })
}

/// The error for a message that is not what its schema says.
pub(crate) fn malformed(error: capnp::Error) -> Error {
    Error::decode("", error.to_string())
}

/// The error for a call of a method that the schema does not have.
pub(crate) fn unknown_method(interface_name: &str, interface: u64, method: u16) -> Error {
    Error::unimplemented(&format!(
        "{interface_name} has no method {method} of interface {interface:#x}"
    ))
}

/// Puts names on the way to a field that does not decode.
pub(crate) trait At {
    /// Says that the error is in `segment`.
    fn at(self, segment: &str) -> Self;
}

impl<T> At for Result<T> {
    fn at(self, segment: &str) -> Self {
        self.map_err(|error| within(error, segment))
    }
}

fn within(error: Error, segment: &str) -> Error {
    match error {
        Error::Decode { path, problem } => {
            let path = match path.chars().next() {
                None => segment.to_owned(),
                Some('[') => format!("{segment}{path}"),
                Some(_) => format!("{segment}.{path}"),
            };
            Error::Decode { path, problem }
        }
        other => other,
    }
}
