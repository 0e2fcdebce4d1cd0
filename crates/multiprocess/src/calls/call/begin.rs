//! A call begins: it gets what it inherits from the call that its thread serves, and the interceptors begin with it.

use std::time::Instant;

use capnp_engine::CallKind;

use super::{Call, RemoteCall};
use crate::carried::Carried;
use crate::connection::ArcConn;
use crate::session::before_call;
use crate::threads::{enter_scope, inherited};
use crate::trace_context::TraceContext;
use crate::{Error, Result, TimedOut};

impl<T: Send + 'static> Call<T> {
    /// Makes the call part of this trace and the child of this span, whatever is in force where it is made: see
    /// [`TraceContext`]. The trace travels with calls of methods that have a `Context`, to peers that use this crate. For
    /// a call of an object of this process it is the trace of the calls that its method makes.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.carried = Some(Box::new(Carried { deadline: None, trace: Some(trace) }));
        self
    }

    /// The call begins, unless it has begun. Not under the lock: interceptors are the user's code.
    #[inline]
    pub(super) fn prepare(&mut self, call: &RemoteCall<T>) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let inherited = inherited();
        // Where there is none, sending it fails with that.
        let Ok((conn, _)) = call.object.place() else { return Ok(()) };
        let is_intercepted = !conn.session().interceptors().is_empty();
        if inherited == Carried::NONE
            && self.carried.is_none()
            && self.timeout.is_none()
            && !is_intercepted
        {
            return Ok(());
        }
        self.carry(call, conn, inherited, is_intercepted)
    }

    #[cold]
    fn carry(
        &mut self,
        call: &RemoteCall<T>,
        conn: &ArcConn,
        inherited: Carried,
        is_intercepted: bool,
    ) -> Result<()> {
        let started = *self.started.get_or_insert_with(Instant::now);
        let own = self.timeout.and_then(|timeout| started.checked_add(timeout));
        let given = self.carried.as_ref().and_then(|carried| carried.trace);
        let mut carried = Carried {
            deadline: own.into_iter().chain(inherited.deadline).min(),
            trace: given.or(inherited.trace),
        };
        // The end of an object is no call of the program's, and takes place however late it is.
        let ends_object = call.method.kind == CallKind::Destroy;
        if is_intercepted && !ends_object {
            self.ends = Some(before_call(conn, call.method.name, &mut carried)?);
        }
        self.shorten(carried.deadline);
        // Its own timeout begins only now.
        if carried.deadline != own && carried.is_late() && !ends_object {
            let left = self.timeout.unwrap_or_default();
            return Err(Error::Timeout(TimedOut::waiting_for(conn.peer_name(), left)));
        }
        if ends_object {
            carried.deadline = None;
        }
        self.carried = Some(Box::new(carried));
        Ok(())
    }

    /// The call takes no longer than to this moment.
    pub(super) fn shorten(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let started = *self.started.get_or_insert_with(Instant::now);
        let left = deadline.saturating_duration_since(started);
        self.timeout = Some(self.timeout.map_or(left, |timeout| timeout.min(left)));
    }

    /// The method of an object of this process, which is to run on another thread: what this call would carry elsewhere
    /// is in force there.
    pub(super) fn within(&mut self, run: LocalMethod<T>) -> LocalMethod<T> {
        let carried = self.in_force();
        if carried == Carried::NONE {
            return run;
        }
        Box::new(move || {
            let _scope = enter_scope(carried);
            run()
        })
    }

    /// What is in force within the method of an object of this process that this thread does not run itself.
    pub(super) fn in_force(&mut self) -> Carried {
        let mut carried = self.carried.take().map_or_else(inherited, |own| given(&own));
        self.shorten(carried.deadline);
        if let Some(timeout) = self.timeout {
            let started = *self.started.get_or_insert_with(Instant::now);
            carried.deadline = started.checked_add(timeout);
        }
        if carried != Carried::NONE {
            self.carried = Some(Box::new(carried));
        }
        carried
    }

    /// What travels with the call, once it has begun.
    pub(super) fn carries(&self) -> &Carried {
        self.carried.as_deref().unwrap_or(&Carried::NONE)
    }
}

type LocalMethod<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// What is in force within a call that was given a trace.
pub(super) fn given(own: &Carried) -> Carried {
    Carried { trace: own.trace, ..inherited() }
}
