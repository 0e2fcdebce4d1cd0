//! The parameters of a call, to be looked at outside the connection's lock.

use capnp::message::{Reader as Message, ReaderOptions};
use capnp_rpc::rpc_capnp::message;

use crate::codec::malformed;
use crate::connection::Segments;
use crate::wire::{AnyPointer, Pointer, Reader};
use crate::{Error, Result};

/// How often a message may be looked at from end to end.
const LOOKS: usize = 1 << 16;

/// A call's parameters without their capabilities.
pub(crate) enum Lent {
    /// The message that the call came in.
    Message(Segments, ReaderOptions),
    /// A copy, of a call that did not come in a message of its own.
    Copy(AnyPointer),
}

impl Lent {
    /// Looks at the parameters.
    pub(crate) fn with<R>(&self, look: impl FnOnce(Reader<'_>) -> Result<R>) -> Result<R> {
        match self {
            Lent::Message(segments, options) => {
                let mut options = *options;
                // Views copy nothing, and may look at the same place often. A list of nothing still
                // counts, so that there is a bound.
                let words = segments.words();
                options.traversal_limit_in_words(Some(words.saturating_mul(LOOKS) + LOOKS));
                let message = Message::new(segments, options);
                let root: message::Reader<'_> = message.get_root().map_err(malformed)?;
                let Ok(message::Call(call)) = root.which() else {
                    return Err(Error::decode("", "the message is no call"));
                };
                let params = call.and_then(|call| call.get_params()).map_err(malformed)?;
                look(Reader::content(params.get_content())?)
            }
            Lent::Copy(copy) => copy.with_root(|root| {
                let Pointer(pointer) = root.get_as().map_err(malformed)?;
                look(Reader::at(pointer)?)
            }),
        }
    }
}
