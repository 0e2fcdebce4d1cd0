//! Calls while the calling thread ends: in the destructors of thread-local values.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use multiprocess::{Error, Result};
use multiprocess_tests::generated::lab::LabClient;
use multiprocess_tests::pair;

/// Makes a call when it is dropped, and notes what came of it.
struct CallsAtTheEnd {
    lab: LabClient,
    outcomes: Arc<Mutex<Vec<Result<i32>>>>,
}

impl Drop for CallsAtTheEnd {
    fn drop(&mut self) {
        let waited = self.lab.add(1, 2).wait();
        // Not with `block_on`, which has a thread-local value itself.
        let mut polled = self.lab.add(1, 2);
        let mut context = Context::from_waker(Waker::noop());
        let polled = match Pin::new(&mut polled).poll(&mut context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => polled.wait(),
        };
        let started = self.lab.add(1, 2).start();
        let inline = self.lab.add_inline(1, 2).wait();
        drop(self.lab.make_counter(1).pipelined());
        let _ = multiprocess::current_call();
        self.outcomes.lock().unwrap().extend([waited, polled, started.wait(), inline]);
    }
}

thread_local! {
    static BEFORE: RefCell<Option<CallsAtTheEnd>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<CallsAtTheEnd>> = const { RefCell::new(None) };
}

/// Which of the thread-local values are gone before depends on which were used first. So one is used
/// before the runtime's and one after, and each call works or says why not.
#[test]
fn a_call_in_the_destructor_of_a_thread_local_value_works_or_is_an_error() {
    let pair = pair();
    let outcomes = Arc::default();
    let (lab, noted) = (pair.lab.clone(), Arc::clone(&outcomes));
    let calls = move || CallsAtTheEnd { lab: lab.clone(), outcomes: Arc::clone(&noted) };
    let thread = thread::spawn(move || {
        BEFORE.set(Some(calls()));
        let sum = BEFORE.with_borrow(|calls| calls.as_ref().unwrap().lab.add(20, 22).wait());
        assert_eq!(sum.unwrap(), 42);
        AFTER.set(Some(calls()));
    });
    thread.join().unwrap();
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 8);
    for outcome in &*outcomes {
        match outcome {
            Ok(sum) => assert_eq!(*sum, 3),
            Err(Error::ApiMisuse { problem, .. }) => {
                assert!(problem.contains("thread-local value"), "{problem}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(outcomes.iter().any(Result::is_err), "no destructor ran after the runtime's");
    pair.assert_alive();
}

/// A thread whose first call is made there.
#[test]
fn the_first_call_of_a_thread_may_be_its_last() {
    let pair = pair();
    let outcomes: Arc<Mutex<Vec<Result<i32>>>> = Arc::default();
    let calls = CallsAtTheEnd { lab: pair.lab.clone(), outcomes: Arc::clone(&outcomes) };
    thread::spawn(move || AFTER.set(Some(calls))).join().unwrap();
    assert_eq!(outcomes.lock().unwrap().len(), 4);
    pair.assert_alive();
}
