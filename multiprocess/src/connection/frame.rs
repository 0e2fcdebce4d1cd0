//! Cuts the bytes of a stream into messages.
//!
//! A message begins with a table: the number of segments less one, then each segment's size in
//! words (8 bytes), all little-endian u32, padded to whole words. Memory is taken as bytes arrive,
//! never for what a table announces.

use capnp::message::{Reader, ReaderOptions};
use capnp::serialize;

use super::network::{Incoming, Segments};
use crate::{Error, Result};

const WORD: usize = 8;
const MAX_SEGMENTS: usize = 512;
/// What a read asks for when no long message is under way.
const CHUNK: usize = 64 << 10;

/// The part of the stream that is not a whole message yet.
pub(super) struct Frames {
    /// Bytes read; `start..end` are not used yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the message under way, once its table is there.
    wanted: usize,
    limit: usize,
}

/// How much of a message may be read, in words: each part a few times over. A message that points to
/// the same part again and again, or to a long list of nothing, would otherwise become many times
/// what was sent.
fn options(length: usize) -> ReaderOptions {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(8 * (length / WORD) + 1024));
    options
}

impl Frames {
    /// `limit`: the largest message in bytes.
    pub(super) fn new(limit: usize) -> Frames {
        Frames { buffer: Vec::new(), start: 0, end: 0, wanted: 0, limit }
    }

    /// Where the next read goes: room for a good part of what is missing.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.start > 0 && self.buffer.len() - self.end < CHUNK {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let missing = self.wanted.saturating_sub(self.end - self.start);
        // A long message doubles the buffer as it arrives: an announced size costs nothing.
        let more = missing.min(self.end.max(CHUNK)).max(CHUNK);
        if self.buffer.len() < self.end + more {
            self.buffer.resize(self.end + more, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes the messages that are whole now that `count` bytes were read into the room.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<Incoming>> {
        self.end += count;
        let mut messages = Vec::new();
        while let Some(length) = self.next_length()? {
            if self.end - self.start < length {
                self.wanted = length;
                break;
            }
            let mut bytes = &self.buffer[self.start..self.start + length];
            let message: Reader<_> =
                serialize::read_message(&mut bytes, options(length)).map_err(|error| {
                    misbehaved(format!("sent a message that does not parse: {error}"))
                })?;
            messages.push(Segments::message(message, options(length)));
            self.start += length;
            self.wanted = 0;
        }
        if self.start == self.end && self.buffer.len() > 4 * CHUNK {
            // A long message has gone through: its memory goes back.
            self.buffer = Vec::new();
            self.start = 0;
            self.end = 0;
        }
        Ok(messages)
    }

    /// Whether a message has begun and is not whole.
    pub(super) fn is_partial(&self) -> bool {
        self.start != self.end
    }

    /// The length in bytes of the message that begins at `start`, once its table is there.
    fn next_length(&self) -> Result<Option<usize>> {
        let bytes = &self.buffer[self.start..self.end];
        let Some(count) = read_u32(bytes, 0) else { return Ok(None) };
        let segments = count as usize + 1;
        if count as usize >= MAX_SEGMENTS {
            return Err(misbehaved(format!(
                "sent a message of {segments} segments; {MAX_SEGMENTS} is the limit"
            )));
        }
        let table = (4 * (segments + 1)).next_multiple_of(WORD);
        if bytes.len() < table {
            return Ok(None);
        }
        let words: usize = (0..segments)
            .filter_map(|i| read_u32(bytes, 4 * (i + 1)))
            .map(|words| words as usize)
            .sum();
        let length = table.saturating_add(words.saturating_mul(WORD));
        if length > self.limit {
            return Err(misbehaved(format!(
                "sent a message of {length} bytes; {} is the limit",
                self.limit
            )));
        }
        Ok(Some(length))
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

fn misbehaved(problem: String) -> Error {
    Error::PeerMisbehaved { problem }
}
