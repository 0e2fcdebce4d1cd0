//! Calls that arrive while their thread ends, or is released: each is run or refused, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Inbox, Next, THIS, adopt};
use crate::Error;
use crate::connection::{Parker, WeakConn};
use crate::sync::{explore, thread};
use crate::threads::task::{RunCall, Task};

/// A call that counts how often it was run or refused.
pub(crate) struct Counts {
    ends: Arc<AtomicUsize>,
    /// What it does when it is run.
    method: Box<dyn FnOnce() + Send>,
}

impl Counts {
    pub(crate) fn new(ends: &Arc<AtomicUsize>) -> Box<Counts> {
        Counts::then(ends, || ())
    }

    pub(crate) fn then(
        ends: &Arc<AtomicUsize>,
        method: impl FnOnce() + Send + 'static,
    ) -> Box<Counts> {
        Box::new(Counts { ends: Arc::clone(ends), method: Box::new(method) })
    }
}

impl RunCall for Counts {
    fn run(self: Box<Self>) {
        self.ends.fetch_add(1, Ordering::Relaxed);
        (self.method)();
    }

    fn refuse(self: Box<Self>, _: Error) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }

    fn connection(&self) -> WeakConn {
        WeakConn::new()
    }
}

/// Explores schedules in which one thread runs [`with_inbox`]. All threads of a schedule are one to std, and
/// so have one inbox: no other may do so, nor wait for a call.
pub(crate) fn explore_with_inbox(body: impl Fn() + Send + Sync + Clone + 'static) {
    /// Where a schedule has failed, its inbox has locks that are of no use any more.
    struct Forget;

    impl Drop for Forget {
        fn drop(&mut self) {
            std::mem::forget(THIS.take());
        }
    }

    let _forget = Forget;
    explore(body);
}

/// Runs `f` as a thread with an inbox does that ends after it.
pub(crate) fn with_inbox(f: impl FnOnce(&Arc<Inbox>)) {
    let inbox = Arc::new(Inbox::new("thread".into()));
    adopt(Arc::clone(&inbox));
    f(&inbox);
    drop(THIS.take());
}

/// Two threads that each add a call, and return how often it was run or refused.
fn pushers(inbox: &Arc<Inbox>) -> Vec<thread::JoinHandle<Arc<AtomicUsize>>> {
    let pusher = |_| {
        let inbox = Arc::clone(inbox);
        thread::spawn(move || {
            let ends = Arc::default();
            if inbox.push(Task::new(Counts::new(&ends))) {
                inbox.parker().wake();
            }
            ends
        })
    };
    (0..2).map(pusher).collect()
}

fn check(pushers: Vec<thread::JoinHandle<Arc<AtomicUsize>>>) {
    for pusher in pushers {
        assert_eq!(pusher.join().unwrap().load(Ordering::Relaxed), 1);
    }
}

#[test]
fn each_call_of_a_released_worker_is_run_or_refused_once() {
    explore(|| {
        let inbox = Arc::new(Inbox::new("worker".into()));
        let pushers = pushers(&inbox);
        let released = Arc::clone(&inbox);
        let releaser = thread::spawn(move || released.release());
        inbox.attach();
        loop {
            match inbox.next() {
                Next::Call(task, _) => task.run(),
                Next::Wait => Parker::park(None),
                Next::End => break,
            }
        }
        releaser.join().unwrap();
        // The inbox is still there: what lies in it would be neither run nor refused.
        check(pushers);
    });
}

#[test]
fn each_call_of_a_thread_that_ends_is_run_or_refused_once() {
    explore_with_inbox(|| {
        let mut calls = Vec::new();
        with_inbox(|inbox| {
            calls = pushers(inbox);
            if let Some(task) = inbox.pop_allowed() {
                task.run();
            }
        });
        check(calls);
    });
}
