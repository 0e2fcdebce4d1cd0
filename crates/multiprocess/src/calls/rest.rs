//! What a peer's struct has beyond this process's schema.

use std::cmp::Ordering;
use std::fmt;

use super::any_pointer::{AnyPointer, AnyPointerWire};
use crate::wire::{Builder, Decoder, Encoder, PointerWire, Reader, Size};
use crate::{Error, Result};

/// What a struct of a peer with a newer schema has beyond this process's one: fields, and members of
/// unions. It is sent on as it came. Generated structs have it with `Builder::keep_unknown`.
///
/// It is empty in a struct that is made here, and takes no memory then.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Rest(Option<Box<Content>>);

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Content {
    /// The struct's words of data, without the bits that the schema knows.
    data: Vec<u64>,
    /// The pointers that the schema does not know, each with its slot.
    pointers: Vec<(u16, AnyPointer)>,
}

/// The places of a struct that a schema knows: a bit for each bit of data, and for each pointer.
#[derive(Debug)]
pub struct Known(pub &'static [u64], pub &'static [u64]);

impl Known {
    fn word(all: &[&Known], index: usize) -> u64 {
        all.iter().fold(0, |bits, known| bits | known.0.get(index).copied().unwrap_or(0))
    }

    fn has_pointer(all: &[&Known], slot: u32) -> bool {
        let bits = |known: &&Known| known.1.get(slot as usize / 64).copied().unwrap_or(0);
        all.iter().any(|known| bits(known) >> (slot % 64) & 1 == 1)
    }
}

impl Rest {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What a struct has in other places than these.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) for a pointer that leads nowhere.
    #[doc(hidden)]
    pub fn read(cx: &mut Decoder<'_>, from: Reader<'_>, known: &[&Known]) -> Result<Rest> {
        let (words, pointers) = from.extent();
        let mut content: Option<Box<Content>> = None;
        for index in 0..words {
            let unknown = from.word(index) & !Known::word(known, index);
            if unknown != 0 {
                let data = &mut content.get_or_insert_default().data;
                data.resize(index, 0);
                data.push(unknown);
            }
        }
        for slot in 0..pointers {
            let pointer = from.pointer(slot);
            if Known::has_pointer(known, slot) || pointer.is_null() {
                continue;
            }
            let any = AnyPointerWire::read(cx, pointer)?;
            let slot = u16::try_from(slot).unwrap_or(u16::MAX);
            content.get_or_insert_default().pointers.push((slot, any));
        }
        Ok(Rest(content))
    }

    /// For a peer of an older version, which would not read it.
    ///
    /// # Errors
    /// [`Error::PeerTooOld`](crate::Error::PeerTooOld) if there is something that is not the default.
    #[doc(hidden)]
    pub fn refuse(&self, cx: &mut Encoder<'_>) -> Result<()> {
        let Some(content) = &self.0 else { return Ok(()) };
        let is_default = |(_, any): &(u16, AnyPointer)| any.is_default();
        match content.data.is_empty() && content.pointers.iter().all(is_default) {
            true => Ok(()),
            false => cx.lacks_unknown(),
        }
    }

    /// Writes it to a struct, before the fields that the schema knows. `gone`: the places of the members of
    /// unions that have been given a member which the schema knows.
    ///
    /// # Errors
    /// [`Error::PeerTooOld`](crate::Error::PeerTooOld) for a peer of an older version; what does not fit in a
    /// message.
    #[doc(hidden)]
    pub fn write(&self, cx: &mut Encoder<'_>, to: &mut Builder<'_>, gone: &[&Known]) -> Result<()> {
        let Some(content) = &self.0 else { return Ok(()) };
        self.refuse(cx)?;
        let size = to.size();
        if self.size(size) != size {
            return Err(Error::misuse("a struct has no room for what is to be sent on with it"));
        }
        for (index, word) in content.data.iter().enumerate() {
            to.set_word(index, *word & !Known::word(gone, index));
        }
        for (slot, any) in &content.pointers {
            let slot = u32::from(*slot);
            if !Known::has_pointer(gone, slot) {
                AnyPointerWire::write(cx, to.pointer(slot), any)?;
            }
        }
        Ok(())
    }

    /// The size of a struct that has this beside fields of this size.
    #[doc(hidden)]
    pub fn size(&self, fields: Size) -> Size {
        let Some(content) = &self.0 else { return fields };
        let data = u16::try_from(content.data.len()).unwrap_or(u16::MAX);
        let pointers = content.pointers.last().map_or(0, |(slot, _)| slot.saturating_add(1));
        fields.larger(Size(data, pointers))
    }
}

/// By the data and the pointers' bytes, in their order.
impl Ord for Rest {
    fn cmp(&self, other: &Rest) -> Ordering {
        let key = |rest: &Rest| {
            rest.0.as_ref().map(|content| {
                let pointers = content.pointers.iter();
                let pointers = pointers.map(|(slot, any)| (*slot, any.as_bytes().to_vec()));
                (content.data.clone(), pointers.collect::<Vec<_>>())
            })
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Rest {
    fn partial_cmp(&self, other: &Rest) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Rest(nothing)" } else { "Rest(..)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::context::NoCapabilities;
    use capnp::message;

    type Message = message::Builder<message::HeapAllocator>;

    /// A message that is a struct, filled by `fill`.
    fn filled(size: Size, fill: impl FnOnce(&mut Encoder<'_>, &mut Builder<'_>)) -> Message {
        let mut message = message::Builder::new_default();
        let mut none = NoCapabilities;
        let mut cx = Encoder::new(&mut none, 0, 0);
        fill(&mut cx, &mut Builder::content(message.init_root(), size));
        message
    }

    fn rest(message: &Message, known: &[&Known]) -> Rest {
        let root = message.get_root_as_reader().unwrap();
        let from = Reader::content(root).unwrap();
        Rest::read(&mut Decoder::new(None, 0, 0), from, known).unwrap()
    }

    #[test]
    fn it_is_what_no_place_of_the_schema_has() {
        let message = filled(Size(2, 2), |_, to| {
            to.set_word(0, 0xab_ff00);
            to.pointer(1).set_text("x".into());
        });
        assert!(rest(&message, &[&Known(&[0xff_0000], &[0]), &Known(&[0xff00], &[2])]).is_empty());
        let data = rest(&message, &[&Known(&[0xff00], &[2])]);
        assert_eq!((data.is_empty(), data.size(Size(0, 1))), (false, Size(1, 1)));
        let pointer = rest(&message, &[&Known(&[u64::MAX], &[1])]);
        assert_eq!((pointer.is_empty(), pointer.size(Size(3, 0))), (false, Size(3, 2)));
        assert_ne!(data, pointer);
        assert_eq!(format!("{data:?} {:?}", Rest::default()), "Rest(..) Rest(nothing)");
    }

    #[test]
    fn what_is_gone_is_not_written() {
        let message = filled(Size(1, 2), |_, to| {
            to.set_word(0, 0xab_cd);
            to.pointer(0).set_text("x".into());
            to.pointer(1).set_text("y".into());
        });
        let all = rest(&message, &[]);
        let copy = |gone: &[&Known]| {
            let copy = filled(Size(1, 2), |cx, to| all.write(cx, to, gone).unwrap());
            rest(&copy, &[])
        };
        assert_eq!(copy(&[]), all);
        filled(Size(1, 1), |cx, to| assert!(all.write(cx, to, &[]).is_err(), "no room"));
        let expected = rest(&message, &[&Known(&[0xff00], &[1])]);
        assert_eq!(copy(&[&Known(&[0xff00], &[]), &Known(&[], &[1])]), expected);
    }
}
