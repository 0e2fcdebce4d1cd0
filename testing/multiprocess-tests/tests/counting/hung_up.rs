//! Peers that disconnect while their calls wait for something that never comes: neither the
//! connection nor its descriptor stays.

use std::os::unix::net::UnixStream;

use capnp::any_pointer;
use multiprocess::Server;
use multiprocess_tests::generated::lab_capnp::{callback, lab};
use multiprocess_tests::generated::proxy_capnp::{context, thread_map};
use multiprocess_tests::raw::{Cap, LAB, RawPeer, THREAD_MAP, Target, cap};
use multiprocess_tests::{LabServer, wait_until};

use crate::{alone, descriptors, place, settled_descriptors};

const PEERS: usize = 20;

/// Connects some peers, each of which does `work` and disconnects when its messages have been
/// processed. Asserts that nothing is left of them.
#[track_caller]
fn assert_leave_nothing(name: &str, work: impl Fn(&mut RawPeer, Target)) {
    let _alone = alone();
    let dir = place(name);
    let lab = LabServer::new();
    let server = Server::listen(dir.join("s"), lab.client()).unwrap();
    let before = settled_descriptors();
    for _ in 0..PEERS {
        let mut peer = RawPeer::new(UnixStream::connect(server.path()).unwrap());
        let lab = Target::Bootstrap(peer.bootstrap());
        work(&mut peer, lab);
        // When this is answered, the messages before it have been processed.
        let heard = peer.bootstrap();
        peer.wait(heard).results();
    }
    wait_until("the connections are forgotten", || server.connections().is_empty());
    wait_until("as many descriptors as before", || descriptors() <= before);
    drop(server);
    let _ = std::fs::remove_dir_all(dir);
}

/// The first capability is the thread, the second the thread for callbacks.
fn on_threads(mut context: context::Builder<'_>, caps: &[Cap]) {
    context.set_thread(cap());
    if caps.len() > 1 {
        context.set_callback_thread(cap());
    }
}

fn add(peer: &mut RawPeer, lab: Target, caps: &[Cap]) -> u32 {
    peer.call(lab, (LAB, 1), caps, |content| {
        on_threads(content.init_as::<lab::add_params::Builder<'_>>().init_context(), caps);
    })
}

fn thread_map(peer: &mut RawPeer, lab: Target) -> Target {
    let map = peer.ask(lab, (LAB, 0), &[], |content| {
        content.init_as::<lab::construct_params::Builder<'_>>();
    });
    Target::Export(map.export())
}

/// Calls back through a promise, which never becomes anything.
fn call_back(peer: &mut RawPeer, lab: Target, cap_: Cap) {
    peer.call(lab, (LAB, 8), &[cap_], |content: any_pointer::Builder<'_>| {
        let mut params = content.init_as::<lab::call_back_inline_params::Builder<'_>>();
        params.set_callback(cap::<callback::Client>());
        params.set_depth(1);
    });
}

#[test]
fn one_promise_as_thread_and_as_callback_thread() {
    assert_leave_nothing("same-promise", |peer, lab| {
        add(peer, lab, &[Cap::Promise(3), Cap::Promise(3)]);
    });
}

/// Like a client that makes a new promise for each call.
#[test]
fn several_calls_on_several_promises() {
    assert_leave_nothing("promises", |peer, lab| {
        for promise in 3..10 {
            add(peer, lab, &[Cap::Promise(promise), Cap::Promise(promise)]);
            add(peer, lab, &[Cap::Promise(promise), Cap::Promise(3)]);
        }
    });
}

#[test]
fn a_thread_that_is_never_known() {
    assert_leave_nothing("unknown-thread", |peer, lab| {
        add(peer, lab, &[Cap::Promise(3)]);
        add(peer, lab, &[Cap::Promise(3), Cap::Here(4)]);
        add(peer, lab, &[Cap::Promise(3)]);
    });
}

#[test]
fn a_promise_that_becomes_another() {
    assert_leave_nothing("promise-of-promise", |peer, lab| {
        add(peer, lab, &[Cap::Promise(3), Cap::Promise(3)]);
        peer.resolve(3, Cap::Promise(4));
    });
}

/// The thread is the answer of a call that itself waits forever.
#[test]
fn a_thread_that_is_an_answer_that_never_comes() {
    assert_leave_nothing("answer-thread", |peer, lab| {
        let waits = add(peer, lab, &[Cap::Promise(3)]);
        add(peer, lab, &[Cap::Answer(waits), Cap::Answer(waits)]);
        add(peer, Target::Answer(waits), &[Cap::Promise(3), Cap::Promise(3)]);
    });
}

#[test]
fn calls_that_wait_behind_another_on_its_thread() {
    assert_leave_nothing("queued", |peer, lab| {
        let map = thread_map(peer, lab);
        let thread = peer.ask(map, (THREAD_MAP, 0), &[], |content| {
            content.init_as::<thread_map::make_thread_params::Builder<'_>>().set_name("raw");
        });
        let caps = [Cap::There(thread.export()), Cap::Promise(3)];
        peer.call(lab, (LAB, 11), &caps, |content| {
            let mut params = content.init_as::<lab::block_params::Builder<'_>>();
            params.set_name("for ever");
            on_threads(params.init_context(), &caps);
        });
        for _ in 0..5 {
            add(peer, lab, &caps);
        }
    });
}

#[test]
fn a_method_that_calls_a_promise_that_is_never_known() {
    assert_leave_nothing("callback-promise", |peer, lab| call_back(peer, lab, Cap::Promise(3)));
}

#[test]
fn a_method_that_calls_an_answer_that_never_comes() {
    assert_leave_nothing("callback-answer", |peer, lab| {
        let waits = add(peer, lab, &[Cap::Promise(3)]);
        call_back(peer, lab, Cap::Answer(waits));
    });
}
