//! Lets wallet processes in that connect.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use multiprocess::process::{self, Listener};
use multiprocess::{Error, Result};

use super::served::Served;

/// The pause after a connection that could not be taken, such as for want of a descriptor.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the thread's waking may take, by a connection to its own socket.
const WAKE: Duration = Duration::from_secs(1);

/// A socket for wallet processes, and the thread that waits for them. Dropping it ends both.
#[derive(Debug)]
pub(super) struct Acceptor {
    path: PathBuf,
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    pub(super) fn start(listener: Listener, served: Arc<Served>) -> Result<Acceptor> {
        let path = listener.path().to_owned();
        let closed = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&closed);
        let thread = Builder::new()
            .name("wallet-accept".to_owned())
            .spawn(move || accept(&listener, &served, &ends))
            .map_err(|error| Error::io("start a thread that waits for wallet processes", error))?;
        Ok(Acceptor { path, closed, thread: Some(thread) })
    }

    /// Nobody is let in any more, and the socket is gone, when this returns.
    pub(super) fn close(self) {
        drop(self);
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the thread. Where that fails its socket is gone already, or the next connection ends it.
        let woken = process::connect_timeout(&self.path, WAKE).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &Listener, served: &Arc<Served>, closed: &AtomicBool) {
    loop {
        let socket = listener.accept();
        if closed.load(Ordering::Acquire) {
            return;
        }
        match socket {
            Ok(socket) => {
                if let Err(problem) = take(socket, served) {
                    tracing::warn!("a wallet process was not let in: {problem}");
                }
            }
            Err(error) => {
                tracing::warn!("no wallet process can connect now: {error}");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Serves a process on a thread of its own, unless there is one already.
fn take(socket: UnixStream, served: &Arc<Served>) -> Result<()> {
    let peer = process::peer_credentials(&socket)?;
    if !peer.is_same_user() {
        return Err(Error::failed(format!("it is of another user: {peer:?}")));
    }
    let Some(turn) = served.take_turn() else {
        return Err(Error::failed("there is one already"));
    };
    let pid = peer.pid.unwrap_or_default();
    Builder::new()
        .name("wallet-process".to_owned())
        .spawn(move || turn.serve_connected(pid, socket))
        .map(drop)
        .map_err(|error| Error::failed(format!("no thread for it could be started: {error}")))
}
