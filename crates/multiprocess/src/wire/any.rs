//! AnyPointer, as the bytes of a message.

use std::fmt;

use capnp::message::{self, ReaderOptions};
use capnp::private::layout::{CapTable, PointerBuilder, PointerReader};
use capnp::traits::{FromPointerReader, ImbueMut, Owned, SetterInput};

use super::helpers::malformed;
use crate::{Error, Result};

/// What the schema leaves open (`AnyPointer`): a struct, list, text or data of a type that only the
/// two sides know, as the bytes of a Cap'n Proto message whose root it is.
///
/// The default is the null pointer. Capabilities cannot be in it.
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
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct AnyPointer {
    /// One message in the standard framing; empty for the null pointer.
    bytes: Vec<u8>,
}

impl AnyPointer {
    /// A value of one of capnp's own types (of capnpc's generated ones, for example).
    ///
    /// # Errors
    /// [`Error::Decode`] where the value is malformed.
    pub fn new<T: Owned>(value: impl SetterInput<T>) -> Result<AnyPointer> {
        let mut message = message::Builder::new_default();
        message.set_root::<T>(value).map_err(malformed)?;
        Ok(AnyPointer { bytes: capnp::serialize::write_message_to_words(&message) })
    }

    /// A message in Cap'n Proto's standard framing (segment table first). The bytes are not checked here:
    /// if they are no such message, sending or reading the value fails.
    pub fn from_bytes(bytes: Vec<u8>) -> AnyPointer {
        AnyPointer { bytes }
    }

    /// The message in Cap'n Proto's standard framing; empty for the null pointer.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the null pointer.
    pub fn is_null(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Looks at the value as one of capnp's own types.
    ///
    /// # Errors
    /// [`Error::Decode`] where it is of another type, or no message.
    pub fn get<T: Owned, R>(&self, look: impl FnOnce(T::Reader<'_>) -> R) -> Result<R> {
        self.with_root(|root| root.get_as().map(look).map_err(malformed))
    }

    pub(crate) fn read(from: PointerReader<'_>) -> Result<AnyPointer> {
        match AnyPointer::copy(from)? {
            (any, true) => Ok(any),
            (_, false) => Err(Error::decode("", "an AnyPointer with a capability in it")),
        }
    }

    /// A copy without the capabilities, and whether the original has none.
    pub(crate) fn copy(from: PointerReader<'_>) -> Result<(AnyPointer, bool)> {
        if from.is_null() {
            return Ok((AnyPointer::default(), true));
        }
        // Most are small, and zeroing a large first segment would cost more than the copy.
        let allocator = message::HeapAllocator::new().first_segment_words(16);
        let mut message = message::Builder::new(allocator);
        let mut capabilities = CapTable::new();
        let mut root: capnp::any_pointer::Builder<'_> = message.init_root();
        root.imbue_mut(&mut capabilities);
        let from = capnp::any_pointer::Reader::get_from_pointer(&from, None).map_err(malformed)?;
        root.set_as::<capnp::any_pointer::Owned>(from).map_err(malformed)?;
        let bytes = capnp::serialize::write_message_to_words(&message);
        Ok((AnyPointer { bytes }, capabilities.is_empty()))
    }

    pub(super) fn write(&self, to: PointerBuilder<'_>) -> Result<()> {
        if self.is_null() {
            return Ok(());
        }
        let mut to = capnp::any_pointer::Builder::new(to);
        self.with_root(|root| to.set_as::<capnp::any_pointer::Owned>(root).map_err(malformed))
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

impl fmt::Debug for AnyPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyPointer({} bytes)", self.bytes.len())
    }
}
