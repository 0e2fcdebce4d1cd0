//! The close of an object against calls that begin: a call either is refused, or has the object until it
//! ends. What follows the end happens once, after the last call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::ObjectLife;
use crate::sync::{explore, thread};

/// An object whose destructor says so.
struct Object(Arc<AtomicBool>);

impl Drop for Object {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_call_has_its_object_until_it_ends_or_is_refused() {
    explore(|| {
        let dropped = Arc::new(AtomicBool::new(false));
        let life = ObjectLife::new(Box::new(Object(Arc::clone(&dropped))));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (life, dropped) = (Arc::clone(&life), Arc::clone(&dropped));
                thread::spawn(move || {
                    if let Ok(call) = life.begin(None) {
                        thread::yield_now();
                        assert!(!dropped.load(Ordering::Relaxed), "the object of a running call");
                        drop(call);
                    }
                })
            })
            .collect();
        let ends = Arc::new(AtomicUsize::new(0));
        let closers: Vec<_> = (0..2)
            .map(|_| {
                let (life, dropped) = (Arc::clone(&life), Arc::clone(&dropped));
                let ends = Arc::clone(&ends);
                thread::spawn(move || {
                    let done = move || {
                        assert!(dropped.load(Ordering::Relaxed), "it has not ended");
                        ends.fetch_add(1, Ordering::Relaxed);
                    };
                    life.close(Box::new(done), false);
                    assert!(life.begin(None).is_err(), "no calls are taken any more");
                })
            })
            .collect();
        for thread in callers.into_iter().chain(closers) {
            thread.join().unwrap();
        }
        assert_eq!(ends.load(Ordering::Relaxed), 2, "each close is answered once");
    });
}
