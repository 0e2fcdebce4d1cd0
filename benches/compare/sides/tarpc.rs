//! tarpc over a unix socket, with bincode.

use std::thread::JoinHandle;
use std::time::Instant;

use multiprocess::process::Child;
use multiprocess_bench::over_tarpc::{self, BenchClient, Runtime};
use multiprocess_bench::{Failure, Peer, TEXT};

use super::{GRACE, Listening, Side, get_or_start};
use crate::cpu::Watch;
use crate::measure::{Amount, Sample, awaited, in_flight, on_threads, timed};
use crate::work::Work;

#[derive(Default)]
pub(crate) struct Tarpc {
    main: Option<Main>,
    threaded: Option<Threaded>,
    listening: Option<Listening>,
    connections: Vec<BenchClient>,
    runtime: Option<Runtime>,
}

struct Main {
    bench: BenchClient,
    runtime: Runtime,
    watch: Watch,
    _child: Child,
}

struct Threaded {
    bench: BenchClient,
    watch: Watch,
    _child: Child,
    _thread: JoinHandle<()>,
}

impl Tarpc {
    fn main(&mut self) -> Result<&Main, Failure> {
        let main = get_or_start(&mut self.main, || {
            let runtime = over_tarpc::runtime()?;
            let (child, socket) = Peer::Tarpc.start()?;
            let bench = over_tarpc::connect(&runtime, socket)?;
            Ok(Main { bench, runtime, watch: Watch::of(child.id()), _child: child })
        })?;
        Ok(main)
    }

    fn threads(&mut self, count: usize, amount: Amount) -> Result<Sample, Failure> {
        let started = get_or_start(&mut self.threaded, || {
            let (child, socket) = Peer::Tarpc.start()?;
            let (bench, thread) = over_tarpc::connect_on_thread(socket)?;
            let watch = Watch::of(child.id());
            Ok(Threaded { bench, watch, _child: child, _thread: thread })
        })?;
        let caller =
            |bench: BenchClient| move || futures_executor::block_on(over_tarpc::echo(&bench, TEXT));
        let callers = (0..count).map(|_| caller(started.bench.clone())).collect();
        on_threads(started.watch, amount, callers)
    }

    fn over_connections(
        &mut self,
        count: usize,
        over: usize,
        amount: Amount,
    ) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Tarpc)?;
        let runtime = get_or_start(&mut self.runtime, over_tarpc::runtime)?;
        while self.connections.len() < over {
            self.connections.push(over_tarpc::connect(runtime, listening.connect()?)?);
        }
        let connections = &self.connections;
        runtime.block_on(in_flight(listening.watch, amount, count, |slot| {
            over_tarpc::echo(&connections[slot % over], TEXT)
        }))
    }

    fn connect(&mut self, amount: Amount) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Tarpc)?;
        let runtime = get_or_start(&mut self.runtime, over_tarpc::runtime)?;
        timed(Watch::nothing(), amount, || {
            let start = Instant::now();
            let bench = over_tarpc::connect(runtime, listening.connect()?)?;
            runtime.block_on(over_tarpc::echo(&bench, TEXT))?;
            Ok(start.elapsed())
        })
    }

    fn spawn(&mut self, amount: Amount) -> Result<Sample, Failure> {
        timed(Watch::nothing(), amount, || {
            let start = Instant::now();
            let (child, socket) = Peer::Tarpc.start()?;
            let runtime = over_tarpc::runtime()?;
            let bench = over_tarpc::connect(&runtime, socket)?;
            runtime.block_on(over_tarpc::echo(&bench, TEXT))?;
            let taken = start.elapsed();
            // The connection ends with its runtime.
            drop((bench, runtime));
            child.shutdown(GRACE)?;
            Ok(taken)
        })
    }
}

impl Side for Tarpc {
    fn measure(&mut self, work: Work, amount: Amount) -> Result<Option<Sample>, Failure> {
        match work {
            Work::Threads(count) => return self.threads(count, amount).map(Some),
            Work::OverConnections(count, over) => {
                return self.over_connections(count, over, amount).map(Some);
            }
            Work::Spawn => return self.spawn(amount).map(Some),
            Work::Connect => return self.connect(amount).map(Some),
            Work::Callback | Work::Connection | Work::Handle => return Ok(None),
            _ => {}
        }
        let Main { bench, runtime, watch, .. } = self.main()?;
        let sample = runtime.block_on(async {
            match work {
                Work::InFlight(count) => {
                    in_flight(*watch, amount, count, |_| over_tarpc::echo(bench, TEXT)).await
                }
                Work::Echo(size) => {
                    let data = vec![7; size];
                    awaited(*watch, amount, async || over_tarpc::bytes(bench, &data).await).await
                }
                _ => awaited(*watch, amount, async || over_tarpc::echo(bench, TEXT).await).await,
            }
        })?;
        Ok(Some(sample))
    }

    fn hold(&mut self, work: Work, count: usize) -> Result<Option<u32>, Failure> {
        if work != Work::Connection {
            return Ok(None);
        }
        let listening = Listening::of(&mut self.listening, Peer::Tarpc)?;
        let runtime = get_or_start(&mut self.runtime, over_tarpc::runtime)?;
        for _ in 0..count {
            let bench = over_tarpc::connect(runtime, listening.connect()?)?;
            runtime.block_on(over_tarpc::echo(&bench, TEXT))?;
            self.connections.push(bench);
        }
        Ok(listening.watch.server)
    }
}
