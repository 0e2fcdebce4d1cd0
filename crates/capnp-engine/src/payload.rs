//! Parameters and results: content with capabilities.

use capnp::any_pointer;
use capnp::traits::Imbue;

use crate::cap::{Cap, Path, null};
use crate::cap_index::{cap_table, find_cap};
use crate::engine::Engine;
use crate::error::Failure;
use crate::incoming::Incoming;
use crate::shared_message::{MessageView, SharedMessage};

/// The parameters or results of a call, with their capabilities, one reference on each.
#[derive(Debug, Default)]
#[must_use = "its capabilities are to be released"]
pub struct Payload {
    /// None if they are in the message that was given to [`Engine::receive`] last.
    pub(crate) message: Option<SharedMessage>,
    /// The capability table: by the index that the message's capability pointers have.
    pub caps: Vec<Option<Cap>>,
}

/// Parameters or results for reading. A capability pointer in `reader` gives an index into `caps`:
/// see [`find_cap`](crate::find_cap).
pub struct Content<'a> {
    /// The parameters or results.
    pub reader: any_pointer::Reader<'a>,
    /// The capability table.
    pub caps: &'a [Option<Cap>],
    /// The message that contains them.
    pub message: MessageView<'a>,
}

opaque!(Content, impl std::fmt::Debug for Content<'_>);

impl Payload {
    /// Calls `look` with the content. `current`: the message that was received last.
    pub fn with<R>(
        &self,
        current: Option<&Incoming<'_>>,
        look: impl FnOnce(capnp::Result<Content<'_>>) -> R,
    ) -> R {
        match (&self.message, current) {
            (Some(message), _) => match message.view().segments() {
                Ok(segments) => self.look(&Incoming::new(message.view(), &segments), look),
                Err(error) => look(Err(error)),
            },
            (None, Some(message)) => self.look(message, look),
            (None, None) => look(Err(capnp::Error::failed("a message that is gone".to_owned()))),
        }
    }

    fn look<R>(
        &self,
        message: &Incoming<'_>,
        look: impl FnOnce(capnp::Result<Content<'_>>) -> R,
    ) -> R {
        let table = cap_table(&self.caps);
        look(message.content().map(|mut reader| {
            reader.imbue(&table);
            Content { reader, caps: &self.caps, message: message.view() }
        }))
    }

    /// The same payload, but independent of the message that was received last.
    pub(crate) fn keep(mut self, current: Option<&Incoming<'_>>) -> Payload {
        if self.message.is_none() {
            self.message = current.map(|message| message.view().keep());
        }
        self
    }
}

impl Content<'_> {
    /// The capability at a path of pointer fields, or none if a pointer on it is null. Adds no
    /// reference.
    pub fn cap_at(&self, path: &[u16]) -> capnp::Result<Option<Cap>> {
        if path.is_empty() && self.reader.is_null() {
            return Ok(None);
        }
        let mut pointer: Pointer<'_> = self.reader.get_as()?;
        for field in path {
            let within = pointer.0.get_struct(None)?;
            pointer = Pointer(within.get_pointer_field(usize::from(*field)));
        }
        if pointer.0.is_null() {
            return Ok(None);
        }
        Ok(find_cap(&*pointer.0.get_capability()?, self.caps))
    }
}

/// Gives access to capnp's layout code.
struct Pointer<'a>(capnp::private::layout::PointerReader<'a>);

impl<'a> capnp::traits::FromPointerReader<'a> for Pointer<'a> {
    fn get_from_pointer(
        reader: &capnp::private::layout::PointerReader<'a>,
        _default: Option<&'a [capnp::Word]>,
    ) -> capnp::Result<Self> {
        Ok(Pointer(*reader))
    }
}

impl Engine {
    /// The capability at a path of a payload, with a reference. Errors become a broken capability.
    pub(crate) fn cap_of(
        &mut self,
        payload: &Payload,
        current: Option<&Incoming<'_>>,
        path: &Path,
    ) -> Cap {
        let found = payload.with(current, |content| content?.cap_at(path));
        match found {
            Ok(Some(cap)) => {
                self.caps.retain(cap);
                cap
            }
            Ok(None) => self.broken(null()),
            Err(error) => self.broken(Failure::malformed(&error)),
        }
    }

    /// A copy of a payload, with references of its own.
    pub(crate) fn copy(&mut self, payload: &Payload) -> Payload {
        payload.caps.iter().flatten().for_each(|cap| self.caps.retain(*cap));
        Payload { message: payload.message.clone(), caps: payload.caps.clone() }
    }
}
