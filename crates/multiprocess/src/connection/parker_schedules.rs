//! A wake against a thread that begins to wait, in either way: none is lost. The wake descriptor is real.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Parker;
use crate::sync::{AtomicBool, explore, thread};

/// Waits for one thing after the other, each of which another thread says that it has happened. `wait` gets
/// the number of the thing, and whether it has happened.
fn all_happen(wait: impl Fn(&Parker, usize, &dyn Fn() -> bool)) {
    let happened: [Arc<AtomicBool>; 3] = Default::default();
    let parker = Arc::new(Parker::new());
    parker.attach();
    let (happens, woken) = (happened.clone(), Arc::clone(&parker));
    let waker = thread::spawn(move || {
        for happens in happens {
            happens.store(true, Ordering::Release);
            woken.wake();
        }
    });
    for (number, happened) in happened.iter().enumerate() {
        let happened = || happened.load(Ordering::Acquire);
        while !happened() {
            wait(&parker, number, &happened);
        }
    }
    waker.join().unwrap();
}

#[test]
fn no_wake_of_a_parked_thread_is_lost() {
    explore(|| all_happen(|_, _, _| Parker::park(None)));
}

#[test]
fn no_wake_of_a_thread_that_waits_for_a_socket_is_lost() {
    explore(|| {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let socket = OwnedFd::from(socket);
        all_happen(move |parker, _, happened| {
            assert!(!parker.wait_for(&socket, false, None, happened).readable);
        });
    });
}

/// As a worker that reads for a while, parks, and reads again.
#[test]
fn no_wake_of_a_thread_that_waits_in_both_ways_is_lost() {
    explore(|| {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let socket = OwnedFd::from(socket);
        all_happen(move |parker, number, happened| match number {
            1 => {
                parker.drop_wake_fd();
                Parker::park(None);
            }
            _ => drop(parker.wait_for(&socket, false, None, happened)),
        });
    });
}
