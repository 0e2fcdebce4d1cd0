//! The measured cells and rows, and the figures computed from them.

use crate::cpu::Cpu;
use crate::measure::Sample;
use crate::sides::Column;
use crate::work::{Unit, Work};

/// One side's figures in one row.
#[derive(Default)]
pub(crate) struct Cell {
    /// The figure of each round; none once it has failed.
    rounds: Vec<f64>,
    /// The nanoseconds of all calls of all rounds.
    times: Vec<f32>,
    /// Nanoseconds of each round's average call.
    cpu: Vec<Cpu>,
    pub(crate) failure: Option<String>,
}

impl Cell {
    pub(crate) fn add(&mut self, unit: Unit, sample: Sample) {
        let figure = match unit {
            Unit::Rate => sample.rate(),
            _ => percentile(&mut sample.times.clone(), 0.5).unwrap_or_default(),
        };
        self.add_figure(figure);
        if let Some(cpu) = sample.cpu {
            let calls = sample.calls as f64;
            self.cpu.push(Cpu { client: cpu.client / calls, server: cpu.server / calls });
        }
        self.times.extend(sample.times);
    }

    pub(crate) fn add_figure(&mut self, figure: f64) {
        self.rounds.push(figure);
    }

    /// The figure of the median round.
    pub(crate) fn figure(&self) -> Option<f64> {
        median(self.rounds.iter().copied())
    }

    /// The 99th percentile of all calls; None if there are too few to be meaningful.
    pub(crate) fn p99(&self) -> Option<f64> {
        if self.times.len() < 100 { None } else { percentile(&mut self.times.clone(), 0.99) }
    }

    /// The processor time of a call.
    pub(crate) fn cpu(&self) -> Option<Cpu> {
        Some(Cpu {
            client: median(self.cpu.iter().map(|cpu| cpu.client))?,
            server: median(self.cpu.iter().map(|cpu| cpu.server))?,
        })
    }

    pub(crate) fn times(&self) -> &[f32] {
        &self.times
    }
}

/// The figures of each side for one kind of work.
pub(crate) struct Row {
    pub(crate) work: Work,
    cells: [Cell; Column::ALL.len()],
    /// The system calls of one of our calls, in each process.
    pub(crate) system_calls: Option<[f64; 2]>,
}

impl Row {
    pub(crate) fn new(work: Work) -> Row {
        Row { work, cells: Default::default(), system_calls: None }
    }

    pub(crate) fn cell(&self, column: Column) -> &Cell {
        &self.cells[column as usize]
    }

    pub(crate) fn cell_mut(&mut self, column: Column) -> &mut Cell {
        &mut self.cells[column as usize]
    }

    pub(crate) fn figure(&self, column: Column) -> Option<f64> {
        self.cell(column).figure()
    }

    /// Our time for a call, or memory, as a multiple of the other side's: the median of the
    /// rounds' ratios.
    pub(crate) fn ratio(&self, column: Column) -> Option<f64> {
        let rounds = self.cell(Column::Ours).rounds.iter().zip(&self.cell(column).rounds);
        median(rounds.map(|(ours, other)| match self.work.unit() {
            Unit::Rate => other / ours,
            _ => ours / other,
        }))
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Sorts the values; `at` is between 0 and 1.
pub(crate) fn percentile(values: &mut [f32], at: f64) -> Option<f64> {
    values.sort_unstable_by(f32::total_cmp);
    let index = (values.len() as f64 * at) as usize;
    values.get(index).map(|value| f64::from(*value))
}
