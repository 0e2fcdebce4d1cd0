//! What the engine wants done.

use std::fmt;

use crate::error::Failure;
use crate::memory::Message;
use crate::payload::Payload;
use crate::pending_call::Serving;
use crate::questions::CallId;

/// Something that the engine wants done or known. See [`Engine::next_effect`](crate::Engine::next_effect).
pub enum Effect {
    /// This message is to be written to the peer, behind those before it.
    Write(Message),
    /// An object of this side's is called. To be answered by
    /// [`Engine::answer`](crate::Engine::answer), sooner or later, in any order.
    Deliver(Delivery),
    /// A call of this side's has its answer. It comes once, and not at all after a cancel.
    Answered {
        /// What it was called with.
        tag: u64,
        /// The call, which is over.
        call: CallId,
        /// The results, or why there are none.
        answer: Result<Payload, Failure>,
    },
    /// A call of this side's that was cancelled is over for the peer, too: it occupies nothing there
    /// any more.
    Over {
        /// What it was called with.
        tag: u64,
    },
    /// Nobody wants the answer of a call that is served here. It is to be given all the same.
    Cancelled {
        /// What [`Engine::begin`](crate::Engine::begin) said of it.
        tag: u64,
    },
    /// A capability is known for which [`Engine::watch`](crate::Engine::watch) waited.
    Resolved {
        /// What was given to it.
        tag: u64,
    },
    /// Nobody holds this object of this side's any more: neither the peer nor a message that is kept
    /// here. It will not be called again.
    Released {
        /// Its key.
        object: u64,
    },
}

/// A call of an object of this side's.
pub struct Delivery {
    /// The object, by its key.
    pub object: u64,
    /// What to answer.
    pub call: Serving,
    /// The interface that declares the method.
    pub interface: u64,
    /// The method's ordinal in it.
    pub method: u16,
    /// The parameters.
    pub params: Payload,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Write(message) => write!(f, "Write({} words)", message.size_in_words()),
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
            Effect::Released { object } => write!(f, "Released({object})"),
        }
    }
}
