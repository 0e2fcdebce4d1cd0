//! What resolves, what waits for it, and the order of calls.
//!
//! Calls of one capability arrive in the order in which they were made. Where a promise resolves to
//! an object of this side after calls of it went through the peer, later ones would overtake those:
//! they wait here (an embargo) until the peer has sent back a Disembargo, which follows the earlier
//! calls.

use std::sync::Arc;

use capnp_rpc::rpc_capnp::message;

use super::answers::Outcome;
use super::body::Content;
use super::cap::{Cap, Promise, Target, Waiting, drop_caps};
use super::held::{Destination, Held, HeldCall};
use super::memory::new_message;
use super::misbehaved;
use super::parts::write_target;
use super::questions::CallId;
use crate::connection::{ArcConn, Core};
use crate::server::Task;
use crate::{Error, Result};

/// A promise whose calls wait for a Disembargo, and what it has resolved to.
pub(super) struct Embargo {
    promise: Arc<Promise>,
    cap: Cap,
}

/// What waited and can go on.
pub(super) enum Work {
    Call(Cap, HeldCall),
    Thread(Cap, Option<Cap>, Task),
    /// A call of this side's gets the results of one of the peer's. Not from within that one's end:
    /// the first may be a call that was passed on, whose results another takes, and so on.
    Taken(CallId, std::result::Result<Held, Arc<Error>>),
}

impl Core {
    /// Brings a call to its object, of either side.
    pub(super) fn route(
        &mut self,
        conn: &ArcConn,
        target: &Cap,
        method: (u64, u16),
        content: &Content<'_>,
        destination: Destination,
    ) {
        let target = target.resolved();
        let routed = match &target {
            Cap::Local(local) => local.call(self, conn, method, content, destination),
            Cap::Broken(error) => Err((**error).clone()),
            _ if target.is_remote() => self.forward(&target, method, content, destination),
            Cap::Promise(promise) => {
                let params = Held { body: content.whole.keep(), caps: content.caps.to_vec() };
                let (interface, method) = method;
                let held = HeldCall { interface, method, params, destination };
                promise.state().waiting.push(Waiting::Call(held));
                self.set_waits(destination, promise);
                Ok(())
            }
            Cap::Import(_) => Ok(()),
        };
        if let Err(error) = routed {
            self.answer(conn, destination, Outcome::Error(error));
        }
    }

    /// The same for a call that was kept.
    pub(crate) fn route_held(&mut self, conn: &ArcConn, target: &Cap, held: HeldCall) {
        let HeldCall { interface, method, params, destination } = held;
        if !self.is_wanted(destination) {
            return;
        }
        params.with(|content| match content {
            Ok(content) => self.route(conn, target, (interface, method), &content, destination),
            Err(error) => {
                let error = crate::codec::malformed(error);
                self.answer(conn, destination, Outcome::Error(error));
            }
        });
    }

    /// Has a call wait until the thread that it names is known.
    pub(crate) fn await_thread(
        &mut self,
        thread: &Cap,
        callback: Option<Cap>,
        task: Task,
    ) -> std::result::Result<(), Task> {
        match thread {
            Cap::Promise(promise) => {
                promise.state().waiting.push(Waiting::Thread(task, callback));
                Ok(())
            }
            _ => Err(task),
        }
    }

    /// A promise is known now.
    pub(super) fn resolve(&mut self, promise: &Arc<Promise>, cap: Cap) {
        // To what is at the end, so that there is no way around in a circle.
        let cap = match cap.resolved() {
            Cap::Promise(end) if Arc::ptr_eq(&end, promise) => {
                Cap::broken(Error::failed("the promise was resolved to itself"))
            }
            cap => cap,
        };
        let (waiting, export, before) = {
            let mut state = promise.state();
            if matches!(state.target, Target::Resolved(_)) {
                return;
            }
            let before = std::mem::replace(&mut state.target, Target::Resolved(cap.clone()));
            (std::mem::take(&mut state.waiting), state.export.take(), before)
        };
        // The promise's own import goes here, outside its lock.
        drop(before);
        for waiting in waiting {
            self.rpc.work.push_back(match waiting {
                Waiting::Call(held) => Work::Call(cap.clone(), held),
                Waiting::Thread(task, callback) => Work::Thread(cap.clone(), callback, task),
            });
        }
        if let Some(id) = export {
            self.send_resolve(id, &cap.as_told());
        }
    }

    /// The same for a promise of the peer's, whose calls went there until now.
    pub(super) fn resolve_in_order(&mut self, promise: &Arc<Promise>, cap: Cap) {
        let cap = cap.resolved();
        let through_peer = match &promise.state().target {
            Target::Answer { called, .. } | Target::Import { called, .. } => *called,
            Target::Here | Target::Resolved(_) => false,
        };
        if through_peer && let Cap::Promise(next) = &cap {
            // The calls are on their way through that one now.
            match &mut next.state().target {
                Target::Answer { called, .. } | Target::Import { called, .. } => *called = true,
                Target::Here | Target::Resolved(_) => {}
            }
        }
        // What is broken has no order to keep.
        if !through_peer || cap.is_remote() || matches!(cap, Cap::Broken(_)) {
            return self.resolve(promise, cap);
        }
        let embargo = self.rpc.embargoes.insert(Embargo { promise: Arc::clone(promise), cap });
        self.send(32, |root| {
            let mut disembargo = root.init_disembargo();
            disembargo.reborrow().init_context().set_sender_loopback(embargo as u32);
            // To where its calls went until now.
            write_target(disembargo.init_target(), &Cap::Promise(Arc::clone(promise)));
        });
        let before = std::mem::replace(&mut promise.state().target, Target::Here);
        drop(before);
    }

    /// The peer says what a promise of its has become.
    pub(super) fn receive_resolved(&mut self, id: u32, cap: Cap) -> Result<()> {
        // Nobody holds it any more; what it became is let go of as well.
        let Some(promise) = self.imported_promise(id) else { return Ok(()) };
        let cap = cap.resolved();
        if let Cap::Promise(next) = &cap {
            if Arc::ptr_eq(next, &promise) {
                return Err(misbehaved("resolved a promise to itself"));
            }
            /// The whole chain is kept. Peers resolve to what a promise has become, so that it is
            /// short.
            const LONGEST: usize = 10_000;
            let depth = promise.state().depth + 1;
            if depth > LONGEST {
                return Err(misbehaved(format!(
                    "resolved more than {LONGEST} promises each to the next"
                )));
            }
            let mut state = next.state();
            state.depth = state.depth.max(depth);
        }
        self.resolve_in_order(&promise, cap);
        Ok(())
    }

    /// The peer asks to be told when what it sent to an object before has gone past here, on its way
    /// back to the peer.
    pub(super) fn receive_disembargo(&mut self, target: &Cap, embargo: u32) -> Result<()> {
        let mut message = new_message(32);
        let root: message::Builder<'_> = message.init_root();
        let mut disembargo = root.init_disembargo();
        disembargo.reborrow().init_context().set_receiver_loopback(embargo);
        if !write_target(disembargo.init_target(), &target.resolved()) {
            return Err(misbehaved("sent a Disembargo to an object that does not lead back to it"));
        }
        self.rpc.out.push(message);
        Ok(())
    }

    /// What this side sent before has come past the peer.
    pub(super) fn receive_embargo_end(&mut self, embargo: u32) -> Result<()> {
        let Some(embargo) = self.rpc.embargoes.try_remove(embargo as usize) else {
            return Err(misbehaved("ended an embargo that is none"));
        };
        self.resolve(&embargo.promise, embargo.cap);
        Ok(())
    }

    /// Goes on with what waited. After each message, so that nothing that comes later overtakes it.
    pub(crate) fn settle(&mut self, conn: &ArcConn) {
        while let Some(work) = self.rpc.work.pop_front() {
            match work {
                Work::Call(target, held) => self.route_held(conn, &target, held),
                Work::Thread(thread, callback, task) => {
                    crate::thread::schedule_on(self, thread, callback, task);
                }
                Work::Taken(call, results) => self.answered_elsewhere(conn, call, results),
            }
        }
    }

    /// Lets go of everything: the connection is over. Calls of this side's fail with `error`.
    pub(crate) fn end_rpc(&mut self, conn: Option<&ArcConn>, error: &Error) {
        self.abort(error);
        let promises = self.rpc.questions.promises();
        for waiter in self.rpc.questions.take_all() {
            if let (super::Waiter::Complete(complete), Some(conn)) = (waiter, conn) {
                let after = complete(self, conn, Err(error.clone()));
                self.after.extend(after);
            }
        }
        // A promise may hold itself, through a call that waits for it and names it.
        let mut caps = Vec::new();
        for promise in promises {
            promise.state().take_apart(&mut caps);
        }
        let tokens = self.rpc.answers.take_all(&mut caps);
        self.cancelled.extend(tokens);
        for (_, embargo) in std::mem::take(&mut self.rpc.embargoes) {
            embargo.promise.state().take_apart(&mut caps);
            caps.push(embargo.cap);
        }
        drop_caps(caps);
        let out = std::mem::take(&mut self.rpc.out);
        let garbage = Arc::clone(&self.rpc.garbage);
        let rest = std::mem::take(&mut self.rpc);
        drop(rest);
        self.rpc.garbage = garbage;
        self.rpc.out = out;
    }
}
