//! The engine's side: objects and calls around an engine.
//!
//! `testing/engine-differential` has this and the model, too.

use std::collections::{HashMap, VecDeque};

use capnp_engine::{
    CallId, CallOptions, Cap, Delivery, Draft, Effect, Engine, Exception, Failure, Fatal, Heap,
    Incoming, Limits, MessageView, Payload, Serving,
};
use capnp_rpc::rpc_capnp::accept;

use crate::model::{METHODS, Method, NESTED, Outcome, Shared, Side, error, made, value};
use crate::{BOOTSTRAP, INTERFACE};

/// The purpose of a call of this side.
enum Purpose {
    /// The program's, by its number.
    Program(u32),
    /// To answer this call with the results.
    Callback(Serving),
    /// Its results are a promise that this side gives to the peer.
    Promise,
    Bootstrap,
    /// Not part of a program: a command to the other side.
    Command,
}

/// A call that waits for the program.
struct Slow {
    call: Serving,
    object: u32,
    method: Method,
    cap: Option<Cap>,
}

pub(crate) struct EngineSide {
    pub(crate) engine: Engine,
    log: Shared,
    /// Messages for the other side.
    pub(crate) out: VecDeque<Vec<u8>>,
    purposes: HashMap<u64, Purpose>,
    next_tag: u64,
    calls: HashMap<u32, CallId>,
    slow: HashMap<u32, Slow>,
    promises: HashMap<u32, Serving>,
    /// Capabilities that were received: with which call, and whether as its parameter.
    pub(crate) inbox: Vec<(u32, bool, Cap)>,
    /// The number of pending requests to be told when a promise resolves.
    pub(crate) watched: i64,
    factory: Option<Cap>,
    pub(crate) ended: bool,
    /// The answers of commands.
    pub(crate) done: Vec<(u64, Result<String, Failure>)>,
}

/// The key of the object that makes this side's promises: its results are called before they
/// return.
const FACTORY: u64 = u64::MAX;

fn draft(call: Option<Serving>, method: Method, number: u32, cap: Option<Cap>) -> Draft {
    let fill = |to: capnp::any_pointer::Builder<'_>| {
        let mut to = to.init_as::<accept::Builder<'_>>();
        to.set_question_id(number);
        if cap.is_some() {
            to.init_provision().set_as_capability(capnp_engine::cap_hook(0));
        }
        Ok::<_, capnp::Error>(cap.map(Some).into_iter().collect())
    };
    match call {
        Some(call) => Draft::results(&Heap, call, fill).unwrap(),
        None => Draft::call(&Heap, (INTERFACE, method as u16), fill).unwrap(),
    }
}

impl EngineSide {
    pub(crate) fn new(log: &Shared) -> EngineSide {
        let mut side = EngineSide {
            engine: Engine::new(&Heap, Limits::default()),
            log: log.clone(),
            out: VecDeque::new(),
            purposes: HashMap::new(),
            next_tag: 0,
            calls: HashMap::new(),
            slow: HashMap::new(),
            promises: HashMap::new(),
            inbox: Vec::new(),
            watched: 0,
            factory: None,
            ended: false,
            done: Vec::new(),
        };
        let bootstrap = side.object(BOOTSTRAP[0]);
        side.engine.set_bootstrap(bootstrap);
        side.factory = Some(side.engine.object(FACTORY));
        side
    }

    pub(crate) fn object(&mut self, id: u32) -> Cap {
        self.log.borrow_mut().created[Side::Engine as usize] += 1;
        self.engine.object(u64::from(id))
    }

    fn tag(&mut self, purpose: Purpose) -> u64 {
        self.next_tag += 1;
        self.purposes.insert(self.next_tag, purpose);
        self.next_tag
    }

    pub(crate) fn bootstrap(&mut self) -> Cap {
        let tag = self.tag(Purpose::Bootstrap);
        let (_, cap) = self.engine.ask_bootstrap(tag).unwrap();
        self.drain(None);
        cap
    }

    /// Makes a call of the program. Returns the promise of the capability in its results.
    pub(crate) fn call(
        &mut self,
        target: Cap,
        method: Method,
        number: u32,
        cap: Option<Cap>,
        pipeline: bool,
    ) -> Option<Cap> {
        if let Some(cap) = cap {
            self.engine.retain(cap);
        }
        let draft = draft(None, method, number, cap);
        let tag = self.tag(Purpose::Program(number));
        let pipeline = pipeline.then(|| vec![0]);
        let options = CallOptions { tag, pipeline, ..CallOptions::default() };
        let called = self.engine.call(target, draft, options).unwrap();
        self.calls.insert(number, called.call);
        self.drain(None);
        called.promise
    }

    /// Sends the other side a command, by a method of all its objects. The answer comes under the
    /// number that is returned.
    pub(crate) fn command(&mut self, target: Cap, text: &str) -> u64 {
        let tag = self.tag(Purpose::Command);
        let draft = Draft::call(&Heap, (INTERFACE, METHODS.len() as u16), |to| {
            let to = to.init_as::<accept::Builder<'_>>();
            to.init_provision().set_as(text)?;
            Ok::<_, capnp::Error>(Vec::new())
        });
        let options = CallOptions { tag, ..CallOptions::default() };
        self.engine.call(target, draft.unwrap(), options).unwrap();
        self.drain(None);
        tag
    }

    /// Returns false if it has its answer already.
    pub(crate) fn cancel(&mut self, call: u32) -> bool {
        let Some(call) = self.calls.remove(&call) else { return false };
        let open = self.engine.is_open(call);
        self.engine.cancel(call);
        self.drain(None);
        open
    }

    pub(crate) fn release(&mut self, cap: Cap) {
        self.engine.release(cap);
        self.drain(None);
    }

    pub(crate) fn watch(&mut self, cap: Cap) {
        self.watched += i64::from(self.engine.watch(cap, 0));
        self.drain(None);
    }

    /// Resumes a call that waits for the program.
    pub(crate) fn wake(&mut self, call: u32) {
        if let Some(slow) = self.slow.remove(&call) {
            let Slow { call: serving, object, method, cap } = slow;
            self.answer(serving, object, method, call, cap);
            self.drain(None);
        }
    }

    pub(crate) fn resolve(&mut self, promise: u32, to: Result<Cap, u32>) {
        let Some(serving) = self.promises.remove(&promise) else { return };
        let outcome = match to {
            Ok(cap) => {
                self.engine.retain(cap);
                Ok(draft(Some(serving), Method::Echo, promise, Some(cap)))
            }
            Err(call) => Err(exception(call)),
        };
        self.engine.answer(serving, outcome);
        self.drain(None);
    }

    pub(crate) fn receive(&mut self, message: &[capnp::Word]) -> Result<(), Fatal> {
        let bytes = capnp::Word::words_to_bytes(message);
        let view = MessageView::new(bytes);
        let segments = view.segments().unwrap();
        let message = Incoming::new(view, &segments);
        let result = self.engine.receive(&message);
        self.drain(Some(&message));
        result
    }

    pub(crate) fn end(&mut self, reason: &str, abort: bool) {
        if abort {
            self.engine.abort(&Exception::failed(reason));
        }
        self.engine.end(Failure::from(Exception::failed(reason)));
        self.ended = true;
        self.drain(None);
    }

    /// Releases everything that this side holds apart from the program's handles.
    pub(crate) fn let_go(&mut self) {
        for (_, _, cap) in std::mem::take(&mut self.inbox) {
            self.engine.release(cap);
        }
        self.engine.release(self.factory.take().unwrap());
        self.drain(None);
    }

    fn drain(&mut self, current: Option<&Incoming<'_>>) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Write(message) => {
                    self.out.push_back(capnp::serialize::write_message_to_words(&message));
                }
                Effect::Deliver(delivery) => self.deliver(delivery, current),
                Effect::Answered { tag, answer, .. } => self.answered(tag, answer, current),
                Effect::Over { tag } => match self.purposes.remove(&tag) {
                    Some(Purpose::Program(call)) => {
                        assert!(self.log.borrow_mut().over.insert(call), "{call} is over twice");
                    }
                    _ => panic!("a call is over that was not cancelled"),
                },
                Effect::Cancelled { tag } => {
                    if let Some(slow) = self.slow.remove(&(tag as u32)) {
                        self.engine.release_all([slow.cap]);
                        self.engine.answer(slow.call, Err(Exception::failed("cancelled")));
                    }
                }
                Effect::Resolved { .. } => self.watched -= 1,
                Effect::WriteWith(_) => panic!("nothing has a descriptor here"),
                Effect::Refused { limit, .. } => panic!("{limit:?} is not reached here"),
                Effect::Released { object: FACTORY } => {}
                Effect::Released { .. } => {
                    self.log.borrow_mut().released[Side::Engine as usize] += 1
                }
            }
        }
    }

    /// The number and the capability of parameters or results, the latter with a reference.
    fn read(&mut self, payload: Payload, current: Option<&Incoming<'_>>) -> (u32, Option<Cap>) {
        let (number, cap) = payload.with(current, |content| {
            let content = content.unwrap();
            let cap = content.cap_at(&[0]).unwrap();
            let content: accept::Reader<'_> = content.reader.get_as().unwrap();
            (content.get_question_id(), cap)
        });
        if let Some(cap) = cap {
            self.engine.retain(cap);
        }
        self.engine.release_all(payload.caps);
        (number, cap)
    }

    fn deliver(&mut self, delivery: Delivery, current: Option<&Incoming<'_>>) {
        let Delivery { object, call: serving, interface, method, params } = delivery;
        assert_eq!(interface, INTERFACE);
        let (call, cap) = self.read(params, current);
        if object == FACTORY {
            self.promises.insert(call, serving);
            return;
        }
        let (object, method) = (object as u32, METHODS[usize::from(method)]);
        self.log.borrow_mut().delivered.push((object, call));
        match method {
            Method::Slow | Method::SlowFail => {
                self.engine.begin(serving, u64::from(call));
                self.log.borrow_mut().slow.push((Side::Engine, call));
                self.slow.insert(call, Slow { call: serving, object, method, cap });
            }
            Method::Callback | Method::Tail => {
                let cap = cap.unwrap();
                let tag = self.tag(Purpose::Callback(serving));
                let draft = draft(None, Method::Echo, call | NESTED, None);
                let options = CallOptions { tag, ..CallOptions::default() };
                if let Err(failure) = self.engine.call(cap, draft, options) {
                    panic!("call {call}: {failure}");
                }
                self.engine.release(cap);
            }
            _ => self.answer(serving, object, method, call, cap),
        }
    }

    fn answer(
        &mut self,
        serving: Serving,
        object: u32,
        method: Method,
        call: u32,
        cap: Option<Cap>,
    ) {
        let cap = match method {
            Method::Fail | Method::SlowFail => {
                return self.engine.answer(serving, Err(exception(call)));
            }
            Method::Hold => {
                self.inbox.extend(cap.map(|cap| (call, true, cap)));
                None
            }
            Method::Make => Some(self.object(made(object, call))),
            Method::Promise => {
                self.log.borrow_mut().promises.push((Side::Engine, call));
                let (tag, factory) = (self.tag(Purpose::Promise), self.factory.unwrap());
                let pipeline = Some(vec![0]);
                let options = CallOptions { tag, pipeline, ..CallOptions::default() };
                let draft = draft(None, Method::Echo, call, None);
                self.engine.call(factory, draft, options).unwrap().promise
            }
            _ => cap,
        };
        let results = draft(Some(serving), method, value(object, call), cap);
        self.engine.answer(serving, Ok(results));
    }

    fn answered(
        &mut self,
        tag: u64,
        answer: Result<Payload, Failure>,
        current: Option<&Incoming<'_>>,
    ) {
        let purpose = self.purposes.remove(&tag).expect("a call is answered once");
        if matches!(purpose, Purpose::Bootstrap) {
            return answer.map_or((), |payload| self.engine.release_all(payload.caps));
        }
        if matches!(purpose, Purpose::Command) {
            let text = answer.map(|payload| {
                payload.with(current, |content| {
                    let content: accept::Reader<'_> = content.unwrap().reader.get_as().unwrap();
                    let text: capnp::text::Reader<'_> = content.get_provision().get_as().unwrap();
                    text.to_string().unwrap()
                })
            });
            return self.done.push((tag, text));
        }
        let answer = answer.map(|payload| self.read(payload, current));
        match purpose {
            Purpose::Program(call) => {
                self.calls.remove(&call);
                let outcome = match answer {
                    Ok((number, cap)) => {
                        self.inbox.extend(cap.map(|cap| (call, false, cap)));
                        Outcome::Value(number, cap.is_some())
                    }
                    Err(Failure::Exception(error)) => {
                        Outcome::Error(error.kind, without_prefix(&error.reason))
                    }
                    Err(other) => Outcome::Error(
                        capnp_engine::ExceptionKind::Failed,
                        without_prefix(&other.to_string()),
                    ),
                };
                self.log.borrow_mut().answer(call, outcome);
            }
            Purpose::Callback(serving) => {
                let outcome = match answer {
                    Ok((number, cap)) => Ok(draft(Some(serving), Method::Echo, number, cap)),
                    Err(Failure::Exception(error)) => Err((*error).clone()),
                    Err(other) => Err(Exception::failed(other.to_string())),
                };
                self.engine.answer(serving, outcome);
            }
            Purpose::Promise | Purpose::Bootstrap | Purpose::Command => {
                if let Ok((_, Some(cap))) = answer {
                    self.engine.release(cap);
                }
            }
        }
    }
}

fn exception(call: u32) -> Exception {
    let (kind, text) = error(call);
    Exception::new(kind, text)
}

/// capnp-rpc adds this prefix to an error's text each time that it comes from a peer.
pub(crate) fn without_prefix(mut text: &str) -> String {
    while let Some(rest) = text.strip_prefix("remote exception: ") {
        text = rest;
    }
    text.to_owned()
}
