//! Supervised children are real programs. What needs to know every child and descriptor of the process runs
//! in one of its own.

use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};

use super::super::grace::Grace;
use super::super::spawn::on_lasting_thread;
use super::super::testing::{only_test, wait_until};
use super::*;
use tempfile::TempDir;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn sh(script: &str) -> Command {
    let grace = Grace { exit: SOON, terminate: SOON };
    Command::new("/bin/bash").arg("-c").arg(script).grace(grace)
}

fn quick() -> Backoff {
    Backoff { first: Duration::from_millis(1), longest: SOON, ..Backoff::default() }
}

fn is_gone(id: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn program_is_started_again_until_it_is_stopped() {
    let (tell, started) = mpsc::channel();
    let serve = move |child: Arc<Child>, socket| tell.send((child.id(), socket)).unwrap();
    // Runs until its socket is closed.
    let supervisor = Supervisor::start(sh("read x <&$0; exit 3"), quick(), serve).unwrap();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let (id, socket) = started.recv_timeout(LONG).unwrap();
        assert!(!ids.contains(&id) && !is_gone(id));
        ids.push(id);
        drop(socket);
    }
    let (id, socket) = started.recv_timeout(LONG).unwrap();
    assert_eq!((supervisor.restarts(), supervisor.is_over()), (4, false));
    assert_eq!(supervisor.child().unwrap().id(), id);
    supervisor.disarm();
    drop(socket);
    assert_eq!(supervisor.wait().unwrap().status().unwrap().code(), Some(3));
    assert!(supervisor.is_over() && supervisor.child().is_none());
    assert!(supervisor.stop().is_some());
    // The function is gone, so there is no further start.
    assert!(matches!(started.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected)));
}

#[test]
fn program_that_ends_too_often_is_given_up() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let serve = move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let backoff = Backoff { max_restarts: Some(2), ..quick() };
    let supervisor = Supervisor::start(sh("exit 3"), backoff, serve).unwrap();
    assert_eq!(supervisor.wait().unwrap().status().unwrap().code(), Some(3));
    assert_eq!((supervisor.restarts(), calls.load(Ordering::Relaxed)), (2, 3));
    assert!(supervisor.is_over());
}

/// Also while the function blocks, and holds the socket.
#[test]
fn stop_and_drop_end_a_stuck_child() {
    let stuck = "trap '' TERM; while true; do kill -STOP $$; done";
    let (tell, started) = mpsc::channel();
    let (release, blocked) = mpsc::channel::<()>();
    let serve = move |child, _socket| {
        tell.send(child).unwrap();
        let _ = blocked.recv();
    };
    let supervisor = Supervisor::start(sh(stuck), quick(), serve).unwrap();
    let child = started.recv_timeout(LONG).unwrap();
    let exit = supervisor.stop().unwrap();
    assert!(!exit.success() && is_gone(child.id()));
    drop(release);
    assert!(started.recv_timeout(LONG).is_err(), "there is no other start");

    let (tell, started) = mpsc::channel();
    let serve = move |child, socket| tell.send((child, socket)).unwrap();
    let supervisor = Supervisor::start(sh(stuck), quick(), serve).unwrap();
    let (child, _socket) = started.recv_timeout(LONG).unwrap();
    drop(supervisor);
    wait_until("the child is gone", || is_gone(child.id()));
    assert!(started.recv_timeout(LONG).is_err(), "there is no other start");
}

#[test]
fn stop_cuts_a_long_delay_short() {
    let hour = Duration::from_secs(3600);
    let backoff = Backoff { first: hour, longest: hour, ..quick() };
    let (tell, started) = mpsc::channel();
    let serve = move |_, _| tell.send(()).unwrap();
    let supervisor = Supervisor::start(sh("exit 3"), backoff, serve).unwrap();
    wait_until("the child has exited", || supervisor.child().is_none());
    assert_eq!(supervisor.stop().unwrap().status().unwrap().code(), Some(3));
    assert_eq!(started.recv_timeout(LONG), Ok(()));
    assert_eq!(started.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn function_that_panics_ends_its_child_and_gets_the_next() {
    let (tell, started) = mpsc::channel();
    let mut first = true;
    let serve = move |child: Arc<Child>, socket| {
        tell.send((Arc::clone(&child), socket)).unwrap();
        assert!(!std::mem::replace(&mut first, false), "a panic of the function");
    };
    let supervisor = Supervisor::start(sh("exec sleep 1000"), quick(), serve).unwrap();
    let (child, _socket) = started.recv_timeout(LONG).unwrap();
    let ended = child.wait_timeout(LONG).unwrap().expect("the child is made to end");
    assert_eq!(ended.signal(), Some(libc::SIGTERM));
    let (second, _socket) = started.recv_timeout(LONG).unwrap();
    assert!(second.try_wait().unwrap().is_none());
    assert_eq!(supervisor.stop().unwrap().status().unwrap().signal(), Some(libc::SIGTERM));
}

#[test]
fn program_that_cannot_be_started_is_an_error_first_and_tried_again_later() {
    let error = Supervisor::start(Command::new("/none"), quick(), |_, _| ()).unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error:?}");

    let dir = TempDir::new().unwrap();
    let program = dir.path().join("program");
    symlink("/bin/bash", &program).unwrap();
    let command = Command::new(&program).arg("-c").arg("read x <&$0; exit 0");
    let (tell, started) = mpsc::channel();
    let serve = move |_, socket| tell.send(socket).unwrap();
    let supervisor = Supervisor::start(command, quick(), serve).unwrap();
    let socket = started.recv_timeout(LONG).unwrap();
    std::fs::remove_file(&program).unwrap();
    drop(socket);
    wait_until("a restart has failed", || supervisor.restarts() >= 2);
    symlink("/bin/bash", &program).unwrap();
    let socket = started.recv_timeout(LONG).unwrap();
    supervisor.disarm();
    drop(socket);
    assert!(supervisor.stop().unwrap().success());
}

#[test]
fn nothing_is_left_over() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(only_test("supervisor::tests::helper_supervises"))
        .env("MP_TEST_SUPERVISE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\nnothing is left\n"), "{output:?}");
}

#[test]
fn helper_supervises() {
    if std::env::var_os("MP_TEST_SUPERVISE").is_none() {
        return;
    }
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let has_children = || {
        let flags = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::All, flags).map(drop) != Err(Errno::CHILD)
    };
    let before = count("/proc/self/fd");
    let no_delay = Backoff { first: Duration::ZERO, ..quick() };
    for round in 0..40 {
        let (tell, restarts) = mpsc::channel();
        let serve = move |_, _| {
            let _ = tell.send(());
        };
        let supervisor = Supervisor::start(sh("exit 0"), no_delay, serve).unwrap();
        (0..round % 4).for_each(|_| restarts.recv_timeout(LONG).unwrap());
        // At any moment: while a child runs, between two, and while one is started.
        match round % 2 {
            0 => {
                supervisor.stop();
                assert!(!has_children(), "stop returns when the child is reaped");
            }
            _ => drop(supervisor),
        }
        wait_until("the function is gone", || {
            restarts.try_recv() == Err(mpsc::TryRecvError::Disconnected)
        });
    }
    wait_until("no child is left", || !has_children());
    wait_until("no descriptor is left", || count("/proc/self/fd") == before);
    stopped_while_a_child_is_started(true);
    stopped_while_a_child_is_started(false);
    wait_until("no child is left", || !has_children());
    println!("\nnothing is left");
}

/// Stopped, which waits, or dropped. The restart is held up on the thread that starts children which die
/// with their parent.
fn stopped_while_a_child_is_started(waits: bool) {
    let (tell, started) = mpsc::channel();
    let serve = move |child, socket| tell.send((child, socket)).unwrap();
    let command = sh("exec sleep 1000").parent_death_signal(true);
    let supervisor = Supervisor::start(command, quick(), serve).unwrap();
    let (child, socket): (Arc<Child>, _) = started.recv_timeout(LONG).unwrap();

    let (release, released) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let hold = move || {
        enter.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    };
    let held = std::thread::spawn(|| on_lasting_thread(hold).unwrap());
    entered.recv_timeout(LONG).unwrap();
    child.end().unwrap();
    drop(socket);
    let shared = Arc::clone(&supervisor.shared);
    wait_until("a child is being started", || shared.state().starting);

    let ended = std::thread::spawn(move || {
        match waits {
            true => drop(supervisor.stop()),
            false => drop(supervisor),
        }
        shared.state().starting
    });
    // Only to find a `stop` that returns too early: nothing depends on how long this takes.
    std::thread::sleep(SOON);
    drop(release);
    held.join().unwrap();
    let starting = ended.join().unwrap();
    assert!(!(waits && starting), "stop returns when nothing is started any more");
    assert_eq!(started.recv_timeout(LONG).err(), Some(mpsc::RecvTimeoutError::Disconnected));
}
