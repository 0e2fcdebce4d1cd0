//! Reads the capabilities of messages of the peer's.

use std::any::Any;

use capnp::private::capability::ClientHook;
use capnp_engine::{Cap, find_cap};

use super::evidence::evidence_of;
use super::held_cap::HeldCap;
use crate::carried::{Carried, Told};
use crate::connection::{ArcConn, Core};
use crate::wire::context::{Hook, ReadCapabilities};

/// Reads the capabilities of one message. Under the lock.
pub(crate) struct CapReader<'a> {
    core: &'a mut Core,
    conn: &'a ArcConn,
    caps: &'a [Option<Cap>],
    context: Option<CallThreads>,
}

/// The threads that a call's context names, with a reference on each.
pub(crate) struct CallThreads {
    pub(crate) thread: Option<Cap>,
    pub(crate) callback: Option<Cap>,
    /// How many calls this one is made to serve, as far as the peer has told.
    pub(crate) level: u16,
    /// What came with the call, if something did.
    pub(crate) carried: Option<Box<Carried>>,
}

impl<'a> CapReader<'a> {
    /// `caps`: the capabilities of the message, by their index in the capability table.
    pub(crate) fn new(
        core: &'a mut Core,
        conn: &'a ArcConn,
        caps: &'a [Option<Cap>],
    ) -> CapReader<'a> {
        CapReader { core, conn, caps, context: None }
    }

    pub(crate) fn take_context(&mut self) -> Option<CallThreads> {
        self.context.take()
    }

    fn take(&mut self, hook: &dyn ClientHook) -> Option<Cap> {
        let cap = find_cap(hook, self.caps)?;
        self.core.engine.retain(cap);
        Some(cap)
    }
}

impl Drop for CapReader<'_> {
    fn drop(&mut self) {
        if let Some(CallThreads { thread, callback, .. }) = self.context.take() {
            self.core.engine.release_all([thread, callback]);
        }
    }
}

impl ReadCapabilities for CapReader<'_> {
    fn object(
        &mut self,
        hook: &dyn ClientHook,
        home: &mut dyn FnMut(&dyn Any) -> bool,
    ) -> Option<Box<dyn Any>> {
        let cap = find_cap(hook, self.caps)?;
        if self.core.object_of(cap).is_some_and(|object| object.is_home(home)) {
            return None;
        }
        self.core.engine.retain(cap);
        Some(Box::new(HeldCap::new(self.core, self.conn, cap)))
    }

    fn threads(&mut self, thread: Option<Hook>, callback: Option<Hook>, told: Told) {
        let thread = thread.and_then(|hook| self.take(&*hook));
        let callback = callback.and_then(|hook| self.take(&*hook));
        // What others have there is not known.
        let is_ours = self.core.engine.peer_limits().is_some();
        let carried = is_ours.then(|| Carried::arrived(&told)).flatten();
        let level = told.level;
        let before = self.context.replace(CallThreads { thread, callback, level, carried });
        if let Some(CallThreads { thread, callback, .. }) = before {
            self.core.engine.release_all([thread, callback]);
        }
    }

    fn thread_map(&mut self, hook: &dyn ClientHook) {
        if let Some(map) = self.take(hook) {
            self.core.set_peer_map(map);
        }
    }

    fn peers(&mut self, family: u64, count: usize, heard: Option<u32>) -> u32 {
        evidence_of(self.conn, family, count, |evidence| {
            if let Some(versions) = heard {
                evidence.hear(versions);
            }
            evidence.verdict().possible
        })
    }
}
