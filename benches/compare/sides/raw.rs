//! A raw socket pair: blocking, on both sides.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use multiprocess::process::Child;
use multiprocess_bench::{Failure, Peer, TEXT, raw};

use super::{GRACE, Listening, Side, get_or_start};
use crate::cpu::Watch;
use crate::measure::{Amount, Sample, Tally, on_threads, one_by_one, timed};
use crate::work::Work;

#[derive(Default)]
pub(crate) struct Raw {
    main: Option<Main>,
    listening: Option<Listening>,
    links: Vec<raw::Link>,
}

struct Main {
    link: raw::Link,
    watch: Watch,
    _child: Child,
}

impl Raw {
    fn main(&mut self) -> Result<(&mut raw::Link, Watch), Failure> {
        let main = get_or_start(&mut self.main, || {
            let (child, socket) = Peer::Raw.start()?;
            let watch = Watch::of(child.id());
            Ok(Main { link: raw::Link::new(socket), watch, _child: child })
        })?;
        Ok((&mut main.link, main.watch))
    }

    fn echo(&mut self, content: &[u8], amount: Amount) -> Result<Sample, Failure> {
        let frame = raw::frame(content);
        let (link, watch) = self.main()?;
        one_by_one(watch, amount, || Ok(link.echo(&frame)?))
    }

    fn threads(&mut self, count: usize, amount: Amount) -> Result<Sample, Failure> {
        let listening = Listening::of(&mut self.listening, Peer::Raw)?;
        while self.links.len() < count {
            self.links.push(raw::Link::new(listening.connect()?));
        }
        let frame = &raw::frame(TEXT.as_bytes());
        let links = self.links.iter_mut().take(count);
        let callers = links.map(|link| move || Ok(link.echo(frame)?)).collect();
        on_threads(listening.watch, amount, callers)
    }

    fn in_flight(&mut self, count: usize, amount: Amount) -> Result<Sample, Failure> {
        let frame = raw::frame(TEXT.as_bytes());
        let (link, watch) = self.main()?;
        let mut tally = Tally::start(watch, amount);
        link.in_flight(&frame, count, |back| {
            tally.took_together(back);
            if tally.done() { 0 } else { back }
        })?;
        Ok(tally.sample())
    }
}

fn first_echo(socket: UnixStream) -> Result<raw::Link, Failure> {
    let mut link = raw::Link::new(socket);
    link.echo(&raw::frame(TEXT.as_bytes()))?;
    Ok(link)
}

impl Side for Raw {
    fn measure(&mut self, work: Work, amount: Amount) -> Result<Option<Sample>, Failure> {
        let sample = match work {
            Work::Mapped | Work::Inline | Work::Async => self.echo(TEXT.as_bytes(), amount)?,
            Work::Callback => {
                let frame = raw::callback_frame(TEXT.as_bytes());
                let (link, watch) = self.main()?;
                one_by_one(watch, amount, || Ok(link.call_back(&frame)?))?
            }
            Work::InFlight(count) => self.in_flight(count, amount)?,
            Work::Threads(count) => self.threads(count, amount)?,
            Work::Echo(size) => self.echo(&vec![7; size], amount)?,
            Work::Spawn => timed(Watch::nothing(), amount, || {
                let start = Instant::now();
                let (child, socket) = Peer::Raw.start()?;
                let link = first_echo(socket)?;
                let taken = start.elapsed();
                drop(link);
                child.shutdown(GRACE)?;
                Ok(taken)
            })?,
            Work::Connect => {
                let listening = Listening::of(&mut self.listening, Peer::Raw)?;
                timed(Watch::nothing(), amount, || {
                    let start = Instant::now();
                    let _link = first_echo(listening.connect()?)?;
                    Ok(start.elapsed())
                })?
            }
            Work::OverConnections(..) | Work::Connection | Work::Handle => return Ok(None),
        };
        Ok(Some(sample))
    }

    fn hold(&mut self, _work: Work, _count: usize) -> Result<Option<u32>, Failure> {
        Ok(None)
    }
}
