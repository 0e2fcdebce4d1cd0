//! The life of an object of this process, whichever handle it is closed through: after that, its
//! calls fail like those of a closed object of a peer, and its hooks run when it is gone, not
//! earlier.

use std::sync::{Arc, Mutex, mpsc};

use futures_executor::block_on;
use multiprocess::Result;
use multiprocess_tests::generated::life::{Guest, GuestClient, Plain, PlainClient};
use multiprocess_tests::generated::life_capnp::{guest, house};
use multiprocess_tests::raw::{Cap, Target, cap};
use multiprocess_tests::recorder::Outcome;
use multiprocess_tests::wait_until;

use super::{Bench, CALL, HOUSE, assert_misuse, bench, close};

/// What happened, in order.
type Log = Arc<Mutex<Vec<&'static str>>>;

struct Object {
    log: Log,
    /// A `wait` ends when the sender of this is dropped.
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Drop for Object {
    fn drop(&mut self) {
        self.log.lock().unwrap().push("destructor");
    }
}

impl Guest for Object {
    fn call(&self, number: i32) -> Result<i32> {
        self.log.lock().unwrap().push("call");
        Ok(number)
    }

    fn wait(&self) -> Result<bool> {
        self.log.lock().unwrap().push("wait");
        let _ = self.gate.lock().unwrap().recv();
        self.log.lock().unwrap().push("waited");
        Ok(true)
    }
}

impl Plain for Object {
    fn call(&self, number: i32) -> Result<i32> {
        Guest::call(self, number)
    }
}

fn object() -> (Object, Log, mpsc::Sender<()>) {
    let log = Log::default();
    let (gate, opened) = mpsc::channel();
    (Object { log: Arc::clone(&log), gate: Mutex::new(opened) }, log, gate)
}

fn guest() -> (GuestClient, Log, mpsc::Sender<()>) {
    let (object, log, gate) = object();
    let guest = GuestClient::new(object);
    let hooked = Arc::clone(&log);
    guest.add_cleanup(move || hooked.lock().unwrap().push("hook"));
    (guest, log, gate)
}

fn entries(log: &Log) -> Vec<&'static str> {
    log.lock().unwrap().clone()
}

#[test]
fn close_runs_the_destructor_and_then_the_hooks() {
    let (guest, log, _gate) = guest();
    let clone = guest.clone();
    assert_eq!(guest.call(1).wait().unwrap(), 1);
    guest.close().wait().unwrap();
    assert_eq!(entries(&log), ["call", "destructor", "hook"]);
    clone.close().wait().unwrap();
    drop((guest, clone));
    assert_eq!(entries(&log), ["call", "destructor", "hook"], "once");
}

#[test]
fn calls_fail_through_any_handle_as_those_of_a_closed_remote_object() {
    let mut bench = bench();
    let remote = bench.guest(7);
    let closing = close(&remote);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.join().unwrap().unwrap();
    let expected = assert_misuse(remote.call(1).wait());

    let (guest, log, _gate) = guest();
    let clone = guest.clone();
    let described = guest.call(1);
    guest.close().wait().unwrap();
    assert_eq!(assert_misuse(described.wait()), expected);
    for handle in [&guest, &clone] {
        assert_eq!(assert_misuse(handle.call(1).wait()), expected);
        assert_eq!(assert_misuse(block_on(handle.call(1))), expected);
        assert_eq!(assert_misuse(handle.call(1).start().wait()), expected);
        assert_eq!(assert_misuse(handle.wait().wait()), expected);
    }
    assert_eq!(entries(&log), ["destructor", "hook"], "none of them ran");
}

#[test]
fn a_running_call_ends_first() {
    let (guest, log, gate) = guest();
    let running = {
        let guest = guest.clone();
        std::thread::spawn(move || guest.wait().wait())
    };
    wait_until("it runs", || entries(&log) == ["wait"]);
    let closing = close(&guest);
    wait_until("it is closing", || guest.call(1).wait().is_err());
    assert!(!entries(&log).contains(&"destructor") && !entries(&log).contains(&"hook"));
    drop(gate);
    assert!(running.join().unwrap().unwrap());
    closing.join().unwrap().unwrap();
    let log = entries(&log);
    assert_eq!(log[log.len() - 3..], ["waited", "destructor", "hook"]);
    assert_eq!(log.iter().filter(|entry| **entry == "hook").count(), 1);
}

/// Without a close, dropping the last handle ends the object.
#[test]
fn dropping_the_last_handle_runs_the_destructor_and_then_the_hooks() {
    let (guest, log, _gate) = guest();
    let clone = guest.clone();
    drop(guest);
    assert_eq!(clone.call(1).wait().unwrap(), 1);
    drop(clone);
    assert_eq!(entries(&log), ["call", "destructor", "hook"]);
}

/// An object without `destroy` ends with its last handle: while it can be called, its hooks must
/// not run.
#[test]
fn the_hooks_of_an_object_without_destroy_wait_for_its_last_handle() {
    let (object, log, _gate) = object();
    let plain = PlainClient::new(object);
    let hooked = Arc::clone(&log);
    plain.add_cleanup(move || hooked.lock().unwrap().push("hook"));
    let clone = plain.clone();
    plain.close().wait().unwrap();
    if clone.call(1).wait().is_ok() {
        assert_eq!(entries(&log), ["call"], "it lives");
        drop((plain, clone));
    }
    let log = entries(&log);
    assert_eq!(log[log.len() - 2..], ["destructor", "hook"]);
}

/// A handle that a peer was given is closed as well.
#[test]
fn a_peer_cannot_call_it_any_more() {
    let mut bench = bench();
    let (guest, log, _gate) = guest();
    bench.hall.guests.lock().unwrap().push(guest.clone());
    let caps = [Cap::There(bench.thread)];
    let fetched = bench.recorder.peer.ask(bench.house, (HOUSE, 4), &caps, |content| {
        let params = content.init_as::<house::fetch_params::Builder<'_>>();
        params.init_context().set_thread(cap());
    });
    let export = Target::Export(fetched.export());
    let call = |bench: &mut Bench| {
        let question = bench.recorder.peer.call(export, CALL, &caps, |content| {
            let params = content.init_as::<guest::call_params::Builder<'_>>();
            params.init_context().set_thread(cap());
        });
        bench.recorder.return_of(question).1
    };
    assert!(matches!(call(&mut bench), Outcome::Results(_)));
    guest.close().wait().unwrap();
    assert_eq!(entries(&log), ["call", "destructor", "hook"], "gone although the peer has it");
    assert!(matches!(call(&mut bench), Outcome::Exception(..)));
    bench.assert_alive();
}

/// It waits for calls of the object only: other calls of the peer's that name the same thread do not run
/// within it.
#[test]
fn close_in_a_method_runs_no_other_calls() {
    let mut bench = bench();
    let hall = Arc::clone(&bench.hall);
    let (seen, guests) = mpsc::channel();
    bench.hall.then(move |_guest| {
        let (local, ..) = guest();
        local.close().wait()?;
        seen.send(hall.guests.lock().unwrap().len()).unwrap();
        Ok(0)
    });
    bench.recorder.peer.gather();
    let questions = [7, 8, 9].map(|export| bench.take(export));
    bench.recorder.peer.send_gathered().unwrap();
    for question in questions {
        bench.assert_results(question);
    }
    assert_eq!(guests.recv().unwrap(), 0);
    assert_eq!(bench.hall.guests.lock().unwrap().len(), 2);
}
