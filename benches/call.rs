//! The cost of one call, measured with criterion: `cargo bench --bench call`.
//!
//! Each benchmark calls a server process and echoes 110 bytes of text:
//!
//! - `call/mapped`: `Echo.echo` of the node of `bitcoin-regtest`, waited for by a thread; it runs on that thread's
//!   own server thread there;
//! - `call/async`: the same, awaited in a small executor; it runs on a thread that futures share;
//! - `call/inline`: a method without a context, waited for by a thread. Bitcoin's schemas have none
//!   with Text, so it is a method of the benches' own server;
//! - `call/raw_socketpair`: a blocking write and read on either side and nothing else;
//! - `call/capnp_rpc_tokio`: plain capnp-rpc on a current-thread tokio on either side;
//! - `spawn_to_first_call/...`: from starting the server process until its first answer is there.
//!   `bitcoin_node` is the node of `bitcoin-regtest`.
//!
//! `cargo bench --bench compare` compares the same systems in one table.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin_ipc::init::InitClient;
use bitcoin_ipc::ipc::{Ipc, IpcOptions, Spawned, StartSpawnedProcess};
use bitcoin_regtest::{Chain, NodeInit};
use criterion::{Criterion, Throughput};
use multiprocess::process::{Child, Command};
use multiprocess_bench::{Failure, Peer, TEXT, ours, plain, raw, serve_if_peer};

/// How long a server may take to end when its socket has closed.
const GRACE: Duration = Duration::from_secs(5);
/// The argument that makes this program serve as the node.
const NODE: &str = "bitcoin-node";

fn main() -> Result<(), Failure> {
    if serve_if_node()? || serve_if_peer() {
        return Ok(());
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    call(&mut criterion)?;
    spawn_to_first_call(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn call(criterion: &mut Criterion) -> Result<(), Failure> {
    let node = spawn_node()?;
    let echo = node.init.make_echo().wait()?.ok_or("the node has no Echo")?;
    let (_ours, socket) = Peer::Ours.start()?;
    let bench = ours::connect(socket)?;
    let (_raw, socket) = Peer::Raw.start()?;
    let mut link = raw::Link::new(socket);
    let frame = raw::frame(TEXT.as_bytes());
    let events = plain::Loop::new()?;
    let (_plain, socket) = Peer::Plain.start()?;
    let client = events.connect(socket)?;

    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(1));
    group.bench_function("mapped", |bencher| {
        bencher.iter(|| echo.echo(TEXT).wait().expect("an answer"))
    });
    group.bench_function("async", |bencher| {
        bencher.iter(|| {
            futures_executor::block_on(async { echo.echo(TEXT).await }).expect("an answer")
        });
    });
    group.bench_function("inline", |bencher| {
        bencher.iter(|| bench.echo_inline(TEXT).wait().expect("an answer"))
    });
    group.bench_function("raw_socketpair", |bencher| {
        bencher.iter(|| link.echo(&frame).expect("an answer"))
    });
    group.bench_function("capnp_rpc_tokio", |bencher| {
        bencher.iter_custom(|count| {
            events.run(async {
                let start = Instant::now();
                for _ in 0..count {
                    plain::echo(&client, TEXT).await.expect("an answer");
                }
                start.elapsed()
            })
        });
    });
    group.finish();
    Ok(())
}

fn spawn_to_first_call(criterion: &mut Criterion) -> Result<(), Failure> {
    let events = plain::Loop::new()?;
    let frame = raw::frame(TEXT.as_bytes());
    let mut group = criterion.benchmark_group("spawn_to_first_call");
    group.sample_size(20);
    group.bench_function("bitcoin_node", |bencher| {
        bencher.iter_custom(|count| {
            total(count, || {
                let node = spawn_node()?;
                node.init.make_echo().pipelined().echo(TEXT).wait()?;
                Ok(node)
            })
        });
    });
    group.bench_function("raw_socketpair", |bencher| {
        bencher.iter_custom(|count| {
            total(count, || {
                let (child, socket) = Peer::Raw.start()?;
                let mut link = raw::Link::new(socket);
                link.echo(&frame)?;
                Ok((child, link))
            })
        });
    });
    group.bench_function("capnp_rpc_tokio", |bencher| {
        bencher.iter_custom(|count| {
            total(count, || {
                let (child, socket) = Peer::Plain.start()?;
                let client = events.connect(socket)?;
                events.run(plain::echo(&client, TEXT))?;
                Ok((child, client))
            })
        });
    });
    group.finish();
    Ok(())
}

/// How long `count` starts take. The end of each server is not counted.
fn total<S: Started>(count: u64, start: impl Fn() -> Result<S, Failure>) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let from = Instant::now();
        let started = start().expect("a server that answers");
        total += from.elapsed();
        started.end();
    }
    total
}

fn spawn_node() -> Result<Spawned, Failure> {
    let command = Command::new(std::env::current_exe()?).arg0(NODE);
    Ok(Ipc::new(IpcOptions::client("bench")).spawn_command(command, Path::new(NODE))?)
}

/// Serves a node until the parent closes the socket, and returns true, if this process was started
/// by [`spawn_node`].
fn serve_if_node() -> Result<bool, Failure> {
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.first().is_none_or(|name| name != NODE) {
        return Ok(false);
    }
    let init = InitClient::new(NodeInit::new(Chain::regtest()));
    Ok(Ipc::new(IpcOptions::new(NODE, init)).start_spawned_process(&args)?.is_some())
}

/// A server that runs, with whatever keeps its socket open.
trait Started {
    fn end(self);
}

impl<T> Started for (Child, T) {
    fn end(self) {
        let (child, link) = self;
        drop(link);
        // A capnp-rpc loop that does not run closes nothing, so its server is ended by a signal.
        child.shutdown(Duration::ZERO).expect("the server's end");
    }
}

impl Started for Spawned {
    fn end(self) {
        let Spawned { init, child, connection, .. } = self;
        drop((init, connection));
        child.shutdown(GRACE).expect("the server's end");
    }
}
