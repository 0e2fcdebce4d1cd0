//! The API for generated code, and for this project's other crates. Not for other use: it changes with them.

pub use crate::calls::any_pointer::AnyPointerWire;
pub use crate::calls::call::Call;
pub use crate::calls::capability::{AnyObject, AnyObjectNotNull};
pub use crate::calls::executor::Async;
pub use crate::calls::family::Family;
pub use crate::calls::handle::Handle;
pub use crate::calls::incoming::Incoming;
pub use crate::calls::interface::{Construct, Destroy, Interface};
pub use crate::calls::method::{Method, MethodId, exception, exception_named, unimplemented};
pub use crate::calls::object::{NotNull, Object, Shared, SharedNotNull};
pub use crate::calls::proxy::{call, close};
pub use crate::calls::raw::{
    Inside, RawAnswer, RawCall, RawMessage, RawObject, RawPayload, TaskRead, TaskReader,
    bootstrap_raw, raw_capability, raw_object, start_raw,
};
pub use crate::calls::remote::RemoteObject;
pub use crate::calls::rest::{Known, Rest};
pub use crate::calls::start_connection::StartConnection;
pub use crate::calls::versions::{Variant, call_versions};
pub use crate::connection::refuse;
pub use crate::delay::Delay;
pub use crate::may_block::{ServesHere, Waits, allow_waits, check_may_wait, refuse_waits};
pub use crate::panics::{catch_panics, run_hook};
pub use crate::serving::{Job, PoolTask, Task};
pub use crate::threads::{Cancelled, block, cancelled};
pub use crate::wire::{
    AnyBuilder, AnyReader, Argument, As, BTreeMapOf, BTreeSetOf, Borrowable, BorrowableOr, Boxed,
    Builder, Data, Decoder, Descriptor, DescriptorNotNull, Encoder, Entry, Enum, Enumerant,
    Exception, Fields, HashMapOf, HashSetOf, If, List, ListView, Message, Nullable, PayloadCodec,
    PointerWire, Reader, Shown, Size, Slot, Struct, Text, View, Viewed, Void, Wire, code, decoded,
    default_of, default_with, encoded, encoded_here, field, fields, owned, raising, show_view,
    streamed, unread, view,
};
pub use crate::{__handle as handle, AnyPointer, Capability, Error, Result};
pub use capnp;

/// Generated code names this. Where it is not found, `multiprocess-build` and `multiprocess` are of versions that do not
/// go together: give both the same. The number is raised when generated code of the release before would not compile or
/// not work with this one, and in `multiprocess-build` with it (`emit.rs`).
pub const GENERATED_BY_THE_SAME_VERSION_1: () = ();
