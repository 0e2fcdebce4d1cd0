//! File descriptors on their way in: which message those that came with a read can belong to.
//!
//! Cap'n Proto's senders attach the descriptors of a message to its first byte, and write nothing before it with
//! the same system call. The kernel gives them with a read that has this byte, and lets that read end with what
//! was written in that system call. So they belong to a message that begins in this read: to the first that names
//! one of its descriptors. Descriptors that belong to none are closed, with the last message that begins there.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use capnp_engine::Descriptor;

use crate::closer::Closer;
use crate::limits_met::Limit;
use crate::process::receive;

/// What Linux sends with one message at most (SCM_MAX_FD).
const MOST: usize = 253;
/// How many descriptors a connection may take in one message: so many, or none if its stream carries none.
pub(super) fn most(carries: bool, limit: usize) -> usize {
    if carries { limit.min(MOST) } else { 0 }
}

/// The descriptors that have arrived on one connection, and in which bytes.
pub(super) struct Arriving {
    /// How many one message may have.
    limit: usize,
    /// Closes those that nobody takes.
    closer: Arc<Closer>,
    /// How many bytes were read of the stream.
    read: u64,
    /// Where in the stream the next message begins.
    next: u64,
    /// Each with the read that they came with.
    lists: Vec<List>,
}

/// The descriptors of one read.
struct List {
    from: u64,
    to: u64,
    descriptors: Vec<Descriptor>,
}

impl List {
    fn has(&self, place: u64) -> bool {
        (self.from..self.to).contains(&place)
    }
}

impl Arriving {
    pub(super) fn new(limit: usize, closer: Arc<Closer>) -> Arriving {
        Arriving { limit, closer, read: 0, next: 0, lists: Vec::new() }
    }

    /// Reads once, to the end of `to`, and no more than it has room for. Returns how many bytes.
    pub(super) fn read(&mut self, socket: &OwnedFd, to: &mut Vec<u8>) -> rustix::io::Result<usize> {
        let received = receive(socket.as_fd(), to)?;
        let descriptors = received.descriptors.into_iter();
        let mut descriptors: Vec<_> = descriptors.map(|one| self.closer.owned(one)).collect();
        if received.lost {
            Limit::Descriptors.met(|| {
                "file descriptors of a peer's were lost: this process has none left (ulimit -n), or the system \
                 does not let it have them"
                    .to_owned()
            });
        }
        if descriptors.len() > self.limit {
            descriptors.truncate(self.limit);
            let limit = self.limit;
            Limit::Descriptors.met(|| {
                format!(
                    "file descriptors of a peer's were closed: more than {limit} came in one message \
                     (Limits::descriptors)"
                )
            });
        }
        let from = self.read;
        self.read += received.bytes as u64;
        if !descriptors.is_empty() {
            self.lists.push(List { from, to: self.read, descriptors });
        }
        Ok(received.bytes)
    }

    /// The descriptors that may belong to the message that begins next.
    pub(super) fn take(&mut self) -> Vec<Descriptor> {
        let next = self.next;
        let list = self.lists.iter_mut().find(|list| list.has(next));
        list.map(|list| std::mem::take(&mut list.descriptors)).unwrap_or_default()
    }

    /// Puts back what the message at `place` did not take, for the next one.
    pub(super) fn put_back(&mut self, place: u64, descriptors: Vec<Descriptor>) {
        if let Some(list) = self.lists.iter_mut().find(|list| list.has(place)) {
            list.descriptors = descriptors;
        }
    }

    /// Where in the stream the next message begins.
    pub(super) fn place(&self) -> u64 {
        self.next
    }

    /// A message of this length was taken.
    pub(super) fn passed(&mut self, length: usize) {
        self.next += length as u64;
    }

    /// Closes what belongs to no message: all that was read is taken, but for the beginning of one.
    pub(super) fn settle(&mut self) {
        let next = self.next;
        self.lists.retain(|list| list.has(next) && !list.descriptors.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use rustix::cmsg_space;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    #[test]
    fn what_arrives_is_for_its_own_bytes_only() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        let (mut arriving, mut bytes) = (Arriving::new(2, Closer::new()), Vec::with_capacity(100));
        theirs.write_all(&[0; 10]).unwrap();
        assert_eq!(arriving.read(&ours, &mut bytes), Ok(10));
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sent = [theirs.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&sent)));
        sendmsg(&theirs, &[IoSlice::new(&[0; 5])], &mut control, SendFlags::empty()).unwrap();
        assert_eq!(arriving.read(&ours, &mut bytes), Ok(5));
        assert!(arriving.take().is_empty(), "the first message begins before");
        arriving.passed(10);
        let mut list = arriving.take();
        assert_eq!(list.len(), 1);
        let place = arriving.place();
        arriving.passed(2);
        arriving.put_back(place, std::mem::take(&mut list));
        arriving.settle();
        list = arriving.take();
        assert_eq!(list.len(), 1, "one that begins in its bytes may have them as well");
        arriving.put_back(arriving.place(), list);
        arriving.passed(3);
        arriving.settle();
        assert!(arriving.lists.is_empty() && arriving.take().is_empty());
    }
}
