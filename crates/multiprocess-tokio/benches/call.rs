//! What a call costs on tokio, beside the same call without it: `cargo bench -p multiprocess-tokio`.
//!
//! Each way calls one server process, over a unix socket of its own, and has 110 bytes of text returned. The ways take
//! turns, and a figure is the median of what the turns say, so that noise of the machine is in all of them.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use multiprocess::Connection;
use multiprocess_bench::generated::bench::BenchClient;
use multiprocess_bench::{Failure, Peer, TEXT, ours, serve_if_peer};
use multiprocess_tokio::StartStream;
use tokio::runtime::{Builder, Runtime};

const TURNS: usize = 200;
const CALLS: u32 = 200;
/// A connection is no slower at first than later, but memory and threads are new.
const WARM_UP: usize = 10;

/// A way to make calls.
struct Way {
    name: &'static str,
    /// The way whose runtime makes the same calls without this crate.
    beside: usize,
    /// Makes so many, and returns how long they took.
    run: Box<dyn FnMut(u32) -> Duration>,
}

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
        for (times, way) in times.iter_mut().zip(&mut ways) {
            let time = (way.run)(CALLS).as_secs_f64() / f64::from(CALLS);
            if turn >= WARM_UP {
                times.push(time);
            }
        }
    }
    println!(
        "Medians of {TURNS} turns of {CALLS} calls: microseconds a call, times the first way, times the same"
    );
    println!("runtime without this crate");
    for (way, own) in ways.iter().zip(&times) {
        let times_of = |other: usize| median(own.iter().zip(&times[other]).map(|(a, b)| a / b));
        let micros = median(own.iter().map(|time| time * 1e6));
        println!("{micros:8.1} {:6.2} {:6.2}  {}", times_of(0), times_of(way.beside), way.name);
    }
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn ways(path: &Path) -> Result<Vec<Way>, Failure> {
    let bench = ours::connect(UnixStream::connect(path)?)?;
    let run = Box::new(move |count| futures_executor::block_on(calls(count, &bench)));
    let mut ways = vec![Way { name: "the executor of `futures`", beside: 0, run }];
    for (name, beside, runtime, over) in [
        ("tokio, current-thread, without this crate", 1, one_thread()?, Over::Std),
        ("tokio, a task of several threads, without this crate", 2, threads()?, Over::Std),
        ("tokio's UnixStream, current-thread", 1, one_thread()?, Over::Tokio),
        ("tokio's UnixStream, a task of several threads", 2, threads()?, Over::Tokio),
        ("a stream that is carried, current-thread", 1, one_thread()?, Over::Carried),
        ("a stream that is carried, a task of several threads", 2, threads()?, Over::Carried),
    ] {
        let bench: BenchClient = runtime.block_on(connect(path, over))?.bootstrap()?;
        let run = Box::new(move |count| {
            let bench = bench.clone();
            let calls = async move { calls(count, &bench).await };
            match runtime.metrics().num_workers() {
                1 => runtime.block_on(calls),
                _ => runtime.block_on(runtime.spawn(calls)).expect("it does not panic"),
            }
        });
        ways.push(Way { name, beside, run });
    }
    Ok(ways)
}

/// How long so many calls take, one at a time.
async fn calls(count: u32, bench: &BenchClient) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        bench.echo(TEXT).await.expect("an answer");
    }
    start.elapsed()
}

/// What a connection is made of.
#[derive(Clone, Copy)]
enum Over {
    /// A socket of std: this crate has no part in it.
    Std,
    Tokio,
    /// The same as a stream that this crate does not know.
    Carried,
}

async fn connect(path: &Path, over: Over) -> Result<Connection, Failure> {
    if let Over::Std = over {
        return Ok(Connection::new(UnixStream::connect(path)?)?);
    }
    let stream = tokio::net::UnixStream::connect(path).await?;
    if let Over::Tokio = over {
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
