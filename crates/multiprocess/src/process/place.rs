//! The path of a listening socket: who may write to its directory, and how a socket is put there without
//! replacing another process's.
//!
//! Of two processes that start at once and find a stale socket, one gets the path, and the other sees
//! that it is in use. For that a socket listens before it gets its name, a rename never replaces a file,
//! and a stale socket is first renamed to a name that nobody else uses, checked again, and then removed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::socket::{
    ConnectFailure, MAX_SOCKET_PATH, Wait, address_error, connect_with, peer_credentials,
};
use crate::{Error, Result};

/// How many times another process may change the path meanwhile before this one gives up.
const ATTEMPTS: u32 = 16;

/// How long to wait for the lock of another process that puts a socket in the same directory.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

const NO_FLAGS: AtFlags = AtFlags::empty();

/// Identifies a file independent of its name: device and inode.
pub(super) type Identity = (u64, u64);

fn identity(stat: &Stat) -> Identity {
    // Their types differ by platform.
    #[allow(clippy::unnecessary_cast)]
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// A name in a directory. The directory is open, so renaming it or changing the working directory does
/// not change which one is meant.
#[derive(Debug)]
pub(super) struct Place {
    dir: OwnedFd,
    dir_path: PathBuf,
    name: OsString,
}

impl Place {
    pub(super) fn open(path: &Path) -> Result<Place> {
        let Some(name) = path.file_name() else {
            let problem = format!("{} is not a path for a socket", path.display());
            return Err(address_error(path, problem));
        };
        let dir_path = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Needs no permission to read it.
        #[cfg(target_os = "linux")]
        let flags = flags | OFlags::PATH;
        let dir = rustix::fs::open(dir_path, flags, Mode::empty()).map_err(|error| {
            let dir = dir_path.display();
            let path_shown = path.display();
            match error {
                Errno::NOENT => address_error(
                    path,
                    format!("there is no directory {dir} for {path_shown}: make it first"),
                ),
                Errno::NOTDIR => {
                    address_error(path, format!("{dir} is not a directory (for {path_shown})"))
                }
                Errno::MFILE | Errno::NFILE => {
                    Error::io(format!("open the directory {dir}"), error.into())
                }
                _ => address_error(path, format!("cannot use the directory {dir}: {error}")),
            }
        })?;
        Ok(Place { dir, dir_path: dir_path.to_owned(), name: name.to_owned() })
    }

    pub(super) fn dir_path(&self) -> &Path {
        &self.dir_path
    }

    /// Checked because a user who can write to the directory could replace the socket.
    pub(super) fn check_owner(&self, path: &Path) -> Result<()> {
        let dir = self.dir_path.display();
        let stat = rustix::fs::fstat(&self.dir)
            .map_err(|error| Error::io(format!("look at the directory {dir}"), error.into()))?;
        let (me, owner) = (rustix::process::geteuid().as_raw(), stat.st_uid);
        // Root often works in directories of the user that a service or container runs for.
        if owner != me && owner != 0 && me != 0 {
            let problem = format!(
                "the directory {dir} belongs to user {owner}, who could replace a socket in it: \
                 choose one that belongs to user {me}"
            );
            return Err(address_error(path, problem));
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        // In a sticky directory only the owner of a file can replace it.
        let (who, change) = match (mode.contains(Mode::WOTH), mode.contains(Mode::WGRP)) {
            _ if mode.contains(Mode::SVTX) => return Ok(()),
            (false, false) => return Ok(()),
            (true, true) => ("everybody".to_owned(), "go-w"),
            (true, false) => ("everybody".to_owned(), "o-w"),
            (false, true) => (format!("everyone in group {}", stat.st_gid), "g-w"),
        };
        let problem = format!(
            "{who} can write to the directory {dir}, and replace a socket in it: \
             run chmod {change} on it, or choose another"
        );
        Err(address_error(path, problem))
    }

    fn stat(&self, name: &OsStr) -> rustix::io::Result<Stat> {
        rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(super) fn remove(&self, name: &OsStr) {
        if let Err(error) = rustix::fs::unlinkat(&self.dir, name, NO_FLAGS) {
            tracing::warn!(%error, name = %name.display(), "file left behind");
        }
    }

    /// Removes the file at this place if it is still `own`.
    pub(super) fn remove_if(&self, own: Identity) -> rustix::io::Result<()> {
        match self.stat(&self.name) {
            Ok(found) if identity(&found) == own => {
                rustix::fs::unlinkat(&self.dir, &self.name, NO_FLAGS)
            }
            // Gone, or somebody else's by now.
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn set_mode(&self, name: &OsStr, mode: Mode) -> rustix::io::Result<()> {
        rustix::fs::chmodat(&self.dir, name, mode, NO_FLAGS)
    }

    /// A name that nobody else uses, short enough to be a socket's where that can be.
    pub(super) fn private_name(&self) -> OsString {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let suffix = format!(".{:x}-{number:x}", std::process::id());
        // Tools show this as the socket's path for its whole life, so it is recognizable.
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(&suffix);
        if self.dir_path.join(&name).as_os_str().len() > MAX_SOCKET_PATH || name.len() > 255 {
            name = suffix.into();
        }
        name
    }

    /// A path for `name` that is short enough for a socket address.
    pub(super) fn address(&self, name: &OsStr) -> PathBuf {
        let path = self.dir_path.join(name);
        if cfg!(target_os = "linux") && path.as_os_str().len() > MAX_SOCKET_PATH {
            return Path::new("/proc/self/fd").join(self.dir.as_raw_fd().to_string()).join(name);
        }
        path
    }

    /// Gives the file `private` the name of this place, which is free or a stale socket's. The
    /// file's identity.
    pub(super) fn take(&self, path: &Path, private: &OsStr) -> Result<Identity> {
        let failed = |error: Errno| {
            address_error(path, format!("cannot make the socket {}: {error}", path.display()))
        };
        let own = identity(&self.stat(private).map_err(failed)?);
        let _lock = self.lock();
        for _ in 0..ATTEMPTS {
            match self.rename_to_free(private, &self.name) {
                Ok(()) => return Ok(own),
                Err(Errno::EXIST) => self.clear_stale(path)?,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(address_error(path, format!("other processes keep changing {}", path.display())))
    }

    /// Locks the directory against other processes that put a socket there: one could do so between this
    /// process's check for a stale socket and its removal. If another process holds the lock for too
    /// long this one goes on without it, and only the second check in `clear_stale` protects the other.
    fn lock(&self) -> Option<OwnedFd> {
        // A separate descriptor, so that closing it unlocks.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.dir, ".", flags, Mode::empty()).ok()?;
        for _ in 0..LOCK_ATTEMPTS {
            match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(directory),
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_PAUSE),
                // Not on every file system.
                Err(_) => return None,
            }
        }
        None
    }

    /// Renames, failing with EEXIST where there is a file of the new name.
    fn rename_to_free(&self, from: &OsStr, to: &OsStr) -> rustix::io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.dir, from, &self.dir, to, flags) {
                // Not on every file system.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                done => return done,
            }
        }
        rustix::fs::linkat(&self.dir, from, &self.dir, to, NO_FLAGS)?;
        rustix::fs::unlinkat(&self.dir, from, NO_FLAGS)
    }

    /// Removes the socket at this place if nobody listens at it.
    fn clear_stale(&self, path: &Path) -> Result<()> {
        match self.stat(&self.name) {
            Ok(found) => refuse_non_socket(path, &found)?,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                let problem = format!("cannot look at {}: {error}", path.display());
                return Err(address_error(path, problem));
            }
        }
        if self.probe(&self.name, path)? == Found::Nothing {
            return Ok(());
        }
        // Between that look and a removal another process may have put its own socket here. So
        // take it aside, look again, and give it back if it lives.
        let aside = self.private_name();
        match rustix::fs::renameat(&self.dir, &self.name, &self.dir, &aside) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                let problem = format!("cannot replace {}: {error}", path.display());
                return Err(address_error(path, problem));
            }
        }
        let again = self.probe(&aside, path);
        match &again {
            Ok(_) => self.remove(&aside),
            Err(_) => {
                if let Err(error) = self.rename_to_free(&aside, &self.name) {
                    tracing::warn!(%error, path = %path.display(), "cannot give back a socket");
                }
            }
        }
        again.map(|_| ())
    }

    /// Whether there is a stale socket or nothing called `name`; anything else is an error.
    fn probe(&self, name: &OsStr, path: &Path) -> Result<Found> {
        let shown = path.display();
        let problem = match connect_with(&self.address(name), Wait::No) {
            Err(ConnectFailure::Refused) => return Ok(Found::Stale),
            Err(ConnectFailure::Missing) => return Ok(Found::Nothing),
            Ok(peer) => match peer_credentials(&peer).ok().and_then(|peer| peer.pid) {
                Some(pid) => format!("process {pid} listens at {shown} already"),
                None => format!("another process listens at {shown} already"),
            },
            // Its queue is full, or it is a socket of another kind.
            Err(ConnectFailure::Other(error))
                if [Errno::AGAIN, Errno::PROTOTYPE]
                    .map(|e| e.raw_os_error())
                    .map(Some)
                    .contains(&error.raw_os_error()) =>
            {
                format!("another process uses {shown} already")
            }
            Err(ConnectFailure::Other(error)) => {
                return Err(address_error(
                    path,
                    format!(
                        "{shown} exists, and cannot be tried: {error}: remove it if it is stale"
                    ),
                ));
            }
            Err(_) => format!("{shown} exists and is not a socket"),
        };
        Err(address_error(path, format!("{problem}: stop it or choose another path")))
    }
}

#[derive(PartialEq, Eq)]
enum Found {
    Stale,
    Nothing,
}

fn refuse_non_socket(path: &Path, found: &Stat) -> Result<()> {
    let what = match FileType::from_raw_mode(found.st_mode) {
        FileType::Socket => return Ok(()),
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        _ => "a special file",
    };
    let problem =
        format!("{} is {what}, not a socket: remove it or choose another path", path.display());
    Err(address_error(path, problem))
}
