//! The limits of either side, which they tell each other where both are this engine.
//!
//! The side that asks for the first object adds its limits to its Bootstrap, behind the fields that Cap'n
//! Proto defines: other implementations ignore what is there. A side that finds limits in a Bootstrap knows
//! that the peer is one of these engines, and answers with a message that only they know.

use capnp::Word;
use capnp::private::layout::{PointerBuilder, StructBuilder, StructReader, StructSize};
use capnp::traits::{FromPointerBuilder, IntoInternalStructReader};
use capnp_rpc::rpc_capnp::{bootstrap, message};

use crate::effect::Effect;
use crate::engine::Engine;
use crate::memory::new_message;

/// What a side lets the other send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerLimits {
    /// Its largest message, in bytes.
    pub message: usize,
    /// Bytes of calls that wait or run there at once.
    pub bytes: usize,
}

/// Marks the words that follow it.
const MARK: u64 = 0x6c69_6d69_7473_0001;
/// The place of the mark in a Bootstrap, in words. What Cap'n Proto may add to a Bootstrap comes first.
const IN_BOOTSTRAP: usize = 8;
/// The mark and the limits.
const WORDS: usize = 3;

/// The kind of the message with the limits, among those of Cap'n Proto.
const KIND: u16 = 0xffff;
/// The kind of Bootstrap.
const BOOTSTRAP: u16 = 8;
/// The place of a message's kind among its first 16-bit fields.
const KIND_FIELD: usize = 0;

/// A message whose content is written by hand.
struct Root<'a>(PointerBuilder<'a>);

impl<'a> FromPointerBuilder<'a> for Root<'a> {
    fn init_pointer(builder: PointerBuilder<'a>, _length: u32) -> Self {
        Root(builder)
    }

    fn get_from_pointer(
        builder: PointerBuilder<'a>,
        _default: Option<&'a [Word]>,
    ) -> capnp::Result<Self> {
        Ok(Root(builder))
    }
}

impl<'a> Root<'a> {
    /// A message of this kind, whose struct has so many words of data.
    fn init(self, kind: u16, words: usize) -> StructBuilder<'a> {
        let message = self.0.init_struct(StructSize { data: 1, pointers: 1 });
        message.set_data_field(KIND_FIELD, kind);
        message.get_pointer_field(0).init_struct(StructSize { data: words as u16, pointers: 1 })
    }
}

impl PeerLimits {
    fn write(self, to: &StructBuilder<'_>, place: usize) {
        to.set_data_field(place, MARK);
        to.set_data_field(place + 1, self.message as u64);
        to.set_data_field(place + 2, self.bytes as u64);
    }

    /// The limits at this place, if there are some.
    fn read(from: &StructReader<'_>, place: usize) -> Option<PeerLimits> {
        let field = |place| from.get_data_field::<u64>(place);
        let bytes = |place| usize::try_from(field(place)).unwrap_or(usize::MAX);
        (field(place) == MARK)
            .then(|| PeerLimits { message: bytes(place + 1), bytes: bytes(place + 2) })
    }
}

impl Engine {
    /// Tells the peer these limits, with the Bootstrap of either side.
    pub fn tell_limits(&mut self, limits: PeerLimits) {
        self.tells = Some(limits);
    }

    /// The peer's limits, once it has told them.
    pub fn peer_limits(&self) -> Option<PeerLimits> {
        self.told
    }

    /// Whether the peer is known to be another implementation: it has sent a message, and has not told its limits
    /// before that.
    pub fn is_peer_other(&self) -> bool {
        self.heard && self.told.is_none()
    }

    /// The size of the largest message that this side may send: its own limit, or what the peer has told
    /// if that is less.
    pub fn most_message(&self) -> usize {
        self.told.map_or(usize::MAX, |told| told.message).min(self.limits.message)
    }

    pub(crate) fn send_bootstrap(&mut self, question: u32) {
        let Some(limits) = self.tells else {
            return self.send(16, |root| root.init_bootstrap().set_question_id(question));
        };
        let mut message = new_message(self.pool, 16);
        let bootstrap = message.init_root::<Root<'_>>().init(BOOTSTRAP, IN_BOOTSTRAP + WORDS);
        bootstrap.set_data_field(0, question);
        limits.write(&bootstrap, IN_BOOTSTRAP);
        self.effect(Effect::Write(message));
    }

    /// Notes the limits that came with a Bootstrap, and answers with those of this side.
    pub(crate) fn read_bootstrap(&mut self, bootstrap: bootstrap::Reader<'_>) {
        let told = PeerLimits::read(&bootstrap.into_internal_struct_reader(), IN_BOOTSTRAP);
        let (Some(told), Some(limits)) = (told, self.tells) else { return };
        // It may ask more than once.
        if self.told.replace(told).is_some() {
            return;
        }
        let mut message = new_message(self.pool, 16);
        let to = message.init_root::<Root<'_>>().init(KIND, WORDS);
        limits.write(&to, 0);
        self.effect(Effect::Write(message));
    }

    /// Whether a message of an unknown kind is the one with the peer's limits, which are noted.
    pub(crate) fn read_limits(&mut self, message: message::Reader<'_>) -> bool {
        let message = message.into_internal_struct_reader();
        if self.tells.is_none() || message.get_data_field::<u16>(KIND_FIELD) != KIND {
            return false;
        }
        let content = message.get_pointer_field(0).get_struct(None);
        let told = content.ok().and_then(|content| PeerLimits::read(&content, 0));
        self.told = told.or(self.told);
        told.is_some()
    }
}
