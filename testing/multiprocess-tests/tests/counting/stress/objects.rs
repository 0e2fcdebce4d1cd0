//! Objects and handles that are made, used, cloned, dropped and closed; and connections that end
//! with calls and objects on them.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_executor::block_on;
use multiprocess::{Connection, Error, Result};
use multiprocess_tests::Pair;
use multiprocess_tests::generated::lab::LabClient;

use super::world::{Actor, Kept, Link};

/// How many objects one thread keeps.
const MOST_KEPT: usize = 8;

pub(super) fn make(actor: &mut Actor) {
    let (link, start) = (actor.link(), actor.dice.roll(1000) as i64);
    let call = link.pair.lab.make_counter(start);
    let made = if actor.dice.one_in(2) { call.wait() } else { block_on(call) };
    let Some(counter) = actor.check(&link, made, |_| true) else { return };
    counter.add_cleanup(actor.world.ledger.hook());
    if actor.kept.len() >= MOST_KEPT {
        let oldest = actor.dice.index(MOST_KEPT);
        actor.kept.swap_remove(oldest);
    }
    actor.kept.push(Kept { link, counter, next: start });
}

/// Takes one of the objects that this thread keeps. The caller puts it back if it is to stay.
fn take(actor: &mut Actor) -> Option<Kept> {
    if actor.kept.is_empty() {
        make(actor);
    }
    let count = actor.kept.len();
    (count > 0).then(|| actor.kept.swap_remove(actor.dice.index(count)))
}

pub(super) fn use_one(actor: &mut Actor) {
    let Some(mut kept) = take(actor) else { return };
    for _ in 0..actor.dice.roll(4) {
        let expected = kept.next;
        actor.check(&kept.link, kept.counter.next().wait(), |next| *next == expected);
        kept.next += 1;
    }
    // Concurrent calls have no order, but each gets a different number.
    let count = actor.dice.roll(4) as i64;
    let calls: Vec<_> = (0..count).map(|_| kept.counter.next().start()).collect();
    let answers = calls.into_iter().rev().map(|call| {
        actor.check(&kept.link, call.wait(), |next| (kept.next..kept.next + count).contains(next))
    });
    let mut answers: Vec<_> = answers.flatten().collect();
    answers.sort_unstable();
    answers.dedup();
    if answers.len() < count as usize && !kept.link.is_doomed() {
        actor.wrong(("numbers were given twice", answers));
    }
    kept.next += count;
    actor.kept.push(kept);
}

pub(super) fn clone_and_drop(actor: &mut Actor) {
    let Some(kept) = take(actor) else { return };
    let mut clones: Vec<_> = (0..actor.dice.roll(5)).map(|_| kept.counter.clone()).collect();
    let link = Arc::clone(&kept.link);
    let callback = actor.world.callback(|_, depth| Ok(depth));
    // An object of this process is called on this thread, or on a thread of the runtime.
    if callback.call(None, 3).wait().ok() != Some(3)
        || block_on(callback.call(None, 4)).ok() != Some(4)
    {
        actor.wrong("a local object's answer");
    }
    let last = clones.pop();
    thread::scope(|scope| {
        scope.spawn(|| drop((clones, callback)));
        match actor.dice.roll(3) {
            // The last handle is dropped while a call uses it, or with that call.
            0 => {
                let Kept { counter, next, .. } = kept;
                drop(last);
                let call = counter.next().start();
                drop(counter);
                actor.check(&link, call.wait(), |answer| *answer == next);
            }
            1 => drop(kept.counter.next().start()),
            _ => actor.kept.push(kept),
        }
    });
    actor.check(&link, link.pair.lab.add(1, 2).wait(), |sum| *sum == 3);
}

pub(super) fn close(actor: &mut Actor) {
    let Some(Kept { link, counter, next }) = take(actor) else { return };
    let other = counter.clone();
    let running = actor.dice.one_in(2).then(|| counter.next().start());
    let closed =
        if actor.dice.one_in(2) { counter.close().wait() } else { block_on(counter.close()) };
    if let Some(running) = running {
        actor.check(&link, running.wait(), |answer| *answer == next);
    }
    if actor.check(&link, closed, |()| true).is_some() {
        for handle in [&counter, &other] {
            match handle.next().wait() {
                Err(Error::ApiMisuse { .. }) => {}
                Ok(value) => actor.wrong(("an answer of a closed object", value)),
                Err(error) => actor.world.check_end(&link, actor.place(), &error),
            }
        }
        actor.check(&link, other.close().wait(), |()| true);
    }
}

/// The object of one connection is passed into another: its calls come back through here.
pub(super) fn third_party(actor: &mut Actor) {
    let Some(mut kept) = take(actor) else { return };
    let near = actor.link();
    let expected = kept.next;
    match near.pair.lab.read_counter(kept.counter.clone()).wait() {
        // The far connection has ended, so the near side's method failed: a disconnect of that call
        // alone.
        Err(Error::Disconnected { .. }) if kept.link.is_doomed() => {}
        read => drop(actor.check(&near, read, |read| {
            read.result == expected && read.is_local == Arc::ptr_eq(&near, &kept.link)
        })),
    }
    // If the near side has ended, it is not known whether the object was called.
    if !near.is_doomed() {
        kept.next += 1;
        actor.kept.push(kept);
    }
}

/// The lab keeps one callback, for all threads.
pub(super) fn keep(actor: &mut Actor) {
    let (link, value) = (actor.link(), actor.dice.roll(1000) as i32);
    let callback = actor.world.callback(|_, depth| Ok(depth));
    let lab = &link.pair.lab;
    let kept = if actor.dice.one_in(4) { lab.hold(None) } else { lab.hold(Some(callback)) };
    actor.check(&link, kept.wait(), |()| true);
    match lab.poke(value).wait() {
        // Another thread has let it go.
        Err(Error::Remote { message, .. }) if message.contains("no callback is kept") => {}
        poked => drop(actor.check(&link, poked, |poked| *poked == value)),
    }
}

pub(super) fn disconnect(actor: &mut Actor) {
    let link = actor.link();
    if actor.dice.one_in(6) {
        link.end(actor.dice.number());
    }
}

type Own = Arc<Mutex<Vec<Box<dyn Send>>>>;

fn drop_all(own: &Own) {
    let parts = std::mem::take(&mut *own.lock().unwrap_or_else(PoisonError::into_inner));
    drop(parts);
}

/// A connection of this thread's own, with calls of all kinds under way, all of which is dropped in
/// some order: by this thread, by another, or by a callback.
pub(super) fn drop_everything(actor: &mut Actor) {
    let callers_read = actor.world.callers_read(&mut actor.dice);
    let link = Link::new(callers_read.pair());
    // Dropping any of these may end the connection for the others.
    link.doom();
    let own: Own = Arc::default();
    let dropping = Arc::clone(&own);
    let callback = actor.world.callback(move |_, depth| {
        drop_all(&dropping);
        Ok(depth)
    });
    let kept = actor.world.callback(|_, depth| Ok(depth));

    let lab = link.pair.lab.clone();
    drop(lab.hold(Some(kept)).wait());
    let mut parts: Vec<Box<dyn Send>> = vec![
        Box::new(lab.block("dropped with all").start()),
        Box::new(lab.bytes(actor.dice.bytes(1 << 18)).start()),
        Box::new(lab.make_counter(1).wait()),
        Box::new(lab.make_counter(1).pipelined().split().pipelined()),
        Box::new(lab.add(1, 2).start()),
    ];
    if actor.dice.one_in(2) {
        parts.push(Box::new(lab.call_back(actor.world.callback(|_, to| Ok(to)), 3).start()));
    }
    let ending = actor.dice.one_in(2).then(|| link.pair.calling.clone());
    let Pair { server, serving, calling, lab: other } = link.into_pair();
    parts.extend([Box::new(serving) as Box<dyn Send>, Box::new(calling), Box::new(other)]);
    actor.dice.shuffle(&mut parts);
    own.lock().unwrap_or_else(PoisonError::into_inner).extend(parts);

    let result = match actor.dice.roll(3) {
        0 => lab.call_back(callback, 1).wait(),
        1 => {
            drop(thread::spawn(move || drop_all(&own)).join());
            lab.add(0, 1).wait()
        }
        _ => in_mid_call(&lab, &own, ending.as_ref()),
    };
    if !matches!(result, Ok(1) | Err(Error::Disconnected { .. })) {
        actor.wrong(result);
    }
    drop((lab, ending));
    actor.world.ended(&server);
}

/// Drops everything while another thread waits for an answer that only the end of the connection
/// brings.
fn in_mid_call(lab: &LabClient, own: &Own, ending: Option<&Connection>) -> Result<i32> {
    thread::scope(|scope| {
        let waiting = ending.map(|_| scope.spawn(|| lab.block("until the end").wait()));
        drop_all(own);
        if let Some(ending) = ending {
            ending.disconnect();
        }
        match waiting.map(thread::ScopedJoinHandle::join) {
            Some(Ok(ended)) => ended.map(|_| 0),
            Some(Err(_)) => Err(Error::failed("a panic")),
            None => lab.add(0, 1).wait(),
        }
    })
}
