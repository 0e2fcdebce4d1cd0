//! capnp-rpc on tokio.

use std::any::Any;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use multiprocess::process::Child;
use multiprocess_bench::generated::bench_capnp::bench;
use multiprocess_bench::{Failure, Peer, TEXT, plain};

use super::{Listening, Side, get_or_start};
use crate::cpu::Watch;
use crate::measure::{Amount, Sample, awaited, in_flight, on_threads, timed};
use crate::work::Work;

#[derive(Default)]
pub(crate) struct CapnpRpc {
    main: Option<Main>,
    gateway: Option<Gateway>,
    listening: Option<Listening>,
    connections: Vec<bench::Client>,
    held: Vec<Box<dyn Any>>,
    /// The loop of the connections and of the handles that are kept; it is dropped after them.
    events: Option<plain::Loop>,
}

struct Main {
    bench: bench::Client,
    events: plain::Loop,
    watch: Watch,
    _child: Child,
}

struct Gateway {
    gateway: plain::Gateway,
    watch: Watch,
    _thread: JoinHandle<()>,
}

impl CapnpRpc {
    fn main(&mut self) -> Result<&Main, Failure> {
        let main = get_or_start(&mut self.main, || {
            let events = plain::Loop::new()?;
            let (child, socket) = Peer::Plain.start()?;
            let bench = events.connect(socket)?;
            Ok(Main { bench, events, watch: Watch::of(child.id()), _child: child })
        })?;
        Ok(main)
    }

    fn threads(&mut self, count: usize, amount: Amount) -> Result<Sample, Failure> {
        let started = get_or_start(&mut self.gateway, || {
            let (gateway, server, thread) = plain::Gateway::start()?;
            Ok(Gateway { gateway, watch: Watch::of(server), _thread: thread })
        })?;
        let caller = |gateway: plain::Gateway| move || gateway.echo(TEXT);
        let callers = (0..count).map(|_| caller(started.gateway.clone())).collect();
        on_threads(started.watch, amount, callers)
    }

    fn over_connections(
        &mut self,
        count: usize,
        over: usize,
        amount: Amount,
    ) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Plain)?;
        let events = get_or_start(&mut self.events, plain::Loop::new)?;
        while self.connections.len() < over {
            self.connections.push(events.connect(listening.connect()?)?);
        }
        let connections = &self.connections;
        events.run(in_flight(listening.watch, amount, count, |slot| async move {
            Ok(plain::echo(&connections[slot % over], TEXT).await?)
        }))
    }

    fn connect(&mut self, amount: Amount) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Plain)?;
        let events = get_or_start(&mut self.events, plain::Loop::new)?;
        timed(Watch::nothing(), amount, || {
            let start = Instant::now();
            let (bench, disconnector) = events.connect_for_a_while(listening.connect()?)?;
            events.run(plain::echo(&bench, TEXT))?;
            let taken = start.elapsed();
            drop(bench);
            events.run(disconnector)?;
            Ok(taken)
        })
    }

    fn spawn(&mut self, amount: Amount) -> Result<Sample, Failure> {
        let events = get_or_start(&mut self.events, plain::Loop::new)?;
        timed(Watch::nothing(), amount, || {
            let start = Instant::now();
            let (child, socket) = Peer::Plain.start()?;
            let (bench, disconnector) = events.connect_for_a_while(socket)?;
            events.run(plain::echo(&bench, TEXT))?;
            let taken = start.elapsed();
            drop(bench);
            events.run(disconnector)?;
            child.shutdown(Duration::ZERO)?;
            Ok(taken)
        })
    }
}

impl Side for CapnpRpc {
    fn measure(&mut self, work: Work, amount: Amount) -> Result<Option<Sample>, Failure> {
        match work {
            Work::Threads(count) => return self.threads(count, amount).map(Some),
            Work::OverConnections(count, over) => {
                return self.over_connections(count, over, amount).map(Some);
            }
            Work::Spawn => return self.spawn(amount).map(Some),
            Work::Connect => return self.connect(amount).map(Some),
            Work::Connection | Work::Handle => return Ok(None),
            _ => {}
        }
        let Main { bench, events, watch, .. } = self.main()?;
        let sample = events.run(async {
            match work {
                Work::Inline => {
                    awaited(*watch, amount, async || Ok(plain::echo_inline(bench, TEXT).await?))
                        .await
                }
                Work::Callback => {
                    let callback = plain::callback();
                    let call = async || Ok(plain::call_back(bench, &callback, TEXT).await?);
                    awaited(*watch, amount, call).await
                }
                Work::InFlight(count) => {
                    let call = |_| async { Ok(plain::echo(bench, TEXT).await?) };
                    in_flight(*watch, amount, count, call).await
                }
                Work::Echo(size) => {
                    let data = vec![7; size];
                    awaited(*watch, amount, async || Ok(plain::bytes(bench, &data).await?)).await
                }
                _ => awaited(*watch, amount, async || Ok(plain::echo(bench, TEXT).await?)).await,
            }
        })?;
        Ok(Some(sample))
    }

    fn hold(&mut self, work: Work, count: usize) -> Result<Option<u32>, Failure> {
        if work == Work::Handle {
            let Main { bench, events, watch, .. } = self.main()?;
            let (bench, server) = (bench.clone(), watch.server);
            let make = async {
                let mut made: Vec<Box<dyn Any>> = Vec::new();
                for _ in 0..count {
                    made.push(Box::new(plain::make_object(&bench).await?));
                }
                Ok::<_, Failure>(made)
            };
            let made = events.run(make)?;
            self.held.extend(made);
            return Ok(server);
        }
        if work != Work::Connection {
            return Ok(None);
        }
        let listening = Listening::of(&mut self.listening, Peer::Plain)?;
        let events = get_or_start(&mut self.events, plain::Loop::new)?;
        for _ in 0..count {
            let bench = events.connect(listening.connect()?)?;
            events.run(plain::echo(&bench, TEXT))?;
            self.held.push(Box::new(bench));
        }
        Ok(listening.watch.server)
    }
}
