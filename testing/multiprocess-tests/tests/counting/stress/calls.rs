//! Calls of all kinds, and their possible outcomes.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::{Either, join_all, select};
use multiprocess::{Call, Error};
use multiprocess_tests::generated::lab::CallbackClient;

use super::world::{Actor, Link, World};

const LARGEST: usize = 1 << 20;

pub(super) fn mapped(actor: &mut Actor) {
    let (link, a) = (actor.link(), actor.dice.roll(1000) as i32);
    actor.check(&link, link.pair.lab.add(a, 7).wait(), |sum| *sum == a + 7);
}

pub(super) fn inline(actor: &mut Actor) {
    let (link, a) = (actor.link(), actor.dice.roll(1000) as i32);
    for b in 0..actor.dice.roll(5) as i32 {
        actor.check(&link, link.pair.lab.add_inline(a, b).wait(), |sum| *sum == a + b);
    }
}

pub(super) fn awaited(actor: &mut Actor) {
    let (link, a) = (actor.link(), actor.dice.roll(1000) as i32);
    actor.check(&link, block_on(link.pair.lab.add(a, 7)), |sum| *sum == a + 7);
    actor.check(&link, block_on(link.pair.lab.add_inline(a, 8)), |sum| *sum == a + 8);
}

/// One of several calls that return a sum.
fn sum(actor: &mut Actor, link: &Link, a: i32, b: i32) -> Call<i32> {
    match actor.dice.roll(3) {
        0 => link.pair.lab.add_inline(a, b),
        1 => {
            let counted = actor.world.callback(|_, depth| Ok(depth));
            // The callback gets one less than the sum and returns it; the lab adds one.
            link.pair.lab.call_back(counted, a + b)
        }
        _ => link.pair.lab.add(a, b),
    }
}

/// Calls on several connections that are started in one order and waited for in another.
pub(super) fn in_flight(actor: &mut Actor) {
    let mut calls = Vec::new();
    for a in 1..=actor.dice.roll(10) as i32 {
        let link = actor.link();
        let b = actor.dice.roll(100) as i32;
        let call = sum(actor, &link, a, b).start();
        calls.push((link, call, a + b));
    }
    actor.dice.shuffle(&mut calls);
    for (link, call, expected) in calls {
        match actor.dice.roll(4) {
            0 => drop(call),
            1 => drop(actor.check(&link, block_on(call), |sum| *sum == expected)),
            _ => drop(actor.check(&link, call.wait(), |sum| *sum == expected)),
        }
    }
}

pub(super) fn joined(actor: &mut Actor) {
    let link = actor.link();
    let count = actor.dice.roll(12) as i32;
    let calls: Vec<_> = (0..count).map(|a| sum(actor, &link, a, 5)).collect();
    for (a, result) in (0..).zip(block_on(join_all(calls))) {
        actor.check(&link, result, |sum| *sum == a + 5);
    }
    // The call that is answered later is dropped.
    let both = select(sum(actor, &link, 1, 1), sum(actor, &link, 2, 2));
    let (result, expected) = match block_on(both) {
        Either::Left((result, _other)) => (result, 2),
        Either::Right((result, _other)) => (result, 4),
    };
    actor.check(&link, result, |sum| *sum == expected);
}

pub(super) fn pipelined(actor: &mut Actor) {
    let (link, start) = (actor.link(), actor.dice.roll(1000) as i64);
    let made = link.pair.lab.make_counter(start).pipelined();
    let split = made.split().pipelined();
    if actor.dice.one_in(3) {
        return;
    }
    match actor.dice.roll(3) {
        0 => drop(made),
        1 => {
            let read = link.pair.lab.read_counter(split.clone()).wait();
            actor.check(&link, read, |read| read.result == start);
            actor.check(&link, made.next().wait(), |next| *next == start);
            return;
        }
        _ => drop(actor.check(&link, block_on(made.next()), |next| *next == start)),
    }
    // The split may be made before or after the other counter's first number is taken.
    actor.check(&link, split.next().wait(), |next| (start..=start + 1).contains(next));
}

pub(super) fn errors(actor: &mut Actor) {
    let link = actor.link();
    let lab = &link.pair.lab;
    let expected = match actor.dice.roll(5) {
        0 => (lab.fail("as asked").wait(), "as asked"),
        1 => (block_on(lab.fail("as asked")), "as asked"),
        2 => (lab.missing().wait(), "not implemented"),
        3 => (lab.make_counter(-1).pipelined().next().wait().map(drop), "starts at zero"),
        _ => (lab.no_counter().pipelined().next().wait().map(drop), ""),
    };
    match expected {
        (Ok(()), _) => actor.wrong("it was to fail"),
        (Err(Error::Remote { message, .. }), text) if message.contains(text) => {}
        (Err(error @ Error::Unimplemented { .. }), text) if error.to_string().contains(text) => {}
        (Err(error), _) => actor.world.check_end(&link, actor.place(), &error),
    }
}

/// Calls the lab, which calls back, until the depth is used up. Each level is a callback of its own.
fn recursive(world: &Arc<World>) -> CallbackClient {
    let inner = Arc::clone(world);
    world.callback(move |lab, depth| match lab {
        Some(lab) if depth > 0 => Ok(lab.call_back(recursive(&inner), depth - 1).wait()? + 1),
        _ => Ok(0),
    })
}

pub(super) fn callbacks(actor: &mut Actor) {
    let (link, depth) = (actor.link(), actor.dice.roll(8) as i32);
    let callback = recursive(&actor.world);
    let lab = &link.pair.lab;
    let called = match actor.dice.roll(4) {
        0 => block_on(lab.call_back(callback, depth)),
        1 => lab.call_back_inline(callback, depth).wait(),
        2 => block_on(lab.call_back_inline(callback, depth)),
        _ => lab.call_back(callback, depth).wait(),
    };
    // Two at a time: the lab takes one, and so does the callback.
    actor.check(&link, called, |called| *called == depth);
}

/// The callback uses another connection, or drops a call, or makes and drops an object.
pub(super) fn busy_callbacks(actor: &mut Actor) {
    let (link, other) = (actor.link(), actor.link());
    let (world, place) = (Arc::clone(&actor.world), actor.place().to_owned());
    let what = actor.dice.roll(5);
    let callback = actor.world.callback(move |lab, depth| {
        let far = &other.pair.lab;
        match what {
            0 => drop(world.check(&other, &place, far.add(1, 2).wait(), |sum| *sum == 3)),
            1 => drop(world.check(&other, &place, block_on(far.add(1, 2)), |sum| *sum == 3)),
            2 => drop(far.block("dropped in a callback").start()),
            3 => {
                if let Some(lab) = lab {
                    drop((lab.make_counter(1).pipelined(), lab.add(1, 2).start()));
                }
            }
            _ => {
                let again = recursive(&world);
                world.check(&other, &place, far.call_back(again, 3).wait(), |to| *to == 3);
            }
        }
        Ok(depth)
    });
    let lab = &link.pair.lab;
    let called = match actor.dice.roll(3) {
        0 => block_on(lab.call_back(callback, 5)),
        1 => lab.call_back(callback, 5).start().wait(),
        _ => lab.call_back(callback, 5).wait(),
    };
    actor.check(&link, called, |called| *called == 5);
}

/// Calls that time out before, while or after they run; or that are never answered.
pub(super) fn timeouts(actor: &mut Actor) {
    let link = actor.link();
    let lab = &link.pair.lab;
    let bound = Duration::from_micros(actor.dice.roll(2000) >> actor.dice.roll(12));
    let never = || lab.block("never").timeout(bound);
    let bounded = |actor: &mut Actor| sum(actor, &link, 1, 2).timeout(bound);
    let result = match actor.dice.roll(6) {
        0 => never().wait().map(|_| 0),
        1 => block_on(never()).map(|_| 0),
        2 => never().start().wait().map(|_| 0),
        3 => block_on(bounded(actor)),
        4 => bounded(actor).start().wait(),
        _ => bounded(actor).wait(),
    };
    match result {
        Ok(3) | Err(Error::Timeout(_)) => {}
        other => drop(actor.check(&link, other, |_| false)),
    }
}

/// Calls that nobody waits for to the end.
pub(super) fn dropped(actor: &mut Actor) {
    let link = actor.link();
    let lab = &link.pair.lab;
    let mut calls = Vec::new();
    for _ in 0..actor.dice.roll(4) {
        calls.push(lab.block("dropped").start());
    }
    let (made, data) = (lab.make_counter(1).start(), lab.bytes(actor.dice.bytes(LARGEST)).start());
    let called = lab.call_back(recursive(&actor.world), 4).start();
    if actor.dice.one_in(2) {
        actor.check(&link, lab.add(1, 2).wait(), |sum| *sum == 3);
    }
    drop((made, data));
    calls.into_iter().for_each(Call::cancel);
    drop(called);
}

pub(super) fn large(actor: &mut Actor) {
    let link = actor.link();
    let data = actor.dice.bytes(LARGEST);
    let returned = match actor.dice.roll(3) {
        0 => block_on(link.pair.lab.bytes(data.clone())),
        1 => link.pair.lab.bytes(data.clone()).start().wait(),
        _ => link.pair.lab.bytes(data.clone()).wait(),
    };
    actor.check(&link, returned, |returned| *returned == data);
    let text = "ü".repeat(actor.dice.index(1000));
    actor.check(&link, link.pair.lab.text(&text).wait(), |returned| *returned == text);
}

/// Threads that call for the first time, and end while the connection stands.
pub(super) fn on_threads(actor: &mut Actor) {
    let link = actor.link();
    let (actor, link, lab) = (&*actor, &*link, &link.pair.lab);
    thread::scope(|scope| {
        scope.spawn(|| actor.check(link, lab.add(1, 2).wait(), |sum| *sum == 3));
        scope.spawn(|| {
            let called = lab.call_back(recursive(&actor.world), 2).wait();
            actor.check(link, called, |called| *called == 2);
        });
        scope.spawn(|| drop(lab.block("left behind").timeout(Duration::from_micros(50)).wait()));
    });
}
