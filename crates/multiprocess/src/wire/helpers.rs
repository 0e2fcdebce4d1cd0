//! Functions that several kinds of values share: texts, lengths, and the path of an error.

use crate::{Error, Result};

/// A text of a message.
pub(crate) fn text(text: capnp::Result<capnp::text::Reader<'_>>) -> Result<String> {
    let text = text.map_err(malformed)?;
    text.to_string().map_err(|error| Error::decode("", format!("the text is not UTF-8: {error}")))
}

/// Data of a message.
pub(crate) fn data(data: capnp::Result<capnp::data::Reader<'_>>) -> Result<Vec<u8>> {
    Ok(data.map_err(malformed)?.to_vec())
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
    Error::decode("", error.to_string())
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
        Error::Decode { path, problem } => {
            let path = match path.chars().next() {
                None => segment.to_owned(),
                Some('[') => format!("{segment}{path}"),
                Some(_) => format!("{segment}.{path}"),
            };
            Error::Decode { path, problem }
        }
        other => other,
    }
}

/// The error for a call of a method that the schema does not have.
pub(crate) fn unknown_method(interface_name: &str, interface: u64, method: u16) -> Error {
    Error::unimplemented(&format!(
        "{interface_name} has no method {method} of interface {interface:#x}"
    ))
}
