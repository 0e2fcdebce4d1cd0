//! A listening socket that somebody else has made, such as systemd.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType};

use super::listener::Listener;
use crate::{Error, Result};

impl Listener {
    /// Takes over a unix stream socket that listens already, such as one that systemd has passed
    /// ([`inherited_fd`](super::inherited_fd) takes those by their numbers). It will not be inherited by this
    /// process's children.
    ///
    /// Its file belongs to whom made it: it is not removed when this is dropped, and who can reach it is for them to
    /// say. Clients that connect before this is called, or after it is dropped while they have it open, wait in its
    /// queue.
    ///
    /// ```
    /// use std::os::unix::net::UnixListener;
    /// use multiprocess::process::{Listener, connect};
    ///
    /// # fn main() -> multiprocess::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a directory");
    /// # let path = dir.path().join("x.sock");
    /// let made = UnixListener::bind(&path).expect("a free path"); // as systemd does
    /// let client = connect(&path)?;
    /// let listener = Listener::from_socket(made)?;
    /// listener.accept()?;
    /// drop(listener);
    /// assert!(path.exists());
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`], with the descriptor's number, where it is not a unix stream socket that listens.
    pub fn from_socket(socket: impl Into<OwnedFd>) -> Result<Listener> {
        let socket = socket.into();
        let wrong = |problem: String| Error::Address {
            address: socket.as_raw_fd().to_string(),
            problem: format!(
                "descriptor {} {problem}: pass a unix stream socket that listens (of systemd: ListenStream= with a path)",
                socket.as_raw_fd()
            ),
        };
        let cannot = |error: rustix::io::Errno| wrong(format!("cannot be used: {error}"));
        let Ok(kind) = rustix::net::sockopt::socket_type(&socket) else {
            return Err(wrong("is not a socket".to_owned()));
        };
        let family = rustix::net::getsockname(&socket).map_err(cannot)?.address_family();
        if family != AddressFamily::UNIX {
            return Err(wrong("is not a unix socket".to_owned()));
        }
        if kind != SocketType::STREAM {
            return Err(wrong("is not a stream socket".to_owned()));
        }
        if !listens(&socket).map_err(cannot)? {
            return Err(wrong(
                "does not listen (with Accept=yes it would be a connection)".to_owned(),
            ));
        }
        rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC).map_err(cannot)?;
        let socket = UnixListener::from(socket);
        let address = socket.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname()).map(PathBuf::from);
        let path = path.unwrap_or_else(|| PathBuf::from("a socket without a path"));
        Ok(Listener::of_others(socket, path))
    }
}

#[cfg(not(target_vendor = "apple"))]
fn listens(socket: &OwnedFd) -> rustix::io::Result<bool> {
    rustix::net::sockopt::socket_acceptconn(socket)
}

/// The system does not tell it: accepting will fail.
#[cfg(target_vendor = "apple")]
fn listens(_socket: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use tempfile::TempDir;

    fn problem(socket: impl Into<OwnedFd>) -> String {
        let socket = socket.into();
        let number = socket.as_raw_fd().to_string();
        let error = Listener::from_socket(socket).unwrap_err();
        assert!(matches!(&error, Error::Address { address, .. } if *address == number));
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        let (problem, _) = text.split_once(": pass a unix stream socket").unwrap();
        problem.strip_prefix(&format!("descriptor {number} ")).unwrap().to_owned()
    }

    #[test]
    fn it_serves_who_waits_already_and_its_file_stays() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let made = UnixListener::bind(&path).unwrap();
        rustix::io::fcntl_setfd(&made, FdFlags::empty()).unwrap();
        let mut client = connect(&path).unwrap();
        client.write_all(b"x").unwrap();
        let listener = Listener::from_socket(made).unwrap();
        assert!(rustix::io::fcntl_getfd(&listener).unwrap().contains(FdFlags::CLOEXEC));
        assert_eq!(listener.path(), path);
        let mut byte = [0];
        listener.accept().unwrap().read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        listener.close().unwrap();
        assert!(path.exists());
        drop(Listener::from_socket(UnixListener::bind(dir.path().join("t")).unwrap()).unwrap());
        assert!(dir.path().join("t").exists());
    }

    #[test]
    fn what_does_not_listen_at_a_unix_socket_is_refused() {
        assert_eq!(problem(std::fs::File::open("/dev/null").unwrap()), "is not a socket");
        assert_eq!(problem(TcpListener::bind("127.0.0.1:0").unwrap()), "is not a unix socket");
        assert_eq!(problem(UnixDatagram::unbound().unwrap()), "is not a stream socket");
        let (connected, _other) = UnixStream::pair().unwrap();
        assert!(problem(connected).starts_with("does not listen"));
    }
}
