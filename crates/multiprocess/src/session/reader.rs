//! Reads the capabilities of messages of the peer's.

use std::any::Any;
use std::os::fd::OwnedFd;

use capnp::private::capability::ClientHook;
use capnp_engine::{Cap, Descriptor, Exception, find_cap};

use super::descriptor::check_held;
use super::evidence::evidence_of;
use super::held_cap::HeldCap;
use crate::carried::{Carried, Told};
use crate::connection::{ArcConn, Core};
use crate::panics::catch_panic;
use crate::wire::Decoder;
use crate::wire::context::{Hook, ReadCapabilities};
use crate::{Error, Result};

/// Reads the capabilities of one message. Under the lock.
pub(crate) struct CapReader<'a> {
    core: &'a mut Core,
    conn: &'a ArcConn,
    caps: &'a [Option<Cap>],
    context: Option<CallThreads>,
    /// The objects whose file descriptors were given out: each is so once.
    given: Vec<Cap>,
    /// How many of them are copies: those of objects of this side.
    copies: usize,
    /// Only to see whether the message is good: what stands in for its objects and descriptors is given out.
    trial: bool,
}

/// What was decoded.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    pub(crate) context: Option<CallThreads>,
    /// How many file descriptors it has.
    pub(crate) descriptors: usize,
}

/// Decodes a message of `length` bytes with these capabilities.
///
/// One with file descriptors is tried first, with others in their place, and objects that are none. Where something
/// behind them is bad, what was decoded before is dropped right here, under the lock: and how long it takes to close
/// a descriptor of the peer's is the peer's choice.
pub(crate) fn decode<T>(
    core: &mut Core,
    conn: &ArcConn,
    caps: &[Option<Cap>],
    (length, version): (usize, u8),
    read: impl Fn(&mut Decoder<'_>) -> Result<T>,
) -> Result<Decoded<T>> {
    if core.engine.held_descriptors() > 0 {
        try_decode(core, conn, caps, (length, version), &read)?;
    }
    decode_once(core, conn, caps, (length, version), &read, false)
}

/// Finds out whether a message is good that has file descriptors.
#[cold]
fn try_decode<T>(
    core: &mut Core,
    conn: &ArcConn,
    caps: &[Option<Cap>],
    of: (usize, u8),
    read: impl Fn(&mut Decoder<'_>) -> Result<T>,
) -> Result<()> {
    let mut bears = caps.iter().flatten().filter(|cap| core.engine.bearer(**cap).is_some());
    match bears.next() {
        Some(_) => decode_once(core, conn, caps, of, read, true).map(drop),
        None => Ok(()),
    }
}

/// Inlined, as most calls are decoded by this alone.
#[inline(always)]
fn decode_once<T>(
    core: &mut Core,
    conn: &ArcConn,
    caps: &[Option<Cap>],
    (length, version): (usize, u8),
    read: impl Fn(&mut Decoder<'_>) -> Result<T>,
    trial: bool,
) -> Result<Decoded<T>> {
    let mut reader = CapReader::new(core, conn, caps);
    reader.trial = trial;
    let mut cx = Decoder::new(Some(&mut reader), length, version);
    let value = catch_panic(|| read(&mut cx))?;
    let context = if trial { None } else { reader.context.take() };
    Ok(Decoded { value, context, descriptors: reader.given.len() })
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
        CapReader { core, conn, caps, context: None, given: Vec::new(), copies: 0, trial: false }
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
        if self.trial {
            let none =
                self.core.engine.broken(Exception::failed("an object that was only tried").into());
            return Some(Box::new(HeldCap::new(self.core, self.conn, none)));
        }
        if self.core.object_of(cap).is_some_and(|object| object.is_home(home)) {
            return None;
        }
        self.core.engine.retain(cap);
        Some(Box::new(HeldCap::new(self.core, self.conn, cap)))
    }

    fn descriptor(&mut self, hook: &dyn ClientHook) -> Result<Option<OwnedFd>> {
        let Some(cap) = find_cap(hook, self.caps) else { return Ok(None) };
        let Some(cap) = self.core.engine.bearer(cap) else { return Ok(None) };
        // Found when the message is tried, where none is taken out.
        if self.given.contains(&cap) {
            return Err(Error::decode("", "a file descriptor is named twice in one message"));
        }
        let is_own = self.core.object_of(cap).is_some();
        if is_own {
            // The object keeps its own.
            check_held(self.conn, self.core.engine.held_descriptors() + self.copies)?;
            self.copies += 1;
        }
        let io = |error| Error::io("take a file descriptor that has arrived", error);
        let engine = &mut self.core.engine;
        let descriptor = match (self.trial, is_own) {
            // Anything whose end delays nobody.
            (true, _) => Some(std::io::pipe().map_err(io)?.0.into()),
            (false, true) => {
                let copy = engine.descriptor(cap).map(|own| own.try_clone_to_owned());
                copy.transpose().map_err(io)?
            }
            (false, false) => engine.take_descriptor(cap).map(Descriptor::into_owned),
        };
        self.given.push(cap);
        Ok(descriptor)
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
        if self.trial {
            return;
        }
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
