//! A model of [`ReaderRole`] and of the threads that use it: random schedules of a few callers, an idle
//! worker, the driver and a socket. The seeds are fixed, so every run follows the same schedules.
//!
//! One step is what happens under one lock, or one system call. A wake is two steps, as in
//! [`Parker::wake`](super::super::parker::Parker::wake): whether the thread is woken through its wake
//! descriptor or unparked is decided first, and done in the second step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{
    Acquired, Candidate, HandOver, LONG_WAIT, Pending, QUICK_RETURN, QUICK_RETURNS_NEEDED,
    ReaderRole, Release, SAME_THREAD_NEEDED, Waiter,
};

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
    /// Asks for the reader role.
    Acquire,
    Park,
    /// Waits for the socket, in four steps. First it notes that it polls,
    BeginPoll,
    /// then it looks for the answer once more,
    Ready,
    /// then it waits,
    Poll,
    /// and then it notes that it polls no more.
    EndPoll,
    Read,
    /// Releases the reader role.
    Release,
    /// Wakes the threads that it has to wake, and has ended.
    Over,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
struct Parked {
    polls: bool,
    /// Its wake descriptor was written to.
    notified: bool,
    unparked: bool,
}

#[derive(Clone)]
struct Thread {
    at: At,
    /// Threads to wake, and how, where that is decided.
    wakes: Vec<(usize, Option<bool>)>,
    parked: Parked,
    /// The number with which it acquired the reader role.
    reads: Option<u64>,
    waiting: bool,
    readable: bool,
    calls: u8,
    deadline: bool,
    /// Its call is a future's: it waits and never reads the socket.
    future: bool,
}

#[derive(Clone)]
struct Model {
    role: ReaderRole<u64>,
    /// Callers; then the idle worker; then the driver.
    threads: Vec<Thread>,
    callers: usize,
    answered: Vec<bool>,
    /// The callers whose answers are in the socket, and those whose answers are still to arrive.
    socket: Vec<usize>,
    to_come: Vec<usize>,
    ticks: u8,
    now: Instant,
}

/// What is left to chance in a step: whether much time passes, and whether a deadline passes.
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
            parked: Parked::default(),
            reads: None,
            waiting: false,
            readable: false,
            calls,
            deadline,
            future: false,
        };
        let mut threads = vec![thread; callers + 2];
        threads[callers].at = At::Acquire;
        threads[callers + 1].at = At::Poll;
        Model {
            role: ReaderRole::default(),
            threads,
            callers,
            answered: vec![false; callers],
            socket: Vec::new(),
            to_come: Vec::new(),
            ticks: 0,
            now: Instant::now(),
        }
    }

    /// Makes the first caller a future's.
    fn with_future(mut self) -> Model {
        self.threads[0].future = true;
        self
    }

    /// Gives the role the callers' present state: the model was cloned, and what they share with it not.
    fn pendings(&mut self) {
        for (thread, waits) in &mut self.role.waiting {
            *waits = Arc::new(Waits(AtomicBool::new(!self.answered[*thread as usize])));
        }
    }

    fn time(&mut self, late: bool) -> Instant {
        self.now += if late { 2 * LONG_WAIT } else { QUICK_RETURN / 10 };
        self.now
    }

    /// Where each thread is, for the message of a failure.
    fn state(&self) -> (Vec<(At, Parked)>, &[bool], &[usize]) {
        let threads =
            self.threads.iter().map(|thread| (thread.at, thread.parked.clone())).collect();
        (threads, &self.answered, &self.socket)
    }

    fn done(&self) -> bool {
        self.threads[..self.callers].iter().all(|thread| thread.at == At::Over)
    }

    /// One step of a thread. False where it cannot go on.
    fn step(&mut self, who: usize, choice: Choice) -> bool {
        // Wakes come before anything else.
        if let Some((whom, how)) = self.threads[who].wakes.first().copied() {
            match how {
                None => {
                    let polls = self.threads[whom].parked.polls;
                    self.threads[who].wakes[0].1 = Some(polls);
                }
                Some(notifies) => {
                    let parked = &mut self.threads[whom].parked;
                    if notifies {
                        parked.notified = true
                    } else {
                        parked.unparked = true
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
            At::Check if self.answered[who] => At::Release,
            At::Check if choice.gives_up && self.threads[who].deadline => {
                // Its answer will be dropped, and it makes no further call.
                self.threads[who].calls = 1;
                At::Release
            }
            At::Check if self.threads[who].future => At::Park,
            At::Check => At::Acquire,
            At::Acquire if self.threads[who].reads.is_some() => At::BeginPoll,
            At::Acquire => {
                let now = self.time(choice.late);
                let pending = !self.answered[who];
                let waits: Arc<dyn Pending> = Arc::new(Waits(AtomicBool::new(pending)));
                match self.role.acquire(Candidate::Caller(&(who as u64), &waits), now) {
                    Acquired::Reader(number, before) => {
                        let thread = &mut self.threads[who];
                        thread.wakes.extend(before.map(|idle| (idle as usize, None)));
                        (thread.reads, thread.waiting) = (Some(number), false);
                        At::BeginPoll
                    }
                    Acquired::Waits => {
                        self.threads[who].waiting = true;
                        At::Park
                    }
                    Acquired::Refused => At::Park,
                }
            }
            At::Park => {
                let thread = &mut self.threads[who];
                let times_out = choice.gives_up && thread.deadline;
                if !std::mem::take(&mut thread.parked.unparked) && !times_out {
                    return false;
                }
                At::Check
            }
            At::Ready if self.answered[who] => At::EndPoll,
            At::Release => {
                let reads = self.threads[who].reads.take();
                let waiting = std::mem::take(&mut self.threads[who].waiting);
                let release = reads.map(Release::Reader);
                if let Some(release) =
                    release.or(waiting.then_some(Release::WaitingCaller(who as u64)))
                {
                    self.release(who, release, choice.late);
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

    /// An idle worker: it has no calls, and reads if it gets the role.
    fn step_idle(&mut self, who: usize, choice: Choice) -> bool {
        let at = self.threads[who].at;
        self.threads[who].at = match at {
            At::Acquire => {
                let now = self.time(choice.late);
                match self.role.acquire(Candidate::IdleWorker(&(who as u64)), now) {
                    Acquired::Reader(number, _) => {
                        self.threads[who].reads = Some(number);
                        At::BeginPoll
                    }
                    _ => At::Over,
                }
            }
            // It checks that it still holds the role.
            At::Check => match self.threads[who].reads {
                Some(number) if self.role.is_held_by(number) && !choice.gives_up => At::BeginPoll,
                _ => At::Release,
            },
            At::Release => {
                if let Some(number) = self.threads[who].reads.take() {
                    self.release(who, Release::Reader(number), choice.late);
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
            At::BeginPoll => {
                thread.parked.polls = true;
                At::Ready
            }
            At::Ready => At::Poll,
            At::Poll => {
                let times_out = choice.gives_up && thread.deadline;
                if !thread.parked.notified && !unread && !times_out {
                    return false;
                }
                thread.parked.notified = false;
                thread.readable = unread;
                At::EndPoll
            }
            At::EndPoll => {
                thread.parked.polls = false;
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
            At::Poll if self.ticks > 0 => {
                self.ticks -= 1;
                let again = self.role.tick();
                self.ticks += u8::from(again);
            }
            At::Read => {
                self.threads[who].at = At::Poll;
                self.read(who);
            }
            _ => return false,
        }
        true
    }

    /// Reads one message. How many a real read returns is up to the kernel; one covers more schedules.
    fn read(&mut self, who: usize) {
        if self.socket.is_empty() {
            return;
        }
        let whose = self.socket.remove(0);
        // The answer of a caller that gave up is dropped.
        if self.threads[whose].at != At::Over {
            self.answered[whose] = true;
            self.threads[who].wakes.push((whose, None));
        }
    }

    fn release(&mut self, who: usize, release: Release, late: bool) {
        let now = self.time(late);
        match self.role.release(release, now) {
            HandOver::ToCaller(thread) => self.threads[who].wakes.push((thread as usize, None)),
            HandOver::ToNobody { start_ticks } => self.ticks += u8::from(start_ticks),
            HandOver::Done => {}
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
        (model.role.quick_returns, model.role.same_thread) =
            if below(2) == 0 { (QUICK_RETURNS_NEEDED, SAME_THREAD_NEEDED) } else { (0, 0) };
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
            assert!(
                moved || gives_up,
                "no thread makes progress: seed {seed}, {:?}",
                model.state()
            );
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

/// The driver reads where only futures wait, as they never take the reader role.
#[test]
fn every_call_of_a_future_ends() {
    explore(&Model::new(1, 6, false).with_future(), 5_000);
    explore(&Model::new(2, 6, false).with_future(), 5_000);
    explore(&Model::new(3, 3, true).with_future(), 5_000);
}
