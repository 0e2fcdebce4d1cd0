//! The bytes of one message, and how they are looked at.

use std::sync::Arc;

use capnp::message::{Reader, ReaderOptions};
use capnp::serialize::{self, NoAllocSliceSegments};
use capnp::{Result, any_pointer};

use super::cap::Cap;
use super::hook;
use super::memory::{Message, give_bytes};

const WORD: usize = 8;

/// A message in the standard framing that is kept, shared by whoever looks at it. Its memory is
/// aligned to words.
#[derive(Clone)]
pub(crate) struct Body(Arc<Buffer>);

struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give_bytes(std::mem::take(&mut self.bytes));
    }
}

/// Where in `buffer` the first word is: memory is mostly aligned, and need not be.
pub(crate) fn first_word(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(WORD) % WORD
}

impl Body {
    /// The message in all of `bytes` but the first `start`, which are there to align it.
    pub(crate) fn new(bytes: Vec<u8>, start: usize) -> Body {
        Body(Arc::new(Buffer { bytes, start }))
    }

    fn write(length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Body {
        let mut bytes = Vec::with_capacity(length + WORD);
        let start = first_word(&bytes);
        bytes.resize(start, 0);
        write(&mut bytes);
        Body::new(bytes, start)
    }

    fn copy(message: &[u8]) -> Body {
        Body::write(message.len(), |bytes| bytes.extend_from_slice(message))
    }

    /// A message of this side's, as it would be sent.
    pub(crate) fn of(message: &Message) -> Body {
        let words = serialize::compute_serialized_size_in_words(message);
        Body::write(WORD * words, |bytes| {
            // Writing to a Vec does not fail.
            let _ = serialize::write_message(bytes, message);
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes[self.0.start..]
    }

    pub(crate) fn whole(&self) -> Whole<'_> {
        Whole { bytes: self.bytes(), body: Some(self) }
    }
}

/// A message that is there as long as it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'a> {
    bytes: &'a [u8],
    body: Option<&'a Body>,
}

impl<'a> Whole<'a> {
    /// One that lies among others, aligned to words.
    pub(crate) fn new(bytes: &'a [u8]) -> Whole<'a> {
        Whole { bytes, body: None }
    }

    /// The size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The message, to be kept. One that lies among others is copied.
    pub(crate) fn keep(&self) -> Body {
        self.body.cloned().unwrap_or_else(|| Body::copy(self.bytes))
    }

    /// The same where nothing needs to be copied.
    pub(crate) fn shared(&self) -> Option<Body> {
        self.body.cloned()
    }

    pub(crate) fn parse(&self, options: ReaderOptions) -> Result<Reader<NoAllocSliceSegments<'a>>> {
        let mut bytes = self.bytes;
        serialize::read_message_from_flat_slice_no_alloc(&mut bytes, options)
    }
}

/// How much of a message of this many bytes may be read: each part a few times over. A message that
/// points to the same part again and again, or to a long list of nothing, would otherwise become
/// many times what was sent.
pub(crate) fn options(length: usize) -> ReaderOptions {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(8 * (length / WORD) + 1024));
    options
}

/// The parameters or the results in a message. A capability pointer in it is a number, see
/// [`hook`]: its capability is in `caps`.
pub(crate) struct Content<'a> {
    pub(crate) reader: any_pointer::Reader<'a>,
    pub(crate) caps: &'a [Option<Cap>],
    pub(crate) whole: Whole<'a>,
}

impl Content<'_> {
    /// The capability that a path of pointers leads to, to be called.
    pub(super) fn cap(&self, path: &[u16]) -> Cap {
        match self.cap_at(path) {
            Ok(Some(cap)) => cap,
            Ok(None) => Cap::null(),
            Err(error) => Cap::broken(crate::codec::malformed(error)),
        }
    }

    /// The same; none for a null pointer.
    pub(crate) fn cap_at(&self, path: &[u16]) -> Result<Option<Cap>> {
        if path.is_empty() && self.reader.is_null() {
            return Ok(None);
        }
        let mut pointer: crate::wire::Pointer<'_> = self.reader.get_as()?;
        for field in path {
            let within = pointer.0.get_struct(None)?;
            pointer = crate::wire::Pointer(within.get_pointer_field(usize::from(*field)));
        }
        if pointer.0.is_null() {
            return Ok(None);
        }
        Ok(hook::find(&*pointer.0.get_capability()?, self.caps))
    }
}
