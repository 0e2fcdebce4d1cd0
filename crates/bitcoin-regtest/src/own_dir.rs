//! A directory for a node's socket.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use multiprocess::{Error, Result};

/// A new temporary directory, for this user only. It is removed with what a killed node has left in it.
#[derive(Debug)]
pub(super) struct OwnDir(PathBuf);

impl OwnDir {
    pub(super) fn make() -> Result<OwnDir> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("bitcoin-regtest-{}-{number}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            // For this user only, as a data directory is.
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(OwnDir(dir)),
                // Left by a process with this number that was killed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let dir = dir.display();
                    return Err(Error::failed(format!("cannot make the directory {dir}: {error}")));
                }
            }
        }
    }

    /// Where the node's socket is in it.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("node.sock")
    }
}

impl Drop for OwnDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
