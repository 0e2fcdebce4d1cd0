//! Serving: from a call that has reached its object to the user's method and back.
//!
//! `local` is the capability that calls reach, under the connection's lock. It has the arguments
//! decoded into a [`Job`] and leaves a `call` for a thread; that runs the user's method outside the lock
//! and enters the connection again to send the results (`answer`). `ending` counts these, for the object's end.
//!
//! A method that is a future has no thread: outside the lock its task is given to the object's executor,
//! and sends its answer from there (`polled`). `streams` keeps the order and the first error of an
//! object's streaming calls. `life` is the state that all handles on an object share. `borrowed`:
//! parameters that are read in the message.
//!
//! `intercepted`: the program's interceptors around a method.
//!
//! The user's object is reached through [`Served`].

mod answer;
mod borrowed;
mod call;
mod ending;
mod intercepted;
mod job;
mod life;
mod local;
mod logged;
mod polled;
mod streams;

use std::any::Any;

use capnp_engine::MessageView;

pub(crate) use borrowed::{Borrowed, look_at_results};
pub use job::{Job, PoolTask};
pub(crate) use life::{InUse, Kept, ObjectLife};
pub(crate) use local::Local;
pub(crate) use logged::begins;
pub use polled::Task;
pub(crate) use polled::{Spawn, Spawned, dropped};

use crate::Result;
use crate::wire::{AnyReader, Decoder};

/// The parameters of a call that arrived.
pub(crate) struct CallContent<'a> {
    pub(crate) reader: AnyReader<'a>,
    /// The message that they are in.
    pub(crate) message: MessageView<'a>,
    /// How many capabilities it has.
    pub(crate) caps: usize,
}

/// A user's object, as it is served.
pub(crate) trait Served: Send + Sync {
    fn name(&self) -> &'static str;

    /// Decodes a call of a method: its interface and ordinal.
    fn dispatch(
        &self,
        method: (u64, u16),
        cx: &mut Decoder<'_>,
        params: CallContent<'_>,
    ) -> Result<Job>;

    /// The method that ends the object, if its interface has one.
    fn destroy_method(&self) -> Option<(u64, u16)>;

    /// Identifies the user's object.
    fn address(&self) -> usize;

    /// Begins a call. The result keeps the object until the call ends. An error if the object was
    /// closed.
    fn begin(&self) -> Result<Kept>;

    /// The user's handle, to be returned when the peer passes the object back to this process.
    fn handle(&self) -> &dyn Any;

    /// The same without its type, as the layers above have it: for a place that leaves the interface open.
    fn untyped(&self) -> Box<dyn Any>;

    /// Whether its methods only forward calls to an object of another process.
    fn is_relay(&self) -> bool;

    /// Whether dropping the last reference to it neither blocks nor runs code of the user's. Then it is dropped in
    /// the order of the peer's messages, and otherwise on a thread of the pool.
    fn drops_in_order(&self) -> bool {
        false
    }
}
