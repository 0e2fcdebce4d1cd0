//! File descriptors that are attached to capabilities (`attachedFd` in the protocol).
//!
//! A message carries them beside its bytes, as the stream allows it (SCM_RIGHTS on a unix socket). The engine's
//! user gives those that came with a message to [`Engine::receive_with`], and sends those of
//! [`Effect::WriteWith`] with the first byte of their message. A capability has one at most, from when it is
//! attached or received until the last reference on the capability is gone.
//!
//! Closing one may block for as long as a peer likes: a socket that lingers, a file of a FUSE file system. So none is
//! closed here: a [`Descriptor`] that is dropped goes to [`Close`].

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::cap::{Cap, Kind, Target};
use crate::draft::Draft;
use crate::effect::{Carrying, Effect, Exceeded};
use crate::engine::Engine;
use crate::error::{Failure, Fatal};
use crate::incoming::Incoming;
use crate::limits::overloaded;
use crate::memory::Message;
use crate::pending_call::{Asker, Serving};

/// The index in a capability's descriptor that stands for no file descriptor.
const NONE: u8 = 0xff;

/// Closes file descriptors that nobody has need of any more.
pub trait Close: Send + Sync {
    /// Closes it, somewhere else and later: this is called within the engine, and close(2) may block.
    fn close(&self, descriptor: OwnedFd);
}

/// A file descriptor that came from the peer or goes to it. Dropped, it is closed by what was given for that.
pub struct Descriptor {
    /// None only while it is dropped.
    descriptor: Option<OwnedFd>,
    /// None: it is closed where it is dropped.
    close: Option<Arc<dyn Close>>,
}

impl Descriptor {
    /// `close` gets it when it is dropped.
    pub fn new(descriptor: OwnedFd, close: Arc<dyn Close>) -> Descriptor {
        Descriptor { descriptor: Some(descriptor), close: Some(close) }
    }

    /// The descriptor, for who closes it himself.
    pub fn into_owned(mut self) -> OwnedFd {
        let descriptor = self.descriptor.take();
        descriptor.unwrap_or_else(|| unreachable!("only what ends it takes it out"))
    }
}

/// One that is closed where it is dropped.
impl From<OwnedFd> for Descriptor {
    fn from(descriptor: OwnedFd) -> Descriptor {
        Descriptor { descriptor: Some(descriptor), close: None }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let descriptor = self.descriptor.as_ref();
        descriptor.unwrap_or_else(|| unreachable!("only what ends it takes it out")).as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let (Some(descriptor), Some(close)) = (self.descriptor.take(), &self.close) {
            close.close(descriptor);
        }
    }
}

opaque!(Descriptor, impl std::fmt::Debug for Descriptor);

/// What is attached, and what is on its way.
#[derive(Default)]
pub(crate) struct Descriptors {
    /// By objects of this side and objects of the peer.
    attached: HashMap<Cap, Arc<Descriptor>>,
    /// Those of the message that is being written, in their order there.
    outgoing: Vec<Arc<Descriptor>>,
    /// Those that may belong to the message that is being received, in their order there. Each is taken once.
    incoming: Vec<Option<Descriptor>>,
    /// The message names one by its index: so they are its own.
    named: bool,
    /// How many of them were attached.
    received: usize,
    /// One was not, because too many are held.
    refused: bool,
}

impl Descriptors {
    /// How many capabilities have one.
    pub(crate) fn len(&self) -> usize {
        self.attached.len()
    }

    /// The capability has no references any more.
    pub(crate) fn forget(&mut self, cap: Cap) {
        if !self.attached.is_empty() {
            self.attached.remove(&cap);
        }
    }

    pub(crate) fn close_all(&mut self) {
        *self = Descriptors::default();
    }
}

impl Engine {
    /// Attaches a file descriptor to an object of this side: it goes to the peer with the object, each time. An
    /// object has one at most, the first.
    ///
    /// # Panics
    /// In debug builds, where `cap` is no object of this side.
    pub fn attach(&mut self, cap: Cap, descriptor: Descriptor) {
        debug_assert!(self.is_local(cap), "a descriptor for what is no object of this side");
        self.descriptors.attached.entry(cap).or_insert_with(|| Arc::new(descriptor));
    }

    /// The file descriptor that is attached to a capability. It is the engine's: to keep it, duplicate it.
    pub fn descriptor(&self, cap: Cap) -> Option<BorrowedFd<'_>> {
        Some(self.descriptors.attached.get(&self.bearer(cap)?)?.as_fd())
    }

    /// The object whose file descriptor a capability has: itself, or what it resolves to. None where there is none.
    pub fn bearer(&self, cap: Cap) -> Option<Cap> {
        if self.descriptors.attached.is_empty() {
            return None;
        }
        self.carrier(cap).filter(|cap| self.descriptors.attached.contains_key(cap))
    }

    /// Takes out the file descriptor that came with an object of the peer's: the object has none from then on. None
    /// for an object of this side, which keeps its own.
    pub fn take_descriptor(&mut self, cap: Cap) -> Option<Descriptor> {
        let cap = self.bearer(cap).filter(|cap| !self.is_local(*cap))?;
        // No message shares it: a peer's object goes back to the peer without it.
        Arc::into_inner(self.descriptors.attached.remove(&cap)?)
    }

    /// Counts so many file descriptors with a call of the peer's until it is answered, if that is more than came with
    /// it: those that were taken out and copied for it.
    pub fn hold_descriptors(&mut self, call: &Serving, count: usize) {
        if let Asker::Peer(id) = call.0 {
            self.answers.hold_descriptors(id, count);
        }
    }

    /// How many file descriptors are held: by capabilities, and by calls of the peer's that are not answered and
    /// came with some. Bounded by [`Limits::held_descriptors`](crate::Limits::held_descriptors), as far as the
    /// peer's are concerned.
    pub fn held_descriptors(&self) -> usize {
        self.descriptors.len() + self.answers.held_descriptors()
    }

    /// How many file descriptors one message of this side may have: the own limit, or what the peer has told if
    /// that is less.
    pub fn most_descriptors(&self) -> usize {
        let told = self.told.map_or(usize::MAX, |told| told.descriptors);
        told.min(self.limits.descriptors).min(usize::from(NONE))
    }

    /// The same as [`receive`](Engine::receive) for a message with which file descriptors came, or may have come:
    /// a stream says no more than in which bytes it was. The list is taken by the first message that names one of
    /// its descriptors; what that one does not name is dropped. Any other leaves the list as it is.
    ///
    /// # Errors
    /// As [`receive`](Engine::receive).
    pub fn receive_with(
        &mut self,
        message: &Incoming<'_>,
        descriptors: &mut Vec<Descriptor>,
    ) -> Result<(), Fatal> {
        if descriptors.is_empty() {
            return self.receive(message);
        }
        self.descriptors.incoming = descriptors.drain(..).map(Some).collect();
        (self.descriptors.named, self.descriptors.received) = (false, 0);
        let received = self.receive(message);
        let left = std::mem::take(&mut self.descriptors.incoming);
        (self.descriptors.received, self.descriptors.refused) = (0, false);
        if !self.descriptors.named {
            descriptors.extend(left.into_iter().flatten());
        }
        received
    }

    /// Attaches the message's descriptor with this index to a capability of the peer's, if there is one.
    pub(crate) fn attach_received(&mut self, cap: Cap, index: u8) {
        if index == NONE || self.descriptors.incoming.is_empty() {
            return;
        }
        self.descriptors.named = true;
        let most = self.limits.descriptors;
        let incoming = self.descriptors.incoming.iter_mut().take(most).nth(usize::from(index));
        let Some(descriptor) = incoming.and_then(Option::take) else { return };
        // An object of this side has its own or none, whatever the peer attaches when it gives it back.
        let Some(cap) = self.carrier(cap).filter(|cap| !self.is_local(*cap)) else { return };
        if self.held_descriptors() >= self.limits.held_descriptors {
            self.descriptors.refused = true;
            self.effect(Effect::Refused { object: None, limit: Exceeded::Descriptors });
            return;
        }
        // The first stays, as the protocol has it.
        self.descriptors.attached.entry(cap).or_insert_with(|| Arc::new(descriptor));
        self.descriptors.received += 1;
    }

    /// How many descriptors were attached of the message that is being received.
    pub(crate) fn received_descriptors(&self) -> usize {
        self.descriptors.received
    }

    /// The error for a call of the peer's that came with more descriptors than may be held.
    pub(crate) fn check_received(&mut self) -> Result<(), Failure> {
        match std::mem::take(&mut self.descriptors.refused) {
            false => Ok(()),
            true => Err(overloaded(format!(
                "more than {} file descriptors are held on one connection (Limits::held_descriptors)",
                self.limits.held_descriptors
            ))),
        }
    }

    /// The error for a message of this side's with more descriptors than may be sent.
    pub(crate) fn check_sent(&self, draft: &Draft) -> Result<(), Failure> {
        if self.descriptors.attached.is_empty() {
            return Ok(());
        }
        // Those of the peer's objects stay here when these go back.
        let carries = |cap: Cap| {
            let cap = self.caps.resolved(cap);
            self.is_local(cap) && self.descriptors.attached.contains_key(&cap)
        };
        let count = draft.caps().filter(|cap| carries(*cap)).count();
        let most = self.most_descriptors();
        if count > most {
            let whose = if most < self.limits.descriptors { "the other side's" } else { "the" };
            return Err(Failure::failed(format!(
                "a message with {count} file descriptors was not sent: {most} is {whose} limit \
                 (Limits::descriptors)"
            )));
        }
        Ok(())
    }

    /// Adds the descriptor of an object of this side to the message that is being written. Returns its index.
    pub(crate) fn send_descriptor(&mut self, cap: Cap) -> Option<u8> {
        let Descriptors { attached, outgoing, .. } = &self.descriptors;
        let descriptor = Arc::clone(attached.get(&cap)?);
        let index = u8::try_from(outgoing.len())
            .ok()
            .filter(|_| outgoing.len() < self.most_descriptors())?;
        self.descriptors.outgoing.push(descriptor);
        Some(index)
    }

    /// Has a message written, with the descriptors of its capabilities.
    pub(crate) fn write(&mut self, message: Message) {
        if self.descriptors.outgoing.is_empty() {
            return self.effect(Effect::Write(message));
        }
        let descriptors = std::mem::take(&mut self.descriptors.outgoing);
        self.effect(Effect::WriteWith(Box::new(Carrying { message, descriptors })));
    }

    fn is_local(&self, cap: Cap) -> bool {
        matches!(self.caps.get(cap).map(|entry| &entry.kind), Some(Kind::Local { .. }))
    }

    /// The capability that has the descriptor, for one that was given: an object of either side. None for a
    /// promise whose object is not known.
    fn carrier(&self, cap: Cap) -> Option<Cap> {
        let cap = self.caps.resolved(cap);
        match &self.caps.get(cap)?.kind {
            Kind::Local { .. } | Kind::Import { .. } => Some(cap),
            Kind::Promise(promise) => match promise.target {
                Target::Import { import, .. } => Some(import),
                _ => None,
            },
            Kind::Broken(_) => None,
        }
    }
}
