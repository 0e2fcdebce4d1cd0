//! A call that is cancelled while it waits for its thread is answered at once, and not when the thread reaches
//! it. The calls around it are not touched.

use multiprocess::Call;
use multiprocess_tests::{Pair, pair, wait_until};

/// More than there are threads for started calls.
const MANY: usize = 100;

/// Here each call names one of the peer's threads: it is not known yet whether the peer has a pool. If that
/// becomes known between the calls, the later ones do not wait, and it is tried again.
#[test]
fn a_call_that_waits_behind_another_is_answered_at_once() {
    let tried = (0..100).any(|_| {
        let pair = pair();
        let running = (0..MANY).map(|_| pair.lab.block("gate").start()).collect();
        cancel_some(&pair, running)
    });
    assert!(tried, "the pool was always known too early");
}

/// Here they name none: those that fill the pool, and those behind them.
#[test]
fn a_call_that_waits_for_a_pool_is_answered_at_once() {
    let pair = pair();
    let first: Vec<_> = (0..MANY).map(|_| pair.lab.block("gate").start()).collect();
    wait_until("it is known that there is a pool", || pair.serving.table_sizes()[1] == MANY);
    let more = (0..MANY).map(|_| pair.lab.block("gate").start());
    assert!(cancel_some(&pair, first.into_iter().chain(more).collect()));
}

/// `running`: what occupies all threads, and more. False if calls behind them have not waited.
fn cancel_some(Pair { server, serving, lab, .. }: &Pair, running: Vec<Call<bool>>) -> bool {
    let begun = running.len();
    let first: Vec<_> = (0..10).map(|sum| lab.add(sum, 0).start()).collect();
    let cancelled: Vec<_> = (100..110).map(|sum| lab.add(sum, 0).start()).collect();
    let last: Vec<_> = (20..30).map(|sum| lab.add(sum, 0).start()).collect();
    // The peer's questions that this side has not answered.
    let answers = || serving.table_sizes()[1];
    let ran = || !server.sums().is_empty();
    let arrived = || answers() == begun + 30 && server.blocked() > 0;
    wait_until("all have arrived", || arrived() || ran());
    drop(cancelled);
    // Although the gate is closed. One that runs shows that threads were free: also one whose turn came only
    // after all had arrived.
    wait_until("the cancelled calls are answered", || answers() == begun + 20 || ran());
    if ran() {
        server.let_go("gate");
        return false;
    }
    assert!(server.blocked() < begun, "some wait");

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
    true
}
