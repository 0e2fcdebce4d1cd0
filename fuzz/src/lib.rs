//! Messages of the RPC protocol, made from arbitrary numbers; shared by the targets.

use arbitrary::Arbitrary;
use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::ClientHook;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{
    accept, cap_descriptor, message, message_target, payload, promised_answer,
};

/// A small number, so that it is often one in use.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Small(u8);

impl Small {
    /// Mostly below 8; some are as large as numbers can be.
    pub fn get(self) -> u32 {
        match self.0 {
            0..=247 => u32::from(self.0 % 8),
            248..=253 => 1000 + u32::from(self.0),
            254 => u32::MAX - 1,
            255 => u32::MAX,
        }
    }
}

/// The way to a capability in an answer.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum At {
    Root,
    Field,
    Other(u8),
    Deep(u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Target {
    Import(Small),
    Answer(Small, At),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Descriptor {
    None,
    SenderHosted(Small),
    SenderPromise(Small),
    ReceiverHosted(Small),
    ReceiverAnswer(Small, At),
    ThirdParty(Small),
    /// An object of the receiver's.
    Exactly(u32),
}

/// Parameters or results.
#[derive(Debug, Clone, Arbitrary)]
pub struct Content {
    /// The capability that the content has; none for no content.
    pub index: Option<u8>,
    /// Whether the content is the capability itself, instead of a struct with it as a field.
    pub bare: bool,
    pub caps: [Option<Descriptor>; 3],
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Return {
    Results(Content),
    Exception(u8),
    Canceled,
    Elsewhere,
    Take(Small),
    Accept,
}

/// One message.
#[derive(Debug, Clone, Arbitrary)]
pub enum Message {
    Bootstrap(Small),
    Call { id: Small, method: u8, target: Target, content: Content, elsewhere: bool },
    Return { id: Small, release: bool, no_finish: bool, how: Return },
    Finish { id: Small, release: bool },
    Resolve { id: Small, to: Option<Descriptor> },
    Release { id: Small, count: Small },
    Disembargo { id: Small, target: Target, back: bool },
    Abort,
    Unimplemented(Box<Message>),
    Provide(Small),
}

impl Message {
    /// The message as it is sent. Calls are of this interface.
    pub fn to_words(&self, interface: u64) -> Vec<u8> {
        let mut message = Builder::<HeapAllocator>::new_default();
        self.write(message.init_root(), interface);
        capnp::serialize::write_message_to_words(&message)
    }

    fn write(&self, to: message::Builder<'_>, interface: u64) {
        match self {
            Message::Bootstrap(id) => to.init_bootstrap().set_question_id(id.get()),
            Message::Call { id, method, target, content, elsewhere } => {
                let mut call = to.init_call();
                call.set_question_id(id.get());
                call.set_interface_id(interface);
                call.set_method_id(u16::from(*method) % 20);
                if *elsewhere {
                    call.reborrow().init_send_results_to().set_yourself(());
                }
                write_target(call.reborrow().init_target(), *target);
                write_content(call.init_params(), content);
            }
            Message::Return { id, release, no_finish, how } => {
                let mut answer = to.init_return();
                answer.set_answer_id(id.get());
                answer.set_release_param_caps(*release);
                answer.set_no_finish_needed(*no_finish);
                match how {
                    Return::Results(content) => write_content(answer.init_results(), content),
                    Return::Exception(kind) => {
                        let mut error = answer.init_exception();
                        error.set_reason("no");
                        if let Ok(kind) = u16::from(kind % 4).try_into() {
                            error.set_type(kind);
                        }
                    }
                    Return::Canceled => answer.set_canceled(()),
                    Return::Elsewhere => answer.set_results_sent_elsewhere(()),
                    Return::Take(other) => answer.set_take_from_other_question(other.get()),
                    Return::Accept => drop(answer.init_accept_from_third_party()),
                }
            }
            Message::Finish { id, release } => {
                let mut finish = to.init_finish();
                finish.set_question_id(id.get());
                finish.set_release_result_caps(*release);
            }
            Message::Resolve { id, to: cap } => {
                let mut resolve = to.init_resolve();
                resolve.set_promise_id(id.get());
                match cap {
                    Some(cap) => write_descriptor(resolve.init_cap(), *cap),
                    None => resolve.init_exception().set_reason("broken"),
                }
            }
            Message::Release { id, count } => {
                let mut release = to.init_release();
                release.set_id(id.get());
                release.set_reference_count(count.get());
            }
            Message::Disembargo { id, target, back } => {
                let mut disembargo = to.init_disembargo();
                write_target(disembargo.reborrow().init_target(), *target);
                let mut context = disembargo.init_context();
                match back {
                    true => context.set_receiver_loopback(id.get()),
                    false => context.set_sender_loopback(id.get()),
                }
            }
            Message::Abort => to.init_abort().set_reason("enough"),
            Message::Unimplemented(message) => message.write(to.init_unimplemented(), interface),
            Message::Provide(id) => to.init_provide().set_question_id(id.get()),
        }
    }
}

fn write_target(mut to: message_target::Builder<'_>, target: Target) {
    match target {
        Target::Import(id) => to.set_imported_cap(id.get()),
        Target::Answer(id, at) => write_answer(to.init_promised_answer(), id, at),
    }
}

fn write_answer(mut to: promised_answer::Builder<'_>, id: Small, at: At) {
    to.set_question_id(id.get());
    let (length, field) = match at {
        At::Root => (0, 0),
        At::Field => (1, 0),
        At::Other(field) => (1, u16::from(field)),
        At::Deep(length) => (u32::from(length), 0),
    };
    let mut ops = to.init_transform(length);
    for place in 0..length {
        ops.reborrow().get(place).set_get_pointer_field(field);
    }
}

fn write_descriptor(mut to: cap_descriptor::Builder<'_>, cap: Descriptor) {
    match cap {
        Descriptor::None => to.set_none(()),
        Descriptor::SenderHosted(id) => to.set_sender_hosted(id.get()),
        Descriptor::SenderPromise(id) => to.set_sender_promise(id.get()),
        Descriptor::ReceiverHosted(id) => to.set_receiver_hosted(id.get()),
        Descriptor::ReceiverAnswer(id, at) => write_answer(to.init_receiver_answer(), id, at),
        Descriptor::Exactly(id) => to.set_receiver_hosted(id),
        Descriptor::ThirdParty(id) => to.init_third_party_hosted().set_vine_id(id.get()),
    }
}

fn write_content(mut to: payload::Builder<'_>, content: &Content) {
    if let Some(index) = content.index {
        // The pointer that is written refers to the next entry of the table.
        let mut table: Vec<Option<Box<dyn ClientHook>>> = (0..index % 4).map(|_| None).collect();
        let mut any: any_pointer::Builder<'_> = to.reborrow().init_content();
        any.imbue_mut(&mut table);
        if content.bare {
            any.set_as_capability(capnp_engine::cap_hook(0));
        } else {
            // Any struct whose first pointer is an AnyPointer.
            let mut fields: accept::Builder<'_> = any.init_as();
            fields.reborrow().init_provision().set_as_capability(capnp_engine::cap_hook(0));
        }
    }
    let caps: Vec<Descriptor> = content.caps.iter().flatten().copied().collect();
    let mut table = to.init_cap_table(caps.len() as u32);
    for (place, cap) in (0..).zip(caps) {
        write_descriptor(table.reborrow().get(place), cap);
    }
}

/// A capability pointer with an index that no other message uses. It is replaced by a pointer to
/// the second segment.
const MARK: u32 = 77;

/// Puts this content in place of the mark, as a segment that begins with the content's pointer.
fn with_content(message: &Builder<HeapAllocator>, content: &[u8]) -> Vec<u8> {
    let segments = message.get_segments_for_output();
    assert_eq!(segments.len(), 1, "it has room");
    let mark = ((u64::from(MARK) << 32) | 3).to_le_bytes();
    // A far pointer to the first word of segment 1.
    let far = ((1_u64 << 32) | 2).to_le_bytes();
    let mut first = segments[0].to_vec();
    for word in first.chunks_exact_mut(8).filter(|word| **word == mark) {
        word.copy_from_slice(&far);
    }
    let words = content.len().div_ceil(8).max(1);
    let mut bytes = Vec::new();
    for number in [1, first.len() / 8, words, 0] {
        bytes.extend((number as u32).to_le_bytes());
    }
    bytes.extend(&first);
    bytes.extend(content);
    bytes.resize(16 + first.len() + 8 * words, 0);
    bytes
}

fn mark(mut to: payload::Builder<'_>, caps: &[Descriptor]) {
    let mut table: Vec<Option<Box<dyn ClientHook>>> = (0..MARK).map(|_| None).collect();
    let mut any: any_pointer::Builder<'_> = to.reborrow().init_content();
    any.imbue_mut(&mut table);
    any.set_as_capability(capnp_engine::cap_hook(0));
    let mut table = to.init_cap_table(caps.len() as u32);
    for (place, cap) in (0..).zip(caps) {
        write_descriptor(table.reborrow().get(place), *cap);
    }
}

fn roomy() -> Builder<HeapAllocator> {
    Builder::new(HeapAllocator::new().first_segment_words(256))
}

/// A call of the object that the question `target` returned, with `content` as the segment of the
/// parameters. They can name a thread as the first capability, and objects of the caller's.
pub fn call_with(
    question: u32,
    target: u32,
    (interface, method): (u64, u16),
    thread: u32,
    content: &[u8],
) -> Vec<u8> {
    let mut message = roomy();
    let root: message::Builder<'_> = message.init_root();
    let mut call = root.init_call();
    call.set_question_id(question);
    call.set_interface_id(interface);
    call.set_method_id(method);
    call.reborrow().init_target().init_promised_answer().set_question_id(target);
    mark(
        call.init_params(),
        &[
            Descriptor::Exactly(thread),
            Descriptor::SenderHosted(Small(3)),
            Descriptor::SenderPromise(Small(4)),
            Descriptor::None,
        ],
    );
    with_content(&message, content)
}

/// An answer with `content` as the segment of the results; an exception if it is empty.
pub fn return_with(question: u32, content: &[u8]) -> Vec<u8> {
    let mut message = roomy();
    let root: message::Builder<'_> = message.init_root();
    let mut answer = root.init_return();
    answer.set_answer_id(question);
    answer.set_release_param_caps(false);
    if content.is_empty() {
        answer.init_exception().set_reason("no");
    } else {
        let cap = Descriptor::SenderHosted(Small(3));
        mark(answer.init_results(), &[Descriptor::None, cap, cap, Descriptor::None]);
    }
    with_content(&message, content)
}

/// Allows the panics of the tests' own objects, which the runtime turns into errors. Any other panic
/// ends the process, even if it is caught.
pub fn allow_panics_of_objects() {
    let fails = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("as it was asked to") {
            fails(panic);
        }
    }));
}
