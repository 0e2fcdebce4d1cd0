//! Cuts the bytes of a stream into messages.
//!
//! A message begins with a table: the number of segments less one, then each segment's size in
//! words (8 bytes), all little-endian u32, padded to whole words. Memory is taken as bytes arrive,
//! never for what a table announces, and none of it is zeroed before it is read into.
//!
//! Short messages are decoded in the buffer into which they were read, without a copy. The buffer with
//! a long one becomes that message's own memory, which is shared by all that keep the message.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use capnp_engine::{Close, Descriptor, MessageView, SharedMessage, first_word};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::descriptors::Arriving;
use crate::closer::Closer;
use crate::memory::{give_bytes, take_bytes};
use crate::process::receive;
use crate::{Error, Result};

const WORD: usize = 8;
const MAX_SEGMENTS: usize = 512;
/// The size of the buffer. A message that is longer than this is *long*: it is read into memory of its
/// own size.
const BUFFER_SIZE: usize = 64 << 10;

/// A long message may be read into memory that is kept from another one (see [`memory`](crate::memory))
/// once 1/32 of it has arrived. Otherwise a peer could take that memory by announcing messages.
const REUSE_FRACTION: usize = 32;

/// The input that was read and is not decoded yet.
pub(super) struct Frames {
    /// Bytes read, of which those from `start` on are not decoded yet. `start` is aligned to a word in
    /// memory.
    buffer: Vec<u8>,
    start: usize,
    /// The length of the message at `start`, if it is long and has not arrived completely.
    long: Option<usize>,
    /// The largest message that is taken, in bytes.
    limit: usize,
    with: With,
    /// Nothing more is read.
    over: bool,
}

/// What file descriptors may come with the bytes.
enum With {
    /// None can: the stream is no unix socket.
    Nothing,
    /// They can, and none is taken. They are received all the same: the kernel would close them, on this thread.
    Unwanted(Arc<Closer>),
    /// Some are taken: those that came with what was read.
    Taken(Box<Arriving>),
}

/// A message that has arrived completely.
pub(super) enum Frame<'a> {
    Short(&'a [u8]),
    Long(SharedMessage),
}

impl Frame<'_> {
    pub(super) fn view(&self) -> MessageView<'_> {
        match self {
            Frame::Short(bytes) => MessageView::new(bytes),
            Frame::Long(message) => message.view(),
        }
    }
}

impl Frames {
    /// `limit`: the largest message in bytes. `descriptors`: how many file descriptors may come with one, and what
    /// closes those that nobody takes; none for a stream that carries none.
    pub(super) fn new(limit: usize, descriptors: Option<(usize, &Arc<Closer>)>) -> Frames {
        let with = match descriptors {
            None => With::Nothing,
            Some((0, closer)) => With::Unwanted(Arc::clone(closer)),
            Some((most, closer)) => With::Taken(Box::new(Arriving::new(most, Arc::clone(closer)))),
        };
        Frames { buffer: Vec::new(), start: 0, long: None, limit, with, over: false }
    }

    /// Reads once. Returns how many bytes: 0 at the end of the stream. `NOMEM` if there is no memory for
    /// what arrives: how much that is was the peer's choice, so it may not end the process.
    pub(super) fn read(&mut self, socket: &OwnedFd) -> rustix::io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        self.make_room()?;
        match &mut self.with {
            With::Unwanted(closer) => {
                let received = receive(socket.as_fd(), &mut self.buffer)?;
                received.descriptors.into_iter().for_each(|descriptor| closer.close(descriptor));
                Ok(received.bytes)
            }
            With::Taken(arriving) => arriving.read(socket, &mut self.buffer),
            With::Nothing => {
                let spare = spare_capacity(&mut self.buffer);
                let (_, count) = recv(socket, spare, RecvFlags::DONTWAIT)?;
                Ok(count)
            }
        }
    }

    fn arriving(&mut self) -> Option<&mut Arriving> {
        match &mut self.with {
            With::Taken(arriving) => Some(arriving),
            With::Nothing | With::Unwanted(_) => None,
        }
    }

    /// Makes room in the buffer for the next read.
    fn make_room(&mut self) -> rustix::io::Result<()> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = first_word(&self.buffer);
            self.buffer.resize(self.start, 0);
        }
        let spare = self.buffer.capacity() - self.buffer.len();
        let more = match self.long {
            // The buffer doubles as a long message arrives: announcing one takes no memory.
            Some(length) => {
                let there = self.buffer.len() - self.start;
                (length - there).min(there.max(BUFFER_SIZE))
            }
            None => BUFFER_SIZE / 4,
        };
        if spare < more {
            if let Some(length) = self.long
                && self.buffer.len() - self.start >= length / REUSE_FRACTION
                && let Some(kept) = take_bytes(length + WORD)
            {
                self.move_to(kept);
                return Ok(());
            }
            self.move_to_front();
            // One word more, so that the memory also fits a message of the same length that begins at
            // another alignment.
            let more = if self.long.is_some() { more + WORD } else { BUFFER_SIZE };
            self.buffer.try_reserve_exact(more).map_err(|_| Errno::NOMEM)?;
            self.align()?;
        }
        Ok(())
    }

    fn move_to_front(&mut self) {
        let first = first_word(&self.buffer);
        if self.start > first {
            self.buffer.drain(first..self.start);
            self.start = first;
        }
    }

    /// Aligns `start` again, if the allocator has moved the buffer to memory of another alignment. Few
    /// do.
    fn align(&mut self) -> rustix::io::Result<()> {
        if self.start % WORD != first_word(&self.buffer) {
            let mut moved = Vec::new();
            moved.try_reserve_exact(self.buffer.capacity() + WORD).map_err(|_| Errno::NOMEM)?;
            self.move_to(moved);
        }
        Ok(())
    }

    fn move_to(&mut self, mut moved: Vec<u8>) {
        let start = first_word(&moved);
        moved.resize(start, 0);
        moved.extend_from_slice(&self.buffer[self.start..]);
        (self.buffer, self.start) = (moved, start);
    }

    /// The file descriptors that may belong to the next message, and where that begins in the stream.
    pub(super) fn take_descriptors(&mut self) -> (u64, Vec<Descriptor>) {
        self.arriving().map_or((0, Vec::new()), |arriving| (arriving.place(), arriving.take()))
    }

    /// Puts back what the message that begins there did not take.
    #[inline(always)]
    pub(super) fn put_back(&mut self, place: u64, descriptors: Vec<Descriptor>) {
        if !descriptors.is_empty() {
            self.put_back_some(place, descriptors);
        }
    }

    #[cold]
    fn put_back_some(&mut self, place: u64, descriptors: Vec<Descriptor>) {
        if let Some(arriving) = self.arriving() {
            arriving.put_back(place, descriptors);
        }
    }

    /// Closes the descriptors that belong to no message: all that have arrived are taken.
    pub(super) fn settle_descriptors(&mut self) {
        if let Some(arriving) = self.arriving() {
            arriving.settle();
        }
    }

    /// The next message, if it has arrived completely.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        let (start, end) = (self.start, self.start + length);
        if self.buffer.len() < end {
            self.long = (length > BUFFER_SIZE).then_some(length);
            return Ok(None);
        }
        if let Some(arriving) = self.arriving() {
            arriving.passed(length);
        }
        if length <= BUFFER_SIZE {
            self.start = end;
            return Ok(Some(Frame::Short(&self.buffer[start..end])));
        }
        let no_memory = |_| Error::disconnected("no memory is left for what the other side sends");
        // What was read behind the message.
        let mut rest = Vec::new();
        rest.try_reserve_exact(self.buffer.len() - end).map_err(|_| no_memory(Errno::NOMEM))?;
        rest.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        (self.start, self.long) = (0, None);
        if first_word(&self.buffer) != 0 {
            self.align().map_err(no_memory)?;
        }
        Ok(Some(Frame::Long(SharedMessage::new(bytes, start, Some(give_bytes)))))
    }

    /// Whether a message has begun and has not arrived completely.
    pub(super) fn is_partial(&self) -> bool {
        self.start != self.buffer.len()
    }

    /// How much memory a long message holds that has not arrived completely: no more than it has need of,
    /// though memory that is used again may be larger.
    pub(super) fn partial_bytes(&self) -> usize {
        self.long.map_or(0, |length| self.buffer.capacity().min(length))
    }

    /// Gives the memory back: nothing more is read.
    pub(super) fn give_up(&mut self) {
        (self.buffer, self.start, self.long) = (Vec::new(), 0, None);
        (self.with, self.over) = (With::Nothing, true);
    }

    /// The length in bytes of the message that begins at `start`, once its table has arrived.
    fn next_length(&self) -> Result<Option<usize>> {
        let bytes = &self.buffer[self.start..];
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::{Frames, WORD};

    /// The memory that a long message was read into is large enough for another of the same length.
    #[test]
    fn memory_of_a_long_message_fits_another() {
        let mut message = capnp_engine::new_message(&capnp_engine::Heap, 16);
        message.set_root::<capnp::data::Owned>(&vec![7; 300_000][..]).unwrap();
        let message = capnp::serialize::write_message_to_words(&message);
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        // Alone, and behind an empty message, so that it begins elsewhere.
        for before in [0, WORD] {
            let sent = [vec![0; before], message.clone()].concat();
            let length = sent.len();
            std::thread::scope(|scope| {
                scope.spawn(|| theirs.write_all(&sent).unwrap());
                let mut frames = Frames::new(1 << 20, None);
                let mut there = 0;
                while there < length {
                    there += frames.read(&ours).unwrap_or(0);
                    while there < length && frames.next().unwrap().is_some() {}
                }
                assert!(frames.buffer.capacity() >= message.len() + WORD);
            });
        }
    }
}
