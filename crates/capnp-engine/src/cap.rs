//! The capabilities of one connection, with reference counts.
//!
//! All capabilities are in one table. A [`Cap`] is an index into it, and references are counted by
//! hand, because a plain number cannot report that it is dropped: who is given a capability has one
//! reference, and returns it with [`Engine::release`]. A capability without references is removed
//! at once, with everything that only it referred to.

use slab::Slab;

use crate::engine::Engine;
use crate::error::Failure;
use crate::pending_call::{PendingCall, Serving};

/// A capability, as the engine's user names it.
///
/// It is a number: a copy is not another reference. See [`Engine::retain`] and [`Engine::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cap {
    place: u32,
    /// Distinguishes capabilities that use the same place one after the other.
    serial: u32,
}

/// The path to a capability in the results of a call: the index of the pointer field in each
/// struct, from the outermost struct on.
pub type Path = Vec<u16>;

/// The current state of a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// An object of this side, by its key.
    Object(u64),
    /// An object of the peer, or a promise whose calls go to the peer.
    Peer,
    /// A promise whose calls wait here.
    Waiting,
    /// Every call of it fails.
    Broken(Failure),
}

#[derive(Default)]
pub(crate) struct Caps {
    slots: Slab<Entry>,
    next: u32,
    /// How many of them are promises that the peer caused, resolved or not.
    promises: usize,
}

pub(crate) struct Entry {
    serial: u32,
    refs: u32,
    pub(crate) kind: Kind,
    pub(crate) life: Life,
}

pub(crate) enum Kind {
    /// An object of this side, and its export id.
    Local { object: u64, export: Option<u32> },
    /// An object of the peer, by its import id.
    Import { id: u32 },
    /// A promise, resolved or not.
    Promise(Box<Promise>),
    /// A capability that cannot be called: every call fails.
    Broken(Failure),
}

/// A capability that resolves to another one.
pub(crate) struct Promise {
    pub(crate) target: Target,
    /// What waits for the promise to resolve, in order. While this is not empty, it has a reference
    /// on the promise.
    pub(crate) waiting: Vec<Waiting>,
    /// The export id, if the promise was given to the peer before it resolved.
    pub(crate) export: Option<u32>,
    /// The question of the peer of whose results the promise is part.
    pub(crate) answer: Option<u32>,
    /// The path by which its calls went to the peer, once they do not go there any more.
    pub(crate) former: Option<PeerPath>,
    /// The capability that it resolves to, with a reference, when this many calls have returned.
    pub(crate) when_returned: Option<(Cap, u32)>,
    /// The peer caused it: it gave the promise, or named a capability of which this is the promise.
    of_peer: bool,
    /// The length of the chain of such promises that resolved to this one.
    pub(crate) depth: u32,
    /// The peer named a capability of this side whose calls go to the peer: see
    /// `Engine::reflected`.
    pub(crate) reflected: bool,
}

/// How the peer identifies a capability of its own.
#[derive(Clone)]
pub(crate) enum PeerPath {
    Answer(u32, Path),
    Import(u32),
}

/// The target of a promise's calls.
pub(crate) enum Target {
    /// The peer: the capability at this path of its answer to this question. `called`: calls were
    /// sent there, which later calls must not overtake.
    Answer { question: u32, path: Path, called: bool },
    /// The peer, which will send Resolve. Has a reference on the import.
    Import { import: Cap, id: u32, called: bool },
    /// None yet: calls wait here.
    Here,
    /// The capability that it resolved to, with a reference.
    Resolved(Cap),
}

/// What waits for a promise to resolve.
pub(crate) enum Waiting {
    Call(PendingCall),
    /// The engine's user has to be told.
    Watch(u64),
    /// A Disembargo to be sent back to the peer, after the calls before it.
    Disembargo(u32),
}

/// The calls and the stage of an object of the peer. If a promise resolves to the object, the
/// promise's calls are added to the object's.
#[derive(Default)]
pub(crate) struct Life {
    pub(crate) stage: Stage,
    /// The number of calls that were sent to the object and have not returned.
    pub(crate) in_flight: u32,
    /// The number of handles.
    pub(crate) handles: u32,
    /// It was returned to the peer in results: the peer decides when it ends.
    pub(crate) given_back: bool,
    /// The call that ends the object, while it waits for the calls before it.
    pub(crate) destroy: Option<Box<PendingCall>>,
}

/// The stage of an object's life, as far as this side decides about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// It can be called.
    #[default]
    Open,
    /// No calls are accepted any more. The call that ends the object waits for those before it to
    /// return.
    Closing,
    /// The call that ends it was sent.
    Closed,
}

impl Promise {
    pub(crate) fn new(target: Target) -> Promise {
        let (waiting, export, answer, former, depth) = (Vec::new(), None, None, None, 0);
        let (when_returned, reflected, of_peer) = (None, false, false);
        Promise {
            target,
            waiting,
            export,
            answer,
            former,
            when_returned,
            of_peer,
            depth,
            reflected,
        }
    }

    /// How many promises of the peer's have resolved one after the other once this one resolves.
    pub(crate) fn deeper(&self) -> u32 {
        self.depth + u32::from(self.of_peer)
    }

    /// The path by which its calls go or went to the peer.
    pub(crate) fn way(&self) -> Option<PeerPath> {
        match &self.target {
            Target::Answer { question, path, .. } => {
                Some(PeerPath::Answer(*question, path.clone()))
            }
            Target::Import { id, .. } => Some(PeerPath::Import(*id)),
            Target::Here | Target::Resolved(_) => self.former.clone(),
        }
    }
}

impl Caps {
    pub(crate) fn add(&mut self, kind: Kind) -> Cap {
        let serial = self.next;
        self.next = self.next.wrapping_add(1);
        let place = self.slots.insert(Entry { serial, refs: 1, kind, life: Life::default() });
        // Memory does not suffice for as many.
        Cap { place: u32::try_from(place).unwrap_or(u32::MAX), serial }
    }

    /// Adds a promise that the peer causes. It is counted for as long as it is there.
    pub(crate) fn add_of_peer(&mut self, mut promise: Promise) -> Cap {
        promise.of_peer = true;
        self.promises += 1;
        self.add(Kind::Promise(Box::new(promise)))
    }

    pub(crate) fn promises(&self) -> usize {
        self.promises
    }

    pub(crate) fn get(&self, cap: Cap) -> Option<&Entry> {
        self.slots.get(cap.place as usize).filter(|entry| entry.serial == cap.serial)
    }

    pub(crate) fn get_mut(&mut self, cap: Cap) -> Option<&mut Entry> {
        self.slots.get_mut(cap.place as usize).filter(|entry| entry.serial == cap.serial)
    }

    pub(crate) fn promise(&mut self, cap: Cap) -> Option<&mut Promise> {
        match &mut self.get_mut(cap)?.kind {
            Kind::Promise(promise) => Some(promise),
            _ => None,
        }
    }

    pub(crate) fn retain(&mut self, cap: Cap) {
        if let Some(entry) = self.get_mut(cap) {
            entry.refs += 1;
        }
    }

    /// The number of references.
    pub(crate) fn refs(&self, cap: Cap) -> u32 {
        self.get(cap).map_or(0, |entry| entry.refs)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> + use<> {
        self.promises = 0;
        std::mem::take(&mut self.slots).into_iter().map(|(_, entry)| entry)
    }

    /// The capability at the end of a chain of resolved promises. It is a promise only if that one
    /// is not resolved.
    pub(crate) fn resolved(&self, mut cap: Cap) -> Cap {
        while let Some(Entry { kind: Kind::Promise(promise), .. }) = self.get(cap)
            && let Target::Resolved(next) = promise.target
        {
            cap = next;
        }
        cap
    }

    /// Whether its calls go to the peer. `cap` is no resolved promise.
    pub(crate) fn is_remote(&self, cap: Cap) -> bool {
        match self.get(cap).map(|entry| &entry.kind) {
            Some(Kind::Import { .. }) => true,
            Some(Kind::Promise(promise)) => {
                matches!(promise.target, Target::Answer { .. } | Target::Import { .. })
            }
            Some(Kind::Local { .. } | Kind::Broken(_)) | None => false,
        }
    }
}

/// The error for a capability without references: a bug on this side.
pub(crate) fn released() -> Failure {
    Failure::failed("called a capability that was released")
}

pub(crate) fn null() -> Failure {
    Failure::failed("called a null capability")
}

impl Engine {
    // ---- references

    /// Adds an object of this side, with one reference. Calls of it name it by `key`. When the last
    /// reference is gone, there is an [`Effect::Released`](crate::Effect::Released).
    pub fn object(&mut self, key: u64) -> Cap {
        self.caps.add(Kind::Local { object: key, export: None })
    }

    /// Adds a capability whose calls all fail, with one reference.
    pub fn broken(&mut self, failure: Failure) -> Cap {
        self.caps.add(Kind::Broken(failure))
    }

    /// Adds a reference.
    pub fn retain(&mut self, cap: Cap) {
        self.caps.retain(cap);
    }

    /// Drops a reference. With the last one the capability is removed, and everything that only it
    /// referred to.
    // Does not send calls that waited: `release` is part of larger steps, which must be finished
    // first. A call that is sent in between would take the id of a question whose Finish is not
    // sent yet.
    pub fn release(&mut self, cap: Cap) {
        if self.drop_ref(cap) {
            self.bury(cap);
        }
    }

    /// Drops a reference on each capability of a list.
    pub fn release_all(&mut self, caps: impl IntoIterator<Item = Option<Cap>>) {
        caps.into_iter().flatten().for_each(|cap| self.release(cap));
    }

    /// Drops a reference. Returns whether it was the last one.
    fn drop_ref(&mut self, cap: Cap) -> bool {
        let Some(entry) = self.caps.get_mut(cap) else { return false };
        debug_assert!(entry.refs > 0, "a reference that is none");
        entry.refs = entry.refs.saturating_sub(1);
        entry.refs == 0
    }

    /// Removes a capability without references, and then what only it referred to. Iterative, as
    /// chains of promises can be too long for the stack.
    fn bury(&mut self, cap: Cap) {
        let mut unheld = Vec::new();
        let mut next = Some(cap);
        while let Some(cap) = next {
            if let Some(entry) = self.caps.slots.try_remove(cap.place as usize) {
                self.take_apart(cap, entry, &mut unheld);
            }
            next = None;
            while let Some(held) = unheld.pop() {
                if self.drop_ref(held) {
                    next = Some(held);
                    break;
                }
            }
        }
    }

    /// Moves its references to `unheld`, and tells those who have to know of its end.
    fn take_apart(&mut self, cap: Cap, entry: Entry, unheld: &mut Vec<Cap>) {
        match entry.kind {
            Kind::Local { object, .. } => {
                self.descriptors.forget(cap);
                self.released(object);
            }
            Kind::Import { id } => {
                self.descriptors.forget(cap);
                self.release_import(id, cap);
            }
            Kind::Promise(promise) => {
                self.caps.promises -= usize::from(promise.of_peer);
                // Also for a resolved promise: its import id remains while there are other
                // references on the import, and the peer may give the id again.
                if let Some(PeerPath::Import(id)) = promise.way() {
                    self.forget_promise(id, cap);
                }
                match promise.target {
                    Target::Resolved(next) => unheld.push(next),
                    Target::Import { import, .. } => unheld.push(import),
                    Target::Answer { .. } | Target::Here => {}
                }
                unheld.extend(promise.when_returned.map(|(cap, _)| cap));
                for waiting in promise.waiting {
                    match waiting {
                        Waiting::Call(call) => {
                            unheld.extend(call.params.caps.into_iter().flatten());
                        }
                        Waiting::Disembargo(_) => self.disembargoes -= 1,
                        Waiting::Watch(_) => {}
                    }
                }
            }
            Kind::Broken(_) => {}
        }
        if let Some(destroy) = entry.life.destroy {
            unheld.extend(destroy.params.caps.into_iter().flatten());
        }
    }

    // ---- state

    /// The capability that it has resolved to: itself, unless it is a resolved promise. As long as
    /// there are references on an object, this is always the same capability. Adds no reference.
    pub fn resolved(&self, cap: Cap) -> Cap {
        self.caps.resolved(cap)
    }

    /// The current state.
    pub fn state(&self, cap: Cap) -> State {
        match self.caps.get(self.caps.resolved(cap)).map(|entry| &entry.kind) {
            Some(Kind::Local { object, .. }) => State::Object(*object),
            Some(Kind::Import { .. }) => State::Peer,
            Some(Kind::Promise(promise)) => match promise.target {
                Target::Answer { .. } | Target::Import { .. } => State::Peer,
                Target::Here | Target::Resolved(_) => State::Waiting,
            },
            Some(Kind::Broken(failure)) => State::Broken(failure.clone()),
            None => State::Broken(released()),
        }
    }

    /// Requests an [`Effect::Resolved`](crate::Effect::Resolved) for when a promise whose calls
    /// wait here, or a promise of the peer, has resolved. The effect comes after the calls that
    /// wait for that now. Returns false if `cap` is no promise. The [end](Engine::end) of the
    /// connection causes no such effect.
    ///
    /// There is none either for a promise that the peer had resolved and gives again before it has
    /// received this side's Release of it, as C++ does with one that failed: it sends no second
    /// Resolve, and the id alone does not tell such a promise from a new one. Its calls are
    /// answered.
    pub fn watch(&mut self, cap: Cap, tag: u64) -> bool {
        let cap = self.caps.resolved(cap);
        self.wait_at(cap, Waiting::Watch(tag)).is_ok()
    }

    /// Takes a request of [`watch`](Self::watch) back that has caused no effect yet.
    pub fn unwatch(&mut self, cap: Cap, tag: u64) {
        let cap = self.caps.resolved(cap);
        let Some(promise) = self.caps.promise(cap) else { return };
        let place = promise
            .waiting
            .iter()
            .position(|waiting| matches!(waiting, Waiting::Watch(watched) if *watched == tag));
        let Some(place) = place else { return };
        promise.waiting.remove(place);
        if promise.waiting.is_empty() {
            self.release(cap);
        }
    }

    /// Queues something until a promise has resolved. Returns it if `cap` is no promise.
    pub(crate) fn wait_at(&mut self, cap: Cap, waiting: Waiting) -> Result<(), Waiting> {
        let Some(promise) = self.caps.promise(cap) else { return Err(waiting) };
        let first = promise.waiting.is_empty();
        promise.waiting.push(waiting);
        if first {
            self.caps.retain(cap);
        }
        Ok(())
    }

    /// Removes a call that waits at a promise. Returns none if it does not wait there, otherwise
    /// the question of the peer whose results the promise is part of, if any.
    pub(crate) fn unqueue(&mut self, cap: Cap, serving: Serving) -> Option<Option<u32>> {
        let promise = self.caps.promise(cap)?;
        let place = promise.waiting.iter().position(
            |waiting| matches!(waiting, Waiting::Call(call) if call.serving == serving),
        )?;
        let Waiting::Call(call) = promise.waiting.remove(place) else { return None };
        let (answer, empty) = (promise.answer, promise.waiting.is_empty());
        self.release_all(call.params.caps);
        if empty {
            self.release(cap);
        }
        Some(answer)
    }
}
