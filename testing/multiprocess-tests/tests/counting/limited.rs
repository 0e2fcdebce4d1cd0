//! The number of threads that a peer, or a program's own calls, can make the process have.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use multiprocess::{Error, Limit, Limits, ProcessLimits};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{Cap, LAB, THREAD_MAP, Target, cap};
use multiprocess_tests::{Relay, pair, pair_with, wait_until};

use super::{RawPeer, UnixStream, all_threads, alone, count};

/// A door that is shut until it is opened.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// A method without a Context that waits gives its place to another thread. Those count as well.
#[test]
fn calls_without_a_context_that_wait_take_threads_within_the_limit() {
    let _alone = alone();
    let pair = pair_with(Limits::default().threads(10));
    let before = all_threads().len();
    let (door, inside) = (Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)));
    let started: Vec<_> = (0..300)
        .map(|_| {
            let (door, inside) = (Arc::clone(&door), Arc::clone(&inside));
            let callback = Relay::client(move |_, _| {
                inside.fetch_add(1, Ordering::SeqCst);
                door.pass();
                Ok(1)
            });
            pair.lab.call_back_inline(callback, 1).start()
        })
        .collect();
    wait_until("as many wait as can", || inside.load(Ordering::SeqCst) >= 8);
    // On each side 10, and one that is always there.
    assert_stays_within(before + 2 * 11);
    door.open();
    let mut answered = 0;
    for call in started {
        match call.wait() {
            Ok(depth) => {
                assert_eq!(depth, 2);
                answered += 1;
            }
            // It has waited for a second, where this test takes so long.
            Err(error) => assert!(matches!(error, Error::Overloaded { .. }), "{error}"),
        }
    }
    assert!(answered >= 8, "{answered}");
    pair.assert_alive();
}

/// The number of threads does not go beyond this for a while.
#[track_caller]
fn assert_stays_within(threads: usize) {
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(2));
        assert!(all_threads().len() <= threads, "more than {threads}: {:?}", all_threads());
    }
}

/// The same in a pool of one thread, which a raw peer asked for.
#[test]
fn calls_in_a_pool_that_wait_take_threads_within_the_limit() {
    let _alone = alone();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = multiprocess_tests::LabServer::new();
    let _serving = multiprocess::Connection::builder()
        .limits(Limits::default().threads(10))
        .serve(server.client())
        .start(theirs)
        .unwrap();
    let mut peer = RawPeer::new(ours);
    let lab = Target::Bootstrap(peer.bootstrap());
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let map = Target::Export(map.export());
    use multiprocess_tests::generated::proxy_capnp::thread_map;
    let pool = peer.ask(map, (THREAD_MAP, 1), &[], |content| {
        content.init_as::<thread_map::make_pool_params::Builder<'_>>().set_count(1);
    });
    pool.results();
    let before = all_threads().len();
    // Their callbacks are never answered.
    for _ in 0..300 {
        peer.call(lab, (LAB, 7), &[Cap::Here(1)], |content| {
            let mut params: lab::call_back_params::Builder<'_> = content.init_as();
            params.set_callback(cap());
            params.set_depth(1);
            params.init_context();
        });
    }
    for _ in 0..8 {
        peer.find_call();
    }
    assert_stays_within(before + 11);
    pair().assert_alive();
}

/// Objects of the program's own: their started calls wait for their turn.
#[test]
fn started_calls_of_a_local_object_share_threads() {
    let _alone = alone();
    let lab = multiprocess_tests::LabServer::new();
    let client = lab.client();
    let before = all_threads().len();
    let calls: Vec<_> = (0..1000).map(|_| client.block("local").start()).collect();
    wait_until("as many run as can", || lab.blocked() >= 64);
    let more = all_threads().len() - before;
    assert!(more <= 64, "{more} threads more");
    lab.let_go("local");
    for call in calls {
        assert!(call.wait().unwrap());
    }
}

/// A process that cannot start a thread: calls that need one are refused and say so, and what has to
/// be done later is done when there are threads again.
#[test]
fn without_threads_calls_are_refused_and_cleanup_waits() {
    let _alone = alone();
    let pair = pair();
    pair.assert_alive();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    wait_until("idle pool threads have ended", || count("mp-pool") == 0);
    let mut none = ProcessLimits::default();
    none.threads = 0;
    none.set();
    // The thread of this one's calls is there already; another's has to be made.
    pair.assert_alive();
    let lab = pair.lab.clone();
    let refused = thread::spawn(move || lab.add(1, 2).wait()).join().unwrap().unwrap_err();
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    assert!(refused.to_string().contains("ProcessLimits::threads"), "{refused}");
    let refused = pair.lab.add_inline(1, 2).wait().unwrap_err();
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    let refused = pair.server.client().add(1, 2).start().wait().unwrap_err();
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    // An end that needs threads.
    drop((counter, pair.server.last()));
    let ended = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&ended);
    pair.serving.on_disconnect(move |_reason| noted.store(true, Ordering::SeqCst));
    pair.calling.disconnect();
    wait_until("it has ended", || !pair.serving.is_connected());
    assert!(!ended.load(Ordering::SeqCst));
    ProcessLimits::default().set();
    wait_until("the hook ran", || ended.load(Ordering::SeqCst));
    wait_until("the object is gone", || pair.server.counters() == 0);
    super::pair().assert_alive();
}

/// Messages that begin and do not end: together they hold so many bytes, and the oldest are given up.
#[test]
fn messages_that_have_begun_hold_a_bounded_number_of_bytes() {
    use std::io::Write;
    const MIB: usize = 1 << 20;
    let _alone = alone();
    let mut limits = ProcessLimits::default();
    limits.partial_bytes = 8 * MIB;
    limits.set();
    let (peers, mut servings): (Vec<_>, Vec<_>) = (0..10)
        .map(|_| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let serving = multiprocess::Connection::new(theirs).unwrap();
            // One segment of 3 MiB, of which two come.
            let table = [0, (3 * MIB as u32 / 8)].map(u32::to_le_bytes).concat();
            // It may be given up before all is written.
            let _ = ours.write_all(&[table, vec![0; 2 * MIB]].concat());
            (ours, serving)
        })
        .unzip();
    let newest = servings.pop().unwrap();
    wait_until("the oldest are given up", || servings[..6].iter().all(|one| !one.is_connected()));
    let Some(Error::PeerMisbehaved { problem, .. }) = servings[0].end_reason() else {
        panic!("{:?}", servings[0].end_reason())
    };
    assert!(problem.contains("(ProcessLimits::partial_bytes)"), "{problem}");
    assert!(newest.is_connected());
    // Whoever sends the whole message is served.
    let pair = pair();
    assert_eq!(pair.lab.bytes(vec![1; 4 * MIB]).wait().unwrap().len(), 4 * MIB);
    assert!(newest.is_connected());
    drop(peers);
    ProcessLimits::default().set();
}

/// What the calls of all connections hold has a bound, which one of them may reach for all.
#[test]
fn calls_of_all_connections_hold_a_bounded_number_of_bytes() {
    const MIB: usize = 1 << 20;
    let _alone = alone();
    let met = Limit::CallBytes.times_met();
    let mut limits = ProcessLimits::default();
    limits.call_bytes = 8 * MIB;
    limits.set();
    // A MiB of its own each, and of the shared eight some in steps: all of them together take two of 2 MiB
    // on each of three connections, and not two on each of ten.
    let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
    let name = "x".repeat(2 * MIB);
    let calls: Vec<_> =
        pairs[..3].iter().map(|pair| pair.lab.block(name.clone()).start()).collect();
    wait_until("they run", || pairs[..3].iter().all(|pair| pair.server.blocked() == 1));
    let more: Vec<_> = pairs.iter().map(|pair| pair.lab.block(name.clone()).start()).collect();
    // Small calls are served.
    pairs.iter().for_each(|pair| pair.assert_alive());
    let refused: Vec<_> = more
        .into_iter()
        .zip(&pairs)
        .filter_map(|(call, pair)| {
            wait_until("it runs or is refused", || {
                Limit::CallBytes.times_met() > met || pair.server.blocked() > 0
            });
            let error = call.timeout(Duration::from_millis(100)).wait().unwrap_err();
            matches!(error, Error::Overloaded { .. }).then(|| error.to_string())
        })
        .collect();
    assert!(!refused.is_empty() && refused.len() < 10, "{} refused", refused.len());
    assert!(
        refused[0].contains("more than 8388608 bytes (ProcessLimits::call_bytes)"),
        "{refused:?}"
    );
    assert!(Limit::CallBytes.times_met() > met);
    for pair in &pairs {
        pair.server.let_go(&name);
    }
    for call in calls {
        assert!(call.wait().unwrap());
    }
    // All is given back: one connection has nearly all of it.
    wait_until("there is room again", || {
        pairs[5].lab.bytes(vec![1; 8 * MIB]).wait().is_ok_and(|data| data.len() == 8 * MIB)
    });
    drop(pairs);
    let pair = pair();
    wait_until("and again", || pair.lab.bytes(vec![1; 8 * MIB]).wait().is_ok());
    ProcessLimits::default().set();
}
