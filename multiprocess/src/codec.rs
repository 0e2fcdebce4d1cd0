//! What generated code reads and writes messages with: values, capabilities, and the parts of a
//! message that belong to the runtime.

use std::rc::Rc;
use std::sync::Arc;

use capnp::capability::FromClientHook;
use capnp::introspect::TypeVariant;
use capnp::private::capability::ClientHook;

use crate::connection::{Answer, ArcConn, BusyGuard, Caller, Tables, ThreadPair, Threads};
use crate::handle::{Handle, RemoteObject};
use crate::proxy_capnp::{context, thread_map};
use crate::rt::{AnyBuilder, Interface};
use crate::server::{Local, ServedObject};
use crate::thread::{ServedThreadMap, THREAD_MAP, ThreadServer};
use crate::{Error, Result};

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
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(conn: &'a ArcConn, tables: &'a Rc<Tables>, caller: &'a Caller) -> Self {
        Encoder { conn, tables, caller: Some(caller), busy: None }
    }

    /// For messages that are not calls of the user's: answers, and the first call of a connection.
    pub(crate) fn immediate(conn: &'a ArcConn, tables: &'a Rc<Tables>) -> Self {
        Encoder { conn, tables, caller: None, busy: None }
    }

    pub(crate) fn conn(&self) -> &ArcConn {
        self.conn
    }

    pub(crate) fn tables(&self) -> &Rc<Tables> {
        self.tables
    }

    pub(crate) fn take_busy(&mut self) -> Option<BusyGuard> {
        self.busy.take()
    }

    /// Names the threads on which this call and its callbacks run.
    ///
    /// Where the peer has given no ThreadMap the context stays empty.
    pub fn context(&mut self, mut context: context::Builder<'_>) {
        let Some(caller) = self.caller else { return };
        let Some(pair) = self.threads_for(caller) else { return };
        context.set_thread(FromClientHook::new(pair.thread));
        context.set_callback_thread(FromClientHook::new(pair.callback));
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
            Caller::Future => {
                if let Some((pair, busy)) = threads.async_thread() {
                    self.busy = Some(busy);
                    return Some(pair);
                }
                let id = threads.next_async();
                let forget = move |threads: &Threads| threads.release_async(id);
                let pair = self.make_thread("async", ThreadServer::Pool, forget)?;
                self.busy = Some(threads.add_async_thread(id, &pair));
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
        request.get().init_as::<thread_map::make_thread_params::Builder<'_>>().set_name(name);
        let sent = request.hook.send();
        let thread = sent.pipeline.get_pointer_field(0).as_cap();
        let tables = Rc::downgrade(self.tables);
        let answered = move |answer: Answer| {
            if let (Err(_), Some(tables)) = (answer, tables.upgrade()) {
                forget(&tables.threads);
            }
            None
        };
        self.tables.add_call(sent.promise, Box::new(answered));
        let callback = self.export_thread(callbacks);
        Some(ThreadPair { thread, callback })
    }

    /// This side's ThreadMap.
    pub fn thread_map(&mut self) -> thread_map::Client {
        let hook = self.tables.threads.own_map(|| {
            Local::new(ArcConn::downgrade(self.conn), self.tables, Box::new(ServedThreadMap)).hook()
        });
        FromClientHook::new(hook)
    }

    pub(crate) fn export_thread(&self, server: ThreadServer) -> Box<dyn ClientHook> {
        crate::thread::export(ArcConn::downgrade(self.conn), self.tables, server).hook()
    }

    /// A capability for the object behind a handle: the peer's own where it came from there, the
    /// user's object where it is here, and where it is with a third process an object that hands
    /// calls on.
    pub fn export<I: Interface, C: FromClientHook>(&mut self, handle: &I) -> C {
        FromClientHook::new(self.export_hook(handle))
    }

    fn export_hook<I: Interface>(&self, handle: &I) -> Box<dyn ClientHook> {
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
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(conn: &'a ArcConn, tables: &'a Rc<Tables>) -> Self {
        Decoder { conn, tables, context: None }
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

    /// Takes in the threads that the caller names.
    pub fn context(&mut self, context: capnp::Result<context::Reader<'_>>) -> Result<()> {
        let context = context.map_err(malformed)?;
        self.context = Some(CallThreads {
            thread: optional(context.get_thread())?.map(FromClientHook::into_client_hook),
            callback: optional(context.get_callback_thread())?
                .map(FromClientHook::into_client_hook),
        });
        Ok(())
    }

    /// Keeps the ThreadMap that the peer gives.
    pub fn peer_thread_map(&mut self, map: capnp::Result<thread_map::Client>) -> Result<()> {
        if let Some(map) = optional(map)? {
            self.tables.threads.set_peer_map(map.into_client_hook());
        }
        Ok(())
    }

    /// A handle on the object behind a capability.
    pub fn import<I: Interface, C: FromClientHook>(
        &mut self,
        client: capnp::Result<C>,
    ) -> Result<I> {
        self.import_optional(client)?
            .ok_or_else(|| Error::decode("", format!("the {} is null", I::NAME)))
    }

    /// The same where there may be none.
    pub fn import_optional<I: Interface, C: FromClientHook>(
        &mut self,
        client: capnp::Result<C>,
    ) -> Result<Option<I>> {
        let Some(client) = optional(client)? else { return Ok(None) };
        let hook = client.into_client_hook();
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

/// None for a null capability.
fn optional<C>(client: capnp::Result<C>) -> Result<Option<C>> {
    match client {
        Ok(client) => Ok(Some(client)),
        Err(error) if error.kind == capnp::ErrorKind::MessageContainsNullCapabilityPointer => {
            Ok(None)
        }
        Err(error) => Err(malformed(error)),
    }
}

/// A text of a message.
pub fn text(text: capnp::Result<capnp::text::Reader<'_>>) -> Result<String> {
    let text = text.map_err(malformed)?;
    text.to_string().map_err(|error| Error::decode("", format!("the text is not UTF-8: {error}")))
}

/// Data of a message.
pub fn data(data: capnp::Result<capnp::data::Reader<'_>>) -> Result<Vec<u8>> {
    Ok(data.map_err(malformed)?.to_vec())
}

/// A list of a message, each item through `read`.
pub fn list<L, T>(
    list: capnp::Result<L>,
    mut read: impl FnMut(L::Item) -> Result<T>,
) -> Result<Vec<T>>
where
    L: IntoIterator,
{
    let mut values = Vec::new();
    for (index, item) in list.map_err(malformed)?.into_iter().enumerate() {
        values.push(read(item).map_err(|error| within(error, &format!("[{index}]")))?);
    }
    Ok(values)
}

/// A value of a message as capnp's getter returns it.
pub fn checked<T>(value: capnp::Result<T>) -> Result<T> {
    value.map_err(malformed)
}

/// Writes an enum's number that its schema does not name, which the raw setter cannot.
///
/// # Errors
/// The struct has no such field.
pub fn set_enum<'a>(
    builder: impl Into<capnp::dynamic_value::Builder<'a>>,
    field: &str,
    number: u16,
) -> Result<()> {
    use capnp::dynamic_value::{Builder, Enum};
    let Builder::Struct(mut builder) = builder.into() else { return Ok(()) };
    let field = checked(builder.get_schema().get_field_by_name(field))?;
    match field.get_type().which() {
        TypeVariant::Enum(schema) => {
            checked(builder.set(field, Enum::new(number, schema.into()).into()))
        }
        _ => Ok(()),
    }
}

/// The same for an item of a list of enums.
///
/// # Errors
/// The list is shorter.
pub fn set_enum_item<'a>(
    list: impl Into<capnp::dynamic_value::Builder<'a>>,
    index: u32,
    number: u16,
) -> Result<()> {
    use capnp::dynamic_value::{Builder, Enum};
    let Builder::List(mut list) = list.into() else { return Ok(()) };
    match list.element_type().which() {
        TypeVariant::Enum(schema) => {
            checked(list.set(index, Enum::new(number, schema.into()).into()))
        }
        _ => Ok(()),
    }
}

/// The length of a list for a message, which has room for 2^29 - 1 items.
pub fn length(length: usize) -> Result<u32> {
    u32::try_from(length).ok().filter(|length| *length < 1 << 29).ok_or_else(|| {
        Error::misuse(format!(
            "a list of {length} items does not fit in a message; 536870911 is the most"
        ))
    })
}

/// The error for a message that is not what its schema says.
pub fn malformed(error: capnp::Error) -> Error {
    Error::decode("", error.to_string())
}

/// The error for a call of a method that the schema does not have.
pub fn unknown_method(interface_name: &str, interface: u64, method: u16) -> Error {
    Error::unimplemented(&format!(
        "{interface_name} has no method {method} of interface {interface:#x}"
    ))
}

/// Puts names on the way to a field that does not decode.
pub trait At {
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
