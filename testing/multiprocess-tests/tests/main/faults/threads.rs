//! Threads of a context: capabilities that are not threads, too many threads, busy ones, and pools.

use std::net::Shutdown;

use multiprocess::{Error, Limits};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::generated::proxy_capnp::thread_map;
use multiprocess_tests::raw::{Cap, LAB, THREAD, THREAD_MAP, Target};
use multiprocess_tests::{pair_with, wait_until};

use super::{Bench, add, bench, bench_with, block, on_thread};

/// The words of C++, and what to look for.
const INVALID: &str = "invalid thread handle: what the caller named is no thread here (were ThreadMaps exchanged, by \
                       construct or a method such as initThreadMap, and did that call succeed?)";

#[test]
fn no_thread_and_no_pool() {
    let mut bench = bench();
    let lab = bench.lab();
    let text = bench.add(lab, &[]).exception();
    assert_eq!(text, "no thread specified and no pool configured");
    bench.assert_alive(lab);
}

#[test]
fn a_pool_serves_calls_that_name_no_thread() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    bench.make_pool(threads, 3).results();
    for _ in 0..10 {
        bench.add(lab, &[]).results();
    }
    // As many at once as it has threads, and the rest after.
    let blocks = [(); 5].map(|()| bench.peer.call(lab, (LAB, 11), &[], |c| block(c, "pool", &[])));
    wait_until("three run", || bench.server.blocked() == 3);
    bench.server.let_go("pool");
    for question in blocks {
        bench.peer.wait(question).results();
    }
    let text = bench.make_pool(threads, 3).exception();
    assert!(text.contains("pool already"), "{text}");
    bench.assert_alive(lab);
}

#[test]
fn pools_of_a_size_that_makes_no_sense() {
    for count in [0, 3000, u32::MAX] {
        let mut bench = bench();
        let lab = bench.lab();
        let threads = bench.thread_map(lab);
        bench.make_pool(threads, count).exception();
        bench.make_pool(threads, 2).results();
        bench.add(lab, &[]).results();
        bench.assert_alive(lab);
    }
}

#[test]
fn capabilities_that_are_not_threads() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let Target::Export(map) = threads else { unreachable!() };
    let counter = {
        let thread = bench.make_thread(threads).export();
        bench
            .peer
            .ask(lab, (LAB, 13), &[Cap::There(thread)], |content| {
                let params: lab::make_counter_params::Builder<'_> = content.init_as();
                on_thread(params.init_context(), &[Cap::There(thread)]);
            })
            .export()
    };
    let made_up = [
        Cap::Here(5),
        Cap::There(map),
        Cap::There(counter),
        Cap::There(9999),
        Cap::Answer(lab_question(lab)),
    ];
    for thread in made_up {
        let text = bench.add(lab, &[thread]).exception();
        assert_eq!(text, INVALID);
        bench.assert_alive(lab);
    }
}

fn lab_question(lab: Target) -> u32 {
    match lab {
        Target::Bootstrap(question) => question,
        _ => unreachable!(),
    }
}

#[test]
fn a_thread_that_never_resolves_holds_up_only_its_call() {
    let mut bench = bench();
    let lab = bench.lab();
    let caps = [Cap::Promise(3)];
    let question = bench.peer.call(lab, (LAB, 1), &caps, |content| add(content, 1, 2, &caps));
    bench.assert_alive(lab);
    // The end of the connection ends the call.
    bench.peer.finish(question);
    bench.assert_alive(lab);
    bench.peer.stream.shutdown(Shutdown::Both).unwrap();
    bench.assert_closed();
}

#[test]
fn a_call_on_a_thread_that_never_resolves_has_a_deadline() {
    let time = std::time::Duration::from_millis(50);
    let mut bench = bench_with(Limits::default().unknown_thread(time));
    let lab = bench.lab();
    let caps = [Cap::Promise(3)];
    let calls: Vec<_> = (0..20)
        .map(|_| bench.peer.call(lab, (LAB, 1), &caps, |content| add(content, 1, 2, &caps)))
        .collect();
    for call in calls {
        let refused = bench.peer.wait(call).exception();
        assert_eq!(refused, "the thread that the call names was not known within 50ms");
    }
    bench.assert_alive(lab);
}

/// A call that waits behind another on its thread is answered when it is cancelled, and not when the thread
/// reaches it: the one before it may take for ever.
#[test]
fn a_call_that_is_cancelled_in_its_queue_is_answered_at_once() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let caps = [Cap::There(bench.make_thread(threads).export())];
    let blocks = bench.peer.call(lab, (LAB, 11), &caps, |content| block(content, "busy", &caps));
    let queued = |bench: &mut Bench, sum| {
        bench.peer.call(lab, (LAB, 1), &caps, |content| add(content, sum, 0, &caps))
    };
    let (first, cancelled, last) =
        (queued(&mut bench, 1), queued(&mut bench, 2), queued(&mut bench, 3));
    wait_until("the thread is busy", || bench.server.is_blocked("busy"));
    bench.peer.finish(cancelled);
    assert_eq!(bench.peer.wait(cancelled).exception(), "canceled");
    assert!(bench.server.is_blocked("busy"));
    bench.server.let_go("busy");
    for answered in [blocks, first, last] {
        bench.peer.wait(answered).results();
    }
    // It has not run.
    assert_eq!(bench.server.sums(), [1, 3]);
    bench.assert_alive(lab);
}

#[test]
fn a_thread_is_used_by_its_maker() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let thread = bench.make_thread(threads).export();
    for _ in 0..3 {
        bench.add(lab, &[Cap::There(thread)]).results();
    }
    let used = bench.server.take_threads();
    assert!(used.len() == 3 && used.iter().all(|id| *id == used[0]));
    let name = bench.peer.ask(Target::Export(thread), (THREAD, 0), &[], |_| ()).results();
    drop(name);
    bench.peer.release(thread);
    let text = bench.add(lab, &[Cap::There(thread)]).exception();
    assert_eq!(text, INVALID);
    bench.assert_alive(lab);
}

#[test]
fn calls_on_one_thread_run_first_in_first_out() {
    for batch in [false, true] {
        let mut bench = bench();
        let lab = bench.lab();
        let threads = bench.thread_map(lab);
        let thread = Cap::There(bench.make_thread(threads).export());
        if batch {
            bench.peer.gather();
        }
        let first = bench.peer.call(lab, (LAB, 11), &[thread], |c| block(c, "first", &[thread]));
        let questions: Vec<_> = (0..100)
            .map(|i| bench.peer.call(lab, (LAB, 1), &[thread], |c| add(c, i, 0, &[thread])))
            .collect();
        if batch {
            bench.peer.send_gathered().unwrap();
        }
        wait_until("the first runs", || bench.server.is_blocked("first"));
        assert!(bench.server.sums().is_empty());
        bench.server.let_go("first");
        bench.peer.wait(first).results();
        for question in questions {
            bench.peer.wait(question).results();
        }
        assert_eq!(bench.server.sums(), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn calls_on_a_thread_that_is_not_there_yet_run_first_in_first_out() {
    let mut bench = bench();
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    bench.peer.gather();
    let made = bench.peer.call(threads, (THREAD_MAP, 0), &[], |content| {
        content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
    });
    let thread = Cap::Answer(made);
    let questions: Vec<_> = (0..100)
        .map(|i| bench.peer.call(lab, (LAB, 1), &[thread], |c| add(c, i, 0, &[thread])))
        .collect();
    bench.peer.send_gathered().unwrap();
    for question in questions {
        bench.peer.wait(question).results();
    }
    assert_eq!(bench.server.sums(), (0..100).collect::<Vec<_>>());
}

#[test]
fn too_many_threads_are_refused() {
    let limits = Limits::default().threads(20);
    let mut bench = bench_with(limits);
    let lab = bench.lab();
    let threads = bench.thread_map(lab);
    let made: Vec<_> = (0..20).map(|_| bench.make_thread(threads).export()).collect();
    for _ in 0..1980 {
        let text = bench.make_thread(threads).exception();
        assert_eq!(text, "more than 20 threads on one connection (Limits::threads)");
    }
    // The threads that were made serve calls, and a released one makes room for another.
    bench.add(lab, &[Cap::There(made[7])]).results();
    bench.peer.release(made[3]);
    let again = bench.make_thread(threads);
    drop(again);
    bench.assert_alive(lab);
}

#[test]
fn a_client_with_too_many_threads_is_told_so_and_goes_on_later() {
    let pair = pair_with(Limits::default().threads(2));
    let hold = |name: &'static str| {
        let lab = pair.lab.clone();
        std::thread::spawn(move || lab.block(name).wait())
    };
    let (one, other) = (hold("one"), hold("other"));
    wait_until("both run", || pair.server.blocked() == 2);
    for _ in 0..3 {
        let error = pair.lab.add(1, 2).wait().unwrap_err();
        assert!(matches!(error, Error::Overloaded { .. }), "{error}");
        let error = futures_executor::block_on(pair.lab.add(1, 2)).unwrap_err();
        assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    }
    for (name, thread) in [("one", one), ("other", other)] {
        pair.server.let_go(name);
        assert!(thread.join().unwrap().unwrap());
    }
    wait_until("there is room again", || pair.lab.add(1, 2).wait().is_ok());
    wait_until("there too", || futures_executor::block_on(pair.lab.add(1, 2)).is_ok());
}
