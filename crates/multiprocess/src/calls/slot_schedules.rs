//! The answer of a call against who begins to wait for it, and against a cancel: every wait ends, with one
//! outcome. Threads that wait for an answer alone are in `waiting_schedules.rs`.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::Slot;
use crate::cleanup::Cleanup;
use crate::connection::Parker;
use crate::moment::Moment;
use crate::sync::{AtomicBool, explore, thread};
use crate::threads::{About, Inbox, Token};

/// The wait of a relay, as in `wait_for_slot`: a cancel of the relayed call ends it, too. Only a thread with
/// a connection can relay, so that the loop is written out here.
fn relay(slot: &Arc<Slot<i32>>, token: &Token) -> Option<i32> {
    let inbox = Inbox::new("relay".into());
    inbox.attach();
    slot.wake_thread(&inbox);
    let parker = Arc::clone(inbox.parker());
    token.on_fire(move || parker.wake());
    loop {
        if let Some(answer) = slot.take() {
            return Some(answer.unwrap());
        }
        if token.is_fired() {
            return None;
        }
        Parker::park(None);
    }
}

fn token() -> (Arc<Token>, thread::JoinHandle<()>) {
    let about = About { method: "Test.test", bytes: 0, since: Moment::coarse() };
    let token = Arc::new(Token::new(about, None));
    let fired = Arc::clone(&token);
    (token, thread::spawn(move || fired.fire(Cleanup::unconnected())))
}

#[test]
fn a_cancel_ends_a_relay_that_gets_no_answer() {
    explore(|| {
        let (token, canceller) = token();
        assert_eq!(relay(&Arc::new(Slot::unwatched()), &token), None);
        canceller.join().unwrap();
    });
}

#[test]
fn a_relay_ends_with_its_answer_or_the_cancel() {
    explore(|| {
        let slot = Arc::new(Slot::unwatched());
        let filled = Arc::clone(&slot);
        let filler = thread::spawn(move || filled.fill_and_wake(Ok(7)));
        let (token, canceller) = token();
        let outcome = relay(&slot, &token);
        filler.join().unwrap();
        canceller.join().unwrap();
        // An answer that was not taken is still there, and one that was is not.
        let left = slot.take().map(Result::unwrap);
        assert!(slot.is_over());
        assert_eq!([outcome, left].into_iter().flatten().collect::<Vec<_>>(), [7]);
    });
}

/// A deadline wakes it as well, without an answer.
#[test]
fn a_waiting_future_gets_its_answer() {
    explore(|| {
        let slot = Arc::new(Slot::unwatched());
        let filled = Arc::clone(&slot);
        let filler = thread::spawn(move || filled.fill_and_wake(Ok(7)));
        let woken = Arc::clone(&slot);
        let deadline = thread::spawn(move || woken.wake());
        let answer = shuttle::future::block_on(poll_fn(|cx| {
            slot.take_or_wake(cx.waker()).map_or(Poll::Pending, Poll::Ready)
        }));
        assert_eq!(answer.unwrap(), 7);
        filler.join().unwrap();
        deadline.join().unwrap();
    });
}

/// A future that has a deadline is woken by it although no answer comes.
#[test]
fn a_deadline_wakes_a_waiting_future() {
    explore(|| {
        let slot = Arc::new(Slot::<i32>::unwatched());
        let passed = Arc::new(AtomicBool::new(false));
        let (woken, passes) = (Arc::clone(&slot), Arc::clone(&passed));
        let deadline = thread::spawn(move || {
            passes.store(true, Ordering::Release);
            woken.wake();
        });
        shuttle::future::block_on(poll_fn(|cx| {
            // The waker is left first, and then the deadline looked at.
            let answer = slot.take_or_wake(cx.waker());
            match answer.is_some() || passed.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
        deadline.join().unwrap();
    });
}
