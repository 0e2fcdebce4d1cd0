//! Two ends of one connection in one process, and waiting for a condition.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use multiprocess::{Connection, Error, Limits};

use crate::LabServer;
use crate::generated::lab::LabClient;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(20);

/// A lab that is served over a socket, and a handle on it from the other end.
pub struct Pair {
    /// The object that is served.
    pub server: Arc<LabServer>,
    /// The serving end.
    pub serving: Connection,
    /// The calling end.
    pub calling: Connection,
    /// The calling end's handle on the lab.
    pub lab: LabClient,
}

/// A served lab with the usual limits.
pub fn pair() -> Pair {
    pair_with(Limits::default())
}

/// A served lab with these limits at both ends.
pub fn pair_with(limits: Limits) -> Pair {
    pair_of(limits.clone(), limits)
}

/// A served lab with different limits at the two ends.
pub fn pair_of(calling: Limits, serving: Limits) -> Pair {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let server = LabServer::new();
    let serving = Connection::builder()
        .limits(serving)
        .serve(server.client())
        .start(theirs)
        .expect("the serving end");
    let calling = Connection::builder().limits(calling).start(ours).expect("the calling end");
    let lab = calling.bootstrap().expect("a bootstrap handle");
    Pair { server, serving, calling, lab }
}

impl Pair {
    /// Asserts that the lab still answers.
    pub fn assert_alive(&self) {
        wait_until("it answers", || match self.lab.add(40, 2).wait() {
            Ok(sum) => sum == 42,
            // Calls that were made before, and cancelled, are still being served.
            Err(Error::Overloaded { .. }) => false,
            Err(error) => panic!("{error}"),
        });
    }
}

/// Waits until `condition` holds, for a minute at most. Returns whether it does.
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `condition` holds; panics with `what` if it does not.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(eventually(condition), "timed out waiting until {what}");
}

/// Runs `work` on a thread of its own, so that a deadlock fails the test instead of hanging it.
#[track_caller]
pub fn within_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, answer) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    answer.recv_timeout(LONG).expect("it ends")
}
