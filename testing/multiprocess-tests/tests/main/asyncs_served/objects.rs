//! The interface as which an object is served, and how the object ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use multiprocess::{Error, rt};
use multiprocess_tests::generated::waits::{Sum, SumClient, WaitsClient};
use multiprocess_tests::wait_until;

use super::{LONG, Seen, Served, Server, served, spawn_on_tokio, tokio_runtime};

/// A method of an interface that `Sum` does not have, called on it.
fn interrupt_of_a_sum(sum: &SumClient) -> rt::Call<()> {
    use rt::Interface;
    let method: rt::Method<dyn Sum, (), ()> = rt::Method {
        id: rt::MethodId::new(WaitsClient::ID, 2, "Waits.interrupt"),
        params: rt::fields::<()>(rt::Size(0, 0), &[]),
        call: |_, ()| Ok(()),
        results: rt::fields::<()>(rt::Size(0, 0), &[]),
    };
    rt::call(sum.handle(), method, ())
}

/// An object that is served as an interface which its own extends still has futures as methods, and
/// has only that interface's.
#[test]
fn an_object_served_as_a_lesser_interface() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    let sum = waits.as_sum().wait().unwrap();
    assert_eq!(sum.add(1, 2).wait().unwrap(), 3);
    assert_eq!(*seen.calls.lock().unwrap(), [true], "it is served, not called");
    let error = interrupt_of_a_sum(&sum).wait().unwrap_err();
    assert!(matches!(error, Error::Unimplemented { .. }), "{error}");
}

#[test]
fn hooks_run_after_the_object_has_gone() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let seen = Arc::<Seen>::default();
    let here = WaitsClient::new_async(Server(Arc::clone(&seen)), spawn_on_tokio());
    let (noted, ran) = std::sync::mpsc::channel();
    let looks = Arc::clone(&seen);
    here.add_cleanup(move || noted.send(looks.ended.load(Ordering::SeqCst)).unwrap());
    let base = SumClient::from(here.clone());
    drop(here);
    assert!(!seen.ended.load(Ordering::SeqCst));
    drop(base);
    assert!(ran.recv_timeout(LONG).unwrap());
}

#[test]
fn close_lets_cancelled_calls_end_first() {
    let runtime = tokio_runtime();
    let _entered = runtime.enter();
    let Served { seen, waits, .. } = &served();
    for _ in 0..50 {
        let child = waits.make_child().wait().unwrap();
        let call = child.hold("").start();
        wait_until("it runs", || seen.waiting.load(Ordering::SeqCst) == 1);
        drop(call);
        child.close().wait().unwrap();
        assert_eq!(seen.children.load(Ordering::SeqCst), 0, "the destructor has run");
        assert_eq!(seen.waiting.load(Ordering::SeqCst), 0);
    }
}
