//! Calls after streaming ones: they go out when all streaming calls are answered, in whichever
//! order the answers come.

use multiprocess::{Connection, Interface};
use multiprocess_tests::generated::flow::SinkClient;
use multiprocess_tests::generated::flow_capnp::sink;
use multiprocess_tests::recorder::Recorder;

const NOTE: (u64, u16) = (SinkClient::ID, 2);
const COUNT: (u64, u16) = (SinkClient::ID, 4);

fn bench() -> (Connection, Recorder, SinkClient) {
    Recorder::with_first_object()
}

/// The peer answers the streaming calls in this order.
#[track_caller]
fn assert_goes_out_after_all(order: &[usize]) {
    let (_connection, mut recorder, sink) = bench();
    for number in (0..).take(order.len()) {
        sink.note(number).wait().unwrap();
    }
    let count = sink.count().start();
    let notes: Vec<_> = order.iter().map(|_| recorder.call_of(NOTE).1.question).collect();
    for place in order {
        recorder.hear();
        assert_eq!(recorder.calls_of(COUNT), 0, "not all are answered");
        recorder.answer_nothing(notes[*place]);
    }
    let (_, counted) = recorder.call_of(COUNT);
    recorder.peer.answer(counted.question, &[], |content| {
        content.init_as::<sink::count_results::Builder<'_>>().set_result(9);
    });
    assert_eq!(count.wait().unwrap(), 9);
}

#[test]
fn answered_from_first_to_last() {
    assert_goes_out_after_all(&[0, 1, 2, 3]);
}

#[test]
fn answered_from_last_to_first() {
    assert_goes_out_after_all(&[3, 2, 1, 0]);
}

#[test]
fn answered_in_any_order() {
    assert_goes_out_after_all(&[2, 0, 3, 1]);
}

#[test]
fn after_a_single_streaming_call() {
    assert_goes_out_after_all(&[0]);
}

/// Streaming calls that are made after a held one go out after it.
#[test]
fn several_that_are_held_go_out_in_their_order() {
    let (_connection, mut recorder, sink) = bench();
    sink.note(0).wait().unwrap();
    sink.note(1).wait().unwrap();
    let counts = [sink.count().start(), sink.count().start()];
    let notes = [(); 2].map(|()| recorder.call_of(NOTE).1.question);
    recorder.answer_nothing(notes[1]);
    recorder.hear();
    assert_eq!(recorder.calls_of(COUNT), 0);
    recorder.answer_nothing(notes[0]);
    for (number, count) in (5..).zip(counts) {
        let (_, counted) = recorder.call_of(COUNT);
        recorder.peer.answer(counted.question, &[], |content| {
            content.init_as::<sink::count_results::Builder<'_>>().set_result(number);
        });
        assert_eq!(count.wait().unwrap(), number);
    }
}
