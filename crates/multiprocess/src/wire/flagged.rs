//! Optional values whose presence is a Bool field of its own (`hasX`).

use std::fmt;
use std::marker::PhantomData;

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::context::{Decoder, Encoder};
use super::{Builder, Reader, Wire};
use crate::{Error, Result};

/// `W`, present if the Bool in the slot `FLAG` is true.
#[derive(Debug)]
pub struct If<const FLAG: u32, W>(PhantomData<W>);

impl<const FLAG: u32, W: Wire> Wire for If<FLAG, W> {
    type Value = Option<W::Value>;
    type Default = W::Default;

    fn get(cx: &mut Decoder<'_>, from: Reader<'_>, slot: u32) -> Result<Option<W::Value>> {
        match from.0.get_bool_field(FLAG as usize) {
            true => W::get(cx, from, slot).map(Some),
            false => Ok(None),
        }
    }

    fn get_or(
        cx: &mut Decoder<'_>,
        from: Reader<'_>,
        slot: u32,
        default: W::Default,
    ) -> Result<Option<W::Value>> {
        match from.0.get_bool_field(FLAG as usize) {
            true => W::get_or(cx, from, slot, default).map(Some),
            false => Ok(None),
        }
    }

    fn set(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Option<W::Value>,
    ) -> Result<()> {
        to.0.set_bool_field(FLAG as usize, value.is_some());
        value.iter().try_for_each(|value| W::set(cx, to, slot, value))
    }

    fn set_or(
        cx: &mut Encoder<'_>,
        to: &mut Builder<'_>,
        slot: u32,
        value: &Option<W::Value>,
        default: W::Default,
    ) -> Result<()> {
        to.0.set_bool_field(FLAG as usize, value.is_some());
        match value {
            Some(value) => W::set_or(cx, to, slot, value, default),
            None => Ok(()),
        }
    }

    fn read_list(_: &mut Decoder<'_>, _: PointerReader<'_>) -> Result<Vec<Self::Value>> {
        Err(no_list())
    }

    fn write_list<'v>(
        _: &mut Encoder<'_>,
        _: PointerBuilder<'_>,
        _: impl ExactSizeIterator<Item = &'v Self::Value>,
    ) -> Result<()> {
        Err(no_list())
    }

    fn show(value: &Option<W::Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match value {
            Some(value) => W::show(value, f),
            None => f.write_str("none"),
        }
    }
}

/// The generator makes no lists of such values.
fn no_list() -> Error {
    Error::misuse("what a Bool stands beside cannot be in a list")
}
