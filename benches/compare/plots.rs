//! The plots of docs/PERFORMANCE.md.

use std::ops::Range;
use std::path::Path;

use multiprocess_bench::Failure;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::options::Options;
use crate::report::{Row, percentile};
use crate::rounds;
use crate::sides::Column;
use crate::work::Work;

const SIZE: (u32, u32) = (760, 420);
const THREADS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const SIZES: [usize; 9] =
    [110, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 32 << 20];

/// A side's points.
type Line = (Column, Vec<(f64, f64)>);

/// The labels of the axes.
struct Labels {
    title: &'static str,
    x: &'static str,
    y: &'static str,
    x_text: fn(&f64) -> String,
    y_text: fn(&f64) -> String,
    /// A place without lines.
    legend: SeriesLabelPosition,
}

/// Draws the distribution of a row's calls: the percentage that was answered within a time.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn latency(file: &Path, row: &Row, columns: &[Column]) -> Result<(), Failure> {
    let line = |column: &Column| {
        let mut times = row.cell(*column).times().to_vec();
        let at = |promille: i32| {
            let part = f64::from(promille) / 1000.0;
            Some((percentile(&mut times, part)? / 1e3, part * 100.0))
        };
        (*column, (0..1000).step_by(5).filter_map(at).collect())
    };
    let lines: Vec<Line> = columns.iter().map(line).collect();
    let labels = Labels {
        title: "Mapped call, 110 bytes: calls answered within a time",
        x: "microseconds",
        y: "percent of the calls",
        x_text: |x| format!("{x}"),
        y_text: |y| format!("{y:.0}"),
        legend: SeriesLabelPosition::LowerRight,
    };
    let x = span(&lines, |point| point.0);
    draw(file, &labels, x.log_scale().base(2.0), 0.0..100.0, &lines)
}

/// Measures and draws calls in a second against threads.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn threads(file: &Path, options: &Options) -> Result<(), Failure> {
    let columns = [Column::Ours, Column::CapnpRpc, Column::Tarpc];
    let rows = rounds::run(&THREADS.map(Work::Threads), &columns, options);
    let lines = lines(&rows, &THREADS, &columns, |_, rate| rate / 1e3);
    let labels = Labels {
        title: "Threads that call over one connection, 110 bytes",
        x: "threads",
        y: "1000 calls a second",
        x_text: |x| format!("{x}"),
        y_text: |y| format!("{y:.0}"),
        legend: SeriesLabelPosition::UpperLeft,
    };
    let top = 1.3 * span(&lines, |point| point.1).end;
    draw(file, &labels, (1.0..64.0).log_scale().base(2.0), 0.0..top, &lines)
}

/// Measures and draws bytes in a second, each way, against the size of what is echoed.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn sizes(file: &Path, options: &Options) -> Result<(), Failure> {
    let columns = [Column::Ours, Column::Raw, Column::CapnpRpc, Column::Tarpc];
    let rows = rounds::run(&SIZES.map(Work::Echo), &columns, options);
    let lines = lines(&rows, &SIZES, &columns, |size, time| size * 1e9 / time / 1e6);
    let labels = Labels {
        title: "Echo of data: throughput against size",
        x: "bytes there and back",
        y: "MB a second, each way",
        x_text: |x| match x {
            ..1e3 => format!("{x} B"),
            1e3..1e6 => format!("{} kB", x / 1e3),
            _ => format!("{} MB", x / 1e6),
        },
        y_text: |y| format!("{y}"),
        legend: SeriesLabelPosition::LowerMiddle,
    };
    let (x, y) = (span(&lines, |point| point.0), span(&lines, |point| point.1));
    draw(file, &labels, x.log_scale(), y.log_scale(), &lines)
}

/// One line for each side, of one row for each x.
fn lines(rows: &[Row], at: &[usize], columns: &[Column], y: fn(f64, f64) -> f64) -> Vec<Line> {
    let point = |column: Column| {
        move |(row, x): (&Row, &usize)| {
            let x = *x as f64;
            row.figure(column).map(|figure| (x, y(x, figure)))
        }
    };
    let line =
        |column: &Column| (*column, rows.iter().zip(at).filter_map(point(*column)).collect());
    columns.iter().map(line).collect()
}

/// From the least to a little above the greatest.
fn span(lines: &[Line], of: fn(&(f64, f64)) -> f64) -> Range<f64> {
    let values = || lines.iter().flat_map(|(_, points)| points).map(of);
    let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    if least < most { least..most * 1.1 } else { 1.0..10.0 }
}

fn colour(column: Column) -> RGBColor {
    match column {
        Column::Ours => RGBColor(200, 60, 20),
        Column::Raw => RGBColor(110, 110, 110),
        Column::CapnpRpc => RGBColor(30, 90, 200),
        Column::Tarpc => RGBColor(20, 140, 60),
        Column::Peer => RGBColor(140, 40, 160),
    }
}

fn draw<X, Y>(file: &Path, labels: &Labels, x: X, y: Y, lines: &[Line]) -> Result<(), Failure>
where
    X: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
    Y: AsRangedCoord<Value = f64, CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>>,
{
    // Its errors borrow the file's name, or are not Send.
    let text = |error: &dyn std::error::Error| Failure::from(error.to_string());
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| text(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(labels.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)
        .map_err(|error| text(&error))?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(labels.x).y_desc(labels.y).light_line_style(WHITE);
    mesh.x_label_formatter(&labels.x_text).y_label_formatter(&labels.y_text);
    mesh.draw().map_err(|error| text(&error))?;
    for (column, points) in lines {
        let style = colour(*column).stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), style));
        let series = drawn.map_err(|error| text(&error))?;
        series
            .label(column.title())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let mut legend = chart.configure_series_labels();
    legend.background_style(WHITE).border_style(BLACK).position(labels.legend.clone());
    legend.draw().map_err(|error| text(&error))?;
    area.present().map_err(|error| text(&error))
}
