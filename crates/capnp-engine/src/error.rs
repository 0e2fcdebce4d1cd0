//! Errors of calls and of the connection.

use std::fmt;
use std::sync::Arc;

use capnp_rpc::rpc_capnp::exception;

/// The kinds of exceptions in Cap'n Proto: the protocol has these four and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExceptionKind {
    /// The method failed, or the caller asked for something impossible.
    Failed,
    /// Refused because of missing resources that may be available later.
    Overloaded,
    /// Something that the call needed is gone permanently: a connection, most often one of the
    /// callee.
    Disconnected,
    /// The object has no such method.
    Unimplemented,
}

/// The error of a call, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exception {
    /// The kind.
    pub kind: ExceptionKind,
    /// A text for a person.
    pub reason: String,
}

impl Exception {
    /// The longest reason that is taken from the peer, in bytes. A longer one is cut, and ends with a
    /// mark that says so. The same goes for the reason of its Abort.
    pub const LONGEST: usize = 16 << 10;

    /// An exception of this kind.
    pub fn new(kind: ExceptionKind, reason: impl Into<String>) -> Exception {
        Exception { kind, reason: reason.into() }
    }

    /// An exception of the kind [`ExceptionKind::Failed`].
    pub fn failed(reason: impl Into<String>) -> Exception {
        Exception::new(ExceptionKind::Failed, reason)
    }

    /// Reads an exception from a message. It may be kept for long, and for each of many calls.
    pub(crate) fn read(from: exception::Reader<'_>) -> Exception {
        let reason = from.get_reason().map(read_reason);
        let kind = match from.get_type() {
            Ok(exception::Type::Overloaded) => ExceptionKind::Overloaded,
            Ok(exception::Type::Disconnected) => ExceptionKind::Disconnected,
            Ok(exception::Type::Unimplemented) => ExceptionKind::Unimplemented,
            Ok(exception::Type::Failed) | Err(_) => ExceptionKind::Failed,
        };
        Exception::new(kind, reason.unwrap_or_default())
    }

    pub(crate) fn write(&self, mut to: exception::Builder<'_>) {
        to.set_type(match self.kind {
            ExceptionKind::Failed => exception::Type::Failed,
            ExceptionKind::Overloaded => exception::Type::Overloaded,
            ExceptionKind::Disconnected => exception::Type::Disconnected,
            ExceptionKind::Unimplemented => exception::Type::Unimplemented,
        });
        to.set_reason(self.reason.as_str());
    }
}

/// Follows a reason that was cut.
const CUT_OFF: &str = "… (cut off)";

/// Takes the reason of an error of the peer's, but no more of it than [`Exception::LONGEST`].
pub(crate) fn read_reason(text: capnp::text::Reader<'_>) -> String {
    let all = text.as_bytes();
    // A few more than are kept, so that no character within what is kept is cut in two.
    let some = &all[..all.len().min(Exception::LONGEST + 4)];
    // What is no UTF-8 gets longer here.
    let mut reason = String::from_utf8_lossy(some).into_owned();
    if reason.len() > Exception::LONGEST {
        let end = (0..=Exception::LONGEST).rev().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or_default());
        reason.push_str(CUT_OFF);
        reason.shrink_to_fit();
    }
    reason
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Exception {}

/// The error of a call of this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The callee returned an exception, or the target cannot be called.
    Exception(Arc<Exception>),
    /// The call was cancelled.
    Cancelled,
    /// This side closed the object, so the call was not sent.
    Closed,
}

impl Failure {
    pub(crate) fn failed(reason: impl Into<String>) -> Failure {
        Failure::Exception(Arc::new(Exception::failed(reason)))
    }

    /// The error for content that cannot be read.
    pub(crate) fn malformed(error: &capnp::Error) -> Failure {
        Failure::failed(error.to_string())
    }

    /// The bytes of the text that is kept with it.
    pub(crate) fn size(&self) -> usize {
        match self {
            Failure::Exception(exception) => exception.reason.len(),
            Failure::Cancelled | Failure::Closed => 0,
        }
    }

    /// Writes the failure for the peer.
    pub(crate) fn write(&self, to: exception::Builder<'_>) {
        match self {
            Failure::Exception(exception) => exception.write(to),
            other => Exception::failed(other.to_string()).write(to),
        }
    }
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Failure {
        Failure::Exception(Arc::new(exception))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exception(exception) => exception.fmt(f),
            Failure::Cancelled => f.write_str("the call was cancelled"),
            Failure::Closed => f.write_str("the object was closed"),
        }
    }
}

impl std::error::Error for Failure {}

/// Why a message of the peer ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fatal {
    /// The peer broke the protocol. Says what it did.
    Misbehaved(String),
    /// The peer aborted the connection, for this reason.
    Aborted(String),
}

impl Fatal {
    pub(crate) fn misbehaved(problem: impl Into<String>) -> Fatal {
        Fatal::Misbehaved(problem.into())
    }
}

/// The message does not match the protocol's schema.
impl From<capnp::Error> for Fatal {
    fn from(error: capnp::Error) -> Fatal {
        Fatal::Misbehaved(error.to_string())
    }
}

impl From<capnp::NotInSchema> for Fatal {
    fn from(error: capnp::NotInSchema) -> Fatal {
        capnp::Error::from(error).into()
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Misbehaved(problem) => write!(f, "the other side broke the protocol: {problem}"),
            Fatal::Aborted(reason) => {
                write!(f, "the other side gave the connection up: {reason}")
            }
        }
    }
}

impl std::error::Error for Fatal {}
