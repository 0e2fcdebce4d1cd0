//! Whether a child process serves: each step of its life as its parent sees it, with real processes.

use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use multiprocess::process::{Backoff, Child, ChildState, Command, Exit, Grace, Supervisor};
use multiprocess::{Connection, Error};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, wait_until, within_time};
use rustix::process::{Pid, Signal, kill_process};

const PROCESS: &str = env!("CARGO_BIN_EXE_lab-process");
const SHORT: Duration = Duration::from_millis(50);

fn lab_process(role: &str) -> Command {
    Command::new(PROCESS).arg(role)
}

/// A shell that runs `script`, where `"$@"` is the lab process.
fn script(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script).arg("sh").arg(PROCESS).arg("serve")
}

fn start(command: &Command) -> (Arc<Child>, UnixStream) {
    let (child, socket) = command.spawn().unwrap();
    (Arc::new(child), socket)
}

fn connect(child: &Arc<Child>, socket: UnixStream, within: Duration) -> (Connection, LabClient) {
    let connection = Connection::new(socket).unwrap();
    let lab = connection.bootstrap_child(child, within).unwrap();
    (connection, lab)
}

fn signal(child: &Child, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

/// All its threads have stopped, which a signal does not wait for.
fn wait_stopped(child: &Child) {
    let tasks = format!("/proc/{}/task", child.id());
    let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
        // Behind the name, which is in parentheses.
        stat.is_ok_and(|stat| stat.contains(") T "))
    };
    wait_until("it is stopped", || std::fs::read_dir(&tasks).unwrap().all(is_stopped));
}

fn is_killed(state: ChildState) -> bool {
    matches!(state, ChildState::Exited(Exit::Status(status)) if status.signal() == Some(9))
}

#[test]
fn a_child_is_started_then_serving_then_exited() {
    let (child, socket) = start(&lab_process("serve"));
    assert_eq!(child.state(), ChildState::Started);
    let (connection, lab) = connect(&child, socket, LONG);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(child.state(), ChildState::Serving);
    connection.disconnect();
    // At once, or it was quick to exit.
    assert!(matches!(child.state(), ChildState::Lost | ChildState::Exited(_)));
    let waited = Arc::clone(&child);
    let status = within_time(move || waited.wait()).unwrap();
    assert!(status.success());
    assert_eq!(child.state(), ChildState::Exited(Exit::Status(status)));
}

#[test]
fn a_child_that_closes_its_socket_and_lives_is_lost() {
    let grace = Grace { exit: Duration::ZERO, terminate: Duration::ZERO };
    let (child, socket) =
        start(&lab_process("close-and-live").grace(grace).parent_death_signal(true));
    let (connection, lab) = connect(&child, socket, LONG);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    assert_eq!(child.state(), ChildState::Serving);
    let closed = lab.block("close").timeout(LONG).wait();
    assert!(matches!(closed, Err(Error::Disconnected { .. })), "{closed:?}");
    // The call has failed, so this is known.
    assert_eq!((child.state(), connection.is_connected()), (ChildState::Lost, false));
    let ended = Arc::clone(&child);
    within_time(move || ended.end()).unwrap();
    assert!(matches!(child.state(), ChildState::Exited(_)));
}

/// It is this side's connection that goes, and the child has no chance to.
#[test]
fn a_stopped_child_is_lost_when_its_connection_is_let_go() {
    let (child, socket) = start(&lab_process("serve"));
    let (connection, lab) = connect(&child, socket, LONG);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    signal(&child, Signal::STOP);
    wait_stopped(&child);
    let late = lab.add(1, 2).timeout(SHORT).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    // A stop alone changes nothing.
    assert_eq!(child.state(), ChildState::Serving);
    signal(&child, Signal::CONT);
    assert_eq!(lab.add(2, 2).timeout(LONG).wait().unwrap(), 4);
    signal(&child, Signal::STOP);
    wait_stopped(&child);
    drop((connection, lab));
    wait_until("the connection is gone", || child.state() == ChildState::Lost);
    let ended = Arc::clone(&child);
    let status = within_time(move || ended.shutdown(Duration::ZERO)).unwrap();
    assert_eq!(child.state(), ChildState::Exited(Exit::Status(status)));
}

#[test]
fn a_child_that_is_stopped_before_it_answers_is_only_started() {
    let (child, socket) = start(&script("kill -STOP $$; exec \"$@\""));
    let (_connection, lab) = connect(&child, socket, LONG);
    let late = lab.add(1, 2).timeout(SHORT).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    assert_eq!(child.state(), ChildState::Started);
    // Until it is stopped it could miss the signal.
    wait_stopped(&child);
    signal(&child, Signal::CONT);
    assert_eq!(lab.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    assert_eq!(child.state(), ChildState::Serving);
}

#[test]
fn a_child_that_never_answers_is_killed_and_the_calls_say_so() {
    let (child, socket) = start(&script("kill -STOP $$; exec \"$@\""));
    // Until it is stopped it would end on SIGTERM.
    wait_stopped(&child);
    let (connection, lab) = connect(&child, socket, SHORT);
    let error = within_time(move || lab.add(1, 2).wait()).unwrap_err();
    assert!(matches!(&error, Error::Spawn { program, .. } if program == child.program()));
    assert!(error.to_string().contains("it was killed"), "{error}");
    assert!(is_killed(child.state()), "{:?}", child.state());
    assert_eq!(connection.end_reason().unwrap().to_string(), error.to_string());
}

#[test]
fn a_child_that_exits_at_once_never_serves_and_its_status_is_told() {
    let (child, socket) = start(&script("exit 3"));
    // The connection may have ended before it is used.
    let connection = Connection::new(socket).unwrap();
    let called = match connection.bootstrap_child::<LabClient>(&child, LONG) {
        Ok(lab) => within_time(move || lab.add(1, 2).wait()),
        Err(error) => Err(error),
    };
    let error = called.unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error:?}");
    assert!(error.to_string().contains("exit status: 3"), "{error}");
    let ChildState::Exited(exit) = child.state() else { panic!("{:?}", child.state()) };
    assert_eq!(exit.status().unwrap().code(), Some(3));
}

#[test]
fn a_supervisor_tells_the_state_of_its_present_child() {
    let (tell, started) = mpsc::channel();
    // It is not started again before the test has looked.
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let serve = move |child: Arc<Child>, socket| {
        tell.send((child, socket)).unwrap();
        let _ = may_go_on.recv();
    };
    let backoff = Backoff { first: Duration::from_millis(1), ..Backoff::default() };
    let supervisor = Supervisor::start(lab_process("serve"), backoff, serve).unwrap();
    for _ in 0..2 {
        let (child, socket) = started.recv_timeout(LONG).unwrap();
        assert_eq!(supervisor.state(), ChildState::Started);
        let (_connection, lab) = connect(&child, socket, LONG);
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
        assert_eq!(supervisor.state(), ChildState::Serving);
        signal(&child, Signal::KILL);
        wait_until("its end is known", || is_killed(supervisor.state()));
        go_on.send(()).unwrap();
    }
    let (_, socket) = started.recv_timeout(LONG).unwrap();
    supervisor.disarm();
    drop((socket, go_on));
    within_time(move || {
        supervisor.wait();
        // How the last one ended, now that there is none.
        assert!(matches!(supervisor.state(), ChildState::Exited(_)));
        assert!(!is_killed(supervisor.state()));
    });
}
