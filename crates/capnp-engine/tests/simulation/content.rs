//! The structure of parameters and results: a struct of a few numbers and four capabilities, the
//! last of which is in a struct of its own.

use capnp::any_pointer;
use capnp::private::layout::{
    PointerBuilder, PointerReader, StructBuilder, StructReader, StructSize,
};
use capnp::traits::{FromPointerBuilder, FromPointerReader};
use capnp_engine::{Cap, Content, cap_hook};

use crate::model::Stream;
use crate::rng::Rng;

/// How many capabilities there are.
pub(crate) const SLOTS: usize = 4;

/// The path to each of them.
pub(crate) fn path(slot: usize) -> Vec<u16> {
    match slot {
        3 => vec![3, 0],
        _ => vec![slot as u16],
    }
}

/// The numbers of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Which call this is of all in the simulation.
    pub(crate) call: usize,
    /// The reference through which it was made, and how many calls of that came before.
    pub(crate) stream: Stream,
    pub(crate) place: u32,
    /// The references of its capabilities; `NONE` for none.
    pub(crate) streams: [Stream; SLOTS],
}

pub(crate) const NONE: Stream = u32::MAX;

struct Fields<'a>(StructBuilder<'a>);

impl<'a> FromPointerBuilder<'a> for Fields<'a> {
    fn init_pointer(builder: PointerBuilder<'a>, words: u32) -> Self {
        Fields(builder.init_struct(StructSize { data: words as u16, pointers: SLOTS as u16 }))
    }

    fn get_from_pointer(
        _builder: PointerBuilder<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Err(capnp::Error::failed("only written".to_owned()))
    }
}

struct Read<'a>(StructReader<'a>);

impl<'a> FromPointerReader<'a> for Read<'a> {
    fn get_from_pointer(
        reader: &PointerReader<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Ok(Read(reader.get_struct(None)?))
    }
}

/// Writes a message's content, with the capabilities in random order and with random indices.
/// Returns the list of capabilities for the engine.
pub(crate) fn write(
    to: any_pointer::Builder<'_>,
    numbers: &Numbers,
    caps: [Option<Cap>; SLOTS],
    rng: &mut Rng,
) -> Vec<Option<Cap>> {
    let mut fields: Fields<'_> = to.initn_as(5);
    fields.0.set_data_field(0, numbers.call as u64);
    fields.0.set_data_field(2, numbers.stream);
    fields.0.set_data_field(3, numbers.place);
    for (slot, stream) in numbers.streams.iter().enumerate() {
        fields.0.set_data_field(4 + slot, *stream);
    }
    let mut given = vec![];
    let mut order = [0, 1, 2, 3];
    if rng.one_in(2) {
        order.swap(rng.below(SLOTS), rng.below(SLOTS));
    }
    let mut slots = vec![];
    for slot in order {
        if let Some(cap) = caps[slot] {
            slots.push((slot, given.len()));
            given.push(Some(cap));
        }
    }
    if rng.one_in(3) {
        // Indices without a pointer.
        given.push(None);
    }
    if rng.one_in(2) && slots.len() > 1 {
        let (one, other) = (rng.below(slots.len()), rng.below(slots.len()));
        slots.swap(one, other);
    }
    for (slot, place) in slots {
        let pointer = fields.0.reborrow().get_pointer_field(slot);
        let mut pointer = match slot {
            3 => {
                let inner = pointer.init_struct(StructSize { data: 0, pointers: 1 });
                inner.get_pointer_field(0)
            }
            _ => pointer,
        };
        pointer.set_capability(cap_hook(place));
    }
    given
}

/// Reads a message's content.
pub(crate) fn read(content: &Content<'_>) -> capnp::Result<(Numbers, [Option<Cap>; SLOTS])> {
    let fields: Read<'_> = content.reader.get_as()?;
    let mut streams = [NONE; SLOTS];
    let mut caps = [None; SLOTS];
    for slot in 0..SLOTS {
        streams[slot] = fields.0.get_data_field(4 + slot);
        caps[slot] = content.cap_at(&path(slot))?;
    }
    let numbers = Numbers {
        call: fields.0.get_data_field::<u64>(0) as usize,
        stream: fields.0.get_data_field(2),
        place: fields.0.get_data_field(3),
        streams,
    };
    Ok((numbers, caps))
}

/// Which call a message is of, as far as it has content.
pub(crate) fn call_of(message: &capnp_engine::Incoming<'_>) -> Option<u64> {
    let fields: Read<'_> = message.content().ok()?.get_as().ok()?;
    Some(fields.0.get_data_field(0))
}
