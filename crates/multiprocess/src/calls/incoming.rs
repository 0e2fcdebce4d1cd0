//! A call of a peer's that arrived: its parameters are decoded here, under the connection's lock, and the
//! method is left to a thread or an executor.

use std::future::Future;
use std::sync::Arc;

use super::errors::in_method;
use super::executor::Async;
use super::family::Family;
use super::method::Method;
use crate::call_log;
use crate::serving::{Borrowed, CallContent, Job, Spawned, begins};
use crate::session::EncodeFn;
use crate::wire::{Decoder, Reader, Size};
use crate::{Error, Result};

/// A call that arrived, on its way to the method of an object.
pub struct Incoming<'a, 'b> {
    interface: u64,
    ordinal: u16,
    cx: &'a mut Decoder<'b>,
    params: CallContent<'a>,
}

opaque!(Incoming, impl std::fmt::Debug for Incoming<'_, '_>);

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

    /// Whether it is known that the caller has one of these versions of the family, which are older than the newest.
    pub fn is_of(&mut self, family: Option<&'static Family>, versions: u32) -> bool {
        let Some(Family { id, labels }) = family else { return false };
        let known = self.cx.peers(*id, labels.len(), None);
        // Of several the newest.
        known & 1 == 0 && known & known.wrapping_neg() & versions != 0
    }

    /// Whether the caller has a version in which this is another method (`others`), as far as that is known. If it is
    /// not, and the parameters have the size of the method in the versions `own`, which what is another there does not
    /// have (`sizes`), then the caller's version is one of those.
    pub fn is_another(
        &mut self,
        family: Option<&'static Family>,
        (own, size): (u32, Size),
        (others, sizes): (u32, &[Size]),
    ) -> bool {
        if self.is_of(family, others) {
            return true;
        }
        if let Some(Family { id, labels }) = family
            && self.sent(size)
            && !sizes.iter().any(|other| self.sent(*other))
        {
            self.cx.peers(*id, labels.len(), Some(own));
        }
        false
    }

    /// Whether the parameters have this size.
    fn sent(&self, Size(words, pointers): Size) -> bool {
        let sent = Reader::content(self.params.reader).map(|params| params.extent());
        sent.is_ok_and(|sent| sent == (usize::from(words), u32::from(pointers)))
    }

    /// As [`is_of`](Self::is_of), or it is seen now: it has sent parameters of the size that they have there (`older`), and not of that
    /// which the newest version's method of this ordinal has (`newest`; none if it has none).
    pub fn is_older(
        &mut self,
        family: Option<&'static Family>,
        versions: u32,
        older: Size,
        newest: Option<Size>,
    ) -> bool {
        if self.is_of(family, versions) {
            return true;
        }
        let Some(Family { id, labels }) = family else { return false };
        let known = self.cx.peers(*id, labels.len(), None);
        let newest = newest.is_some_and(|newest| self.sent(newest));
        if known & 1 == 0 || known & versions == 0 || !self.sent(older) || newest {
            return false;
        }
        self.cx.peers(*id, labels.len(), Some(versions));
        true
    }

    /// Decodes the parameters, and leaves the rest to the call's thread.
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
            let job = Job::new(move || {
                let params = params.get(&method)?;
                if call_log::is_on() {
                    begins(shown(&method, &params).as_deref());
                }
                method.outcome((method.call)(&object, params))
            });
            return Ok(job.named(method.id.name));
        }
        // What does not decode has failed in its turn, for the calls behind it as well.
        let run = move || {
            let params = params.and_then(|params| params.get(&method))?;
            if call_log::is_on() {
                begins(shown(&method, &params).as_deref());
            }
            method.outcome((method.call)(&object, params))
        };
        Ok(Job::new(run).streaming(true).named(method.id.name))
    }

    /// Leaves the rest to the call's thread: `run` takes the parameters out of the message there.
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
        let borrowed = Borrowed::new(self.params.message.keep());
        let job = Job::new(move || {
            if call_log::is_on() {
                // The method reads its parameters in the message.
                begins(None);
            }
            method.outcome(borrowed.with(|from| run(&object, from)))
        });
        Ok(job.streaming(method.results.is_streamed()).named(method.id.name))
    }

    /// Reads the parameters; those of a long message are left to the call's thread, outside the lock.
    fn read_or_borrow<O: ?Sized, P, R>(self, method: &Method<O, P, R>) -> Result<Params<P>> {
        let from = Reader::content(self.params.reader)?;
        if let Some(slot) = method.id.context {
            self.cx.context(from, slot)?;
        }
        // No capabilities but those of its context.
        let plain = self.params.caps == self.cx.context_capabilities();
        match self.params.message.shared().filter(|_| plain) {
            Some(message) => Ok(Params::Borrowed(Borrowed::new(message))),
            None => {
                self.cx.in_version(method.id.version);
                let read = method.params.read(self.cx, from);
                read.map(Params::Read).map_err(|error| in_method(error, method.id))
            }
        }
    }

    fn read_params<O: ?Sized, P, R>(self, method: &Method<O, P, R>) -> Result<P> {
        let from = Reader::content(self.params.reader)?;
        if let Some(slot) = method.id.context {
            self.cx.context(from, slot)?;
        }
        self.cx.in_version(method.id.version);
        method.params.read(self.cx, from).map_err(|error| in_method(error, method.id))
    }

    /// Decodes the parameters, and leaves the rest to the object's executor. Of the future that
    /// `run` makes, nothing may run before it is polled: it is made under the connection's lock.
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
        let mut parameters = None;
        let running = match self.read_params(&method) {
            Ok(params) => {
                parameters = shown(&method, &params);
                Ok(run(object.object(), params))
            }
            Err(error) if streams => Err(error),
            Err(error) => return Err(error),
        };
        let outcome = async move {
            if call_log::is_on() {
                begins(parameters.as_deref());
            }
            let encode = method.outcome(running?.await)?;
            Ok(Box::new(encode) as EncodeFn)
        };
        let job = Job::spawn(Spawned::new(object.spawn(), outcome));
        Ok(job.streaming(streams).named(method.id.name))
    }

    /// The answer to a call of a method that the schema does not have.
    ///
    /// # Errors
    /// Always [`Error::Unimplemented`].
    pub fn unknown(self, name: &str) -> Result<Job> {
        Err(Error::unimplemented(format!(
            "{name} has no method {} of interface {:#x}",
            self.ordinal, self.interface
        )))
    }
}

/// The parameters as the log shows them, where it does.
fn shown<O: ?Sized, P, R>(method: &Method<O, P, R>, params: &P) -> Option<String> {
    let show = || method.params.show(params, call_log::MOST_CHARACTERS);
    call_log::shows_parameters().then(show)
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
            Params::Borrowed(params) => {
                let read = params.decode(|cx, from| {
                    cx.in_version(method.id.version);
                    method.params.read(cx, from)
                });
                read.map_err(|error| in_method(error, method.id))
            }
        }
    }
}
