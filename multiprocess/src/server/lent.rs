//! The parameters of a call, to be looked at outside the connection's lock.

use capnp::message::{Reader as Message, ReaderOptions};
use capnp_rpc::rpc_capnp::message;

use crate::codec::malformed;
use crate::connection::Segments;
use crate::wire::{AnyPointer, Pointer, Reader};
use crate::{Error, Result};

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
                let message = Message::new(segments, *options);
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
