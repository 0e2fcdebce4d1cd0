//! What the schema compiler said.

use capnp::message::ReaderOptions;
use capnp::schema_capnp::code_generator_request;
use capnp::serialize::OwnedSegments;

use crate::error::Error;

/// What the schema compiler said. Its size is that of its bytes: a request whose segments are to be
/// longer than it is, or that has the same part many times over, is refused.
pub(crate) fn read(request: &[u8]) -> Result<capnp::message::Reader<OwnedSegments>, Error> {
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(2 * request.len() / 8 + 1024));
    let mut bytes = request;
    let message = capnp::serialize::read_message(&mut bytes, options)?;
    message.get_root::<code_generator_request::Reader<'_>>()?.total_size()?;
    // Each part is read many times by what follows. But a list of nothing takes no bytes, however long.
    options.traversal_limit_in_words(Some(10_000 * (request.len() / 8 + 1)));
    Ok(capnp::message::Reader::new(message.into_segments(), options))
}

#[cfg(test)]
mod tests {
    use super::{code_generator_request, read};

    fn framed(words: &[u64]) -> Vec<u8> {
        let table = (words.len() as u64) << 32;
        std::iter::once(&table).chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A pointer: its kind, how far it leads, and its upper half.
    fn pointer(kind: u64, offset: usize, upper: u64) -> u64 {
        kind | (offset as u64) << 2 | upper << 32
    }

    /// A request for nodes that all have the same long text as their name.
    fn names(nodes: usize, text: usize) -> Vec<u8> {
        let mut words = vec![pointer(0, 0, 4 << 16), pointer(1, 3, 7 | (6 * nodes as u64) << 3)];
        words.extend([0, 0, 0, pointer(0, nodes, 6 << 16)]);
        for node in 0..nodes {
            words.extend([pointer(1, 6 * (nodes - node) - 1, 2 | (8 * text as u64) << 3)]);
            words.extend([0; 5]);
        }
        words.extend(vec![0; text]);
        framed(&words)
    }

    #[test]
    fn what_becomes_more_than_was_sent_is_refused() {
        assert!(read(&names(1, 1000)).is_ok());
        assert!(read(&names(500, 1000)).is_err(), "a text for all nodes");
        let mut nothing = vec![pointer(0, 0, 4 << 16), pointer(1, 3, 7), 0, 0, 0];
        nothing.push(pointer(0, (1 << 29) - 1, 0));
        let nothing = read(&framed(&nothing)).unwrap();
        let request = nothing.get_root::<code_generator_request::Reader<'_>>().unwrap();
        assert!(request.get_nodes().is_err(), "half a billion nodes of nothing");
        let mut long = framed(&[0]);
        long[4..8].copy_from_slice(&(200_000_000_u32).to_le_bytes());
        let error = read(&long).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}
