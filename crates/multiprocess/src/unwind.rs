//! Handles may be used on either side of `catch_unwind`.
//!
//! What they share is behind locks that go on after a panic, each change of it is complete before user code runs, and
//! that is caught where it panics (`panics.rs`). The compiler cannot see this: there are trait objects and cells inside.

use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::calls::call::Call;
use crate::calls::capability::Capability;
use crate::calls::connection::{Connection, ConnectionBuilder};
use crate::calls::handle::Handle;
use crate::calls::server::{Server, ServerBuilder};
use crate::connection::Disconnected;
use crate::process::{Child, Exited, Supervisor};
use crate::reconnect::{Connected, Reconnect, Reconnecting};
use crate::threads::CancelToken;
use crate::{Error, Raised};

macro_rules! unwind_safe {
    ($($type:ty),* $(,)?) => {
        $(
            impl UnwindSafe for $type {}
            impl RefUnwindSafe for $type {}
        )*
    };
}

unwind_safe! {
    CancelToken, Capability, Child, Connection, Disconnected, Error, Exited, Raised, Reconnect, Server, ServerBuilder,
    Supervisor,
}

impl<T> UnwindSafe for Call<T> {}
impl<T> RefUnwindSafe for Call<T> {}
impl<I> UnwindSafe for ConnectionBuilder<I> {}
impl<I> RefUnwindSafe for ConnectionBuilder<I> {}
impl<O: ?Sized> UnwindSafe for Handle<O> {}
impl<O: ?Sized> RefUnwindSafe for Handle<O> {}
impl<T: Send + Sync + 'static> UnwindSafe for Connected<T> {}
impl<T: Send + Sync + 'static> RefUnwindSafe for Connected<T> {}
impl<T: Send + Sync + 'static> UnwindSafe for Reconnecting<T> {}
impl<T: Send + Sync + 'static> RefUnwindSafe for Reconnecting<T> {}
