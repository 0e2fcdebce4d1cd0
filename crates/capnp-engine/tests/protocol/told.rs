//! Two engines tell each other their limits; other peers see nothing of it.

use capnp_engine::{
    CallOptions, Draft, Effect, Engine, Heap, Incoming, Limits, PeerLimits, SharedMessage,
    first_word,
};

use crate::peer::{INTERFACE, Peer};

fn engine(message: usize, bytes: usize) -> Engine {
    let mut engine = Engine::new(&Heap, Limits { message, bytes, ..Limits::default() });
    engine.tell_limits(PeerLimits { message, bytes, descriptors: 3 });
    let object = engine.object(0);
    engine.set_bootstrap(object);
    engine
}

/// Brings what one engine has sent to the other. Returns how many messages, and the calls' answers.
fn bring(from: &mut Engine, to: &mut Engine) -> usize {
    let mut count = 0;
    while let Some(effect) = from.next_effect() {
        let Effect::Write(message) = effect else { continue };
        let mut bytes = Vec::with_capacity(message.size_in_words() * 8 + 64);
        let start = first_word(&bytes);
        bytes.resize(start, 0);
        capnp::serialize::write_message(&mut bytes, &message).unwrap();
        let shared = SharedMessage::new(bytes, start, None);
        let segments = shared.view().segments().unwrap();
        to.receive(&Incoming::new(shared.view(), &segments)).unwrap();
        count += 1;
    }
    count
}

#[test]
fn both_sides_learn_of_each_other() {
    let (mut small, mut large) = (engine(1000, 5000), engine(9000, 70_000));
    let (_, first) = small.ask_bootstrap(1).unwrap();
    assert_eq!((small.peer_limits(), large.peer_limits()), (None, None));
    assert_eq!(bring(&mut small, &mut large), 1);
    assert_eq!(
        large.peer_limits(),
        Some(PeerLimits { message: 1000, bytes: 5000, descriptors: 3 })
    );
    // The limits, and the Return after them.
    assert_eq!(bring(&mut large, &mut small), 2);
    assert_eq!(
        small.peer_limits(),
        Some(PeerLimits { message: 9000, bytes: 70_000, descriptors: 3 })
    );
    // Neither sends more than both allow.
    assert_eq!((small.most_message(), large.most_message()), (1000, 1000));
    // Once is enough.
    bring(&mut small, &mut large);
    small.ask_bootstrap(2).unwrap();
    bring(&mut small, &mut large);
    assert_eq!(bring(&mut large, &mut small), 1);
    small.release(first);
}

#[test]
fn what_is_too_large_for_the_other_side_is_not_sent() {
    let (mut small, mut large) = (engine(1000, 5000), engine(9000, 70_000));
    let (_, first) = large.ask_bootstrap(1).unwrap();
    let call = |bytes: usize| {
        let fill = |mut to: capnp::any_pointer::Builder<'_>| {
            to.set_as::<capnp::data::Owned>(&vec![1; bytes][..]).unwrap();
            Ok::<_, ()>(vec![])
        };
        Draft::call(&Heap, (INTERFACE, 0), fill).unwrap()
    };
    // Before it is known what the other side takes, this side's own limit counts.
    let too_large = large.call(first, call(10_000), CallOptions::default()).unwrap_err();
    assert!(too_large.to_string().contains("9000 is the limit"), "{too_large}");
    bring(&mut large, &mut small);
    bring(&mut small, &mut large);
    let too_large = large.call(first, call(2000), CallOptions::default()).unwrap_err();
    let text = "1000 is the other side's limit (Limits::message)";
    assert!(too_large.to_string().contains(text), "{too_large}");
    large.call(first, call(500), CallOptions::default()).unwrap();
    // Behind the Finish of the first question.
    assert_eq!(bring(&mut large, &mut small), 2);
}

/// To a peer that tells no limits none are told, but for what its implementation does not read.
#[test]
fn others_see_nothing_of_it() {
    let mut peer = Peer::new();
    peer.engine.tell_limits(PeerLimits { message: 7, bytes: 7, descriptors: 7 });
    peer.bootstrap(3);
    assert_eq!(peer.written(), Vec::<String>::new());
    assert_eq!(peer.engine.peer_limits(), None);
    peer.engine.ask_bootstrap(4).unwrap();
    peer.drain();
    assert_eq!(peer.written(), ["bootstrap 0"]);
}

/// An engine that tells no limits does not know the message.
#[test]
fn an_engine_without_limits_to_tell_answers_as_others_do() {
    let mut silent = Engine::new(&Heap, Limits::default());
    let mut tells = engine(1000, 5000);
    tells.ask_bootstrap(1).unwrap();
    bring(&mut tells, &mut silent);
    assert_eq!(silent.peer_limits(), None);
    bring(&mut silent, &mut tells);
    assert_eq!(tells.peer_limits(), None);
}
