//! The life of each object of the peer: open, closing, closed.
//!
//! An object ends with one of its methods (`destroy`), and a peer need not accept a call after that
//! one. So the object's life is kept with its capability, which all handles on the object share.
//! Once the object is being closed, no call of it is accepted. The call that ends it waits here
//! until the calls before it have returned, so that the peer serves none of them any more when the
//! object is destroyed.

use crate::cap::{Cap, Kind, Life, Stage};
use crate::engine::{Engine, Work};
use crate::error::Failure;
use crate::pending_call::{CallKind, PendingCall};

impl Engine {
    /// The stage of the object that a capability has resolved to.
    pub fn stage(&self, cap: Cap) -> Stage {
        self.caps.get(self.caps.resolved(cap)).map_or(Stage::Closed, |entry| entry.life.stage)
    }

    /// Calls that were sent to the object and have not returned.
    pub fn in_flight(&self, cap: Cap) -> u32 {
        self.caps.get(self.caps.resolved(cap)).map_or(0, |entry| entry.life.in_flight)
    }

    /// Turns the caller's reference into a handle.
    pub fn add_handle(&mut self, cap: Cap) {
        if let Some(life) = self.life(cap) {
            life.handles += 1;
        }
    }

    /// Whether a handle is the last one on an object of the peer that is not being closed. If so,
    /// the object has to be closed, if its interface has a method for that.
    pub fn is_last_handle(&self, cap: Cap) -> bool {
        let cap = self.caps.resolved(cap);
        self.caps.get(cap).is_some_and(|entry| {
            self.caps.is_remote(cap)
                && entry.life.handles == 1
                && entry.life.stage == Stage::Open
                && !entry.life.given_back
        })
    }

    /// Whether the capability was returned to the peer in results. Then the peer decides when the
    /// object ends, and no handle on it is the [last](Engine::is_last_handle).
    pub fn is_given_back(&self, cap: Cap) -> bool {
        let cap = self.caps.resolved(cap);
        self.caps.get(cap).is_some_and(|entry| entry.life.given_back)
    }

    /// Whether there is a handle on it.
    pub(crate) fn has_handles(&self, cap: Cap) -> bool {
        self.caps.get(cap).is_some_and(|entry| entry.life.handles > 0)
    }

    /// Notes that a capability is returned to the peer in results.
    pub(crate) fn give_back(&mut self, cap: Cap) {
        if let Some(life) = self.life(cap) {
            life.given_back = true;
        }
    }

    /// Drops a handle and its reference.
    pub fn drop_handle(&mut self, cap: Cap) {
        if let Some(life) = self.life(cap) {
            life.handles = life.handles.saturating_sub(1);
        }
        self.release(cap);
    }

    fn life(&mut self, cap: Cap) -> Option<&mut Life> {
        let cap = self.caps.resolved(cap);
        self.caps.get_mut(cap).map(|entry| &mut entry.life)
    }

    /// Whether a call of this kind may be made.
    pub(crate) fn admit(&self, target: Cap, kind: CallKind) -> Result<(), Failure> {
        match (self.stage(target), kind) {
            (Stage::Open, _) | (Stage::Closing, CallKind::Interrupt) => Ok(()),
            (Stage::Closing | Stage::Closed, _) => Err(Failure::Closed),
        }
    }

    /// Queues the call that ends an object of the peer, or a promise of one, until the calls before
    /// it have returned. Returns the call if there are none.
    pub(crate) fn queue_destroy(&mut self, target: Cap, call: PendingCall) -> Option<PendingCall> {
        let life = self.life(target)?;
        if life.stage == Stage::Closed || life.destroy.is_some() {
            self.refuse(call, Failure::Closed);
            return None;
        }
        life.stage = Stage::Closing;
        if life.in_flight <= call.nested {
            return Some(call);
        }
        life.destroy = Some(Box::new(call));
        None
    }

    /// Marks a promise as closing: the call that ends its object waits at the promise with the
    /// other calls.
    pub(crate) fn close_promise(&mut self, promise: Cap) {
        if let Some(life) = self.life(promise) {
            life.stage = Stage::Closing;
        }
    }

    /// Answers a call with an error without making it.
    pub(crate) fn refuse(&mut self, call: PendingCall, failure: Failure) {
        self.release_all(call.params.caps);
        self.work.push_back(Work::Fail(call.serving, failure));
    }

    /// The call that ends an object is sent.
    pub(crate) fn closed(&mut self, target: Cap) {
        if let Some(life) = self.life(target) {
            life.stage = Stage::Closed;
        }
    }

    /// A call was sent there.
    pub(crate) fn count_sent(&mut self, target: Cap) {
        if let Some(life) = self.life(target) {
            life.in_flight += 1;
        }
    }

    /// A call that was sent there has returned.
    pub(crate) fn count_returned(&mut self, target: Cap) {
        if let Some(life) = self.life(target) {
            life.in_flight = life.in_flight.saturating_sub(1);
        }
        self.destroy_if_idle(target);
    }

    fn destroy_if_idle(&mut self, target: Cap) {
        let target = self.caps.resolved(target);
        if !self.caps.is_remote(target) {
            return;
        }
        let Some(life) = self.life(target) else { return };
        let in_flight = life.in_flight;
        if let Some(destroy) = life.destroy.take_if(|destroy| in_flight <= destroy.nested) {
            self.caps.retain(target);
            self.work.push_back(Work::Destroy(target, *destroy));
        }
    }

    /// A promise has resolved to `to`, which takes over the promise's calls and stage.
    pub(crate) fn merge_life(&mut self, promise: Cap, to: Cap) {
        let Some(entry) = self.caps.get_mut(promise) else { return };
        let Life { stage, in_flight, handles, given_back, destroy } =
            std::mem::take(&mut entry.life);
        let local = matches!(self.caps.get(to).map(|entry| &entry.kind), Some(Kind::Local { .. }));
        let Some(life) = self.life(to) else { return };
        life.handles += handles;
        life.in_flight += in_flight;
        life.given_back |= given_back;
        // An object of this side manages its own end.
        if stage == Stage::Closed && !local {
            life.stage = Stage::Closed;
            if let Some(other) = life.destroy.take() {
                self.refuse(*other, Failure::Closed);
            }
        }
        // Calls that waited at the promise itself are moved with its other calls.
        if let Some(destroy) = destroy {
            self.caps.retain(to);
            self.work.push_back(Work::Destroy(to, *destroy));
        }
    }
}
