//! The `multiprocess` runtime as client, and as server, or another program as server.

use std::any::Any;
use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use multiprocess::process::{Child, connect};
use multiprocess_bench::generated::bench::BenchClient;
use multiprocess_bench::{Failure, Peer, TEXT, ours, start_program};

use super::{GRACE, Listening, Side, get_or_start};
use crate::cpu::Watch;
use crate::measure::{Amount, Sample, awaited, in_flight, on_threads, one_by_one, timed};
use crate::work::Work;

/// How long the first call of a method may take in a foreign program.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Ours {
    program: Option<PathBuf>,
    main: Option<Main>,
    listening: Option<Listening>,
    connections: Vec<BenchClient>,
    tried: HashSet<Work>,
    held: Vec<Box<dyn Any>>,
}

struct Main {
    bench: BenchClient,
    server: u32,
    _child: Child,
}

impl Ours {
    /// Uses this executable as server if no program is named.
    pub(crate) fn new(program: Option<PathBuf>) -> Ours {
        Ours {
            program,
            main: None,
            listening: None,
            connections: Vec::new(),
            tried: HashSet::new(),
            held: Vec::new(),
        }
    }

    fn start(&self) -> Result<(Child, UnixStream), Failure> {
        match &self.program {
            Some(program) => start_program(program),
            None => Peer::Ours.start(),
        }
    }

    fn main(&mut self) -> Result<(BenchClient, Watch), Failure> {
        if self.main.is_none() {
            let (child, socket) = self.start()?;
            let main = Main { bench: ours::connect(socket)?, server: child.id(), _child: child };
            self.main = Some(main);
        }
        let main = self.main.as_ref().ok_or("no server")?;
        Ok((main.bench.clone(), Watch::of(main.server)))
    }

    /// Another program may not have the method, or never answer.
    fn try_once(&mut self, work: Work) -> Result<(), Failure> {
        if self.program.is_none() || !self.tried.insert(work) {
            return Ok(());
        }
        let (bench, _) = self.main()?;
        match work {
            Work::Inline => bench.echo_inline(TEXT).timeout(PATIENCE).wait().map(drop)?,
            Work::Echo(_) => bench.bytes(&b"x"[..]).timeout(PATIENCE).wait().map(drop)?,
            Work::Callback => {
                bench.call_back(ours::callback(), TEXT).timeout(PATIENCE).wait().map(drop)?;
            }
            _ => bench.echo(TEXT).timeout(PATIENCE).wait().map(drop)?,
        }
        Ok(())
    }

    fn over_connections(
        &mut self,
        count: usize,
        over: usize,
        amount: Amount,
    ) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Ours)?;
        while self.connections.len() < over {
            self.connections.push(ours::connect(connect(&listening.path)?)?);
        }
        let connections = &self.connections;
        futures_executor::block_on(in_flight(listening.watch, amount, count, |slot| async move {
            Ok(connections[slot % over].echo(TEXT).await?)
        }))
    }

    fn spawn(&self) -> Result<Duration, Failure> {
        let start = Instant::now();
        let (child, socket) = self.start()?;
        let bench = ours::connect(socket)?;
        bench.echo(TEXT).wait()?;
        let taken = start.elapsed();
        drop(bench);
        child.shutdown(GRACE)?;
        Ok(taken)
    }
}

impl Side for Ours {
    fn measure(&mut self, work: Work, amount: Amount) -> Result<Option<Sample>, Failure> {
        if self.program.is_some() && matches!(work, Work::OverConnections(..) | Work::Connect) {
            // A foreign program cannot be told to listen.
            return Ok(None);
        }
        self.try_once(work)?;
        let (bench, watch) = self.main()?;
        let sample = match work {
            Work::Mapped => one_by_one(watch, amount, || Ok(bench.echo(TEXT).wait()?))?,
            Work::Inline => one_by_one(watch, amount, || Ok(bench.echo_inline(TEXT).wait()?))?,
            Work::Async => {
                let call = async || Ok(bench.echo(TEXT).await?);
                futures_executor::block_on(awaited(watch, amount, call))?
            }
            Work::Callback => {
                let callback = ours::callback();
                one_by_one(watch, amount, || Ok(bench.call_back(callback.clone(), TEXT).wait()?))?
            }
            Work::InFlight(count) => {
                let call = |_| async { Ok(bench.echo(TEXT).await?) };
                futures_executor::block_on(in_flight(watch, amount, count, call))?
            }
            Work::OverConnections(count, over) => self.over_connections(count, over, amount)?,
            Work::Threads(count) => {
                let caller = |bench: BenchClient| move || Ok(bench.echo(TEXT).wait()?);
                let callers = (0..count).map(|_| caller(bench.clone())).collect();
                on_threads(watch, amount, callers)?
            }
            Work::Echo(size) => {
                let data = vec![7; size];
                one_by_one(watch, amount, || Ok(bench.bytes(&data[..]).wait()?))?
            }
            Work::Spawn => timed(Watch::nothing(), amount, || self.spawn())?,
            Work::Connect => {
                let listening = Listening::of(&mut self.listening, Peer::Ours)?;
                timed(Watch::nothing(), amount, || {
                    let start = Instant::now();
                    let bench = ours::connect(connect(&listening.path)?)?;
                    bench.echo(TEXT).wait()?;
                    Ok(start.elapsed())
                })?
            }
            Work::Connection | Work::Handle => return Ok(None),
        };
        Ok(Some(sample))
    }

    fn hold(&mut self, work: Work, count: usize) -> Result<Option<u32>, Failure> {
        if work == Work::Handle {
            let (bench, watch) = self.main()?;
            for _ in 0..count {
                self.held.push(Box::new(bench.make_object().wait()?));
            }
            return Ok(watch.server);
        }
        if work != Work::Connection || self.program.is_some() {
            return Ok(None);
        }
        let listening = get_or_start(&mut self.listening, || Listening::start(Peer::Ours))?;
        for _ in 0..count {
            let bench = ours::connect(connect(&listening.path)?)?;
            bench.echo(TEXT).wait()?;
            self.held.push(Box::new(bench));
        }
        Ok(listening.watch.server)
    }
}
