//! One method of an interface, as generated code describes it: what it is on the wire, and how its
//! parameters and its outcome are written.

use std::fmt;

use capnp_engine::CallKind;

use crate::wire::{AnyBuilder, Builder, Encoder, Exception, PayloadCodec, Wire};
use crate::{Error, Result};

/// The ids of a method on the wire, and how it is called.
#[derive(Debug, Clone, Copy)]
pub struct MethodId {
    /// The id of the interface that declares it.
    pub interface: u64,
    /// Its ordinal.
    pub ordinal: u16,
    /// `Interface.method`, as the schema spells it.
    pub name: &'static str,
    /// The pointer of the results to which calls can be pipelined.
    pub pipeline: u16,
    /// Whether it may wait long: calls of futures then have a thread of their own there.
    pub long: bool,
    /// The method (its ordinal in the same interface) that ends a call of this one.
    pub interrupt: Option<u16>,
    /// The slot of the Context among the parameters, which says the thread that the call runs on.
    pub context: Option<u32>,
    /// The version of the schema whose form this is; 0 is the newest.
    pub version: u8,
    /// The versions that the peer of a call may have: bit 0 is the newest. None for a method that is the
    /// same in all.
    pub peers: u32,
    /// Its effect on the object's life.
    pub(super) kind: CallKind,
}

impl MethodId {
    /// A method whose first result is its capability, if it has any.
    pub const fn new(interface: u64, ordinal: u16, name: &'static str) -> MethodId {
        let (pipeline, long, interrupt, context) = (0, false, None, None);
        let (version, peers) = (0, 0);
        let kind = CallKind::Ordinary;
        MethodId {
            interface,
            ordinal,
            name,
            pipeline,
            long,
            interrupt,
            context,
            version,
            peers,
            kind,
        }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, interface: u64, ordinal: u16) -> bool {
        (self.interface, self.ordinal) == (interface, ordinal)
    }

    /// The same with another capability to pipeline to.
    pub const fn pipeline(mut self, pointer: u16) -> MethodId {
        self.pipeline = pointer;
        self
    }

    /// The same with a Context in this slot.
    pub const fn context(mut self, slot: u32) -> MethodId {
        self.context = Some(slot);
        self
    }

    /// The same as an older version has it.
    pub const fn version(mut self, version: u8) -> MethodId {
        self.version = version;
        self
    }

    /// The same for a call of a peer that has one of these versions.
    pub(super) const fn peers(mut self, versions: u32) -> MethodId {
        self.peers = versions;
        self
    }

    /// How its parameters are written: in the form of which version, for peers of which.
    pub(super) const fn form(&self) -> (u8, u32) {
        (self.version, self.peers)
    }

    /// The same, waiting long.
    pub const fn long(mut self) -> MethodId {
        self.long = true;
        self
    }

    /// The same with the method that interrupts it.
    pub const fn interrupted_by(mut self, ordinal: u16) -> MethodId {
        self.interrupt = Some(ordinal);
        self
    }
}

/// The description of a method, for calling and serving it: parameters `P`, results `R`.
pub struct Method<O: ?Sized, P: 'static, R: 'static> {
    /// Its ids on the wire.
    pub id: MethodId,
    /// The parameters.
    pub params: PayloadCodec<P>,
    /// Runs the method of an object of this process.
    pub call: fn(&O, P) -> Result<R>,
    /// The results.
    pub results: PayloadCodec<R>,
}

opaque!(Method, impl<O: ?Sized, P, R> std::fmt::Debug for Method<O, P, R>);

impl<O: ?Sized, P: 'static, R: 'static> Clone for Method<O, P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: ?Sized, P: 'static, R: 'static> Copy for Method<O, P, R> {}

/// The exception in `error`, if its type is that of `W` and it does not say that it is another result. It
/// is written to the slot of the results.
pub fn exception<W: Wire>(error: &Error, slot: u32, name: &'static str) -> Option<Exception>
where
    W::Value: fmt::Debug + Clone + Send + Sync + 'static,
{
    let Error::Raised(raised) = error else { return None };
    if raised.result().is_some_and(|result| result != name) {
        return None;
    }
    let value: W::Value = raised.get::<W::Value>()?.clone();
    Some(Box::new(move |cx, to| to.set::<W>(cx, slot, name, &value)))
}

/// The same for a method that has several exceptions of this type: the error has to say which it is.
pub fn exception_named<W: Wire>(error: &Error, slot: u32, name: &'static str) -> Option<Exception>
where
    W::Value: fmt::Debug + Clone + Send + Sync + 'static,
{
    let Error::Raised(raised) = error else { return None };
    raised.result().and_then(|_| exception::<W>(error, slot, name))
}

/// Writes the parameters of a call, with its Context.
pub(crate) fn write_params<P>(
    id: MethodId,
    codec: PayloadCodec<P>,
    cx: &mut Encoder<'_>,
    to: AnyBuilder<'_>,
    params: &P,
) -> Result<()> {
    let mut to = Builder::content(to, codec.size);
    if let Some(slot) = id.context {
        cx.context(&mut to, slot);
    }
    codec.write(cx, &mut to, params).map_err(|error| error.unsendable(id.name))
}

/// The result of a trait's default method; drops `_params`.
///
/// # Errors
/// Always [`Error::Unimplemented`].
pub fn unimplemented<P, R>(method: &str, _params: P) -> Result<R> {
    Err(Error::unimplemented(method))
}

impl<O: ?Sized, P, R: Send + 'static> Method<O, P, R> {
    /// The function that writes the method's outcome to the answer, or the error with which the
    /// whole call ends.
    pub(crate) fn outcome(
        self,
        outcome: Result<R>,
    ) -> Result<impl FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + Send + 'static>
    where
        R: Send,
    {
        let mut outcome = match outcome {
            Ok(results) => Ok(results),
            Err(error) => match self.results.exception.and_then(|exception| exception(&error)) {
                Some(exception) => Err(exception),
                None => return Err(error),
            },
        };
        let (name, form, codec) = (self.id.name, self.id.form(), self.results);
        Ok(move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            cx.in_form(form);
            let mut to = Builder::content(to, codec.size);
            let written = match &mut outcome {
                Ok(results) => codec.write(cx, &mut to, results),
                Err(exception) => exception(cx, &mut to),
            };
            written.map_err(|error| error.unsendable(name))
        })
    }
}
