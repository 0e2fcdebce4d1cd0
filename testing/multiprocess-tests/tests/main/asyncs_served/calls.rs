//! Calls with and without a context, beside each other, cancelled, and with results that are changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;
use multiprocess::Error;
use multiprocess_tests::generated::waits::WaitsClient;
use multiprocess_tests::wait_until;

use super::{LONG, Served, Server, served, spawn_on_tokio, tokio_runtime};

#[test]
fn calls_with_and_without_a_context() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
    assert_eq!(waits.add_inline(3, 4).wait().unwrap(), 7);
    assert_eq!(block_on(waits.add(5, 6)).unwrap(), 11);
    assert_eq!(block_on(waits.add_inline(5, 6)).unwrap(), 11);
    assert_eq!(*seen.calls.lock().unwrap(), [true, true], "current_call()");
    let error = waits.thread_name().wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[tokio::test]
async fn one_thread_is_enough_for_a_program() {
    let Served { waits, .. } = &served();
    assert_eq!(waits.add(1, 2).await.unwrap(), 3);
    let sums = join_all((0..100).map(|i| waits.add(i, 1))).await;
    for (i, sum) in (1..).zip(sums) {
        assert_eq!(sum.unwrap(), i);
    }
}

#[test]
fn calls_of_one_thread_run_beside_each_other() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    // More than the peer makes threads for.
    let calls: Vec<_> = (0..1000).map(|_| waits.wait("").start()).collect();
    wait_until("all run", || seen.waiting.load(Ordering::SeqCst) == 1000);
    assert_eq!(waits.add(1, 2).timeout(LONG).wait().unwrap(), 3);
    assert_eq!(block_on(waits.add(1, 2).timeout(LONG)).unwrap(), 3);
    waits.interrupt().wait().unwrap();
    for call in calls {
        assert!(call.wait().unwrap());
    }
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 0);
}

#[test]
fn a_cancelled_call_is_dropped() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, serving, .. } = &served();
    let gone = |count| {
        wait_until("it is dropped", || {
            seen.waiting.load(Ordering::SeqCst) == 0 && seen.dropped.load(Ordering::SeqCst) == count
        });
    };
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    drop(call);
    gone(1);
    let call = waits.wait("for ever").start().timeout(Duration::from_millis(200));
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    assert!(matches!(call.wait(), Err(Error::Timeout(_))));
    gone(2);
    assert!(serving.drain(LONG));
    for _ in 0..1000 {
        drop(waits.wait("for ever").start());
    }
    assert!(serving.drain(LONG));
    wait_until("all are gone", || seen.waiting.load(Ordering::SeqCst) == 0);
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn the_end_of_the_connection_drops_what_runs() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, serving, calling } = served();
    let call = waits.wait("for ever").start();
    wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
    calling.disconnect();
    assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    assert!(serving.drain(LONG));
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 1);
    drop((waits, serving, calling));
    wait_until("the object is dropped", || seen.ended.load(Ordering::SeqCst));
}

#[test]
fn a_panic_fails_only_its_call() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let error = waits.panics().wait().unwrap_err();
    let Error::Remote { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("panicked: as it was asked to"), "{message}");
    assert_eq!(waits.add(1, 2).wait().unwrap(), 3);
}

#[test]
fn results_are_adjusted_before_they_are_handed_out() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { waits, .. } = &served();
    let here = WaitsClient::new_async(Server(Arc::default()), spawn_on_tokio());
    for handle in [waits, &here] {
        let call = || handle.add(1, 2).adjust(|sum| *sum *= 10).adjust(|sum| *sum += 1);
        assert_eq!(call().wait().unwrap(), 31);
        assert_eq!(block_on(call()).unwrap(), 31);
        assert_eq!(call().start().wait().unwrap(), 31);
    }
    assert!(waits.thread_name().adjust(|_| panic!("there is none")).wait().is_err());
}
