//! Messages of the protocol, built and taken apart.

use capnp::any_pointer;
use capnp::serialize;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{cap_descriptor, message, message_target, payload};

use super::{Cap, Incoming, Outgoing, Target};

/// The kind of a message, with its content.
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

pub(super) fn write_target(mut builder: message_target::Builder<'_>, target: Target) {
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
pub(super) fn fill_payload(
    mut payload: payload::Builder<'_>,
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

pub(super) fn write_cap(mut descriptor: cap_descriptor::Builder<'_>, cap: Cap) {
    match cap {
        Cap::Here(id) => descriptor.set_sender_hosted(id),
        Cap::Carrying(id, index) => {
            descriptor.set_sender_hosted(id);
            descriptor.set_attached_fd(index);
        }
        Cap::Promise(id) => descriptor.set_sender_promise(id),
        Cap::There(id) => descriptor.set_receiver_hosted(id),
        Cap::Answer(question) => {
            let mut promised = descriptor.init_receiver_answer();
            promised.set_question_id(question);
            promised.init_transform(1).get(0).set_get_pointer_field(0);
        }
    }
}
