//! Errors of the one as errors of the other: kind and text stay.

use multiprocess::Error;

/// An error of a call as capnp-rpc has it.
pub(crate) fn to_capnp(error: Error) -> capnp::Error {
    match error {
        Error::Unimplemented { method, .. } => capnp::Error::unimplemented(method),
        Error::Overloaded { message, .. } => capnp::Error::overloaded(message),
        Error::Remote { message, .. } => capnp::Error::failed(message),
        Error::Disconnected { reason, .. } => capnp::Error::disconnected(reason),
        other if other.is_disconnect() => capnp::Error::disconnected(other.to_string()),
        other => capnp::Error::failed(other.to_string()),
    }
}

/// An error of a capnp-rpc server or client as a method's error.
pub(crate) fn from_capnp(error: capnp::Error) -> Error {
    use capnp::ErrorKind::{Disconnected, Failed, Overloaded, Unimplemented};
    let text = |error: capnp::Error| match error.extra.is_empty() {
        true => error.to_string(),
        false => error.extra,
    };
    match error.kind {
        Failed => Error::failed(text(error)),
        Overloaded => Error::overloaded(text(error)),
        Disconnected => Error::disconnected(text(error)),
        Unimplemented => Error::unimplemented(text(error)),
        // What is wrong with a message, each a kind of its own.
        _ => Error::failed(error.to_string()),
    }
}
