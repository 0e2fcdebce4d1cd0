//! Which thread runs a call: one server thread for each calling thread, first in first out.

use std::collections::HashSet;
use std::thread;

use multiprocess_tests::{Pair, Relay, pair, wait_until};

#[test]
fn each_calling_thread_has_a_server_thread_of_its_own() {
    let pair = pair();
    let names = ["alice", "bob", "carol"].map(|name| {
        thread::scope(|scope| {
            let lab = &pair.lab;
            thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, move || {
                    let first = lab.thread_name().wait().unwrap();
                    for _ in 0..10 {
                        assert_eq!(lab.thread_name().wait().unwrap(), first);
                    }
                    first
                })
                .unwrap()
                .join()
                .unwrap()
        })
    });
    assert!(names[0].starts_with("alice-"), "{names:?}");
    assert!(names[1].starts_with("bob-"), "{names:?}");
    let threads = pair.server.take_threads();
    assert_eq!(threads.len(), 33);
    for of_one in threads.chunks(11) {
        assert!(of_one.iter().all(|id| *id == of_one[0]), "one server thread for one caller");
    }
    assert_eq!(threads.iter().collect::<HashSet<_>>().len(), 3);
}

#[test]
fn two_connections_have_a_server_thread_each() {
    let (one, other) = (pair(), pair());
    for pair in [&one, &other, &one, &other] {
        pair.assert_alive();
    }
    let (one, other) = (one.server.take_threads(), other.server.take_threads());
    assert_eq!(one[0], one[1]);
    assert_eq!(other[0], other[1]);
    assert_ne!(one[0], other[0]);
}

#[test]
fn calls_on_one_server_thread_run_in_the_order_of_their_arrival() {
    let Pair { server, lab, .. } = &pair();
    // A callback runs on the thread that waits. So its own calls arrive while the first one runs,
    // and the started ones use the threads of futures, one after the other.
    let blocked = lab.block("gate").start();
    wait_until("blocked", || server.is_blocked("gate"));
    let calls: Vec<_> = (0..64).map(|i| lab.add(i, 0).start()).collect();
    server.let_go("gate");
    assert!(blocked.wait().unwrap());
    for (i, call) in (0..).zip(calls) {
        assert_eq!(call.wait().unwrap(), i);
    }
    let mut sums = server.sums();
    sums.sort_unstable();
    assert_eq!(sums, (0..64).collect::<Vec<_>>());
}

#[test]
fn sixteen_threads_with_500_calls_each() {
    let pair = pair();
    thread::scope(|scope| {
        for number in 0..16 {
            let lab = pair.lab.clone();
            scope.spawn(move || {
                let callback = Relay::client(move |_, depth| Ok(depth + number));
                let counter = lab.make_counter(0).wait().unwrap();
                for i in 0..500 {
                    match i % 5 {
                        0 => assert_eq!(lab.add(i, number).wait().unwrap(), i + number),
                        1 => assert_eq!(lab.add_inline(i, number).wait().unwrap(), i + number),
                        2 => {
                            let sum = lab.call_back(callback.clone(), 1).wait().unwrap();
                            assert_eq!(sum, number + 1);
                        }
                        3 => assert_eq!(counter.next().wait().unwrap(), i64::from(i / 5)),
                        _ => {
                            let data = vec![number as u8; i as usize];
                            assert_eq!(lab.bytes(data.clone()).wait().unwrap(), data);
                        }
                    }
                }
            });
        }
    });
    pair.assert_alive();
    wait_until("the counters are dropped", || pair.server.counters() == 0);
}
