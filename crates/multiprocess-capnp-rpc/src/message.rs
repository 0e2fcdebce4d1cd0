//! A message with its capability table: what capnp-rpc's hooks read and write.

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::{ClientHook, ParamsHook, ResponseHook};
use capnp::traits::{Imbue, ImbueMut};
use multiprocess::rt::{RawMessage, RawPayload};

use crate::bridge::Bridge;

/// The size in words of the first segment of a message that is written here: most are small.
const WORDS: u32 = 64;

/// A message and the clients in it.
pub(crate) struct Message {
    message: RawMessage,
    table: Vec<Option<Box<dyn ClientHook>>>,
}

impl Message {
    /// An empty one, to be written.
    pub(crate) fn new() -> Message {
        let message = Builder::new(HeapAllocator::new().first_segment_words(WORDS));
        Message { message, table: Vec::new() }
    }

    /// One that has arrived.
    pub(crate) fn arrived(bridge: &Bridge, payload: RawPayload) -> Message {
        let RawPayload { message, capabilities } = payload;
        let clients = capabilities.into_iter();
        let table = clients.map(|object| object.map(|object| bridge.hook_or_broken(&object)));
        Message { message, table: table.collect() }
    }

    /// The same to be sent.
    pub(crate) fn into_payload(self, bridge: &Bridge) -> RawPayload {
        let Message { message, table } = self;
        let clients = table.into_iter();
        let capabilities = clients.map(|hook| hook.map(|hook| bridge.object_of(hook))).collect();
        RawPayload { message, capabilities }
    }

    pub(crate) fn builder(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        let mut root: any_pointer::Builder<'_> = self.message.get_root()?;
        root.imbue_mut(&mut self.table);
        Ok(root)
    }

    pub(crate) fn reader(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        let mut root: any_pointer::Reader<'_> = self.message.get_root_as_reader()?;
        root.imbue(&self.table);
        Ok(root)
    }

    /// The size in bytes, without the table of segments.
    pub(crate) fn bytes(&self) -> usize {
        8 * self.message.size_in_words()
    }
}

/// Parameters, for a server.
impl ParamsHook for Message {
    fn get(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.reader()
    }
}

/// Results, for a caller.
pub(crate) struct Response(pub(crate) std::rc::Rc<Message>);

impl ResponseHook for Response {
    fn get(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.0.reader()
    }
}
