//! A listening socket at a path: only this user can reach it, it never replaces another process's socket,
//! and its file is removed when it is dropped.
//!
//! The socket is made under a private name in the same directory, listens there, and is then
//! renamed to its path in a way that never replaces a file (see `place`). So whoever finds a
//! socket at the path finds one that listens with mode 0600, or a stale one.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use super::place::{Identity, Place};
use super::socket::{MAX_SOCKET_PATH, address_error, stream_socket, too_long};
use crate::{Error, Result};

/// Connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// How many private names are tried.
const ATTEMPTS: u32 = 16;

/// A unix stream socket that listens at a path. Its file is removed when this is dropped, if it
/// is still this socket's own and was made by [`bind`](Listener::bind).
///
/// ```
/// use std::time::Duration;
/// use multiprocess::process::{Listener, connect_timeout, peer_credentials};
///
/// # fn main() -> multiprocess::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # let path = dir.path().join("x.sock");
/// let listener = Listener::bind(&path)?;
/// let client = connect_timeout(&path, Duration::from_secs(10))?;
/// let accepted = listener.accept()?;
/// // Both ends are this process.
/// assert_eq!(peer_credentials(&accepted)?, peer_credentials(&client)?);
/// // A live socket is not replaced; its file goes with the listener.
/// assert!(Listener::bind(&path).is_err());
/// drop(listener);
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropped, it stops listening"]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The socket's file; none once it is removed, or if others have made it.
    own: Option<(Place, Identity)>,
    /// The process that listens.
    made_by: u32,
}

impl Listener {
    /// Listens at `path`, with a new socket of mode 0600 whatever the umask is. A socket there at
    /// which nobody listens any more is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] where `path` is longer than [`MAX_SOCKET_PATH`], its directory does not
    /// exist, is another user's, lets its group or everybody write (unless it is sticky), or there is anything but a stale socket at
    /// it; a process that listens there is named where the system tells it. [`Error::Io`] where
    /// there is no descriptor left.
    pub fn bind(path: &Path) -> Result<Listener> {
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(address_error(path, too_long(path)));
        }
        let place = Place::open(path)?;
        place.check_owner(path)?;
        let (socket, private) = listen_privately(&place, path)?;
        let own = match place.take(path, &private) {
            Ok(own) => own,
            Err(error) => {
                place.remove(&private);
                return Err(error);
            }
        };
        Ok(Listener {
            socket: socket.into(),
            path: path.to_owned(),
            own: Some((place, own)),
            made_by: std::process::id(),
        })
    }

    /// With a socket that others have made, whose file is theirs.
    pub(super) fn of_others(socket: UnixListener, path: PathBuf) -> Listener {
        Listener { socket, path, own: None, made_by: std::process::id() }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], with the system's error as its source: `WouldBlock` where the listener does
    /// not block, or no descriptor left (`EMFILE`), which passes.
    pub fn accept(&self) -> Result<UnixStream> {
        // std makes it close-on-exec, and goes on after a signal.
        let accepted = self.socket.accept();
        let (stream, _) = accepted.map_err(|error| Error::io("accept a connection", error))?;
        Ok(stream)
    }

    /// Whether [`accept`](Listener::accept) returns at once where there is no connection.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the system refuses.
    pub fn set_nonblocking(&self, on: bool) -> Result<()> {
        let set = self.socket.set_nonblocking(on);
        set.map_err(|error| Error::io("make a listener non-blocking", error))
    }

    /// The path as it was given, or of the [socket](Listener::from_socket).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket's file and stops listening. Dropping does the same, without telling of
    /// errors.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file is there and cannot be removed.
    pub fn close(mut self) -> Result<()> {
        self.remove_own()
    }

    fn remove_own(&mut self) -> Result<()> {
        let Some((place, own)) = self.own.take() else { return Ok(()) };
        place.remove_if(own).map_err(|error| {
            Error::io(format!("remove the socket {}", self.path.display()), error.into())
        })
    }
}

impl Drop for Listener {
    /// Runs while the socket still listens, so that nobody takes the path as stale meanwhile.
    fn drop(&mut self) {
        if self.made_by != std::process::id() {
            // In a fork of the process: the path is the parent's.
            return;
        }
        if let Err(error) = self.remove_own() {
            tracing::warn!(%error, "socket left behind");
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket with mode 0600 that listens under a private name.
fn listen_privately(place: &Place, path: &Path) -> Result<(OwnedFd, OsString)> {
    let io = |doing: &str, error: Errno| Error::io(doing, error.into());
    let mode = Mode::RUSR | Mode::WUSR;
    let socket = stream_socket().map_err(|error| io("make a socket", error))?;
    // On Linux the file starts with this mode. Elsewhere it fails, and does not matter.
    let _ = rustix::fs::fchmod(&socket, mode);
    for _ in 0..ATTEMPTS {
        let name = place.private_name();
        let bound = SocketAddrUnix::new(place.address(&name))
            .and_then(|address| rustix::net::bind(&socket, &address));
        match bound {
            Ok(()) => {}
            // Left behind by an earlier process that had the same pid.
            Err(Errno::ADDRINUSE) => continue,
            Err(error) => {
                let dir = place.dir_path().display();
                let problem = format!("cannot make a socket in {dir}: {error}");
                return Err(address_error(path, problem));
            }
        }
        // Nobody can connect before listen: so the mode is right before it matters.
        let ready =
            place.set_mode(&name, mode).and_then(|()| rustix::net::listen(&socket, BACKLOG));
        if let Err(error) = ready {
            place.remove(&name);
            return Err(io("listen at a socket", error));
        }
        return Ok((socket, name));
    }
    Err(address_error(path, format!("no free name in {}", place.dir_path().display())))
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::super::testing::only_test;
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
    use tempfile::TempDir;

    fn refusal(path: &Path) -> String {
        match Listener::bind(path) {
            Err(Error::Address { address, problem }) => {
                assert_eq!(address, path.display().to_string());
                assert_eq!(problem.lines().count(), 1, "{problem}");
                problem
            }
            other => panic!("{other:?}"),
        }
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let list = std::fs::read_dir(dir.path()).unwrap();
        list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn talk(listener: &Listener) {
        let mut client = connect(listener.path()).unwrap();
        let mut server = listener.accept().unwrap();
        client.write_all(b"x").unwrap();
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        let flags = rustix::io::fcntl_getfd(&server).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn socket_is_there_while_it_listens() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(names(&dir), ["s"]);
        talk(&listener);
        listener.set_nonblocking(true).unwrap();
        let Err(Error::Io { source, .. }) = listener.accept() else { panic!() };
        assert_eq!(source.kind(), std::io::ErrorKind::WouldBlock);
        listener.close().unwrap();
        assert_eq!(names(&dir), [""; 0]);
        drop(Listener::bind(&path).unwrap());
        assert_eq!(names(&dir), [""; 0]);
    }

    #[test]
    fn stale_socket_is_replaced() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(names(&dir), ["s"]);
        talk(&listener);
    }

    #[test]
    fn live_socket_is_refused_and_left_alone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let listener = Listener::bind(&path).unwrap();
        let expected = format!("listens at {} already", path.display());
        let problem = refusal(&path);
        assert!(problem.contains(&expected), "{problem}");
        if cfg!(target_os = "linux") {
            let expected = format!("process {} ", std::process::id());
            assert!(problem.starts_with(&expected), "{problem}");
        }
        assert_eq!(names(&dir), ["s"]);
        drop(listener.accept().unwrap());
        talk(&listener);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn live_socket_with_a_full_queue_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let busy = stream_socket().unwrap();
        rustix::net::bind(&busy, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&busy, 0).unwrap();
        let _first = connect(&path).unwrap();
        assert!(refusal(&path).contains("another process uses"), "{}", refusal(&path));
        assert!(path.exists());
    }

    #[test]
    fn what_is_no_socket_is_refused_and_left_alone() {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        drop(UnixListener::bind(at("stale")).unwrap());
        symlink(at("stale"), at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        assert!(refusal(&at("file")).contains("is a regular file, not a socket"));
        assert!(refusal(&at("dir")).contains("is a directory, not a socket"));
        assert!(refusal(&at("link")).contains("is a symbolic link, not a socket"));
        assert!(refusal(&at("dangling")).contains("is a symbolic link, not a socket"));
        assert_eq!(std::fs::read(at("file")).unwrap(), b"text");
        assert_eq!(names(&dir).len(), 5);
    }

    #[test]
    fn directory_must_be_there_and_safe() {
        let dir = TempDir::new().unwrap();
        let missing = dir.path().join("none");
        let problem = refusal(&missing.join("s"));
        let expected = format!("there is no directory {} for", missing.display());
        assert!(problem.starts_with(&expected), "{problem}");
        assert!(!missing.exists());

        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(refusal(&dir.path().join("file/s")).contains("is not a directory"));
        assert!(refusal(Path::new("/")).contains("is not a path for a socket"));
        assert!(refusal(Path::new("")).contains("is not a path for a socket"));

        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(refusal(&open.join("s")).contains("everybody can write"));
        for (mode, who, change) in [
            (0o777, "everybody", "chmod go-w on it"),
            (0o707, "everybody", "chmod o-w on it"),
            (0o770, "everyone in group", "chmod g-w on it"),
            (0o2775, "everyone in group", "chmod g-w on it"),
        ] {
            std::fs::set_permissions(&open, PermissionsExt::from_mode(mode)).unwrap();
            let problem = refusal(&open.join("s"));
            assert!(problem.contains(&format!("{who} ")), "{mode:o}: {problem}");
            assert!(problem.contains("can write to the directory"), "{mode:o}: {problem}");
            assert!(problem.contains(change), "{mode:o}: {problem}");
        }
        for mode in [0o1777, 0o1770, 0o755, 0o700] {
            std::fs::set_permissions(&open, PermissionsExt::from_mode(mode)).unwrap();
            drop(Listener::bind(&open.join("s")).unwrap());
        }
    }

    #[test]
    fn path_of_the_greatest_length_works_and_one_more_is_refused() {
        let dir = TempDir::new().unwrap();
        let rest = MAX_SOCKET_PATH - dir.path().as_os_str().len() - "//s".len();
        let deep = dir.path().join("d".repeat(rest));
        std::fs::DirBuilder::new().mode(0o700).create(&deep).unwrap();
        let path = deep.join("s");
        assert_eq!(path.as_os_str().len(), MAX_SOCKET_PATH);
        let problem = refusal(&deep.join("ss"));
        assert!(problem.contains(&format!("ss is {} bytes long", MAX_SOCKET_PATH + 1)));
        if cfg!(target_os = "linux") {
            drop(UnixListener::bind(&path).unwrap());
            talk(&Listener::bind(&path).unwrap());
            assert!(!path.exists());
        }
    }

    #[test]
    fn only_the_own_file_is_removed() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        let first = Listener::bind(&path).unwrap();
        // Another program replaces the file by force.
        std::fs::remove_file(&path).unwrap();
        let second = Listener::bind(&path).unwrap();
        drop(first);
        talk(&second);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "text").unwrap();
        second.close().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"text");
    }

    #[test]
    fn of_many_at_once_one_gets_the_stale_path() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("s");
        for _ in 0..20 {
            let stale = UnixListener::bind(&path).unwrap();
            drop(stale);
            let barrier = std::sync::Barrier::new(4);
            let bind = || {
                barrier.wait();
                Listener::bind(&path)
            };
            let bound: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
            });
            assert_eq!(bound.len(), 1);
            assert_eq!(names(&dir), ["s"]);
            connect(&path).unwrap();
        }
    }

    #[test]
    fn mode_is_0600_under_any_umask() {
        for umask in ["000", "022", "077", "777"] {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("s");
            let script = format!("umask {umask}; exec \"$@\"");
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", &script, "sh"])
                .arg(std::env::current_exe().unwrap())
                .args(only_test("listener::tests::helper_listens"))
                .env("MP_TEST_LISTEN", &path)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("\nmode 600\n"), "umask {umask}: {text}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn helper_listens() {
        let Some(path) = std::env::var_os("MP_TEST_LISTEN") else { return };
        let listener = Listener::bind(Path::new(&path)).unwrap();
        let found = std::fs::symlink_metadata(listener.path()).unwrap();
        assert!(found.file_type().is_socket());
        println!("\nmode {:o}", found.mode() & 0o7777);
    }
}
