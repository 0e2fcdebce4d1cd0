//! The dump of what a process is doing: it finds the call that is stuck, on both sides, and what it waits for.
//! Both ends are in this process, beside those of other tests, so each looks at its own connections only.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::Connection;
use multiprocess::diagnostics::{CallNow, ConnectionNow, Inside, Snapshot, snapshot};
use multiprocess_tests::{Pair, pair, wait_until};

fn of<'a>(snapshot: &'a Snapshot, conn: &Connection) -> Option<&'a ConnectionNow> {
    snapshot.connections.iter().flatten().find(|found| found.number == conn.number())
}

/// Takes snapshots until one has what the lock of the connection guards.
fn inside(conn: &Connection) -> Inside {
    let mut found = None;
    wait_until("the connection is not busy", || {
        found = of(&snapshot(), conn).and_then(|found| found.inside.clone());
        found.is_some()
    });
    found.unwrap()
}

/// The one call of this method.
fn one<'a>(calls: &'a [CallNow], method: &str) -> Option<&'a CallNow> {
    let mut calls = calls.iter().filter(|call| call.method == method);
    let first = calls.next()?;
    assert!(calls.next().is_none(), "two of {method}");
    Some(first)
}

#[test]
fn a_stuck_call_is_found_on_both_sides() {
    let Pair { server, serving, calling, lab } = pair();
    calling.name_peer("the lab");
    let (stuck, begun) = (lab.clone(), Instant::now());
    let caller = thread::Builder::new().name("sticks".to_owned());
    let caller = caller.spawn(move || stuck.block("gate").wait()).unwrap();
    wait_until("it is blocked", || server.is_blocked("gate"));
    // So that its age is told from none. The call is older than this, by the coarse clock's step at most.
    let blocked = Instant::now();
    wait_until("it gets older", || blocked.elapsed() > Duration::from_millis(200));

    let (ours, theirs) = (inside(&calling), inside(&serving));
    let least = blocked.elapsed() / 2;
    let call = one(&ours.calls, "Lab.block").expect("this side's call");
    assert!(call.age >= least && call.age <= begun.elapsed() + Duration::from_secs(1), "{call:?}");
    assert!(call.thread.as_deref().unwrap().starts_with("sticks-"), "{call:?}");
    assert!(call.state.contains("a thread waits"), "{call:?}");
    let call = one(&theirs.serves, "Lab.block").expect("the peer's call");
    assert!(call.age >= least && call.age <= begun.elapsed() + Duration::from_secs(1), "{call:?}");
    // The peer names the thread for its own.
    assert!(call.thread.as_deref().unwrap().starts_with("sticks-"), "{call:?}");
    assert_eq!(call.state, "runs");
    assert_eq!(theirs.objects, 1, "the lab");

    let dump = snapshot();
    let text = dump.to_string();
    assert!(text.contains("to \"the lab\""), "{text}");
    for line in ["  calls Lab.block for ", "  serves Lab.block for "] {
        assert!(text.contains(line), "{text}");
    }
    let threads = dump.threads.expect("not busy");
    let (waits, runs) = (calling.number(), serving.number());
    let waits = threads.iter().find(|thread| thread.waits.iter().any(|work| work.0 == waits));
    let runs = threads.iter().find(|thread| thread.runs.iter().any(|work| work.0 == runs));
    assert!(!waits.expect("the thread that waits").own);
    assert!(runs.expect("the thread that runs it").own);
    assert!(
        threads.iter().any(|thread| thread.own && thread.name.starts_with("mp-driver-")),
        "{text}"
    );

    server.let_go("gate");
    assert!(caller.join().unwrap().unwrap());
    wait_until("it is gone", || inside(&serving).serves.is_empty());
    assert!(inside(&calling).calls.is_empty());
}

/// A waker that is nobody's, and not the one that wakes nobody.
struct Awake;

impl Wake for Awake {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn what_waits_says_for_what() {
    let Pair { server, serving, calling, lab } = pair();
    let mut future = pin!(lab.block("gate"));
    let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Awake))));
    assert!(matches!(polled, Poll::Pending));
    // More than the peer has threads for: 64 that calls name, and 64 of the pool for those that are made when it is
    // known that there is one.
    let started: Vec<_> = (0..199).map(|_| lab.block("gate").start()).collect();
    wait_until("all have arrived", || inside(&serving).serves.len() == 200);
    let ours = inside(&calling);
    let blocks = || ours.calls.iter().filter(|call| call.method == "Lab.block");
    let state = |what: &str| blocks().filter(|call| call.state.contains(what)).count();
    assert_eq!((state("a future waits"), state("nobody waits")), (1, 199), "{ours:?}");

    let mut counts = (0, 0);
    wait_until("what can run does, and the rest says that it waits", || {
        let theirs = inside(&serving);
        let count =
            |what: &str| theirs.serves.iter().filter(|call| call.state.starts_with(what)).count();
        counts = (count("runs"), count("waits for its turn"));
        counts.0 == server.blocked() && counts.1 > 0
    });
    assert_eq!(counts.0 + counts.1, 200);
    server.let_go("gate");
    for call in started {
        assert!(call.wait().unwrap());
    }
}

#[test]
fn a_connection_that_has_gone_is_not_shown() {
    let Pair { serving, calling, lab, .. } = pair();
    let (ours, theirs) = (calling.number(), serving.number());
    assert!(of(&snapshot(), &calling).is_some());
    serving.disconnect();
    assert!(of(&snapshot(), &serving).unwrap().ended.as_deref().unwrap().contains("this side"));
    drop((serving, calling, lab));
    wait_until("both are gone", || {
        let all = snapshot().connections;
        all.is_some_and(|all| all.iter().all(|conn| ![ours, theirs].contains(&conn.number)))
    });
}
