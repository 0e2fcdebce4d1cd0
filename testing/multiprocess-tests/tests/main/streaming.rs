//! Streaming calls: their order, their window, their errors, their end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;
use multiprocess::Error;
use multiprocess_tests::generated::flow::{ListenerClient, SinkClient};
use multiprocess_tests::{SinkPair, sink, sink_before, sink_of_futures, wait_until, within_time};

/// As the documentation of `Call` has it.
const CALLS: usize = 64;
const WINDOW: usize = 256 << 10;
const SOON: Duration = Duration::from_millis(20);

fn is_unlucky(error: &Error) -> bool {
    matches!(error, Error::Remote { message, .. } if message.contains("is unlucky"))
}

/// How many calls of this many bytes return on a thread of their own while none is answered. The
/// thread ends when they are.
fn returned_while_shut(pair: &SinkPair, bytes: usize, most: u32) -> Arc<AtomicUsize> {
    let (sink, returned) = (pair.sink.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&returned);
    std::thread::spawn(move || {
        for number in 0..most {
            sink.write(number, vec![0; bytes]).wait().unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    returned
}

#[test]
fn the_order_of_a_thread_and_what_comes_after() {
    let pair = sink();
    for number in 0..1000 {
        pair.sink.write(number, []).wait().unwrap();
    }
    assert_eq!(pair.sink.done().wait().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn the_order_of_futures() {
    let pair = sink();
    block_on(async {
        for number in 0..1000 {
            pair.sink.write(number, vec![0; 2000]).await.unwrap();
        }
        let ends = join_all((1000..2000).map(|number| pair.sink.write(number, []))).await;
        ends.into_iter().for_each(|end| end.unwrap());
        assert_eq!(pair.sink.done().await.unwrap(), (0..2000).collect::<Vec<_>>());
    });
}

#[test]
fn the_order_of_threads_and_futures_that_take_turns() {
    let pair = sink();
    for number in 0..100 {
        let sink = pair.sink.clone();
        let write = move || sink.write(number, []);
        match number % 3 {
            0 => write().wait().unwrap(),
            1 => block_on(write()).unwrap(),
            _ => std::thread::spawn(move || write().wait().unwrap()).join().unwrap(),
        }
    }
    assert_eq!(pair.sink.done().wait().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn the_order_without_a_context_and_of_both() {
    let pair = sink();
    for number in 0..500 {
        pair.sink.note(number).wait().unwrap();
    }
    assert_eq!(pair.sink.count().wait().unwrap(), 500);
    assert_eq!(pair.sink.done().wait().unwrap(), (0..500).collect::<Vec<_>>());
}

#[test]
fn a_method_that_is_a_future_is_served_in_order() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let executor = runtime.handle().clone();
    let pair = sink_of_futures(move |task| drop(executor.spawn(task)));
    for number in 0..300 {
        pair.sink.write(number, []).wait().unwrap();
    }
    assert_eq!(pair.sink.done().wait().unwrap(), (0..300).collect::<Vec<_>>());
    pair.taken.fail_at(305);
    let last = (300..).find_map(|number| pair.sink.write(number, []).wait().err());
    assert!(is_unlucky(&last.unwrap()));
    assert!(is_unlucky(&pair.sink.done().wait().unwrap_err()));
    assert_eq!(pair.taken.numbers(), (0..305).collect::<Vec<_>>());
}

#[test]
fn a_full_window_of_calls_is_waited_for() {
    let pair = sink();
    pair.taken.shut();
    let returned = returned_while_shut(&pair, 0, 200);
    wait_until("the window is full", || returned.load(Ordering::SeqCst) == CALLS - 1);
    // A call that waits for room was sent; nothing more returns.
    let late = pair.sink.write(1000, []).timeout(SOON).wait().unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    assert_eq!(returned.load(Ordering::SeqCst), CALLS - 1);
    pair.taken.open();
    wait_until("all returned", || returned.load(Ordering::SeqCst) == 200);
    let mut expected: Vec<_> = (0..200).collect();
    expected.insert(CALLS, 1000);
    assert_eq!(pair.sink.done().wait().unwrap(), expected);
}

#[test]
fn a_full_window_of_bytes_is_waited_for() {
    let pair = sink();
    pair.taken.shut();
    // Each has more bytes than its data.
    let (bytes, most) = (WINDOW / 4, 5);
    let returned = returned_while_shut(&pair, bytes, 20);
    wait_until("the window is full", || returned.load(Ordering::SeqCst) + 1 >= most);
    let late = block_on(pair.sink.write(1000, []).timeout(SOON)).unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    assert!(returned.load(Ordering::SeqCst) < most);
    pair.taken.open();
    wait_until("all returned", || returned.load(Ordering::SeqCst) == 20);
}

#[test]
fn beside_a_call_larger_than_the_window_there_is_room() {
    let pair = sink();
    pair.taken.shut();
    pair.sink.write(0, vec![0; 4 * WINDOW]).wait().unwrap();
    pair.sink.write(1, []).wait().unwrap();
    pair.taken.open();
    assert_eq!(pair.sink.done().wait().unwrap(), [0, 1]);
}

#[test]
fn a_future_that_waits_for_room_is_woken() {
    let pair = sink();
    pair.taken.shut();
    let sink = pair.sink.clone();
    let writes = std::thread::spawn(move || {
        block_on(async {
            for number in 0..1000 {
                sink.write(number, []).await.unwrap();
            }
        });
    });
    pair.taken.open();
    writes.join().unwrap();
    assert_eq!(pair.sink.done().wait().unwrap().len(), 1000);
}

#[test]
fn an_error_ends_the_stream_for_every_call() {
    let pair = sink();
    pair.taken.fail_at(10);
    let failed = (0..).find_map(|number| pair.sink.write(number, []).wait().err());
    assert!(is_unlucky(&failed.unwrap()));
    assert!(is_unlucky(&pair.sink.write(0, []).wait().unwrap_err()));
    assert!(is_unlucky(&block_on(pair.sink.write(0, [])).unwrap_err()));
    assert!(is_unlucky(&pair.sink.done().wait().unwrap_err()));
    assert!(is_unlucky(&block_on(pair.sink.count()).unwrap_err()));
    assert!(is_unlucky(&pair.sink.again().pipelined().done().wait().unwrap_err()));
    // The calls that were sent before the error was known have not run.
    assert_eq!(pair.taken.numbers(), (0..10).collect::<Vec<_>>());
}

#[test]
fn an_error_is_told_by_the_call_that_ends_the_stream() {
    let pair = sink();
    pair.taken.fail_at(1);
    pair.taken.shut();
    for number in 0..3 {
        pair.sink.write(number, []).wait().unwrap();
    }
    // None of these calls was sent, whichever way they are waited for.
    let started = pair.sink.done().start();
    let counted = pair.sink.count().start();
    pair.taken.open();
    assert!(is_unlucky(&started.wait().unwrap_err()));
    assert!(is_unlucky(&block_on(counted).unwrap_err()));
    assert_eq!(pair.taken.numbers(), [0]);
}

#[test]
fn who_waits_for_room_learns_of_the_error() {
    let pair = sink();
    pair.taken.fail_at(0);
    pair.taken.shut();
    let writes: Vec<_> = (0..100).map(|number| pair.sink.write(number, []).start()).collect();
    pair.taken.open();
    let (mut well, mut failed) = (0, 0);
    for write in writes {
        match write.wait() {
            Ok(()) => well += 1,
            Err(error) => failed += usize::from(is_unlucky(&error)),
        }
    }
    // Calls that found room in the window have returned successfully: later calls report their failure.
    assert_eq!((well, failed), (CALLS - 1, 100 - (CALLS - 1)));
}

#[test]
fn closing_tells_the_error_and_ends_the_object() {
    let pair = sink();
    pair.taken.fail_at(1);
    pair.taken.shut();
    for number in 0..3 {
        pair.sink.write(number, []).wait().unwrap();
    }
    let close = pair.sink.close().start();
    pair.taken.open();
    assert!(is_unlucky(&close.wait().unwrap_err()));
    assert!(matches!(pair.sink.write(0, []).wait(), Err(Error::ApiMisuse { .. })));

    let pair = sink();
    pair.sink.write(0, []).wait().unwrap();
    pair.sink.close().wait().unwrap();
    assert_eq!(pair.taken.numbers(), [0]);
}

#[test]
fn closing_waits_for_the_stream_where_there_is_no_destroy() {
    let pair = sink();
    let plain = pair.flow.open_plain().wait().unwrap();
    plain.close().wait().unwrap();
    pair.taken.shut();
    for number in 0..10 {
        plain.write(number).wait().unwrap();
    }
    let close = plain.close().timeout(SOON);
    assert!(matches!(close.wait(), Err(Error::Timeout(_))));
    let close = plain.close();
    pair.taken.open();
    close.wait().unwrap();
    assert_eq!(pair.taken.numbers(), (0..10).collect::<Vec<_>>());
    block_on(plain.close()).unwrap();

    pair.taken.fail_at(11);
    for number in 10..13 {
        // The error may have come by the third.
        let _ = plain.write(number).wait();
    }
    assert!(is_unlucky(&plain.close().wait().unwrap_err()));
    assert!(is_unlucky(&block_on(plain.close()).unwrap_err()));
}

#[test]
fn closing_a_stream_ends_with_the_connection() {
    let pair = sink();
    let plain = pair.flow.open_plain().wait().unwrap();
    pair.taken.shut();
    plain.write(0).wait().unwrap();
    let close = plain.close();
    pair.serving.disconnect();
    assert!(close.wait().unwrap_err().is_disconnect());
    pair.taken.open();
}

#[test]
fn a_dropped_call_is_not_sent_or_not_cancelled() {
    let pair = sink();
    pair.taken.shut();
    drop(pair.sink.write(0, []));
    let sent: Vec<_> = (1..100).map(|number| pair.sink.write(number, []).start()).collect();
    drop(sent);
    pair.taken.open();
    assert_eq!(pair.sink.done().wait().unwrap(), (1..100).collect::<Vec<_>>());
}

#[test]
fn a_call_behind_the_stream_can_be_given_up() {
    let pair = sink();
    pair.taken.shut();
    pair.sink.write(0, []).wait().unwrap();
    let late = pair.sink.done().timeout(SOON).wait().unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    drop(pair.sink.done().start());
    pair.taken.open();
    assert_eq!(pair.sink.done().wait().unwrap(), [0]);
}

#[test]
fn a_handle_can_be_dropped_before_its_calls_run() {
    let SinkPair { taken, sink, calling, .. } = &mut sink();
    taken.shut();
    let handle = sink.again();
    drop(handle);
    let last = std::mem::replace(sink, SinkClient::new(Nothing));
    for number in 0..50 {
        last.write(number, []).wait().unwrap();
    }
    drop(last);
    taken.open();
    wait_until("all have run", || taken.numbers() == (0..50).collect::<Vec<_>>());
    assert!(calling.is_connected());
}

struct Nothing;

impl multiprocess_tests::generated::flow::Sink for Nothing {}

#[test]
fn the_end_of_the_connection_ends_the_stream() {
    let pair = sink();
    pair.taken.shut();
    let (sink, serving) = (pair.sink.clone(), pair.serving.clone());
    let writes = std::thread::spawn(move || {
        (0..).find_map(|number| sink.write(number, []).wait().err()).unwrap()
    });
    serving.disconnect();
    let error = within_time(move || writes.join().unwrap());
    assert!(error.is_disconnect(), "{error}");
    assert!(pair.sink.done().wait().unwrap_err().is_disconnect());
    pair.taken.open();
}

#[test]
fn callbacks_of_a_streaming_method_need_no_waiting_thread() {
    let pair = sink();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = ListenerClient::from_fn({
        let heard = Arc::clone(&heard);
        move |number| {
            heard.lock().unwrap().push(number);
            Ok(())
        }
    });
    for number in 0..50 {
        pair.sink.tell(number, listener.clone()).wait().unwrap();
    }
    // This thread is not waiting.
    wait_until("all have run", || pair.taken.numbers().len() == 50);
    assert_eq!(*heard.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[test]
fn objects_do_not_wait_for_each_other() {
    let (shut, open) = (sink(), sink());
    shut.taken.shut();
    shut.sink.write(0, []).wait().unwrap();
    open.sink.write(0, []).wait().unwrap();
    assert_eq!(open.sink.done().wait().unwrap(), [0]);
    shut.taken.open();
    assert_eq!(shut.sink.done().wait().unwrap(), [0]);
}

#[test]
fn a_stream_through_a_third_process() {
    let last = sink();
    let first = sink_before(last.sink.clone());
    for number in 0..500 {
        first.sink.write(number, []).wait().unwrap();
    }
    assert_eq!(first.sink.done().wait().unwrap(), (0..500).collect::<Vec<_>>());
    last.taken.fail_at(501);
    let failed = (500..).find_map(|number| first.sink.write(number, []).wait().err());
    assert!(is_unlucky(&failed.unwrap()));
    assert!(is_unlucky(&first.sink.done().wait().unwrap_err()));
    assert_eq!(last.taken.numbers(), (0..501).collect::<Vec<_>>());
}

#[test]
fn an_object_of_this_process_is_called_directly() {
    let local = SinkClient::new(Nothing);
    assert!(matches!(local.write(0, []).wait(), Err(Error::Unimplemented { .. })));
    assert!(matches!(block_on(local.write(0, [])), Err(Error::Unimplemented { .. })));
}
