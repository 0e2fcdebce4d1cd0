//! Routing of calls, resolution of promises, and the order of calls.
//!
//! Calls of one capability arrive in the order in which they were made (E-order). If a promise
//! resolves to an object of this side after calls of it went through the peer, later calls would
//! overtake those. So the later calls wait here (an embargo) until the peer has sent back a
//! Disembargo, which comes after the earlier calls.

use crate::cap::{Cap, Kind, Path, PeerPath, Target, Waiting, released};
use crate::effect::{Delivery, Effect};
use crate::engine::Engine;
use crate::error::{Failure, Fatal};
use crate::exports::write_way;
use crate::incoming::Incoming;
use crate::pending_call::{Asker, CallKind, PendingCall};
use crate::questions::{CallId, Wanted};

/// A promise whose calls wait for a Disembargo, and the capability it has resolved to, with a
/// reference on each.
pub(crate) struct Embargo {
    promise: Cap,
    cap: Cap,
}

/// Where a call goes.
enum Way {
    Object(u64),
    Peer,
    /// It waits at the promise.
    Here,
    Fails(Failure),
}

impl Engine {
    /// Sends a call to its target: to an object of this side, to the peer, or into the queue of a
    /// promise.
    pub(crate) fn route(&mut self, target: Cap, call: PendingCall, current: Option<&Incoming<'_>>) {
        let target = self.caps.resolved(target);
        let way = match self.caps.get(target).map(|entry| &entry.kind) {
            Some(Kind::Local { object, .. }) => Way::Object(*object),
            Some(Kind::Import { .. }) => Way::Peer,
            Some(Kind::Promise(promise)) => match promise.target {
                Target::Answer { .. } | Target::Import { .. } => Way::Peer,
                Target::Here | Target::Resolved(_) => Way::Here,
            },
            Some(Kind::Broken(failure)) => Way::Fails(failure.clone()),
            None => Way::Fails(released()),
        };
        match way {
            Way::Object(object) => {
                let PendingCall { method: (interface, method), params, serving, .. } = call;
                let delivery = Delivery { object, call: serving, interface, method, params };
                self.effect(Effect::Deliver(delivery));
            }
            Way::Peer => {
                if let Some(call) = self.admit_pending(target, call) {
                    self.forward(target, call, current);
                }
            }
            Way::Here => {
                let PendingCall { method, params, serving, kind, nested } = call;
                if kind == CallKind::Destroy {
                    self.close_promise(target);
                }
                let call =
                    PendingCall { method, params: params.keep(current), serving, kind, nested };
                if let Err(Waiting::Call(call)) = self.wait_at(target, Waiting::Call(call)) {
                    self.refuse(call, released());
                }
                self.set_waits(serving, target);
            }
            Way::Fails(failure) => self.refuse(call, failure),
        }
    }

    /// Whether a call may be sent to an object of the peer now. A call that ends the object may be
    /// queued.
    fn admit_pending(&mut self, target: Cap, call: PendingCall) -> Option<PendingCall> {
        if call.kind == CallKind::Destroy {
            return self.queue_destroy(target, call);
        }
        match (self.admit(target, call.kind), call.serving.0) {
            // Calls of the peer that are only forwarded are never refused. One of them may be the
            // call that ends the object: this side may have made it, by way of the peer.
            (Ok(()), _) | (Err(_), Asker::Peer(_)) => Some(call),
            (Err(failure), Asker::Own(_)) => {
                self.refuse(call, failure);
                None
            }
        }
    }

    /// Routes a queued call, if its answer is still wanted.
    pub(crate) fn route_if_wanted(&mut self, target: Cap, call: PendingCall) {
        if self.is_wanted(call.serving) {
            self.route(target, call, None);
        } else {
            self.release_all(call.params.caps);
        }
    }

    /// A promise of the capability at a path of the results of a call that was made, with one reference:
    /// what [`CallOptions::pipeline`](crate::CallOptions::pipeline) requests with the call. None once the call has returned or was
    /// cancelled.
    pub fn promise_in(&mut self, call: CallId, path: Path) -> Option<Cap> {
        let question = self.questions.get(call)?;
        if question.wanted == Wanted::No {
            return None;
        }
        let sent = question.sent;
        let promise = self.promise_of(call, path.clone());
        if let (true, Some(state)) = (sent, self.caps.promise(promise)) {
            state.target = Target::Answer { question: call.place, path, called: false };
        }
        Some(promise)
    }

    /// Resolves a promise. Takes over the reference on `to`.
    pub(crate) fn resolve(&mut self, promise: Cap, to: Cap) {
        // Resolves to the end of the chain, so that there can be no cycle.
        let mut end = self.caps.resolved(to);
        let circle = self.circle(promise, end);
        if circle.is_some() {
            end = self.broken(Failure::failed("the promise was resolved to itself"));
        } else if let Err(failure) = self.lengthen(promise, end) {
            end = self.broken(failure);
        } else {
            self.caps.retain(end);
        }
        self.release(to);
        let Some(state) = self.caps.promise(promise) else { return self.release(end) };
        if matches!(state.target, Target::Resolved(_)) {
            return self.release(end);
        }
        state.former = state.way();
        let former = state.former.clone();
        let before = std::mem::replace(&mut state.target, Target::Resolved(end));
        let (waiting, export) = (std::mem::take(&mut state.waiting), state.export.take());
        if let Target::Import { import, .. } = before {
            self.release(import);
        }
        self.merge_life(promise, end);
        let waited = !waiting.is_empty();
        // Now, and not at the end of the entry point: before this promise or `end` can resolve to
        // anything else, as calls by that way would overtake these.
        for waiting in waiting {
            match waiting {
                Waiting::Call(call) => self.route_if_wanted(end, call),
                Waiting::Watch(tag) => self.effect(Effect::Resolved { tag }),
                Waiting::Disembargo(id) => {
                    self.disembargoes -= 1;
                    self.send_disembargo(former.clone(), id);
                }
            }
        }
        if let Some(id) = export {
            // After the calls that waited. Their callers may have given the promise to the peer
            // after making them, and the peer calls `end` directly once it knows it.
            self.caps.retain(end);
            self.send_resolve(id, end);
        }
        if waited {
            self.release(promise);
        }
        // What they wait for waits for them.
        for other in circle.into_iter().flatten() {
            let waits = self.caps.promise(other).and_then(|state| state.when_returned.take());
            if let Some((cap, _)) = waits {
                self.resolve(other, cap);
            }
        }
    }

    /// Notes that a chain of promises gets longer, if a promise resolves to another one.
    fn lengthen(&mut self, promise: Cap, end: Cap) -> Result<(), Failure> {
        let depth = self.caps.promise(promise).map_or(0, |promise| promise.deeper());
        if self.caps.promise(end).is_some() {
            self.check_depth(depth)?;
        }
        if let Some(next) = self.caps.promise(end) {
            next.depth = next.depth.max(depth);
        }
        Ok(())
    }

    /// Whether a promise would resolve to itself if it resolved to `end`: directly, or through
    /// promises that will resolve when their calls have returned, which it returns.
    fn circle(&self, promise: Cap, mut end: Cap) -> Option<Vec<Cap>> {
        let mut others = Vec::new();
        while end != promise {
            let Kind::Promise(state) = &self.caps.get(end)?.kind else { return None };
            let (cap, _) = state.when_returned?;
            others.push(end);
            end = self.caps.resolved(cap);
        }
        Some(others)
    }

    /// Resolves a promise whose calls went to the peer until now, and keeps their order.
    pub(crate) fn resolve_in_order(&mut self, promise: Cap, cap: Cap) {
        let end = self.caps.resolved(cap);
        let through_peer = match self.caps.promise(promise).map(|promise| &promise.target) {
            Some(Target::Answer { called, .. } | Target::Import { called, .. }) => *called,
            Some(Target::Here | Target::Resolved(_)) | None => false,
        };
        if through_peer && let Some(next) = self.caps.promise(end) {
            // The calls now go through that promise.
            match &mut next.target {
                Target::Answer { called, .. } | Target::Import { called, .. } => *called = true,
                Target::Here | Target::Resolved(_) => {}
            }
        }
        let broken = matches!(self.caps.get(end).map(|entry| &entry.kind), Some(Kind::Broken(_)));
        let reflected = self.caps.promise(cap).is_some_and(|promise| promise.reflected);
        // No order has to be kept if the capability is broken, if it is the promise itself, or if
        // it is the peer's own, as all calls take the same way to it.
        let none = broken || end == promise || self.caps.is_remote(end) && !reflected;
        if !through_peer || none {
            return self.resolve(promise, cap);
        }
        if self.caps.is_remote(end) {
            return self.resolve_when_returned(promise, cap);
        }
        self.caps.retain(promise);
        let embargo = self.embargoes.insert(Embargo { promise, cap });
        let Some(state) = self.caps.promise(promise) else { return };
        state.former = state.way();
        let former = state.former.clone();
        let before = std::mem::replace(&mut state.target, Target::Here);
        self.send(32, |root| {
            let mut disembargo = root.init_disembargo();
            disembargo.reborrow().init_context().set_sender_loopback(embargo as u32);
            // The target of the earlier calls.
            if let Some(former) = &former {
                write_way(disembargo.init_target(), former);
            }
        });
        if let Target::Import { import, .. } = before {
            self.release(import);
        }
    }

    /// For a promise of the peer that has resolved to a promise of this side, which in turn has
    /// resolved to an object of the peer. The promise's calls reach the object by way of this side,
    /// and later calls would overtake them. A Disembargo does not work with every peer: a peer that
    /// knows already what the promise has resolved to takes the Disembargo for one that does not
    /// lead back, and aborts the connection. So later calls wait until the earlier ones have
    /// returned. Only those: calls of promises that resolve to this one meanwhile come back and
    /// wait here themselves.
    fn resolve_when_returned(&mut self, promise: Cap, cap: Cap) {
        let earlier = self.await_returns(promise);
        if earlier == 0 {
            return self.resolve(promise, cap);
        }
        let Some(state) = self.caps.promise(promise) else { return self.release(cap) };
        state.former = state.way();
        state.when_returned = Some((cap, earlier));
        if let Target::Import { import, .. } = std::mem::replace(&mut state.target, Target::Here) {
            self.release(import);
        }
    }

    /// A call has returned for which a promise waits. With the last one it resolves.
    pub(crate) fn awaited_returned(&mut self, promise: Cap) {
        let Some(state) = self.caps.promise(promise) else { return };
        let Some((_, left)) = &mut state.when_returned else { return };
        *left -= 1;
        if *left == 0
            && let Some((cap, _)) = state.when_returned.take()
        {
            self.resolve(promise, cap);
        }
    }

    /// Receives Resolve. Takes over the reference on `cap`.
    pub(crate) fn receive_resolved(&mut self, id: u32, cap: Cap) -> Result<(), Fatal> {
        let Some(promise) = self.imported_promise(id) else {
            // The promise has no references any more. Releases what it resolved to.
            self.release(cap);
            return Ok(());
        };
        let end = self.caps.resolved(cap);
        if end == promise {
            return Err(Fatal::misbehaved("resolved a promise to itself"));
        }
        self.resolve_in_order(promise, cap);
        Ok(())
    }

    /// Receives a Disembargo that the peer wants back after its earlier calls, which go through
    /// this side back to the peer.
    pub(crate) fn receive_disembargo(&mut self, target: Cap, embargo: u32) -> Result<(), Fatal> {
        // The path by which its calls left this side: the last one, if there were several.
        let mut way = None;
        let mut next = Some(target);
        while let Some(cap) = next.take() {
            match self.caps.get(cap).map(|entry| &entry.kind) {
                Some(Kind::Import { id }) => way = Some(PeerPath::Import(*id)),
                Some(Kind::Promise(promise)) => {
                    way = promise.way().or(way);
                    if let Target::Resolved(to) = promise.target {
                        next = Some(to);
                    }
                }
                Some(Kind::Local { .. } | Kind::Broken(_)) | None => {}
            }
        }
        if way.is_none() {
            return Err(Fatal::misbehaved(
                "sent a Disembargo to an object that does not lead back to it",
            ));
        }
        let end = self.caps.resolved(target);
        let waits = match self.caps.promise(end).map(|promise| &promise.target) {
            Some(Target::Here) => true,
            Some(Target::Answer { .. } | Target::Import { .. } | Target::Resolved(_)) | None => {
                false
            }
        };
        // After the calls that wait here, which came before the Disembargo.
        match waits {
            true => {
                self.check_disembargoes()?;
                self.disembargoes += 1;
                drop(self.wait_at(end, Waiting::Disembargo(embargo)));
            }
            false => self.send_disembargo(way, embargo),
        }
        Ok(())
    }

    /// Sends a Disembargo of the peer back.
    pub(crate) fn send_disembargo(&mut self, way: Option<PeerPath>, embargo: u32) {
        self.send(32, |root| {
            let mut disembargo = root.init_disembargo();
            disembargo.reborrow().init_context().set_receiver_loopback(embargo);
            if let Some(way) = &way {
                write_way(disembargo.init_target(), way);
            }
        });
    }

    /// Receives a Disembargo of this side back: the earlier calls have passed.
    pub(crate) fn receive_embargo_end(&mut self, embargo: u32) -> Result<(), Fatal> {
        let Some(Embargo { promise, cap }) = self.embargoes.try_remove(embargo as usize) else {
            return Err(Fatal::misbehaved("ended an embargo that is none"));
        };
        self.resolve(promise, cap);
        self.release(promise);
        Ok(())
    }
}
