//! The segments of a received message. They are located once, as each pointer that is read asks for
//! its segment.

use capnp::message::{Reader, ReaderSegments};
use capnp::{Error, Result};

const WORD: usize = 8;
const MAX_SEGMENTS: usize = 512;

/// The segments of a message, for an [`Incoming`](crate::Incoming): see
/// [`MessageView::segments`](crate::MessageView::segments).
pub type Segments<'a> = Reader<SliceSegments<'a>>;

/// The segments of a message in the standard framing, which lie one after the other in its bytes.
pub struct SliceSegments<'a> {
    first: &'a [u8],
    /// Further segments. Most messages have none.
    more: Vec<&'a [u8]>,
}

opaque!(SliceSegments, impl std::fmt::Debug for SliceSegments<'_>);

impl<'a> SliceSegments<'a> {
    /// Locates the segments by the table at the message's start: the number of segments minus one,
    /// then the size of each in words, all as little-endian u32, padded to a whole word.
    pub(crate) fn new(message: &'a [u8]) -> Result<SliceSegments<'a>> {
        let number = |place: usize| {
            let bytes = message.get(4 * place..4 * place + 4).and_then(|it| it.try_into().ok());
            bytes.map(|bytes| u32::from_le_bytes(bytes) as usize).ok_or_else(too_short)
        };
        let count = number(0)?.saturating_add(1);
        if count > MAX_SEGMENTS {
            return Err(Error::failed(format!("a message of more than {MAX_SEGMENTS} segments")));
        }
        let table = (4 * (1 + count)).next_multiple_of(WORD);
        let mut rest = message.get(table..).ok_or_else(too_short)?;
        let mut next = |place| {
            let length = number(place)?.checked_mul(WORD).ok_or_else(too_short)?;
            let (segment, behind) = rest.split_at_checked(length).ok_or_else(too_short)?;
            rest = behind;
            Ok(segment)
        };
        let first = next(1)?;
        let more = (2..=count).map(next).collect::<Result<_>>()?;
        Ok(SliceSegments { first, more })
    }
}

fn too_short() -> Error {
    Error::failed("a message that is shorter than its segment table says".to_owned())
}

impl ReaderSegments for SliceSegments<'_> {
    #[inline]
    fn get_segment(&self, id: u32) -> Option<&[u8]> {
        match id {
            0 => Some(self.first),
            id => self.more.get(id as usize - 1).copied(),
        }
    }

    fn len(&self) -> usize {
        1 + self.more.len()
    }
}

#[cfg(test)]
mod tests {
    use capnp::message::ReaderSegments;

    use super::SliceSegments;

    fn framed(numbers: &[u32], words: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend((0..8 * words).map(|at| at as u8));
        bytes
    }

    fn lengths(message: &[u8]) -> Option<Vec<usize>> {
        let segments = SliceSegments::new(message).ok()?;
        assert!(segments.get_segment(segments.len() as u32).is_none());
        let length = |id| segments.get_segment(id).map(<[u8]>::len);
        Some((0..segments.len() as u32).filter_map(length).collect())
    }

    #[test]
    fn they_lie_where_the_table_says() {
        assert_eq!(lengths(&framed(&[0, 3], 3)), Some(vec![24]));
        assert_eq!(lengths(&framed(&[1, 2, 0, 0], 2)), Some(vec![16, 0]));
        assert_eq!(lengths(&framed(&[2, 1, 2, 3], 6)), Some(vec![8, 16, 24]));
        let message = framed(&[1, 1, 1, 0], 2);
        let segments = SliceSegments::new(&message).unwrap();
        assert_eq!(segments.get_segment(1).unwrap(), &message[24..]);
    }

    #[test]
    fn a_table_that_does_not_fit_is_an_error() {
        for short in [
            framed(&[0, 4], 3),
            framed(&[1, 2, 1, 0], 2),
            framed(&[1, 2], 0),
            framed(&[0], 0),
            Vec::new(),
            framed(&[u32::MAX, 0], 8),
            framed(&[512, 0], 4096),
            framed(&[0, u32::MAX], 8),
        ] {
            assert_eq!(lengths(&short), None, "{short:?}");
        }
    }
}
