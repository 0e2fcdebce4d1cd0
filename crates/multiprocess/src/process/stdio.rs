//! What a child has as standard input, output and error, and the further descriptors that it gets.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

/// The first descriptor that is not standard input, output or error.
const FIRST: RawFd = 3;

/// What a child has in place of one of the descriptors 0, 1 and 2: see [`Command::stdin`](super::Command::stdin).
///
/// It is made of anything that owns a descriptor, such as a file or one end of a pipe. The command keeps that open: the
/// reader of a pipe whose writer is here sees its end when child and command are gone.
///
/// ```
/// use std::io::Read;
/// use multiprocess::process::{Command, Stdio};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut output, theirs) = std::io::pipe()?;
/// let command = Command::new("/bin/pwd").current_dir("/").stdin(Stdio::null()).stdout(theirs);
/// let (child, _socket) = command.spawn()?;
/// drop(command);
/// let mut text = String::new();
/// output.read_to_string(&mut text)?;
/// assert_eq!(text, "/\n");
/// assert!(child.wait()?.success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stdio(Kind);

#[derive(Clone)]
enum Kind {
    Inherit,
    Null,
    Descriptor(Arc<OwnedFd>),
}

impl Stdio {
    /// The same as this process has: what a child has unless told otherwise.
    pub const fn inherit() -> Stdio {
        Stdio(Kind::Inherit)
    }

    /// `/dev/null`: nothing to read, and what is written is lost.
    pub const fn null() -> Stdio {
        Stdio(Kind::Null)
    }

    /// A descriptor for a child that is started now, if it is not to have this process's. Its number is not
    /// one of 0, 1 and 2, and exec closes it.
    pub(super) fn open(&self) -> io::Result<Option<OwnedFd>> {
        match &self.0 {
            Kind::Inherit => Ok(None),
            Kind::Null => {
                let flags = OFlags::RDWR | OFlags::CLOEXEC;
                above_standard(&rustix::fs::open(c"/dev/null", flags, Mode::empty())?).map(Some)
            }
            Kind::Descriptor(descriptor) => above_standard(descriptor).map(Some),
        }
    }
}

impl<D: Into<OwnedFd>> From<D> for Stdio {
    fn from(descriptor: D) -> Stdio {
        Stdio(Kind::Descriptor(Arc::new(descriptor.into())))
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Inherit => f.write_str("inherit"),
            Kind::Null => f.write_str("null"),
            Kind::Descriptor(descriptor) => write!(f, "descriptor {}", descriptor.as_raw_fd()),
        }
    }
}

/// A copy for a child, whose number cannot be taken for a standard descriptor, and which exec closes.
pub(super) fn above_standard(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, FIRST)?)
}
