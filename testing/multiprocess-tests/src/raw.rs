//! A peer that writes the messages of the RPC protocol itself, so that tests can send messages that
//! a well-behaved peer never sends. This file is about sending; `receiving` is about reading.

mod lab;
mod message;
mod placeholder;
mod receiving;

pub use message::{bytes_of, call_bytes, which};
pub use placeholder::{Placeholder, cap, placeholder};

use std::collections::HashMap;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::serialize::OwnedSegments;
use capnp_rpc::rpc_capnp::message as rpc_message;
use rustix::cmsg_space;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use message::{fill_payload, write_cap, write_target};

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

/// The target of a call.
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
    /// An object here, with the message's file descriptor of this index.
    Carrying(u32, u8),
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
    pub fn send(&mut self, write: impl FnOnce(rpc_message::Builder<'_>)) -> io::Result<()> {
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

    /// Writes bytes, and file descriptors with the first of them.
    pub fn send_with(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(descriptors.len()))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        let slices = &[IoSlice::new(bytes)];
        let sent = sendmsg(&self.stream, slices, &mut control, SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(bytes.len()));
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

    /// Releases an object of the other side's.
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
}
