//! What is measured. Servers are processes of their own, one for each side, started once.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use multiprocess::process::Child;
use multiprocess_bench::generated::bench::BenchClient;
use multiprocess_bench::generated::bench_capnp::bench;
use multiprocess_bench::{Failure, Peer, TEXT, ours, plain, raw};

use crate::measure::{p50, p50_async, p50_of, rate, rate_of_threads};
use crate::report::Unit;

const IN_FLIGHT: usize = 64;
const THREADS: usize = 8;
const LONG: usize = 1 << 20;
const GRACE: Duration = Duration::from_secs(5);

/// What a column is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Raw,
    Plain,
}

impl Side {
    pub(crate) const ALL: [Side; 3] = [Side::Ours, Side::Raw, Side::Plain];
}

type Measure = Box<dyn FnMut(Duration) -> Result<f64, Failure>>;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    ours: Measure,
    raw: Measure,
    plain: Measure,
}

impl Row {
    /// Measures one side for this long.
    pub(crate) fn measure(&mut self, side: Side, time: Duration) -> Result<f64, Failure> {
        match side {
            Side::Ours => (self.ours)(time),
            Side::Raw => (self.raw)(time),
            Side::Plain => (self.plain)(time),
        }
    }
}

/// The servers that the rows share.
struct Servers {
    bench: BenchClient,
    link: Rc<RefCell<raw::Link>>,
    plain: Rc<Plain>,
}

struct Plain {
    events: plain::Loop,
    bench: bench::Client,
}

/// All rows, with their servers.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// A server whose handle is dropped is soon ended.
    pub(crate) _children: [Child; 3],
}

/// All rows, with their servers running.
pub(crate) fn all() -> Result<Rows, Failure> {
    let (ours_child, socket) = Peer::Ours.start()?;
    let bench = ours::connect(socket)?;
    let (raw_child, socket) = Peer::Raw.start()?;
    let link = Rc::new(RefCell::new(raw::Link::new(socket)));
    let (plain_child, socket) = Peer::Plain.start()?;
    let events = plain::Loop::new()?;
    let plain = Rc::new(Plain { bench: events.connect(socket)?, events });
    let servers = Servers { bench, link, plain };
    let rows = vec![
        mapped(&servers),
        inline(&servers),
        awaited(&servers),
        in_flight(&servers),
        threads(&servers)?,
        callback(&servers),
        long(&servers),
        spawn()?,
    ];
    Ok(Rows { rows, _children: [ours_child, raw_child, plain_child] })
}

/// 110 bytes there and back, called and waited for by a thread, run on that thread's own server
/// thread. Raw: a blocking write and read on either side. capnp-rpc: awaited in its event loop, and
/// run in the server's.
fn mapped(servers: &Servers) -> Row {
    let bench = servers.bench.clone();
    Row {
        name: "mapped call",
        unit: Unit::Time,
        ours: Box::new(move |time| p50(time, || Ok(bench.echo(TEXT).wait()?))),
        raw: raw_echo(servers, TEXT.as_bytes()),
        plain: plain_echo(servers),
    }
}

/// The same by a method without a context, which runs on any thread.
fn inline(servers: &Servers) -> Row {
    let bench = servers.bench.clone();
    let plain = Rc::clone(&servers.plain);
    Row {
        name: "inline call",
        unit: Unit::Time,
        ours: Box::new(move |time| p50(time, || Ok(bench.echo_inline(TEXT).wait()?))),
        raw: raw_echo(servers, TEXT.as_bytes()),
        plain: Box::new(move |time| {
            plain
                .events
                .run(p50_async(time, async || Ok(plain::echo_inline(&plain.bench, TEXT).await?)))
        }),
    }
}

/// The mapped call, awaited one at a time in an executor of the `futures` crate.
fn awaited(servers: &Servers) -> Row {
    let bench = servers.bench.clone();
    Row {
        name: "async call",
        unit: Unit::Time,
        ours: Box::new(move |time| {
            futures_executor::block_on(p50_async(time, async || Ok(bench.echo(TEXT).await?)))
        }),
        raw: raw_echo(servers, TEXT.as_bytes()),
        plain: plain_echo(servers),
    }
}

/// One thread that keeps 64 mapped calls under way. Raw: 64 frames, read and written as they come.
fn in_flight(servers: &Servers) -> Row {
    let bench = servers.bench.clone();
    let (link, frame) = (Rc::clone(&servers.link), raw::frame(TEXT.as_bytes()));
    let plain = Rc::clone(&servers.plain);
    Row {
        name: "async, 64 in flight",
        unit: Unit::Rate,
        ours: Box::new(move |time| timed(|| Ok(ours::in_flight(&bench, IN_FLIGHT, time)?))),
        raw: Box::new(move |time| {
            timed(|| Ok(link.borrow_mut().in_flight(&frame, IN_FLIGHT, time)?))
        }),
        plain: Box::new(move |time| {
            timed(|| Ok(plain.events.run(plain::in_flight(&plain.bench, IN_FLIGHT, time))?))
        }),
    }
}

/// Eight threads that make mapped calls over one connection. Raw: each has a socket and a server
/// process for itself. capnp-rpc: they hand their calls to the thread of the connection.
fn threads(servers: &Servers) -> Result<Row, Failure> {
    let bench = servers.bench.clone();
    let started: Result<Vec<_>, Failure> = (0..THREADS).map(|_| Peer::Raw.start()).collect();
    let (children, mut links): (Vec<Child>, Vec<raw::Link>) =
        started?.into_iter().map(|(child, socket)| (child, raw::Link::new(socket))).unzip();
    let frame = raw::frame(TEXT.as_bytes());
    let (gateway, _thread) = plain::Gateway::start()?;
    Ok(Row {
        name: "8 threads",
        unit: Unit::Rate,
        ours: Box::new(move |time| {
            let caller = |bench: BenchClient| move || Ok(bench.echo(TEXT).wait()?);
            rate_of_threads(time, (0..THREADS).map(|_| caller(bench.clone())).collect())
        }),
        raw: Box::new(move |time| {
            let _kept = &children;
            let frame = &frame;
            rate_of_threads(
                time,
                links.iter_mut().map(|link| move || Ok(link.echo(frame)?)).collect(),
            )
        }),
        plain: Box::new(move |time| {
            let caller = |gateway: plain::Gateway| move || gateway.echo(TEXT);
            rate_of_threads(time, (0..THREADS).map(|_| caller(gateway.clone())).collect())
        }),
    })
}

/// A mapped call whose method calls an object of the caller's and returns what that says: two
/// round trips, one within the other. The callback runs on the thread that waits.
fn callback(servers: &Servers) -> Row {
    let (bench, callback) = (servers.bench.clone(), ours::callback());
    let (link, frame) = (Rc::clone(&servers.link), raw::callback_frame(TEXT.as_bytes()));
    let (plain, plain_callback) = (Rc::clone(&servers.plain), plain::callback());
    Row {
        name: "callback",
        unit: Unit::Time,
        ours: Box::new(move |time| {
            p50(time, || Ok(bench.call_back(callback.clone(), TEXT).wait()?))
        }),
        raw: Box::new(move |time| p50(time, || Ok(link.borrow_mut().call_back(&frame)?))),
        plain: Box::new(move |time| {
            let call = async || Ok(plain::call_back(&plain.bench, &plain_callback, TEXT).await?);
            plain.events.run(p50_async(time, call))
        }),
    }
}

/// A mapped call with 1 MiB of data there and back.
fn long(servers: &Servers) -> Row {
    let data = Rc::new(vec![7; LONG]);
    let (bench, sent) = (servers.bench.clone(), Rc::clone(&data));
    let plain = Rc::clone(&servers.plain);
    Row {
        name: "1 MiB echo",
        unit: Unit::Time,
        ours: Box::new(move |time| p50(time, || Ok(bench.bytes(&sent[..]).wait()?))),
        raw: raw_echo(servers, &data),
        plain: Box::new(move |time| {
            plain.events.run(p50_async(time, async || Ok(plain::bytes(&plain.bench, &data).await?)))
        }),
    }
}

/// From starting the server's process (the same program for all three) until the answer of its
/// first call is there.
fn spawn() -> Result<Row, Failure> {
    let frame = raw::frame(TEXT.as_bytes());
    let events = plain::Loop::new()?;
    Ok(Row {
        name: "spawn to first call",
        unit: Unit::Time,
        ours: Box::new(move |time| {
            p50_of(time, || {
                let start = Instant::now();
                let (child, socket) = Peer::Ours.start()?;
                let bench = ours::connect(socket)?;
                bench.echo(TEXT).wait()?;
                let taken = start.elapsed();
                drop(bench);
                child.shutdown(GRACE)?;
                Ok(taken)
            })
        }),
        raw: Box::new(move |time| {
            p50_of(time, || {
                let start = Instant::now();
                let (child, socket) = Peer::Raw.start()?;
                let mut link = raw::Link::new(socket);
                link.echo(&frame)?;
                let taken = start.elapsed();
                drop(link);
                child.shutdown(GRACE)?;
                Ok(taken)
            })
        }),
        plain: Box::new(move |time| {
            p50_of(time, || {
                let start = Instant::now();
                let (child, socket) = Peer::Plain.start()?;
                let bench = events.connect(socket)?;
                events.run(plain::echo(&bench, TEXT))?;
                let taken = start.elapsed();
                drop(bench);
                // The loop stands and closes nothing by itself.
                child.shutdown(Duration::ZERO)?;
                Ok(taken)
            })
        }),
    })
}

fn raw_echo(servers: &Servers, content: &[u8]) -> Measure {
    let (link, frame) = (Rc::clone(&servers.link), raw::frame(content));
    Box::new(move |time| p50(time, || Ok(link.borrow_mut().echo(&frame)?)))
}

fn plain_echo(servers: &Servers) -> Measure {
    let plain = Rc::clone(&servers.plain);
    Box::new(move |time| {
        plain.events.run(p50_async(time, async || Ok(plain::echo(&plain.bench, TEXT).await?)))
    })
}

/// The rate of what `run` says it has done.
fn timed(run: impl FnOnce() -> Result<u64, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    let count = run()?;
    Ok(rate(count, start.elapsed()))
}
