//! Processes and unix sockets: start a child with one end of a socket pair, wait for it, and meet
//! other processes on a path. Nothing here knows of Cap'n Proto: what comes out is a
//! [`UnixStream`](std::os::unix::net::UnixStream).
//!
//! - The parent: [`Command`] starts a program and gives a [`Child`] and the parent's end of the
//!   socket. Closing that end asks the child to exit; [`Child::end`] makes sure of it, and
//!   [`Child::on_exit`] tells of it. A [`Supervisor`] starts a program again whenever it ends.
//! - The child: [`inherited_socket`] takes the other end, whose number came on the command line
//!   (and [`inherited_fd`] whatever else it was given),
//!   and [`ignore_sigint`] leaves Ctrl-C to the parent.
//! - Strangers: [`Listener`] makes a socket at a path that only this user can reach, or takes one that systemd made,
//!   [`connect_timeout`] reaches one, and [`peer_credentials`] tells who is at the other end.
//!
//! ```
//! use std::io::Read;
//! use std::time::Duration;
//! use multiprocess::process::{Command, FdArgs};
//!
//! # fn main() -> multiprocess::Result<()> {
//! // Runs `/bin/echo -ipcfd N`. A real program would serve on descriptor N.
//! let (child, mut socket) = Command::new("/bin/echo").fd_args(FdArgs::Flag("-ipcfd")).spawn()?;
//!
//! // The child is gone, so the socket is at its end.
//! let mut answer = Vec::new();
//! assert!(matches!(socket.read_to_end(&mut answer), Ok(0)));
//!
//! drop(socket);
//! let status = child.shutdown(Duration::from_secs(10))?;
//! assert!(status.success());
//! # Ok(())
//! # }
//! ```

mod backoff;
mod child;
mod child_state;
mod descriptors;
mod exit;
mod exited;
#[cfg(any(not(target_os = "linux"), test))]
mod fork;
mod grace;
mod hooks;
mod inherited;
mod listener;
mod passed;
mod pid;
mod pidfd;
mod place;
mod reaper;
mod received;
mod socket;
mod spawn;
mod start;
mod stdio;
mod supervisor;
#[cfg(target_os = "linux")]
mod vfork;

pub use backoff::Backoff;
pub(crate) use backoff::Delays;
pub use child::Child;
pub use child_state::ChildState;
pub use exit::Exit;
pub use exited::Exited;
pub use grace::Grace;
pub use inherited::{ignore_sigint, inherited_fd, inherited_socket};
pub use listener::Listener;
pub(crate) use received::{carries_descriptors, receive, refuse_descriptors};
pub use socket::{
    ConnectError, ConnectFailure, MAX_SOCKET_PATH, PeerCredentials, connect, connect_raw,
    connect_raw_timeout, connect_timeout, peer_credentials,
};
pub use spawn::{Command, FdArgs, sibling_executable};
pub use stdio::Stdio;
pub use supervisor::Supervisor;

/// What the tests of this module share.
#[cfg(test)]
mod testing {
    use std::future::Future;

    use std::pin::pin;
    use std::sync::Arc;

    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    /// Looks again and again until `condition` holds; fails the test after 20 seconds.
    #[track_caller]
    pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "timed out waiting until {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs a future on this thread until it is ready; fails the test after 20 seconds.
    pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Unpark>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < end, "timed out waiting for a future");
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park_timeout(Duration::from_secs(20)),
            }
        }
    }

    /// The arguments that make this test program run only the test called `name`, printing its
    /// output as it comes. The test is one that does nothing unless a variable is set.
    pub(super) fn only_test(name: &str) -> [String; 5] {
        let module = module_path!().split_once("::").unwrap().1.replace("::testing", "");
        let test = format!("{module}::{name}");
        [test, "--exact".into(), "--nocapture".into(), "--test-threads=1".into(), "-q".into()]
    }
}
