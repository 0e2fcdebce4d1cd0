//! The context in which generated code reads and writes a message: the message's capabilities, and the
//! fields that the runtime fills in, Context and ThreadMap.
//!
//! The layers above decide what a capability is. They are reached through the traits here.

use std::any::Any;

use capnp::private::capability::ClientHook;
use capnp::private::layout::{PointerReader, StructSize};
use capnp_engine::{cap_hook, nesting_limit};

use super::helpers::malformed;
use super::slots::{Builder, Reader};
use crate::{Error, Result};

/// The slots of proxy.capnp's struct Context.
const THREAD_SLOT: usize = 0;
const CALLBACK_THREAD_SLOT: usize = 1;
/// Where a Context has data, which only peers with this runtime write and read: its first two bytes are the
/// level of the call.
const LEVEL_SLOT: usize = 0;

/// A capability in a message, in the form that capnp's readers and builders take it: it stands for an
/// index in the message's capability table.
pub(crate) type Hook = Box<dyn ClientHook>;

/// An object that is written to a message.
pub(crate) trait Given {
    /// Identifies it among the objects of this process, as long as it lives.
    fn address(&self) -> usize;
    /// The peer's object that it is a handle on; none for an object of this process.
    fn remote(&self) -> Option<&dyn Any>;
    /// Whether `served` already serves this object.
    fn is_served_by(&self, served: &dyn Any) -> bool;
    /// Makes what serves it.
    fn serve(&self) -> Box<dyn Any>;
}

/// Writes the capabilities of one message.
pub(crate) trait WriteCapabilities {
    /// Adds an object, of this process or of a peer.
    fn object(&mut self, object: &dyn Given) -> Hook;
    /// The thread that is to run the call, and the one that is to run its callbacks.
    fn threads(&mut self) -> (Option<Hook>, Option<Hook>);
    /// How many calls this one is made to serve, where the peer reads that; 0 else.
    fn level(&self) -> u16;
    /// This side's ThreadMap.
    fn thread_map(&mut self) -> Hook;
}

/// For messages without capabilities.
pub(crate) struct NoCapabilities;

impl WriteCapabilities for NoCapabilities {
    fn object(&mut self, _: &dyn Given) -> Hook {
        cap_hook(usize::MAX)
    }

    fn threads(&mut self) -> (Option<Hook>, Option<Hook>) {
        (None, None)
    }

    fn level(&self) -> u16 {
        0
    }

    fn thread_map(&mut self) -> Hook {
        cap_hook(usize::MAX)
    }
}

/// Reads the capabilities of one message.
pub(crate) trait ReadCapabilities {
    /// The object that a hook stands for. If this process serves it, `home` is called with what serves
    /// it, and returns true if it takes the object; then this returns none. Otherwise returns the peer's
    /// object. None for a null pointer, too.
    fn object(
        &mut self,
        hook: &dyn ClientHook,
        home: &mut dyn FnMut(&dyn Any) -> bool,
    ) -> Option<Box<dyn Any>>;
    /// Takes in the threads that a call names, and its level.
    fn threads(&mut self, thread: Option<Hook>, callback: Option<Hook>, level: u16);
    /// Takes in the peer's ThreadMap.
    fn thread_map(&mut self, hook: &dyn ClientHook);
    /// The versions of a family of schemas that the peer may have (bit 0 is the newest of so many). `heard`: what
    /// it has sent shows that it is one of these.
    fn peers(&mut self, family: u64, count: usize, heard: Option<u32>) -> u32;
}

/// Writes a message: turns handles into capabilities, and fills in threads.
pub struct Encoder<'a> {
    capabilities: &'a mut dyn WriteCapabilities,
    version: u8,
    /// The versions that the peer may have: bit 0 is the newest. None where there is only one.
    peers: u32,
    /// How deep in structs the value lies that is written.
    depth: u16,
}

opaque!(Encoder, impl std::fmt::Debug for Encoder<'_>);

impl<'a> Encoder<'a> {
    /// For a message in the form of this version, to a peer that has one of `peers`.
    pub(crate) fn new(
        capabilities: &'a mut dyn WriteCapabilities,
        version: u8,
        peers: u32,
    ) -> Encoder<'a> {
        Encoder { capabilities, version, peers, depth: 0 }
    }

    /// Goes on in the form of this version, for a peer that has one of `peers`.
    pub(crate) fn in_form(&mut self, (version, peers): (u8, u32)) {
        (self.version, self.peers) = (version, peers);
    }

    /// Whether the peer may have one of these versions.
    pub(crate) fn may_be(&self, versions: u32) -> bool {
        self.peers & versions != 0
    }

    /// The version of the schema in whose form the message is to be; 0 is the newest.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Names the threads on which this call and its callbacks run, in the Context in this slot.
    ///
    /// Where the peer has given no ThreadMap the context stays empty.
    pub fn context(&mut self, to: &mut Builder<'_>, slot: u32) {
        let level = self.capabilities.level();
        let data = if level == 0 { 0 } else { 1 };
        let mut context = to.pointer(slot).init_struct(StructSize { data, pointers: 2 });
        if level != 0 {
            context.reborrow().set_data_field(LEVEL_SLOT, level);
        }
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

    /// Writes a struct that lies in what is written now. Too deep is an error: the peer would refuse it, and
    /// this thread's stack would end.
    pub(crate) fn within<R>(&mut self, write: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let most = nesting_limit();
        if self.depth >= most {
            return Err(Error::misuse(format!(
                "a value has structs within structs, more than {most} deep (ProcessLimits::nesting)"
            )));
        }
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        written
    }

    /// Adds an object, and returns the hook that stands for it.
    pub(crate) fn object(&mut self, object: &dyn Given) -> Hook {
        self.capabilities.object(object)
    }
}

/// Reads a message: turns capabilities into handles, and takes in the Context and the ThreadMap.
pub struct Decoder<'a> {
    /// None where a message without capabilities is read outside the lock.
    capabilities: Option<&'a mut dyn ReadCapabilities>,
    /// The bytes of the message.
    length: usize,
    version: u8,
    /// Bytes of memory that lists have taken.
    taken: usize,
    /// How many capabilities the Context has.
    context: usize,
}

opaque!(Decoder, impl std::fmt::Debug for Decoder<'_>);

/// Up to so many bytes of memory for lists are allowed for any message.
const FREE_BYTES: usize = 1 << 20;
/// Beyond that, how many bytes of memory lists may take for each byte of the message. It is more than
/// one because a struct that a peer writes with an older schema is small there and has all fields here.
const MAX_GROWTH: usize = 32;

impl<'a> Decoder<'a> {
    /// For a message of `length` bytes, in the form of this version. `capabilities`: none where the
    /// message has none.
    pub(crate) fn new(
        capabilities: Option<&'a mut dyn ReadCapabilities>,
        length: usize,
        version: u8,
    ) -> Decoder<'a> {
        Decoder { capabilities, length, version, taken: 0, context: 0 }
    }

    /// Counts the memory that a list will take, and refuses too much. A short message could ask for much:
    /// a list of bytes can be read as one of structs, and a list of empty structs takes no bytes.
    pub(crate) fn take_memory(&mut self, items: u32, size: usize) -> Result<()> {
        self.taken = self.taken.saturating_add((items as usize).saturating_mul(size));
        if self.taken > FREE_BYTES
            && self.taken > FREE_BYTES + self.length.saturating_mul(MAX_GROWTH)
        {
            return Err(Error::decode("", "the list is longer than its message is good for"));
        }
        Ok(())
    }

    /// The version of the schema in whose form the message is; 0 is the newest.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Goes on in the form of this version.
    pub(crate) fn in_version(&mut self, version: u8) {
        self.version = version;
    }

    /// The versions that the peer may have, as [`ReadCapabilities::peers`] has it; only the newest where that
    /// cannot be told.
    pub(crate) fn peers(&mut self, family: u64, count: usize, heard: Option<u32>) -> u32 {
        let capabilities = self.capabilities.as_mut();
        capabilities.map_or(1, |capabilities| capabilities.peers(family, count, heard))
    }

    /// How many of the message's capabilities are in its Context.
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
        let level = context.get_data_field(LEVEL_SLOT);
        self.capabilities()?.threads(thread, callback, level);
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
            Some(hook) => self.object_of(&*hook, home),
            None => Ok(None),
        }
    }

    /// The same for a hook of the message.
    pub(crate) fn object_of(
        &mut self,
        hook: &dyn ClientHook,
        home: &mut dyn FnMut(&dyn Any) -> bool,
    ) -> Result<Option<Box<dyn Any>>> {
        Ok(self.capabilities()?.object(hook, home))
    }
}

/// The capability behind a pointer; none for a null pointer.
pub(crate) fn capability(from: PointerReader<'_>) -> Result<Option<Hook>> {
    if from.is_null() {
        return Ok(None);
    }
    from.get_capability().map(Some).map_err(malformed)
}
