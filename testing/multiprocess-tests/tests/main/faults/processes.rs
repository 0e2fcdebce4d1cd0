//! Faults of a whole process, each in a process of its own: no descriptor left, SIGPIPE, signals that
//! interrupt its system calls, and its end with handles left.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_executor::block_on;
use multiprocess::Connection;
use multiprocess::process::{Child, Command};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LONG, LabServer, Relay, pair, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::listener::Place;

const PROCESS: &str = env!("CARGO_BIN_EXE_lab-process");

#[test]
fn every_descriptor_that_cannot_be_had_is_an_error_and_nothing_else_ends() {
    let place = Place::new();
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_few-descriptors")])
        .arg(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let done: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "the first connection",
        "listening",
        "connecting",
        "starting a process",
        "starting a process",
        "threads without a descriptor",
    ];
    assert_eq!(done, expected, "{text}");
}

#[test]
fn writing_to_a_peer_that_does_not_read_raises_no_sigpipe() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_default-sigpipe")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "still there\n");
}

/// A process of this role; what it writes to standard error goes to a file.
fn start(role: &str, errors: &Path) -> (Child, std::os::unix::net::UnixStream) {
    let script = "errors=$1; shift; exec \"$@\" 2>\"$errors\"";
    Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .arg(errors)
        .arg(PROCESS)
        .arg(role)
        .spawn()
        .unwrap()
}

/// Sends SIGINT to every thread of a process, one after the other, until `stop`.
fn interrupt(process: u32, stop: &AtomicBool) {
    let tasks = format!("/proc/{process}/task");
    while !stop.load(Ordering::SeqCst) {
        let Ok(list) = fs::read_dir(&tasks) else { return };
        for task in list.filter_map(|task| task.ok()?.file_name().into_string().ok()) {
            // The kernel gives a signal that is sent to a thread's number to that thread, if it can.
            // The thread may have ended.
            let thread = task.parse().ok().and_then(Pid::from_raw);
            let _ = thread.map(|thread| kill_process(thread, Signal::INT));
        }
    }
}

struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does `work` while the process is interrupted. Asserts that it was, often.
fn interrupted<T>(child: &Child, errors: &Path, work: impl FnOnce() -> T) -> T {
    let lines = || fs::read_to_string(errors).map_or(0, |text| text.lines().count());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| interrupt(child.id(), &stop));
        // Also where the work panics.
        let _stops = Stops(&stop);
        wait_until("it is interrupted", || lines() > 10);
        let before = lines();
        let done = work();
        wait_until("it was interrupted meanwhile", || lines() > before + 10);
        done
    })
}

#[test]
fn a_server_whose_system_calls_are_interrupted_answers_as_always() {
    for role in ["serve-interrupted", "serve-interrupted-driver"] {
        let place = Place::new();
        let errors = place.path().join("errors");
        let (child, socket) = start(role, &errors);
        let calling = Connection::new(socket).unwrap();
        let lab: LabClient = calling.bootstrap().unwrap();
        // Its handler is there when it answers.
        assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
        interrupted(&child, &errors, || {
            for round in 0..100 {
                let sum = lab.add(round, 1).timeout(LONG).wait();
                assert_eq!(sum.unwrap(), round + 1);
                let sum = lab.add_inline(round, 1).timeout(LONG).wait();
                assert_eq!(sum.unwrap(), round + 1);
                let sum = block_on(lab.add(round, 1).timeout(LONG));
                assert_eq!(sum.unwrap(), round + 1);
                let callback = Relay::client(|lab, depth| lab.unwrap().add(depth, 10).wait());
                let called = lab.call_back(callback, 5).timeout(LONG).wait();
                assert_eq!(called.unwrap(), 15);
                let data = vec![7; round as usize * 20_000];
                assert!(lab.bytes(data.clone()).timeout(LONG).wait().unwrap() == data);
            }
        });
        drop((lab, calling));
        assert!(child.wait_timeout(LONG).unwrap().expect("it ends").success());
    }
}

#[test]
fn a_client_whose_system_calls_are_interrupted_gets_its_answers() {
    for role in ["call-interrupted", "call-interrupted-driver"] {
        let place = Place::new();
        let errors = place.path().join("errors");
        let (child, socket) = start(role, &errors);
        let other = pair();
        let server = LabServer::new();
        let serving = Connection::builder().serve(server.client()).start(socket).unwrap();
        wait_until("its handler is there", || !server.sums().is_empty());
        let stop = AtomicBool::new(false);
        let status = thread::scope(|scope| {
            scope.spawn(|| interrupt(child.id(), &stop));
            let status = child.wait_timeout(LONG);
            stop.store(true, Ordering::SeqCst);
            status
        });
        let said = fs::read_to_string(&errors).unwrap();
        assert!(status.unwrap().expect("it ends").success(), "{said}");
        assert!(said.lines().count() > 10, "it was not interrupted: {said}");
        wait_until("its end is seen", || !serving.is_connected());
        other.assert_alive();
    }
}

/// The last handles are dropped while the process ends, or not at all.
#[test]
fn a_process_ends_with_handles_left_and_a_call_under_way() {
    for role in ["return", "exit-in-callback"] {
        let other = pair();
        let (child, socket) = Command::new(PROCESS).arg(role).spawn().unwrap();
        let server = LabServer::new();
        let serving = Connection::builder().serve(server.client()).start(socket).unwrap();
        let status = child.wait_timeout(LONG).unwrap();
        assert!(status.expect("it ends").success(), "{role}: {status:?}");
        wait_until("its end is seen", || !serving.is_connected());
        assert!(serving.drain(LONG), "its calls are over");
        wait_until("its counter is dropped", || server.counters() == 0);
        other.assert_alive();
    }
}
