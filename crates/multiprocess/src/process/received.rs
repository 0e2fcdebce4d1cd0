//! Reads a socket with the file descriptors that come with the bytes (SCM_RIGHTS), and has the kernel refuse them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, getsockname};

/// Room for as many descriptors as any system sends with one message (253 on Linux, some 510 elsewhere): those that
/// have no room are closed by the kernel, on the thread that reads.
const ROOM: usize = 2176 / size_of::<u64>();

/// What one read brought.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Programs that other threads start do not inherit them.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// There were more, which are gone: this process has no descriptor left, or the system does not let it have them.
    pub(crate) lost: bool,
}

/// Whether file descriptors can come over this socket.
pub(crate) fn carries_descriptors(socket: impl AsFd) -> bool {
    let family = getsockname(socket).map(|address| address.address_family());
    family == Ok(AddressFamily::UNIX)
}

/// Has the kernel refuse file descriptors for this socket, and for those that are accepted from it: who sends some
/// gets an error. From Linux 6.16 on; elsewhere this does nothing.
#[cfg(target_os = "linux")]
pub(crate) fn refuse_descriptors(socket: BorrowedFd<'_>) {
    /// Of `asm-generic/socket.h`. libc does not have it.
    const SO_PASSRIGHTS: libc::c_int =
        if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) { 0x5c } else { 83 };
    let off: libc::c_int = 0;
    // SAFETY: the kernel reads one int.
    let _ = unsafe {
        let (fd, value) = (socket.as_raw_fd(), (&raw const off).cast());
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(fd, libc::SOL_SOCKET, SO_PASSRIGHTS, value, size)
    };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_descriptors(_: BorrowedFd<'_>) {}

/// Reads once, without waiting, to the end of `to` and no more than it has room for. Through libc, as rustix reads
/// descriptors only together with memory that was zeroed before.
pub(crate) fn receive(socket: BorrowedFd<'_>, to: &mut Vec<u8>) -> rustix::io::Result<Received> {
    #[cfg(not(target_vendor = "apple"))]
    const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    #[cfg(target_vendor = "apple")]
    const FLAGS: libc::c_int = libc::MSG_DONTWAIT;
    let mut control = MaybeUninit::<[u64; ROOM]>::uninit();
    let spare = to.spare_capacity_mut();
    let mut slice = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len() };
    // SAFETY: a msghdr is numbers and pointers, for which zero is good.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut slice, 1);
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header names memory that is there until this returns, of the lengths that it says: the spare
    // capacity, and `control`, which is aligned as a cmsghdr has to be.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, FLAGS) };
    let Ok(bytes) = usize::try_from(count) else {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    // SAFETY: the kernel has written so many bytes there, and never more than there is room for.
    unsafe { to.set_len(to.len() + bytes) };
    let lost = header.msg_flags & libc::MSG_CTRUNC != 0;
    if header.msg_controllen == 0 {
        return Ok(Received { bytes, descriptors: Vec::new(), lost });
    }
    Ok(Received { bytes, descriptors: descriptors_of(&header), lost })
}

/// The descriptors in the control data of a message that has just been received.
#[cold]
fn descriptors_of(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled the control data, and says how long it is. These follow its headers, of which
    // each says how long its own data is. A descriptor there is this process's, and nobody else knows its number.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let here = &*message;
            if (here.cmsg_level, here.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let length = here.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let numbers = libc::CMSG_DATA(message).cast::<RawFd>();
                for at in 0..length / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(numbers.add(at).read_unaligned()));
                }
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    // Apple's systems have no flag for it, so that there a program which starts at this moment inherits them.
    #[cfg(target_vendor = "apple")]
    descriptors.iter().for_each(|descriptor| {
        // Fails for what is no descriptor only.
        let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
    });
    descriptors
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::os::unix::net::UnixStream;

    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn send(socket: &UnixStream, bytes: &[u8], count: usize) -> rustix::io::Result<usize> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(count))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sent = vec![socket.as_fd(); count];
        assert!(control.push(SendAncillaryMessage::ScmRights(&sent)));
        sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
    }

    /// As many as can be sent, and the bytes behind what is there already.
    #[test]
    fn all_that_come_are_taken_and_not_inherited() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let mut bytes = Vec::with_capacity(8);
        bytes.extend([1, 2]);
        theirs.write_all(&[3]).unwrap();
        let received = receive(ours.as_fd(), &mut bytes).unwrap();
        assert_eq!((received.bytes, received.descriptors.len(), received.lost), (1, 0, false));
        for count in [1, 2, 3, 253] {
            bytes.truncate(3);
            assert_eq!(send(&theirs, &[4, 5, 6, 7, 8, 9], count), Ok(6));
            let received = receive(ours.as_fd(), &mut bytes).unwrap();
            assert_eq!((received.bytes, received.lost), (5, false));
            assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(received.descriptors.len(), count);
            for descriptor in &received.descriptors {
                assert!(fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
            }
            bytes.truncate(3);
            // The rest comes without them.
            let received = receive(ours.as_fd(), &mut bytes).unwrap();
            assert_eq!((received.bytes, received.descriptors.len()), (1, 0));
        }
        assert_eq!(receive(ours.as_fd(), &mut bytes).unwrap_err(), Errno::AGAIN);
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), &mut bytes).unwrap().bytes, 0);
    }

    /// On a kernel that can.
    #[cfg(target_os = "linux")]
    #[test]
    fn refused_descriptors_are_an_error_of_who_sends_them() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        assert!(carries_descriptors(&ours));
        refuse_descriptors(ours.as_fd());
        theirs.write_all(b"x").unwrap();
        match send(&theirs, b"y", 1) {
            Err(error) => assert_eq!(error, Errno::PERM),
            Ok(sent) => assert_eq!(sent, 1, "an older kernel takes them"),
        }
    }
}
