//! Sixteen threads that use four connections in every way, at random, and end them meanwhile. Each call
//! must end, with the right value or with an error that is possible at that time. At the end every
//! object that was made must be gone.
//!
//! `MULTIPROCESS_STRESS_SEED=N` repeats the choices of a run that failed, which says its seed;
//! `MULTIPROCESS_STRESS_STEPS=N` is how much each thread does.

mod calls;
mod objects;
mod world;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use multiprocess_tests::{Dice, wait_until};

use crate::{alone, count, descriptors, settled_descriptors, threads};
use world::{Actor, CallersRead, World};

const THREADS: usize = 16;
/// They take some seconds without optimization.
const STEPS: usize = 250;
const LONG: Duration = Duration::from_secs(60);

const STEPS_VARIABLE: &str = "MULTIPROCESS_STRESS_STEPS";
const SEED_VARIABLE: &str = "MULTIPROCESS_STRESS_SEED";

/// One thing that a thread may do, with its name.
type Step = (&'static str, fn(&mut Actor));

const CHOICES: &[Step] = &[
    ("mapped call", calls::mapped),
    ("inline call", calls::inline),
    ("awaited call", calls::awaited),
    ("calls in flight", calls::in_flight),
    ("futures at once", calls::joined),
    ("pipelined calls", calls::pipelined),
    ("errors", calls::errors),
    ("callbacks", calls::callbacks),
    ("callbacks that do something", calls::busy_callbacks),
    ("timeouts", calls::timeouts),
    ("dropped calls", calls::dropped),
    ("large data", calls::large),
    ("a thread of its own", calls::on_threads),
    ("make an object", objects::make),
    ("use an object", objects::use_one),
    ("clone and drop handles", objects::clone_and_drop),
    ("close an object", objects::close),
    ("an object of one peer for another", objects::third_party),
    ("a callback that is kept", objects::keep),
    ("disconnect", objects::disconnect),
    ("drop everything", objects::drop_everything),
];

#[test]
fn everything_at_once_while_callers_read() {
    run("while callers read", [CallersRead { calling: true, serving: true }; 4]);
}

#[test]
fn everything_at_once_while_the_driver_reads() {
    run("while the driver reads", [CallersRead { calling: false, serving: false }; 4]);
}

#[test]
fn everything_at_once_while_each_side_reads_in_its_own_way() {
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    run(
        "each side in its own way",
        ways.map(|(calling, serving)| CallersRead { calling, serving }),
    );
}

fn run(name: &str, callers_read: [CallersRead; 4]) {
    let _alone = alone();
    let before = (threads().len(), settled_descriptors());
    let seed = Dice::seed(SEED_VARIABLE);
    let steps =
        std::env::var(STEPS_VARIABLE).map_or(STEPS, |steps| steps.parse().expect("a number"));
    let repeat = format!("{SEED_VARIABLE}={seed} {STEPS_VARIABLE}={steps}, {name}");
    println!("{repeat}");

    let world = World::new(repeat, THREADS, callers_read);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let world = &world;
            thread::Builder::new()
                .name(format!("stress-{number}"))
                .spawn_scoped(scope, move || one_thread(world, seed, number, steps))
                .expect("a thread");
        }
    });
    world.watchdog.assert_right();
    println!("{} connections were ended", world.connections().saturating_sub(callers_read.len()));
    finish(world, seed);

    wait_until("as many threads as before", || threads().len() <= before.0);
    wait_until("the pool is idle", || count("mp-pool") == 0);
    wait_until("as many descriptors as before", || descriptors() <= before.1);
}

fn one_thread(world: &Arc<World>, seed: u64, number: usize, steps: usize) {
    let mut actor = Actor::new(world, number);
    for step in 0..steps {
        let mut dice = Dice::of(seed, number, step);
        let (name, run) = CHOICES[dice.index(CHOICES.len())];
        world.watchdog.at(number, format!("step {step}: {name}"));
        actor.begin(step, name, dice);
        run(&mut actor);
        // Stops after the first wrong answer, because consequences would only hide it.
        if world.watchdog.went_wrong() {
            break;
        }
    }
    drop(actor);
    world.watchdog.at(number, "has ended");
}

/// Drops all connections, half of them by a disconnect, and waits until all objects are gone.
fn finish(world: Arc<World>, seed: u64) {
    let mut dice = Dice::of(seed, THREADS, 0);
    for link in world.take_links() {
        if !link.is_doomed() {
            link.pair.assert_alive();
            wait_until("no call is served", || link.pair.server.blocked() == 0);
        }
        if dice.one_in(2) {
            link.end(dice.number());
            assert!(link.pair.serving.drain(LONG));
            assert!(link.pair.calling.drain(LONG));
        }
    }
    world.watchdog.progress();
    wait_until("all objects of ended connections have gone", || {
        world.settle();
        world.unsettled() == 0
    });
    world.watchdog.progress();
    wait_until("all callbacks and hooks have gone", || world.ledger.is_balanced());
    world.watchdog.assert_right();
}
