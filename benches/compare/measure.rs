//! Ways to make calls, each with the time of every call.

use std::future::Future;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use multiprocess_bench::Failure;

use crate::cpu::{Cpu, Watch};

/// How many calls: as many as fit in a time, at least one; or a number of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    Time(Duration),
    Calls(usize),
}

/// A measurement.
pub(crate) struct Sample {
    pub(crate) calls: usize,
    /// Nanoseconds of each call, in any order. Empty if the calls were not timed one by one.
    pub(crate) times: Vec<f32>,
    /// From the first call's start to the last one's end.
    pub(crate) elapsed: Duration,
    /// The processor time of all calls.
    pub(crate) cpu: Option<Cpu>,
    pub(crate) watch: Watch,
}

impl Sample {
    /// Calls per second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// A measurement that is being made.
pub(crate) struct Tally {
    amount: Amount,
    watch: Watch,
    before: Option<Cpu>,
    start: Instant,
    calls: usize,
    times: Vec<f32>,
}

impl Tally {
    pub(crate) fn start(watch: Watch, amount: Amount) -> Tally {
        let before = watch.read();
        Tally { amount, watch, before, start: Instant::now(), calls: 0, times: Vec::new() }
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.calls += 1;
        self.times.push(time.as_nanos() as f32);
    }

    /// Adds calls whose times are not known.
    pub(crate) fn took_together(&mut self, calls: usize) {
        self.calls += calls;
    }

    pub(crate) fn done(&self) -> bool {
        match self.amount {
            Amount::Time(time) => self.start.elapsed() >= time,
            Amount::Calls(calls) => self.calls >= calls,
        }
    }

    pub(crate) fn sample(self) -> Sample {
        let elapsed = self.start.elapsed();
        let cpu = self.watch.read().zip(self.before).map(|(after, before)| after - before);
        Sample { calls: self.calls, times: self.times, elapsed, cpu, watch: self.watch }
    }
}

/// One call after the other.
pub(crate) fn one_by_one<T>(
    watch: Watch,
    amount: Amount,
    mut call: impl FnMut() -> Result<T, Failure>,
) -> Result<Sample, Failure> {
    timed(watch, amount, || {
        let start = Instant::now();
        drop(call()?);
        Ok(start.elapsed())
    })
}

/// The same for calls that return how long they took.
pub(crate) fn timed(
    watch: Watch,
    amount: Amount,
    mut call: impl FnMut() -> Result<Duration, Failure>,
) -> Result<Sample, Failure> {
    let mut tally = Tally::start(watch, amount);
    loop {
        tally.took(call()?);
        if tally.done() {
            return Ok(tally.sample());
        }
    }
}

/// The same for calls that are awaited.
pub(crate) async fn awaited<T>(
    watch: Watch,
    amount: Amount,
    mut call: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<Sample, Failure> {
    let mut tally = Tally::start(watch, amount);
    loop {
        let start = Instant::now();
        drop(call().await?);
        tally.took(start.elapsed());
        if tally.done() {
            return Ok(tally.sample());
        }
    }
}

/// Keeps `count` calls under way; `call` gets the number of the one that it makes.
pub(crate) async fn in_flight<T, F: Future<Output = Result<T, Failure>>>(
    watch: Watch,
    amount: Amount,
    count: usize,
    call: impl Fn(usize) -> F,
) -> Result<Sample, Failure> {
    let call = &call;
    let one = |slot: usize| async move {
        let start = Instant::now();
        drop(call(slot).await?);
        Ok::<_, Failure>((slot, start.elapsed()))
    };
    let mut tally = Tally::start(watch, amount);
    let mut calls: FuturesUnordered<_> = (0..count).map(one).collect();
    while let Some(answer) = calls.next().await {
        let (slot, time) = answer?;
        tally.took(time);
        if !tally.done() {
            calls.push(one(slot));
        }
    }
    Ok(tally.sample())
}

/// Runs each of the callers on a thread of its own, in a loop.
pub(crate) fn on_threads<T, F>(
    watch: Watch,
    amount: Amount,
    callers: Vec<F>,
) -> Result<Sample, Failure>
where
    F: FnMut() -> Result<T, Failure> + Send,
{
    let each = match amount {
        Amount::Time(_) => amount,
        Amount::Calls(calls) => Amount::Calls(calls.div_ceil(callers.len())),
    };
    // The first call and the end of each thread are not counted.
    let (ready, finished) = (&Barrier::new(callers.len() + 1), &Barrier::new(callers.len() + 1));
    let run = |mut call: F| {
        let first = call().map(drop);
        ready.wait();
        let times = first.and_then(|()| {
            let sample = one_by_one(Watch::nothing(), each, call)?;
            Ok(sample.times)
        });
        finished.wait();
        times
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            callers.into_iter().map(|call| scope.spawn(move || run(call))).collect();
        ready.wait();
        let tally = Tally::start(watch, amount);
        finished.wait();
        let mut sample = tally.sample();
        for thread in threads {
            let times = thread.join().map_err(|_| "a calling thread panicked")??;
            sample.calls += times.len();
            sample.times.extend(times);
        }
        Ok(sample)
    })
}
