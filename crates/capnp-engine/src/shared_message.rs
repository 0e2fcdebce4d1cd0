//! The bytes of one message: kept and shared, or borrowed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use capnp::Result;
use capnp::message::{Reader, ReaderOptions};
use capnp::serialize;

use crate::memory::Message;
use crate::segments::{Segments, SliceSegments};

const WORD: usize = 8;

/// A message in the standard framing that is kept and shared. Its memory is aligned to words.
#[derive(Clone)]
pub struct SharedMessage(Arc<Buffer>);

struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// Gets the memory when the last clone is dropped.
    give_back: Option<fn(Vec<u8>)>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back {
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// The offset of the first aligned word in `buffer`. Memory is mostly aligned, but need not be.
pub fn first_word(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(WORD) % WORD
}

impl SharedMessage {
    /// The message in `bytes` without the first `start` bytes, which are padding for alignment.
    /// `give_back` gets the memory when the last clone is dropped.
    pub fn new(bytes: Vec<u8>, start: usize, give_back: Option<fn(Vec<u8>)>) -> SharedMessage {
        SharedMessage(Arc::new(Buffer { bytes, start, give_back }))
    }

    fn write(length: usize, write: impl FnOnce(&mut Vec<u8>)) -> SharedMessage {
        let mut bytes = Vec::with_capacity(length + WORD);
        let start = first_word(&bytes);
        bytes.resize(start, 0);
        write(&mut bytes);
        SharedMessage::new(bytes, start, None)
    }

    fn copy(message: &[u8]) -> SharedMessage {
        SharedMessage::write(message.len(), |bytes| bytes.extend_from_slice(message))
    }

    /// A message of this side, serialized.
    pub(crate) fn of(message: &Message) -> SharedMessage {
        let words = serialize::compute_serialized_size_in_words(message);
        SharedMessage::write(WORD * words, |bytes| {
            // Writing to a Vec does not fail.
            let _ = serialize::write_message(bytes, message);
        })
    }

    /// The message.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes[self.0.start..]
    }

    /// A view of the message.
    pub fn view(&self) -> MessageView<'_> {
        MessageView { bytes: self.bytes(), shared: Some(self) }
    }
}

impl fmt::Debug for SharedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMessage({} bytes)", self.bytes().len())
    }
}

/// A borrowed message.
#[derive(Clone, Copy)]
pub struct MessageView<'a> {
    bytes: &'a [u8],
    shared: Option<&'a SharedMessage>,
}

opaque!(MessageView, impl std::fmt::Debug for MessageView<'_>);

impl<'a> MessageView<'a> {
    /// A view of a message in a larger buffer, aligned to words.
    pub fn new(bytes: &'a [u8]) -> MessageView<'a> {
        MessageView { bytes, shared: None }
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The message as one that is kept. Copies it unless it is a [`SharedMessage`] already.
    pub fn keep(&self) -> SharedMessage {
        self.shared.cloned().unwrap_or_else(|| SharedMessage::copy(self.bytes))
    }

    /// The [`SharedMessage`] behind the view, if there is one: nothing is copied.
    pub fn shared(&self) -> Option<SharedMessage> {
        self.shared.cloned()
    }

    /// Locates the message's segments, for an [`Incoming`](crate::Incoming).
    ///
    /// # Errors
    /// Its table does not fit.
    pub fn segments(&self) -> Result<Segments<'a>> {
        self.parse(reader_options(self.bytes.len()))
    }

    /// The same with other limits on what may be read.
    ///
    /// # Errors
    /// Its table does not fit.
    pub fn parse(&self, options: ReaderOptions) -> Result<Segments<'a>> {
        Ok(Reader::new(SliceSegments::new(self.bytes)?, options))
    }
}

/// How deep the parts of a message may lie in each other, as every Cap'n Proto implementation has it unless
/// told otherwise.
pub const NESTING: u16 = 64;

static NESTING_LIMIT: AtomicU16 = AtomicU16::new(NESTING);

/// How deep structs and lists may lie in each other where they are read, the message itself and what it
/// wraps around its parameters included.
pub fn nesting_limit() -> u16 {
    NESTING_LIMIT.load(Ordering::Relaxed)
}

/// Sets [`nesting_limit`] for the whole process: who reads what is nested needs stack for each level.
/// Messages that are being read keep their limit.
pub fn set_nesting_limit(levels: u16) {
    NESTING_LIMIT.store(levels, Ordering::Relaxed);
}

/// The read limits for a message of `length` bytes: each part may be read a few times. Without a
/// limit, a message that points to the same part many times, or to a long list of Void, would
/// become many times as large as what was sent. Nesting: [`nesting_limit`].
pub fn reader_options(length: usize) -> ReaderOptions {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(8 * (length / WORD) + 1024));
    options.nesting_limit(i32::from(nesting_limit()));
    options
}
