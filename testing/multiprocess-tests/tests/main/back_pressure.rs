//! Large calls and answers wait for room, and end nothing.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use multiprocess::{Call, Connection, Error, Limits, Result};
use multiprocess_tests::generated::lab::{Lab, LabAsync, LabClient};
use multiprocess_tests::generated::lab_capnp::lab;
use multiprocess_tests::raw::{LAB, RawPeer};
use multiprocess_tests::{
    LONG, LabServer, Relay, pair, pair_of, pair_with, wait_until, within_time,
};

const MIB: usize = 1 << 20;

/// Little room, so that little suffices to fill it.
fn narrow() -> Limits {
    Limits::default().message(2 * MIB).call_bytes(4 * MIB).unsent(4 * MIB)
}

#[test]
fn many_threads_with_large_calls_wait_for_room() {
    let pair = pair_with(narrow());
    thread::scope(|scope| {
        for number in 0..32 {
            let lab = &pair.lab;
            scope.spawn(move || {
                for _ in 0..4 {
                    let data = vec![number; MIB];
                    assert_eq!(lab.bytes(data.clone()).wait().unwrap(), data);
                }
            });
        }
    });
    pair.assert_alive();
}

#[test]
fn with_the_usual_limits_as_well() {
    let pair = pair();
    thread::scope(|scope| {
        for number in 0..64 {
            let lab = &pair.lab;
            scope.spawn(move || {
                let data = vec![number; 4 * MIB];
                assert_eq!(lab.bytes(data).wait().unwrap().len(), 4 * MIB);
            });
        }
    });
    pair.assert_alive();
}

#[test]
fn many_futures_with_large_calls_wait_for_room() {
    let pair = pair_with(narrow());
    let calls = (0..40).map(|number| pair.lab.bytes(vec![number; MIB]));
    let answers = futures_executor::block_on(join_all(calls));
    for (number, answer) in (0..).zip(answers) {
        assert_eq!(answer.unwrap(), vec![number; MIB]);
    }
    // Started, and waited for in another order; some are dropped while they wait.
    let mut started: Vec<_> =
        (0..40).map(|number| (number, pair.lab.bytes(vec![number; MIB]).start())).collect();
    started.retain(|(number, _)| number % 3 != 0);
    for (number, call) in started.into_iter().rev() {
        assert_eq!(call.wait().unwrap(), vec![number; MIB]);
    }
    pair.assert_alive();
}

/// A call that has no room ends in its time, and others go on.
#[test]
fn a_call_that_waits_for_room_keeps_its_deadline() {
    let pair = pair_with(narrow());
    let callbacks: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| {
            let lab = pair.lab.clone();
            // A large name, so that the room is taken until it is let go.
            let name = format!("{name}{}", "x".repeat(MIB + MIB / 3));
            (name.clone(), lab.block(name).start())
        })
        .collect();
    wait_until("they run", || pair.server.blocked() >= 2);
    let short = Duration::from_millis(50);
    let late = pair.lab.bytes(vec![1; 2 * MIB - 1000]).timeout(short).wait().unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    let late = pair.lab.bytes(vec![1; 2 * MIB - 1000]).timeout(short);
    let late = futures_executor::block_on(late).unwrap_err();
    assert!(matches!(late, Error::Timeout(_)), "{late}");
    // Small calls need no room.
    pair.assert_alive();
    for (name, call) in callbacks {
        pair.server.let_go(&name);
        assert!(call.wait().unwrap());
    }
    assert_eq!(pair.lab.bytes(vec![1; MIB]).wait().unwrap().len(), MIB);
}

/// A callback's own large call is not held up by the call that it serves.
#[test]
fn a_large_call_within_a_large_call_has_room() {
    let pair = pair_with(narrow());
    let lab = pair.lab.clone();
    let callback = Relay::client(move |_, _| {
        let data = vec![3; 2 * MIB - 1000];
        Ok(lab.bytes(data).wait()?.len() as i32)
    });
    let filling = pair.lab.block("x".repeat(2 * MIB - 1000)).start();
    wait_until("it runs", || pair.server.blocked() == 1);
    let (lab, sum) = (pair.lab.clone(), 2 * MIB as i32 - 999);
    assert_eq!(within_time(move || lab.call_back(callback, 1).wait()).unwrap(), sum);
    pair.server.let_go(&"x".repeat(2 * MIB - 1000));
    assert!(filling.wait().unwrap());
}

#[test]
fn a_message_that_is_too_large_fails_only_its_call() {
    let pair = pair_with(narrow());
    let waits = pair.lab.block("meanwhile").start();
    for _ in 0..3 {
        let error = pair.lab.bytes(vec![0; 2 * MIB]).wait().unwrap_err();
        let Error::ApiMisuse { problem, .. } = &error else { panic!("{error}") };
        assert!(
            problem.contains("2097152 is the limit of a message (Limits::message)"),
            "{problem}"
        );
        let error = futures_executor::block_on(pair.lab.bytes(vec![0; 2 * MIB])).unwrap_err();
        assert!(matches!(error, Error::ApiMisuse { .. }), "{error}");
    }
    pair.server.let_go("meanwhile");
    assert!(waits.wait().unwrap());
    pair.assert_alive();
}

/// A peer that asks for a lot and reads slowly gets everything; meanwhile this side holds little.
#[test]
fn answers_wait_for_a_slow_reader() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = LabServer::new();
    let serving =
        Connection::builder().limits(narrow()).serve(server.client()).start(theirs).unwrap();
    let other = pair();
    let mut peer = RawPeer::new(ours);
    let (lab, threads) = peer.lab_with_threads(20);
    let calls: Vec<_> = threads
        .iter()
        .map(|thread| {
            peer.call(lab, (LAB, 16), &[*thread], |content| {
                let mut params: lab::bytes_params::Builder<'_> = content.init_as();
                params.set_data(&vec![7; MIB]);
                params.init_context().set_thread(multiprocess_tests::raw::cap());
            })
        })
        .collect();
    // They have been read, and their answers do not fit.
    thread::sleep(Duration::from_millis(200));
    assert!(serving.is_connected());
    other.assert_alive();
    let (mut answered, mut refused) = (0, 0);
    for call in calls {
        match peer.wait(call) {
            multiprocess_tests::raw::Answer::Results(_) => answered += 1,
            multiprocess_tests::raw::Answer::Exception(text) => {
                assert!(text.contains("Limits::call_bytes"), "{text}");
                refused += 1;
            }
        }
    }
    assert!(answered >= 3, "{answered} of {}", answered + refused);
    assert!(serving.is_connected());
}

/// Callbacks make large calls to serve calls of the peer's, more at once than there is room for: they wait.
#[test]
fn large_calls_of_callbacks_wait_for_room() {
    let pair = pair_with(narrow());
    let callback = || {
        Relay::client(move |lab: Option<LabClient>, _| {
            let length = lab.unwrap().bytes(vec![1; MIB]).timeout(LONG).wait()?.len();
            Ok(i32::try_from(length).unwrap())
        })
    };
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let result = pair.lab.call_back(callback(), 1).timeout(LONG).wait().unwrap();
                    assert_eq!(result, MIB as i32 + 1);
                }
            });
        }
    });
    // Calls that no thread waits for.
    let calls = (0..64).map(|_| pair.lab.call_back(callback(), 1).timeout(LONG));
    for result in futures_executor::block_on(join_all(calls)) {
        assert_eq!(result.unwrap(), MIB as i32 + 1);
    }
    pair.assert_alive();
}

/// The peer's object, whose method this one's method calls before it returns.
type Peer = Arc<OnceLock<LabClient>>;

struct BackAndForth(Peer);

/// The same with methods that are futures.
struct BackAndForthAsync(Peer);

/// Calls the peer with what a call brought. None: it has gone back and forth often enough. The first byte:
/// how often it is to.
fn back(peer: &Peer, data: &mut Vec<u8>) -> Option<Call<Vec<u8>>> {
    data[0] = data[0].checked_sub(1)?;
    Some(peer.get().unwrap().bytes(std::mem::take(data)).timeout(LONG))
}

impl Lab for BackAndForth {
    fn bytes(&self, mut data: Vec<u8>) -> Result<Vec<u8>> {
        back(&self.0, &mut data).map_or(Ok(data), Call::wait)
    }
}

impl LabAsync for BackAndForthAsync {
    async fn bytes(&self, mut data: Vec<u8>) -> Result<Vec<u8>> {
        match back(&self.0, &mut data) {
            Some(call) => call.await,
            None => Ok(data),
        }
    }
}

/// Both sides call each other with large values, from no call, to serve calls, and in callbacks. None is
/// refused, and none waits for what waits for it.
#[test]
fn large_calls_both_ways_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for asynchronous in [false, true] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connect = |stream| {
            let peer = Peer::default();
            let object = match asynchronous {
                false => LabClient::new(BackAndForth(Arc::clone(&peer))),
                true => {
                    let handle = runtime.handle().clone();
                    let spawn = move |task| drop(handle.spawn(task));
                    LabClient::new_async(BackAndForthAsync(Arc::clone(&peer)), spawn)
                }
            };
            (Connection::builder().limits(narrow()).serve(object).start(stream).unwrap(), peer)
        };
        let connections = [connect(ours), connect(theirs)];
        let labs = connections.each_ref().map(|(connection, peer)| {
            let lab: LabClient = connection.bootstrap().unwrap();
            assert!(peer.set(lab.clone()).is_ok());
            lab
        });
        thread::scope(|scope| {
            for number in 0..16 {
                let lab = &labs[number % 2];
                scope.spawn(move || {
                    for turn in 0..12 {
                        let mut data = vec![7; MIB];
                        data[0] = (turn % 3) as u8;
                        let call = lab.bytes(data).timeout(LONG);
                        let answer = if asynchronous {
                            futures_executor::block_on(call)
                        } else {
                            call.wait()
                        };
                        assert_eq!(answer.unwrap().len(), MIB);
                    }
                });
            }
        });
        // Or they would keep each other.
        connections.iter().for_each(|(connection, _)| connection.disconnect());
    }
}

/// Nobody waits for a call that was started: it takes no room from those that somebody waits for.
#[test]
fn a_started_call_that_nobody_waits_for_holds_up_no_others() {
    let pair = pair_with(narrow());
    let name = "x".repeat(2 * MIB - 1000);
    let filling: Vec<_> = (0..2).map(|_| pair.lab.block(name.clone()).start()).collect();
    // Only one of them is under way, with room for none of the next.
    let started = pair.lab.bytes(vec![1; 2 * MIB - 1000]).start();
    let lab = pair.lab.clone();
    let waits = thread::spawn(move || lab.bytes(vec![2; 2 * MIB - 1000]).wait());
    wait_until("one runs", || pair.server.blocked() >= 1);
    pair.server.let_go(&name);
    assert_eq!(within_time(move || waits.join().unwrap()).unwrap().len(), 2 * MIB - 1000);
    assert_eq!(started.wait().unwrap().len(), 2 * MIB - 1000);
    for call in filling {
        assert!(call.wait().unwrap());
    }
}

/// A call that gave up waiting for room is in nobody's way.
#[test]
fn a_call_that_gave_up_waiting_for_room_holds_up_no_others() {
    let pair = pair_with(narrow());
    let name = "x".repeat(2 * MIB - 1000);
    let filling = pair.lab.block(name.clone()).start();
    let other = pair.lab.block(format!("{name}y")[MIB..].to_owned()).start();
    wait_until("they run", || pair.server.blocked() == 2);
    let late = pair.lab.bytes(vec![1; 2 * MIB - 1000]).timeout(Duration::from_millis(50)).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    // There is room for this one beside those that are under way.
    let lab = pair.lab.clone();
    assert_eq!(within_time(move || lab.bytes(vec![2; 10_000]).wait()).unwrap().len(), 10_000);
    pair.server.let_go(&name);
    pair.server.let_go(&format!("{name}y")[MIB..]);
    assert!(filling.wait().unwrap() && other.wait().unwrap());
}

/// Each side has its own limits. They tell each other, so that what the other would not take is refused here,
/// or waits.
#[test]
fn the_limits_of_the_other_side_are_known() {
    for (calling, serving) in [(Limits::default(), narrow()), (narrow(), Limits::default())] {
        let strict = calling.message > serving.message;
        let pair = pair_of(calling, serving);
        // With its answer come the limits.
        pair.assert_alive();
        let error = pair.lab.bytes(vec![0; 3 * MIB]).wait().unwrap_err();
        let Error::ApiMisuse { problem, .. } = &error else { panic!("{error}") };
        assert_eq!(problem.contains("of a message to the other side (Limits::message)"), strict);
        let lab = pair.lab.clone();
        let large = Relay::client(move |_, _| {
            // The serving side calls back with what the calling side takes, or does not.
            let error = lab.text("x".repeat(3 * MIB)).wait().unwrap_err();
            assert!(error.to_string().contains("Limits::message"), "{error}");
            Ok(1)
        });
        assert_eq!(pair.lab.call_back(large, 1).wait().unwrap(), 2);
        // More at once than the narrow side takes: none is refused.
        let calls = (0..40).map(|number| pair.lab.bytes(vec![number; MIB]));
        let answers = futures_executor::block_on(join_all(calls));
        for (number, answer) in (0..).zip(answers) {
            assert_eq!(answer.unwrap(), vec![number; MIB]);
        }
        pair.assert_alive();
    }
}

/// The same for results.
#[test]
fn results_that_the_other_side_would_not_take_fail_their_call() {
    struct Large;
    impl Lab for Large {
        fn text(&self, _: String) -> Result<String> {
            Ok("x".repeat(3 * MIB))
        }
        fn add(&self, a: i32, b: i32) -> Result<i32> {
            Ok(a + b)
        }
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let lab = LabClient::new(Large);
    let _serving = Connection::builder().serve(lab).start(theirs).unwrap();
    let calling = Connection::builder().limits(narrow()).start(ours).unwrap();
    let lab: LabClient = calling.bootstrap().unwrap();
    let error = lab.text("a long one").wait().unwrap_err();
    assert!(error.to_string().contains("is the other side's limit (Limits::message)"), "{error}");
    assert_eq!(lab.add(1, 2).wait().unwrap(), 3);
}
