//! Runs one part: its numbers on some threads, with a line of progress, and compares what there is
//! afterwards with what there was before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::{World, resident};

/// The memory is looked at so many times in a part.
const LOOKS: u64 = 200;
/// Memory is flat if it grows by no more than this in the last quarter, over the one before: a tenth,
/// and so many KiB. The allocator's own slack is within it.
const SLACK: u64 = 8 << 10;

/// How often each part is done before anything is counted.
const FEW: u64 = 50;

/// What a part does, and how often.
pub(crate) struct Part {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// How often, at scale 1.
    pub(crate) count: u64,
    /// Does it as often as its rounds say.
    pub(crate) run: fn(&Rounds) -> Result<(), String>,
}

/// A line of the final table.
pub(crate) struct Row {
    name: &'static str,
    count: u64,
    seconds: f64,
    world: World,
    half: u64,
    end: u64,
    problem: Option<String>,
}

/// The numbers that a part is to do.
pub(crate) struct Rounds {
    total: u64,
    next: AtomicU64,
    failed: AtomicBool,
    /// The memory in KiB, each time that another 1/[`LOOKS`] was done.
    memory: Mutex<Vec<(u64, u64)>>,
}

impl Rounds {
    fn new(total: u64) -> Rounds {
        Rounds {
            total,
            next: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            memory: Mutex::default(),
        }
    }

    /// Runs `each` with every number once, on so many threads, each with something of its own that
    /// `make` gives it.
    ///
    /// # Errors
    /// The first failure. The other threads then stop.
    pub(crate) fn spread<T>(
        &self,
        threads: usize,
        make: impl Fn() -> T + Sync,
        each: impl Fn(&T, u64) -> Result<(), String> + Sync,
    ) -> Result<(), String> {
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| self.work(&make(), &each))).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
            })
        })
    }

    fn work<T>(
        &self,
        own: &T,
        each: &impl Fn(&T, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let step = (self.total / LOOKS).max(1);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.total || self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            if let Err(problem) = each(own, number) {
                self.failed.store(true, Ordering::Relaxed);
                return Err(format!("number {number}: {problem}"));
            }
            if number.is_multiple_of(step) {
                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.push((number, resident()));
            }
        }
    }

    fn done(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.total)
    }

    /// The medians of the third quarter and of the last.
    fn last_half(&self) -> (u64, u64) {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |from: u64, to: u64| {
            let within = |number: u64| (from..to).contains(&(number * 4));
            let mut seen: Vec<_> =
                memory.iter().filter(|look| within(look.0)).map(|look| look.1).collect();
            seen.sort_unstable();
            seen.get(seen.len() / 2).copied().unwrap_or_default()
        };
        (of(2 * self.total, 3 * self.total), of(3 * self.total, 4 * self.total))
    }
}

impl Part {
    /// Does some, whatever is left of it.
    pub(crate) fn try_few(&self) -> Result<(), String> {
        (self.run)(&Rounds::new(FEW))
    }

    /// Does the part, and waits until nothing is left of it.
    pub(crate) fn run(&self, scale: f64, start: &World) -> Row {
        let count = ((self.count as f64 * scale) as u64).max(1);
        let (rounds, began) = (Rounds::new(count), Instant::now());
        let outcome = thread::scope(|scope| {
            let (over, is_over) = mpsc::channel::<()>();
            let rounds = &rounds;
            scope.spawn(move || {
                while is_over.recv_timeout(Duration::from_secs(5))
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {
                    self.tell(rounds, began);
                }
            });
            let outcome = (self.run)(rounds);
            drop(over);
            outcome
        });
        let seconds = began.elapsed().as_secs_f64();
        let (half, end) = rounds.last_half();
        let after = start.wait_as_before();
        let left = after.as_ref().err().cloned();
        let grown = is_grown(half, end)
            .then(|| format!("memory grew from {half} to {end} KiB in the last half"));
        let problems: Vec<_> = outcome.err().into_iter().chain(left).chain(grown).collect();
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        let world = after.unwrap_or_else(|_| World::now());
        Row { name: self.name, count, seconds, world, half, end, problem }
    }

    fn tell(&self, rounds: &Rounds, began: Instant) {
        let world = World::now();
        eprintln!(
            "{}: {} of {} in {:.0} s; {} descriptors, {} threads, {} KiB",
            self.name,
            rounds.done(),
            rounds.total,
            began.elapsed().as_secs_f64(),
            world.descriptors,
            world.threads,
            resident(),
        );
    }
}

fn is_grown(half: u64, end: u64) -> bool {
    end > half + half / 10 + SLACK
}

/// Prints the table, and says whether everything ended where it began.
pub(crate) fn report(start: &World, rows: &[Row]) -> bool {
    println!(
        "{:<18} {:>9} {:>8} {:>9} {:>5} {:>7} {:>9} {:>9}",
        "part", "count", "seconds", "a second", "fds", "threads", "half MiB", "end MiB"
    );
    for row in rows {
        println!(
            "{:<18} {:>9} {:>8.1} {:>9.0} {:>5} {:>7} {:>9.1} {:>9.1}",
            row.name,
            row.count,
            row.seconds,
            row.count as f64 / row.seconds,
            row.world.descriptors,
            row.world.threads,
            row.half as f64 / 1024.0,
            row.end as f64 / 1024.0,
        );
    }
    println!("at the start: {} descriptors, {} threads", start.descriptors, start.threads);
    for row in rows {
        if let Some(problem) = &row.problem {
            println!("{}: FAILED: {problem}", row.name);
        }
    }
    rows.iter().all(|row| row.problem.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_done_once_and_a_failure_stops_the_part() {
        let rounds = Rounds::new(1000);
        let sum = AtomicU64::new(0);
        rounds
            .spread(
                4,
                || (),
                |(), number| {
                    sum.fetch_add(number, Ordering::Relaxed);
                    Ok(())
                },
            )
            .unwrap();
        assert_eq!(sum.into_inner(), 999 * 1000 / 2);
        let fails = |(): &(), number| if number == 7 { Err("no".to_owned()) } else { Ok(()) };
        let outcome = Rounds::new(1000).spread(2, || (), fails);
        assert_eq!(outcome, Err("number 7: no".to_owned()));
    }

    #[test]
    fn growth_in_the_last_quarter_is_told_from_growth_before_it() {
        let rounds = Rounds::new(100);
        let grows_early = [(10, 1), (60, 50 << 10), (90, 51 << 10)];
        *rounds.memory.lock().unwrap() = grows_early.to_vec();
        let (half, end) = rounds.last_half();
        assert!(!is_grown(half, end), "{half} {end}");
        rounds.memory.lock().unwrap().push((95, 80 << 10));
        let (half, end) = rounds.last_half();
        assert!(is_grown(half, end), "{half} {end}");
    }
}
