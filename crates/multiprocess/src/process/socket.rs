//! Reaching a unix socket at a path, and knowing who is at its other end.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::{Error, Result};

/// The longest path of a socket on this platform, in bytes: 107 on Linux, 103 on macOS.
pub const MAX_SOCKET_PATH: usize =
    size_of::<libc::sockaddr_un>() - std::mem::offset_of!(libc::sockaddr_un, sun_path) - 1;

/// Why there is no connection to the socket at `path`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectError {
    /// The path as it was given.
    pub path: PathBuf,
    /// What is wrong with it.
    pub failure: ConnectFailure,
}

/// The ways in which [`connect_raw`] fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// There is nothing at the path.
    Missing,
    /// There is a socket, and no process listens at it any more.
    Refused,
    /// Something on the way to the path is not a directory.
    NotADirectory,
    /// The path is longer than [`MAX_SOCKET_PATH`].
    TooLong,
    /// There is something else than a socket.
    NotASocket,
    /// The server's queue of connections was full until the time was over.
    NotAccepting,
    /// Anything else: no permission, no descriptor left.
    Other(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.failure {
            ConnectFailure::Missing => write!(f, "no socket at {path}: is the server running?"),
            ConnectFailure::Refused => write!(
                f,
                "nobody listens at {path} any more (a stale socket): is the server running?"
            ),
            ConnectFailure::NotADirectory => {
                write!(f, "no socket at {path}: a part of this path is not a directory")
            }
            ConnectFailure::TooLong => f.write_str(&too_long(&self.path)),
            ConnectFailure::NotASocket => {
                write!(f, "{path} is not a socket: give the path that the server listens at")
            }
            ConnectFailure::NotAccepting => write!(
                f,
                "the server at {path} does not accept connections, and others wait already: it is \
                 stuck or overloaded; try again later, or restart it"
            ),
            ConnectFailure::Other(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "not allowed to connect to {path}: run as the user that the server runs as \
                     ({error})"
                )
            }
            ConnectFailure::Other(error) => write!(f, "cannot connect to {path}: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.failure {
            ConnectFailure::Other(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Error {
        address_error(&error.path, error.to_string())
    }
}

/// Connects to the unix stream socket at `path`. Blocks while the server lets others wait before
/// this one, with a server that is stuck for ever: [`connect_timeout`] does not.
///
/// # Errors
///
/// [`Error::Address`] with a line that says what is wrong at `path` and what to do. Where the
/// program must tell the reasons apart, [`connect_raw`] gives them as a type.
pub fn connect(path: impl AsRef<Path>) -> Result<UnixStream> {
    Ok(connect_raw(path)?)
}

/// As [`connect`], with the reason of a failure as a type.
///
/// # Errors
///
/// See [`ConnectFailure`].
pub fn connect_raw(path: impl AsRef<Path>) -> Result<UnixStream, ConnectError> {
    let path = path.as_ref();
    connect_with(path, Wait::Forever).map_err(|failure| failure.at(path))
}

/// As [`connect`], but blocks no longer than `timeout`. Zero tries once without blocking.
///
/// That the server has a place in its queue for this connection does not mean that it takes it from
/// there: so the first answer needs a time limit of its own.
///
/// # Errors
///
/// As [`connect`]; where the time is over the text says that the server does not accept connections.
///
/// ```
/// use std::time::Duration;
/// use multiprocess::process::connect_timeout;
///
/// let error = connect_timeout("/nowhere/s", Duration::from_secs(5)).unwrap_err();
/// assert_eq!(error.to_string(), "no socket at /nowhere/s: is the server running?");
/// ```
pub fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> Result<UnixStream> {
    Ok(connect_raw_timeout(path, timeout)?)
}

/// As [`connect_timeout`], with the reason of a failure as a type.
///
/// # Errors
///
/// See [`ConnectFailure`]: [`ConnectFailure::NotAccepting`] where the time is over.
pub fn connect_raw_timeout(
    path: impl AsRef<Path>,
    timeout: Duration,
) -> Result<UnixStream, ConnectError> {
    let path = path.as_ref();
    // A time that is too far away for the clock means forever.
    let wait = Instant::now().checked_add(timeout).map_or(Wait::Forever, Wait::Until);
    connect_with(path, wait).map_err(|failure| match failure {
        ConnectFailure::Other(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ConnectFailure::NotAccepting.at(path)
        }
        failure => failure.at(path),
    })
}

impl ConnectFailure {
    fn at(self, path: &Path) -> ConnectError {
        ConnectError { path: path.to_owned(), failure: self }
    }
}

/// How long a connect waits while the server's queue is full, before it fails with `EAGAIN`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Forever,
    Until(Instant),
    No,
}

impl Wait {
    /// Prepares the socket for one attempt. A bounded one blocks in the kernel, which wakes it when there
    /// is room and otherwise fails it with `EAGAIN`. Linux alone makes anyone wait: elsewhere a server
    /// whose queue is full refuses.
    fn prepare(self, socket: &OwnedFd) -> rustix::io::Result<()> {
        match self {
            Wait::Forever => Ok(()),
            Wait::No => rustix::io::ioctl_fionbio(socket, true),
            Wait::Until(end) => match end.saturating_duration_since(Instant::now()) {
                // As a timeout of a socket, zero would mean forever.
                Duration::ZERO => rustix::io::ioctl_fionbio(socket, true),
                left => set_socket_timeout(socket, Timeout::Send, Some(left)),
            },
        }
    }

    /// Makes the connected socket as everybody expects one.
    fn finish(self, socket: &OwnedFd) -> rustix::io::Result<()> {
        if let Wait::Until(_) = self {
            set_socket_timeout(socket, Timeout::Send, None)?;
        }
        rustix::io::ioctl_fionbio(socket, false)
    }
}

pub(super) fn connect_with(path: &Path, wait: Wait) -> Result<UnixStream, ConnectFailure> {
    let other = |error: Errno| ConnectFailure::Other(error.into());
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(ConnectFailure::TooLong);
    }
    if path.as_os_str().is_empty() {
        // To the kernel that is a socket without a name.
        return Err(ConnectFailure::Missing);
    }
    let address = SocketAddrUnix::new(path).map_err(other)?;
    let socket = stream_socket().map_err(other)?;
    loop {
        wait.prepare(&socket).map_err(other)?;
        return match rustix::net::connect(&socket, &address) {
            // Connected before the signal came, on systems where that can be.
            Ok(()) | Err(Errno::ISCONN) => {
                wait.finish(&socket).map_err(other)?;
                Ok(UnixStream::from(socket))
            }
            Err(Errno::INTR) => continue,
            Err(Errno::NOENT) => Err(ConnectFailure::Missing),
            Err(Errno::NOTDIR) => Err(ConnectFailure::NotADirectory),
            Err(Errno::NAMETOOLONG) => Err(ConnectFailure::TooLong),
            Err(Errno::NOTSOCK) => Err(ConnectFailure::NotASocket),
            // Linux says this also of what is no socket at all.
            Err(Errno::CONNREFUSED) => match std::fs::metadata(path) {
                Ok(found) if !found.file_type().is_socket() => Err(ConnectFailure::NotASocket),
                _ => Err(ConnectFailure::Refused),
            },
            Err(error) => Err(other(error)),
        };
    }
}

/// A new unix stream socket that exec closes.
pub(super) fn stream_socket() -> rustix::io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
    }
    #[cfg(target_vendor = "apple")]
    {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        Ok(socket)
    }
}

pub(super) fn too_long(path: &Path) -> String {
    format!(
        "the path {} is {} bytes long, and that of a socket can have {MAX_SOCKET_PATH} at most: \
         choose a shorter one",
        path.display(),
        path.as_os_str().as_bytes().len()
    )
}

pub(super) fn address_error(path: &Path, problem: impl Into<String>) -> Error {
    Error::Address { address: path.display().to_string(), problem: problem.into() }
}

/// Who is at the other end of a unix socket, as the kernel noted it when they connected, listened
/// or made the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process. Unknown on some platforms, and where it is not visible from here because it
    /// is in another pid namespace. It may have ended since, and its number be another's.
    pub pid: Option<u32>,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

impl PeerCredentials {
    /// Whether it is the user of this process, or root, who may do anything.
    pub fn is_same_user(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }
}

/// Tells who is at the other end of `socket`.
///
/// # Errors
///
/// [`Error::Io`] where the system cannot tell.
pub fn peer_credentials(socket: impl AsFd) -> Result<PeerCredentials> {
    credentials_of(socket.as_fd()).map_err(|error| Error::io("ask who is at the other end", error))
}

/// Through libc, as rustix's type cannot hold the pid 0 that stands for an invisible process.
#[cfg(target_os = "linux")]
fn credentials_of(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: SO_PEERCRED writes at most `size` bytes, a whole ucred, to `found`.
    let done = unsafe {
        let value = (&raw mut found).cast();
        let fd = socket.as_raw_fd();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, value, &mut size)
    };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    let pid = u32::try_from(found.pid).ok().filter(|&pid| pid != 0);
    Ok(PeerCredentials { pid, uid: found.uid, gid: found.gid })
}

#[cfg(not(target_os = "linux"))]
fn credentials_of(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: getpeereid writes one uid and one gid.
    if unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(PeerCredentials { pid: None, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use tempfile::TempDir;

    fn failure(path: &Path) -> ConnectFailure {
        let error = connect_raw(path).unwrap_err();
        assert_eq!(error.path, path);
        error.failure
    }

    fn text(path: &Path) -> String {
        let error = connect(path).unwrap_err();
        assert!(matches!(error, Error::Address { .. }));
        error.to_string()
    }

    #[test]
    fn failures_are_told_apart() {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(matches!(failure(&at("none")), ConnectFailure::Missing));
        assert!(matches!(failure(Path::new("")), ConnectFailure::Missing));
        assert!(matches!(failure(dir.path()), ConnectFailure::NotASocket));

        std::fs::write(at("file"), "").unwrap();
        assert!(matches!(failure(&at("file")), ConnectFailure::NotASocket));
        assert!(matches!(failure(&at("file/x")), ConnectFailure::NotADirectory));

        drop(UnixListener::bind(at("stale")).unwrap());
        assert!(matches!(failure(&at("stale")), ConnectFailure::Refused));
        assert!(matches!(failure(&at(&"x".repeat(200))), ConnectFailure::TooLong));
        assert!(matches!(failure(Path::new("a\0b")), ConnectFailure::Other(_)));
    }

    #[test]
    fn failures_say_what_to_do() {
        let dir = TempDir::new().unwrap();
        let none = dir.path().join("none");
        let expected = format!("no socket at {}: is the server running?", none.display());
        assert_eq!(text(&none), expected);
        let long = PathBuf::from(format!("/{}", "x".repeat(MAX_SOCKET_PATH)));
        let expected = format!(
            "the path {} is {} bytes long, and that of a socket can have {MAX_SOCKET_PATH} at \
             most: choose a shorter one",
            long.display(),
            MAX_SOCKET_PATH + 1
        );
        assert_eq!(text(&long), expected);
    }

    #[test]
    fn both_ends_know_the_other() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let client = connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let me = PeerCredentials {
            pid: cfg!(target_os = "linux").then(std::process::id),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        assert_eq!(peer_credentials(&client).unwrap(), me);
        assert_eq!(peer_credentials(&server).unwrap(), me);
        let flags = rustix::io::fcntl_getfd(&client).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    /// A server that listens and never accepts, with its queue full, and the connections that fill it.
    #[cfg(target_os = "linux")]
    fn stuck_server(path: &Path) -> (UnixListener, Vec<UnixStream>) {
        let server = stream_socket().unwrap();
        rustix::net::bind(&server, &SocketAddrUnix::new(path).unwrap()).unwrap();
        rustix::net::listen(&server, 0).unwrap();
        let mut queue = Vec::new();
        let last = loop {
            match connect_with(path, Wait::No) {
                Ok(waiting) => queue.push(waiting),
                Err(failure) => break failure,
            }
        };
        assert!(
            matches!(last, ConnectFailure::Other(error) if error.kind() == io::ErrorKind::WouldBlock)
        );
        (server.into(), queue)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connect_gives_up_a_server_that_does_not_accept() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let (_server, _queue) = stuck_server(&path);
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let (begin, place) = (Instant::now(), path.clone());
            // On another thread, so that one that waits for ever is told.
            let (tell, told) = std::sync::mpsc::channel();
            std::thread::spawn(move || tell.send(connect_raw_timeout(&place, timeout)));
            let error = told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
            assert!(begin.elapsed() >= timeout);
            assert!(matches!(error.failure, ConnectFailure::NotAccepting), "{error:?}");
            let text = connect_timeout(&path, timeout).unwrap_err().to_string();
            let expected = format!("the server at {} does not accept connections", path.display());
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connect_waits_for_room_in_the_queue() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let (server, queue) = stuck_server(&path);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| connect_timeout(&path, Duration::from_secs(20)).unwrap());
            // It cannot be known when it waits. If it does not yet, it finds room at once.
            let accepted: Vec<_> = queue.iter().map(|_| server.accept().unwrap()).collect();
            let client = waits.join().unwrap();
            // An ordinary socket: it blocks, for ever.
            let flags = rustix::fs::fcntl_getfl(&client).unwrap();
            assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
            assert_eq!(client.write_timeout().unwrap(), None);
            drop(accepted);
        });
        drop(server.accept().unwrap());
        drop(connect_timeout(&path, Duration::MAX).unwrap());
        drop(connect_timeout(&path, Duration::ZERO).unwrap_err());
    }

    #[test]
    fn other_users_but_root_are_refused() {
        let (here, _there) = UnixStream::pair().unwrap();
        let mut peer = peer_credentials(&here).unwrap();
        assert!(peer.is_same_user());
        let own = peer.uid;
        peer.uid = own + 1;
        assert!(!peer.is_same_user());
        peer.uid = 0;
        assert!(peer.is_same_user());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn longest_path_is_what_the_kernel_takes() {
        assert_eq!(MAX_SOCKET_PATH, 107);
    }
}
