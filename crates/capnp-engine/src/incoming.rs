//! A message of the peer's that is being looked at.

use capnp::any_pointer;
use capnp::message::Reader;
use capnp::serialize::NoAllocSliceSegments;
use capnp_rpc::rpc_capnp::{message, return_};

use crate::body::{Whole, options};

/// A message of the peer's, for [`Engine::receive`](crate::Engine::receive) and for what that leaves
/// to be done with its content.
pub struct Incoming<'a> {
    whole: Whole<'a>,
    reader: Reader<NoAllocSliceSegments<'a>>,
}

impl<'a> Incoming<'a> {
    /// Looks at a message.
    ///
    /// # Errors
    /// Its table of segments does not fit.
    pub fn new(whole: Whole<'a>) -> capnp::Result<Incoming<'a>> {
        let reader = whole.parse(options(whole.len()))?;
        Ok(Incoming { whole, reader })
    }

    /// The bytes of the message.
    pub fn whole(&self) -> Whole<'a> {
        self.whole
    }

    pub(crate) fn root(&self) -> capnp::Result<message::Reader<'_>> {
        self.reader.get_root()
    }

    /// The parameters of a Call, the results of a Return.
    ///
    /// # Errors
    /// It has neither.
    pub fn content(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        let payload = match self.root()?.which()? {
            message::Call(call) => call?.get_params()?,
            message::Return(answer) => match answer?.which()? {
                return_::Results(payload) => payload?,
                _ => return Err(no_content()),
            },
            _ => return Err(no_content()),
        };
        Ok(payload.get_content())
    }
}

fn no_content() -> capnp::Error {
    capnp::Error::failed("a message without content".to_owned())
}
