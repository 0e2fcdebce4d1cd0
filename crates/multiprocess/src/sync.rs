//! What threads wait for each other with, in the parts whose schedules are tested: std's locks and
//! parking, and poll(2).
//!
//! In tests that are built with `--cfg shuttle` they are those of the crate `shuttle`, which runs all threads
//! of a test on one, and chooses at each lock, atomic access and wait which of them goes on. What waits in
//! another way must not be reached by such a test: it would stop all of its threads.

#[cfg(not(all(test, shuttle)))]
pub(crate) use rustix::event::poll;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool},
    thread,
};

#[cfg(all(test, shuttle))]
pub(crate) use schedules::{explore, poll};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool},
    thread,
};

#[cfg(all(test, shuttle))]
mod schedules {
    use rustix::event::{PollFd, Timespec};
    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
    use shuttle::{Config, MaxSteps, Runner};

    /// How many of each kind, unless `MULTIPROCESS_SCHEDULES` says so.
    const SCHEDULES: usize = 1_000;
    const SEED: u64 = 0x6d70;
    /// Far more than any of the tests takes. One that takes more waits in [`poll`] for what never comes.
    const MOST_STEPS: usize = 20_000;

    /// Runs `body` under many schedules, the same ones every time: random ones, and ones in which a few
    /// threads are delayed for long. Fails where `body` panics, and where all its threads wait.
    pub(crate) fn explore(body: impl Fn() + Send + Sync + Clone + 'static) {
        let schedules = std::env::var("MULTIPROCESS_SCHEDULES")
            .map_or(SCHEDULES, |text| text.parse().expect("a number of schedules"));
        run(RandomScheduler::new_from_seed(SEED, schedules), body.clone());
        run(PctScheduler::new_from_seed(SEED, 3, schedules), body);
    }

    fn run(scheduler: impl Scheduler + 'static, body: impl Fn() + Send + Sync + 'static) {
        let mut config = Config::new();
        config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
        Runner::new(scheduler, config).run(body);
    }

    /// Looks at the real descriptors again and again, and lets other threads run in between. The time does
    /// not pass, so that a wait that ends by its deadline only is found.
    pub(crate) fn poll(fds: &mut [PollFd<'_>], _: Option<&Timespec>) -> rustix::io::Result<usize> {
        loop {
            shuttle::thread::yield_now();
            match rustix::event::poll(fds, Some(&Timespec::default()))? {
                0 => {}
                found => return Ok(found),
            }
        }
    }
}
