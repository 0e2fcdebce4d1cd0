//! Processes that are killed in the middle of a call: the other side's threads, descriptors and
//! objects are as they were before, and its other peers are still answered.

use std::sync::mpsc;
use std::thread;

use futures_executor::block_on;
use multiprocess::process::{Child, Command};
use multiprocess::{Connection, Error, Result};
use multiprocess_tests::generated::lab::{CallbackClient, Lab, LabClient};
use multiprocess_tests::{LONG, LabServer, Relay, pair, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::{alone, count, descriptors, settled_descriptors, threads};

const ROUNDS: usize = 5;

fn start(role: &str) -> (Child, std::os::unix::net::UnixStream) {
    Command::new(env!("CARGO_BIN_EXE_lab-process")).arg(role).spawn().unwrap()
}

fn kill(child: &Child) {
    use std::os::unix::process::ExitStatusExt;
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
}

/// Does `work` some times, and asserts that nothing is left of it.
fn assert_leaves_nothing(work: impl Fn()) {
    let _alone = alone();
    let other = pair();
    other.assert_alive();
    wait_until("the pool is idle", || count("mp-pool") == 0);
    let before = (threads().len(), settled_descriptors());
    for _ in 0..ROUNDS {
        work();
        other.assert_alive();
    }
    wait_until("as many threads as before", || threads().len() <= before.0);
    wait_until("as many descriptors as before", || descriptors() <= before.1);
}

/// The method waits, and looks at its token.
#[test]
fn a_client_that_is_killed_during_its_call_frees_the_servers_thread() {
    assert_leaves_nothing(|| {
        let (child, socket) = start("call");
        let server = LabServer::new();
        let serving = Connection::builder().serve(server.client()).start(socket).unwrap();
        wait_until("its call runs", || server.is_blocked("child"));
        kill(&child);
        wait_until("its token fired", || server.was_cancelled("child"));
        wait_until("the method has ended", || server.blocked() == 0);
        assert!(serving.drain(LONG));
        assert!(matches!(serving.end_reason(), Some(Error::Disconnected { .. })));
    });
}

/// Tells the test how its call of the callback ended.
struct Watching(mpsc::Sender<Result<i32>>, std::sync::Arc<LabServer>);

impl Lab for Watching {
    fn call_back(&self, callback: CallbackClient, depth: i32) -> Result<i32> {
        let called = callback.call(Some(self.1.client()), depth).wait();
        self.0.send(called.clone()).unwrap();
        called
    }
}

#[test]
fn a_client_that_is_killed_in_its_callback_fails_the_call_of_it() {
    assert_leaves_nothing(|| {
        let (child, socket) = start("be-called");
        let (tell, told) = mpsc::channel();
        let inner = LabServer::new();
        let lab = LabClient::new(Watching(tell, std::sync::Arc::clone(&inner)));
        let serving = Connection::builder().serve(lab).start(socket).unwrap();
        wait_until("its callback runs", || inner.is_blocked("in the callback"));
        kill(&child);
        let called = told.recv_timeout(LONG).unwrap();
        assert!(matches!(called, Err(Error::Disconnected { .. })), "{called:?}");
        assert!(inner.was_cancelled("in the callback"), "what the callback had called");
        assert!(serving.drain(LONG));
    });
}

#[test]
fn a_server_that_is_killed_during_calls_fails_them() {
    assert_leaves_nothing(|| {
        let (child, socket) = start("serve");
        let calling = Connection::new(socket).unwrap();
        let lab: LabClient = calling.bootstrap().unwrap();
        thread::scope(|scope| {
            let (sent, sends) = mpsc::channel();
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let sent = sent.clone();
                    let lab = &lab;
                    scope.spawn(move || {
                        let call = lab.block("killed").timeout(LONG).start();
                        sent.send(()).unwrap();
                        call.wait()
                    })
                })
                .collect();
            let future = scope.spawn(|| block_on(lab.block("killed").timeout(LONG)));
            callers.iter().for_each(|_| sends.recv().unwrap());
            // Killed while the server waits for this callback.
            let process = &child;
            let called = lab.call_back(killing(process.id()), 1).timeout(LONG).wait();
            let ends = callers.into_iter().map(|caller| caller.join().unwrap().map(i32::from));
            let future = future.join().unwrap().map(i32::from);
            for end in ends.chain([future, called, lab.add(1, 2).wait()]) {
                assert!(matches!(end, Err(Error::Disconnected { .. })), "{end:?}");
            }
        });
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    });
}

/// A callback that kills the process that calls it.
fn killing(process: u32) -> CallbackClient {
    Relay::client(move |_, depth| {
        let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        kill_process(process, Signal::KILL).unwrap();
        Ok(depth)
    })
}
