//! Calls on what a call returns, before it has returned.

use super::super::handle::Handle;
use super::super::interface::Interface;
use super::super::remote::RemoteObject;
use super::super::start::{object_of, start_pipelined};
use super::super::waiting::Deadline;
use super::{Call, RemoteCall, State};
use crate::carried::Carried;
use crate::may_block::check_may_wait;
use crate::{Error, Result};

impl<I: Interface> Call<I> {
    /// Makes the call and returns a handle on its result without waiting for it: calls on the
    /// handle are sent behind this one and need no further round trip. If this call fails, they
    /// fail with its error.
    ///
    /// For an interface in several versions whose version in the peer is not known yet, this waits for
    /// the answer if the call can reveal the version; from a future, await that call instead. (A build
    /// between two versions may have the method in another form than the version it was taken for. Only a
    /// call that waits finds that out.) A call of more
    /// than 1,024 bytes waits for room before it is sent ([`Limits::call_bytes`](crate::Limits)), as long as
    /// its [`timeout`](Call::timeout) says.
    pub fn pipelined(mut self) -> I {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Remote(call)
                if (self.retry.is_none() || self.likely) && !call.is_behind_stream() =>
            {
                I::from_handle(Handle::remote_object(self.pipeline::<I>(call)))
            }
            state => Call { state, ..self }.wait().unwrap_or_else(broken),
        }
    }
}

impl<I: Interface> Call<Option<I>> {
    /// Makes the call and returns a handle on its result without waiting for it: calls on the
    /// handle are sent behind this one and need no further round trip. If this call fails or
    /// returns none, they fail.
    ///
    /// For an interface in several versions whose version in the peer is not known yet, this waits for
    /// the answer if the call can reveal the version; from a future, await that call instead. (A build
    /// between two versions may have the method in another form than the version it was taken for. Only a
    /// call that waits finds that out.) A call of more
    /// than 1,024 bytes waits for room before it is sent ([`Limits::call_bytes`](crate::Limits)), as long as
    /// its [`timeout`](Call::timeout) says.
    pub fn pipelined(mut self) -> I {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Remote(call)
                if (self.retry.is_none() || self.likely) && !call.is_behind_stream() =>
            {
                I::from_handle(Handle::remote_object(self.pipeline::<I>(call)))
            }
            state => match (Call { state, ..self }).wait() {
                Ok(Some(handle)) => handle,
                Ok(None) => broken(Error::failed(format!("the call returned no {}", I::NAME))),
                Err(error) => broken(error),
            },
        }
    }
}

impl<T: Send + 'static> Call<T> {
    /// The object that the call promises. For the interceptors the call ends when it was sent.
    fn pipeline<I: Interface>(mut self, mut call: RemoteCall<T>) -> RemoteObject {
        let prepared = self.prepare(&call);
        let deadline = self.deadline();
        // It has no deadline itself: nobody waits for its end.
        let carried = Carried { deadline: None, ..*self.carries() };
        let sent = prepared.and_then(|()| call.send_pipelined::<I>(&carried, &deadline));
        if let Some(ends) = self.ends.take() {
            ends.end(sent.as_ref().err());
        }
        sent.unwrap_or_else(RemoteObject::broken)
    }
}

impl<T> RemoteCall<T> {
    fn send_pipelined<I: Interface>(
        &mut self,
        carried: &Carried,
        deadline: &Deadline,
    ) -> Result<RemoteObject> {
        let (conn, cap) = self.object.place()?;
        // What was reserved for the call while it waited for room.
        let mut room = None;
        loop {
            let told = room.is_some();
            let started = start_pipelined(conn, cap, self.method, carried, &mut self.encode, told);
            drop(room);
            match started? {
                Ok(promised) => return Ok(object_of::<I>(promised)),
                Err(full) => {
                    check_may_wait()?;
                    full.wait(deadline).map_err(|mut error| {
                        error.name_method(self.method.name);
                        error
                    })?;
                    room = Some(full);
                }
            }
        }
    }
}

fn broken<I: Interface>(error: Error) -> I {
    I::from_handle(Handle::remote_object(RemoteObject::broken(error)))
}
