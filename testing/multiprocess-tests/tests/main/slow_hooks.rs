//! Destructors and hooks of the user's that take long: they delay nothing but each other.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use multiprocess::process::Listener;
use multiprocess::{Connection, Error, Limit, Limits, Result, Server};
use multiprocess_tests::generated::flow::{
    Flow, FlowClient, PlainSink, PlainSinkClient, SinkClient,
};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::generated::lab_capnp::{counter, lab};
use multiprocess_tests::raw::{self, COUNTER, Cap, LAB, RawPeer, Target};
use multiprocess_tests::{LONG, LabServer, pair, wait_until, within_time};

use super::listener::Place;

/// Hooks wait here until it is opened.
#[derive(Default)]
struct Door {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Door {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Gets this many counters of the lab and drops them, each with a hook in the server that waits.
fn drop_counters(server: &LabServer, lab: &LabClient, count: usize, door: &Arc<Door>) {
    server.keep_last();
    let counters: Vec<_> = (0..count)
        .map(|_| {
            let counter = lab.make_counter(1).wait().unwrap();
            let door = Arc::clone(door);
            server.last().unwrap().add_cleanup(move || door.pass());
            counter
        })
        .collect();
    drop(counters);
    wait_until("hooks wait", || door.waiting.load(Ordering::SeqCst) >= 4);
}

#[test]
fn hooks_that_wait_keep_no_place_of_a_listener() {
    let place = Place::new();
    let lab = LabServer::new();
    let listener = Listener::bind(&place.socket()).unwrap();
    let server = Server::builder().max_connections(3).start(listener, lab.client()).unwrap();
    let connect = || {
        let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
        let lab: LabClient = calling.bootstrap().unwrap();
        (calling, lab)
    };
    let (slow, slow_lab) = connect();
    let door = Arc::new(Door::default());
    drop_counters(&lab, &slow_lab, 40, &door);
    // With its connection, while other hooks wait.
    slow.disconnect();
    for round in 0..12 {
        let (calling, lab) = connect();
        assert_eq!(lab.add(round, 1).timeout(LONG).wait().unwrap(), round + 1);
        calling.disconnect();
    }
    wait_until("all places are free", || server.connections().is_empty());
    door.open();
    wait_until("all hooks have run", || lab.counters() == 0 && lab.uncleaned() == 0);
}

/// Objects whose end was requested while a call of theirs ran: it takes place when that has ended, on a
/// thread of their own connection.
#[test]
fn delayed_ends_that_wait_delay_no_end_of_another_connection() {
    let serve = || {
        let server = LabServer::new();
        server.keep_last();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
        let mut peer = RawPeer::new(ours);
        let (lab, threads) = peer.lab_with_threads(8);
        (serving, server, peer, lab, threads)
    };
    // Calls `hang` on one thread and `destroy` on the other. Gives that call's number.
    let end_one = |server: &LabServer, peer: &mut RawPeer, lab: Target, threads: &[Cap]| {
        let counter = peer.ask(lab, (LAB, 13), &threads[..1], |content| {
            let params: lab::make_counter_params::Builder<'_> = content.init_as();
            params.init_context().set_thread(raw::cap());
        });
        let counter = Target::Export(counter.export());
        let before = server.blocked();
        peer.call(counter, (COUNTER, 3), &threads[..1], |content| {
            let params: counter::hang_params::Builder<'_> = content.init_as();
            params.init_context().set_thread(raw::cap());
        });
        wait_until("it hangs", || server.blocked() == before + 1);
        let made = server.last().unwrap();
        let destroyed = peer.call(counter, (COUNTER, 0), &threads[1..2], |content| {
            let params: counter::destroy_params::Builder<'_> = content.init_as();
            params.init_context().set_thread(raw::cap());
        });
        // When this is answered on the same thread, the end waits for the first call.
        peer.ask(lab, (LAB, 17), &threads[1..2], |content| {
            let params: lab::text_params::Builder<'_> = content.init_as();
            params.init_context().set_thread(raw::cap());
        });
        (made, destroyed)
    };
    let door = Arc::new(Door::default());
    let (_slow, server, mut slow, lab, threads) = serve();
    for pair in threads.chunks(2) {
        let (made, _) = end_one(&server, &mut slow, lab, pair);
        let door = Arc::clone(&door);
        made.add_cleanup(move || door.pass());
    }
    server.let_go("hang");
    wait_until("its hooks wait", || door.waiting.load(Ordering::SeqCst) == 4);
    let (_other, server, mut other, lab, threads) = serve();
    let (_, destroyed) = end_one(&server, &mut other, lab, &threads);
    server.let_go("hang");
    other.wait(destroyed).results();
    assert_eq!(door.waiting.load(Ordering::SeqCst), 4);
    door.open();
}

#[test]
fn hooks_that_wait_delay_no_other_hook_of_a_connection() {
    let (slow, other) = (pair(), pair());
    let door = Arc::new(Door::default());
    drop_counters(&slow.server, &slow.lab, 40, &door);
    let (told, tells) = mpsc::channel();
    for pair in [&slow, &other] {
        let told = told.clone();
        pair.serving.on_disconnect(move |_reason| told.send(()).unwrap());
        let serving = pair.serving.clone();
        let waits = thread::spawn(move || serving.wait_disconnected());
        pair.calling.disconnect();
        tells.recv_timeout(LONG).expect("the hook runs");
        within_time(move || waits.join().unwrap());
    }
    // Nor the objects of another connection.
    let third = pair();
    let counter = third.lab.make_counter(1).wait().unwrap();
    drop(counter);
    wait_until("it is gone", || third.server.counters() == 0);
    assert!(door.waiting.load(Ordering::SeqCst) >= 4);
    door.open();
    wait_until("all hooks have run", || slow.server.uncleaned() == 0);
}

/// Hooks for the end of the connection that wait: others run all the same, and who waits for the end
/// is told.
#[test]
fn hooks_for_the_end_that_wait_delay_no_others() {
    let pair = pair();
    let door = Arc::new(Door::default());
    let (told, tells) = mpsc::channel();
    for number in 0..4 {
        let (door, told) = (Arc::clone(&door), told.clone());
        pair.serving.on_disconnect(move |_reason| match number {
            0..3 => door.pass(),
            _ => told.send(()).unwrap(),
        });
    }
    pair.calling.disconnect();
    tells.recv_timeout(LONG).expect("the hook runs");
    let serving = pair.serving.clone();
    within_time(move || serving.wait_disconnected());
    door.open();
}

/// Opens objects without a destroy method, whose destructors wait.
struct Opens(Arc<Door>);

impl Flow for Opens {
    fn open_plain(&self) -> Result<PlainSinkClient> {
        Ok(PlainSinkClient::new(Slow(Arc::clone(&self.0))))
    }
}

struct Slow(Arc<Door>);

impl PlainSink for Slow {}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.pass();
    }
}

/// Says that it has begun, and opens an object when it is allowed to.
struct OpensLate(Arc<Door>, mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl Flow for OpensLate {
    fn open(&self) -> Result<SinkClient> {
        Err(Error::failed("as always"))
    }

    fn open_plain(&self) -> Result<PlainSinkClient> {
        self.1.send(()).unwrap();
        let _ = self.2.lock().unwrap().recv();
        Ok(PlainSinkClient::new(Slow(Arc::clone(&self.0))))
    }
}

/// The result of a call that was cancelled is given to nobody. That its destructor waits is nothing to the
/// thread that has run the call: it runs the caller's next one.
#[test]
fn a_result_that_nobody_gets_holds_up_no_thread() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let door = Arc::new(Door::default());
    let ((begins, begun), (let_go, gate)) = (mpsc::channel(), mpsc::channel());
    let flow = FlowClient::new(OpensLate(Arc::clone(&door), begins, Mutex::new(gate)));
    let _serving = Connection::builder().serve(flow).start(theirs).unwrap();
    let flow: FlowClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let cancelled = flow.open_plain().start();
    begun.recv_timeout(LONG).unwrap();
    drop(cancelled);
    let_go.send(()).unwrap();
    wait_until("the destructor waits", || door.waiting.load(Ordering::SeqCst) == 1);
    let next = flow.open().timeout(LONG).wait().unwrap_err();
    assert!(matches!(next, Error::Remote { .. }), "{next}");
    assert_eq!(door.waiting.load(Ordering::SeqCst), 1);
    door.open();
}

/// A result that cannot be given has the last handle on its object. That the destructor waits is nothing to
/// the answer, which says why.
#[test]
fn a_result_that_cannot_be_given_holds_up_no_answer() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let door = Arc::new(Door::default());
    let flow = FlowClient::new(Opens(Arc::clone(&door)));
    // Some are for threads and the bootstrap object.
    let limits = Limits::default().objects(8);
    let _serving = Connection::builder().limits(limits).serve(flow).start(theirs).unwrap();
    let flow: FlowClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let mut held = Vec::new();
    let refused = loop {
        match flow.open_plain().timeout(LONG).wait() {
            Ok(object) => held.push(object),
            Err(error) => break error,
        }
        assert!(held.len() < 8, "as many as one likes");
    };
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    wait_until("the destructor waits", || door.waiting.load(Ordering::SeqCst) == 1);
    door.open();
}

/// A peer that makes and drops objects all the time piles up no destructors.
#[test]
fn destructors_that_wait_are_bounded_in_number() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let door = Arc::new(Door::default());
    let flow = FlowClient::new(Opens(Arc::clone(&door)));
    let limits = Limits::default().objects(20);
    let _serving = Connection::builder().limits(limits).serve(flow).start(theirs).unwrap();
    let flow: FlowClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    let (other, met) = (pair(), Limit::Objects.times_met());
    let mut made = 0;
    let refused = loop {
        match flow.open_plain().wait() {
            Ok(object) => drop(object),
            Err(error) => break error,
        }
        made += 1;
        assert!(made <= 100, "as many as one likes");
    };
    // Four destructors run, and the release of the last objects may not have been read.
    assert!(made >= 20, "{made}: {refused}");
    let Error::Overloaded { message, .. } = &refused else { panic!("{refused}") };
    assert!(message.contains("wait for their turn (Limits::objects)"), "{message}");
    assert!(Limit::Objects.times_met() > met);
    other.assert_alive();
    door.open();
    wait_until("calls are served again", || flow.open_plain().wait().is_ok());
}
