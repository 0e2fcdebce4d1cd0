//! The engine against the crate capnp-rpc.
//!
//! Random programs have both sides call each other: with capabilities in parameters and results, on
//! results that are not there yet, on promises that are resolved later, back and forth; they cancel,
//! fail, let go, and end the connection. Each message arrives when the program says so, so that the
//! two sides see things in all kinds of order. What each call returns and where it arrives does not
//! depend on that: a plain model predicts it (`model`).
//!
//! All of it is in memory, on one thread, and follows from a seed. A failure prints that: run it again
//! with `CAPNP_ENGINE_SEED`. `CAPNP_ENGINE_STEPS` says how much is done altogether.
//!
//! # What programs leave out, as capnp-rpc 0.27.3 can't do it
//!
//! - A promise that is resolved to itself: it panics.
//! - Answers on answers, hundreds deep: it recurses, and overflows the stack. Programs are short.
//! - A call that was cancelled while it was served does not return, and its number is lost. The engine
//!   waits for the Return until the end; the test counts these calls.
//! - After a tail call the number of the first call is lost, too, and it would take the next call of
//!   that number for a fault of the caller's. Tail calls come last in a program. Nothing can be called
//!   on the results of one, before they are there.

mod engine_side;
mod model;
mod rpc_side;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use capnp::message::ReaderOptions;

use crate::model::Random;
use crate::world::{Ending, World};

const INTERFACE: u64 = 0xd1ff_e7e4_7a1c_0de5;
/// The first object of the engine's side and of the other.
const BOOTSTRAP: [u32; 2] = [0, 1];

fn limits() -> ReaderOptions {
    ReaderOptions::new()
}

fn run(seed: u64, told: bool) -> usize {
    let mut random = Random(seed);
    let steps = 10 + random.below(120);
    let ending = match random.below(12) {
        0 => Ending::Engine { abort: true },
        1 => Ending::Engine { abort: false },
        2 => Ending::Rpc { orderly: true },
        3 => Ending::Rpc { orderly: false },
        4 | 5 => Ending::TailCalls,
        _ => Ending::Orderly,
    };
    let mut world = World::new(random.next());
    world.told = told;
    for _ in 0..steps {
        world.step();
    }
    world.end(ending);
    steps
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn programs_end_as_predicted() {
    if let Some(seed) = variable("CAPNP_ENGINE_SEED") {
        run(seed, true);
        return;
    }
    let all = variable("CAPNP_ENGINE_STEPS").unwrap_or(100_000) as usize;
    let (mut seed, mut steps) = (0, 0);
    while steps < all {
        seed += 1;
        match catch_unwind(AssertUnwindSafe(|| run(seed, false))) {
            Ok(count) => steps += count,
            Err(panic) => {
                eprintln!("program {seed}: run it again with CAPNP_ENGINE_SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
    println!("{seed} programs of {steps} steps");
}
