//! A relay: A calls B, which serves a handle on an object of C's. Results, errors and cancellation reach
//! the other end, and B goes on as before.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Result, current_call};
use multiprocess_tests::generated::lab::{CounterClient, Lab, LabClient};
use multiprocess_tests::{LONG, Pair, pair, wait_until};

/// The connections from A to B and from B to C, and C's object.
struct Chain {
    far: Pair,
    between: Connection,
    near: Connection,
    lab: LabClient,
}

fn chain() -> Chain {
    chain_of(|far| far)
}

/// `serve`: what B serves, given its handle on C's object.
fn chain_of(serve: impl FnOnce(LabClient) -> LabClient) -> Chain {
    let far = pair();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let between = Connection::builder().serve(serve(far.lab.clone())).start(theirs).unwrap();
    let near = Connection::new(ours).unwrap();
    let lab = near.bootstrap().unwrap();
    Chain { far, between, near, lab }
}

impl Chain {
    /// Asserts that nothing of the call is left, neither in B nor in C.
    #[track_caller]
    fn assert_over(&self, name: &str) {
        wait_until("its token fired in C", || self.far.server.was_cancelled(name));
        assert!(self.between.drain(LONG), "B's thread is free");
        assert!(self.far.serving.drain(LONG));
    }

    #[track_caller]
    fn assert_alive(&self) {
        assert_eq!(self.lab.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    }
}

#[test]
fn calls_come_through() {
    let chain = chain();
    chain.assert_alive();
    let counter: CounterClient = chain.lab.make_counter(5).wait().unwrap();
    assert_eq!(counter.next().wait().unwrap(), 5);
}

#[test]
fn a_dropped_call_is_cancelled_at_the_far_end() {
    let chain = chain();
    let call = chain.lab.block("dropped").start();
    wait_until("it runs in C", || chain.far.server.is_blocked("dropped"));
    drop(call);
    chain.assert_over("dropped");
    chain.assert_alive();
}

/// The same where B's object is one of its own whose method calls C.
#[test]
fn a_method_that_forwards_its_call_ends_with_it() {
    struct Forwards(LabClient);
    impl Lab for Forwards {
        fn add(&self, a: i32, b: i32) -> Result<i32> {
            self.0.add(a, b).wait()
        }
        fn block(&self, name: String) -> Result<bool> {
            current_call().expect("it serves a call").cascade();
            let outcome = self.0.block(name).wait();
            assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
            // The next wait too.
            assert!(matches!(self.0.block("next").wait(), Err(Error::Cancelled)));
            outcome
        }
    }
    let chain = chain_of(|far| LabClient::new(Forwards(far)));
    let call = chain.lab.block("dropped").start();
    wait_until("it runs in C", || chain.far.server.is_blocked("dropped"));
    drop(call);
    chain.assert_over("dropped");
    chain.assert_alive();
}

#[test]
fn a_deadline_cancels_at_the_far_end() {
    let chain = chain();
    for (name, blocking) in [("thread", true), ("future", false)] {
        let call = chain.lab.block(name).timeout(Duration::from_millis(100));
        let outcome = if blocking { call.wait() } else { block_on(call) };
        assert!(matches!(outcome, Err(Error::Timeout(_))), "{outcome:?}");
        if chain.far.server.is_blocked(name) || chain.far.server.was_cancelled(name) {
            chain.assert_over(name);
        }
        assert!(chain.between.drain(LONG), "B's thread is free");
    }
    chain.assert_alive();
}

/// A method that ignores cancelling runs on in C, but occupies no thread in B.
#[test]
fn the_relays_thread_does_not_wait_for_a_method_that_runs_on() {
    struct Deaf(std::sync::Arc<std::sync::Barrier>);
    impl multiprocess_tests::generated::lab::Lab for Deaf {
        fn release(&self, _name: String) -> multiprocess::Result<()> {
            self.0.wait();
            self.0.wait();
            Ok(())
        }
    }
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let object = LabClient::new(Deaf(std::sync::Arc::clone(&barrier)));
    let _serving = Connection::builder().serve(object).start(theirs).unwrap();
    let far: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let between = Connection::builder().serve(far).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let call = lab.release("").start();
    barrier.wait();
    drop(call);
    let free = between.drain(LONG);
    barrier.wait();
    assert!(free, "B's thread is free");
}

#[test]
fn the_end_of_the_callers_connection_cancels_at_the_far_end() {
    let chain = chain();
    let call = chain.lab.block("gone").start();
    wait_until("it runs in C", || chain.far.server.is_blocked("gone"));
    chain.near.disconnect();
    assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    chain.assert_over("gone");
    chain.far.assert_alive();
}

/// The connection between A and B stays: only the backend of that one call is lost.
#[test]
fn the_loss_of_the_far_end_is_a_disconnect_of_the_call() {
    let chain = chain();
    let call = chain.lab.block("lost").start();
    wait_until("it runs in C", || chain.far.server.is_blocked("lost"));
    chain.far.serving.disconnect();
    let outcome = call.timeout(LONG).wait();
    assert!(matches!(outcome, Err(Error::Disconnected { .. })), "{outcome:?}");
    assert!(chain.near.is_connected() && chain.between.is_connected());
    // Later calls fail in the same way.
    let outcome = chain.lab.add(1, 2).timeout(LONG).wait();
    assert!(matches!(outcome, Err(Error::Disconnected { .. })), "{outcome:?}");
    assert!(chain.near.is_connected() && chain.between.is_connected());
    assert!(chain.between.drain(LONG));
}

/// Through two relays.
#[test]
fn a_cancel_goes_through_two_relays() {
    let chain = chain();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let second = Connection::builder().serve(chain.lab.clone()).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let call = lab.block("two").start();
    wait_until("it runs in C", || chain.far.server.is_blocked("two"));
    drop(call);
    chain.assert_over("two");
    assert!(second.drain(LONG));
}

/// A relayed call returns a handle like any other: its calls can be cancelled as well.
#[test]
fn calls_of_what_a_relayed_call_returned() {
    let chain = chain();
    let counter = chain.lab.make_counter(1).wait().unwrap();
    let call = counter.hang().start();
    wait_until("it runs in C", || chain.far.server.is_blocked("hang"));
    drop(call);
    chain.assert_over("hang");
    assert_eq!(counter.next().wait().unwrap(), 1);
}
