//! File descriptors that come and go with capabilities (`attachedFd`).

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use capnp::private::layout::CapTable;
use capnp_engine::{Cap, Close, Descriptor, Exceeded, Limits};
use capnp_rpc::rpc_capnp::{cap_descriptor, message};

use crate::peer::{INTERFACE, Peer, set_cap};

/// One end of a pipe, and the other: it ends when all copies of this one are closed.
fn pipe() -> (OwnedFd, File) {
    let (read, write) = std::io::pipe().unwrap();
    (write.into(), File::from(OwnedFd::from(read)))
}

/// Whether all copies of the other end are closed. Waits a minute for it, so only for what has to be.
fn is_closed(mut end: File) -> bool {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(end.read(&mut [0]).unwrap() == 0));
    told.recv_timeout(Duration::from_secs(60)).unwrap_or(false)
}

fn ready(limits: Limits) -> Peer {
    let mut peer = Peer::limited(limits);
    peer.bootstrap(7);
    peer
}

/// Writes a call of the first object with one parameter, which `describe` describes.
fn write_call(
    root: message::Builder<'_>,
    question: u32,
    describe: impl FnOnce(cap_descriptor::Builder<'_>),
) {
    let mut call = root.init_call();
    call.set_question_id(question);
    call.set_interface_id(INTERFACE);
    call.reborrow().init_target().set_imported_cap(0);
    let mut params = call.init_params();
    describe(params.reborrow().init_cap_table(1).get(0));
    let mut table = CapTable::new();
    set_cap(params.reborrow().get_content(), &mut table);
}

/// The same; `cap`: the parameter, by the peer's id and with the descriptor of this index.
fn call(question: u32, cap: u32, index: u8) -> impl FnOnce(message::Builder<'_>) {
    move |root| {
        write_call(root, question, |mut to| {
            to.set_sender_hosted(cap);
            to.set_attached_fd(index);
        });
    }
}

/// The parameter of the call that was delivered last.
fn given(peer: &Peer) -> Cap {
    peer.delivered.last().unwrap().params.caps[0].unwrap()
}

#[test]
fn a_message_takes_the_list_if_it_names_one_of_it() {
    let mut peer = ready(Limits::NONE);
    let ((first, first_end), (second, second_end)) = (pipe(), pipe());
    let mut list = vec![first, second];
    peer.send_with(&mut list, call(1, 5, 0xff)).unwrap();
    assert_eq!(list.len(), 2, "it names none");
    assert!(peer.engine.descriptor(given(&peer)).is_none());

    peer.send_with(&mut list, call(2, 6, 1)).unwrap();
    assert!(list.is_empty());
    assert!(is_closed(first_end), "what it does not name is closed");
    let cap = given(&peer);
    assert!(peer.engine.descriptor(cap).is_some());
    // With the call, and with the object.
    assert_eq!(peer.engine.held_descriptors(), 2);
    let delivery = peer.delivered.pop().unwrap();
    peer.engine.release_all(delivery.params.caps);
    assert_eq!(peer.engine.held_descriptors(), 1);
    assert!(is_closed(second_end), "nothing refers to its object any more");
    peer.answer(delivery.call, vec![]);
    assert_eq!(peer.engine.held_descriptors(), 0);
}

#[test]
fn an_object_keeps_the_first() {
    let mut peer = ready(Limits::NONE);
    let ((first, first_end), (second, second_end)) = (pipe(), pipe());
    peer.send_with(&mut vec![first], call(1, 5, 0)).unwrap();
    peer.send_with(&mut vec![second], call(2, 5, 0)).unwrap();
    assert!(is_closed(second_end));
    assert!(peer.engine.descriptor(given(&peer)).is_some());
    peer.engine.end(capnp_engine::Failure::Cancelled);
    assert!(is_closed(first_end), "the end closes all");
    assert_eq!(peer.engine.held_descriptors(), 0);
}

#[test]
fn beyond_the_limits_they_are_closed_and_the_call_is_refused() {
    let mut peer = ready(Limits { descriptors: 1, held_descriptors: 2, ..Limits::NONE });
    let ((first, first_end), (second, second_end)) = (pipe(), pipe());
    // One beyond what a message may have.
    peer.send_with(&mut vec![first, second], call(1, 5, 1)).unwrap();
    assert!(is_closed(first_end) && is_closed(second_end));
    assert!(peer.engine.descriptor(given(&peer)).is_none());
    assert_eq!(peer.delivered.len(), 1);

    let (held, _end) = pipe();
    peer.send_with(&mut vec![held], call(2, 6, 0)).unwrap();
    assert_eq!((peer.delivered.len(), peer.engine.held_descriptors()), (2, 2));
    let (third, third_end) = pipe();
    peer.send_with(&mut vec![third], call(3, 7, 0)).unwrap();
    assert!(is_closed(third_end));
    assert_eq!(peer.delivered.len(), 2);
    let text = "return 3: more than 2 file descriptors are held on one connection \
                (Limits::held_descriptors)";
    assert!(peer.written().iter().any(|written| written == text));
    assert_eq!(peer.refused, [(None, Exceeded::Descriptors)]);
    // The next call has none, and is not refused for that of another.
    peer.send_with(&mut vec![], call(4, 8, 0xff)).unwrap();
    assert_eq!(peer.delivered.len(), 3);
}

/// A promise has the descriptor of what it resolves to.
#[test]
fn a_resolve_brings_one() {
    let mut peer = ready(Limits::NONE);
    peer.send(|root| write_call(root, 1, |mut to| to.set_sender_promise(5))).unwrap();
    let promise = given(&peer);
    assert!(peer.engine.descriptor(promise).is_none());
    let (file, _end) = pipe();
    peer.send_with(&mut vec![file], |root| {
        let mut resolve = root.init_resolve();
        resolve.set_promise_id(5);
        let mut to = resolve.init_cap();
        to.set_sender_hosted(6);
        to.set_attached_fd(0);
    })
    .unwrap();
    assert!(peer.engine.descriptor(promise).is_some());
}

/// What was attached here goes with the object each time that it is given, also as the results of a call, and
/// comes back with it.
#[test]
fn an_object_of_this_side_brings_its_own() {
    let mut peer = ready(Limits { descriptors: 1, ..Limits::NONE });
    let (file, end) = pipe();
    let object = peer.engine.object(8);
    peer.engine.attach(object, file.into());
    for question in [1, 2] {
        peer.send(call(question, 5, 0xff)).unwrap();
        let delivery = peer.delivered.pop().unwrap();
        peer.engine.release_all(delivery.params.caps);
        peer.engine.retain(object);
        peer.written.clear();
        peer.answer(delivery.call, vec![object]);
        let written = peer.written();
        assert!(written.contains(&format!("return {question}: results with 1")), "{written:?}");
    }
    // More than may be in one message.
    let (more, more_end) = pipe();
    let other = peer.engine.object(9);
    peer.engine.attach(other, more.into());
    peer.send(call(3, 5, 0xff)).unwrap();
    let delivery = peer.delivered.pop().unwrap();
    peer.engine.release_all(delivery.params.caps);
    peer.engine.retain(object);
    peer.written.clear();
    peer.answer(delivery.call, vec![object, other]);
    let refused = "return 3: a message with 2 file descriptors was not sent: 1 is the limit (Limits::descriptors)";
    assert!(peer.written().iter().any(|text| text == refused));
    assert!(is_closed(more_end));
    // The peer names it, whatever it attaches itself.
    peer.send_with(&mut vec![pipe().0], |root| {
        write_call(root, 4, |mut to| {
            to.set_receiver_hosted(1);
            to.set_attached_fd(0);
        });
    })
    .unwrap();
    assert_eq!(peer.engine.resolved(given(&peer)), object);
    peer.engine.release_all(peer.delivered.pop().unwrap().params.caps);
    for question in [1, 2] {
        peer.finish(question);
    }
    peer.engine.release(object);
    assert!(peer.engine.descriptor(object).is_some());
    peer.send(|root| {
        let mut release = root.init_release();
        release.set_id(1);
        release.set_reference_count(2);
    })
    .unwrap();
    assert!(is_closed(end), "the peer has released it");
}

/// An object of the peer's goes back to it without the descriptor that came with it, which so counts in no message.
#[test]
fn objects_of_the_peers_go_back_without_theirs() {
    let mut peer = ready(Limits { descriptors: 1, ..Limits::NONE });
    let mut caps = Vec::new();
    for (question, id) in [(1, 5), (2, 6)] {
        let (file, _end) = pipe();
        peer.send_with(&mut vec![file], call(question, id, 0)).unwrap();
        caps.push(given(&peer));
    }
    let second = peer.delivered.pop().unwrap();
    caps.iter().for_each(|cap| peer.engine.retain(*cap));
    peer.written.clear();
    peer.answer(second.call, caps);
    assert_eq!(peer.written(), ["return 2: results"]);
}

/// What comes with an object of this side is not the object's, and is not sent along with it from then on.
#[test]
fn what_a_peer_attaches_to_an_object_of_this_side_is_closed() {
    let mut peer = ready(Limits { descriptors: 1, ..Limits::NONE });
    let object = peer.engine.object(8);
    peer.send(call(1, 5, 0xff)).unwrap();
    let delivery = peer.delivered.pop().unwrap();
    peer.engine.release_all(delivery.params.caps);
    peer.engine.retain(object);
    peer.answer(delivery.call, vec![object]);
    let (file, end) = pipe();
    peer.send_with(&mut vec![file], |root| {
        write_call(root, 4, |mut to| {
            to.set_receiver_hosted(1);
            to.set_attached_fd(0);
        });
    })
    .unwrap();
    assert_eq!(peer.engine.resolved(given(&peer)), object);
    assert!(peer.engine.descriptor(object).is_none());
    assert_eq!(peer.engine.held_descriptors(), 0);
    assert!(is_closed(end));
}

/// Taken out, it is who took it that closes it. It counts with its call, and so do copies.
#[test]
fn a_descriptor_is_taken_out_once() {
    let mut peer = ready(Limits::NONE);
    let (file, end) = pipe();
    peer.send_with(&mut vec![file], call(1, 5, 0)).unwrap();
    let cap = given(&peer);
    let taken = peer.engine.take_descriptor(cap).unwrap();
    assert!(peer.engine.take_descriptor(cap).is_none());
    assert_eq!(peer.engine.held_descriptors(), 1);
    let delivery = peer.delivered.pop().unwrap();
    peer.engine.hold_descriptors(&delivery.call, 1);
    assert_eq!(peer.engine.held_descriptors(), 1);
    peer.engine.hold_descriptors(&delivery.call, 3);
    assert_eq!(peer.engine.held_descriptors(), 3);
    peer.engine.release_all(delivery.params.caps);
    peer.answer(delivery.call, vec![]);
    assert_eq!(peer.engine.held_descriptors(), 0);
    drop(taken);
    assert!(is_closed(end));
    // An object of this side keeps its own.
    let object = peer.engine.object(8);
    peer.engine.attach(object, pipe().0.into());
    assert!(
        peer.engine.take_descriptor(object).is_none() && peer.engine.descriptor(object).is_some()
    );
}

/// Whoever holds a descriptor that came: in the end what was given for that closes it, and the engine does not.
#[test]
fn the_engine_closes_none_itself() {
    struct Kept(Mutex<Vec<OwnedFd>>);
    impl Close for Kept {
        fn close(&self, descriptor: OwnedFd) {
            self.0.lock().unwrap().push(descriptor);
        }
    }
    let kept = Arc::new(Kept(Mutex::default()));
    let close: Arc<dyn Close> = kept.clone();
    let mut peer = ready(Limits { descriptors: 2, held_descriptors: 2, ..Limits::NONE });
    // Attached; not named; attached to what has one; beyond what may be held.
    let mut ends = Vec::new();
    for (question, files) in [(1, 2), (2, 1), (3, 1)] {
        let mut list: Vec<_> = (0..files).map(|_| pipe()).collect();
        let files = list.drain(..).map(|(file, end)| {
            ends.push(end);
            Descriptor::new(file, Arc::clone(&close))
        });
        peer.send_these(&mut files.collect(), call(question, 5, 0)).unwrap();
    }
    let object = peer.engine.object(8);
    peer.engine.attach(object, Descriptor::new(pipe().0, Arc::clone(&close)));
    peer.engine.release(object);
    assert_eq!(kept.0.lock().unwrap().len(), 4);
    peer.engine.end(capnp_engine::Failure::Cancelled);
    assert_eq!(kept.0.lock().unwrap().len(), 5);
    kept.0.lock().unwrap().clear();
    assert!(ends.into_iter().all(is_closed));
}
