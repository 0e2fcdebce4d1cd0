//! Defects that reviews found: each would hang, spin, or end the process.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use multiprocess::{Connection, Error, Limits, Result};
use multiprocess_tests::generated::lab::{Callback, CallbackClient, Lab, LabClient};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{Cap, LAB, RawPeer, Target, cap};
use multiprocess_tests::{LONG, LabServer, pair, wait_until, within_time};

/// Between two connections: its method waits on the further one.
struct Between {
    far: LabClient,
}

impl Lab for Between {
    fn block(&self, name: String) -> Result<bool> {
        self.far.block(name).wait()
    }
}

/// A worker serves one connection and has the reader role of another, on which its method waits. When the
/// first one ends it must go on reading the second.
#[test]
fn a_worker_whose_connection_ended_still_waits_on_another() {
    let far = pair();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let between = LabClient::new(Between { far: far.lab.clone() });
    let serving = Connection::builder().serve(between).start(theirs).unwrap();
    let near = Connection::new(ours).unwrap();
    let lab: LabClient = near.bootstrap().unwrap();
    let caller = std::thread::spawn(move || lab.block("x").wait());
    wait_until("the far method runs", || far.server.is_blocked("x"));
    near.disconnect();
    wait_until("the near side has ended", || !serving.is_connected());
    assert!(matches!(caller.join().unwrap(), Err(Error::Disconnected { .. })));

    assert_eq!(far.lab.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    far.server.let_go("x");
    assert!(serving.drain(LONG), "the forwarded method has its answer");
}

/// The last handle on an object is dropped with the arguments of a call: its cleanup hook may make
/// calls.
#[test]
fn a_cleanup_hook_of_an_argument_may_call() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let (sum, hooked) = mpsc::channel();
    let lab = pair.lab.clone();
    counter.add_cleanup(move || sum.send(lab.add(1, 2).wait()).unwrap());
    let lab = pair.lab.clone();
    within_time(move || lab.read_counter(counter).wait()).unwrap();
    assert_eq!(hooked.recv_timeout(LONG).unwrap().unwrap(), 3);
}

/// A callback whose destructor calls.
struct CallsWhenDropped(LabClient, mpsc::Sender<Result<i32>>);

impl Callback for CallsWhenDropped {}

impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.add(1, 2).wait());
    }
}

#[test]
fn an_argument_that_cannot_be_sent_may_call_when_it_is_dropped() {
    let pair = pair();
    pair.calling.disconnect();
    let (sum, dropped) = mpsc::channel();
    let callback = CallbackClient::new(CallsWhenDropped(pair.lab.clone(), sum));
    let lab = pair.lab.clone();
    let held = within_time(move || lab.hold(Some(callback)).wait());
    assert!(matches!(held, Err(Error::Disconnected { .. })));
    assert!(matches!(dropped.recv_timeout(LONG).unwrap(), Err(Error::Disconnected { .. })));
}

/// A connection to a lab that is served, driven by hand.
fn raw() -> (LabServerAndConnection, RawPeer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    ((server, serving), RawPeer::new(ours))
}

type LabServerAndConnection = (std::sync::Arc<LabServer>, Connection);

fn ends_for_misbehaving(serving: &Connection) {
    wait_until("the connection is ended", || !serving.is_connected());
    let reason = serving.end_reason();
    assert!(matches!(reason, Some(Error::PeerMisbehaved { .. })), "{reason:?}");
    // This process lives, and serves others.
    assert_eq!(pair().lab.add(1, 2).wait().unwrap(), 3);
}

/// A call that is not answered before the connection ends: it calls back, and nobody answers that.
fn call_unanswered(peer: &mut RawPeer, bootstrap: u32) -> u32 {
    peer.call(Target::Bootstrap(bootstrap), (LAB, 8), &[Cap::Here(5)], |params| {
        let mut params = params.init_as::<lab::call_back_inline_params::Builder<'_>>();
        params.set_callback(cap());
        params.set_depth(1);
    })
}

fn add(peer: &mut RawPeer, target: Target) -> u32 {
    peer.call(target, (LAB, 2), &[], |params| {
        params.init_as::<lab::add_inline_params::Builder<'_>>();
    })
}

#[test]
fn a_long_chain_of_calls_on_calls_does_not_end_the_stack() {
    let ((_server, serving), mut peer) = raw();
    let bootstrap = peer.bootstrap();
    peer.gather();
    let mut question = call_unanswered(&mut peer, bootstrap);
    for _ in 0..5_000 {
        question = add(&mut peer, Target::Answer(question));
    }
    // All the others wait, but this one does not.
    let free = add(&mut peer, Target::Bootstrap(bootstrap));
    peer.send_gathered().unwrap();
    peer.wait(free).results();
    // They fail one after the other.
    drop(peer);
    wait_until("the connection is ended", || !serving.is_connected());
    assert_eq!(pair().lab.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn a_chain_of_more_calls_than_may_wait_ends_the_connection() {
    let ((_server, serving), mut peer) = raw();
    let bootstrap = peer.bootstrap();
    peer.gather();
    let mut question = call_unanswered(&mut peer, bootstrap);
    for _ in 0..10_000 {
        question = add(&mut peer, Target::Answer(question));
    }
    let _ = peer.send_gathered();
    ends_for_misbehaving(&serving);
}

#[test]
fn answers_that_are_never_finished_are_bounded() {
    let ((_server, serving), mut peer) = raw();
    for _ in 0..100 {
        peer.gather();
        for _ in 0..1_000 {
            peer.bootstrap();
        }
        if peer.send_gathered().is_err() {
            break;
        }
    }
    ends_for_misbehaving(&serving);
}

#[test]
fn no_deadline_for_a_message_is_a_choice() {
    let limits = Limits::default().partial_message(Duration::MAX);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let _serving =
        Connection::builder().limits(limits).serve(server.client()).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    // Larger than one read: it is partial for a while.
    assert_eq!(lab.bytes(vec![7; 1 << 20]).wait().unwrap().len(), 1 << 20);
}

/// Its `block` ignores cancelling, like Bitcoin Core's waits.
struct Stubborn {
    gate: mpsc::Receiver<()>,
}

/// Lets `block` return when it is dropped.
type Gate = mpsc::Sender<()>;

struct StubbornLab(std::sync::Mutex<Stubborn>);

impl Lab for StubbornLab {
    fn add(&self, a: i32, b: i32) -> Result<i32> {
        Ok(a + b)
    }

    fn block(&self, _name: String) -> Result<bool> {
        // One at a time holds the lock; the others wait for it.
        let stubborn = self.0.lock().unwrap();
        let _ = stubborn.gate.recv();
        Ok(true)
    }
}

fn stubborn() -> (Gate, Connection, LabClient) {
    let (gate, wait) = mpsc::channel();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let lab = LabClient::new(StubbornLab(std::sync::Mutex::new(Stubborn { gate: wait })));
    let serving = Connection::builder().serve(lab).start(theirs).unwrap();
    (gate, serving, Connection::new(ours).unwrap().bootstrap().unwrap())
}

/// A thread's call times out, and the peer goes on running it: the thread's next call does not wait
/// for that.
#[test]
fn a_wait_that_the_peer_does_not_cancel_holds_up_no_later_call_of_the_thread() {
    let (_gate, _serving, lab) = stubborn();
    for _ in 0..3 {
        let cut = lab.block("x").timeout(Duration::from_millis(20)).wait();
        assert!(matches!(cut, Err(Error::Timeout(_))));
        assert_eq!(lab.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    }
}

/// The same for futures, and many of them at the same time do not delay another one.
#[test]
fn waits_that_the_peer_does_not_cancel_hold_up_no_later_future() {
    let (_gate, _serving, lab) = stubborn();
    for _ in 0..3 {
        drop(lab.block("dropped").start());
        assert_eq!(futures_executor::block_on(lab.add(1, 2).timeout(LONG)).unwrap(), 3);
    }
    let waits: Vec<_> = (0..20).map(|_| lab.block("kept").start()).collect();
    assert_eq!(futures_executor::block_on(lab.add(1, 2).timeout(LONG)).unwrap(), 3);
    drop(waits);
}
