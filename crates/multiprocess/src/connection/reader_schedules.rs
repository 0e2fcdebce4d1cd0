//! Threads that read one socket by turns, with the real [`ReaderRole`], [`Parker`], wake descriptor and
//! socket: whoever reads takes in the answers of all, and every caller gets its own. The loops here are those
//! of `reading` and of `wait_for_slot`, whose connection has a driver thread and cannot be part of a
//! schedule. What the driver does, and what depends on the time, is in the model (`reader_model.rs`).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Acquired, Candidate, HandOver, Pending, ReaderRole, Release};
use crate::connection::parker::Parker;
use crate::sync::{AtomicBool, Mutex, explore, thread};

/// One caller's answer.
struct Answer {
    pending: AtomicBool,
    /// The caller is to wait no longer, as where its own caller has cancelled.
    cancelled: AtomicBool,
    parker: Arc<Parker>,
}

impl Pending for Answer {
    fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }
}

struct Shared {
    role: Mutex<ReaderRole>,
    frames: Mutex<()>,
    /// Each byte is the number of a caller, whose answer it is.
    socket: OwnedFd,
    answers: Vec<Arc<Answer>>,
}

impl Shared {
    fn release(&self, release: Release) {
        let over = self.role.lock().unwrap().release(release, Instant::now());
        if let HandOver::ToCaller(parker) = over {
            parker.wake();
        }
    }

    /// Takes in what has arrived.
    fn read(&self) {
        let _frames = self.frames.lock().unwrap();
        let mut bytes = [0; 8];
        // None where another thread has read it.
        let count = rustix::io::read(&self.socket, &mut bytes).unwrap_or(0);
        for number in &bytes[..count] {
            let answer = &self.answers[usize::from(*number)];
            answer.pending.store(false, Ordering::Relaxed);
            answer.parker.wake();
        }
    }

    fn call(&self, number: usize) {
        let own = &self.answers[number];
        let pending = Arc::clone(own) as Arc<dyn Pending>;
        own.parker.attach();
        let (mut reads, mut waits) = (None, false);
        while own.waits() {
            if reads.is_none() {
                let candidate = Candidate::Caller(&own.parker, &pending);
                let acquired = self.role.lock().unwrap().acquire(candidate, Instant::now());
                match acquired {
                    Acquired::Reader(number, idle) => {
                        idle.into_iter().for_each(|idle| idle.wake());
                        (reads, waits) = (Some(number), false);
                    }
                    Acquired::Waits => waits = true,
                    Acquired::Refused => unreachable!("callers are not refused"),
                }
            }
            if reads.is_none() {
                Parker::park(None);
            } else if own.wait_for(&self.socket, || !own.waits()) {
                self.read();
            }
        }
        if let Some(number) = reads {
            self.release(Release::Reader(number));
        } else if waits {
            self.release(Release::WaitingCaller(own.parker.id()));
        }
    }

    /// An idle worker with the role reads until a caller has taken it away, or there is a call to run.
    fn idle(&self, worker: &Answer, number: u64) {
        worker.parker.attach();
        while worker.waits() && self.role.lock().unwrap().is_held_by(number) {
            if worker.wait_for(&self.socket, || !worker.waits()) {
                self.read();
            }
        }
        self.release(Release::Reader(number));
    }
}

impl Answer {
    fn new() -> Arc<Answer> {
        let parker = Arc::new(Parker::new());
        let (pending, cancelled) = (AtomicBool::new(true), AtomicBool::new(false));
        Arc::new(Answer { pending, cancelled, parker })
    }

    fn waits(&self) -> bool {
        self.is_pending() && !self.cancelled.load(Ordering::Relaxed)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.parker.wake();
    }

    /// Whether there is something to read.
    fn wait_for(&self, socket: &OwnedFd, ready: impl FnOnce() -> bool) -> bool {
        self.parker.wait_for(socket, false, None, ready).readable
    }
}

/// A socket for so many callers, and its other end.
fn shared(callers: u8) -> (Arc<Shared>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let answers = (0..callers).map(|_| Answer::new()).collect();
    let (role, frames) = (Mutex::default(), Mutex::default());
    (Arc::new(Shared { role, frames, socket: ours.into(), answers }), theirs)
}

/// Each caller makes one call.
fn callers(shared: &Arc<Shared>) -> Vec<thread::JoinHandle<()>> {
    let caller = |number| {
        let shared = Arc::clone(shared);
        thread::spawn(move || shared.call(number))
    };
    (0..shared.answers.len()).map(caller).collect()
}

/// The peer answers these calls.
fn answer(theirs: &UnixStream, calls: impl IntoIterator<Item = u8>) {
    for number in calls {
        thread::yield_now();
        rustix::io::write(theirs, &[number]).unwrap();
    }
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn every_caller_gets_its_answer() {
    explore(|| {
        let (shared, theirs) = shared(3);
        let callers = callers(&shared);
        answer(&theirs, 0..3);
        join(callers);
        // Nobody is left who would have to be woken to read: the driver reads again.
        assert!(shared.role.lock().unwrap().driver_reads());
    });
}

/// Whether it reads, waits to, or has just been chosen to.
#[test]
fn a_caller_that_is_cancelled_leaves_the_others_a_reader() {
    explore(|| {
        let (shared, theirs) = shared(3);
        let callers = callers(&shared);
        let cancelled = Arc::clone(&shared.answers[0]);
        let canceller = thread::spawn(move || cancelled.cancel());
        answer(&theirs, [1, 2]);
        join(callers);
        canceller.join().unwrap();
        assert!(shared.role.lock().unwrap().driver_reads());
    });
}

/// If the role is taken from it just before it waits, it reads on until something arrives. That costs a wake and
/// loses no answer.
#[test]
fn an_idle_worker_gives_way_to_callers() {
    explore(|| {
        let (shared, theirs) = shared(2);
        let worker = Answer::new();
        let candidate = Candidate::IdleWorker(&worker.parker);
        let acquired = shared.role.lock().unwrap().acquire(candidate, Instant::now());
        let Acquired::Reader(number, None) = acquired else { panic!("nobody else reads") };
        let idle = {
            let (shared, worker) = (Arc::clone(&shared), Arc::clone(&worker));
            thread::spawn(move || shared.idle(&worker, number))
        };
        let callers = callers(&shared);
        answer(&theirs, 0..2);
        join(callers);
        worker.cancel();
        idle.join().unwrap();
        assert!(shared.role.lock().unwrap().driver_reads());
    });
}
