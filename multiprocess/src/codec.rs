//! What generated code reads and writes messages with: values, capabilities, and the parts of a
//! message that belong to the runtime.

use std::rc::Rc;
use std::sync::Arc;

use capnp::private::capability::ClientHook;
use capnp::private::layout::{PointerReader, StructSize};

use crate::connection::{Answer, ArcConn, BusyGuard, Caller, Tables, ThreadPair, Threads};
use crate::handle::{Handle, RemoteObject};
use crate::rt::{AnyBuilder, AnyReader, Interface};
use crate::server::{Lent, Local, ServedObject};
use crate::thread::{ServedThreadMap, THREAD_MAP, ThreadServer};
use crate::wire::{AnyPointer, Builder, Pointer, Reader, Size};
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
    tables: &'a Rc<Tables>,
    caller: Option<&'a Caller>,
    busy: Option<BusyGuard>,
    version: u8,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(conn: &'a ArcConn, tables: &'a Rc<Tables>, caller: &'a Caller) -> Self {
        Encoder { conn, tables, caller: Some(caller), busy: None, version: 0 }
    }

    /// For messages that are not calls of the user's: answers, and the first call of a connection.
    pub(crate) fn immediate(conn: &'a ArcConn, tables: &'a Rc<Tables>) -> Self {
        Encoder { conn, tables, caller: None, busy: None, version: 0 }
    }

    pub(crate) fn conn(&self) -> &ArcConn {
        self.conn
    }

    pub(crate) fn tables(&self) -> &Rc<Tables> {
        self.tables
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

    pub(crate) fn take_busy(&mut self) -> Option<BusyGuard> {
        self.busy.take()
    }

    /// Names the threads on which this call and its callbacks run, in the Context in this slot.
    ///
    /// Where the peer has given no ThreadMap the context stays empty.
    pub fn context(&mut self, to: &mut Builder<'_>, slot: u32) {
        let mut context = to.pointer(slot).init_struct(StructSize { data: 0, pointers: 2 });
        let Some(caller) = self.caller else { return };
        let Some(pair) = self.threads_for(caller) else { return };
        context.reborrow().get_pointer_field(THREAD_SLOT).set_capability(pair.thread);
        context.get_pointer_field(CALLBACK_THREAD_SLOT).set_capability(pair.callback);
    }

    fn threads_for(&mut self, caller: &Caller) -> Option<ThreadPair> {
        let threads = &self.tables.threads;
        match caller {
            Caller::Thread(inbox, running) => {
                // Within a call of the peer's: its waiting thread runs this, and calls back here.
                if let Some((thread, callback)) =
                    running.and_then(|id| self.tables.running_threads(id))
                {
                    return Some(ThreadPair { thread: callback, callback: thread });
                }
                if let Some(pair) = threads.caller(inbox.id()) {
                    return Some(pair);
                }
                let id = inbox.id();
                let forget = move |threads: &Threads| threads.release_caller(id);
                let pair = self.make_thread(
                    inbox.name(),
                    ThreadServer::Caller(Arc::clone(inbox)),
                    forget,
                )?;
                threads.set_caller(id, &pair);
                crate::thread::use_connection(self.conn);
                Some(pair)
            }
            Caller::Future { running, long } => {
                let running = running.filter(|_| !long);
                // Within a call of the peer's whose method awaits this one, as above.
                if let Some((thread, callback)) =
                    running.and_then(|id| self.tables.running_threads(id))
                {
                    return Some(ThreadPair { thread: callback, callback: thread });
                }
                let shared = threads.shared(*long);
                if let Some((pair, busy)) = shared.thread() {
                    self.busy = Some(busy);
                    return Some(pair);
                }
                let (id, long) = (shared.next(), *long);
                let forget = move |threads: &Threads| threads.shared(long).release(id);
                let name = if long { "wait" } else { "async" };
                let pair = self.make_thread(name, ThreadServer::Pool, forget)?;
                self.busy = Some(shared.add(id, &pair));
                Some(pair)
            }
        }
    }

    /// Asks the peer for a thread. The call goes out with the one that needs it: its result is used
    /// before it has arrived. If the peer makes none, `forget` sees to it that the next call asks again.
    fn make_thread(
        &mut self,
        name: &str,
        callbacks: ThreadServer,
        forget: impl FnOnce(&Threads) + 'static,
    ) -> Option<ThreadPair> {
        let mut request = self.tables.threads.peer_map()?.new_call(THREAD_MAP, 0, None);
        Builder::content(request.get(), Size(0, 1)).pointer(0).set_text(name.into());
        let sent = request.hook.send();
        let thread = sent.pipeline.get_pointer_field(0).as_cap();
        let tables = Rc::downgrade(self.tables);
        let answered = move |answer: Answer| {
            if let (Err(_), Some(tables)) = (answer, tables.upgrade()) {
                forget(&tables.threads);
            }
            None
        };
        self.tables.add_call(sent.promise, Box::new(answered), None);
        let callback = self.export_thread(callbacks);
        Some(ThreadPair { thread, callback })
    }

    /// Gives this side's ThreadMap, in this slot.
    pub fn thread_map(&mut self, to: &mut Builder<'_>, slot: u32) {
        let hook = self.tables.threads.own_map(|| {
            Local::new(ArcConn::downgrade(self.conn), self.tables, Box::new(ServedThreadMap)).hook()
        });
        to.pointer(slot).set_capability(hook);
    }

    pub(crate) fn export_thread(&self, server: ThreadServer) -> Box<dyn ClientHook> {
        crate::thread::export(ArcConn::downgrade(self.conn), self.tables, server).hook()
    }

    /// A capability for the object behind a handle: the peer's own where it came from there, the
    /// user's object where it is here, and where it is with a third process an object that hands
    /// calls on.
    pub(crate) fn export_hook<I: Interface>(&self, handle: &I) -> Box<dyn ClientHook> {
        if let Some(hook) =
            handle.handle().remote().and_then(|remote| remote.hook_on(self.conn, self.tables))
        {
            return hook;
        }
        let known = self.tables.exported(handle.handle().address()).filter(|local| {
            local
                .with_served(|served| served.handle().is_some_and(|handle| handle.is::<I>()))
                .unwrap_or(false)
        });
        let local = known.unwrap_or_else(|| {
            Local::new(
                ArcConn::downgrade(self.conn),
                self.tables,
                Box::new(ServedObject(handle.clone())),
            )
        });
        local.hook()
    }
}

/// The threads that a call's context names.
pub(crate) struct CallThreads {
    pub(crate) thread: Option<Box<dyn ClientHook>>,
    pub(crate) callback: Option<Box<dyn ClientHook>>,
}

/// Reads a message: turns capabilities into handles, and takes out what belongs to the runtime.
pub struct Decoder<'a> {
    conn: &'a ArcConn,
    tables: &'a Rc<Tables>,
    context: Option<CallThreads>,
    version: u8,
    /// Gets the content again, which tells the message that it is in.
    content: Option<&'a dyn Fn()>,
    /// Bytes of memory that lists have taken, and how many the message is good for, once that is
    /// asked.
    taken: usize,
    allowance: Option<usize>,
}

/// What a message's lists may take without being looked at.
const FREE: usize = 1 << 20;
/// How many bytes of memory lists may take for each byte of a message. A struct that a peer writes
/// with an older schema is small there and has all its fields here.
const GROWTH: usize = 32;

impl<'a> Decoder<'a> {
    pub(crate) fn new(conn: &'a ArcConn, tables: &'a Rc<Tables>) -> Self {
        let (content, taken, allowance) = (None, 0, None);
        Decoder { conn, tables, context: None, version: 0, content, taken, allowance }
    }

    /// For content that `get` gets again.
    pub(crate) fn of_content(mut self, get: &'a dyn Fn()) -> Self {
        self.content = Some(get);
        self
    }

    /// Counts the memory that a list will take. A list of bytes is a list of structs as well, and one
    /// of nothing takes no bytes at all.
    pub(crate) fn take_memory(&mut self, items: u32, size: usize) -> Result<()> {
        self.taken = self.taken.saturating_add((items as usize).saturating_mul(size));
        if self.taken <= FREE {
            return Ok(());
        }
        let body = || self.content.and_then(|get| self.tables.body_of(get));
        let allowance = *self.allowance.get_or_insert_with(|| match body() {
            Some((segments, _)) => FREE + segments.words().saturating_mul(8 * GROWTH),
            None => usize::MAX, // This process's own message.
        });
        if self.taken > allowance {
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
    pub(crate) fn lend(&self, params: AnyReader<'_>) -> Result<Lent> {
        let body = self.content.and_then(|get| self.tables.body_of(get));
        Ok(match body {
            Some((segments, options)) => Lent::Message(segments, options),
            None => {
                let Pointer(params) = params.get_as().map_err(malformed)?;
                // The Context has capabilities in it.
                Lent::Copy(AnyPointer::copy(params)?.0)
            }
        })
    }

    pub(crate) fn conn(&self) -> &ArcConn {
        self.conn
    }

    pub(crate) fn tables(&self) -> &Rc<Tables> {
        self.tables
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
            thread: capability(context.get_pointer_field(THREAD_SLOT))?,
            callback: capability(context.get_pointer_field(CALLBACK_THREAD_SLOT))?,
        });
        Ok(())
    }

    /// Keeps the ThreadMap that the peer gives, in this slot.
    ///
    /// # Errors
    /// [`Error::Decode`] where that is no ThreadMap.
    pub fn thread_map(&mut self, from: Reader<'_>, slot: u32) -> Result<()> {
        if let Some(map) = capability(from.pointer(slot))? {
            self.tables.threads.set_peer_map(map);
        }
        Ok(())
    }

    /// A handle on the object behind a pointer; none for a null pointer.
    pub(crate) fn import_pointer<I: Interface>(
        &mut self,
        from: PointerReader<'_>,
    ) -> Result<Option<I>> {
        let Some(hook) = capability(from)? else { return Ok(None) };
        let known = self.tables.local(&*hook).and_then(|local| {
            local
                .with_served(|served| {
                    served.handle().and_then(|handle| handle.downcast_ref::<I>()).cloned()
                })
                .flatten()
        });
        if known.is_some() {
            return Ok(known);
        }
        let cap = self.tables.keep_cap(hook);
        Ok(Some(I::from_handle(Handle::remote_object(RemoteObject::new(
            Arc::clone(self.conn),
            cap,
        )))))
    }
}

/// The capability behind a pointer; none for a null pointer.
fn capability(from: PointerReader<'_>) -> Result<Option<Box<dyn ClientHook>>> {
    match from.is_null() {
        true => Ok(None),
        false => from.get_capability().map(Some).map_err(malformed),
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
