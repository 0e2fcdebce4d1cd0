//! A program that is started again when it ends or closes its socket.

use std::sync::Arc;
use std::time::Duration;

use multiprocess::process::{Backoff, ChildState, Command, Grace};
use multiprocess::{Error, Reconnect, Reconnecting};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use super::{connecting, ended, quick, start};

const PROCESS: &str = env!("CARGO_BIN_EXE_lab-process");

fn program(role: &str) -> Reconnecting<LabClient> {
    let grace = Grace { exit: Duration::ZERO, terminate: LONG };
    // One that does not see the end of its socket must not outlive a test that fails.
    let command = Command::new(PROCESS).arg(role).grace(grace).parent_death_signal(true);
    start(Reconnect::to_program(command).backoff(quick()).deadline(LONG))
}

#[test]
fn a_program_that_is_killed_is_started_again() {
    let lab = program("serve");
    let mut ids = Vec::new();
    for generation in 1..=3 {
        let current = lab.get(LONG).unwrap();
        let child = Arc::clone(current.child().unwrap());
        assert!(!ids.contains(&child.id()));
        ids.push(child.id());
        assert_eq!((current.generation(), child.state()), (generation, ChildState::Serving));
        assert_eq!(current.add(1, 2).wait().unwrap(), 3);
        kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        wait_until("the loss is known", || {
            lab.try_get().is_none_or(|next| next.generation() > generation)
        });
        let called = current.add(1, 2).wait();
        assert!(matches!(called, Err(Error::Disconnected { .. })), "{called:?}");
        wait_until("it is reaped", || matches!(child.state(), ChildState::Exited(_)));
    }
    // Closed, the last one is made to end.
    let child = Arc::clone(lab.get(LONG).unwrap().child().unwrap());
    assert!(lab.close(LONG));
    wait_until("it has exited", || matches!(child.state(), ChildState::Exited(_)));
}

/// The one before has exited when the next is started.
#[test]
fn a_program_that_closes_its_socket_is_ended_and_started_again() {
    let lab = program("close-and-live");
    let first = lab.get(LONG).unwrap();
    let child = Arc::clone(first.child().unwrap());
    assert!(first.block("close").wait().is_err());
    let second = lab.get(LONG).unwrap();
    assert_eq!(second.generation(), 2);
    assert!(matches!(child.state(), ChildState::Exited(_)), "{:?}", child.state());
    assert_eq!(second.add(1, 2).wait().unwrap(), 3);
    let child = Arc::clone(second.child().unwrap());
    drop((first, second, lab));
    wait_until("it has exited", || matches!(child.state(), ChildState::Exited(_)));
}

#[test]
fn a_program_that_does_not_serve_says_how_it_ended() {
    let command = Command::new("/bin/sh").arg("-c").arg("exit 3");
    let backoff = Backoff { max_restarts: Some(2), ..quick() };
    let lab = start(Reconnect::to_program(command).backoff(backoff));
    let reason = ended(&lab).to_string();
    assert!(reason.contains("given up after 3 attempts"), "{reason}");
    assert!(
        reason.contains("cannot run /bin/sh: ") && reason.contains("exit status: 3"),
        "{reason}"
    );
    assert_eq!(reason.matches("cannot run").count(), 1, "{reason}");
    assert_eq!(reason.matches("/bin/sh").count(), 1, "{reason}");
    // It answers nothing, does not see the end of its socket, and is killed. (A shell that reads its socket
    // would end at once in a process with many descriptors: Debian's knows only those of one digit.)
    let command = Command::new("/bin/sh").arg("-c").arg("exec sleep 60");
    let reconnect = Reconnect::to_program(command).backoff(quick());
    let lab = start(reconnect.deadline(Duration::from_millis(20)));
    wait_until("it was killed", || {
        connecting(&lab).is_some_and(|(_, error)| error.contains("it was killed"))
    });
    // There is no such program.
    let lab = start(Reconnect::to_program(Command::new("/nowhere/x")).backoff(backoff));
    let reason = ended(&lab).to_string();
    assert!(reason.contains("cannot run /nowhere/x"), "{reason}");
}
