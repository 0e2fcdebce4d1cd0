//! File descriptors: a `Capability` with the mark `$Rust.fd`. In a message it is an object that has no methods, to
//! which the descriptor is attached.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use capnp::private::layout::{PointerBuilder, PointerReader};

use super::context::{Decoder, Encoder, capability};
use super::pointer::{PointerWire, pointer_wire};
use crate::{Error, Result};

/// A file descriptor, or none.
#[derive(Debug)]
pub struct Descriptor;

/// A file descriptor.
#[derive(Debug)]
pub struct DescriptorNotNull;

impl PointerWire for Descriptor {
    type Value = Option<OwnedFd>;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<Option<OwnedFd>> {
        let Some(hook) = capability(from)? else { return Ok(None) };
        match cx.descriptor(&*hook)? {
            Some(descriptor) => Ok(Some(descriptor)),
            None => Err(Error::decode(
                "",
                "no file descriptor came with the object: both sides have to set Limits::descriptors, to no fewer \
                 than the message has, on a unix socket; and this process must have descriptors left (ulimit -n)",
            )),
        }
    }

    fn write(cx: &mut Encoder<'_>, to: PointerBuilder<'_>, value: &Option<OwnedFd>) -> Result<()> {
        value.as_ref().map_or(Ok(()), |value| DescriptorNotNull::write(cx, to, value))
    }

    fn show(value: &Option<OwnedFd>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if value.is_some() { "<file descriptor>" } else { "none" })
    }
}
pointer_wire!([] Descriptor);

impl PointerWire for DescriptorNotNull {
    type Value = OwnedFd;

    fn read(cx: &mut Decoder<'_>, from: PointerReader<'_>) -> Result<OwnedFd> {
        Descriptor::read(cx, from)?
            .ok_or_else(|| Error::decode("", "there is no file descriptor: it is null"))
    }

    fn write(cx: &mut Encoder<'_>, mut to: PointerBuilder<'_>, value: &OwnedFd) -> Result<()> {
        to.set_capability(cx.descriptor(value.as_fd())?);
        Ok(())
    }

    fn show(_: &OwnedFd, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<file descriptor>")
    }
}
pointer_wire!([] DescriptorNotNull);
