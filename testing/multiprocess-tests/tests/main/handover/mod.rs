//! Handing over the reader role: the thread that reads the socket stops, because its answer has arrived,
//! its time is up, or it has a callback to run. No other thread may be left waiting for an answer that is
//! in the socket unread.
//!
//! The calls are made in rounds; a round begins when all calls of the one before have ended. So in each
//! round there is a last call, for which no other call's messages wake anybody.
//!
//! `MULTIPROCESS_STRESS_SEED=N` repeats a run's choices; `MULTIPROCESS_STRESS_STEPS=N` is the number
//! of rounds.

mod last;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use multiprocess::{Call, Error, Limits, Result};
use multiprocess_tests::generated::lab::CallbackClient;
use multiprocess_tests::{Dice, Pair, Relay, Watchdog, pair_with, wait_until};

const SEED_VARIABLE: &str = "MULTIPROCESS_STRESS_SEED";
const STEPS_VARIABLE: &str = "MULTIPROCESS_STRESS_STEPS";

/// A served lab. Its limits are high because calls that have timed out are still being served.
fn served(callers_read: bool) -> Pair {
    pair_with(Limits::default().callers_read(callers_read).calls(1 << 16).threads(1 << 12))
}

fn rounds(usual: usize) -> usize {
    std::env::var(STEPS_VARIABLE).map_or(usual, |rounds| rounds.parse().expect("a number"))
}

/// A timeout for calls that is adjusted until it is about as long as they take.
struct Bound(Duration);

impl Bound {
    const SHORTEST: Duration = Duration::from_micros(1);

    /// The timeout of the next call: a random one, up to twice as long.
    fn next(&self, dice: &mut Dice) -> Duration {
        self.0 * dice.roll(200) as u32 / 100
    }

    fn learn(&mut self, ended: bool) {
        self.0 = if ended { (self.0 * 2 / 3).max(Self::SHORTEST) } else { self.0 * 3 / 2 };
    }
}

/// What became of the calls.
struct Ends {
    watchdog: Watchdog,
    in_time: AtomicUsize,
    timed_out: AtomicUsize,
}

impl Ends {
    fn new(run: String, threads: usize) -> Ends {
        println!("{run}");
        let (in_time, timed_out) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ends { watchdog: Watchdog::new(run, threads), in_time, timed_out }
    }

    /// Notes an outcome; a result has to be 3.
    fn check(&self, result: Result<i32>) {
        if !matches!(result, Ok(3)) {
            self.watchdog.wrong(format!("{result:?}"));
        }
    }

    fn bounded(&self, bound: &mut Bound, dice: &mut Dice, call: Call<i32>) {
        let call = call.timeout(bound.next(dice));
        let result = match dice.roll(4) {
            0 => block_on(call),
            1 => call.start().wait(),
            _ => call.wait(),
        };
        bound.learn(result.is_ok());
        match result {
            Err(Error::Timeout(_)) => drop(self.timed_out.fetch_add(1, Ordering::Relaxed)),
            other => {
                self.in_time.fetch_add(1, Ordering::Relaxed);
                self.check(other);
            }
        }
    }

    fn assert_right(&self) {
        println!("{:?} calls ended in time, {:?} did not", self.in_time, self.timed_out);
        self.watchdog.assert_right();
        assert!(self.timed_out.load(Ordering::Relaxed) > 0, "no call timed out");
    }
}

/// Runs `threads` threads; each does something in each round, which begins when all are ready.
fn in_rounds(
    ends: &Ends,
    (seed, rounds, threads): (u64, usize, usize),
    each: impl Fn(usize, usize, &mut Bound, &mut Dice) + Sync,
) {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for number in 0..threads {
            let (barrier, each) = (&barrier, &each);
            scope.spawn(move || {
                let mut bound = Bound(Duration::from_millis(1));
                for round in 0..rounds {
                    let mut dice = Dice::of(seed, number, round);
                    barrier.wait();
                    ends.watchdog.at(number, format!("calls in round {round}"));
                    each(number, round, &mut bound, &mut dice);
                    ends.watchdog.at(number, format!("has ended round {round}"));
                }
            });
        }
    });
    ends.assert_right();
}

/// Each of `threads` threads on one connection makes one call in a round: half of the calls have no
/// timeout, half have one that about half of them exceed.
fn readers_leave(callers_read: bool, threads: usize, usual_rounds: usize) {
    let (seed, rounds) = (Dice::seed(SEED_VARIABLE), rounds(usual_rounds));
    let repeat = format!(
        "{SEED_VARIABLE}={seed} {STEPS_VARIABLE}={rounds}, callers_read {callers_read}, {threads} threads"
    );
    let ends = Ends::new(repeat, threads);
    let pair = served(callers_read);
    in_rounds(&ends, (seed, rounds, threads), |number, round, bound, dice| {
        let call = if dice.one_in(4) { pair.lab.add_inline(1, 2) } else { pair.lab.add(1, 2) };
        match (number + round) % 2 {
            0 => ends.bounded(bound, dice, call),
            _ if dice.one_in(8) => ends.check(block_on(call)),
            _ => ends.check(call.wait()),
        }
    });
    pair.assert_alive();
    wait_until("nothing is served", || pair.serving.drain(Duration::ZERO));
}

#[test]
fn many_callers_some_of_whom_leave() {
    readers_leave(true, 64, 60);
}

#[test]
fn many_callers_some_of_whom_leave_while_the_driver_reads() {
    readers_leave(false, 64, 60);
}

/// With two callers, the one that times out is mostly the one that reads.
#[test]
fn two_callers_one_of_whom_leaves() {
    readers_leave(true, 2, 1000);
}

#[test]
fn three_callers_one_or_two_of_whom_leave() {
    readers_leave(true, 3, 1000);
}

#[test]
fn three_callers_one_or_two_of_whom_leave_while_the_driver_reads() {
    readers_leave(false, 3, 1000);
}

/// Threads of both sides call over one connection, so that on both sides callers take the reader role
/// from idle workers, and readers stop because they have callbacks to run.
fn both_sides_call(callers_read: bool, threads: usize, usual_rounds: usize) {
    let (seed, rounds) = (Dice::seed(SEED_VARIABLE), rounds(usual_rounds));
    let repeat = format!(
        "{SEED_VARIABLE}={seed} {STEPS_VARIABLE}={rounds}, callers_read {callers_read}, {threads} threads of each side"
    );
    let ends = Ends::new(repeat, 2 * threads);
    let pair = served(callers_read);
    pair.lab.hold(Some(Relay::client(|_, depth| Ok(depth)))).wait().unwrap();
    let back = pair.server.kept().expect("the callback that is kept");
    in_rounds(&ends, (seed, rounds, 2 * threads), |number, _round, bound, dice| {
        let call = match (number % 2, dice.roll(4)) {
            (0, 0) => pair.lab.call_back(returns_two(), 3),
            (0, 1) => pair.lab.add_inline(1, 2),
            (0, _) => pair.lab.add(1, 2),
            _ => back.call(None, 3),
        };
        if dice.one_in(2) {
            ends.bounded(bound, dice, call);
        } else {
            ends.check(call.wait());
        }
    });
    pair.assert_alive();
    drop(back);
    wait_until("nothing is served", || pair.serving.drain(Duration::ZERO));
    wait_until("nothing is served here", || pair.calling.drain(Duration::ZERO));
}

/// The lab adds one.
fn returns_two() -> CallbackClient {
    Relay::client(|_, _| Ok(2))
}

#[test]
fn many_callers_of_both_sides() {
    both_sides_call(true, 32, 60);
}

#[test]
fn many_callers_of_both_sides_while_the_driver_reads() {
    both_sides_call(false, 32, 60);
}

#[test]
fn one_caller_of_each_side() {
    both_sides_call(true, 1, 1200);
}

#[test]
fn one_caller_of_each_side_while_the_driver_reads() {
    both_sides_call(false, 1, 1200);
}
