//! Calls that futures wait for, on any executor; deadlines; cancelling.

use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;
use multiprocess::Error;
use multiprocess_tests::{Pair, Relay, pair, wait_until};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn awaiting_needs_no_runtime() {
    let pair = pair();
    block_on(async {
        assert_eq!(pair.lab.add(1, 2).await.unwrap(), 3);
        assert_eq!(pair.lab.add_inline(1, 2).await.unwrap(), 3);
        assert!(matches!(pair.lab.fail("x").await, Err(Error::Remote { .. })));
    });
}

#[tokio::test]
async fn awaiting_on_tokio() {
    let pair = pair();
    assert_eq!(pair.lab.add(1, 2).await.unwrap(), 3);
    let lab = pair.lab.clone();
    let sum = tokio::spawn(async move { lab.add(3, 4).timeout(LONG).await });
    assert_eq!(sum.await.unwrap().unwrap(), 7);
    let counter = pair.lab.make_counter(1).await.unwrap();
    assert_eq!(counter.next().await.unwrap(), 1);
    counter.close().await.unwrap();
}

#[test]
fn sixty_four_in_flight() {
    let pair = pair();
    let sums = block_on(join_all((0..64).map(|i| pair.lab.add(i, 1))));
    for (i, sum) in (1..).zip(sums) {
        assert_eq!(sum.unwrap(), i);
    }
}

#[test]
fn callbacks_of_a_future() {
    let pair = pair();
    let callback = Relay::client(|lab, depth| lab.unwrap().add(depth, 10).wait());
    assert_eq!(block_on(pair.lab.call_back(callback, 5)).unwrap(), 15);
}

#[test]
fn a_thread_that_waited_too_long_cancels() {
    let Pair { server, lab, .. } = &pair();
    let error = lab.block("wait").timeout(SOON).wait().unwrap_err();
    assert!(matches!(&error, Error::Timeout(late) if late.after() == SOON), "{error}");
    // Cancelled before it ran, or while it did.
    wait_until("the server thread is free", || server.blocked() == 0);
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn a_deadline_fires_the_token_of_the_method() {
    let Pair { server, lab, .. } = &pair();
    // Started first, so that the method is known to run when the deadline passes.
    let mut timeout = Duration::from_millis(100);
    loop {
        let name = format!("{timeout:?}");
        let call = lab.block(&*name).timeout(timeout).start();
        let error = call.wait().unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        wait_until("the server thread is free", || server.blocked() == 0);
        if server.was_cancelled(&name) {
            return;
        }
        timeout *= 2;
    }
}

#[test]
fn a_future_that_waited_too_long_cancels() {
    let Pair { server, lab, .. } = &pair();
    let error = block_on(lab.block("await").timeout(Duration::from_millis(200))).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    wait_until("the server thread is free", || server.blocked() == 0);
    assert_eq!(block_on(lab.add(1, 2)).unwrap(), 3);
}

#[test]
fn a_deadline_that_does_not_pass_changes_nothing() {
    let pair = pair();
    assert_eq!(pair.lab.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    assert_eq!(block_on(pair.lab.add(1, 2).timeout(LONG)).unwrap(), 3);
    assert_eq!(pair.lab.add(1, 2).timeout(Duration::MAX).wait().unwrap(), 3);
    assert_eq!(block_on(pair.lab.add(1, 2).timeout(Duration::MAX)).unwrap(), 3);
}

#[test]
fn dropping_a_call_cancels_it() {
    let Pair { server, lab, .. } = &pair();
    let call = lab.block("dropped").start();
    wait_until("it runs", || server.is_blocked("dropped"));
    drop(call);
    wait_until("its token fired", || server.was_cancelled("dropped"));
    assert_eq!(block_on(lab.add(1, 2)).unwrap(), 3);
}

#[test]
fn dropping_a_polled_future_cancels_it() {
    let Pair { server, lab, .. } = &pair();
    block_on(async {
        let call = lab.block("polled");
        let other = async {
            wait_until("it runs", || server.is_blocked("polled"));
        };
        futures_util::pin_mut!(other);
        let futures_util::future::Either::Right(_) =
            futures_util::future::select(call, other).await
        else {
            panic!("nobody released it");
        };
    });
    wait_until("its token fired", || server.was_cancelled("polled"));
}

#[test]
fn start_then_wait() {
    let Pair { server, lab, .. } = &pair();
    let call = lab.block("started").start();
    wait_until("it runs", || server.is_blocked("started"));
    lab.release("started").wait().unwrap();
    assert!(call.wait().unwrap());
    // Answered long before it is waited for.
    let call = lab.add(7, 1).start();
    wait_until("it ran", || server.sums() == [7]);
    assert_eq!(call.wait().unwrap(), 8);
    let call = lab.add(8, 1).start();
    assert_eq!(block_on(call).unwrap(), 9);
}

#[test]
fn a_call_can_be_awaited_by_another_task_than_the_one_that_began_it() {
    let Pair { server, lab, .. } = &pair();
    let mut call = Box::pin(lab.block("moved"));
    assert!(block_on(async { futures_util::poll!(&mut call) }).is_pending());
    wait_until("it runs", || server.is_blocked("moved"));
    let waiting = std::thread::spawn(move || block_on(call));
    server.let_go("moved");
    assert!(waiting.join().unwrap().unwrap());
}
