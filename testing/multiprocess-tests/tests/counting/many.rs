//! Many connections to one server, and many handles on its objects: they cost no threads, and are
//! freed when they are dropped.
//!
//! The full sizes take too long to be run every time: `cargo test -p multiprocess-tests --test
//! counting many:: -- --ignored`

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use multiprocess::process::Listener;
use multiprocess::{Connection, Server};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::{LabServer, Watchdog, pair, wait_until};

use crate::{alone, count, descriptors, place, settled_descriptors, threads};

/// Far fewer than there are connections or handles. A peer decides how many objects it releases at
/// once; it must not decide how many threads that takes.
const MOST_POOL_THREADS: usize = 40;
const LONG: Duration = Duration::from_secs(60);

#[test]
fn idle_connections_cost_no_threads() {
    idle_connections(200);
}

#[test]
#[ignore = "the full size; see the top of the file"]
fn a_thousand_idle_connections_cost_no_threads() {
    idle_connections(1_000);
}

#[test]
fn many_handles_are_kept_and_dropped() {
    many_handles(10_000);
}

#[test]
#[ignore = "the full size; see the top of the file"]
fn a_hundred_thousand_handles_are_kept_and_dropped() {
    many_handles(100_000);
}

/// Raises the limit on descriptors for this many connections, both ends of which are in this
/// process. Returns how many there is room for.
fn make_room(connections: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let spare = descriptors() + 100;
    let needed = (2 * connections + spare) as u64;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed.min(most)), ..limit };
        setrlimit(Resource::Nofile, raised).expect("a soft limit may be raised to the hard one");
    }
    let room = ((needed.min(most) as usize).saturating_sub(spare) / 2).min(connections);
    if room < connections {
        println!("only {room} connections: the hard limit of descriptors is {most} (ulimit -Hn)");
    }
    room
}

fn idle_connections(wanted: usize) {
    let _alone = alone();
    wait_until("the pool is idle", || count("mp-pool") == 0);
    let wanted = make_room(wanted);
    let watchdog = Watchdog::new(format!("{wanted} idle connections"), 1);
    let dir = place("many");
    let lab = LabServer::new();
    let listener = Listener::bind(&dir.join("s")).unwrap();
    let server = Server::builder().max_connections(wanted).start(listener, lab.client()).unwrap();
    let before = (threads().len(), settled_descriptors());

    let peers: Vec<(Connection, LabClient)> = (0..wanted)
        .map(|number| {
            watchdog.at(0, format!("connects {number}"));
            let calling = Connection::new(UnixStream::connect(server.path()).unwrap()).unwrap();
            // Once it is ready, the two sides have exchanged their ThreadMaps.
            let lab = calling.bootstrap_ready(LONG).unwrap();
            (calling, lab)
        })
        .collect();
    wait_until("all are served", || server.connections().len() == wanted);
    // Fewer, if threads of an earlier test were still counted before.
    assert!(threads().len() <= before.0, "{:?}", threads());
    assert!(descriptors() <= before.1 + 2 * wanted, "a socket for each end, and nothing else");

    // Some of the connections are called, and each of these then has its thread; the rest still
    // have none.
    let called: Vec<_> = peers.iter().step_by((wanted / 7).max(1)).collect();
    for (number, (_, lab)) in (0..).zip(&called) {
        watchdog.at(0, format!("calls {number}"));
        assert_eq!(lab.add(number, 1).wait().unwrap(), number + 1);
        assert_eq!(lab.add_inline(number, 1).wait().unwrap(), number + 1);
    }
    assert!(threads().len() <= before.0 + called.len(), "{:?}", threads());

    // Calls without a context run on pool threads, of which there are as many as run at once.
    for (_, lab) in &peers {
        assert_eq!(lab.add_inline(1, 2).wait().unwrap(), 3);
        watchdog.progress();
    }
    assert!(count("mp-pool") <= MOST_POOL_THREADS, "{} threads of the pool", count("mp-pool"));

    drop(called);
    drop(peers);
    wait_until("they are forgotten", || server.connections().is_empty());
    assert!(count("mp-pool") <= MOST_POOL_THREADS, "{} threads of the pool", count("mp-pool"));
    wait_until("as many threads as before", || threads().len() <= before.0);
    wait_until("as many descriptors as before", || descriptors() <= before.1);
    drop(server);
    let _ = std::fs::remove_dir_all(dir);
}

/// Handles on objects that the other side made. All of them are kept, and then dropped, some by
/// another thread.
fn many_handles(wanted: usize) {
    const CALLERS: usize = 4;
    let _alone = alone();
    let watchdog = Watchdog::new(format!("{wanted} handles"), CALLERS);
    let pair = pair();
    let each = wanted / CALLERS;
    let mut handles: Vec<Vec<_>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (watchdog, lab) = (&watchdog, &pair.lab);
                scope.spawn(move || {
                    let make = |number| {
                        watchdog.at(caller, format!("makes {number}"));
                        lab.make_counter(number as i64).wait().unwrap()
                    };
                    (0..each).map(make).collect()
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(pair.server.counters(), CALLERS * each);

    // They are different objects, and calls of them are as quick as with a few.
    for number in (0..each).step_by((each / 50).max(1)) {
        for mine in &handles {
            assert_eq!(mine[number].next().wait().unwrap(), number as i64);
        }
        watchdog.progress();
    }
    let elsewhere = handles.pop();
    let dropper = thread::spawn(move || drop(elsewhere));
    let kept = handles.pop();
    drop(handles);
    dropper.join().unwrap();
    watchdog.progress();
    wait_until("the dropped ones are dropped there", || pair.server.counters() == each);
    watchdog.progress();
    pair.assert_alive();
    // Idle threads stay for some seconds, so this counts all that were started.
    assert!(count("mp-pool") <= MOST_POOL_THREADS, "{} threads of the pool", count("mp-pool"));
    drop(kept);
    wait_until("all are dropped there", || pair.server.counters() == 0);
    wait_until("their hooks have run", || pair.server.uncleaned() == 0);
    pair.assert_alive();
}
