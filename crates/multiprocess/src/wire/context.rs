//! What generated code reads and writes messages with, beside the values themselves: capabilities, and
//! the parts of a message that belong to the runtime.
//!
//! What a capability is, is the business of the layers above: they are reached through the traits
//! here.

use std::any::Any;

use capnp::private::capability::ClientHook;
use capnp::private::layout::{PointerReader, StructSize};

use super::helpers::malformed;
use super::{Builder, Reader};
use crate::{Error, Result};

/// The slots of proxy.capnp's struct Context.
const THREAD_SLOT: usize = 0;
const CALLBACK_THREAD_SLOT: usize = 1;

/// Stands for a capability in a message.
pub(crate) type Hook = Box<dyn ClientHook>;

/// An object as the one who writes it to a message sees it.
pub(crate) trait Given {
    /// What tells it from other objects of this process, as long as it is held.
    fn address(&self) -> usize;
    /// Where it is, if it is with a peer.
    fn remote(&self) -> Option<&dyn Any>;
    /// Whether this is what it is served by already.
    fn is_served_by(&self, served: &dyn Any) -> bool;
    /// What serves it.
    fn serve(&self) -> Box<dyn Any>;
}

/// Writes the capabilities of one message.
pub(crate) trait WriteCapabilities {
    /// An object, here or far away.
    fn object(&mut self, object: &dyn Given) -> Hook;
    /// The thread that is to run the call, and the one that is to run its callbacks.
    fn threads(&mut self) -> (Option<Hook>, Option<Hook>);
    /// This side's ThreadMap.
    fn thread_map(&mut self) -> Hook;
}

/// Reads the capabilities of one message.
pub(crate) trait ReadCapabilities {
    /// The object that a hook stands for. If this process serves it `home` sees by what, and says whether
    /// that is what was looked for. Where the object is otherwise; none for a null pointer, too.
    fn object(
        &mut self,
        hook: &dyn ClientHook,
        home: &mut dyn FnMut(&dyn Any) -> bool,
    ) -> Option<Box<dyn Any>>;
    /// Takes in the threads that a call names.
    fn threads(&mut self, thread: Option<Hook>, callback: Option<Hook>);
    /// Takes in the peer's ThreadMap.
    fn thread_map(&mut self, hook: &dyn ClientHook);
}

/// Writes a message: turns handles into capabilities, and fills in threads.
pub struct Encoder<'a> {
    capabilities: &'a mut dyn WriteCapabilities,
    version: u8,
}

impl<'a> Encoder<'a> {
    /// For a message in the form of this version.
    pub(crate) fn new(capabilities: &'a mut dyn WriteCapabilities, version: u8) -> Encoder<'a> {
        Encoder { capabilities, version }
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
        let (thread, callback) = self.capabilities.threads();
        if let Some(thread) = thread {
            context.reborrow().get_pointer_field(THREAD_SLOT).set_capability(thread);
        }
        if let Some(callback) = callback {
            context.get_pointer_field(CALLBACK_THREAD_SLOT).set_capability(callback);
        }
    }

    /// Gives this side's ThreadMap, in this slot.
    pub fn thread_map(&mut self, to: &mut Builder<'_>, slot: u32) {
        let map = self.capabilities.thread_map();
        to.pointer(slot).set_capability(map);
    }

    /// What stands for an object.
    pub(crate) fn object(&mut self, object: &dyn Given) -> Hook {
        self.capabilities.object(object)
    }
}

/// Reads a message: turns capabilities into handles, and takes out what belongs to the runtime.
pub struct Decoder<'a> {
    /// None where a message without capabilities is read outside the lock.
    capabilities: Option<&'a mut dyn ReadCapabilities>,
    /// The bytes of the message.
    length: usize,
    version: u8,
    /// Bytes of memory that lists have taken.
    taken: usize,
    /// Capabilities that the context has.
    context: usize,
}

/// What a message's lists may take without being looked at.
const FREE: usize = 1 << 20;
/// How many bytes of memory lists may take for each byte of a message. A struct that a peer writes
/// with an older schema is small there and has all its fields here.
const GROWTH: usize = 32;

impl<'a> Decoder<'a> {
    /// For a message of so many bytes, in the form of this version. `capabilities`: none for one that
    /// has none.
    pub(crate) fn new(
        capabilities: Option<&'a mut dyn ReadCapabilities>,
        length: usize,
        version: u8,
    ) -> Decoder<'a> {
        Decoder { capabilities, length, version, taken: 0, context: 0 }
    }

    /// Counts the memory that a list will take. A list of bytes is a list of structs as well, and one
    /// of nothing takes no bytes at all.
    pub(crate) fn take_memory(&mut self, items: u32, size: usize) -> Result<()> {
        self.taken = self.taken.saturating_add((items as usize).saturating_mul(size));
        if self.taken > FREE && self.taken > FREE + self.length.saturating_mul(GROWTH) {
            return Err(Error::decode("", "the list is longer than its message is good for"));
        }
        Ok(())
    }

    /// The version of the schema in whose form the message is; 0 is the newest.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// How many of the message's capabilities its context has.
    pub(crate) fn context_capabilities(&self) -> usize {
        self.context
    }

    fn capabilities(&mut self) -> Result<&mut dyn ReadCapabilities> {
        match &mut self.capabilities {
            Some(capabilities) => Ok(&mut **capabilities),
            None => Err(Error::decode("", "a capability in a message that was said to have none")),
        }
    }

    /// Takes in the threads that the caller names, in the Context in this slot.
    ///
    /// # Errors
    /// [`Error::Decode`] where that is no Context.
    pub fn context(&mut self, from: Reader<'_>, slot: u32) -> Result<()> {
        let context = from.pointer(slot).get_struct(None).map_err(malformed)?;
        let thread = capability(context.get_pointer_field(THREAD_SLOT))?;
        let callback = capability(context.get_pointer_field(CALLBACK_THREAD_SLOT))?;
        self.context = usize::from(thread.is_some()) + usize::from(callback.is_some());
        self.capabilities()?.threads(thread, callback);
        Ok(())
    }

    /// Keeps the ThreadMap that the peer gives, in this slot.
    ///
    /// # Errors
    /// [`Error::Decode`] where that is no ThreadMap.
    pub fn thread_map(&mut self, from: Reader<'_>, slot: u32) -> Result<()> {
        if let Some(map) = capability(from.pointer(slot))? {
            self.capabilities()?.thread_map(&*map);
        }
        Ok(())
    }

    /// The object behind a pointer, as [`ReadCapabilities::object`] has it.
    pub(crate) fn object(
        &mut self,
        from: PointerReader<'_>,
        home: &mut dyn FnMut(&dyn Any) -> bool,
    ) -> Result<Option<Box<dyn Any>>> {
        match capability(from)? {
            Some(hook) => Ok(self.capabilities()?.object(&*hook, home)),
            None => Ok(None),
        }
    }
}

/// The capability behind a pointer; none for a null pointer.
fn capability(from: PointerReader<'_>) -> Result<Option<Hook>> {
    if from.is_null() {
        return Ok(None);
    }
    from.get_capability().map(Some).map_err(malformed)
}
