//! One method of an interface, as generated code describes it, and how it is called and served.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use capnp_engine::CallKind;

use super::call::Call;
use super::executor::Async;
use super::handle::{Handle, Target};
use crate::serving::{Borrowed, CallContent, Job, Spawned};
use crate::session::EncodeFn;
use crate::wire::{AnyBuilder, Builder, Decoder, Encoder, Exception, PayloadCodec, Reader, Wire};
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
    /// Its effect on the object's life.
    pub(super) kind: CallKind,
}

impl MethodId {
    /// A method whose first result is its capability, if it has any.
    pub const fn new(interface: u64, ordinal: u16, name: &'static str) -> MethodId {
        let (pipeline, long, interrupt, context, version) = (0, false, None, None, 0);
        let kind = CallKind::Ordinary;
        MethodId { interface, ordinal, name, pipeline, long, interrupt, context, version, kind }
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

impl<O: ?Sized, P: 'static, R: 'static> Clone for Method<O, P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: ?Sized, P: 'static, R: 'static> Copy for Method<O, P, R> {}

/// The exception in `error`, if its type is that of `W`. It is written to the slot of the results.
pub fn exception<W: Wire>(error: &Error, slot: u32, name: &'static str) -> Option<Exception>
where
    W::Value: fmt::Debug + Clone + Send + Sync + 'static,
{
    let value: W::Value = error.raised_as::<W::Value>()?.clone();
    Some(Box::new(move |cx, to| to.set::<W>(cx, slot, name, &value)))
}

/// Calls a method: directly on an object of this process, otherwise by a message.
pub fn call<O, P, R>(handle: &Handle<O>, method: Method<O, P, R>, params: P) -> Call<R>
where
    O: ?Sized + Send + Sync + 'static,
    P: Send + 'static,
    R: Send + 'static,
{
    match handle.target() {
        Target::Local(object) => {
            Call::local(method.id, move || object.call(|object| (method.call)(object, params)))
        }
        Target::Remote(object) => {
            let encode = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
                write_params(method.id, method.params, cx, to, &params)
            };
            Call::remote(method.id, object, encode, method.results)
        }
    }
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
    codec.write(cx, &mut to, params)
}

/// The result of a trait's default method; drops `_params`.
///
/// # Errors
/// Always [`Error::Unimplemented`].
pub fn unimplemented<P, R>(method: &str, _params: P) -> Result<R> {
    Err(Error::unimplemented(method))
}

/// A call that arrived, before it is dispatched to a method of an object.
pub struct Incoming<'a, 'b> {
    interface: u64,
    ordinal: u16,
    cx: &'a mut Decoder<'b>,
    params: CallContent<'a>,
}

impl<'a, 'b> Incoming<'a, 'b> {
    pub(crate) fn new(
        interface: u64,
        ordinal: u16,
        cx: &'a mut Decoder<'b>,
        params: CallContent<'a>,
    ) -> Incoming<'a, 'b> {
        Incoming { interface, ordinal, cx, params }
    }

    /// The interface and the ordinal that are called.
    pub fn method(&self) -> (u64, u16) {
        (self.interface, self.ordinal)
    }

    /// Decodes the parameters, and returns the job for the call's thread.
    ///
    /// # Errors
    /// [`Error::Decode`] for parameters that do not fit.
    pub fn serve<O, P, R>(self, method: Method<O, P, R>, object: Arc<O>) -> Result<Job>
    where
        O: ?Sized + Send + Sync + 'static,
        P: Send + 'static,
        R: Send + 'static,
    {
        let streams = method.results.is_streamed();
        let params = self.read_or_borrow(&method);
        if !streams {
            let params = params?;
            return Ok(Job::new(move || {
                method.outcome((method.call)(&object, params.get(&method)?))
            }));
        }
        // A call that does not decode fails when it is its turn, so that later calls of a stream
        // see the error.
        let run = move || {
            let params = params.and_then(|params| params.get(&method))?;
            method.outcome((method.call)(&object, params))
        };
        Ok(Job::new(run).streaming(true))
    }

    /// Returns the job for the call's thread, on which `run` reads the parameters from the message.
    ///
    /// # Errors
    /// [`Error::Decode`] where there are no parameters.
    pub fn serve_lent<O, P, R>(
        self,
        method: Method<O, P, R>,
        object: Arc<O>,
        run: fn(&O, Reader<'_>) -> Result<R>,
    ) -> Result<Job>
    where
        O: ?Sized + Send + Sync + 'static,
        R: Send + 'static,
    {
        if let Some(slot) = method.id.context {
            self.cx.context(Reader::content(self.params.reader)?, slot)?;
        }
        let borrowed = Borrowed::new(self.params.whole.keep());
        let job = Job::new(move || method.outcome(borrowed.with(|from| run(&object, from))));
        Ok(job.streaming(method.results.is_streamed()))
    }

    /// Reads the parameters. Those of a long message are read later by the call's thread, outside the
    /// lock.
    fn read_or_borrow<O: ?Sized, P, R>(self, method: &Method<O, P, R>) -> Result<Params<P>> {
        let from = Reader::content(self.params.reader)?;
        if let Some(slot) = method.id.context {
            self.cx.context(from, slot)?;
        }
        // No capabilities but those of its context.
        let plain = self.params.caps == self.cx.context_capabilities();
        match self.params.whole.shared().filter(|_| plain) {
            Some(message) => Ok(Params::Borrowed(Borrowed::new(message))),
            None => method.params.read(self.cx, from).map(Params::Read),
        }
    }

    fn read_params<O: ?Sized, P, R>(self, method: &Method<O, P, R>) -> Result<P> {
        let from = Reader::content(self.params.reader)?;
        if let Some(slot) = method.id.context {
            self.cx.context(from, slot)?;
        }
        method.params.read(self.cx, from)
    }

    /// Decodes the parameters, and returns the job for the object's executor. The future that `run`
    /// makes must do nothing before it is polled, because it is made under the connection's lock.
    ///
    /// # Errors
    /// [`Error::Decode`] for parameters that do not fit.
    pub fn serve_async<O, P, R, T, F>(
        self,
        method: Method<O, P, R>,
        object: &Arc<Async<T>>,
        run: impl FnOnce(Arc<T>, P) -> F,
    ) -> Result<Job>
    where
        O: ?Sized + 'static,
        P: Send + 'static,
        R: Send + 'static,
        T: Send + Sync + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let streams = method.results.is_streamed();
        let running = match self.read_params(&method) {
            Ok(params) => Ok(run(object.object(), params)),
            Err(error) if streams => Err(error),
            Err(error) => return Err(error),
        };
        let outcome = async move {
            let encode = method.outcome(running?.await)?;
            Ok(Box::new(encode) as EncodeFn)
        };
        Ok(Job::spawn(Spawned::new(object.spawn(), outcome)).streaming(streams))
    }

    /// The answer to a call of a method that the schema does not have.
    ///
    /// # Errors
    /// Always [`Error::Unimplemented`].
    pub fn unknown(self, name: &str) -> Result<Job> {
        Err(Error::unimplemented(&format!(
            "{name} has no method {} of interface {:#x}",
            self.ordinal, self.interface
        )))
    }
}

/// The parameters of a call that is about to run.
enum Params<P> {
    Read(P),
    Borrowed(Borrowed),
}

impl<P> Params<P> {
    fn get<O: ?Sized, R>(self, method: &Method<O, P, R>) -> Result<P> {
        match self {
            Params::Read(params) => Ok(params),
            Params::Borrowed(params) => params.decode(|cx, from| method.params.read(cx, from)),
        }
    }
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
        let codec = self.results;
        Ok(move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| {
            let mut to = Builder::content(to, codec.size);
            match &mut outcome {
                Ok(results) => codec.write(cx, &mut to, results),
                Err(exception) => exception(cx, &mut to),
            }
        })
    }
}
