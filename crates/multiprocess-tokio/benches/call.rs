//! What a call costs on tokio, beside the same call without it: `cargo bench -p multiprocess-tokio`.
//!
//! Each way calls one server process, over a unix socket of its own, and has 110 bytes of text returned. The ways take
//! turns, and a figure is the median of what the turns say, so that noise of the machine is in all of them.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use multiprocess::{Call, Connection};
use multiprocess_bench::{Failure, Peer, TEXT, ours, serve_if_peer};
use multiprocess_tokio::StartStream;
use tokio::runtime::{Builder, Runtime};

const TURNS: usize = 200;
const CALLS: u32 = 200;
/// A connection is no slower at first than later, but memory and threads are new.
const WARM_UP: usize = 10;

/// A way to make calls: makes so many, and returns how long they took.
type Way = Box<dyn FnMut(u32) -> Duration>;

fn main() -> Result<(), Failure> {
    if serve_if_peer() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("server.sock");
    let (_server, _alive) = Peer::Ours.listen(&path)?;
    let mut ways = ways(&path)?;
    let mut times = vec![Vec::new(); ways.len()];
    for turn in 0..TURNS + WARM_UP {
        for (times, (_, way)) in times.iter_mut().zip(&mut ways) {
            let time = way(CALLS) / CALLS;
            if turn >= WARM_UP {
                times.push(time);
            }
        }
    }
    let compared: Vec<_> = times[0].iter().map(Duration::as_secs_f64).collect();
    println!("{:>10}  {:>6}  way (median of {TURNS} turns of {CALLS} calls)", "us a call", "times");
    for (times, (name, _)) in times.iter().zip(&ways) {
        let ratios = times.iter().zip(&compared).map(|(time, first)| time.as_secs_f64() / first);
        let micros = times.iter().map(|time| time.as_secs_f64() * 1e6);
        println!("{:10.1}  {:6.2}  {name}", median(micros), median(ratios));
    }
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn ways(path: &Path) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut ways: Vec<(&'static str, Way)> = Vec::new();
    for (name, inline) in [
        ("async call on the executor of `futures`, without this crate", false),
        ("the same, of a method without a context", true),
    ] {
        let bench = ours::connect(UnixStream::connect(path)?)?;
        ways.push((
            name,
            Box::new(move |count| {
                let call = || if inline { bench.echo_inline(TEXT) } else { bench.echo(TEXT) };
                futures_executor::block_on(calls(count, call))
            }),
        ));
    }
    let bench = ours::connect(UnixStream::connect(path)?)?;
    ways.push((
        "call that a thread waits for, without this crate",
        Box::new(move |count| {
            let start = Instant::now();
            for _ in 0..count {
                bench.echo(TEXT).wait().expect("an answer");
            }
            start.elapsed()
        }),
    ));
    for (name, runtime, carried) in [
        ("tokio's UnixStream, current-thread runtime", one_thread()?, false),
        ("tokio's UnixStream, task of a multi-thread runtime", threads()?, false),
        ("carried stream, current-thread runtime", one_thread()?, true),
        ("carried stream, task of a multi-thread runtime", threads()?, true),
    ] {
        let connection = runtime.block_on(connect(path, carried))?;
        let bench: multiprocess_bench::generated::bench::BenchClient = connection.bootstrap()?;
        ways.push((
            name,
            Box::new(move |count| {
                let bench = bench.clone();
                let calls = async move { calls(count, || bench.echo(TEXT)).await };
                match runtime.metrics().num_workers() {
                    1 => runtime.block_on(calls),
                    _ => runtime.block_on(runtime.spawn(calls)).expect("it does not panic"),
                }
            }),
        ));
    }
    Ok(ways)
}

/// How long so many calls take, one at a time.
async fn calls(count: u32, call: impl Fn() -> Call<String>) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        call().await.expect("an answer");
    }
    start.elapsed()
}

/// A connection over tokio's UnixStream, as it is or as a stream that this crate does not know.
async fn connect(path: &Path, carried: bool) -> Result<Connection, Failure> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    if !carried {
        return Ok(Connection::builder().start_stream(stream)?);
    }
    let (reads, writes) = stream.into_split();
    Ok(Connection::builder().start_stream(tokio::io::join(reads, writes))?)
}

fn one_thread() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn threads() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
