//! The end of a connection against a future that begins to wait for it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::{Disconnected, EndWatch};
use crate::Error;
use crate::sync::{explore, thread};

/// One that is dropped meanwhile leaves nothing.
#[test]
fn every_future_learns_of_the_end() {
    explore(|| {
        let end = Arc::new(EndWatch::default());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let future = Disconnected::new(&end);
                thread::spawn(move || shuttle::future::block_on(future))
            })
            .collect();
        let mut dropped = Disconnected::new(&end);
        let dropper = thread::spawn(move || {
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut dropped).poll(cx)));
            let _ = shuttle::future::block_on(polled);
        });
        end.tell(&Error::failed("the reason"));
        for waiting in waiting {
            assert!(waiting.join().unwrap().to_string().contains("the reason"));
        }
        dropper.join().unwrap();
        assert_eq!(end.waiting(), 0);
    });
}
