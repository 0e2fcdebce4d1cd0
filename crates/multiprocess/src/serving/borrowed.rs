//! The parameters of a call that are read outside the connection's lock.

use capnp::message::ReaderOptions;
use capnp_engine::{SharedMessage, reader_options};
use capnp_rpc::rpc_capnp::{message, return_};

use crate::wire::helpers::malformed;
use crate::wire::{Decoder, Reader};
use crate::{Error, Result};

/// How many times the whole of a message may be read.
const LOOKS: usize = 1 << 16;

/// A call's parameters without their capabilities, in the message that they came in.
pub(crate) struct Borrowed(SharedMessage);

impl Borrowed {
    pub(crate) fn new(message: SharedMessage) -> Borrowed {
        Borrowed(message)
    }

    /// Reads the parameters in place.
    pub(crate) fn with<R>(&self, look: impl FnOnce(Reader<'_>) -> Result<R>) -> Result<R> {
        let length = self.0.bytes().len();
        let mut options = reader_options(length);
        // Views copy nothing, and may read the same place often. Lists of empty items count as
        // well, so that there is a bound.
        let words = length / 8;
        options.traversal_limit_in_words(Some(words.saturating_mul(LOOKS) + LOOKS));
        self.look(options, look)
    }

    /// Reads them once.
    pub(crate) fn decode<R>(
        &self,
        read: impl FnOnce(&mut Decoder<'_>, Reader<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut cx = Decoder::new(None, self.0.bytes().len(), 0);
        self.look(reader_options(self.0.bytes().len()), |from| read(&mut cx, from))
    }

    fn look<R>(
        &self,
        options: ReaderOptions,
        look: impl FnOnce(Reader<'_>) -> Result<R>,
    ) -> Result<R> {
        let parsed = self.0.view().parse(options).map_err(malformed)?;
        let root: message::Reader<'_> = parsed.get_root().map_err(malformed)?;
        let Ok(message::Call(call)) = root.which() else {
            return Err(Error::decode("", "the message is no call"));
        };
        let params = call.and_then(|call| call.get_params()).map_err(malformed)?;
        look(Reader::content(params.get_content())?)
    }
}

/// Reads the results in a message of the peer that has no capabilities.
pub(crate) fn look_at_results<R>(
    message: &SharedMessage,
    look: impl FnOnce(Reader<'_>) -> Result<R>,
) -> Result<R> {
    let parsed = message.view().parse(reader_options(message.bytes().len())).map_err(malformed)?;
    let root: message::Reader<'_> = parsed.get_root().map_err(malformed)?;
    let results = match root.which() {
        Ok(message::Return(answer)) => match answer.map_err(malformed)?.which() {
            Ok(return_::Results(results)) => results.map_err(malformed)?,
            _ => return Err(Error::decode("", "the answer has no results")),
        },
        _ => return Err(Error::decode("", "the message is no answer")),
    };
    look(Reader::content(results.get_content())?)
}
