//! A call that is cancelled while it waits for its thread is answered at once, and not when the thread reaches
//! it. The calls around it are not touched.

use multiprocess_tests::{Pair, pair, wait_until};

/// More than there are threads for started calls.
const MANY: usize = 100;

#[test]
fn a_call_that_waits_behind_another_is_answered_at_once() {
    let Pair { server, serving, calling, lab } = &pair();
    let running: Vec<_> = (0..MANY).map(|_| lab.block("gate").start()).collect();
    wait_until("all have arrived", || serving.table_sizes()[1] >= MANY);
    let questions = || calling.table_sizes()[0];
    let before = questions();
    let first: Vec<_> = (0..10).map(|sum| lab.add(sum, 0).start()).collect();
    let cancelled: Vec<_> = (100..110).map(|sum| lab.add(sum, 0).start()).collect();
    let last: Vec<_> = (20..30).map(|sum| lab.add(sum, 0).start()).collect();
    assert_eq!(questions(), before + 30);
    drop(cancelled);
    // The peer answers those, as the gate is closed.
    std::thread::sleep(std::time::Duration::from_secs(2)); eprintln!("{before} {} {:?} {}", questions(), serving.table_sizes(), multiprocess::diagnostics::snapshot());
    wait_until("the cancelled calls are answered", || questions() == before + 20);
    assert!(server.blocked() < MANY, "some wait");
    assert!(server.sums().is_empty(), "and so do these");

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
