//! Counts the messages by kind.

use std::collections::BTreeMap;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_capnp::{
    cap_descriptor, disembargo, message, message_target, payload, resolve, return_,
};

/// The number of messages of each kind.
#[derive(Default)]
pub(crate) struct Counts(BTreeMap<&'static str, usize>);

/// The kinds of messages that two honest engines exchange sooner or later. `takeFromOtherQuestion`
/// and the messages that belong to it are tested with a peer of their own in `tests/protocol`.
pub(crate) const EXPECTED: &[&str] = &[
    "bootstrap",
    "call to an import",
    "call to an answer",
    "return results",
    "return exception",
    "return canceled",
    "return without finish",
    "finish",
    "finish with release",
    "release",
    "release of several",
    "resolve to senderHosted",
    "resolve to senderPromise",
    "resolve to receiverHosted",
    "resolve to receiverAnswer",
    "resolve to exception",
    "disembargo senderLoopback to an import",
    "disembargo senderLoopback to an answer",
    "disembargo receiverLoopback",
    "params senderHosted",
    "params senderPromise",
    "params receiverHosted",
    "params receiverAnswer",
    "results senderHosted",
    "results senderPromise",
    "results receiverHosted",
    "results receiverAnswer",
];

impl Counts {
    pub(crate) fn get(&self, kind: &str) -> usize {
        self.0.get(kind).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub(crate) fn print(&self) {
        for (kind, count) in &self.0 {
            println!("{count:9} {kind}");
        }
    }

    /// Counts one message. Returns it as text, if `describe` says so.
    pub(crate) fn message(&mut self, bytes: &[u8], describe: bool) -> capnp::Result<String> {
        let mut left = bytes;
        let reader = capnp::serialize::read_message_from_flat_slice_no_alloc(
            &mut left,
            ReaderOptions::new(),
        )?;
        let root: message::Reader<'_> = reader.get_root()?;
        match root.which()? {
            message::Bootstrap(_) => self.add("bootstrap"),
            message::Call(call) => {
                let call = call?;
                self.add(match call.get_target()?.which()? {
                    message_target::ImportedCap(_) => "call to an import",
                    message_target::PromisedAnswer(_) => "call to an answer",
                });
                self.payload(call.get_params()?, true)?;
            }
            message::Return(answer) => {
                let answer = answer?;
                if answer.get_no_finish_needed() {
                    self.add("return without finish");
                }
                match answer.which()? {
                    return_::Results(results) => {
                        self.add("return results");
                        self.payload(results?, false)?;
                    }
                    return_::Exception(_) => self.add("return exception"),
                    return_::Canceled(()) => self.add("return canceled"),
                    _ => self.add("return of another kind"),
                }
            }
            message::Finish(finish) => self.add(match finish?.get_release_result_caps() {
                true => "finish with release",
                false => "finish",
            }),
            message::Release(release) => self.add(match release?.get_reference_count() {
                0 => panic!("a Release of nothing"),
                1 => "release",
                _ => "release of several",
            }),
            message::Resolve(resolve) => self.add(match resolve?.which()? {
                resolve::Exception(_) => "resolve to exception",
                resolve::Cap(cap) => match cap?.which()? {
                    cap_descriptor::SenderHosted(_) => "resolve to senderHosted",
                    cap_descriptor::SenderPromise(_) => "resolve to senderPromise",
                    cap_descriptor::ReceiverHosted(_) => "resolve to receiverHosted",
                    cap_descriptor::ReceiverAnswer(_) => "resolve to receiverAnswer",
                    _ => panic!("a Resolve to nothing"),
                },
            }),
            message::Disembargo(disembargo) => {
                let disembargo = disembargo?;
                let target = disembargo.get_target()?.which()?;
                self.add(match (disembargo.get_context().which()?, target) {
                    (disembargo::context::SenderLoopback(_), message_target::ImportedCap(_)) => {
                        "disembargo senderLoopback to an import"
                    }
                    (disembargo::context::SenderLoopback(_), _) => {
                        "disembargo senderLoopback to an answer"
                    }
                    (disembargo::context::ReceiverLoopback(_), _) => "disembargo receiverLoopback",
                    _ => panic!("a Disembargo of level 3"),
                });
            }
            message::Abort(_) => self.add("abort"),
            message::Unimplemented(_) => self.add("unimplemented"),
            _ => panic!("a message of another level"),
        }
        Ok(if describe { format!("{root:?}") } else { String::new() })
    }

    fn payload(&mut self, payload: payload::Reader<'_>, params: bool) -> capnp::Result<()> {
        for descriptor in payload.get_cap_table()? {
            self.add(match (descriptor.which()?, params) {
                (cap_descriptor::None(()), true) => "params none",
                (cap_descriptor::None(()), false) => "results none",
                (cap_descriptor::SenderHosted(_), true) => "params senderHosted",
                (cap_descriptor::SenderHosted(_), false) => "results senderHosted",
                (cap_descriptor::SenderPromise(_), true) => "params senderPromise",
                (cap_descriptor::SenderPromise(_), false) => "results senderPromise",
                (cap_descriptor::ReceiverHosted(_), true) => "params receiverHosted",
                (cap_descriptor::ReceiverHosted(_), false) => "results receiverHosted",
                (cap_descriptor::ReceiverAnswer(_), true) => "params receiverAnswer",
                (cap_descriptor::ReceiverAnswer(_), false) => "results receiverAnswer",
                (cap_descriptor::ThirdPartyHosted(_), _) => panic!("a third party"),
            });
        }
        Ok(())
    }
}
