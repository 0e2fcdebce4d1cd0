//! Two engines, connected by streams, take random steps and are compared with a model (`model`).
//!
//! The variable `CAPNP_ENGINE_STEPS` sets the number of steps, `CAPNP_ENGINE_SEED` the seed, which
//! a failure prints. `CAPNP_ENGINE_LENGTH` limits the length of an episode, so that failures are
//! short. Each episode has a seed of its own, so that a failed episode comes first when its seed is
//! given.

mod calls;
mod checks;
mod content;
mod count;
mod ending;
mod habits;
mod model;
mod ops;
mod rng;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use count::{Counts, EXPECTED};
use rng::Rng;
use world::World;

const STEPS: u64 = 1_000_000;
/// The number of log lines that are printed.
const TAIL: usize = 200;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is to be a number")))
}

/// The number of steps of an episode: mostly few, so that failures are short.
fn length(seed: u64) -> u64 {
    if let Some(most) = variable("CAPNP_ENGINE_LENGTH") {
        return most;
    }
    let mut rng = Rng::new(!seed);
    let most = [20, 100, 400, 2000][rng.below(4)];
    rng.below(most) as u64
}

fn episode(world: &mut World<'_>, steps: u64) {
    for _ in 0..steps {
        world.step();
    }
    world.check_refs();
    if world.rng.one_in(2) {
        world.quiet();
    }
    world.disconnect();
}

#[test]
fn two_engines_agree_with_the_model() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let first = variable("CAPNP_ENGINE_SEED").unwrap_or(now % 1_000_000_000_000);
    let wanted = variable("CAPNP_ENGINE_STEPS").unwrap_or(STEPS);
    println!("CAPNP_ENGINE_SEED={first} CAPNP_ENGINE_STEPS={wanted}");
    let mut counts = Counts::default();
    let (mut seed, mut steps) = (first, 0);
    while steps < wanted {
        let length = length(seed);
        let run = |counts: &mut Counts, log| {
            let mut world = World::new(seed, counts, log);
            let result = catch_unwind(AssertUnwindSafe(|| episode(&mut world, length)));
            (result, world.log)
        };
        if run(&mut counts, false).0.is_err() {
            // Once more, with a log.
            let (result, log) = run(&mut counts, true);
            let log = log.unwrap_or_default();
            for line in &log[log.len().saturating_sub(TAIL)..] {
                println!("{line}");
            }
            println!("CAPNP_ENGINE_SEED={seed} fails within {length} steps");
            match result {
                Err(panic) => resume_unwind(panic),
                Ok(()) => panic!("it failed, and not when it was repeated"),
            }
        }
        steps += length.max(1);
        seed += 1;
    }
    counts.print();
    if wanted >= 1_000_000 && variable("CAPNP_ENGINE_LENGTH").is_none() {
        for kind in EXPECTED {
            assert!(counts.get(kind) > 0, "there was no {kind}");
        }
    }
}
