//! Calls of this side's: how they are sent, and what is known of them until they are answered.

use std::sync::{Arc, Weak};

use capnp::private::layout::CapTable;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::message;
use slab::Slab;

use super::body::{Body, Content};
use super::cap::{Cap, Path, Promise, Target};
use super::held::{Destination, Held, HeldCall};
use super::memory::{Message, new_message};
use super::parts::write_target;
use super::{hook, malformed, misbehaved};
use crate::codec::Encoder;
use crate::connection::{After, ArcConn, BusyGuard, Caller, Core, Interrupt};
use crate::guard::catch_panic;
use crate::rt::{AnyBuilder, MethodId};
use crate::server::Token;
use crate::{Error, Result};

/// A call of this side that waits for its answer. The second number tells calls apart that use the
/// same place one after the other.
pub(crate) type CallId = (u32, u64);

/// Takes in an answer. Under the lock; what is to happen outside is returned.
pub(crate) type Complete =
    Box<dyn FnOnce(&mut Core, &ArcConn, Result<Content<'_>>) -> Option<After> + Send>;

/// Writes the parameters of a call.
pub(crate) type Fill<'a> = dyn FnMut(&mut Encoder<'_>, AnyBuilder<'_>) -> Result<()> + 'a;

/// Who wants an answer.
pub(crate) enum Waiter {
    Complete(Complete),
    /// The call was passed on: its results are those of this one.
    Forward(Destination),
    /// The connection's handshake, of which this is the last question or not.
    Handshake {
        last: bool,
    },
    Nobody,
}

/// Which method is called, and for whom.
pub(crate) struct Outline<'a> {
    pub(crate) interface: u64,
    pub(crate) method: u16,
    pub(crate) version: u8,
    pub(crate) caller: Option<&'a Caller>,
}

impl Outline<'_> {
    /// A call of the runtime's own, which no thread waits for.
    pub(crate) fn new(id: MethodId) -> Outline<'static> {
        Outline { interface: id.interface, method: id.ordinal, version: id.version, caller: None }
    }
}

#[derive(Default)]
pub(super) struct Questions {
    slots: Slab<Question>,
    next: u64,
}

pub(super) struct Question {
    pub(super) serial: u64,
    pub(super) waiter: Waiter,
    /// It went to the peer, which has not returned.
    pub(super) sent: bool,
    /// The peer was told that nobody wants the answer. It returns all the same.
    pub(super) cancelled: bool,
    /// Where capabilities of the results are waited for.
    pub(super) promises: Vec<(Path, Weak<Promise>)>,
    /// What was exported with the parameters.
    pub(super) exports: Vec<u32>,
    /// Its thread there is occupied until it returns, cancelled or not.
    busy: Option<BusyGuard>,
    interrupt: Option<Interrupt>,
    /// What a cancel fires, where the call is served here.
    token: Option<Arc<Token>>,
    /// Where it waits, or did, to be sent or served.
    waits: Weak<Promise>,
    /// It has returned: its results are those of this question of the peer's, when they are there.
    pub(super) taken: Option<u32>,
}

impl Questions {
    fn add(&mut self, waiter: Waiter) -> CallId {
        let serial = self.next;
        self.next += 1;
        let question = Question {
            serial,
            waiter,
            sent: false,
            cancelled: false,
            promises: Vec::new(),
            exports: Vec::new(),
            busy: None,
            interrupt: None,
            token: None,
            waits: Weak::new(),
            taken: None,
        };
        let id = self.slots.insert(question);
        // There is no memory for so many.
        (u32::try_from(id).unwrap_or(u32::MAX), serial)
    }

    pub(super) fn open(&self) -> usize {
        self.slots.len()
    }

    /// Whatever question has this number now.
    pub(super) fn at(&mut self, id: u32) -> Option<&mut Question> {
        self.slots.get_mut(id as usize)
    }

    pub(super) fn get(&mut self, (id, serial): CallId) -> Option<&mut Question> {
        self.at(id).filter(|question| question.serial == serial)
    }

    pub(super) fn remove(&mut self, (id, serial): CallId) -> Option<Question> {
        self.get((id, serial))?;
        self.slots.try_remove(id as usize)
    }

    /// The capabilities of results that are waited for.
    pub(super) fn promises(&self) -> Vec<Arc<Promise>> {
        let promises = self.slots.iter().flat_map(|(_, question)| &question.promises);
        promises.filter_map(|(_, promise)| promise.upgrade()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        std::mem::take(&mut self.slots).into_iter().map(|(_, question)| question.waiter)
    }
}

/// A message that is written, and its capabilities in the order of its table.
pub(super) struct Draft {
    pub(super) message: Message,
    pub(super) caps: Vec<Option<Cap>>,
    busy: Option<BusyGuard>,
}

impl Draft {
    fn held(self) -> Held {
        Held { body: Body::of(&self.message), caps: self.caps }
    }
}

/// The capabilities of a message in the order of its table: `given` by the numbers of the hooks.
pub(super) fn in_order(table: &CapTable, given: Vec<Option<Cap>>) -> Vec<Option<Cap>> {
    let places = || table.iter().map(|slot| slot.as_deref().and_then(hook::place));
    if places().eq((0..given.len()).map(Some)) {
        return given;
    }
    places().map(|place| given.get(place?).cloned().flatten()).collect()
}

/// Begins a Call. Returns where its parameters are written, with their capabilities in `table`.
fn init_call<'a>(
    message: &'a mut Message,
    table: &'a mut CapTable,
    id: u32,
    (interface, method): (u64, u16),
) -> AnyBuilder<'a> {
    let root: message::Builder<'_> = message.init_root();
    let mut call = root.init_call();
    call.set_question_id(id);
    call.set_interface_id(interface);
    call.set_method_id(method);
    let mut content = call.init_params().get_content();
    content.imbue_mut(table);
    content
}

impl Core {
    /// Calls a method of `target`. With a `path`, also gives the promise of a capability in the
    /// results, to be called before they are there.
    pub(crate) fn call(
        &mut self,
        conn: &ArcConn,
        target: &Cap,
        outline: &Outline<'_>,
        fill: &mut Fill<'_>,
        waiter: Waiter,
        path: Option<Path>,
    ) -> Result<(CallId, Option<Cap>)> {
        let id = self.rpc.questions.add(waiter);
        let draft = match self.write_call(conn, id.0, outline, fill) {
            Ok(draft) => draft,
            Err(error) => {
                self.rpc.questions.remove(id);
                return Err(error);
            }
        };
        let promise = path.map(|path| (self.promise_of(id, &path), path));
        let target = target.resolved();
        if target.is_remote() {
            self.send_call(id, &target, draft)?;
            if let Some((promise, path)) = &promise {
                promise.state().target = Target::answer(id.0, path.clone());
            }
        } else {
            let (interface, method) = (outline.interface, outline.method);
            let destination = Destination::Own(id.0, id.1);
            let held = HeldCall { interface, method, params: draft.held(), destination };
            self.route_held(conn, &target, held);
        }
        Ok((id, promise.map(|(promise, _)| Cap::Promise(promise))))
    }

    /// The same later, when `release` says so: the call is written now.
    pub(crate) fn hold_call(
        &mut self,
        conn: &ArcConn,
        outline: &Outline<'_>,
        fill: &mut Fill<'_>,
        waiter: Waiter,
    ) -> Result<(CallId, HeldCall)> {
        let id = self.rpc.questions.add(waiter);
        match self.write_call(conn, id.0, outline, fill) {
            Ok(mut draft) => {
                if let Some(question) = self.rpc.questions.get(id) {
                    question.busy = draft.busy.take();
                }
                let (interface, method) = (outline.interface, outline.method);
                let destination = Destination::Own(id.0, id.1);
                Ok((id, HeldCall { interface, method, params: draft.held(), destination }))
            }
            Err(error) => {
                self.rpc.questions.remove(id);
                Err(error)
            }
        }
    }

    /// Asks for the peer's first object.
    pub(crate) fn ask_bootstrap(&mut self, waiter: Waiter) -> Cap {
        let id = self.rpc.questions.add(waiter);
        self.send(16, |root| root.init_bootstrap().set_question_id(id.0));
        if let Some(question) = self.rpc.questions.get(id) {
            question.sent = true;
        }
        let promise = self.promise_of(id, &[]);
        promise.state().target = Target::answer(id.0, Path::new());
        Cap::Promise(promise)
    }

    /// A promise of the capability at a path of a call's results.
    fn promise_of(&mut self, id: CallId, path: &[u16]) -> Arc<Promise> {
        let promise = Promise::new(Target::Here);
        if let Some(question) = self.rpc.questions.get(id) {
            question.promises.push((path.to_vec(), Arc::downgrade(&promise)));
        }
        promise
    }

    fn write_call(
        &mut self,
        conn: &ArcConn,
        id: u32,
        outline: &Outline<'_>,
        fill: &mut Fill<'_>,
    ) -> Result<Draft> {
        let mut message = new_message(64);
        let mut table = CapTable::new();
        let content = init_call(&mut message, &mut table, id, (outline.interface, outline.method));
        let mut cx = Encoder::new(conn, self, outline.caller).of_version(outline.version);
        catch_panic(|| fill(&mut cx, content))?;
        let (given, busy) = cx.finish();
        let caps = in_order(&table, given);
        Ok(Draft { message, caps, busy })
    }

    /// Sends a call that is written, to an object of the peer's.
    fn send_call(&mut self, id: CallId, target: &Cap, draft: Draft) -> Result<()> {
        let Draft { mut message, caps, busy } = draft;
        let exports = {
            let root: message::Builder<'_> = message.get_root().map_err(malformed)?;
            let Ok(message::Call(Ok(mut call))) = root.which() else {
                return Err(misbehaved("a call that is none"));
            };
            write_target(call.reborrow().init_target(), target);
            match caps.is_empty() {
                true => Vec::new(),
                false => self.describe_all(call.get_params().map_err(malformed)?, &caps),
            }
        };
        self.rpc.out.push(message);
        if let Some(question) = self.rpc.questions.get(id) {
            question.sent = true;
            question.exports = exports;
            if busy.is_some() {
                question.busy = busy;
            }
        }
        Ok(())
    }

    /// Passes a call on to the peer: one of the peer's own, or one of this side's that had waited.
    pub(super) fn forward(
        &mut self,
        target: &Cap,
        method: (u64, u16),
        content: &Content<'_>,
        destination: Destination,
    ) -> Result<()> {
        let id = match destination {
            Destination::Own(id, serial) => (id, serial),
            Destination::Peer(_) => self.rpc.questions.add(Waiter::Forward(destination)),
        };
        let mut message = new_message(64);
        let mut table = CapTable::new();
        let mut to = init_call(&mut message, &mut table, id.0, method);
        let copied = to.set_as::<capnp::any_pointer::Owned>(content.reader);
        let draft = Draft { message, caps: in_order(&table, content.caps.to_vec()), busy: None };
        if let Err(error) = copied.map_err(crate::codec::malformed) {
            if let Destination::Peer(_) = destination {
                self.rpc.questions.remove(id);
            }
            return Err(error);
        }
        self.send_call(id, target, draft)?;
        if let Destination::Peer(answer) = destination {
            self.rpc.answers.set_forwarded(answer, id);
        }
        Ok(())
    }

    // ---- what belongs to a call that is under way

    /// Whether the call has not returned.
    pub(crate) fn is_open(&mut self, id: CallId) -> bool {
        self.rpc.questions.get(id).is_some()
    }

    /// What ends the call if it is cancelled and the peer does not end it.
    pub(crate) fn set_interrupt(&mut self, id: CallId, interrupt: Interrupt) {
        if let Some(question) = self.rpc.questions.get(id) {
            question.interrupt = Some(interrupt);
        }
    }

    /// The call is served here: this fires when it is cancelled.
    pub(super) fn set_own_token(&mut self, id: CallId, token: &Arc<Token>) {
        if let Some(question) = self.rpc.questions.get(id) {
            question.token = Some(Arc::clone(token));
        }
    }

    /// Notes where a call waits, so that it can be taken back.
    pub(super) fn set_waits(&mut self, destination: Destination, promise: &Arc<Promise>) {
        match destination {
            Destination::Peer(id) => self.rpc.answers.set_waits(id, promise),
            Destination::Own(id, serial) => {
                if let Some(question) = self.rpc.questions.get((id, serial)) {
                    question.waits = Arc::downgrade(promise);
                }
            }
        }
    }

    /// Whether the call is still to be made.
    pub(super) fn is_wanted(&mut self, destination: Destination) -> bool {
        match destination {
            Destination::Peer(id) => self.rpc.answers.is_pending(id),
            Destination::Own(id, serial) => self.rpc.questions.get((id, serial)).is_some(),
        }
    }

    /// Forgets who waits for a call, and tells the peer. Returns what ends the call if the peer takes
    /// no notice.
    pub(crate) fn cancel_call(&mut self, id: CallId) -> Option<Interrupt> {
        let question = self.rpc.questions.get(id).filter(|question| !question.cancelled)?;
        let waiter = std::mem::replace(&mut question.waiter, Waiter::Nobody);
        let promises = std::mem::take(&mut question.promises);
        let (token, interrupt, sent) =
            (question.token.take(), question.interrupt.take(), question.sent);
        let (waits, taken) = (std::mem::take(&mut question.waits), question.taken);
        question.cancelled = true;
        if sent {
            self.send_finish(id.0, true);
        }
        if !sent || taken.is_some() {
            self.rpc.questions.remove(id);
        }
        if let Some(other) = taken {
            self.rpc.answers.take_back(other, id);
            self.give_up(other);
        }
        let unqueued = match waits.upgrade() {
            Some(promise) if !sent => promise.unqueue(Destination::Own(id.0, id.1)),
            _ => None,
        };
        if let Some((_held, Some(answer))) = unqueued {
            self.give_up(answer);
        }
        self.cancelled.extend(token);
        for (_, promise) in promises {
            if let Some(promise) = promise.upgrade() {
                self.resolve(&promise, Cap::broken(Error::Cancelled));
            }
        }
        // It may be the last to hold what is the user's.
        self.after.push(After::Run(Box::new(move || drop(waiter))));
        interrupt
    }

    pub(super) fn send_finish(&mut self, id: u32, release: bool) {
        self.send(16, |root| {
            let mut finish = root.init_finish();
            finish.set_question_id(id);
            finish.set_release_result_caps(release);
        });
    }
}
