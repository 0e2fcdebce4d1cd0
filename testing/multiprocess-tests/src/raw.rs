//! A peer that writes the messages of the RPC protocol itself: for what a well-behaved one never
//! sends.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use capnp::any_pointer;
use capnp::capability::{FromClientHook, Promise, Request};
use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::serialize::{self, OwnedSegments};
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{cap_descriptor, disembargo, message, message_target, return_};

/// The id of the lab's interface.
pub const LAB: u64 = 0xde12_c3d8_c321_5d71;
/// The id of the counter's interface.
pub const COUNTER: u64 = 0xf952_fdef_f65d_d298;
/// The id of the ThreadMap interface.
pub const THREAD_MAP: u64 = 0xee5e_3717_9ad9_dc9d;
/// The id of the Thread interface.
pub const THREAD: u64 = 0x81c1_e260_0d0b_56c5;

/// A message as it came.
pub type Incoming = capnp::message::Reader<OwnedSegments>;
/// A message that is being written.
pub type Outgoing = Builder<HeapAllocator>;

/// One end of a socket, and the numbers of the questions asked over it.
pub struct RawPeer {
    /// The socket.
    pub stream: UnixStream,
    next: u32,
    unsent: Option<Vec<u8>>,
    /// Answers that came before they were waited for.
    answers: HashMap<u32, Answer>,
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An object that the other side has exported by this number.
    Export(u32),
    /// What the answer of a question has at its first pointer.
    Answer(u32),
    /// The answer of a question itself, as that of a bootstrap.
    Bootstrap(u32),
}

/// A capability in a message.
#[derive(Clone, Copy)]
pub enum Cap {
    /// An object here.
    Here(u32),
    /// A promise of this side's.
    Promise(u32),
    /// An object of the other side's.
    There(u32),
    /// What the answer of a question has at its first pointer.
    Answer(u32),
}

/// The end of a call.
pub enum Answer {
    /// Its results.
    Results(Box<Incoming>),
    /// The text of its exception.
    Exception(String),
}

impl RawPeer {
    /// Speaks over this socket. Reading gives up after a minute.
    pub fn new(stream: UnixStream) -> RawPeer {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        RawPeer { stream, next: 0, unsent: None, answers: HashMap::new() }
    }

    /// Gathers what is sent from now on, to be written at once by [`send_gathered`](Self::send_gathered).
    pub fn gather(&mut self) {
        self.unsent.get_or_insert_default();
    }

    /// Writes what was gathered.
    pub fn send_gathered(&mut self) -> io::Result<()> {
        let bytes = self.unsent.take().unwrap_or_default();
        self.stream.write_all(&bytes)
    }

    /// Writes a message.
    pub fn send(&mut self, write: impl FnOnce(message::Builder<'_>)) -> io::Result<()> {
        let bytes = bytes_of(write);
        self.send_bytes(&bytes)
    }

    /// Writes bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.unsent {
            Some(unsent) => {
                unsent.extend_from_slice(bytes);
                Ok(())
            }
            None => self.stream.write_all(bytes),
        }
    }

    /// The number of the next question.
    pub fn question(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Asks for the bootstrap object. Its number as a question.
    pub fn bootstrap(&mut self) -> u32 {
        let question = self.question();
        self.send(|message| message.init_bootstrap().set_question_id(question)).expect("to send");
        question
    }

    /// Calls a method. Its number as a question.
    pub fn call(
        &mut self,
        target: Target,
        (interface, method): (u64, u16),
        caps: &[Cap],
        fill: impl FnOnce(any_pointer::Builder<'_>),
    ) -> u32 {
        self.try_call(target, (interface, method), caps, fill).expect("to send")
    }

    /// The same where the other side may have closed.
    pub fn try_call(
        &mut self,
        target: Target,
        method: (u64, u16),
        caps: &[Cap],
        fill: impl FnOnce(any_pointer::Builder<'_>),
    ) -> io::Result<u32> {
        let question = self.question();
        self.send_bytes(&call_bytes(question, target, method, caps, fill))?;
        Ok(question)
    }

    /// Says that a question's answer is not wanted (any more).
    pub fn finish(&mut self, question: u32) {
        self.send(|message| {
            let mut finish = message.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(true);
        })
        .expect("to send");
    }

    /// Calls a method whose results are to stay with the other side. Its number as a question.
    pub fn call_for_elsewhere(
        &mut self,
        target: Target,
        (interface, method): (u64, u16),
        fill: impl FnOnce(any_pointer::Builder<'_>),
    ) -> u32 {
        let question = self.question();
        self.send(|message| {
            let mut call = message.init_call();
            call.set_question_id(question);
            call.set_interface_id(interface);
            call.set_method_id(method);
            call.reborrow().init_send_results_to().set_yourself(());
            write_target(call.reborrow().init_target(), target);
            fill_payload(call.init_params(), &[], fill);
        })
        .expect("to send");
        question
    }

    /// Answers a question of the other side's with the results of one that was asked there.
    pub fn answer_from(&mut self, question: u32, other: u32) {
        self.send(|message| {
            let mut ret = message.init_return();
            ret.set_answer_id(question);
            ret.set_release_param_caps(false);
            ret.set_take_from_other_question(other);
        })
        .expect("to send");
    }

    /// Says what a promise of this side's has become.
    pub fn resolve(&mut self, promise: u32, cap: Cap) {
        self.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(promise);
            write_cap(resolve.init_cap(), cap);
        })
        .expect("to send");
    }

    /// Ends an embargo of the other side's.
    pub fn end_embargo(&mut self, embargo: u32) {
        self.send(|message| {
            let mut disembargo = message.init_disembargo();
            disembargo.reborrow().init_target().set_imported_cap(0);
            disembargo.init_context().set_receiver_loopback(embargo);
        })
        .expect("to send");
    }

    /// Reads until a message is what `look` looks for. Answers that come before are kept.
    pub fn find<T>(&mut self, mut look: impl FnMut(message::WhichReader<'_>) -> Option<T>) -> T {
        loop {
            let incoming = self.receive().expect("a message");
            if let Some(found) = look(which(&incoming)) {
                return found;
            }
            self.note(incoming);
        }
    }

    /// Reads until the other side calls. The question, and the object if it is exported from here.
    pub fn find_call(&mut self) -> (u32, Option<u32>) {
        self.find(|message| {
            let message::Call(Ok(call)) = message else { return None };
            let target = match call.get_target().ok()?.which().ok()? {
                message_target::ImportedCap(id) => Some(id),
                message_target::PromisedAnswer(_) => None,
            };
            Some((call.get_question_id(), target))
        })
    }

    /// Reads until the other side asks for the end of an embargo. Its number, and the object if it
    /// is exported from here.
    pub fn find_embargo(&mut self) -> (u32, Option<u32>) {
        self.find(|message| {
            let message::Disembargo(Ok(disembargo)) = message else { return None };
            let Ok(disembargo::context::SenderLoopback(id)) = disembargo.get_context().which()
            else {
                return None;
            };
            match disembargo.get_target().ok()?.which().ok()? {
                message_target::ImportedCap(target) => Some((id, Some(target))),
                message_target::PromisedAnswer(_) => Some((id, None)),
            }
        })
    }

    /// Reads until the other side finishes a question of its own.
    pub fn find_finish(&mut self, question: u32) {
        self.find(|message| match message {
            message::Finish(Ok(finish)) if finish.get_question_id() == question => Some(()),
            _ => None,
        });
    }

    /// Lets go of an object of the other side's.
    pub fn release(&mut self, export: u32) {
        self.send(|message| {
            let mut release = message.init_release();
            release.set_id(export);
            release.set_reference_count(1);
        })
        .expect("to send");
    }

    /// Answers a question of the other side's with a content and capabilities.
    pub fn answer(
        &mut self,
        question: u32,
        caps: &[Cap],
        fill: impl FnOnce(any_pointer::Builder<'_>),
    ) {
        self.send(|message| {
            let mut ret = message.init_return();
            ret.set_answer_id(question);
            ret.set_release_param_caps(false);
            fill_payload(ret.init_results(), caps, fill);
        })
        .expect("to send");
    }

    /// The next message; an error when the other side has closed.
    pub fn receive(&mut self) -> capnp::Result<Incoming> {
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(None);
        serialize::read_message(&mut self.stream, options)
    }

    /// Reads until a question is answered.
    pub fn wait(&mut self, question: u32) -> Answer {
        loop {
            if let Some(answer) = self.answers.remove(&question) {
                return answer;
            }
            let incoming = self.receive().expect("an answer");
            self.note(incoming);
        }
    }

    /// Keeps an answer; other messages are let go of.
    fn note(&mut self, incoming: Incoming) {
        let (question, exception) = match which(&incoming) {
            message::Return(Ok(ret)) => match ret.which() {
                Ok(return_::Exception(Ok(exception))) => {
                    let text = exception.get_reason().expect("a reason");
                    (ret.get_answer_id(), Some(text.to_string().expect("UTF-8")))
                }
                Ok(return_::Results(_)) => (ret.get_answer_id(), None),
                Ok(return_::Canceled(())) => (ret.get_answer_id(), Some("canceled".to_owned())),
                Ok(return_::ResultsSentElsewhere(())) => {
                    (ret.get_answer_id(), Some("sent elsewhere".to_owned()))
                }
                _ => panic!("an answer that is neither results nor an exception"),
            },
            message::Abort(Ok(abort)) => panic!("aborted: {:?}", abort.get_reason()),
            _ => return,
        };
        let results = || Answer::Results(Box::new(incoming));
        self.answers.insert(question, exception.map_or_else(results, Answer::Exception));
    }

    /// Calls a method and waits for its answer.
    pub fn ask(
        &mut self,
        target: Target,
        method: (u64, u16),
        caps: &[Cap],
        fill: impl FnOnce(any_pointer::Builder<'_>),
    ) -> Answer {
        let question = self.call(target, method, caps, fill);
        self.wait(question)
    }

    /// Reads until the other side closes. False if it does not.
    pub fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }
}

impl Answer {
    /// The text of the exception.
    #[track_caller]
    pub fn exception(self) -> String {
        match self {
            Answer::Exception(text) => text,
            Answer::Results(_) => panic!("the call did not fail"),
        }
    }

    /// The results.
    #[track_caller]
    pub fn results(self) -> Box<Incoming> {
        match self {
            Answer::Results(message) => message,
            Answer::Exception(text) => panic!("the call failed: {text}"),
        }
    }

    /// The number of the first object that the results bring.
    #[track_caller]
    pub fn export(self) -> u32 {
        let message = self.results();
        let message::Return(Ok(ret)) = which(&message) else { panic!("not a return") };
        let Ok(return_::Results(Ok(payload))) = ret.which() else { panic!("no results") };
        match payload.get_cap_table().expect("a table").get(0).which() {
            Ok(cap_descriptor::SenderHosted(id) | cap_descriptor::SenderPromise(id)) => id,
            _ => panic!("no object of the other side's"),
        }
    }
}

/// What a message is.
#[track_caller]
pub fn which(incoming: &Incoming) -> message::WhichReader<'_> {
    let root: message::Reader<'_> = incoming.get_root().expect("a root");
    root.which().expect("a known message")
}

/// A message as bytes.
pub fn bytes_of(write: impl FnOnce(message::Builder<'_>)) -> Vec<u8> {
    let mut message = Outgoing::new_default();
    write(message.init_root());
    serialize::write_message_to_words(&message)
}

/// A call as bytes.
pub fn call_bytes(
    question: u32,
    target: Target,
    (interface, method): (u64, u16),
    caps: &[Cap],
    fill: impl FnOnce(any_pointer::Builder<'_>),
) -> Vec<u8> {
    bytes_of(|message| {
        let mut call = message.init_call();
        call.set_question_id(question);
        call.set_interface_id(interface);
        call.set_method_id(method);
        call.reborrow().init_send_results_to().set_caller(());
        write_target(call.reborrow().init_target(), target);
        fill_payload(call.init_params(), caps, fill);
    })
}

fn write_target(mut builder: message_target::Builder<'_>, target: Target) {
    match target {
        Target::Export(id) => builder.set_imported_cap(id),
        Target::Bootstrap(question) => builder.init_promised_answer().set_question_id(question),
        Target::Answer(question) => {
            let mut promised = builder.init_promised_answer();
            promised.set_question_id(question);
            promised.init_transform(1).get(0).set_get_pointer_field(0);
        }
    }
}

/// `fill` sets capabilities with [`cap`], in the order of `caps`.
fn fill_payload(
    mut payload: capnp_rpc::rpc_capnp::payload::Builder<'_>,
    caps: &[Cap],
    fill: impl FnOnce(any_pointer::Builder<'_>),
) {
    let mut table = Vec::new();
    let mut content = payload.reborrow().init_content();
    content.imbue_mut(&mut table);
    fill(content);
    let mut descriptors = payload.init_cap_table(u32::try_from(caps.len()).expect("few"));
    for (index, cap) in (0..).zip(caps) {
        write_cap(descriptors.reborrow().get(index), *cap);
    }
}

fn write_cap(mut descriptor: cap_descriptor::Builder<'_>, cap: Cap) {
    match cap {
        Cap::Here(id) => descriptor.set_sender_hosted(id),
        Cap::Promise(id) => descriptor.set_sender_promise(id),
        Cap::There(id) => descriptor.set_receiver_hosted(id),
        Cap::Answer(question) => {
            let mut promised = descriptor.init_receiver_answer();
            promised.set_question_id(question);
            promised.init_transform(1).get(0).set_get_pointer_field(0);
        }
    }
}

/// The next capability of a message, for a builder's setter.
pub fn cap<C: FromClientHook>() -> C {
    C::new(Placeholder::boxed(0))
}

/// The same where the whole content is a capability.
pub fn placeholder() -> Box<dyn ClientHook> {
    Placeholder::boxed(0)
}

/// Takes a place in the table of a message's capabilities, and does nothing but to tell which.
pub struct Placeholder(usize);

impl Placeholder {
    /// For this place.
    pub(crate) fn boxed(place: usize) -> Box<dyn ClientHook> {
        Box::new(Placeholder(place))
    }
}

impl ClientHook for Placeholder {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(Placeholder(self.0))
    }
    fn new_call(
        &self,
        _interface: u64,
        _method: u16,
        _size: Option<capnp::MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        unreachable!("a placeholder is not called")
    }
    fn call(
        &self,
        _interface: u64,
        _method: u16,
        _params: Box<dyn ParamsHook>,
        _results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        unreachable!("a placeholder is not called")
    }
    fn get_brand(&self) -> usize {
        0
    }
    fn get_ptr(&self) -> usize {
        self.0
    }
    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }
    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        None
    }
    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        Promise::ok(())
    }
}
