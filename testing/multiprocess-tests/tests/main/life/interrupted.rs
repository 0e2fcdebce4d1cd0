//! `close` after a cancelled wait that the peer ends only when it is interrupted: the peer gets a
//! Finish, then the interrupt, and destroy only once the wait has returned.

use std::time::Duration;

use multiprocess::Error;
use multiprocess_tests::raw::Target;
use multiprocess_tests::recorder::Event;

use super::{DESTROY, INTERRUPT, WAIT, assert_misuse, bench};

#[test]
fn finish_then_interrupt_then_destroy() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.wait().start();
    let (_, wait) = bench.recorder.call_of(WAIT);
    drop(call);
    let closing = guest.close().start();
    let (finish, _) = bench.recorder.finish_of(wait.question);
    let (interrupt, interrupted) = bench.recorder.call_of(INTERRUPT);
    assert!(finish < interrupt);
    assert_eq!(interrupted.target, Target::Export(7));
    bench.recorder.answer_nothing(interrupted.question);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "the wait has not returned");
    bench.recorder.answer_nothing(wait.question);
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    bench.assert_nothing_after(place, 7);
}

/// The interrupt is a call of the object as well.
#[test]
fn the_interrupt_returns_before_destroy_goes_out() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.wait().start();
    let (_, wait) = bench.recorder.call_of(WAIT);
    drop(call);
    let closing = guest.close().start();
    let (_, interrupted) = bench.recorder.call_of(INTERRUPT);
    bench.recorder.answer_nothing(wait.question);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "the interrupt has not returned");
    bench.recorder.answer_nothing(interrupted.question);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
}

/// After a cancelled wait only one wait may be under way, so the next one is held back on this side.
/// If the object is closed meanwhile, that wait goes out before destroy or not at all.
#[test]
fn a_call_that_is_held_behind_a_cancelled_wait() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.wait().start();
    let place = bench.recorder.find(|event| matches!(event, Event::Call(_)));
    let Event::Call(wait) = bench.recorder.log()[place].clone() else { unreachable!() };
    drop(call);
    bench.recorder.finish_of(wait.question);
    let held = guest.wait().start();
    let closing = guest.close().start();
    // The wait returns when it is interrupted.
    let (_, interrupted) = bench.recorder.call_of(INTERRUPT);
    bench.recorder.answer_nothing(interrupted.question);
    bench.recorder.answer_nothing(wait.question);
    bench.serve_until_destroyed(7);
    closing.wait().unwrap();
    let outcome = held.wait();
    assert!(matches!(outcome, Ok(false) | Err(Error::ApiMisuse { .. })), "{outcome:?}");
    bench.assert_alive();
}

/// A mining pool does this: `template.wait_next().timeout(..)`, then `template.close()`.
#[test]
fn a_wait_that_timed_out() {
    let mut bench = bench();
    for export in 10..15 {
        let guest = bench.guest(export);
        let pool = std::thread::spawn(move || {
            let timed_out = guest.wait().timeout(Duration::from_millis(20)).wait();
            assert!(matches!(timed_out, Err(Error::Timeout(_))), "{timed_out:?}");
            guest.close().wait()
        });
        bench.serve_until_destroyed(export);
        pool.join().unwrap().unwrap();
    }
}

/// The same where the handle is dropped in place of a close.
#[test]
fn a_handle_that_is_dropped_behind_its_wait() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.wait().start();
    let (_, wait) = bench.recorder.call_of(WAIT);
    drop(call);
    drop(guest);
    let (_, interrupted) = bench.recorder.call_of(INTERRUPT);
    bench.recorder.answer_nothing(interrupted.question);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "the wait has not returned");
    bench.recorder.answer_nothing(wait.question);
    let (place, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    let released = bench.recorder.release_of(7, 1);
    assert!(place < released);
    bench.assert_nothing_after(place, 7);
}

/// The close interrupts also a wait that somebody waits for, because it could not end otherwise.
#[test]
fn a_wait_that_is_wanted_ends_with_the_close() {
    let mut bench = bench();
    let guest = bench.guest(7);
    let call = guest.wait().start();
    let (_, wait) = bench.recorder.call_of(WAIT);
    let closing = guest.close().start();
    assert_misuse(guest.call(1).wait());
    let (_, interrupted) = bench.recorder.call_of(INTERRUPT);
    bench.recorder.answer_nothing(interrupted.question);
    bench.recorder.hear();
    assert_eq!(bench.recorder.calls_of(DESTROY), 0, "the wait has not returned");
    bench.recorder.answer_nothing(wait.question);
    let (_, destroy) = bench.destroy_of(7);
    bench.recorder.answer_nothing(destroy.question);
    closing.wait().unwrap();
    assert!(!call.wait().unwrap());
}
