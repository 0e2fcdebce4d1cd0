//! File descriptors on their way in: which message those that came with a read can belong to.
//!
//! Cap'n Proto's senders attach the descriptors of a message to its first byte, and write nothing before it with
//! the same system call. The kernel gives them with a read that has this byte, and lets that read end with what
//! was written in that system call. So they belong to a message that begins in this read: to the first that names
//! one of its descriptors. Descriptors that belong to none are closed, with the last message that begins there.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, getsockname,
    recvmsg,
};

use crate::limits_met::Limit;

/// What Linux sends with one message at most (SCM_MAX_FD).
const MOST: usize = 253;
/// How much is read at once. It is zeroed once, because the system call that gets descriptors is wrapped for
/// initialized memory only.
const READ_SIZE: usize = 64 << 10;

/// How many descriptors a connection may take in one message: so many, or none if its stream carries none.
pub(super) fn most(socket: &OwnedFd, limit: usize) -> usize {
    if limit == 0 {
        return 0;
    }
    let family = getsockname(socket).map(|address| address.address_family());
    if family == Ok(AddressFamily::UNIX) { limit.min(MOST) } else { 0 }
}

/// The descriptors that have arrived on one connection, and in which bytes.
pub(super) struct Arriving {
    /// How many one message may have.
    limit: usize,
    buffer: Vec<u8>,
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
    descriptors: Vec<OwnedFd>,
}

impl List {
    fn has(&self, place: u64) -> bool {
        (self.from..self.to).contains(&place)
    }
}

impl Arriving {
    pub(super) fn new(limit: usize) -> Arriving {
        Arriving { limit, buffer: vec![0; READ_SIZE], read: 0, next: 0, lists: Vec::new() }
    }

    /// Reads once, to the end of `to`, and no more than it has room for. Returns how many bytes.
    pub(super) fn read(&mut self, socket: &OwnedFd, to: &mut Vec<u8>) -> rustix::io::Result<usize> {
        let room = (to.capacity() - to.len()).min(READ_SIZE);
        let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(self.limit))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // Not inherited by programs that other threads start.
        #[cfg(not(target_vendor = "apple"))]
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let flags = RecvFlags::DONTWAIT;
        let slices = &mut [IoSliceMut::new(&mut self.buffer[..room])];
        let received = recvmsg(socket, slices, &mut control, flags)?;
        to.extend_from_slice(&self.buffer[..received.bytes]);
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        // Apple's systems have no such flag, so that there a program which starts at this moment inherits them.
        #[cfg(target_vendor = "apple")]
        for descriptor in &descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        // The kernel has closed those that had no room; the room is that of a few more where the limit is odd.
        if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > self.limit {
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
    pub(super) fn take(&mut self) -> Vec<OwnedFd> {
        let next = self.next;
        let list = self.lists.iter_mut().find(|list| list.has(next));
        list.map(|list| std::mem::take(&mut list.descriptors)).unwrap_or_default()
    }

    /// Puts back what the message at `place` did not take, for the next one.
    pub(super) fn put_back(&mut self, place: u64, descriptors: Vec<OwnedFd>) {
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
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    /// Between their arrival and the call that takes them another thread may start a program.
    #[test]
    fn what_arrives_is_not_inherited_and_is_for_its_own_bytes_only() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let ours = OwnedFd::from(ours);
        let (mut arriving, mut bytes) = (Arriving::new(2), Vec::with_capacity(100));
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
        assert!(fcntl_getfd(&list[0]).unwrap().contains(FdFlags::CLOEXEC));
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
