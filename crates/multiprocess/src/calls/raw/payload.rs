//! The parameters or results of a call without their types.

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::private::layout::CapTable;
use capnp::traits::{Imbue, ImbueMut};

use super::given::Passed;
use crate::Result;
use crate::calls::capability::{AnyObject, Capability};
use crate::wire::helpers::malformed;
use crate::wire::{AnyBuilder, AnyReader, Decoder, Encoder};

/// A message whose root is a call's parameters or results.
pub type RawMessage = Builder<HeapAllocator>;

/// The parameters or results of a call: a message, and the objects in it.
pub struct RawPayload {
    /// Its root are the parameters or results.
    pub message: RawMessage,
    /// The objects, by their indices in the message's capability table.
    pub capabilities: Vec<Option<Capability>>,
}

opaque!(RawPayload, impl std::fmt::Debug for RawPayload);

impl RawPayload {
    /// Copies what has arrived.
    pub(super) fn read(cx: &mut Decoder<'_>, from: AnyReader<'_>) -> Result<RawPayload> {
        // Most are small, and zeroing a large first segment would cost more than the copy.
        let mut message = Builder::new(HeapAllocator::new().first_segment_words(16));
        let mut hooks = CapTable::new();
        let mut root: any_pointer::Builder<'_> = message.init_root();
        root.imbue_mut(&mut hooks);
        root.set_as::<any_pointer::Owned>(from).map_err(malformed)?;
        let capabilities = hooks.into_iter().map(|hook| match hook {
            Some(hook) => AnyObject::of_hook(cx, &*hook),
            None => Ok(None),
        });
        let capabilities = capabilities.collect::<Result<_>>()?;
        Ok(RawPayload { message, capabilities })
    }

    /// Copies it to what is sent.
    pub(super) fn write(&self, cx: &mut Encoder<'_>, mut to: AnyBuilder<'_>) -> Result<()> {
        let capabilities = self.capabilities.iter();
        let hooks: CapTable = capabilities
            .map(|object| object.as_ref().map(|object| cx.object(&Passed(object))))
            .collect();
        let mut root: any_pointer::Reader<'_> =
            self.message.get_root_as_reader().map_err(malformed)?;
        root.imbue(&hooks);
        to.set_as::<any_pointer::Owned>(root).map_err(malformed)
    }
}
