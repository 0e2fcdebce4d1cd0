//! Medians and rates.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use multiprocess_bench::Failure;

/// The middle value; 0 where there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median call in nanoseconds, of as many as fit in the time, at least one.
pub(crate) fn p50<T>(
    time: Duration,
    mut call: impl FnMut() -> Result<T, Failure>,
) -> Result<f64, Failure> {
    p50_of(time, || {
        let start = Instant::now();
        drop(call()?);
        Ok(start.elapsed())
    })
}

/// The same where a call says itself how long it took.
pub(crate) fn p50_of(
    time: Duration,
    mut call: impl FnMut() -> Result<Duration, Failure>,
) -> Result<f64, Failure> {
    let end = Instant::now() + time;
    let mut calls = vec![nanoseconds(call()?)];
    while Instant::now() < end {
        calls.push(nanoseconds(call()?));
    }
    Ok(median(calls))
}

/// The same for calls that are awaited.
pub(crate) async fn p50_async<T>(
    time: Duration,
    mut call: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<f64, Failure> {
    let end = Instant::now() + time;
    let mut calls = Vec::new();
    while calls.is_empty() || Instant::now() < end {
        let start = Instant::now();
        drop(call().await?);
        calls.push(nanoseconds(start.elapsed()));
    }
    Ok(median(calls))
}

/// Runs each of the callers on a thread of its own, in a loop. Calls in a second, all together.
pub(crate) fn rate_of_threads<T, F>(time: Duration, callers: Vec<F>) -> Result<f64, Failure>
where
    F: FnMut() -> Result<T, Failure> + Send,
{
    let ready = &Barrier::new(callers.len());
    let counts: Vec<Result<u64, Failure>> = std::thread::scope(|scope| {
        let run = |mut call: F| {
            // The first call has the peer make a thread for this one.
            let first = call().map(drop);
            ready.wait();
            first?;
            let (end, mut count) = (Instant::now() + time, 0);
            while Instant::now() < end {
                call()?;
                count += 1;
            }
            Ok(count)
        };
        let threads: Vec<_> =
            callers.into_iter().map(|call| scope.spawn(move || run(call))).collect();
        let failed = |_| Err("a calling thread panicked".into());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    });
    let mut total = 0;
    for count in counts {
        total += count?;
    }
    Ok(rate(total, time))
}

/// Calls in a second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}
