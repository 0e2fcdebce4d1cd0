//! Objects of this process that take their calls as messages.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::RawPayload;
use super::inline::inline;
use crate::Result;
use crate::call_log;
use crate::calls::capability::Capability;
use crate::calls::remote::RemoteObject;
use crate::calls::served::{Home, Untyped};
use crate::serving::{CallContent, Job, Kept, Local, Served, Spawned, begins};
use crate::session::{EncodeFn, NewObject};
use crate::wire::context::Given;
use crate::wire::{AnyBuilder, Decoder, Encoder};

/// A call that is being answered. Dropped when it is cancelled.
pub type RawAnswer = Pin<Box<dyn Future<Output = Result<RawPayload>> + Send>>;

/// An object that takes its calls as messages.
pub trait RawObject: Any + Send + Sync {
    /// The name for the log.
    fn name(&self) -> &'static str;

    /// Begins a call of a method: its interface and its ordinal. For each connection in the order in which the
    /// calls came, on the thread that has received the call; so it must not block. The answer is polled there
    /// and by whoever wakes it.
    fn call(&self, method: (u64, u16), params: RawPayload) -> RawAnswer;

    /// Whether dropping it neither blocks nor runs code of the user's. Then a peer's release drops it as
    /// [`call`](Self::call) is called: in the order of the peer's messages, on the thread that has received it.
    fn drops_in_order(&self) -> bool {
        false
    }
}

/// What serves such an object, and a handle on it without its type.
#[derive(Clone)]
pub(super) struct RawServed(Arc<dyn RawObject>);

impl RawServed {
    pub(super) fn new(object: Arc<dyn RawObject>) -> RawServed {
        RawServed(object)
    }

    /// The object of another process to which it forwards, if it does.
    pub(super) fn forwards(&self) -> Option<&RemoteObject> {
        let object: &dyn Any = &*self.0;
        object.downcast_ref::<Forward>().map(|forward| &forward.0)
    }

    pub(super) fn serve_it(&self) -> NewObject {
        NewObject { object: Local::new(Arc::new(self.clone())), keeps: true }
    }

    fn place(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>() as usize
    }
}

impl Served for RawServed {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn dispatch(
        &self,
        method: (u64, u16),
        cx: &mut Decoder<'_>,
        params: CallContent<'_>,
    ) -> Result<Job> {
        let params = RawPayload::read(cx, params.reader)?;
        let object = Arc::clone(&self.0);
        let answer = async move {
            if call_log::is_on() {
                begins(None);
            }
            let results = object.call(method, params).await?;
            let write = move |cx: &mut Encoder<'_>, to: AnyBuilder<'_>| results.write(cx, to);
            Ok(Box::new(write) as EncodeFn)
        };
        Ok(Job::spawn(Spawned::new(inline(), answer)).named(self.0.name()))
    }

    fn destroy_method(&self) -> Option<(u64, u16)> {
        None
    }

    fn address(&self) -> usize {
        self.place()
    }

    fn begin(&self) -> Result<Kept> {
        Ok(None)
    }

    fn handle(&self) -> &dyn Any {
        self
    }

    fn untyped(&self) -> Box<dyn Any> {
        Box::new(match self.forwards() {
            Some(object) => Untyped::There(object.clone()),
            None => Untyped::Here(Arc::new(self.clone())),
        })
    }

    fn is_relay(&self) -> bool {
        self.forwards().is_some()
    }

    fn drops_in_order(&self) -> bool {
        self.0.drops_in_order()
    }
}

impl Home for RawServed {
    fn handle(&self) -> &dyn Any {
        self
    }

    fn ancestor(&self, _: u64) -> Option<Box<dyn Any>> {
        None
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

impl Given for RawServed {
    fn address(&self) -> usize {
        self.place()
    }

    fn remote(&self) -> Option<&dyn Any> {
        None
    }

    fn is_served_by(&self, served: &dyn Any) -> bool {
        served.downcast_ref::<RawServed>().is_some_and(|served| served.place() == self.place())
    }

    fn serve(&self) -> Box<dyn Any> {
        Box::new(self.serve_it())
    }
}

/// A handle without its type on an object of this process that takes its calls as messages.
pub fn raw_capability(object: Arc<dyn RawObject>) -> Capability {
    Capability::of_untyped(Untyped::Here(Arc::new(RawServed(object))))
}

/// The object, if it is one of this process that takes its calls as messages.
pub fn raw_object(capability: &Capability) -> Option<&dyn RawObject> {
    match capability.untyped() {
        Untyped::Here(home) => home.handle().downcast_ref().map(|RawServed(object)| &**object),
        Untyped::There(_) => None,
    }
}

/// Forwards calls to an object of another process.
pub(super) struct Forward(pub(super) RemoteObject);

impl RawObject for Forward {
    fn name(&self) -> &'static str {
        "Capability"
    }

    fn call(&self, method: (u64, u16), params: RawPayload) -> RawAnswer {
        let call = Capability::of_untyped(Untyped::There(self.0.clone())).call_raw(method, &params);
        Box::pin(async move { call?.answer().await })
    }
}
