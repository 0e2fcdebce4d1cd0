//! A model of [`ReaderRole`] with what is around it: random schedules of a few callers, an idle worker,
//! the driver and a socket, each the same in every run.
//!
//! One step is what happens under one lock, or one system call. A wake is two steps, as in the inbox:
//! whether the thread is to be rung or unparked is decided before that is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{ALONE, Handed, OFTEN, RARE, ReaderRole, SOON, Stops, Taken, Waiter, Wants};
use crate::connection::reading::Pending;

impl Waiter for u64 {
    fn id(&self) -> u64 {
        *self
    }
}

struct Waits(AtomicBool);

impl Pending for Waits {
    fn is_pending(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Start,
    /// Looks for the answer.
    Check,
    Lead,
    Park,
    /// Waits for the socket: says so, looks once more, waits, says that it does no longer.
    Polls,
    Ready,
    Poll,
    Polled,
    Read,
    Leave,
    /// Wakes what it must; then goes on.
    Over,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
struct Inbox {
    polls: bool,
    rung: bool,
    unparked: bool,
}

#[derive(Clone)]
struct Thread {
    at: At,
    /// Threads to wake, and how, where that is decided.
    wakes: Vec<(usize, Option<bool>)>,
    inbox: Inbox,
    leads: Option<u64>,
    waiting: bool,
    readable: bool,
    calls: u8,
    deadline: bool,
    /// A future's call: it waits and never reads.
    future: bool,
}

#[derive(Clone)]
struct Model {
    role: ReaderRole<u64>,
    /// Callers; then the idle worker; then the driver.
    threads: Vec<Thread>,
    callers: usize,
    answered: Vec<bool>,
    /// Whose answers lie in the socket, and whose are to come.
    socket: Vec<usize>,
    to_come: Vec<usize>,
    looked_after: u8,
    now: Instant,
}

/// How time goes on at a step.
#[derive(Clone, Copy)]
struct Choice {
    late: bool,
    gives_up: bool,
}

impl Model {
    fn new(callers: usize, calls: u8, deadline: bool) -> Model {
        let thread = Thread {
            at: At::Start,
            wakes: Vec::new(),
            inbox: Inbox::default(),
            leads: None,
            waiting: false,
            readable: false,
            calls,
            deadline,
            future: false,
        };
        let mut threads = vec![thread; callers + 2];
        threads[callers].at = At::Lead;
        threads[callers + 1].at = At::Poll;
        Model {
            role: ReaderRole::default(),
            threads,
            callers,
            answered: vec![false; callers],
            socket: Vec::new(),
            to_come: Vec::new(),
            looked_after: 0,
            now: Instant::now(),
        }
    }

    /// The first caller is a future.
    fn with_future(mut self) -> Model {
        self.threads[0].future = true;
        self
    }

    /// The callers of `turns` as they are in this state, which was copied from another.
    fn pendings(&mut self) {
        for (inbox, waits) in &mut self.role.waiting {
            *waits = Arc::new(Waits(AtomicBool::new(!self.answered[*inbox as usize])));
        }
    }

    fn time(&mut self, late: bool) -> Instant {
        self.now += if late { 2 * RARE } else { SOON / 10 };
        self.now
    }

    /// Where each thread is, for whoever looks for the reason.
    fn state(&self) -> (Vec<(At, Inbox)>, &[bool], &[usize]) {
        let threads = self.threads.iter().map(|thread| (thread.at, thread.inbox.clone())).collect();
        (threads, &self.answered, &self.socket)
    }

    fn done(&self) -> bool {
        self.threads[..self.callers].iter().all(|thread| thread.at == At::Over)
    }

    /// One step of a thread. False where it cannot go on.
    fn step(&mut self, who: usize, choice: Choice) -> bool {
        // Wakes first: they are done before anything else is.
        if let Some((whom, how)) = self.threads[who].wakes.first().copied() {
            match how {
                None => {
                    let polls = self.threads[whom].inbox.polls;
                    self.threads[who].wakes[0].1 = Some(polls);
                }
                Some(rings) => {
                    let inbox = &mut self.threads[whom].inbox;
                    if rings {
                        inbox.rung = true
                    } else {
                        inbox.unparked = true
                    }
                    self.threads[who].wakes.remove(0);
                }
            }
            return true;
        }
        match who {
            _ if who < self.callers => self.step_caller(who, choice),
            _ if who == self.callers => self.step_idle(who, choice),
            _ => self.step_driver(who),
        }
    }

    fn step_caller(&mut self, who: usize, choice: Choice) -> bool {
        let at = self.threads[who].at;
        self.threads[who].at = match at {
            At::Start => {
                self.answered[who] = false;
                self.to_come.push(who);
                At::Check
            }
            At::Check if self.answered[who] => At::Leave,
            At::Check if choice.gives_up && self.threads[who].deadline => {
                // Its answer comes for nobody.
                self.threads[who].calls = 1;
                At::Leave
            }
            At::Check if self.threads[who].future => At::Park,
            At::Check => At::Lead,
            At::Lead if self.threads[who].leads.is_some() => At::Polls,
            At::Lead => {
                let now = self.time(choice.late);
                let pending = !self.answered[who];
                let waits: Arc<dyn Pending> = Arc::new(Waits(AtomicBool::new(pending)));
                match self.role.take(Wants::Caller(&(who as u64), &waits), now) {
                    Taken::Lead(number, before) => {
                        let thread = &mut self.threads[who];
                        thread.wakes.extend(before.map(|idle| (idle as usize, None)));
                        (thread.leads, thread.waiting) = (Some(number), false);
                        At::Polls
                    }
                    Taken::Wait => {
                        self.threads[who].waiting = true;
                        At::Park
                    }
                    Taken::No => At::Park,
                }
            }
            At::Park => {
                let thread = &mut self.threads[who];
                let times_out = choice.gives_up && thread.deadline;
                if !std::mem::take(&mut thread.inbox.unparked) && !times_out {
                    return false;
                }
                At::Check
            }
            At::Ready if self.answered[who] => At::Polled,
            At::Leave => {
                let leads = self.threads[who].leads.take();
                let waiting = std::mem::take(&mut self.threads[who].waiting);
                let stops = leads.map(Stops::Leader);
                if let Some(stops) = stops.or(waiting.then_some(Stops::Caller(who as u64))) {
                    self.leave(who, stops, choice.late);
                }
                let thread = &mut self.threads[who];
                thread.calls -= 1;
                if thread.calls == 0 { At::Over } else { At::Start }
            }
            At::Over => return false,
            _ => return self.step_wait(who, At::Check, choice),
        };
        true
    }

    /// An idle worker: it has no calls, and leads where it can.
    fn step_idle(&mut self, who: usize, choice: Choice) -> bool {
        let at = self.threads[who].at;
        self.threads[who].at = match at {
            At::Lead => {
                let now = self.time(choice.late);
                match self.role.take(Wants::Idle(&(who as u64)), now) {
                    Taken::Lead(number, _) => {
                        self.threads[who].leads = Some(number);
                        At::Polls
                    }
                    _ => At::Over,
                }
            }
            // It looks whether it leads still.
            At::Check => match self.threads[who].leads {
                Some(number) if self.role.leads(number) && !choice.gives_up => At::Polls,
                _ => At::Leave,
            },
            At::Leave => {
                if let Some(number) = self.threads[who].leads.take() {
                    self.leave(who, Stops::Leader(number), choice.late);
                }
                At::Over
            }
            At::Over => return false,
            _ => return self.step_wait(who, At::Check, choice),
        };
        true
    }

    fn step_wait(&mut self, who: usize, then: At, choice: Choice) -> bool {
        let unread = !self.socket.is_empty();
        let thread = &mut self.threads[who];
        thread.at = match thread.at {
            At::Polls => {
                thread.inbox.polls = true;
                At::Ready
            }
            At::Ready => At::Poll,
            At::Poll => {
                let times_out = choice.gives_up && thread.deadline;
                if !thread.inbox.rung && !unread && !times_out {
                    return false;
                }
                thread.inbox.rung = false;
                thread.readable = unread;
                At::Polled
            }
            At::Polled => {
                thread.inbox.polls = false;
                if std::mem::take(&mut thread.readable) { At::Read } else { then }
            }
            At::Read => {
                thread.at = then;
                self.read(who);
                return true;
            }
            other => unreachable!("{other:?}"),
        };
        true
    }

    fn step_driver(&mut self, who: usize) -> bool {
        match self.threads[who].at {
            At::Poll if self.role.driver_reads() && !self.socket.is_empty() => {
                self.threads[who].at = At::Read;
            }
            At::Poll if self.looked_after > 0 => {
                self.looked_after -= 1;
                let again = self.role.look();
                self.looked_after += u8::from(again);
            }
            At::Read => {
                self.threads[who].at = At::Poll;
                self.read(who);
            }
            _ => return false,
        }
        true
    }

    /// One message at a time: what a read takes is the kernel's affair.
    fn read(&mut self, who: usize) {
        if self.socket.is_empty() {
            return;
        }
        let whose = self.socket.remove(0);
        // That of a caller that gave up is for nobody.
        if self.threads[whose].at != At::Over {
            self.answered[whose] = true;
            self.threads[who].wakes.push((whose, None));
        }
    }

    fn leave(&mut self, who: usize, stops: Stops, late: bool) {
        let now = self.time(late);
        match self.role.leave(stops, now) {
            Handed::To(inbox) => self.threads[who].wakes.push((inbox as usize, None)),
            Handed::Nobody { watch } => self.looked_after += u8::from(watch),
            Handed::Nothing => {}
        }
    }
}

/// Follows random schedules. Panics where a call waits and nothing can happen any more.
fn explore(first: &Model, schedules: u64) {
    for seed in 1..=schedules {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound as u64) as usize
        };
        let mut model = first.clone();
        (model.role.soon, model.role.alone) = if below(2) == 0 { (OFTEN, ALONE) } else { (0, 0) };
        while !model.done() {
            model.pendings();
            // The last of the actors is the socket, where an answer may arrive.
            let actors = model.threads.len() + 1;
            let start = below(actors);
            let late = below(8) == 0;
            let gives_up = below(16) == 0;
            let moved = (start..start + actors).any(|actor| match actor % actors {
                who if who < model.threads.len() => model.step(who, Choice { late, gives_up }),
                _ if model.to_come.is_empty() => false,
                _ => {
                    let whose = model.to_come.remove(below(model.to_come.len()));
                    model.socket.push(whose);
                    true
                }
            });
            assert!(moved || gives_up, "nobody goes on: seed {seed}, {:?}", model.state());
        }
    }
}

#[test]
fn every_call_of_two_callers_ends() {
    explore(&Model::new(2, 6, false), 5_000);
}

#[test]
fn every_call_of_three_callers_ends() {
    explore(&Model::new(3, 6, false), 5_000);
}

#[test]
fn every_call_ends_where_others_give_up() {
    explore(&Model::new(3, 3, true), 5_000);
}

/// What is nobody's who waits for the socket is read by the driver.
#[test]
fn every_call_of_a_future_ends() {
    explore(&Model::new(1, 6, false).with_future(), 5_000);
    explore(&Model::new(2, 6, false).with_future(), 5_000);
    explore(&Model::new(3, 3, true).with_future(), 5_000);
}
