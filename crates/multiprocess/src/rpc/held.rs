//! Calls that cannot go on yet.

use capnp_rpc::rpc_capnp::message;

use super::body::{Body, Content, options};
use super::cap::Cap;
use super::hook;

/// Whom the results of a call go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The peer, which asked this question.
    Peer(u32),
    /// This side: a call of its own that does not leave it. The second number tells calls apart that
    /// use the same place one after the other.
    Own(u32, u64),
}

/// A call with its parameters, to be sent or served later.
pub(crate) struct HeldCall {
    pub(super) interface: u64,
    pub(super) method: u16,
    pub(super) params: Held,
    pub(super) destination: Destination,
}

/// The parameters or results in a message that is kept, with their capabilities.
#[derive(Clone)]
pub(crate) struct Held {
    pub(super) body: Body,
    pub(super) caps: Vec<Option<Cap>>,
}

impl Held {
    /// Looks at the content of a call or a return.
    pub(super) fn with<R>(&self, look: impl FnOnce(capnp::Result<Content<'_>>) -> R) -> R {
        use capnp::traits::Imbue;
        let table = hook::table(&self.caps);
        let options = options(self.body.bytes().len());
        let parsed = self.body.whole().parse(options);
        let content = parsed.as_ref().map_err(Clone::clone).and_then(|parsed| {
            let root: message::Reader<'_> = parsed.get_root()?;
            let payload = match root.which()? {
                message::Call(call) => call?.get_params()?,
                message::Return(answer) => match answer?.which()? {
                    capnp_rpc::rpc_capnp::return_::Results(payload) => payload?,
                    _ => return Err(no_content()),
                },
                _ => return Err(no_content()),
            };
            let mut reader = payload.get_content();
            reader.imbue(&table);
            Ok(Content { reader, caps: &self.caps, whole: self.body.whole() })
        });
        look(content)
    }

    /// The capability that a path of pointers leads to, to be called.
    pub(super) fn cap(&self, path: &[u16]) -> Cap {
        self.with(|content| match content {
            Ok(content) => content.cap(path),
            Err(error) => Cap::broken(crate::codec::malformed(error)),
        })
    }
}

fn no_content() -> capnp::Error {
    capnp::Error::failed("a message without content".to_owned())
}
