//! Messages that wait to be written, in order, in the form in which few system calls write them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use capnp::serialize;

use capnp_engine::{Carrying, Descriptor, Message};

/// A message of more bytes is written from the memory in which it was built. Shorter ones are copied
/// into one buffer.
const LONG_MESSAGE: usize = 32 << 10;
/// A buffer of short messages takes no further message once it has so many bytes.
const BUFFER_SIZE: usize = 256 << 10;
/// How many slices one write takes at most.
const MAX_SLICES: usize = 64;

/// Messages in the order in which they are to be written.
#[derive(Default)]
pub(crate) struct Batch {
    pieces: VecDeque<Piece>,
    /// How many bytes of the first piece are written already.
    written: usize,
    /// How many bytes of all pieces are not written yet.
    length: usize,
    /// An empty buffer for short messages, kept for its memory.
    spare: Vec<u8>,
}

/// One part of a batch.
enum Piece {
    /// Short messages, one after the other.
    Short(Vec<u8>),
    /// A long message: its segment table, and the message itself.
    Long(Vec<u8>, Box<Message>),
    /// One message, and the file descriptors that are sent with its first byte. It is written by itself: so
    /// they belong to no other message.
    Carrying(Vec<u8>, Vec<Arc<Descriptor>>),
}

impl Piece {
    fn length(&self) -> usize {
        match self {
            Piece::Short(bytes) | Piece::Carrying(bytes, _) => bytes.len(),
            Piece::Long(table, message) => table.len() + 8 * message.size_in_words(),
        }
    }
}

impl Batch {
    /// How many bytes wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn push(&mut self, message: Message) {
        let length = 8 * message.size_in_words();
        if length > LONG_MESSAGE {
            let table = segment_table(&message);
            self.length += length + table.len();
            self.pieces.push_back(Piece::Long(table, Box::new(message)));
            return;
        }
        let bytes = self.short();
        let before = bytes.len();
        // Writing to a Vec does not fail.
        let _ = serialize::write_message(&mut *bytes, &message);
        let more = bytes.len() - before;
        self.length += more;
    }

    /// Adds a message with file descriptors.
    pub(crate) fn push_with(&mut self, carrying: Carrying) {
        let Carrying { message, descriptors } = carrying;
        let bytes = serialize::write_message_to_words(&message);
        self.length += bytes.len();
        self.pieces.push_back(Piece::Carrying(bytes, descriptors));
    }

    /// The file descriptors that the next write is to send with its first byte.
    pub(crate) fn descriptors(&self) -> &[Arc<Descriptor>] {
        match self.pieces.front() {
            Some(Piece::Carrying(_, descriptors)) if self.written == 0 => descriptors,
            _ => &[],
        }
    }

    /// Has the next write send its message without them.
    pub(crate) fn forget_descriptors(&mut self) {
        if let Some(Piece::Carrying(_, descriptors)) = self.pieces.front_mut() {
            descriptors.clear();
        }
    }

    /// The buffer to which the next short message is added.
    fn short(&mut self) -> &mut Vec<u8> {
        let fits =
            matches!(self.pieces.back(), Some(Piece::Short(bytes)) if bytes.len() < BUFFER_SIZE);
        if !fits {
            self.pieces.push_back(Piece::Short(std::mem::take(&mut self.spare)));
        }
        match self.pieces.back_mut() {
            Some(Piece::Short(bytes)) => bytes,
            // Not reached: the last piece is a short one now.
            _ => &mut self.spare,
        }
    }

    /// Moves all that waits in `other` behind what is here.
    pub(crate) fn append(&mut self, other: &mut Batch) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        if let (Some(Piece::Short(bytes)), Some(more)) = (self.pieces.back_mut(), other.as_one())
            && bytes.len() + more.len() <= BUFFER_SIZE
        {
            bytes.extend_from_slice(more);
            self.length += other.length;
            other.advance(other.length);
            return;
        }
        self.length += std::mem::take(&mut other.length);
        self.pieces.append(&mut other.pieces);
    }

    /// What the next write is to send, up to [`MAX_SLICES`] slices.
    pub(crate) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::new();
        let mut left = self.written;
        for piece in &self.pieces {
            if slices.len() >= MAX_SLICES {
                break;
            }
            match piece {
                Piece::Carrying(bytes, _) => {
                    if slices.is_empty() {
                        push_slice(&mut slices, bytes, &mut left);
                    }
                    break;
                }
                Piece::Short(bytes) => push_slice(&mut slices, bytes, &mut left),
                Piece::Long(table, message) => {
                    push_slice(&mut slices, table, &mut left);
                    for segment in message.get_segments_for_output().iter() {
                        push_slice(&mut slices, segment, &mut left);
                    }
                }
            }
        }
        slices
    }

    /// The bytes of a batch that is a single buffer of short messages: send(2) takes them as they are.
    pub(crate) fn as_one(&self) -> Option<&[u8]> {
        match (self.pieces.front(), self.pieces.len()) {
            (Some(Piece::Short(bytes)), 1) => Some(&bytes[self.written..]),
            _ => None,
        }
    }

    /// Notes that so many bytes were written, and drops what is written completely.
    pub(crate) fn advance(&mut self, count: usize) {
        self.length -= count;
        self.written += count;
        while let Some(first) = self.pieces.front() {
            let length = first.length();
            if self.written < length {
                return;
            }
            self.written -= length;
            if let Some(Piece::Short(mut bytes)) = self.pieces.pop_front()
                && bytes.capacity() <= BUFFER_SIZE
            {
                bytes.clear();
                self.spare = bytes;
            }
        }
    }
}

fn push_slice<'a>(slices: &mut Vec<IoSlice<'a>>, bytes: &'a [u8], skip: &mut usize) {
    let skipped = (*skip).min(bytes.len());
    *skip -= skipped;
    if skipped < bytes.len() {
        slices.push(IoSlice::new(&bytes[skipped..]));
    }
}

/// The segment table with which a message begins on the wire; see [`frame`](super::frame).
fn segment_table(message: &Message) -> Vec<u8> {
    let segments = message.get_segments_for_output();
    let count = segments.len() as u32;
    let mut table = Vec::with_capacity(8 * (segments.len() / 2 + 1));
    table.extend_from_slice(&(count - 1).to_le_bytes());
    for segment in segments.iter() {
        table.extend_from_slice(&((segment.len() / 8) as u32).to_le_bytes());
    }
    table.resize(table.len().next_multiple_of(8), 0);
    table
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use capnp_engine::{Heap, Message, new_message};

    fn message(bytes: usize) -> Message {
        let mut message = new_message(&Heap, 16);
        let data: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        message.set_root::<capnp::data::Owned>(&data[..]).unwrap();
        message
    }

    /// However many bytes each write takes, what is written are the messages in their order.
    #[test]
    fn short_and_long_messages_keep_their_order() {
        let sizes = [10, 100_000, 20, 30, 40_000, 300_000, 1];
        let expected: Vec<u8> = sizes
            .iter()
            .flat_map(|size| capnp::serialize::write_message_to_words(&message(*size)))
            .collect();
        // Miri takes minutes for the small steps.
        for step in [if cfg!(miri) { 7000 } else { 7 }, 4096, 1 << 20] {
            let (mut batch, mut other) = (Batch::default(), Batch::default());
            for size in &sizes[..3] {
                batch.push(message(*size));
            }
            for size in &sizes[3..] {
                other.push(message(*size));
            }
            batch.append(&mut other);
            assert!(other.is_empty());
            assert_eq!(batch.len(), expected.len());
            let mut written = Vec::new();
            while !batch.is_empty() {
                let mut left = step;
                for slice in batch.slices() {
                    let take = slice.len().min(left);
                    written.extend_from_slice(&slice[..take]);
                    left -= take;
                }
                batch.advance(step - left);
            }
            assert!(written == expected, "in steps of {step}");
        }
    }
}
