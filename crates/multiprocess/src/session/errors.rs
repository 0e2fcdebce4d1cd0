//! Converts errors between exceptions of the protocol and [`Error`].

use capnp_engine::{Exception, ExceptionKind, Failure};

use crate::Error;

/// Why a call has no results, as its caller sees it.
pub(crate) fn from_failure(failure: Failure) -> Error {
    match failure {
        Failure::Exception(exception) => {
            let Exception { kind, reason, .. } = (*exception).clone();
            match kind {
                ExceptionKind::Failed => Error::Remote { message: reason },
                ExceptionKind::Overloaded => Error::Overloaded { message: reason },
                ExceptionKind::Disconnected => Error::Disconnected { reason },
                ExceptionKind::Unimplemented => Error::Unimplemented { method: reason },
            }
        }
        Failure::Cancelled => Error::Cancelled,
        Failure::Closed => closed(),
    }
}

/// An error as an exception for the peer.
pub(crate) fn to_exception(error: Error) -> Exception {
    match error {
        Error::Unimplemented { method } => Exception::new(ExceptionKind::Unimplemented, method),
        Error::Overloaded { message } => Exception::new(ExceptionKind::Overloaded, message),
        Error::Remote { message } => Exception::failed(message),
        Error::Disconnected { reason } => Exception::new(ExceptionKind::Disconnected, reason),
        // Another connection is lost, which the method needed, and not the one to the caller.
        other if other.is_disconnect() => {
            Exception::new(ExceptionKind::Disconnected, other.to_string())
        }
        other => Exception::failed(other.to_string()),
    }
}

/// The error of a call of a closed object.
pub(crate) fn closed() -> Error {
    Error::misuse("this object was closed; make a new one instead of calling it")
}
