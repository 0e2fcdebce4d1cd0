//! Calls of many threads that race a close: each has either come back before destroy goes out, or
//! fails here.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use multiprocess::Error;
use multiprocess_tests::raw::{RawPeer, Target};
use multiprocess_tests::recorder::Event;
use multiprocess_tests::{LONG, wait_until};

use super::{Bench, DESTROY, assert_misuse, bench};

const CALLERS: usize = 8;
const ROUNDS: u32 = 60;

/// One round, with an object of this number. The calls are answered by a thread that does not read,
/// so that some are unanswered at any time.
fn race(bench: &mut Bench, export: u32, started: bool) {
    let guest = bench.guest(export);
    let made = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (guest, made) = (guest.clone(), Arc::clone(&made));
            std::thread::spawn(move || {
                loop {
                    let call = guest.call(1).timeout(LONG);
                    let outcome = if started { call.start().wait() } else { call.wait() };
                    match outcome {
                        Ok(number) => assert_eq!(number, 1),
                        Err(error) => return error,
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let closing = {
        let made = Arc::clone(&made);
        let guest = guest.clone();
        std::thread::spawn(move || {
            wait_until("the callers have called", || made.load(Ordering::SeqCst) >= CALLERS);
            guest.close().timeout(LONG).wait()
        })
    };
    let unanswered = Arc::new(Mutex::new(HashSet::new()));
    let (answer, to_answer) = mpsc::channel::<u32>();
    let mut writer = RawPeer::new(bench.recorder.peer.stream.try_clone().unwrap());
    let answers = {
        let unanswered = Arc::clone(&unanswered);
        std::thread::spawn(move || {
            for question in to_answer {
                // Removed before the answer is written, so that it is removed before the other side
                // sees the answer.
                unanswered.lock().unwrap().remove(&question);
                writer.answer(question, &[], super::number_result(1));
            }
        })
    };
    let destroyed = loop {
        let place = bench.recorder.find(
            |event| matches!(event, Event::Call(call) if call.target == Target::Export(export)),
        );
        let Event::Call(call) = &bench.recorder.log()[place] else { unreachable!() };
        if call.method == DESTROY {
            let unanswered = unanswered.lock().unwrap().len();
            assert_eq!(unanswered, 0, "calls have not returned");
            break (place, call.question);
        }
        unanswered.lock().unwrap().insert(call.question);
        answer.send(call.question).unwrap();
    };
    drop(answer);
    answers.join().unwrap();
    bench.recorder.answer_nothing(destroyed.1);
    closing.join().unwrap().unwrap();
    for caller in callers {
        let error: Error = caller.join().unwrap();
        assert_misuse::<()>(Err(error));
    }
    bench.assert_nothing_after(destroyed.0, export);
}

#[test]
fn blocking_calls_that_race_a_close() {
    let mut bench = bench();
    for export in 0..ROUNDS {
        race(&mut bench, 100 + export, false);
    }
}

#[test]
fn started_calls_that_race_a_close() {
    let mut bench = bench();
    for export in 0..ROUNDS {
        race(&mut bench, 100 + export, true);
    }
}

/// Concurrent closes: one of them sends the destroy, and all of them return.
#[test]
fn closes_that_race_each_other() {
    let mut bench = bench();
    for export in 100..120 {
        let guest = bench.guest(export);
        let closing: Vec<_> = (0..CALLERS).map(|_| super::close(&guest)).collect();
        let (place, destroy) = bench.destroy_of(export);
        bench.recorder.answer_nothing(destroy.question);
        for closing in closing {
            closing.join().unwrap().unwrap();
        }
        bench.assert_nothing_after(place, export);
    }
}
