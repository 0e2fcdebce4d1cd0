//! A thread that waits for an answer, against the answer and against callbacks for the thread: neither is
//! missed. Without a connection, so it parks; how threads read by turns is in `connection/reader_schedules.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Deadline, Slot, wait_for_slot};
use crate::sync::thread;
use crate::threads::{Task, schedules};

#[test]
fn a_thread_gets_its_answer_and_each_callback_ends_once() {
    schedules::explore_with_inbox(|| {
        let ends = Arc::new(AtomicUsize::new(0));
        schedules::with_inbox(|inbox| {
            let slot = Arc::new(Slot::for_thread(inbox));
            let filled = Arc::clone(&slot);
            let filler = thread::spawn(move || filled.fill_and_wake(Ok(7)));
            let (pushed, counted) = (Arc::clone(inbox), Arc::clone(&ends));
            let pusher = thread::spawn(move || {
                if pushed.push(Task::new(schedules::Counts::new(&counted))) {
                    pushed.parker().wake();
                }
            });
            assert_eq!(wait_for_slot(&slot, None, &Deadline::never()).unwrap(), 7);
            assert!(slot.is_over() && slot.take().is_none());
            [filler, pusher].into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}

/// The answer comes only once the callback has run, as that of a method that makes the callback.
#[test]
fn a_callback_that_the_answer_waits_for_is_run() {
    schedules::explore_with_inbox(|| {
        let ends = Arc::new(AtomicUsize::new(0));
        schedules::with_inbox(|inbox| {
            let slot = Arc::new(Slot::unwatched());
            let filled = Arc::clone(&slot);
            let pushed = Arc::clone(inbox);
            let callback = schedules::Counts::then(&ends, move || filled.fill_and_wake(Ok(7)));
            let pusher = thread::spawn(move || {
                assert!(pushed.push(Task::new(callback)), "the thread waits");
                pushed.parker().wake();
            });
            slot.wake_thread(inbox);
            assert_eq!(wait_for_slot(&slot, None, &Deadline::never()).unwrap(), 7);
            pusher.join().unwrap();
        });
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}
