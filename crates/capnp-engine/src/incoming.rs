//! A received message that is being read.

use std::cell::Cell;

use capnp::any_pointer;
use capnp_rpc::rpc_capnp::{message, return_};

use crate::segments::Segments;
use crate::shared_message::MessageView;

/// A received message, for [`Engine::receive`](crate::Engine::receive) and for the effects that
/// this call leaves: parameters and results may lie in the message.
pub struct Incoming<'a> {
    view: MessageView<'a>,
    segments: &'a Segments<'a>,
    /// The parameters or results, once they have been found.
    content: Cell<Option<any_pointer::Reader<'a>>>,
}

opaque!(Incoming, impl std::fmt::Debug for Incoming<'_>);

impl<'a> Incoming<'a> {
    /// `segments`: those of this message.
    pub fn new(view: MessageView<'a>, segments: &'a Segments<'a>) -> Incoming<'a> {
        Incoming { view, segments, content: Cell::new(None) }
    }

    /// The bytes of the message.
    pub fn view(&self) -> MessageView<'a> {
        self.view
    }

    pub(crate) fn root(&self) -> capnp::Result<message::Reader<'a>> {
        self.segments.get_root()
    }

    /// Stores the content, so that it is searched only once.
    pub(crate) fn set_content(&self, content: any_pointer::Reader<'a>) {
        self.content.set(Some(content));
    }

    /// The parameters of a Call, the results of a Return.
    ///
    /// # Errors
    /// The message is neither.
    pub fn content(&self) -> capnp::Result<any_pointer::Reader<'a>> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
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
