//! AnyPointer, as the bytes of a message, and the objects in it.

use std::fmt;
use std::hash::{Hash, Hasher};

use capnp::message::{self, ReaderOptions};
use capnp::private::layout::{CapTable, PointerBuilder, PointerReader};
use capnp::traits::{FromPointerReader, Imbue, ImbueMut, Owned, SetterInput};
use capnp_engine::cap_hook;

use super::capability::{AnyObject, Capability};
use crate::Result;
use crate::count::Count;
use crate::wire::context::Hook;
use crate::wire::helpers::malformed;
use crate::wire::pointer::pointer_wire;
use crate::wire::shown::show_bytes;
use crate::wire::{Argument, Decoder, Encoder, Pointer, PointerWire};

/// What the schema leaves open (`AnyPointer`): a struct, list, text, data or object of a type that only
/// the two sides know, as the bytes of a Cap'n Proto message whose root it is.
///
/// The default is the null pointer. Objects in it are [capabilities](AnyPointer::capabilities) beside the
/// bytes; one that is nothing but an object is made of a [`Capability`], and becomes one by
/// [`capability`](AnyPointer::capability).
///
/// ```
/// use multiprocess::AnyPointer;
/// use multiprocess::capnp::text;
///
/// let any = AnyPointer::new::<text::Owned>("hello")?;
/// let back = AnyPointer::from_bytes(any.as_bytes().to_vec());
/// assert_eq!(back.get::<text::Owned, _>(|text| text.to_string())?.unwrap(), "hello");
/// # Ok::<(), multiprocess::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AnyPointer {
    /// One message in the standard framing; empty for the null pointer.
    bytes: Vec<u8>,
    /// The message's table of capabilities.
    capabilities: Vec<Option<Capability>>,
}

impl AnyPointer {
    /// A value of one of capnp's own types (of capnpc's generated ones, for example).
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) where the value is malformed.
    pub fn new<T: Owned>(value: impl SetterInput<T>) -> Result<AnyPointer> {
        let mut message = message::Builder::new_default();
        message.set_root::<T>(value).map_err(malformed)?;
        let bytes = capnp::serialize::write_message_to_words(&message);
        Ok(AnyPointer { bytes, capabilities: Vec::new() })
    }

    /// A message in Cap'n Proto's standard framing (segment table first). The bytes are not checked here:
    /// if they are no such message, sending or reading the value fails.
    pub fn from_bytes(bytes: Vec<u8>) -> AnyPointer {
        AnyPointer { bytes, capabilities: Vec::new() }
    }

    /// The same with the objects of the message, by their indices in its capability table.
    pub fn with_capabilities(mut self, capabilities: Vec<Option<Capability>>) -> AnyPointer {
        self.capabilities = capabilities;
        self
    }

    /// The objects in the message, by their indices in its capability table.
    pub fn capabilities(&self) -> &[Option<Capability>] {
        &self.capabilities
    }

    /// The object, if the pointer is one; none for the null pointer.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) where it is a struct, list, text or data.
    pub fn capability(&self) -> Result<Option<Capability>> {
        if self.is_null() {
            return Ok(None);
        }
        let hooks = self.hooks(|index, _| cap_hook(index));
        self.with_root(|root| {
            let mut root = root;
            root.imbue(&hooks);
            let Pointer(pointer) = root.get_as().map_err(malformed)?;
            let hook = pointer.get_capability().map_err(malformed)?;
            Ok(self.capabilities.get(hook.get_ptr()).cloned().flatten())
        })
    }

    /// The message in Cap'n Proto's standard framing; empty for the null pointer.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the null pointer.
    pub fn is_null(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it is what a field has that was not set: null, an empty list, text or data, or a struct of
    /// nothing but zeros.
    pub(super) fn is_default(&self) -> bool {
        if self.bytes.is_empty() {
            return true;
        }
        // The table of one segment in one word, the root's pointer, and what that leads to. More is not small.
        let words = self.bytes.strip_prefix(&[0; 4]).and_then(|one| one.get(4..));
        let Some((root, content)) = words.and_then(|words| words.split_first_chunk()) else {
            return false;
        };
        let root = u64::from_le_bytes(*root);
        let (kind, item, count) = (root & 3, root >> 32 & 7, root >> 35);
        let zeros = content.iter().all(|byte| *byte == 0);
        match kind {
            0 => zeros,
            // A text ends with a byte that is zero.
            1 => count == 0 || (item == 2 && count == 1 && zeros),
            _ => false,
        }
    }

    /// Looks at the value as one of capnp's own types.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) where it is of another type, or no message.
    pub fn get<T: Owned, R>(&self, look: impl FnOnce(T::Reader<'_>) -> R) -> Result<R> {
        self.with_root(|root| root.get_as().map(look).map_err(malformed))
    }

    /// The capability table of the message, of hooks that `hook` makes.
    fn hooks(&self, mut hook: impl FnMut(usize, &Capability) -> Hook) -> CapTable {
        let capabilities = self.capabilities.iter().enumerate();
        capabilities.map(|(index, cap)| cap.as_ref().map(|cap| hook(index, cap))).collect()
    }

    pub(crate) fn with_root<R>(
        &self,
        look: impl FnOnce(capnp::any_pointer::Reader<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut bytes = self.bytes.as_slice();
        let mut options = ReaderOptions::new();
        options.nesting_limit(i32::from(capnp_engine::nesting_limit()));
        if bytes.is_empty() {
            let empty = message::Reader::new(message::SegmentArray::new(&[&[0; 8]]), options);
            return look(empty.get_root().map_err(malformed)?);
        }
        let message = capnp::serialize::read_message(&mut bytes, options).map_err(malformed)?;
        look(message.get_root().map_err(malformed)?)
    }
}

/// A pointer that is nothing but the object.
impl From<Capability> for AnyPointer {
    fn from(capability: Capability) -> AnyPointer {
        // The root is a pointer to the first capability of the table.
        const ROOT: [u8; 16] = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        AnyPointer { bytes: ROOT.to_vec(), capabilities: vec![Some(capability)] }
    }
}

/// By the bytes alone: equal values have the same.
impl Hash for AnyPointer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for AnyPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyPointer({} bytes", self.bytes.len())?;
        match self.capabilities.len() {
            0 => f.write_str(")"),
            count => write!(f, ", {})", Count(count, "object")),
        }
    }
}

impl Argument for AnyPointer {
    type Wire = AnyPointerWire;
}

/// `AnyPointer`.
#[derive(Debug)]
pub struct AnyPointerWire;

impl PointerWire for AnyPointerWire {
    type Value = AnyPointer;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<AnyPointer> {
        if from.is_null() {
            return Ok(AnyPointer::default());
        }
        // Most are small, and zeroing a large first segment would cost more than the copy.
        let allocator = message::HeapAllocator::new().first_segment_words(16);
        let mut message = message::Builder::new(allocator);
        let mut hooks = CapTable::new();
        let mut root: capnp::any_pointer::Builder<'_> = message.init_root();
        root.imbue_mut(&mut hooks);
        let from = capnp::any_pointer::Reader::get_from_pointer(&from, None).map_err(malformed)?;
        root.set_as::<capnp::any_pointer::Owned>(from).map_err(malformed)?;
        let bytes = capnp::serialize::write_message_to_words(&message);
        let capabilities = hooks.into_iter().map(|hook| match hook {
            Some(hook) => AnyObject::of_hook(cx, &*hook),
            None => Ok(None),
        });
        let capabilities = capabilities.collect::<Result<_>>()?;
        Ok(AnyPointer { bytes, capabilities })
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &AnyPointer) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        let hooks = value.hooks(|_, capability| cx.object(capability.as_given()));
        let mut to = capnp::any_pointer::Builder::new(to);
        value.with_root(|root| {
            let mut root = root;
            root.imbue(&hooks);
            to.set_as::<capnp::any_pointer::Owned>(root).map_err(malformed)
        })
    }

    fn show(value: &AnyPointer, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_bytes(value.as_bytes(), f)
    }
}
pointer_wire!([] AnyPointerWire);
