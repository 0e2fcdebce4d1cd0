//! The cost of a call and its answer in memory, without a stream: the engine alone.
//!
//! `cargo bench -p capnp-engine`. Each figure is the best of many short rounds, for the caller's side and
//! the serving side together; half of it is printed as the figure for one side.

use std::hint::black_box;
use std::time::{Duration, Instant};

use capnp_engine::{
    CallOptions, Cap, Draft, Effect, Engine, Heap, Incoming, Limits, Message, MessageView, Pool,
    SharedMessage, cap_hook, first_word, reader_options,
};

const ROUNDS: usize = 400;
const CALLS: u32 = 1000;

/// Memory that is used again, as a user with a stream would do it.
struct Reused;

thread_local! {
    static SPARE: std::cell::RefCell<Vec<Vec<u64>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Pool for Reused {
    fn take(&self, words: usize, _overwritten: usize) -> Vec<u64> {
        let spare = SPARE.with_borrow_mut(|spare| match spare.last() {
            Some(last) if last.len() >= words => spare.pop(),
            _ => None,
        });
        spare.unwrap_or_else(|| vec![0; words])
    }

    fn give(&self, mut segment: Vec<u64>, used: usize) {
        segment[..used].fill(0);
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < 8 {
                spare.push(segment);
            }
        });
    }
}

/// Both sides, and the bytes of the message that is on its way.
struct Pair {
    sides: [Engine; 2],
    bytes: Vec<u8>,
    pool: &'static dyn Pool,
    /// The answers have a capability.
    with_cap: bool,
    answers: u32,
}

impl Pair {
    fn new(pool: &'static dyn Pool, with_cap: bool) -> (Pair, Cap) {
        let mut sides = [0; 2].map(|_| Engine::new(pool, Limits::default()));
        let object = sides[1].object(7);
        sides[1].set_bootstrap(object);
        let (_, promise) = sides[0].ask_bootstrap(0).expect("it is open");
        let mut pair = Pair { sides, bytes: Vec::new(), pool, with_cap, answers: 0 };
        pair.run(0);
        (pair, promise)
    }

    /// Carries out a side's effects until there are none.
    fn run(&mut self, side: usize) {
        while let Some(effect) = self.sides[side].next_effect() {
            match effect {
                Effect::Write(message) => self.pass(1 - side, &message),
                Effect::Answered { answer, .. } => {
                    let answer = answer.expect("results");
                    self.sides[side].release_all(answer.caps);
                    self.answers += 1;
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, to: usize, message: &Message) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.reserve(message.size_in_words() * 8 + 64);
        let start = first_word(&bytes);
        bytes.resize(start, 0);
        capnp::serialize::write_message(&mut bytes, message).expect("a Vec takes all");
        let view = MessageView::new(&bytes[start..]);
        let segments = view.segments().expect("well-formed");
        let incoming = Incoming::new(view, &segments);
        self.sides[to].receive(&incoming).expect("honest");
        while let Some(effect) = self.sides[to].next_effect() {
            match effect {
                Effect::Write(message) => {
                    let keep = std::mem::take(&mut self.bytes);
                    self.pass(1 - to, &message);
                    self.bytes = keep;
                }
                Effect::Deliver(call) => {
                    let number = call.params.with(Some(&incoming), |content| {
                        let text: capnp::text::Reader<'_> = content?.reader.get_as()?;
                        Ok::<_, capnp::Error>(text.len())
                    });
                    black_box(number.expect("a text"));
                    let cap = self.with_cap.then(|| self.sides[to].object(8));
                    let draft = Draft::results(self.pool, call.call, |mut results| {
                        match cap {
                            Some(_) => results.set_as_capability(cap_hook(0)),
                            None => results.set_as::<capnp::text::Owned>("an answer")?,
                        }
                        Ok::<_, capnp::Error>(cap.into_iter().map(Some).collect())
                    });
                    self.sides[to].answer(call.call, Ok(draft.expect("it is written")));
                }
                Effect::Answered { answer, .. } => {
                    let answer = answer.expect("results");
                    self.sides[to].release_all(answer.caps);
                    self.answers += 1;
                }
                _ => {}
            }
        }
        self.bytes = bytes;
    }

    fn call(&mut self, target: Cap) {
        let draft = Draft::call(self.pool, (0x1234, 0), |mut params| {
            params.set_as::<capnp::text::Owned>("some parameters")?;
            Ok::<_, capnp::Error>(Vec::new())
        });
        let options = CallOptions { tag: 1, ..CallOptions::default() };
        self.sides[0].call(target, draft.expect("it is written"), options).expect("it is open");
        self.run(0);
    }
}

fn best(mut round: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn print(name: &str, time: Duration, sides: u32) {
    let each = time.as_nanos() as f64 / f64::from(CALLS);
    println!("{name:44} {each:8.0} ns, {:6.0} ns a side", each / f64::from(sides));
}

fn main() {
    for (name, pool) in [("heap", &Heap as &'static dyn Pool), ("memory used again", &Reused)] {
        for (what, with_cap) in
            [("a call and its answer", false), ("with an object returned", true)]
        {
            let (mut pair, target) = Pair::new(pool, with_cap);
            let time = best(|| (0..CALLS).for_each(|_| pair.call(target)));
            assert_eq!(pair.answers, 1 + ROUNDS as u32 * CALLS);
            print(&format!("{what}, {name}"), time, 2);
        }
    }
    messages(&Reused);
}

/// capnp's share of the cost: writes and reads the two messages without an engine.
fn messages(pool: &'static dyn Pool) {
    let time = best(|| {
        for _ in 0..CALLS {
            for _ in 0..2 {
                let mut message = capnp_engine::new_message(pool, 64);
                let root: capnp_rpc::rpc_capnp::message::Builder<'_> = message.init_root();
                let mut call = root.init_call();
                call.reborrow().init_target().set_imported_cap(0);
                let mut content = call.init_params().get_content();
                content.set_as::<capnp::text::Owned>("some parameters").expect("there is room");
                let mut bytes = Vec::with_capacity(message.size_in_words() * 8 + 16);
                capnp::serialize::write_message(&mut bytes, &message).expect("a Vec takes all");
                let message = SharedMessage::new(bytes, 0, None);
                let reader = message.view().parse(reader_options(message.bytes().len()));
                let reader = reader.expect("well-formed");
                let root = reader.get_root::<capnp_rpc::rpc_capnp::message::Reader<'_>>();
                black_box(root.is_ok_and(|root| root.which().is_ok()));
            }
        }
    });
    print("two messages written and read, and no engine", time, 2);
}
