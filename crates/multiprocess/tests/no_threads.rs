//! A process that has no thread left at the moment when a child or a hook needs one: what the thread was
//! needed for is done when there are threads again. That concerns a whole process, so each test runs in one
//! of its own.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use multiprocess::process::{Child, Command, Exit, Exited, Grace};
use multiprocess::{Connection, Limit, ProcessLimits};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(20);
/// The least that a page can be: of larger ones the limit is lower.
const PAGE: usize = 4096;

/// Runs this test in a process of its own. Whether this is that process.
fn is_own_process(test: &str) -> bool {
    const VARIABLE: &str = "MP_TEST_NO_THREADS";
    if env::var(VARIABLE).as_deref() == Ok(test) {
        return true;
    }
    let status = process::Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        // Without these, glibc's allocator keeps so much that the limit of memory is not met.
        .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072")])
        .env(VARIABLE, test)
        .status()
        .unwrap();
    assert!(status.success(), "{test}: {status}");
    false
}

/// Runs `what` while this process has no memory for a thread's start.
fn without_threads<T>(what: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::As);
    let sizes = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = sizes.split(' ').next().unwrap().parse().unwrap();
    let limit = PAGE * pages + (1 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(limit as u64), ..before }).unwrap();
    // What the start of a thread asks for.
    assert!(Vec::<u8>::new().try_reserve_exact(4 << 20).is_err(), "the limit is not met");
    let result = what();
    setrlimit(Resource::As, before).unwrap();
    result
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A child that exits when its socket is closed.
fn start() -> (Child, UnixStream) {
    let grace = Grace { exit: SOON, terminate: SOON };
    Command::new("/bin/bash").arg("-c").arg("read x <&$0; exit 3").grace(grace).spawn().unwrap()
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A future of a child's exit that has been polled once.
fn polled(child: &Child) -> (Exited, Arc<Woken>) {
    let (mut exited, woken) = (child.exited(), Arc::new(Woken::default()));
    let waker = Waker::from(Arc::clone(&woken));
    assert!(Pin::new(&mut exited).poll(&mut Context::from_waker(&waker)).is_pending());
    (exited, woken)
}

fn code(exit: Exit) -> Option<i32> {
    exit.status().and_then(|status| status.code())
}

/// The thread that watches children and the one for hooks fail to start, one after the other. `go_on` is
/// called when there are threads again.
fn children_are_watched_and_ended(go_on: impl Fn()) {
    // No thread watches.
    let (dropped, watched) = (start(), start());
    let dropped_id = dropped.0.id();
    let (tell, told) = mpsc::channel();
    let (mut exited, woken) = without_threads(|| {
        // Its socket stays open, so that it has to be ended.
        drop(dropped.0);
        let tell = tell.clone();
        watched.0.on_exit(move |exit| tell.send(exit).unwrap());
        polled(&watched.0)
    });
    drop(watched.1);
    go_on();
    wait_until("the dropped child is ended and reaped", || is_gone(dropped_id));
    assert_eq!(code(told.recv_timeout(LONG).unwrap()), Some(3));
    wait_until("the future is woken", || woken.0.load(Ordering::SeqCst));
    let mut context = Context::from_waker(Waker::noop());
    let exit = Pin::new(&mut exited).poll(&mut context);
    assert!(matches!(exit, Poll::Ready(exit) if code(exit) == Some(3)));
    drop(dropped.1);

    // The exit is found, and no thread runs the hook.
    let (child, socket) = start();
    child.on_exit(move |exit| tell.send(exit).unwrap());
    let (_exited, woken) = polled(&child);
    without_threads(|| {
        drop(socket);
        // Whoever finds it has asked for the thread before this is told.
        wait_until("it has exited", || child.try_wait().unwrap().is_some());
    });
    assert!(told.try_recv().is_err() && !woken.0.load(Ordering::SeqCst));
    go_on();
    assert_eq!(code(told.recv_timeout(LONG).unwrap()), Some(3));
    wait_until("the future is woken", || woken.0.load(Ordering::SeqCst));
}

#[test]
fn children_are_watched_by_the_next_use_where_there_is_no_driver() {
    if !is_own_process("children_are_watched_by_the_next_use_where_there_is_no_driver") {
        return;
    }
    let (other, _socket) = start();
    // Of any child.
    children_are_watched_and_ended(|| assert!(other.try_wait().unwrap().is_none()));
}

#[test]
fn children_are_watched_by_a_timer_of_the_driver() {
    if !is_own_process("children_are_watched_by_a_timer_of_the_driver") {
        return;
    }
    let _driven = Connection::new(UnixStream::pair().unwrap().0).unwrap();
    children_are_watched_and_ended(|| ());
}

/// What was to be started before the first connection is made is known to the driver too.
#[test]
fn children_are_watched_when_the_driver_starts() {
    if !is_own_process("children_are_watched_when_the_driver_starts") {
        return;
    }
    let (child, _socket) = start();
    let id = child.id();
    without_threads(|| drop(child));
    let _driven = Connection::new(UnixStream::pair().unwrap().0).unwrap();
    wait_until("the dropped child is ended and reaped", || is_gone(id));
}

/// Others have all threads that the process may have, and a hook that waits has the only one of its kind.
#[test]
fn hooks_wait_for_no_other_hook_once_there_are_threads() {
    if !is_own_process("hooks_wait_for_no_other_hook_once_there_are_threads") {
        return;
    }
    let (connection, _peer) = {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Connection::new(ours).unwrap(), theirs)
    };
    let mut limits = ProcessLimits::default();
    limits.threads = 1;
    limits.set();
    let (open, door) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    connection.on_disconnect(move |_reason| {
        begin.send(()).unwrap();
        door.recv_timeout(2 * LONG).unwrap();
    });
    for _ in 0..2 {
        let tell = tell.clone();
        connection.on_disconnect(move |_reason| tell.send(()).unwrap());
    }
    connection.disconnect();
    // A thread for the second was asked for before the first began, or by the end of the connection.
    begun.recv_timeout(LONG).unwrap();
    assert!(Limit::ProcessThreads.times_met() > 0);
    assert!(told.try_recv().is_err());
    ProcessLimits::default().set();
    for _ in 0..2 {
        told.recv_timeout(LONG).expect("the first hook waits still");
    }
    // The first one has waited to the end.
    open.send(()).unwrap();
}
