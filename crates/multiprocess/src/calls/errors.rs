//! Errors of this side's calls, with what the peer could not say: which method it was, and what is
//! missing.

use super::method::MethodId;
use crate::Error;
use crate::connection::Core;
use crate::error::joined;

/// Says what is missing where the peer could not tell which thread is meant.
pub(super) fn without_threads(core: &mut Core, error: Error) -> Error {
    match error {
        Error::Remote { message }
            if message.contains("no thread specified")
                && core.state().threads.peer_map().is_none() =>
        {
            let why = "the interface that was bootstrapped has no construct method, which gives threads; \
                       if another of its methods does, such as initThreadMap, call that first";
            Error::Remote { message: format!("{message} ({why})") }
        }
        other => other,
    }
}

/// Says which method's parameters or results they were that did not decode, or that the peer does not have
/// it.
pub(super) fn in_method(error: Error, method: MethodId) -> Error {
    match error {
        Error::Decode { path, problem } => {
            Error::Decode { path: joined(method.name, &path), problem }
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

#[cfg(test)]
mod tests {
    use super::super::method::MethodId;
    use super::in_method;
    use crate::Error;

    #[test]
    fn no_text_ends_with_nothing_behind_a_dot() {
        let text = |path: &str| {
            let error = Error::decode(path, "it is short");
            let method = MethodId::new(1, 2, "Init.makeMining");
            (error.to_string(), in_method(error, method).to_string())
        };
        let (bare, named) = text("");
        assert_eq!(bare, "cannot decode the message: it is short");
        assert_eq!(named, "cannot decode Init.makeMining: it is short");
        assert_eq!(text("[1]").1, "cannot decode Init.makeMining[1]: it is short");
        assert_eq!(text("result.hash").1, "cannot decode Init.makeMining.result.hash: it is short");
    }
}
