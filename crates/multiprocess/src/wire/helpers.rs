//! Functions that several kinds of values share: texts, lengths, and the path of an error.

use capnp_engine::nesting_limit;

use crate::error::joined;
use crate::{Error, Result};

/// A text of a message.
pub(crate) fn text(text: capnp::Result<capnp::text::Reader<'_>>) -> Result<String> {
    let text = text.map_err(malformed)?;
    let text = text
        .to_str()
        .map_err(|error| Error::decode("", format!("the text is not UTF-8: {error}")))?;
    if text.len() < LARGE {
        return Ok(text.to_owned());
    }
    let mut owned = String::new();
    owned.try_reserve_exact(text.len()).map_err(|_| no_memory(text.len()))?;
    owned.push_str(text);
    Ok(owned)
}

/// Data of a message.
pub(crate) fn data(data: capnp::Result<capnp::data::Reader<'_>>) -> Result<Vec<u8>> {
    let data = data.map_err(malformed)?;
    let mut owned = with_room(data.len())?;
    owned.extend_from_slice(data);
    Ok(owned)
}

/// A peer chooses the size of a value that takes at least so many bytes: that there is no memory for it
/// is an error of its call. For less, it ends the process, as it does anywhere in Rust.
const LARGE: usize = 64 << 10;

/// An empty list with room for so many items, where the peer chose how many.
///
/// # Errors
/// [`Error::Overloaded`] if that is large, and there is no memory for it.
pub(crate) fn with_room<T>(items: usize) -> Result<Vec<T>> {
    let bytes = items.saturating_mul(size_of::<T>());
    if bytes < LARGE {
        return Ok(Vec::with_capacity(items));
    }
    let mut room = Vec::new();
    room.try_reserve_exact(items).map_err(|_| no_memory(bytes))?;
    Ok(room)
}

fn no_memory(bytes: usize) -> Error {
    Error::Overloaded { message: format!("no memory is left for a value of {bytes} bytes") }
}

/// Says in which item of a list an error is.
pub(crate) fn indexed<T>(result: Result<T>, index: u32) -> Result<T> {
    result.map_err(|error| within(error, &format!("[{index}]")))
}

/// The length of a list for a message, which has room for 2^29 - 1 items.
pub(crate) fn length(length: usize) -> Result<u32> {
    u32::try_from(length).ok().filter(|length| *length < 1 << 29).ok_or_else(|| {
        Error::misuse(format!(
            "a list of {length} items does not fit in a message; 536870911 is the most"
        ))
    })
}

/// The error for a message that is not what its schema says.
pub(crate) fn malformed(error: capnp::Error) -> Error {
    let problem = match error.kind {
        capnp::ErrorKind::NestingLimitExceeded => format!(
            "with what is around it in the message it is nested more than {} deep \
             (ProcessLimits::nesting)",
            nesting_limit()
        ),
        _ => error.to_string(),
    };
    Error::decode("", problem)
}

/// Adds names to the path of a field that does not decode.
pub(crate) trait At {
    /// Says that the error is in `segment`.
    fn at(self, segment: &str) -> Self;
}

impl<T> At for Result<T> {
    fn at(self, segment: &str) -> Self {
        self.map_err(|error| within(error, segment))
    }
}

fn within(error: Error, segment: &str) -> Error {
    match error {
        Error::Decode { path, problem } => Error::Decode { path: joined(segment, &path), problem },
        Error::PeerTooOld { path, problem } => {
            Error::PeerTooOld { path: joined(segment, &path), problem }
        }
        other => other,
    }
}

/// The error for a call of a method that the schema does not have.
pub(crate) fn unknown_method(interface_name: &str, interface: u64, method: u16) -> Error {
    Error::unimplemented(format!(
        "{interface_name} has no method {method} of interface {interface:#x}"
    ))
}
