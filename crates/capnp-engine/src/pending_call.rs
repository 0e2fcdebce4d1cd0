//! Calls that are to be sent or served, and who gets their answer.

use crate::payload::Payload;
use crate::questions::CallId;

/// Identifies a call that is served here, and who gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serving(pub(crate) Asker);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// The peer, with this question id.
    Peer(u32),
    /// This side: the call is of an object of its own and is not sent.
    Own(CallId),
}

/// A call with its parameters that is to be sent or served, now or later.
pub(crate) struct PendingCall {
    pub(crate) method: (u64, u16),
    pub(crate) params: Payload,
    pub(crate) serving: Serving,
    pub(crate) kind: CallKind,
    /// See [`CallOptions::nested`](crate::CallOptions::nested).
    pub(crate) nested: u32,
}

/// The effect of a call on the life of its object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallKind {
    /// It fails once the object is being closed.
    #[default]
    Ordinary,
    /// It ends other calls of the object, so that the object can be closed: it may still be sent
    /// while the object is closing.
    Interrupt,
    /// It ends the object. It is sent when all calls before it have returned, and no call is sent
    /// after it.
    Destroy,
}
