//! Errors of this side's calls, with what the peer could not say: which method it was, and what is
//! missing.

use super::method::MethodId;
use crate::Error;
use crate::connection::Core;

/// Says what is missing where the peer could not tell which thread is meant.
pub(super) fn without_threads(core: &mut Core, error: Error) -> Error {
    match error {
        Error::Remote { message }
            if message.contains("no thread specified")
                && core.state().threads.peer_map().is_none() =>
        {
            let why =
                "the interface that was bootstrapped has no construct method, which gives threads";
            Error::Remote { message: format!("{message} ({why})") }
        }
        other => other,
    }
}

/// Says which method's answer it was that did not decode, or that the peer does not have.
pub(super) fn in_method(error: Error, method: MethodId) -> Error {
    match error {
        Error::Decode { path, problem } => {
            Error::Decode { path: format!("{}.{path}", method.name), problem }
        }
        Error::Unimplemented { method: text } => {
            // The peer mostly says which method itself.
            let told = text.contains(method.name);
            Error::Unimplemented {
                method: if told { text } else { format!("{} ({text})", method.name) },
            }
        }
        other => other,
    }
}
