//! The end of an object: cleanup hooks on both sides, `close` and what it waits for, and what a
//! raw peer may send after a destroy.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use futures_executor::block_on;
use multiprocess::{Connection, Error, current_call};
use multiprocess_tests::generated::lab::CounterClient;
use multiprocess_tests::generated::lab_capnp::{counter, lab};
use multiprocess_tests::raw::{COUNTER, LAB, RawPeer, Target};
use multiprocess_tests::{LabServer, Pair, Relay, pair, wait_until};

#[test]
fn hooks_of_the_calling_side_run_with_the_last_handle() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in [1, 2, 3] {
        let order = Arc::clone(&order);
        counter.add_cleanup(move || order.lock().unwrap().push(number));
    }
    let other = counter.clone();
    drop(counter);
    assert!(order.lock().unwrap().is_empty());
    drop(other);
    assert_eq!(*order.lock().unwrap(), [3, 2, 1]);
}

#[test]
fn a_hook_that_panics_does_not_stop_the_others() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    for panics in [false, true, false] {
        let ran = Arc::clone(&ran);
        counter.add_cleanup(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            assert!(!panics, "as it was asked to");
        });
    }
    drop(counter);
    assert_eq!(ran.load(Ordering::SeqCst), 3);
    pair.assert_alive();
}

#[test]
fn hooks_of_the_serving_side_run_when_the_peer_lets_go() {
    let pair = pair();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let served = pair.server.last().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in [1, 2, 3] {
        let (order, server) = (Arc::clone(&order), Arc::clone(&pair.server));
        served.add_cleanup(move || {
            order.lock().unwrap().push((number, server.counters()));
            assert_ne!(number, 2, "as it was asked to");
        });
    }
    drop(served);
    assert_eq!(counter.next().wait().unwrap(), 1);
    assert!(order.lock().unwrap().is_empty());
    drop(counter);
    wait_until("the hooks ran", || order.lock().unwrap().len() == 3);
    // In reverse, after the destructor.
    assert_eq!(*order.lock().unwrap(), [(3, 0), (2, 0), (1, 0)]);
    pair.assert_alive();
}

#[test]
fn a_hook_can_make_calls() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let sum = Arc::new(AtomicUsize::new(0));
    let (lab, noted) = (pair.lab.clone(), Arc::clone(&sum));
    counter.add_cleanup(move || {
        noted.store(lab.add(1, 2).wait().unwrap() as usize, Ordering::SeqCst);
    });
    drop(counter);
    assert_eq!(sum.load(Ordering::SeqCst), 3);
}

#[test]
fn a_hook_that_blocks_holds_nobody_else_up() {
    let pair = pair();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let (entered, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (noted, opened) = (Arc::clone(&entered), Arc::clone(&gate));
    pair.server.last().unwrap().add_cleanup(move || {
        noted.store(true, Ordering::SeqCst);
        wait_until("opened", || opened.load(Ordering::SeqCst));
    });
    drop(counter);
    wait_until("the hook runs", || entered.load(Ordering::SeqCst));
    pair.assert_alive();
    let other = pair.lab.make_counter(1).wait().unwrap();
    other.close().wait().unwrap();
    gate.store(true, Ordering::SeqCst);
}

#[test]
fn close_returns_when_the_destructor_and_the_hooks_have_run() {
    let pair = pair();
    pair.server.keep_last();
    for round in 0..50 {
        let counter = pair.lab.make_counter(1).wait().unwrap();
        let served = pair.server.last().unwrap();
        let here = Arc::new(AtomicBool::new(false));
        let there = Arc::new(AtomicBool::new(false));
        for (handle, ran) in [(&counter, &here), (&served, &there)] {
            let ran = Arc::clone(ran);
            handle.add_cleanup(move || ran.store(true, Ordering::SeqCst));
        }
        drop(served);
        if round % 2 == 0 {
            counter.close().wait().unwrap();
        } else {
            block_on(counter.close()).unwrap();
        }
        assert_eq!(pair.server.counters(), 0);
        assert!(there.load(Ordering::SeqCst), "the serving side's hook");
        assert!(here.load(Ordering::SeqCst), "the calling side's hook");
    }
}

#[test]
fn a_call_after_close_is_an_error_of_that_call_alone() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let other = counter.clone();
    counter.close().wait().unwrap();
    for handle in [&counter, &other] {
        assert!(matches!(handle.next().wait(), Err(Error::ApiMisuse { .. })));
        assert!(matches!(block_on(handle.next()), Err(Error::ApiMisuse { .. })));
        let error = handle.split().pipelined().next().wait().unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    }
    pair.assert_alive();
}

#[test]
fn closing_twice_does_nothing_more() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    counter.close().wait().unwrap();
    counter.close().wait().unwrap();
    block_on(counter.clone().close()).unwrap();
    pair.assert_alive();
}

#[test]
fn a_close_that_is_not_waited_for_does_nothing() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    drop(counter.close());
    assert_eq!(counter.next().wait().unwrap(), 1);
}

#[test]
fn the_running_call_ends_before_the_object_does() {
    let pair = pair();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let cleaned = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&cleaned);
    pair.server.last().unwrap().add_cleanup(move || noted.store(true, Ordering::SeqCst));
    let closing = {
        let counter = counter.clone();
        move || counter.close().wait()
    };
    let hanging = counter.hang().start();
    wait_until("it runs", || pair.server.is_blocked("hang"));
    let closing = thread::spawn(closing);
    wait_until("closed", || counter.next().wait().is_err());
    pair.assert_alive();
    assert_eq!(pair.server.counters(), 1, "the object lives while its method runs");
    assert!(!cleaned.load(Ordering::SeqCst), "the hooks run after the destructor");
    pair.server.let_go("hang");
    hanging.wait().unwrap();
    closing.join().unwrap().unwrap();
    wait_until("the object is dropped", || pair.server.counters() == 0);
    wait_until("the hook ran", || cleaned.load(Ordering::SeqCst));
}

#[test]
fn an_object_that_the_peer_lets_go_of_outlives_its_running_call() {
    let pair = pair();
    pair.server.keep_last();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let cleaned = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&cleaned);
    pair.server.last().unwrap().add_cleanup(move || noted.store(true, Ordering::SeqCst));
    let hanging = counter.hang().start();
    wait_until("it runs", || pair.server.is_blocked("hang"));
    drop(counter);
    pair.assert_alive();
    assert_eq!(pair.server.counters(), 1);
    assert!(!cleaned.load(Ordering::SeqCst));
    pair.server.let_go("hang");
    hanging.wait().unwrap();
    wait_until("the object is dropped", || pair.server.counters() == 0);
    wait_until("the hook ran", || cleaned.load(Ordering::SeqCst));
}

#[test]
fn a_callback_can_close_the_object_whose_method_calls_it() {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let closed = counter.clone();
    let callback = Relay::client(move |_, depth| {
        closed.close().wait()?;
        Ok(depth)
    });
    assert_eq!(pair.lab.call_back(callback, 1).wait().unwrap(), 1);
    assert_eq!(pair.server.counters(), 0);
}

/// A raw peer with a counter of the lab's.
fn raw_counter(server: &LabServer) -> (Connection, RawPeer, u32) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = Connection::builder().serve(server.client()).start(theirs).unwrap();
    let mut peer = RawPeer::new(ours);
    let bootstrap = Target::Bootstrap(peer.bootstrap());
    // Without threads there is no context, so calls run on the lab's pool.
    let construct = peer.call(bootstrap, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    let threads = Target::Export(peer.wait(construct).export());
    let pool = (multiprocess_tests::raw::THREAD_MAP, 1);
    peer.ask(threads, pool, &[], |content| {
        let mut params: multiprocess_tests::generated::proxy_capnp::thread_map::make_pool_params::Builder<'_> =
            content.init_as();
        params.set_count(2);
    })
    .results();
    let counter = peer
        .ask(bootstrap, (LAB, 13), &[], |content| {
            content.init_as::<lab::make_counter_params::Builder<'_>>().init_context();
        })
        .export();
    (serving, peer, counter)
}

#[test]
fn a_second_destroy_on_the_wire_does_nothing_and_a_call_fails() {
    let server = LabServer::new();
    let (_serving, mut peer, counter) = raw_counter(&server);
    let counter = Target::Export(counter);
    for _ in 0..3 {
        peer.ask(counter, (COUNTER, 0), &[], |content| {
            content.init_as::<counter::destroy_params::Builder<'_>>().init_context();
        })
        .results();
        assert_eq!(server.counters(), 0);
    }
    let text = peer
        .ask(counter, (COUNTER, 1), &[], |content| {
            content.init_as::<counter::next_params::Builder<'_>>().init_context();
        })
        .exception();
    assert_eq!(text, "this Counter object was destroyed");
}

#[test]
fn two_destroys_at_once_on_the_wire() {
    let server = LabServer::new();
    let (_serving, mut peer, counter) = raw_counter(&server);
    let destroys = [(); 8].map(|()| {
        peer.call(Target::Export(counter), (COUNTER, 0), &[], |content| {
            content.init_as::<counter::destroy_params::Builder<'_>>().init_context();
        })
    });
    for destroy in destroys {
        peer.wait(destroy).results();
    }
    assert_eq!(server.counters(), 0);
}

/// Drops the last handle on a counter of the peer's, and waits until the peer has seen it and the
/// handle's own hook has run.
fn dropped_by(drop_it: impl FnOnce(&Pair, CounterClient)) {
    let pair = pair();
    let counter = pair.lab.make_counter(1).wait().unwrap();
    let cleaned = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&cleaned);
    counter.add_cleanup(move || noted.store(true, Ordering::SeqCst));
    drop_it(&pair, counter);
    wait_until("the hook ran", || cleaned.load(Ordering::SeqCst));
    wait_until("the peer has dropped it", || pair.server.counters() == 0);
    pair.assert_alive();
}

#[test]
fn the_last_handle_dropped_in_a_callback() {
    dropped_by(|pair, counter| {
        let last = Mutex::new(Some(counter));
        let callback = Relay::client(move |_, depth| {
            drop(last.lock().unwrap().take());
            Ok(depth)
        });
        assert_eq!(pair.lab.call_back(callback, 1).wait().unwrap(), 1);
    });
}

#[test]
fn the_last_handle_dropped_with_the_callback_that_holds_it() {
    dropped_by(|pair, counter| {
        let callback = Relay::client(move |_, depth| {
            let _held = &counter;
            Ok(depth)
        });
        pair.lab.hold(Some(callback)).wait().unwrap();
        pair.lab.hold(None).wait().unwrap();
    });
}

#[test]
fn the_last_handle_dropped_by_a_cancel_hook() {
    dropped_by(|pair, counter| {
        let last = Mutex::new(Some(counter));
        let entered = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&entered);
        let callback = Relay::client(move |lab, depth| {
            let counter = last.lock().unwrap().take();
            let token = current_call().unwrap().cancel_token();
            token.on_cancel(move || drop(counter));
            noted.store(true, Ordering::SeqCst);
            // The lab gives the callback up when this is over.
            lab.unwrap().block("cancel hook").wait().map(|_| depth)
        });
        let call = pair.lab.call_back(callback, 1).start();
        wait_until("it blocks", || pair.server.is_blocked("cancel hook"));
        assert!(entered.load(Ordering::SeqCst));
        drop(call);
        pair.server.let_go("cancel hook");
    });
}

#[test]
fn the_last_handle_dropped_by_another_handles_hook() {
    dropped_by(|pair, counter| {
        let other = pair.lab.make_counter(1).wait().unwrap();
        other.add_cleanup(move || drop(counter));
        other.close().wait().unwrap();
    });
}
