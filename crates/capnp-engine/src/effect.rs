//! What the engine's user has to do.

use std::fmt;
use std::sync::Arc;

use crate::descriptors::Descriptor;
use crate::error::Failure;
use crate::memory::Message;
use crate::payload::Payload;
use crate::pending_call::Serving;
use crate::questions::CallId;

/// Something that the engine's user has to do or to know. See
/// [`Engine::next_effect`](crate::Engine::next_effect).
pub enum Effect {
    /// Write this message to the peer, after the messages before it.
    Write(Message),
    /// The same for a message with file descriptors. They are sent with its first byte, and with no message's
    /// before it.
    WriteWith(Box<Carrying>),
    /// An object of this side is called. The user must answer with
    /// [`Engine::answer`](crate::Engine::answer), at any time and in any order.
    Deliver(Delivery),
    /// A call of this side has an answer. Comes once for each call, and not at all after a cancel.
    Answered {
        /// What it was called with.
        tag: u64,
        /// The call. It is over.
        call: CallId,
        /// The results, or why there are none.
        answer: Result<Payload, Failure>,
    },
    /// A cancelled call of this side is over for the peer, too, and uses no resources there any
    /// more.
    Over {
        /// What it was called with.
        tag: u64,
    },
    /// Nobody wants the answer of a call that is served here. The call must be answered
    /// nevertheless.
    Cancelled {
        /// The tag that was given to [`Engine::begin`](crate::Engine::begin).
        tag: u64,
    },
    /// A promise that was given to [`Engine::watch`](crate::Engine::watch) has resolved.
    Resolved {
        /// What was given to it.
        tag: u64,
    },
    /// A call of the peer's was refused, or results were, because of a [limit](crate::Limits).
    Refused {
        /// The object that was called, if that is known and an object of this side: it does not learn of
        /// the call otherwise.
        object: Option<u64>,
        /// Which limit.
        limit: Exceeded,
    },
    /// There are no references on this object of this side any more, neither from the peer nor from
    /// a message that is kept here. It will not be called again.
    Released {
        /// Its key.
        object: u64,
    },
}

/// One of the [limits](crate::Limits) at which something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Limits::bytes`](crate::Limits::bytes).
    Bytes,
    /// [`Limits::objects`](crate::Limits::objects).
    Objects,
    /// [`Limits::held_descriptors`](crate::Limits::held_descriptors). The descriptor was closed; a call that it
    /// came with is refused.
    Descriptors,
}

/// A message with file descriptors.
pub struct Carrying {
    /// The message.
    pub message: Message,
    /// The descriptors, in the order in which the message names them.
    pub descriptors: Vec<Arc<Descriptor>>,
}

opaque!(Carrying, impl std::fmt::Debug for Carrying);

/// A call of an object of this side.
pub struct Delivery {
    /// The object's key.
    pub object: u64,
    /// Identifies the call for [`Engine::answer`](crate::Engine::answer).
    pub call: Serving,
    /// The interface that declares the method.
    pub interface: u64,
    /// The method's ordinal in it.
    pub method: u16,
    /// The parameters.
    pub params: Payload,
}

opaque!(Delivery, impl std::fmt::Debug for Delivery);

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Write(message) => write!(f, "Write({} words)", message.size_in_words()),
            Effect::WriteWith(carrying) => {
                let (words, count) = (carrying.message.size_in_words(), carrying.descriptors.len());
                write!(f, "WriteWith({words} words, {count} descriptors)")
            }
            Effect::Deliver(Delivery { object, call, interface, method, .. }) => {
                write!(f, "Deliver({call:?} of object {object}: {interface:#x}.{method})")
            }
            Effect::Answered { tag, answer, .. } => match answer {
                Ok(_) => write!(f, "Answered({tag}: results)"),
                Err(failure) => write!(f, "Answered({tag}: {failure})"),
            },
            Effect::Over { tag } => write!(f, "Over({tag})"),
            Effect::Cancelled { tag } => write!(f, "Cancelled({tag})"),
            Effect::Resolved { tag } => write!(f, "Resolved({tag})"),
            Effect::Refused { object, limit } => write!(f, "Refused({object:?}: {limit:?})"),
            Effect::Released { object } => write!(f, "Released({object})"),
        }
    }
}
