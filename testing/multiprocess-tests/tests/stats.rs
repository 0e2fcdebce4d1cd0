//! The statistics of calls: how often, how they ended, how long they took. They are the whole process's, so this is a
//! program of its own, and each test has methods of its own.

use std::pin::pin;
use std::sync::Once;
use std::task::{Context, Waker};
use std::time::Duration;

use multiprocess::stats::{self, MethodStats, Side};
use multiprocess_tests::{Pair, pair, wait_until};

/// A pair whose calls are counted.
fn counted() -> Pair {
    static START: Once = Once::new();
    START.call_once(|| {
        let Pair { lab, serving: _serving, .. } = pair();
        lab.bytes(vec![1]).wait().unwrap();
        assert!(stats::methods().is_empty(), "it is off");
        assert_eq!(stats::enabled_for(), None);
        stats::enable();
    });
    assert!(stats::enabled_for().is_some());
    pair()
}

fn find(method: &str, side: Side) -> Option<MethodStats> {
    stats::methods().into_iter().find(|it| it.method == method && it.side == side)
}

/// What was counted of a method, when so many of its calls have ended on both sides: called and served.
fn both(method: &str, calls: u64) -> [MethodStats; 2] {
    // The server notes the end after the answer.
    [Side::Called, Side::Served].map(|side| {
        let ended = || find(method, side).map_or(0, |it| it.calls());
        wait_until("they have ended", || ended() >= calls);
        let found = find(method, side).unwrap();
        assert_eq!(found.calls(), calls, "{found:?}");
        found
    })
}

/// Answered, failed, cancelled, timed out, lost.
fn ends(it: &MethodStats) -> [u64; 5] {
    [it.answered, it.failed, it.cancelled, it.timed_out, it.lost]
}

#[test]
fn calls_of_threads_and_futures_are_counted_on_both_sides() {
    let Pair { lab, serving: _serving, .. } = counted();
    for _ in 0..3 {
        lab.text("x".repeat(1000)).wait().unwrap();
    }
    futures_executor::block_on(lab.text("x".repeat(1000))).unwrap();
    for it in both("Lab.text", 4) {
        assert_eq!(ends(&it), [4, 0, 0, 0, 0]);
        for bytes in [it.parameter_bytes, it.result_bytes] {
            assert!((4_000..8_000).contains(&bytes), "{it:?}");
        }
        let latency = &it.latency;
        assert_eq!((latency.count(), latency.buckets().iter().sum()), (4, 4));
        assert!(latency.max() > Duration::ZERO && latency.sum() >= latency.max());
        assert_eq!(latency.quantile(1.0), latency.max());
    }
}

#[test]
fn errors_are_failures() {
    let Pair { lab, serving: _serving, .. } = counted();
    lab.fail("no").wait().unwrap_err();
    lab.missing().wait().unwrap_err();
    for method in ["Lab.fail", "Lab.missing"] {
        for it in both(method, 1) {
            assert_eq!((ends(&it), it.result_bytes), ([0, 1, 0, 0, 0], 0), "{it:?}");
        }
    }
}

/// Also in which time: a call counts for as long as its caller waited.
#[test]
fn calls_that_are_given_up_are_told_apart() {
    let soon = Duration::from_millis(1);
    let Pair { server, calling, lab, serving: _serving } = counted();
    lab.block("late").timeout(soon).wait().unwrap_err();
    let [called, served] = both("Lab.block", 1);
    assert_eq!((ends(&called), ends(&served)), ([0, 0, 0, 1, 0], [0, 0, 1, 0, 0]));
    assert!(called.latency.max() >= soon, "{called:?}");
    {
        let mut future = pin!(lab.block("gone"));
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        wait_until("it runs", || server.is_blocked("gone"));
    }
    let [called, served] = both("Lab.block", 2);
    assert_eq!((ends(&called), ends(&served)), ([0, 0, 1, 1, 0], [0, 0, 2, 0, 0]));
    let call = lab.block("lost").start();
    wait_until("it runs", || server.is_blocked("lost"));
    calling.disconnect();
    call.wait().unwrap_err();
    let [called, served] = both("Lab.block", 3);
    assert_eq!((ends(&called), ends(&served)), ([0, 0, 1, 1, 1], [0, 0, 2, 0, 1]));
}
