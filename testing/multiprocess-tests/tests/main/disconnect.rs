//! The end of a connection: calls that wait and later ones, the methods that run meanwhile, the
//! objects that were served, and hooks.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Limits};
use multiprocess_tests::generated::lab::{Lab, LabClient};
use multiprocess_tests::raw::RawPeer;
use multiprocess_tests::{LabServer, Pair, Relay, eventually, pair, pair_with, wait_until};

const LONG: Duration = Duration::from_secs(60);

fn assert_disconnected<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Disconnected { .. })), "{result:?}");
}

/// Makes calls that block in every possible way, then calls `end`, which ends the connection.
fn every_pending_call_ends(pair: Pair, end: impl FnOnce(&Pair)) {
    let Pair { server, lab, .. } = &pair;
    thread::scope(|scope| {
        let blocking = scope.spawn(|| lab.block("blocking").wait());
        let awaiting = scope.spawn(|| block_on(lab.block("awaiting")));
        let bounded = scope.spawn(|| lab.block("bounded").timeout(LONG).wait());
        let nested = scope.spawn(|| {
            let callback = Relay::client(|lab, _| {
                assert_disconnected(lab.unwrap().block("nested").wait());
                Ok(0)
            });
            lab.call_back(callback, 1).wait()
        });
        let started = lab.block("started").start();
        for name in ["blocking", "awaiting", "bounded", "nested", "started"] {
            wait_until(name, || server.is_blocked(name));
        }
        end(&pair);
        assert_disconnected(blocking.join().unwrap());
        assert_disconnected(awaiting.join().unwrap());
        assert_disconnected(bounded.join().unwrap());
        assert_disconnected(nested.join().unwrap());
        assert_disconnected(started.wait());
    });
    assert_disconnected(lab.add(1, 2).wait());
    assert_disconnected(block_on(lab.add(1, 2)));
    assert_disconnected(lab.add_inline(1, 2).wait());
    assert_disconnected(lab.make_counter(1).pipelined().next().wait());
    assert_disconnected(pair.calling.bootstrap::<LabClient>());
    assert!(!pair.calling.is_connected());
    assert!(matches!(pair.calling.end_reason(), Some(Error::Disconnected { .. })));
    for name in ["blocking", "awaiting", "bounded", "nested", "started"] {
        wait_until("its token fired", || server.was_cancelled(name));
    }
    assert!(pair.serving.drain(LONG));
    assert!(pair.calling.drain(LONG));
}

#[test]
fn by_the_serving_side() {
    every_pending_call_ends(pair(), |pair| pair.serving.disconnect());
}

#[test]
fn by_the_calling_side() {
    every_pending_call_ends(pair(), |pair| pair.calling.disconnect());
}

#[test]
fn by_both_at_once() {
    every_pending_call_ends(pair(), |pair| {
        thread::scope(|scope| {
            for connection in [&pair.calling, &pair.serving, &pair.calling, &pair.serving] {
                scope.spawn(|| connection.disconnect());
            }
        });
    });
}

#[test]
fn while_answers_wait_to_be_read() {
    for _ in 0..20 {
        let pair = pair();
        let calls: Vec<_> = (0..50).map(|i| pair.lab.bytes(vec![0; i * 100]).start()).collect();
        pair.serving.disconnect();
        for call in calls {
            match call.wait() {
                Ok(_) | Err(Error::Disconnected { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A lab whose `release` does not look at its token.
struct Stubborn {
    entered: Arc<AtomicBool>,
    gate: Arc<AtomicBool>,
    alive: Arc<()>,
}

impl Lab for Stubborn {
    fn release(&self, _name: String) -> multiprocess::Result<()> {
        self.entered.store(true, Ordering::SeqCst);
        wait_until("opened", || self.gate.load(Ordering::SeqCst));
        assert!(Arc::strong_count(&self.alive) > 1);
        Ok(())
    }
}

#[test]
fn a_served_object_lives_until_its_running_call_ends() {
    let (entered, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (cleaned, alive) = (Arc::new(AtomicBool::new(false)), Arc::new(()));
    let object = LabClient::new(Stubborn {
        entered: Arc::clone(&entered),
        gate: Arc::clone(&gate),
        alive: Arc::clone(&alive),
    });
    let (noted, counted) = (Arc::clone(&cleaned), Arc::clone(&alive));
    object.add_cleanup(move || {
        // The references of this hook and of the test; the object's is gone.
        assert_eq!(Arc::strong_count(&counted), 2, "the destructor runs first");
        noted.store(true, Ordering::SeqCst);
    });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(object).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let call = calling.bootstrap::<LabClient>().unwrap().release("").start();
    wait_until("it runs", || entered.load(Ordering::SeqCst));
    serving.disconnect();
    assert_disconnected(call.wait());
    assert!(!serving.drain(Duration::ZERO));
    // The objects of a connection that ended are dropped on a pool thread, and this hook runs
    // there, too.
    let (hooked, seen) = (Arc::new(AtomicBool::new(false)), Arc::clone(&cleaned));
    let noted = Arc::clone(&hooked);
    serving.on_disconnect(move |_reason| noted.store(true, Ordering::SeqCst));
    wait_until("the pool has run everything before", || hooked.load(Ordering::SeqCst));
    assert!(!seen.load(Ordering::SeqCst), "no hook runs before the method has ended");
    gate.store(true, Ordering::SeqCst);
    assert!(serving.drain(LONG));
    wait_until("cleaned up", || cleaned.load(Ordering::SeqCst));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn hooks_of_the_end_run_once_and_at_once_when_late() {
    let pair = pair();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = |connection: &Connection| {
        let ran = Arc::clone(&ran);
        connection.on_disconnect(move |_reason| {
            ran.fetch_add(1, Ordering::SeqCst);
        });
    };
    count(&pair.calling);
    count(&pair.serving);
    pair.serving.on_disconnect(|_reason| panic!("as it was asked to"));
    pair.calling.disconnect();
    wait_until("both ran", || ran.load(Ordering::SeqCst) == 2);
    count(&pair.calling);
    wait_until("it ran", || ran.load(Ordering::SeqCst) == 3);
    pair.calling.disconnect();
    pair.serving.disconnect();
    assert_eq!(ran.load(Ordering::SeqCst), 3);
}

#[test]
fn dropping_the_last_handle_ends_the_connection() {
    let Pair { serving, calling, lab, server } = pair();
    let counter = lab.make_counter(1).wait().unwrap();
    drop((lab, calling));
    assert_eq!(counter.next().wait().unwrap(), 1);
    drop(counter);
    wait_until("the peer sees it", || !serving.is_connected());
    wait_until("the counter is dropped", || server.counters() == 0);
}

#[test]
fn a_callback_that_is_kept_does_not_outlive_the_connection() {
    let pair = pair();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let callback = Relay::client(move |_, depth| {
        let _held = &held;
        Ok(depth)
    });
    pair.lab.hold(Some(callback)).wait().unwrap();
    let kept = pair.server.kept().unwrap();
    pair.calling.disconnect();
    wait_until("it is dropped", || Arc::strong_count(&alive) == 1);
    wait_until("the end is seen", || !pair.serving.is_connected());
    assert_disconnected(kept.call(None, 1).wait());
}

#[test]
fn the_caller_goes_while_it_is_called_back() {
    for _ in 0..20 {
        let Pair { server, serving, calling, lab } = pair();
        let entered = Arc::new(AtomicBool::new(false));
        let gate = Arc::new(AtomicBool::new(false));
        let (noted, opened) = (Arc::clone(&entered), Arc::clone(&gate));
        let callback = Relay::client(move |_, depth| {
            noted.store(true, Ordering::SeqCst);
            wait_until("opened", || opened.load(Ordering::SeqCst));
            Ok(depth)
        });
        let caller = thread::spawn({
            let lab = lab.clone();
            move || lab.call_back(callback, 1).wait()
        });
        wait_until("the callback runs", || entered.load(Ordering::SeqCst));
        calling.disconnect();
        drop((calling, lab));
        // The server's method ends at once, though the callback still runs.
        assert!(serving.drain(LONG));
        gate.store(true, Ordering::SeqCst);
        assert_disconnected(caller.join().unwrap());
        drop((serving, server));
    }
}

#[test]
fn a_connection_can_be_dropped_in_its_own_callback() {
    let Pair { serving, calling, lab, .. } = pair();
    let own = std::sync::Mutex::new(Some(calling));
    let callback = Relay::client(move |_, depth| {
        if let Some(calling) = own.lock().unwrap().take() {
            calling.disconnect();
        }
        Ok(depth)
    });
    assert_disconnected(lab.call_back(callback, 1).wait());
    assert!(serving.drain(LONG));
}

#[test]
fn a_method_can_disconnect_its_own_caller() {
    struct Rude;
    impl Lab for Rude {
        fn missing(&self) -> multiprocess::Result<()> {
            multiprocess::current_call().unwrap().connection().disconnect();
            Ok(())
        }
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(LabClient::new(Rude)).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    assert_disconnected(lab.missing().wait());
    assert!(serving.drain(LONG));
}

/// A served lab with a socket beside it that can be misused.
fn with_socket(end: impl FnOnce(&UnixStream)) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let other = ours.try_clone().unwrap();
    let server = LabServer::new();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let lab = calling.bootstrap().unwrap();
    every_pending_call_ends(Pair { server, serving, calling, lab }, |_| end(&other));
}

#[test]
fn half_close() {
    with_socket(|socket| socket.shutdown(Shutdown::Write).unwrap());
}

#[test]
fn the_other_half_close() {
    with_socket(|socket| socket.shutdown(Shutdown::Read).unwrap());
}

#[test]
fn eof_inside_a_message() {
    with_socket(|mut socket| {
        socket.write_all(&[0, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
    });
}

#[test]
fn reset() {
    // A unix socket that is closed with bytes unread resets the other end.
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let calling = Connection::new(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    let call = lab.add(1, 2).start();
    use std::io::Read;
    theirs.read_exact(&mut [0; 16]).unwrap();
    drop(theirs);
    assert_disconnected(call.wait());
    assert_disconnected(lab.add(1, 2).wait());
}

#[test]
fn tcp_reset() {
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let calling = Connection::new(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    let call = lab.add(1, 2).start();
    rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).unwrap();
    drop(theirs);
    assert_disconnected(call.wait());
}

#[test]
fn calls_over_tcp() {
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let server = LabServer::new();
    let _serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let lab: LabClient = Connection::new(ours).unwrap().bootstrap().unwrap();
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
    let data = vec![7; 8 << 20];
    assert!(lab.bytes(data.clone()).wait().unwrap() == data);
}

#[test]
fn a_bootstrap_that_nobody_answers_ends_in_time() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let calling = Connection::new(ours).unwrap();
    let ready = calling.bootstrap_ready::<LabClient>(Duration::from_millis(20));
    assert!(matches!(ready, Err(Error::Timeout(_))));
    let pair = pair();
    pair.calling.bootstrap_ready::<LabClient>(LONG).unwrap().add(1, 2).wait().unwrap();
    pair.serving.disconnect();
    assert_disconnected(pair.calling.bootstrap_ready::<LabClient>(LONG));
}

#[test]
fn a_peer_that_has_no_object_fails_the_bootstrap() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let _other = Connection::new(theirs).unwrap();
    let calling = Connection::new(ours).unwrap();
    let ready = calling.bootstrap_ready::<LabClient>(LONG);
    assert!(ready.is_err());
}

#[test]
fn the_side_that_does_not_read_is_let_go() {
    let pair = pair_with(Limits::default().unsent(1 << 20));
    // Nobody reads the far end of this one.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stalled = std::time::Duration::from_millis(200);
    let limits = Limits::default().unsent(1 << 20).stalled(stalled);
    let calling = Connection::builder().limits(limits).start(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    let calls: Vec<_> = (0..64).map(|_| lab.bytes(vec![0; 100_000]).start()).collect();
    assert!(eventually(|| !calling.is_connected()));
    for call in calls {
        let error = call.wait().unwrap_err();
        assert!(error.is_disconnect());
        assert!(error.to_string().contains("this side let it go"), "{error}");
    }
    drop(theirs);
    pair.assert_alive();
}

/// The reason is what the peer says with its last message, also where one thread reads that message and
/// another one reads the end of the stream or fails to write.
#[test]
fn the_peers_last_word_is_the_reason() {
    for round in 0..1000 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::new(ours).unwrap();
        let peer = thread::spawn(move || {
            let mut peer = RawPeer::new(theirs);
            // The other side may have gone on to write and fail.
            let _ = peer.send(|message| message.init_abort().set_reason("closed for the night"));
        });
        let error = connection
            .bootstrap::<LabClient>()
            .and_then(|lab| lab.add(1, 2).wait())
            .expect_err("nothing is served");
        assert!(error.to_string().contains("closed for the night"), "round {round}: {error}");
        peer.join().unwrap();
    }
}
