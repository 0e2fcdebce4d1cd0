//! Calls that are to be sent or served, and who gets their answer.

use crate::payload::Payload;
use crate::questions::CallId;

/// A call that is served here: what to answer, and to whom that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serving(pub(crate) Asker);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// The peer, which asked this question.
    Peer(u32),
    /// This side: a call of its own that does not leave it.
    Own(CallId),
}

/// A call with its parameters, to be sent or served later.
pub(crate) struct PendingCall {
    pub(crate) method: (u64, u16),
    pub(crate) params: Payload,
    pub(crate) serving: Serving,
    pub(crate) kind: CallKind,
    /// See [`CallOptions::nested`](crate::CallOptions::nested).
    pub(crate) nested: u32,
}

/// What a call is for its object's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallKind {
    /// It meets an error once the object is being closed.
    #[default]
    Ordinary,
    /// It ends other calls of the object, so that the object can be closed: it goes out until the
    /// object is closed.
    Interrupt,
    /// It ends the object: it goes out when all calls before it have returned, and none does after it.
    Destroy,
}
