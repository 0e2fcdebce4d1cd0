//! One engine, and a peer that sends anything: arbitrary bytes, and valid messages in arbitrary order.
//! The user of the engine answers, calls, cancels and releases at random.
//!
//! Checked: nothing panics; each call ends once; each object is released once; after the end no
//! references are left.

#![no_main]

use std::collections::{HashMap, HashSet};

use arbitrary::{Arbitrary, Unstructured};
use capnp::any_pointer_list;
use capnp_engine::{
    CallId, CallKind, CallOptions, Cap, Draft, Effect, Engine, Exception, Failure, Heap, Incoming,
    Limits, MessageView, Payload, Serving, cap_hook,
};
use capnp_rpc::rpc_capnp::accept;
use fuzzing::Message;
use libfuzzer_sys::fuzz_target;

/// The next step.
#[derive(Debug, Arbitrary)]
enum Step {
    Receive(Message),
    /// A message of arbitrary bytes.
    Bytes(Vec<u8>),
    Call {
        target: u8,
        cap: Option<u8>,
        pipeline: Option<bool>,
        kind: u8,
    },
    Bootstrap,
    Cancel(u8),
    Answer {
        call: u8,
        outcome: Outcome,
    },
    Object,
    Retain(u8),
    Release(u8),
    Handle(u8),
    Watch(u8),
    SetBootstrap(u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Outcome {
    Error,
    Nothing,
    Cap(u8),
    Two(u8, u8),
}

struct User {
    engine: Engine,
    caps: Vec<Cap>,
    handles: Vec<Cap>,
    serving: Vec<Serving>,
    calls: Vec<CallId>,
    /// The calls that are being served, by tag, and whether each was cancelled.
    open: HashMap<u64, bool>,
    tags: HashMap<CallId, u64>,
    begun: HashSet<u64>,
    objects: u64,
    released: HashSet<u64>,
    random: u64,
}

fn fill(
    caps: Vec<Cap>,
) -> impl FnOnce(capnp::any_pointer::Builder<'_>) -> Result<Vec<Option<Cap>>, capnp::Error> {
    move |to| {
        let mut to = to.init_as::<accept::Builder<'_>>();
        match caps.len() {
            0 => {}
            1 => to.reborrow().init_provision().set_as_capability(cap_hook(0)),
            count => {
                let list = to.init_provision().initn_as::<any_pointer_list::Builder<'_>>(2);
                (0..count).fold(list, |mut list, place| {
                    list.reborrow().get(place as u32).set_as_capability(cap_hook(place));
                    list
                });
            }
        }
        Ok(caps.into_iter().map(Some).collect())
    }
}

impl User {
    fn pick(&mut self, place: u8) -> Option<Cap> {
        let count = self.caps.len().max(1);
        self.caps.get(usize::from(place) % count).copied()
    }

    /// A capability, with an additional reference.
    fn share(&mut self, place: u8) -> Option<Cap> {
        let cap = self.pick(place)?;
        self.engine.retain(cap);
        Some(cap)
    }

    fn object(&mut self) -> Cap {
        self.objects += 1;
        self.engine.object(self.objects)
    }

    fn receive(&mut self, bytes: &[u8]) -> bool {
        let mut words = capnp::Word::allocate_zeroed_vec(bytes.len() / 8);
        let aligned = capnp::Word::words_to_bytes_mut(&mut words);
        let length = aligned.len();
        aligned.copy_from_slice(&bytes[..length]);
        let view = MessageView::new(aligned);
        let Ok(segments) = view.segments() else { return true };
        let message = Incoming::new(view, &segments);
        let result = self.engine.receive(&message);
        self.drain(Some(&message));
        result.is_ok()
    }

    fn call(&mut self, target: Cap, caps: Vec<Cap>, options: CallOptions) {
        let tag = options.tag;
        let draft = Draft::call(&Heap, (1, 0), fill(caps)).expect("it has room");
        if let Ok(called) = self.engine.call(target, draft, options) {
            self.caps.extend(called.promise);
            self.calls.push(called.call);
            self.open.insert(tag, false);
            self.tags.insert(called.call, tag);
        }
    }

    fn answer(&mut self, serving: Serving, outcome: Outcome) {
        let caps = match outcome {
            Outcome::Error => {
                return self.engine.answer(serving, Err(Exception::failed("no")));
            }
            Outcome::Nothing => Vec::new(),
            Outcome::Cap(cap) => self.share(cap).into_iter().collect(),
            Outcome::Two(one, two) => {
                [one, two].iter().filter_map(|cap| self.share(*cap)).collect()
            }
        };
        let draft = Draft::results(&Heap, serving, fill(caps)).expect("it has room");
        self.engine.answer(serving, Ok(draft));
    }

    fn take(&mut self, payload: Payload, current: Option<&Incoming<'_>>) {
        payload.with(current, |content| {
            if let Ok(content) = content {
                let _ = (content.cap_at(&[]), content.cap_at(&[0]), content.cap_at(&[0, 0]));
            }
        });
        self.caps.extend(payload.caps.into_iter().flatten());
    }

    fn drain(&mut self, current: Option<&Incoming<'_>>) {
        while let Some(effect) = self.engine.next_effect() {
            match effect {
                Effect::Write(message) => {
                    let words = capnp::serialize::write_message_to_words(&message);
                    assert!(words.len() >= 16);
                }
                Effect::Deliver(delivery) => {
                    assert!(!self.released.contains(&delivery.object), "called when it is gone");
                    self.take(delivery.params, current);
                    self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let random = (self.random >> 33) as u8;
                    match random % 4 {
                        0 => self.answer(delivery.call, Outcome::Cap(random / 4)),
                        1 => self.answer(delivery.call, Outcome::Error),
                        _ => {
                            let tag = self.begun.len() as u64;
                            self.engine.begin(delivery.call, tag);
                            self.begun.insert(tag);
                            self.serving.push(delivery.call);
                        }
                    }
                }
                Effect::Answered { tag, answer, .. } => {
                    assert_eq!(self.open.remove(&tag), Some(false), "one answer, and no cancel");
                    if let Ok(payload) = answer {
                        self.take(payload, current);
                    }
                }
                Effect::Over { tag } => {
                    assert_eq!(self.open.remove(&tag), Some(true), "over after a cancel, once");
                }
                Effect::Cancelled { tag } => assert!(self.begun.contains(&tag)),
                Effect::WriteWith(_) => panic!("nothing has a descriptor here"),
                Effect::Resolved { .. } | Effect::Refused { .. } => {}
                Effect::Released { object } => {
                    assert!(self.released.insert(object), "an object is released once");
                }
            }
        }
    }

    /// Runs a step. False at the end of the connection.
    fn step(&mut self, step: Step, number: u64) -> bool {
        match step {
            Step::Receive(message) => return self.receive(&message.to_words(1)),
            Step::Bytes(bytes) => return self.receive(&bytes),
            Step::Call { target, cap, pipeline, kind } => {
                let Some(target) = self.pick(target) else { return true };
                let caps = cap.and_then(|cap| self.share(cap)).into_iter().collect();
                let kind = match kind % 8 {
                    0 => CallKind::Destroy,
                    1 => CallKind::Interrupt,
                    _ => CallKind::Ordinary,
                };
                let pipeline = pipeline.map(|bare| if bare { vec![] } else { vec![0] });
                self.call(target, caps, CallOptions { tag: number, kind, pipeline, nested: 0 });
            }
            Step::Bootstrap => {
                if let Ok((call, cap)) = self.engine.ask_bootstrap(number) {
                    self.caps.push(cap);
                    self.calls.push(call);
                    self.open.insert(number, false);
                    self.tags.insert(call, number);
                }
            }
            Step::Cancel(place) => {
                let count = self.calls.len().max(1);
                if let Some(call) = self.calls.get(usize::from(place) % count).copied() {
                    if let Some(cancelled) = self.open.get_mut(&self.tags[&call]) {
                        *cancelled = true;
                    }
                    self.engine.cancel(call);
                }
            }
            Step::Answer { call, outcome } => {
                if !self.serving.is_empty() {
                    let place = usize::from(call) % self.serving.len();
                    let serving = self.serving.swap_remove(place);
                    self.answer(serving, outcome);
                }
            }
            Step::Object => {
                let object = self.object();
                self.caps.push(object);
            }
            Step::Retain(place) => {
                let cap = self.share(place);
                self.caps.extend(cap);
            }
            Step::Release(place) => {
                if !self.caps.is_empty() {
                    let cap = self.caps.swap_remove(usize::from(place) % self.caps.len());
                    self.engine.release(cap);
                }
            }
            Step::Handle(place) if self.handles.len() > 4 => {
                let cap = self.handles.swap_remove(usize::from(place) % self.handles.len());
                let _ = self.engine.is_last_handle(cap);
                self.engine.drop_handle(cap);
            }
            Step::Handle(place) => {
                if let Some(cap) = self.share(place) {
                    self.engine.add_handle(cap);
                    self.handles.push(cap);
                    let _ = (self.engine.state(cap), self.engine.in_flight(cap));
                }
            }
            Step::Watch(place) => {
                if let Some(cap) = self.pick(place) {
                    self.engine.watch(cap, 0);
                }
            }
            Step::SetBootstrap(place) => {
                if let Some(cap) = self.share(place) {
                    self.engine.set_bootstrap(cap);
                }
            }
        }
        self.drain(None);
        true
    }

    fn end(mut self, release: bool) {
        if release {
            for cap in std::mem::take(&mut self.caps) {
                self.engine.release(cap);
            }
            for cap in std::mem::take(&mut self.handles) {
                self.engine.drop_handle(cap);
            }
            self.drain(None);
        }
        self.engine.end(Failure::Cancelled);
        self.drain(None);
        assert!(self.engine.sizes().is_empty(), "{:?}", self.engine.sizes());
        assert!(self.open.is_empty(), "calls without an end: {:?}", self.open);
        assert_eq!(self.released.len() as u64, self.objects, "every object is released");
        // Using the names of calls that are still kept has no effect.
        for serving in std::mem::take(&mut self.serving) {
            self.answer(serving, Outcome::Two(0, 1));
        }
        for cap in std::mem::take(&mut self.caps) {
            self.call(cap, vec![cap], CallOptions::default());
            self.engine.release(cap);
        }
        self.drain(None);
        assert!(self.engine.sizes().is_empty(), "{:?}", self.engine.sizes());
    }
}

fn run(data: &[u8]) -> arbitrary::Result<()> {
    let mut data = Unstructured::new(data);
    let limits = Limits { unanswered: 6, unfinished: 12, bytes: 4096, objects: 12, message: 2048, capabilities: 5, descriptors: 2, held_descriptors: 4 };
    let mut user = User {
        engine: Engine::new(&Heap, limits),
        caps: Vec::new(),
        handles: Vec::new(),
        serving: Vec::new(),
        calls: Vec::new(),
        open: HashMap::new(),
        tags: HashMap::new(),
        begun: HashSet::new(),
        objects: 0,
        released: HashSet::new(),
        random: data.arbitrary()?,
    };
    let object = user.object();
    user.engine.retain(object);
    user.caps.push(object);
    user.engine.set_bootstrap(object);
    let release = data.arbitrary()?;
    for number in 0..200 {
        if data.is_empty() {
            break;
        }
        let Ok(step) = data.arbitrary() else { break };
        if !user.step(step, number) {
            break;
        }
    }
    user.end(release);
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(data);
});
