//! A cancel against who begins to wait for it, and against the end of the call: each is told of it once. The
//! user's hooks are kept in the same way as what waits in the runtime; they run on threads of their own,
//! which cannot be part of a schedule.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::{About, Token};
use crate::cleanup::Cleanup;
use crate::moment::Moment;
use crate::sync::{explore, thread};

/// A token that another thread fires.
fn fired() -> (Arc<Token>, thread::JoinHandle<()>) {
    let about = About { method: "Test.test", bytes: 0, since: Moment::coarse() };
    let token = Arc::new(Token::new(about, None));
    let fired = Arc::clone(&token);
    (token, thread::spawn(move || fired.fire(Cleanup::unconnected())))
}

fn counting(token: &Token) -> Arc<AtomicUsize> {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    token.on_fire(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    ran
}

#[test]
fn what_waits_in_the_runtime_runs_once() {
    explore(|| {
        let (token, canceller) = fired();
        let ran = counting(&token);
        canceller.join().unwrap();
        assert!(token.is_fired());
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    });
}

/// The end of the call drops what waits: it has run once by then or never does, and nothing keeps it.
#[test]
fn nothing_waits_after_the_end_of_the_call() {
    explore(|| {
        let (token, canceller) = fired();
        let ran = counting(&token);
        token.retire();
        canceller.join().unwrap();
        assert!(ran.load(Ordering::Relaxed) <= 1);
        assert_eq!(Arc::strong_count(&ran), 1);
    });
}

/// Its waker may change meanwhile.
#[test]
fn the_task_of_a_cancelled_call_is_woken() {
    explore(|| {
        let (token, canceller) = fired();
        let mut first = true;
        shuttle::future::block_on(poll_fn(|cx| {
            let other = std::task::Waker::noop();
            if std::mem::take(&mut first) && token.is_fired_or_wakes(other) {
                return Poll::Ready(());
            }
            match token.is_fired_or_wakes(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
        canceller.join().unwrap();
    });
}
