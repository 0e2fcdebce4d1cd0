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
        while own.is_pending() {
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
            } else if own.wait_for(&self.socket, || !own.is_pending()) {
                self.read();
            }
        }
        if let Some(number) = reads {
            self.release(Release::Reader(number));
        } else if waits {
            self.release(Release::WaitingCaller(own.parker.id()));
        }
    }

    /// An idle worker reads until a caller has taken the role from it, or it has a call to run.
    fn idle(&self, worker: &Answer) {
        worker.parker.attach();
        let candidate = Candidate::IdleWorker(&worker.parker);
        let acquired = self.role.lock().unwrap().acquire(candidate, Instant::now());
        let Acquired::Reader(number, _) = acquired else { return };
        loop {
            if worker.wait_for(&self.socket, || !worker.is_pending()) {
                self.read();
            }
            if !worker.is_pending() || !self.role.lock().unwrap().is_held_by(number) {
                break;
            }
        }
        self.release(Release::Reader(number));
    }
}

impl Answer {
    fn new() -> Arc<Answer> {
        let parker = Arc::new(Parker::new());
        Arc::new(Answer { pending: AtomicBool::new(true), parker })
    }

    /// Whether there is something to read.
    fn wait_for(&self, socket: &OwnedFd, ready: impl FnOnce() -> bool) -> bool {
        self.parker.wait_for(socket, false, None, ready).readable
    }
}

/// So many callers, one call each.
fn callers_get_their_answers(callers: u8, with_idle_worker: bool) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let shared = Arc::new(Shared {
        role: Mutex::default(),
        frames: Mutex::default(),
        socket: ours.into(),
        answers: (0..callers).map(|_| Answer::new()).collect(),
    });
    let worker = Answer::new();
    let idle = with_idle_worker.then(|| {
        let (shared, worker) = (Arc::clone(&shared), Arc::clone(&worker));
        thread::spawn(move || shared.idle(&worker))
    });
    let callers: Vec<_> = (0..callers)
        .map(|number| {
            let shared = Arc::clone(&shared);
            (number, thread::spawn(move || shared.call(number.into())))
        })
        .collect();
    for (number, _) in &callers {
        thread::yield_now();
        rustix::io::write(&theirs, &[*number]).unwrap();
    }
    for (_, caller) in callers {
        caller.join().unwrap();
    }
    worker.pending.store(false, Ordering::Relaxed);
    worker.parker.wake();
    if let Some(idle) = idle {
        idle.join().unwrap();
    }
    // Nobody is left who would have to be woken to read: the driver reads again.
    assert!(shared.role.lock().unwrap().driver_reads());
}

#[test]
fn every_caller_gets_its_answer() {
    explore(|| callers_get_their_answers(3, false));
}

#[test]
fn an_idle_worker_gives_way_to_callers() {
    explore(|| callers_get_their_answers(2, true));
}
