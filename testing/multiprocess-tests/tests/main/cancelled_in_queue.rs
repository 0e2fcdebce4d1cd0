//! A call that is cancelled while it waits for its thread is answered at once, and not when the thread reaches
//! it. The calls around it are not touched.

use multiprocess::Limits;
use multiprocess_tests::{Pair, pair_with, wait_until};

/// How many of a peer's threads run started calls.
const THREADS: usize = 64;

#[test]
fn a_call_that_waits_behind_another_is_answered_at_once() {
    let Pair { server, calling, lab, .. } = &pair_with(Limits::default());
    let running: Vec<_> = (0..THREADS).map(|_| lab.block("gate").start()).collect();
    wait_until("each thread has one", || server.blocked() == THREADS);
    let questions = || calling.table_sizes()[0];
    let before = questions();
    let first: Vec<_> = (0..10).map(|sum| lab.add(sum, 0).start()).collect();
    let cancelled: Vec<_> = (100..110).map(|sum| lab.add(sum, 0).start()).collect();
    let last: Vec<_> = (20..30).map(|sum| lab.add(sum, 0).start()).collect();
    assert_eq!(questions(), before + 30);
    drop(cancelled);
    // The peer answers those, as the gate is closed.
    wait_until("the cancelled calls are answered", || questions() == before + 20);
    assert_eq!(server.blocked(), THREADS);
    assert!(server.sums().is_empty());

    server.let_go("gate");
    for call in running {
        assert!(call.wait().unwrap());
    }
    for (sum, call) in (0..10).chain(20..30).zip(first.into_iter().chain(last)) {
        assert_eq!(call.wait().unwrap(), sum);
    }
    let mut sums = server.sums();
    sums.sort_unstable();
    assert_eq!(sums, (0..10).chain(20..30).collect::<Vec<_>>(), "the cancelled ones have not run");
}
