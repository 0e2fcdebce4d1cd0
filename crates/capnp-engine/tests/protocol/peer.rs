//! The peer: sends the messages that it is told to, and records the messages of the engine.

use std::os::fd::OwnedFd;

use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::private::layout::CapTable;
use capnp::traits::ImbueMut;
use capnp_engine::{
    CallOptions, Called, Cap, Delivery, Descriptor, Draft, Effect, Engine, Exceeded, Failure,
    Fatal, Heap, Incoming, Limits, Payload, Serving, SharedMessage, cap_hook, first_word,
};
use capnp_rpc::rpc_capnp::{message, return_};

/// Any interface.
pub(crate) const INTERFACE: u64 = 0x1234;

pub(crate) struct Peer {
    pub(crate) engine: Engine,
    /// The engine's messages, as text that is easy to compare.
    pub(crate) written: Vec<String>,
    pub(crate) delivered: Vec<Delivery>,
    pub(crate) answers: Vec<(u64, Result<Payload, Failure>)>,
    pub(crate) over: Vec<u64>,
    pub(crate) cancelled: Vec<u64>,
    pub(crate) resolved: Vec<u64>,
    pub(crate) released: Vec<u64>,
    pub(crate) refused: Vec<(Option<u64>, Exceeded)>,
}

impl Peer {
    pub(crate) fn new() -> Peer {
        Peer::limited(Limits::default())
    }

    pub(crate) fn limited(limits: Limits) -> Peer {
        Peer {
            engine: Engine::new(&Heap, limits),
            written: vec![],
            delivered: vec![],
            answers: vec![],
            over: vec![],
            cancelled: vec![],
            resolved: vec![],
            released: vec![],
            refused: vec![],
        }
    }

    /// Sends the engine a message.
    pub(crate) fn send(&mut self, write: impl FnOnce(message::Builder<'_>)) -> Result<(), Fatal> {
        self.send_with(&mut Vec::new(), write)
    }

    /// The same with these file descriptors.
    pub(crate) fn send_with(
        &mut self,
        descriptors: &mut Vec<OwnedFd>,
        write: impl FnOnce(message::Builder<'_>),
    ) -> Result<(), Fatal> {
        let mut list = descriptors.drain(..).map(Descriptor::from).collect();
        let result = self.send_these(&mut list, write);
        descriptors.extend(list.into_iter().map(Descriptor::into_owned));
        result
    }

    /// The same, where something else closes them.
    pub(crate) fn send_these(
        &mut self,
        descriptors: &mut Vec<Descriptor>,
        write: impl FnOnce(message::Builder<'_>),
    ) -> Result<(), Fatal> {
        let mut message = Builder::new(HeapAllocator::new());
        write(message.init_root());
        let shared = to_shared(&message);
        let segments = shared.view().segments().unwrap();
        let incoming = Incoming::new(shared.view(), &segments);
        let result = self.engine.receive_with(&incoming, descriptors);
        self.drain();
        result
    }

    /// Takes the effects out.
    pub(crate) fn drain(&mut self) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Write(message) => self.written.push(describe(&to_shared(&message))),
                Effect::WriteWith(carrying) => {
                    let count = carrying.descriptors.len();
                    let text = describe(&to_shared(&carrying.message));
                    self.written.push(format!("{text} with {count}"));
                }
                Effect::Deliver(delivery) => self.delivered.push(delivery),
                Effect::Answered { tag, answer, .. } => self.answers.push((tag, answer)),
                Effect::Over { tag } => self.over.push(tag),
                Effect::Cancelled { tag } => self.cancelled.push(tag),
                Effect::Resolved { tag } => self.resolved.push(tag),
                Effect::Released { object } => self.released.push(object),
                Effect::Refused { object, limit } => self.refused.push((object, limit)),
            }
        }
    }

    /// The engine's bootstrap capability: import 0 of the peer.
    pub(crate) fn bootstrap(&mut self, object: u64) {
        let cap = self.engine.object(object);
        self.engine.set_bootstrap(cap);
        self.send(|root| root.init_bootstrap().set_question_id(1000)).unwrap();
        self.finish(1000);
        self.written.clear();
    }

    /// The peer's bootstrap capability, for the engine. Its id is 0.
    pub(crate) fn first(&mut self) -> Cap {
        let (call, promise) = self.engine.ask_bootstrap(0).unwrap();
        self.drain();
        self.send(|root| {
            let mut answer = root.init_return();
            answer.set_answer_id(0);
            let mut results = answer.init_results();
            results.reborrow().init_cap_table(1).get(0).set_sender_hosted(0);
            let mut table = CapTable::new();
            set_cap(results.reborrow().get_content(), &mut table);
        })
        .unwrap();
        assert!(!self.engine.is_open(call));
        let (_, results) = self.answers.pop().unwrap();
        self.engine.release(promise);
        self.drain();
        self.written.clear();
        results.unwrap().caps[0].unwrap()
    }

    /// Calls a capability without parameters; the promise is that of the result itself.
    pub(crate) fn call(&mut self, cap: Cap, options: CallOptions) -> Called {
        let called = self.engine.call(cap, empty(), options).unwrap();
        self.drain();
        called
    }

    /// Answers a call with these capabilities, the first of which is the content.
    pub(crate) fn answer(&mut self, call: Serving, caps: Vec<Cap>) {
        let draft = Draft::results(&Heap, call, |mut to| {
            for place in (0..caps.len()).rev() {
                to.set_as_capability(cap_hook(place));
            }
            Ok::<_, ()>(caps.into_iter().map(Some).collect())
        });
        self.engine.answer(call, Ok(draft.unwrap()));
        self.drain();
    }

    /// Finishes a question and keeps the capabilities of its results.
    pub(crate) fn finish(&mut self, id: u32) {
        self.send(|root| {
            let mut finish = root.init_finish();
            finish.set_question_id(id);
            finish.set_release_result_caps(false);
        })
        .unwrap();
    }

    pub(crate) fn written(&mut self) -> Vec<String> {
        std::mem::take(&mut self.written)
    }
}

/// A call without parameters.
pub(crate) fn empty() -> Draft {
    Draft::call(&Heap, (INTERFACE, 0), |_| Ok::<_, ()>(vec![])).unwrap()
}

/// Sets a pointer to the first capability of the message's table.
pub(crate) fn set_cap<'a>(mut to: capnp::any_pointer::Builder<'a>, table: &'a mut CapTable) {
    to.imbue_mut(table);
    to.set_as_capability(cap_hook(0));
}

pub(crate) fn to_shared(message: &Builder<impl capnp::message::Allocator>) -> SharedMessage {
    let mut bytes = Vec::with_capacity(message.size_in_words() * 8 + 64);
    let start = first_word(&bytes);
    bytes.resize(start, 0);
    capnp::serialize::write_message(&mut bytes, message).unwrap();
    SharedMessage::new(bytes, start, None)
}

fn describe(message: &SharedMessage) -> String {
    let mut bytes = message.bytes();
    let reader =
        capnp::serialize::read_message_from_flat_slice_no_alloc(&mut bytes, ReaderOptions::new())
            .unwrap();
    let root: message::Reader<'_> = reader.get_root().unwrap();
    match root.which().unwrap() {
        message::Call(call) => format!("call {}", call.unwrap().get_question_id()),
        message::Return(answer) => {
            let answer = answer.unwrap();
            let what = match answer.which().unwrap() {
                return_::Results(_) => "results".to_owned(),
                return_::Exception(error) => {
                    error.unwrap().get_reason().unwrap().to_string().unwrap()
                }
                return_::Canceled(()) => "canceled".to_owned(),
                return_::ResultsSentElsewhere(()) => "elsewhere".to_owned(),
                _ => "something else".to_owned(),
            };
            format!("return {}: {what}", answer.get_answer_id())
        }
        message::Finish(finish) => {
            let finish = finish.unwrap();
            let release = finish.get_release_result_caps();
            format!("finish {}{}", finish.get_question_id(), if release { ", release" } else { "" })
        }
        message::Bootstrap(bootstrap) => {
            format!("bootstrap {}", bootstrap.unwrap().get_question_id())
        }
        message::Release(release) => {
            let release = release.unwrap();
            format!("release {} {}", release.get_id(), release.get_reference_count())
        }
        message::Resolve(resolve) => format!("resolve {}", resolve.unwrap().get_promise_id()),
        message::Disembargo(disembargo) => {
            let disembargo = disembargo.unwrap();
            format!("disembargo {:?}", disembargo.get_target().unwrap())
        }
        message::Unimplemented(_) => "unimplemented".to_owned(),
        message::Abort(_) => "abort".to_owned(),
        _ => "something else".to_owned(),
    }
}
