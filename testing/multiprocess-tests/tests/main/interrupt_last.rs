//! This side ends a connection while calls are under way that the peer does not end by itself: each is interrupted
//! before, at once and not after the time that it would have.

use std::time::Duration;

use multiprocess::{Connection, Error, Interface};
use multiprocess_tests::generated::waits::WaitsClient;
use multiprocess_tests::recorder::Recorder;

const WAIT: (u64, u16) = (WaitsClient::ID, 1);
const INTERRUPT: (u64, u16) = (WaitsClient::ID, 2);

fn bench() -> (Connection, Recorder, WaitsClient) {
    Recorder::with_first_object()
}

/// Reads to the end of the stream.
#[track_caller]
fn assert_interrupted(recorder: &mut Recorder, times: usize) {
    recorder.read_to_end();
    assert_eq!(recorder.calls_of(INTERRUPT), times);
}

#[test]
fn all_is_dropped_after_a_timeout() {
    let (connection, mut recorder, waits) = bench();
    let late = waits.wait("for ever").timeout(Duration::from_millis(1)).wait();
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    drop((connection, waits));
    recorder.call_of(WAIT);
    assert_interrupted(&mut recorder, 1);
}

#[test]
fn all_is_dropped_with_the_calls() {
    let (connection, mut recorder, waits) = bench();
    let calls = [(); 3].map(|()| waits.wait("for ever").start());
    recorder.call_of(WAIT);
    drop((connection, waits, calls));
    assert_interrupted(&mut recorder, 3);
}

#[test]
fn it_disconnects_while_a_call_waits() {
    let (connection, mut recorder, waits) = bench();
    let call = waits.wait("for ever").start();
    recorder.call_of(WAIT);
    connection.disconnect();
    assert!(matches!(call.wait(), Err(Error::Disconnected { .. })));
    assert_interrupted(&mut recorder, 1);
}

#[test]
fn where_no_call_waits_nothing_is_said() {
    let (connection, mut recorder, waits) = bench();
    let sum = waits.add_inline(1, 2).start();
    recorder.hear();
    drop((connection, waits, sum));
    assert_interrupted(&mut recorder, 0);
}
