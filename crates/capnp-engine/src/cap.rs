//! The capabilities of one connection, and how long each is held.
//!
//! All of them are in one table. A [`Cap`] is a place in it and counts by hand, as there is nothing
//! here that could be told of a drop: whoever is given one holds one reference, and gives it up with
//! [`Engine::release`]. What nobody holds goes at once, with all that only it held.

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
    /// Tells capabilities apart that use the same place one after the other.
    serial: u32,
}

/// The way to a capability within the results of a call: which pointer of which struct, from the
/// outermost on.
pub type Path = Vec<u16>;

/// What a capability is by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// An object of this side's, by its key.
    Object(u64),
    /// An object of the peer's, or a promise whose calls go to the peer.
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
}

pub(crate) struct Entry {
    serial: u32,
    refs: u32,
    pub(crate) kind: Kind,
    pub(crate) life: Life,
}

pub(crate) enum Kind {
    /// An object of this side's; and the number under which the peer knows it.
    Local { object: u64, export: Option<u32> },
    /// An object of the peer's, under this number.
    Import { id: u32 },
    /// What is not known yet, or was not at first.
    Promise(Box<Promise>),
    /// What will never be known: every call fails.
    Broken(Failure),
}

/// A capability that resolves to another.
pub(crate) struct Promise {
    pub(crate) target: Target,
    /// What waits for the promise to resolve, in order. While there is something it holds a reference
    /// on the promise.
    pub(crate) waiting: Vec<Waiting>,
    /// Under which number the peer knows it, where it was given to it unresolved.
    pub(crate) export: Option<u32>,
    /// The question of the peer's whose results it is part of.
    pub(crate) answer: Option<u32>,
    /// The way on which its calls went to the peer, once it goes there no more.
    pub(crate) former: Option<PeerPath>,
    /// What it is to become when its calls have returned, with a reference.
    pub(crate) when_returned: Option<Cap>,
    /// How many promises, one after the other, have become this one.
    pub(crate) depth: u32,
    /// It is what the peer was told of a capability of this side's that leads to the peer again. See
    /// `Engine::reflected`.
    pub(crate) reflected: bool,
}

/// How the peer knows a capability of its own.
#[derive(Clone)]
pub(crate) enum PeerPath {
    Answer(u32, Path),
    Import(u32),
}

/// Where calls of a promise go.
pub(crate) enum Target {
    /// To the peer: to what its answer to this question of ours has at this path. `called`: calls
    /// were sent there, which later ones must not overtake.
    Answer { question: u32, path: Path, called: bool },
    /// To the peer: it will say to what this resolves. Holds a reference on the import.
    Import { import: Cap, id: u32, called: bool },
    /// Nowhere yet: they wait here.
    Here,
    /// To what it has become, on which it holds a reference.
    Resolved(Cap),
}

/// What waits for a promise to resolve.
pub(crate) enum Waiting {
    Call(PendingCall),
    /// The engine's user wants to know.
    Watch(u64),
    /// A Disembargo of the peer's, to be sent back behind the calls before it.
    Disembargo(u32),
}

/// What is known of the calls of an object of the peer's. A promise that resolves to the object adds
/// its own to the object's.
#[derive(Default)]
pub(crate) struct Life {
    pub(crate) stage: Stage,
    /// How many calls were sent to it and have not returned.
    pub(crate) in_flight: u32,
    /// How many handles there are.
    pub(crate) handles: u32,
    /// The peer got it back as a result: whether it ends is the peer's affair then.
    pub(crate) given_back: bool,
    /// The call that ends the object, until those before it have returned.
    pub(crate) destroy: Option<Box<PendingCall>>,
}

/// An object's life, as far as this side has a say in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// It can be called.
    #[default]
    Open,
    /// No calls are taken any more, and the one that ends it waits for those before it to return.
    Closing,
    /// The call that ends it was sent.
    Closed,
}

impl Promise {
    pub(crate) fn new(target: Target) -> Promise {
        let (waiting, export, answer, former, depth) = (Vec::new(), None, None, None, 0);
        let (when_returned, reflected) = (None, false);
        Promise { target, waiting, export, answer, former, when_returned, depth, reflected }
    }

    /// The way to the peer that its calls took or take.
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
        // There is no memory for so many.
        Cap { place: u32::try_from(place).unwrap_or(u32::MAX), serial }
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

    /// How many references there are.
    pub(crate) fn refs(&self, cap: Cap) -> u32 {
        self.get(cap).map_or(0, |entry| entry.refs)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(&mut self.slots).into_iter().map(|(_, entry)| entry)
    }

    /// What it is by now: a promise only if it is not resolved.
    pub(crate) fn resolved(&self, mut cap: Cap) -> Cap {
        while let Some(Entry { kind: Kind::Promise(promise), .. }) = self.get(cap)
            && let Target::Resolved(next) = promise.target
        {
            cap = next;
        }
        cap
    }

    /// Whether calls of it go to the peer, where it is no resolved promise.
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

/// A reference that is used after it was given up: a mistake of this side's, told by an error.
pub(crate) fn released() -> Failure {
    Failure::failed("called a capability that was let go of")
}

pub(crate) fn null() -> Failure {
    Failure::failed("called a null capability")
}

impl Engine {
    // ---- references

    /// A new object of this side's, which calls of it name by `key`. Comes with one reference. The end
    /// of the last is told by [`Effect::Released`](crate::Effect::Released).
    pub fn object(&mut self, key: u64) -> Cap {
        self.caps.add(Kind::Local { object: key, export: None })
    }

    /// A capability whose calls all fail. Comes with one reference.
    pub fn broken(&mut self, failure: Failure) -> Cap {
        self.caps.add(Kind::Broken(failure))
    }

    /// One more reference.
    pub fn retain(&mut self, cap: Cap) {
        self.caps.retain(cap);
    }

    /// One reference less. With the last one the capability goes, and what only it held.
    // Nothing that waits goes on here: this is part of larger steps, which are to be finished first.
    // A call that goes out in between would take the number of one whose Finish is not sent yet.
    pub fn release(&mut self, cap: Cap) {
        if self.drop_ref(cap) {
            self.bury(cap);
        }
    }

    /// The same for all of a list.
    pub fn release_all(&mut self, caps: impl IntoIterator<Item = Option<Cap>>) {
        caps.into_iter().flatten().for_each(|cap| self.release(cap));
    }

    /// Takes a reference away; whether it was the last.
    fn drop_ref(&mut self, cap: Cap) -> bool {
        let Some(entry) = self.caps.get_mut(cap) else { return false };
        debug_assert!(entry.refs > 0, "a reference that is none");
        entry.refs = entry.refs.saturating_sub(1);
        entry.refs == 0
    }

    /// Lets go of what nobody holds, one after the other: promises make long chains, and the stack is
    /// not that deep.
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

    /// Moves what it held to `unheld`, and tells who is to know.
    fn take_apart(&mut self, cap: Cap, entry: Entry, unheld: &mut Vec<Cap>) {
        match entry.kind {
            Kind::Local { object, .. } => self.released(object),
            Kind::Import { id } => self.release_import(id, cap),
            Kind::Promise(promise) => {
                // Also what has resolved: its number stays as long as something else is held of it,
                // and the peer may give it again.
                if let Some(PeerPath::Import(id)) = promise.way() {
                    self.forget_promise(id, cap);
                }
                match promise.target {
                    Target::Resolved(next) => unheld.push(next),
                    Target::Import { import, .. } => unheld.push(import),
                    Target::Answer { .. } | Target::Here => {}
                }
                unheld.extend(promise.when_returned);
                for waiting in promise.waiting {
                    if let Waiting::Call(call) = waiting {
                        unheld.extend(call.params.caps.into_iter().flatten());
                    }
                }
            }
            Kind::Broken(_) => {}
        }
        if let Some(destroy) = entry.life.destroy {
            unheld.extend(destroy.params.caps.into_iter().flatten());
        }
    }

    // ---- what it is

    /// What it has become: itself, unless it is a promise that is resolved. The same object has one
    /// such name as long as somebody holds it. No reference comes with it.
    pub fn resolved(&self, cap: Cap) -> Cap {
        self.caps.resolved(cap)
    }

    /// What it is by now.
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

    /// Has [`Effect::Resolved`](crate::Effect::Resolved) tell when a promise whose calls wait here, or
    /// one of the peer's, is known, behind the calls that wait for that now. False if it is no promise.
    /// The [end](Engine::end) of the connection is not told this way.
    pub fn watch(&mut self, cap: Cap, tag: u64) -> bool {
        let cap = self.caps.resolved(cap);
        self.wait_at(cap, Waiting::Watch(tag)).is_ok()
    }

    /// Leaves something until a promise has resolved. Given back if it is no promise.
    pub(crate) fn wait_at(&mut self, cap: Cap, waiting: Waiting) -> Result<(), Waiting> {
        let Some(promise) = self.caps.promise(cap) else { return Err(waiting) };
        let first = promise.waiting.is_empty();
        promise.waiting.push(waiting);
        if first {
            self.caps.retain(cap);
        }
        Ok(())
    }

    /// Takes a call back that waits at a promise. None if it does not, otherwise the question of the
    /// peer's that it waited for, if it is one.
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
