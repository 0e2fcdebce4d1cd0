//! Where the time of one call goes: the same text there and back, first over a bare socket, then
//! with one step after another added, up to our call.

use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use multiprocess::process::Child;
use multiprocess_bench::layers::{self, Caller, Layer};
use multiprocess_bench::{Failure, Peer, TEXT, raw};

use crate::cpu::Watch;
use crate::measure::{Amount, Sample, one_by_one};
use crate::options::Options;
use crate::report::Cell;
use crate::sides::Column;
use crate::table::{aligned, time};
use crate::work::{Unit, Work};

type Measure = Box<dyn FnMut(Amount) -> Result<Sample, Failure>>;

struct Step {
    what: &'static str,
    /// The step to which this one adds.
    beyond: Option<usize>,
    measure: Measure,
    cell: Cell,
}

impl Step {
    fn new(what: &'static str, beyond: Option<usize>, measure: Measure) -> Step {
        Step { what, beyond, measure, cell: Cell::default() }
    }
}

/// The table.
///
/// # Errors
/// A server cannot be started, or a call failed.
pub(crate) fn table(options: &Options) -> Result<String, Failure> {
    let mut steps = vec![
        Step::new("raw: write and read on either side", None, bare(Peer::Raw)?),
        Step::new("+ poll before each read", Some(0), bare(Peer::Layer(Layer::Poll))?),
        Step::new("+ messages: Call, Return, Finish", Some(1), layer(Layer::Messages)?),
        Step::new("= inline call", Some(2), ours(Work::Inline)),
        Step::new("= mapped call", Some(3), ours(Work::Mapped)),
        Step::new("= the same, awaited", Some(4), ours(Work::Async)),
        Step::new("aside: the messages alone, in memory", None, messages()),
        Step::new("aside: a hand-over to a thread and back", None, handover()),
        Step::new(
            "aside: + messages, + a hand-over on either side",
            Some(2),
            layer(Layer::Handover)?,
        ),
    ];
    // Round 0 warms up.
    for round in 0..=options.rounds {
        for step in &mut steps {
            let sample = (step.measure)(Amount::Time(options.slice))?;
            if round > 0 {
                step.cell.add(Unit::Time, sample);
            }
        }
    }
    let heading = ["", "a call", "adds", "p99", "CPU"].map(String::from).to_vec();
    let lines: Vec<Vec<String>> =
        std::iter::once(heading).chain(steps.iter().map(|step| line(step, &steps))).collect();
    Ok(aligned(&lines))
}

fn line(step: &Step, steps: &[Step]) -> Vec<String> {
    let figure = step.cell.figure();
    let before = step.beyond.and_then(|index| steps[index].cell.figure());
    let adds = figure.zip(before).map(|(figure, before)| time(figure - before));
    let cpu = step.cell.cpu().map(|cpu| format!("{} + {}", time(cpu.client), time(cpu.server)));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    vec![
        step.what.into(),
        or_dash(figure.map(time)),
        or_dash(adds),
        or_dash(step.cell.p99().map(time)),
        or_dash(cpu),
    ]
}

fn start(peer: Peer) -> Result<(Child, UnixStream, Watch), Failure> {
    let (child, socket) = peer.start()?;
    let watch = Watch::of(child.id());
    Ok((child, socket, watch))
}

fn bare(peer: Peer) -> Result<Measure, Failure> {
    let (child, socket, watch) = start(peer)?;
    let mut link = raw::Link::new(socket);
    if peer != Peer::Raw {
        link = link.polled();
    }
    let frame = raw::frame(TEXT.as_bytes());
    Ok(Box::new(move |amount| {
        let _kept = &child;
        one_by_one(watch, amount, || Ok(link.echo(&frame)?))
    }))
}

fn layer(layer: Layer) -> Result<Measure, Failure> {
    let (child, socket, watch) = start(Peer::Layer(layer))?;
    let mut caller = Caller::new(layer, socket)?;
    Ok(Box::new(move |amount| {
        let _kept = &child;
        one_by_one(watch, amount, || caller.echo(TEXT))
    }))
}

fn ours(work: Work) -> Measure {
    let mut side = Column::Ours.side(None);
    Box::new(move |amount| Ok(side.measure(work, amount)?.ok_or("ours lacks a call")?))
}

fn messages() -> Measure {
    Box::new(|amount| one_by_one(Watch::nothing(), amount, layers::messages))
}

/// Measures waking a sleeping thread and being woken by it.
fn handover() -> Measure {
    let (give, tasks) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    std::thread::spawn(move || tasks.into_iter().try_for_each(|task| answer.send(task)));
    Box::new(move |amount| {
        one_by_one(Watch::nothing(), amount, || {
            give.send(())?;
            Ok(answers.recv()?)
        })
    })
}
